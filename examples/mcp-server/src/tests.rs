//! The tools against the client's own fake broker and a stand-in for the notes API: no server is needed.

use crate::{Notes, NotesServer, http_client, router};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use axum::{Json, Router};
use broker_client::TokenSource;
use broker_client::bearer::ProtectedResource;
use broker_client::mcp::{ConsentFlow, StateKey};
use broker_client::testing::{FakeBroker, Finish};
use serde_json::{Value, json};
use std::sync::Arc;

const VERSION: &str = "2026-07-28";

struct Scene {
    broker: Arc<FakeBroker>,
    http: reqwest::Client,
    url: String,
}

impl Scene {
    async fn start() -> Scene {
        let broker = Arc::new(FakeBroker::start().await);
        let notes = serve(Router::new().route("/notes", get(notes)).with_state(Arc::clone(&broker))).await;
        let http = http_client(rustls::RootCertStore::empty()).expect("an HTTP client");
        let source = TokenSource::new(broker.client().await);
        let flow = ConsentFlow::new(source, StateKey::random().expect("a key"));
        let server = NotesServer::new(flow, "notes", Notes::new(http.clone(), &notes));
        let resource = ProtectedResource::new("https://notes.example/mcp").expect("a resource");
        let origin = serve(router(server, &resource, &["127.0.0.1".to_owned()])).await;
        Scene { broker, http, url: format!("{origin}/mcp") }
    }

    /// What `list_notes` answers this person's client, which opens no links.
    async fn list(&self, person: &str) -> Value {
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": VERSION,
            "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let params = json!({ "name": "list_notes", "arguments": {}, "_meta": meta });
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
        let sent = self.http.post(&self.url).bearer_auth(person).json(&request);
        let sent = sent.header("accept", "application/json, text/event-stream");
        let sent = sent.header("mcp-protocol-version", VERSION).header("mcp-method", "tools/call");
        let text = sent.header("mcp-name", "list_notes").send().await.expect("an answer").text().await;
        let text = text.expect("a body");
        let found = text.lines().find(|line| line.contains("jsonrpc")).unwrap_or_else(|| panic!("{text}"));
        let message: Value = serde_json::from_str(found.trim_start_matches("data:")).expect("JSON");
        message["result"].clone()
    }
}

/// The notes API: it knows people by their tokens.
async fn notes(State(broker): State<Arc<FakeBroker>>, headers: HeaderMap) -> Result<Json<Value>, StatusCode> {
    let header = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let owner = header.strip_prefix("Bearer ").and_then(|token| broker.whose(token));
    let owner = owner.filter(|owner| owner.live).ok_or(StatusCode::UNAUTHORIZED)?;
    Ok(Json(json!({ "account": owner.assertion.expose(), "notes": ["a note"] })))
}

async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let origin = format!("http://{}", listener.local_addr().expect("its address"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    origin
}

/// Proves: CL4
#[tokio::test]
async fn cl4_a_tool_is_tested_from_the_link_to_the_result() {
    let scene = Scene::start().await;
    let asked = scene.list("alice").await;
    assert_eq!(asked["isError"], true, "{asked}");
    let text = asked["content"][0]["text"].as_str().expect("a text");
    scene.broker.finish(text.split_whitespace().last().expect("a link"), Finish::Completed);
    let done = scene.list("alice").await;
    assert_eq!(done["structuredContent"], json!({ "account": "alice", "notes": ["a note"] }), "{done}");
    assert_eq!(scene.list("bob").await["isError"], true, "bob has connected nothing");
}

/// Proves: CL4, CL5
#[tokio::test]
async fn cl4_a_token_that_the_provider_refuses_is_replaced_once() {
    let scene = Scene::start().await;
    scene.broker.connect("alice", "notes", &["notes.read"]);
    scene.list("alice").await;
    scene.broker.end_token("fake-token-1");
    assert_eq!(scene.list("alice").await["structuredContent"]["account"], "alice");
    let grants = scene.broker.calls().into_iter().filter(|call| call.method == "IssueGrant");
    assert_eq!(grants.count(), 2, "one grant for each token");
}

/// Proves: CL4
#[tokio::test]
async fn cl4_a_refusal_is_told_with_its_reason() {
    let scene = Scene::start().await;
    scene.broker.refuse_next("POLICY_DENIED");
    let refused = scene.list("alice").await;
    assert_eq!(refused["_meta"]["broker.v1/reason"], "POLICY_DENIED", "{refused}");
}
