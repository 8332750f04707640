//! Sessions of MCP 2025-11-25: one user's, whoever else learns of their id.

use std::time::Duration;

use broker_tests::browser::http_client;
use broker_tests::mcp::McpServer;
use broker_tests::stage::Stage;
use demo::world::{ALICE, BOB, Person, Workload};
use reqwest::{Method, Response};
use serde_json::{Value, json};

const VERSION: &str = "2025-11-25";

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

    /// Sends this as the person, in a session; the token is a fresh one each time.
    async fn send(
        &self,
        method: Method,
        person: &Person,
        session: Option<&str>,
        body: Option<Value>,
    ) -> Response {
        let token = self.stage.world.assertion(person, Workload::TicketHelper);
        let request = self.http.request(method, self.server.url()).bearer_auth(token);
        let request = request.header("mcp-protocol-version", VERSION);
        let request = match body {
            Some(body) => request.header("accept", "application/json, text/event-stream").json(&body),
            None => request.header("accept", "text/event-stream"),
        };
        let request = match session {
            Some(session) => request.header("mcp-session-id", session),
            None => request,
        };
        request.send().await.expect("an answer")
    }

    async fn post(&self, person: &Person, session: Option<&str>, body: Value) -> Response {
        self.send(Method::POST, person, session, Some(body)).await
    }

    /// Begins a session.
    async fn begin(&self, person: &Person) -> String {
        let params = json!({
            "protocolVersion": VERSION, "capabilities": {}, "clientInfo": { "name": "raw", "version": "1" },
        });
        let begin = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params });
        let begun = self.post(person, None, begin).await;
        assert_eq!(begun.status().as_u16(), 200);
        let session = begun.headers()["mcp-session-id"].to_str().expect("text").to_owned();
        let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        assert_eq!(self.post(person, Some(&session), ready).await.status().as_u16(), 202);
        session
    }

    async fn list(&self, person: &Person, session: &str) -> u16 {
        let list = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
        self.post(person, Some(session), list).await.status().as_u16()
    }
}

/// Proves: CL3
#[tokio::test]
async fn cl3_a_session_is_refused_beside_another_users_token() {
    let scene = Scene::start().await;
    let hers = scene.begin(&ALICE).await;
    // Tokens are renewed in the course of a session.
    scene.stage.clock.advance(Duration::from_secs(60));
    assert_eq!(scene.list(&ALICE, &hers).await, 200);

    assert_eq!(scene.list(&BOB, &hers).await, 404);
    assert_eq!(scene.send(Method::GET, &BOB, Some(&hers), None).await.status().as_u16(), 404);
    assert_eq!(scene.send(Method::DELETE, &BOB, Some(&hers), None).await.status().as_u16(), 404);
    // The server's own id, without whose it is, opens it for nobody.
    let (inner, tag) = hers.rsplit_once('.').expect("an id and a tag");
    assert_eq!(scene.list(&ALICE, inner).await, 404);
    let his = scene.begin(&BOB).await;
    let (_, his_tag) = his.rsplit_once('.').expect("an id and a tag");
    assert_ne!(tag, his_tag);
    assert_eq!(scene.list(&BOB, &format!("{inner}.{his_tag}")).await, 404);

    assert_eq!(scene.list(&BOB, &his).await, 200);
    assert_eq!(scene.list(&ALICE, &hers).await, 200, "nobody ended it");
    assert!(scene.send(Method::DELETE, &ALICE, Some(&hers), None).await.status().is_success());
    assert_eq!(scene.list(&ALICE, &hers).await, 404, "she did");
}
