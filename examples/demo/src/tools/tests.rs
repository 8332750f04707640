//! The tool server on its own: nobody without an assertion, nothing it does not know.

use broker_client::TokenSource;
use serde_json::{Value, json};

use super::{LIST_NOTES, ToolServer};
use crate::agent::{Agent, Answer};
use crate::world::{ALICE, Options, Workload, World};

#[tokio::test]
async fn a_tool_server_asks_for_the_user_and_refuses_what_it_does_not_know() {
    let world = World::start(Options::default()).await.expect("starts");
    let client = world.client(Workload::TicketHelper).await.expect("client");
    let server =
        ToolServer::start(TokenSource::new(client), world.notes().origin(), world.calendar().origin())
            .await
            .expect("server");
    let http = crate::http::client(b"").expect("client");
    let send = |body: Value| http.post(server.url()).json(&body);

    let anonymous = send(json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" })).send().await;
    assert_eq!(anonymous.expect("answers").status().as_u16(), 401);

    let ask = async |method: &str, params: Value| -> Value {
        let body = json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params });
        send(body).bearer_auth("whoever").send().await.expect("answers").json().await.expect("JSON")
    };
    let listed = ask("tools/list", json!({})).await;
    assert_eq!(listed["result"]["tools"][0]["name"], LIST_NOTES);
    assert_eq!(ask("tools/call", json!({ "name": 7 })).await["error"]["code"], -32602);
    assert_eq!(ask("prompts/list", json!({})).await["error"]["code"], -32601);
    let unknown = ask("tools/call", json!({ "name": "rm" })).await;
    assert_eq!(unknown["result"]["_meta"]["reason"], "UNKNOWN_TOOL");

    let agent = Agent::new().expect("agent");
    let answer = agent.call(server.url(), "not-an-assertion", LIST_NOTES, json!({})).await.expect("answers");
    assert!(matches!(&answer, Answer::Refused { reason, .. } if reason == "ASSERTION_INVALID"), "{answer:?}");
    let assertion = world.assertion(&ALICE, Workload::TicketHelper);
    let answer = agent.call(server.url(), &assertion, LIST_NOTES, json!({})).await.expect("answers");
    assert!(
        matches!(&answer, Answer::Connect { url, .. } if url.starts_with(&world.web_url())),
        "{answer:?}"
    );
    world.stop().await;
}
