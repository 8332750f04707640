//! An API that keeps texts for people, called with a grant.

use broker_client::Grant;
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};

/// The API at one address.
#[derive(Clone, Debug)]
pub struct Api {
    http: reqwest::Client,
    url: String,
    /// What people call it.
    name: &'static str,
    /// The member of its answers that lists what it keeps.
    entries: &'static str,
}

/// Why the API did not do it.
#[derive(Debug)]
pub(crate) enum Failed {
    /// It does not take the token (any more).
    Token,
    /// Anything else, in words.
    Other(String),
}

impl Api {
    /// The notes API; `origin` without a slash at the end.
    pub fn notes(http: reqwest::Client, origin: &str) -> Self {
        Self { http, url: format!("{origin}/notes"), name: "Notes", entries: "notes" }
    }

    /// The calendar's; `origin` without a slash at the end.
    pub fn calendar(http: reqwest::Client, origin: &str) -> Self {
        Self { http, url: format!("{origin}/events"), name: "Calendar", entries: "events" }
    }

    /// What people call it.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Whose account it is, and everything in it, as the tool's result.
    pub(crate) async fn list(&self, grant: &Grant) -> Result<Value, Failed> {
        let body = self.send(self.http.get(&self.url), grant, StatusCode::OK).await?;
        let entries = body[self.entries].as_array().into_iter().flatten();
        let entries: Vec<&str> = entries.filter_map(Value::as_str).collect();
        let account = body["account"].as_str().unwrap_or_default();
        Ok(json!({ "account": account, (self.entries): entries }))
    }

    pub(crate) async fn add(&self, grant: &Grant, text: &str) -> Result<(), Failed> {
        let request = self.http.post(&self.url).json(&json!({ "text": text }));
        self.send(request, grant, StatusCode::CREATED).await.map(drop)
    }

    async fn send(
        &self,
        request: RequestBuilder,
        grant: &Grant,
        expected: StatusCode,
    ) -> Result<Value, Failed> {
        let unreachable = |error: reqwest::Error| {
            Failed::Other(format!("{} cannot be reached: {}", self.name, error.without_url()))
        };
        let request = request.header(&grant.header_name, grant.header_value().as_str());
        let response = request.send().await.map_err(unreachable)?;
        tracing::debug!(api = self.name, status = %response.status(), grant = grant.id, "called");
        match response.status() {
            status if status == expected => response.json().await.map_err(unreachable),
            StatusCode::UNAUTHORIZED => Err(Failed::Token),
            status => Err(Failed::Other(format!("{} answered {status}.", self.name))),
        }
    }
}
