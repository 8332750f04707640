//! From the first call, through the link, to the result: Python fastmcp, both TypeScript SDKs, the Inspector.

use std::time::Duration;

use broker_tests::mcp::{Conversation, McpClient, McpServer, Said, inspect};
use broker_tests::stage::Stage;
use demo::walk;
use demo::world::{ALICE, BOB, Person, Workload};
use serde_json::{Value, json};

/// Longer than any walk through the pages.
const PATIENCE: Duration = Duration::from_secs(50);

struct Scene {
    stage: Stage,
    server: McpServer,
}

impl Scene {
    async fn start() -> Scene {
        let stage = Stage::start().await;
        let server = McpServer::start(&stage, Workload::TicketHelper, PATIENCE).await;
        Scene { stage, server }
    }

    fn token(&self, person: &Person) -> String {
        self.stage.world.assertion(person, Workload::TicketHelper)
    }

    async fn call(&self, client: McpClient, person: &Person, tool: &str, arguments: Value) -> Conversation {
        client.call(self.server.url(), &self.token(person), tool, arguments).await
    }

    /// The person opens the link and does what it asks for.
    async fn walk(&self, person: &Person, link: &str) {
        assert!(link.starts_with(&self.stage.world.web_url()), "a link of the broker: {link}");
        let browser = self.stage.world.browser().expect("a browser");
        let page =
            walk::connect(&browser, link, &person.sso, &person.notes).await.expect("the pages lead through");
        assert_eq!(page.status, 200, "{}", page.text());
    }
}

fn found(said: Said) -> Value {
    match said {
        Said::Result { failed: false, found, .. } => found,
        other => panic!("a result was due: {other:?}"),
    }
}

/// alice and bob, one after the other, through this client: each connects, reads, and
/// writes, which needs more than reading.
async fn both_people_are_served_by(client: McpClient) {
    let scene = Scene::start().await;
    for person in [&ALICE, &BOB] {
        let mut reading = scene.call(client, person, "list_notes", json!({})).await;
        let link = reading.link().await;
        scene.walk(person, &link).await;
        reading.reply("accept").await;
        let first = format!("{}'s first note", person.sso.name);
        assert_eq!(found(reading.next().await), json!({ "account": person.notes.name, "notes": [first] }));

        let text = format!("a note of {}", person.sso.name);
        let mut writing = scene.call(client, person, "add_note", json!({ "text": text })).await;
        let link = writing.link().await;
        scene.walk(person, &link).await;
        writing.reply("accept").await;
        let both = json!({ "account": person.notes.name, "notes": [first, text] });
        assert_eq!(found(writing.next().await), both);
    }
}

/// Proves: CL3
#[tokio::test]
async fn cl3_fastmcp_speaking_2026_07_28() {
    both_people_are_served_by(McpClient::Fastmcp("auto")).await;
}

/// Proves: CL3
#[tokio::test]
async fn cl3_fastmcp_speaking_2025_11_25() {
    both_people_are_served_by(McpClient::Fastmcp("legacy")).await;
}

/// Proves: CL3
#[tokio::test]
async fn cl3_typescript_sdk_1_speaking_2025_11_25() {
    both_people_are_served_by(McpClient::Sdk1).await;
}

/// Proves: CL3
#[tokio::test]
async fn cl3_typescript_sdk_2_speaking_2026_07_28() {
    both_people_are_served_by(McpClient::Sdk2("auto")).await;
}

/// Proves: CL3
#[tokio::test]
async fn cl3_typescript_sdk_2_speaking_2025_11_25() {
    both_people_are_served_by(McpClient::Sdk2("legacy")).await;
}

/// Proves: CL3
#[tokio::test]
async fn cl3_the_inspector_shows_the_link_as_text() {
    let scene = Scene::start().await;
    let asked = inspect(scene.server.url(), &scene.token(&ALICE), "list_notes").await;
    assert_eq!(asked["isError"], true, "{asked}");
    let text = asked["content"][0]["text"].as_str().expect("a text");
    let link = text.split_whitespace().last().expect("a link");
    scene.walk(&ALICE, link).await;
    let done = inspect(scene.server.url(), &scene.token(&ALICE), "list_notes").await;
    assert_eq!(done["structuredContent"]["account"], ALICE.notes.name, "{done}");
}

/// Proves: CL3, CO2
#[tokio::test]
async fn cl3_somebody_elses_link_connects_nobody() {
    let scene = Scene::start().await;
    let client = McpClient::Sdk2("auto");
    let mut reading = scene.call(client, &ALICE, "list_notes", json!({})).await;
    let link = reading.link().await;
    let browser = scene.stage.world.browser().expect("a browser");
    let page = walk::sign_in(browser.get(&link).await.expect("a page"), &BOB.sso).await.expect("signed in");
    assert!(page.form("/approve").is_err(), "{}", page.text());
    let mut bobs = scene.call(client, &BOB, "list_notes", json!({})).await;
    assert_ne!(bobs.link().await, link, "bob has nothing connected, and a link of his own");
    // The link still works for alice.
    scene.walk(&ALICE, &link).await;
    reading.reply("accept").await;
    assert_eq!(found(reading.next().await)["account"], ALICE.notes.name);
}

/// Proves: CL3
#[tokio::test]
async fn cl3_a_user_who_declines_is_left_alone() {
    let scene = Scene::start().await;
    for (client, action) in [
        (McpClient::Sdk2("auto"), "decline"),
        (McpClient::Sdk2("auto"), "cancel"),
        (McpClient::Fastmcp("auto"), "decline"),
    ] {
        let mut reading = scene.call(client, &ALICE, "list_notes", json!({})).await;
        reading.link().await;
        reading.reply(action).await;
        match reading.next().await {
            Said::Result { failed: true, text, .. } => assert!(text.contains("CONSENT_DECLINED"), "{text}"),
            other => panic!("{client:?}: {other:?}"),
        }
    }
}

/// Proves: CL3
#[tokio::test]
async fn cl3_a_client_that_is_early_waits_for_its_user() {
    let scene = Scene::start().await;
    let mut reading = scene.call(McpClient::Sdk2("auto"), &ALICE, "list_notes", json!({})).await;
    let link = reading.link().await;
    // Accepting means: the link will be opened. The call is on its way again before it is.
    reading.reply("accept").await;
    scene.walk(&ALICE, &link).await;
    assert_eq!(found(reading.next().await)["account"], ALICE.notes.name);
}
