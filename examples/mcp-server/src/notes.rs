//! The notes API, called with a grant.

use broker_client::Grant;
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};

/// The notes API at one address.
#[derive(Clone, Debug)]
pub struct Notes {
    http: reqwest::Client,
    notes: String,
}

/// Why the notes API did not do it.
#[derive(Debug)]
pub(crate) enum Failed {
    /// It does not take the token (any more).
    Token,
    /// Anything else, in words.
    Other(String),
}

impl Notes {
    /// `origin` without a slash at the end.
    pub fn new(http: reqwest::Client, origin: &str) -> Self {
        Self { http, notes: format!("{origin}/notes") }
    }

    /// Whose notes they are, and the notes.
    pub(crate) async fn list(&self, grant: &Grant) -> Result<(String, Vec<String>), Failed> {
        let body = send(self.http.get(&self.notes), grant, StatusCode::OK).await?;
        let notes = body["notes"].as_array().into_iter().flatten();
        let notes = notes.filter_map(|note| note.as_str().map(str::to_owned)).collect();
        Ok((body["account"].as_str().unwrap_or_default().to_owned(), notes))
    }

    pub(crate) async fn add(&self, grant: &Grant, text: &str) -> Result<(), Failed> {
        let request = self.http.post(&self.notes).json(&json!({ "text": text }));
        send(request, grant, StatusCode::CREATED).await.map(drop)
    }
}

async fn send(request: RequestBuilder, grant: &Grant, expected: StatusCode) -> Result<Value, Failed> {
    let unreachable =
        |error: reqwest::Error| Failed::Other(format!("Notes cannot be reached: {}", error.without_url()));
    let request = request.header(&grant.header_name, grant.header_value().as_str());
    let response = request.send().await.map_err(unreachable)?;
    match response.status() {
        status if status == expected => response.json().await.map_err(unreachable),
        StatusCode::UNAUTHORIZED => Err(Failed::Token),
        status => Err(Failed::Other(format!("Notes answered {status}."))),
    }
}
