//! Faults to order, and the provider's own account of what it was asked.

use serde::Deserialize;
use serde_json::{Value, json};

use super::OidcPeer;

/// What happens to one coming request, by default at the token endpoint.
#[derive(Clone, Debug)]
pub struct Fault(Value);

impl Fault {
    /// Answers in the provider's place; the request is not processed.
    pub fn respond(status: u16, content_type: &str, body: &str) -> Self {
        Self(
            json!({"kind": "respond", "status": status, "headers": {"content-type": content_type}, "body": body}),
        )
    }

    pub fn server_error() -> Self {
        Self::respond(500, "application/json", r#"{"error":"server_error"}"#)
    }

    /// 429 with `Retry-After` in seconds.
    pub fn too_many_requests(retry_after: u32) -> Self {
        let mut fault = Self::respond(429, "application/json", r#"{"error":"slow_down"}"#);
        fault.0["headers"]["retry-after"] = json!(retry_after.to_string());
        fault
    }

    /// A proxy's page with status 200 where JSON belongs.
    pub fn html() -> Self {
        Self::respond(200, "text/html", "<!doctype html><title>Maintenance</title><p>Back soon.")
    }

    /// An OAuth error under status 200.
    pub fn error_with_200(error: &str) -> Self {
        Self::respond(200, "application/json", &json!({"error": error, "ok": false}).to_string())
    }

    /// Processes the request, then says that only these scopes were granted.
    pub fn fewer_scopes(scope: &str) -> Self {
        Self(json!({"kind": "rewrite", "set": {"scope": scope}}))
    }

    /// Processes the request, then leaves members such as `refresh_token` out of the answer.
    pub fn without(members: &[&str]) -> Self {
        Self(json!({"kind": "rewrite", "drop": members}))
    }

    /// Processes the request, then sets members of the answer.
    pub fn rewrite(members: Value) -> Self {
        Self(json!({"kind": "rewrite", "set": members}))
    }

    /// Processes the request, then closes the connection without an answer.
    pub fn lose_reply() -> Self {
        Self(json!({"kind": "lose_reply"}))
    }

    /// Processes the request only after [`OidcPeer::release`].
    pub fn hold() -> Self {
        Self(json!({"kind": "hold"}))
    }

    /// Processes the request, then answers only after [`OidcPeer::release`].
    pub fn hold_reply() -> Self {
        Self(json!({"kind": "hold_reply"}))
    }

    /// At `revocation`, `introspection`, `userinfo`, `jwks` or `discovery` instead of `token`.
    pub fn at(mut self, endpoint: &str) -> Self {
        self.0["on"] = json!(endpoint);
        self
    }

    /// Waits for a token request of this grant type.
    pub fn on_grant(mut self, grant_type: &str) -> Self {
        self.0["grant_type"] = json!(grant_type);
        self
    }
}

/// One request as the provider saw it. Tokens and codes appear as the base64url of their SHA-256.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Call {
    pub endpoint: String,
    pub grant_type: Option<String>,
    pub client_id: Option<String>,
    pub asked_scope: Option<String>,
    /// The code, refresh token or token that was sent.
    pub presented: Option<String>,
    pub fault: Option<String>,
    /// Whether the provider itself worked on it.
    #[serde(default)]
    pub processed: bool,
    pub error: Option<String>,
    pub status: Option<u16>,
    pub scope: Option<String>,
    pub issued_access: Option<String>,
    pub issued_refresh: Option<String>,
    /// Place in the order of all starts and ends.
    pub started: u64,
    /// None while it is under way.
    pub finished: Option<u64>,
}

impl OidcPeer {
    /// Queues faults; each is used up by one request.
    pub async fn inject(&self, faults: impl IntoIterator<Item = Fault>) {
        let faults: Vec<Value> = faults.into_iter().map(|f| f.0).collect();
        self.command("/faults", Some(json!(faults))).await;
    }

    /// Waits until `count` requests are held.
    pub async fn held(&self, count: usize) {
        self.command(&format!("/held?at_least={count}"), None).await;
    }

    /// Lets every held request go on.
    pub async fn release(&self) {
        self.command("/release", Some(json!({}))).await;
    }

    /// New signing keys; the old ones stay published (`keep_old`) or disappear at once.
    pub async fn rotate_keys(&self, keep_old: bool) {
        self.command("/rotate", Some(json!({"keep_old": keep_old}))).await;
    }

    /// Everything the endpoints were asked so far, in order of arrival.
    pub async fn log(&self) -> Vec<Call> {
        serde_json::from_value(self.command("/log", None).await).expect("the provider's log")
    }

    /// The log's token requests of one grant type.
    pub async fn token_calls(&self, grant_type: &str) -> Vec<Call> {
        let mut calls = self.log().await;
        calls.retain(|c| c.endpoint == "token" && c.grant_type.as_deref() == Some(grant_type));
        calls
    }

    async fn command(&self, path: &str, body: Option<Value>) -> Value {
        let url = self.control.join(path).expect("a control address");
        let request = match body {
            Some(body) => self.http.post(url).json(&body),
            None => self.http.get(url),
        };
        let response = request.send().await.expect("the provider's control answers");
        assert!(response.status().is_success(), "{path}: {}", response.status());
        response.json().await.expect("JSON from the provider's control")
    }
}
