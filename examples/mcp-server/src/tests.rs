//! The tools against the client's own fake broker and a stand-in for the notes API: no server is needed.

use crate::{Api as Server, NotesServer, http_client, router};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use axum::{Json, Router};
use broker_client::TokenSource;
use broker_client::bearer::ProtectedResource;
use broker_client::mcp::{ConsentFlow, StateKey};
use broker_client::testing::{FakeBroker, Finish};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

const VERSION: &str = "2026-07-28";

/// A note that the API takes, and thereafter no longer the token it came with.
const LAST_WORDS: &str = "last words";

/// The notes API: it knows people by their tokens, and keeps one list for all.
struct Api {
    broker: Arc<FakeBroker>,
    notes: Mutex<Vec<String>>,
}

struct Scene {
    broker: Arc<FakeBroker>,
    http: reqwest::Client,
    url: String,
}

impl Scene {
    async fn start() -> Scene {
        let broker = Arc::new(FakeBroker::start().await);
        let api = Api { broker: Arc::clone(&broker), notes: Mutex::new(vec!["a note".to_owned()]) };
        let notes = Router::new().route("/notes", get(notes).post(add)).route("/events", get(events));
        let notes = notes.with_state(Arc::new(api));
        let notes = serve(notes).await;
        let http = http_client(rustls::RootCertStore::empty()).expect("an HTTP client");
        let source = TokenSource::new(broker.client().await);
        let flow = ConsentFlow::new(source, StateKey::random().expect("a key"));
        let server = NotesServer::new(flow, "notes", Server::notes(http.clone(), &notes));
        let server = server.with_calendar("calendar", Server::calendar(http.clone(), &notes));
        let resource = ProtectedResource::new("https://notes.example/mcp").expect("a resource");
        let origin = serve(router(server, &resource, &["127.0.0.1".to_owned()]).expect("a router")).await;
        Scene { broker, http, url: format!("{origin}/mcp") }
    }

    /// What `list_notes` answers this person's client, which opens no links.
    async fn list(&self, person: &str) -> Value {
        self.call(person, "list_notes", json!({})).await
    }

    async fn call(&self, person: &str, tool: &str, arguments: Value) -> Value {
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": VERSION,
            "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let params = json!({ "name": tool, "arguments": arguments, "_meta": meta });
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
        let sent = self.http.post(&self.url).bearer_auth(person).json(&request);
        let sent = sent.header("accept", "application/json, text/event-stream");
        let sent = sent.header("mcp-protocol-version", VERSION).header("mcp-method", "tools/call");
        let text = sent.header("mcp-name", tool).send().await.expect("an answer").text().await;
        let text = text.expect("a body");
        let found = text.lines().find(|line| line.contains("jsonrpc")).unwrap_or_else(|| panic!("{text}"));
        let message: Value = serde_json::from_str(found.trim_start_matches("data:")).expect("JSON");
        message["result"].clone()
    }
}

/// Whose token it is, and the token.
fn owner<'a>(api: &Api, headers: &'a HeaderMap) -> Result<(String, &'a str), StatusCode> {
    let header = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let token = header.strip_prefix("Bearer ").ok_or(StatusCode::UNAUTHORIZED)?;
    let owner = api.broker.whose(token).filter(|owner| owner.live).ok_or(StatusCode::UNAUTHORIZED)?;
    Ok((owner.assertion.expose().to_owned(), token))
}

async fn notes(State(api): State<Arc<Api>>, headers: HeaderMap) -> Result<Json<Value>, StatusCode> {
    let (account, _) = owner(&api, &headers)?;
    Ok(Json(json!({ "account": account, "notes": *api.notes.lock().expect("the notes") })))
}

async fn events(State(api): State<Arc<Api>>, headers: HeaderMap) -> Result<Json<Value>, StatusCode> {
    let (account, _) = owner(&api, &headers)?;
    Ok(Json(json!({ "account": account, "events": ["an appointment"] })))
}

async fn add(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Result<(StatusCode, Json<Value>), StatusCode> {
    let (_, token) = owner(&api, &headers)?;
    let text = body["text"].as_str().ok_or(StatusCode::BAD_REQUEST)?;
    api.notes.lock().expect("the notes").push(text.to_owned());
    if text == LAST_WORDS {
        api.broker.end_token(token);
    }
    Ok((StatusCode::CREATED, Json(json!({}))))
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
async fn cl4_what_was_written_before_the_token_ended_is_not_written_again() {
    let scene = Scene::start().await;
    scene.broker.connect("alice", "notes", &["notes.read", "notes.write"]);
    let done = scene.call("alice", "add_note", json!({ "text": LAST_WORDS })).await;
    assert_eq!(done["structuredContent"]["notes"], json!(["a note", LAST_WORDS]), "{done}");
    let grants = scene.broker.calls().into_iter().filter(|call| call.method == "IssueGrant");
    assert_eq!(grants.count(), 2, "the list was read with another token");
}

/// Proves: CL4
#[tokio::test]
async fn cl4_a_refusal_is_told_with_its_reason() {
    let scene = Scene::start().await;
    scene.broker.refuse_next("POLICY_DENIED");
    let refused = scene.list("alice").await;
    assert_eq!(refused["_meta"]["broker.v1/reason"], "POLICY_DENIED", "{refused}");
}

/// Proves: CL4, GR6
#[tokio::test]
async fn cl4_gr6_a_tool_that_needs_two_systems_shows_one_link_and_works_with_both_grants() {
    let scene = Scene::start().await;
    let asked = scene.call("alice", "plan_week", json!({})).await;
    let text = asked["content"][0]["text"].as_str().unwrap_or_else(|| panic!("a link was due: {asked}"));
    assert_eq!(text.matches("https://").count(), 1, "one link for both: {text}");
    let link = text.split_whitespace().last().expect("a link").to_owned();
    scene.broker.finish(&link, Finish::Completed);
    let done = scene.call("alice", "plan_week", json!({})).await;
    let week = json!([
        { "account": "alice", "notes": ["a note"] },
        { "account": "alice", "events": ["an appointment"] },
    ]);
    assert_eq!(done["structuredContent"]["week"], week, "{done}");

    // The token of one of them ends: that one is asked for again, once, and alone.
    scene.broker.end_token("fake-token-2");
    let done = scene.call("alice", "plan_week", json!({})).await;
    assert_eq!(done["structuredContent"]["week"], week, "{done}");
    let asked: Vec<_> =
        scene.broker.calls().into_iter().filter(|call| call.method == "BatchIssueGrants").collect();
    let asked: Vec<&str> = asked.iter().map(|call| call.provider.as_str()).collect();
    assert_eq!(asked, ["notes calendar", "notes calendar", "calendar"]);
}
