//! What no decent client sends: requests without a user, with another's state, from a web page.

use std::time::Duration;

use broker_tests::browser::http_client;
use broker_tests::mcp::McpServer;
use broker_tests::stage::{READ, Stage};
use demo::world::{ALICE, BOB, Person, Workload};
use serde_json::{Value, json};

const VERSION: &str = "2026-07-28";

struct Scene {
    stage: Stage,
    server: McpServer,
    http: reqwest::Client,
}

impl Scene {
    async fn start() -> Scene {
        let stage = Stage::start().await;
        let server = McpServer::start(&stage, Workload::TicketHelper, Duration::ZERO).await;
        Scene { stage, server, http: http_client() }
    }

    fn post(&self, body: &Value) -> reqwest::RequestBuilder {
        let request = self.http.post(self.server.url()).json(body);
        let request = request.header("accept", "application/json, text/event-stream");
        let name = body["params"]["name"].as_str().unwrap_or_default();
        request
            .header("mcp-protocol-version", VERSION)
            .header("mcp-method", "tools/call")
            .header("mcp-name", name)
    }

    /// The JSON-RPC response to a call of `person` with these parameters beside the usual ones.
    async fn call(&self, person: &Person, more: Value) -> Value {
        let assertion = self.stage.world.assertion(person, Workload::TicketHelper);
        let response = self.post(&call(more)).bearer_auth(assertion).send().await.expect("an answer");
        assert_eq!(response.status().as_u16(), 200);
        let text = response.text().await.expect("a body");
        // Events or plain JSON, as the server likes.
        let json = text
            .lines()
            .rev()
            .find_map(|line| line.strip_prefix("data:").or(Some(line)).filter(|l| l.contains("jsonrpc")));
        serde_json::from_str(json.unwrap_or_else(|| panic!("no JSON-RPC: {text}")).trim()).expect("JSON")
    }
}

fn call(more: Value) -> Value {
    let mut params = json!({
        "name": "list_notes",
        "arguments": {},
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": VERSION,
            "io.modelcontextprotocol/clientInfo": { "name": "raw", "version": "1" },
            "io.modelcontextprotocol/clientCapabilities": { "elicitation": { "url": {} } },
        },
    });
    for (name, value) in more.as_object().expect("an object") {
        params[name] = value.clone();
    }
    json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params })
}

/// Proves: CL3
#[tokio::test]
async fn cl3_a_state_serves_its_own_user_and_its_own_call() {
    let scene = Scene::start().await;
    let asked = scene.call(&ALICE, json!({})).await;
    assert_eq!(asked["result"]["resultType"], "input_required", "{asked}");
    let accept = |state: &Value| json!({ "requestState": state, "inputResponses": { "notes": { "action": "accept" } } });
    let state = &asked["result"]["requestState"];
    scene.stage.connect(&BOB, Workload::TicketHelper, READ).await;
    let stolen = scene.call(&BOB, accept(state)).await;
    assert_eq!(stolen["error"]["code"], -32602, "{stolen}");
    let mut other = accept(state);
    other["arguments"] = json!({ "of": "everybody" });
    assert_eq!(scene.call(&ALICE, other).await["error"]["code"], -32602);
    assert_eq!(scene.call(&ALICE, accept(&json!("bs2.AAAA"))).await["error"]["code"], -32602);

    // Accepting is not having done it.
    let again = scene.call(&ALICE, accept(state)).await;
    assert_eq!(again["result"]["resultType"], "input_required", "{again}");
    let url = &again["result"]["inputRequests"]["notes"]["params"]["url"];
    assert_eq!(url, &asked["result"]["inputRequests"]["notes"]["params"]["url"], "the same link");
    scene.stage.connect(&ALICE, Workload::TicketHelper, READ).await;
    let done = scene.call(&ALICE, accept(&again["result"]["requestState"])).await;
    assert_eq!(done["result"]["structuredContent"]["account"], ALICE.notes.name, "{done}");
    // Sent twice, it gives nothing that the call without it would not.
    let twice = scene.call(&ALICE, accept(&again["result"]["requestState"])).await;
    assert_eq!(twice["result"]["structuredContent"], done["result"]["structuredContent"]);
}

#[tokio::test]
async fn who_shows_no_token_is_told_where_to_sign_in() {
    let scene = Scene::start().await;
    let response = scene.post(&call(json!({}))).send().await.expect("an answer");
    assert_eq!(response.status().as_u16(), 401);
    let challenge = response.headers()["www-authenticate"].to_str().expect("text").to_owned();
    let path = "/.well-known/oauth-protected-resource/mcp";
    assert_eq!(
        challenge,
        format!("Bearer resource_metadata=\"https://ticket-helper.company.example{path}\"")
    );
    let metadata =
        scene.http.get(format!("{}{path}", scene.server.origin())).send().await.expect("an answer");
    let metadata: Value = metadata.json().await.expect("JSON");
    assert_eq!(metadata["resource"], Workload::TicketHelper.audience());
    assert_eq!(metadata["authorization_servers"], json!([scene.stage.world.sso().issuer()]));
}

/// Proves: CL6
#[tokio::test]
async fn cl6_the_brokers_own_check_keeps_the_door_of_the_mcp_server() {
    let scene = Scene::start().await;
    let sso = scene.stage.world.sso();
    let good = scene.stage.world.assertion(&ALICE, Workload::TicketHelper);
    let bad = [
        ("made up", "made-up".to_owned()),
        ("for another server", scene.stage.world.assertion(&ALICE, Workload::ReportWriter)),
        (
            "without subject",
            sso.mint_with("alice", Workload::TicketHelper.audience(), json!({ "sub": null })),
        ),
        ("expired", sso.mint_with("alice", Workload::TicketHelper.audience(), json!({ "exp": 1, "iat": 0 }))),
    ];
    let client = scene.stage.client(Workload::TicketHelper);
    for (what, token) in bad {
        let response = scene.post(&call(json!({}))).bearer_auth(&token).send().await.expect("an answer");
        assert_eq!(response.status().as_u16(), 401, "{what}");
        let challenge = response.headers()["www-authenticate"].to_str().expect("text");
        assert!(challenge.ends_with(", error=\"invalid_token\""), "{what}: {challenge}");
        let refused = client.verify_user_token(&token.into()).await.expect_err(what);
        assert!(matches!(refused, broker_client::Error::Assertion(_)), "{what}: {refused}");
    }
    client.verify_user_token(&good.as_str().into()).await.expect("a good one");
    let response = scene.post(&call(json!({}))).bearer_auth(&good).send().await.expect("an answer");
    assert_eq!(response.status().as_u16(), 200);
}

#[tokio::test]
async fn requests_of_web_pages_are_refused() {
    let scene = Scene::start().await;
    let token = scene.stage.world.assertion(&ALICE, Workload::TicketHelper);
    let page = scene.post(&call(json!({}))).bearer_auth(&token).header("origin", "https://evil.example");
    assert_eq!(page.send().await.expect("an answer").status().as_u16(), 403);
    let rebound = scene.post(&call(json!({}))).bearer_auth(&token).header("host", "evil.example");
    assert_eq!(rebound.send().await.expect("an answer").status().as_u16(), 403);
}
