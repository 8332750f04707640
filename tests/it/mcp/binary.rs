//! The example's own binary, by its command line, and what it logs.

use broker_tests::mcp::{McpClient, Said};
use broker_tests::mcp_process::{McpProcess, STATE_SECRET};
use broker_tests::sweep::Sweep;
use demo::walk;
use demo::world::{ALICE, Options, Workload, World};
use serde_json::json;

/// Proves: CL1
#[tokio::test]
async fn cl1_the_example_runs_by_its_command_line_and_logs_no_token() {
    let world = World::start(Options::default()).await.expect("a world");
    let server = McpProcess::start(&world).await;
    let token = world.assertion(&ALICE, Workload::TicketHelper);
    let browser = world.browser().expect("a browser");
    let mut links = Vec::new();

    let mut reading = McpClient::Sdk2("auto").call(server.url(), &token, "list_notes", json!({})).await;
    links.push(reading.link().await);
    walk::connect(&browser, &links[0], &ALICE.sso, &ALICE.notes).await.expect("the pages lead through");
    reading.reply("accept").await;
    match reading.next().await {
        Said::Result { failed: false, found, .. } => assert_eq!(found["account"], ALICE.notes.name),
        other => panic!("a result was due: {other:?}"),
    }
    let mut planning = McpClient::Sdk2("legacy").call(server.url(), &token, "plan_week", json!({})).await;
    links.push(planning.link().await);
    walk::connect_all(&browser, &links[1], &ALICE).await.expect("the pages lead through");
    planning.reply("accept").await;
    assert!(matches!(planning.next().await, Said::Result { failed: false, .. }));
    // One that is refused, and in everybody's log a favourite.
    let canary = "canary.assertion.0123456789";
    let refused = reqwest_post(server.url(), canary).await;
    assert_eq!(refused, 401);

    let log = server.log().await;
    for told in
        ["TRACE", "DEBUG", "a call tool=list_notes", "a call tool=plan_week", "called api=\"Calendar\""]
    {
        assert!(plain(&log).contains(told), "{told} is not in the log: {log}");
    }
    let mut sweep = Sweep::default();
    sweep.add("assertion", token.as_bytes());
    sweep.add("assertion's signature", token.rsplit('.').next().expect("a signature").as_bytes());
    sweep.add("refused assertion", canary.as_bytes());
    sweep.add("workload secret", world.secret(Workload::TicketHelper).as_bytes());
    sweep.add("state secret", STATE_SECRET.as_bytes());
    links.iter().for_each(|link| sweep.add("link", link.rsplit('/').next().expect("a handle").as_bytes()));
    for (what, value) in world.notes().heard().into_iter().chain(world.calendar().heard()) {
        sweep.add(what, value.as_bytes());
    }
    assert!(sweep.len() > 100, "{}", sweep.len());
    assert_eq!(sweep.find(log.as_bytes()), [] as [&str; 0], "the log holds a secret");
    // It would be found, wherever it stood.
    let grant =
        world.calendar().heard().into_iter().find(|(what, _)| *what == "access_token").expect("a token");
    for secret in [&token, &grant.1] {
        let planted = log.replacen("a call tool", &format!("a call {secret} tool"), 1);
        assert!(!sweep.find(planted.as_bytes()).is_empty(), "a planted secret is not found");
    }
    world.stop().await;
}

/// Without the colours of a terminal.
fn plain(log: &str) -> String {
    let mut parts = log.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once('m').map_or(part, |(_, rest)| rest))
}

async fn reqwest_post(url: &str, token: &str) -> u16 {
    let client = demo::http::client(b"").expect("a client");
    let sent = client.post(url).bearer_auth(token).body("{}").send().await;
    sent.expect("an answer").status().as_u16()
}
