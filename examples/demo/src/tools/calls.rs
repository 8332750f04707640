//! The tools: get a grant, call the notes API with it, say what came of it.

use broker_client::{Assertion, ConsentRequired, Error, Grant, GrantRequest, Outcome, TokenSource};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::rpc::Call;
use super::{ADD_NOTE, LIST_NOTES};
use crate::world::PROVIDER;

/// What the tools work with.
pub(super) struct Tools {
    pub(super) source: TokenSource,
    pub(super) notes: String,
    pub(super) http: reqwest::Client,
}

/// Why a call has no answer from the notes API.
enum Halt {
    /// The user has to act first.
    Consent(Box<ConsentRequired>),
    /// The broker refused, or cannot be reached.
    Broker(Error),
    /// The notes API did not do it.
    Notes(String),
}

impl From<reqwest::Error> for Halt {
    fn from(error: reqwest::Error) -> Halt {
        Halt::Notes(format!("Notes cannot be reached: {}", error.without_url()))
    }
}

/// The answer to `tools/list`.
pub(super) fn list() -> Value {
    let tool = |name, description, properties: Value, required: Value| {
        let schema = json!({ "type": "object", "properties": properties, "required": required });
        json!({ "name": name, "description": description, "inputSchema": schema })
    };
    let text = json!({ "text": { "type": "string", "description": "The note" } });
    json!({ "tools": [
        tool(LIST_NOTES, "Reads your notes", json!({}), json!([])),
        tool(ADD_NOTE, "Adds a note and reads all of them back", text, json!(["text"])),
    ]})
}

impl Tools {
    /// The answer to `tools/call`.
    pub(super) async fn call(&self, assertion: &Assertion, call: &Call) -> Value {
        let (purpose, scopes): (_, &[&str]) = match call.tool.as_str() {
            LIST_NOTES => ("Read your notes to answer a question", &["notes.read"]),
            ADD_NOTE => ("Write down what was decided", &["notes.read", "notes.write"]),
            _ => return failed("UNKNOWN_TOOL", "There is no such tool."),
        };
        let note = match call.tool.as_str() {
            ADD_NOTE => match call.text("text") {
                Some(text) => Some(text),
                None => return failed("INVALID_ARGUMENT", "The note's text is missing."),
            },
            _ => None,
        };
        let request = GrantRequest::new(assertion.clone(), PROVIDER, scopes.iter().copied());
        let request = request.tool(&call.tool).purpose(purpose);
        match self.with_grant(&request, note).await {
            Ok((grant, body)) => done(&grant, &body),
            Err(Halt::Consent(consent)) => connect(&consent),
            Err(Halt::Broker(error)) => failed(error.reason(), error.message()),
            Err(Halt::Notes(why)) => failed("NOTES_FAILED", &why),
        }
    }

    /// Calls with a grant. Where Notes does not take the token, it is forgotten here and the broker is asked once more, for that call
    /// alone: a note that was taken is not written twice.
    async fn with_grant(&self, request: &GrantRequest, note: Option<&str>) -> Result<(Grant, Value), Halt> {
        if note.is_some() {
            self.twice(request, note).await?;
        }
        self.twice(request, None).await
    }

    /// Adds the note, or else reads all of them.
    async fn twice(&self, request: &GrantRequest, note: Option<&str>) -> Result<(Grant, Value), Halt> {
        for _ in 0..2 {
            let grant = self.grant(request).await?;
            let done = match note {
                Some(text) => self.add(&grant, text).await?,
                None => self.read(&grant).await?,
            };
            match done {
                Some(body) => return Ok((grant, body)),
                None => self.source.rejected(&grant),
            }
        }
        Err(Halt::Notes("Notes does not take the token.".to_owned()))
    }

    async fn grant(&self, request: &GrantRequest) -> Result<Grant, Halt> {
        match self.source.grant(request).await.map_err(Halt::Broker)? {
            Outcome::Grant(grant) => Ok(grant),
            Outcome::ConsentRequired(consent) => Err(Halt::Consent(Box::new(consent))),
        }
    }

    /// Adds a note; `None` when Notes does not take the token.
    async fn add(&self, grant: &Grant, text: &str) -> Result<Option<Value>, Halt> {
        let request = self.http.post(format!("{}/notes", self.notes)).json(&json!({ "text": text }));
        let response = signed(request, grant).send().await?;
        match response.status() {
            StatusCode::CREATED => Ok(Some(Value::Null)),
            StatusCode::UNAUTHORIZED => Ok(None),
            status => Err(Halt::Notes(format!("Notes did not take the note: {status}"))),
        }
    }

    /// Reads all notes; `None` when Notes does not take the token.
    async fn read(&self, grant: &Grant) -> Result<Option<Value>, Halt> {
        let response = signed(self.http.get(format!("{}/notes", self.notes)), grant).send().await?;
        match response.status() {
            StatusCode::OK => Ok(Some(response.json().await?)),
            StatusCode::UNAUTHORIZED => Ok(None),
            status => Err(Halt::Notes(format!("Notes does not show its notes: {status}"))),
        }
    }
}

fn signed(request: reqwest::RequestBuilder, grant: &Grant) -> reqwest::RequestBuilder {
    request.header(&grant.header_name, grant.header_value().as_str())
}

/// What the tool found, and which grant it used: enough to find it in the audit log, and nothing secret.
fn done(grant: &Grant, body: &Value) -> Value {
    let account = body["account"].as_str().unwrap_or_default();
    let notes: Vec<&str> = body["notes"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    json!({
        "resultType": "complete",
        "content": [{ "type": "text", "text": format!("{account}: {}", notes.join("; ")) }],
        "structuredContent": { "account": account, "notes": notes },
        "isError": false,
        "_meta": { "grant": { "id": grant.id, "scopes": grant.scopes, "expireTime": seconds(grant) } },
    })
}

fn seconds(grant: &Grant) -> u64 {
    grant.expire_time.duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The link, for agents that can show it (URL elicitation) and, as text, for those that cannot.
fn connect(consent: &ConsentRequired) -> Value {
    let (url, message) = (consent.url.expose(), &consent.message);
    json!({
        "resultType": "input_required",
        "inputRequests": { "connect": {
            "method": "elicitation/create",
            "params": { "mode": "url", "url": url, "message": message },
        }},
        "content": [{ "type": "text", "text": format!("{message} {url}") }],
        "isError": true,
        "_meta": { "reason": consent.reason.as_str_name() },
    })
}

fn failed(reason: &str, message: &str) -> Value {
    json!({
        "resultType": "complete",
        "content": [{ "type": "text", "text": message }],
        "isError": true,
        "_meta": { "reason": reason },
    })
}
