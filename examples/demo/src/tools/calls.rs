//! The tools: get a grant, call the SaaS with it, say what came of it.

use broker_client::{
    Assertion, BatchConsentRequired, BatchOutcome, BatchRequest, ConsentRequired, Error, Grant, GrantRequest,
    Outcome, TokenSource,
};
use serde_json::{Value, json};

use super::rpc::Call;
use super::saas::{Found, Saas};
use super::{ADD_NOTE, LIST_NOTES, PLAN_WEEK};
use crate::world::{CALENDAR, PROVIDER};

/// What the tools work with.
pub(super) struct Tools {
    pub(super) source: TokenSource,
    pub(super) notes: Saas,
    pub(super) calendar: Saas,
}

/// Why a call has no answer from the SaaS.
enum Halt {
    /// The user has to act first.
    Consent(Box<ConsentRequired>),
    /// The same, at several systems.
    Consents(Box<BatchConsentRequired>),
    /// The broker refused, or cannot be reached.
    Broker(Error),
    /// The SaaS did not do it.
    Saas(String),
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
        tool(PLAN_WEEK, "Reads your notes and your appointments", json!({}), json!([])),
    ]})
}

impl Tools {
    /// The answer to `tools/call`.
    pub(super) async fn call(&self, assertion: &Assertion, call: &Call) -> Value {
        let (purpose, scopes): (_, &[&str]) = match call.tool.as_str() {
            LIST_NOTES => ("Read your notes to answer a question", &["notes.read"]),
            ADD_NOTE => ("Write down what was decided", &["notes.read", "notes.write"]),
            PLAN_WEEK => return answer(self.plan(assertion).await),
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
        answer(self.with_grant(&request, note).await)
    }

    /// Calls with a grant. Where Notes does not take the token, it is forgotten here and the broker is asked once more, for
    /// that call alone: a note that was taken is not written twice.
    async fn with_grant(&self, request: &GrantRequest, note: Option<&str>) -> Result<Value, Halt> {
        if note.is_some() {
            self.twice(request, note).await?;
        }
        let (grant, found) = self.twice(request, None).await?;
        Ok(done(&grant, &found))
    }

    /// Adds the note, or else reads all of them.
    async fn twice(&self, request: &GrantRequest, note: Option<&str>) -> Result<(Grant, Found), Halt> {
        for _ in 0..2 {
            let grant = match self.source.grant(request).await.map_err(Halt::Broker)? {
                Outcome::Grant(grant) => grant,
                Outcome::ConsentRequired(consent) => return Err(Halt::Consent(Box::new(consent))),
            };
            let done = match note {
                Some(text) => self.notes.add(&grant, text).await,
                None => self.notes.read(&grant).await,
            };
            match done.map_err(Halt::Saas)? {
                Some(found) => return Ok((grant, found)),
                None => self.source.rejected(&grant),
            }
        }
        Err(Halt::Saas("Notes does not take the token.".to_owned()))
    }

    /// Two systems at once: both grants in one answer of the broker's, or one link for all that is missing.
    async fn plan(&self, assertion: &Assertion) -> Result<Value, Halt> {
        let places = [(PROVIDER, &self.notes), (CALENDAR, &self.calendar)];
        let batch = BatchRequest::new(assertion.clone()).tool(PLAN_WEEK).purpose("Plan the week");
        let item = |(name, saas): (&str, &Saas)| GrantRequest::new("", name, [saas.product.read.0]);
        let batch = places.into_iter().map(item).fold(batch, BatchRequest::item);
        for _ in 0..2 {
            let grants = match self.source.grants(&batch).await.map_err(Halt::Broker)? {
                BatchOutcome::Grants(grants) => grants,
                BatchOutcome::ConsentRequired(required) => return Err(Halt::Consents(Box::new(required))),
            };
            let [notes, calendar] = grants.as_slice() else {
                return Err(Halt::Saas("Not two grants came for two systems.".to_owned()));
            };
            let one = self.notes.read(notes).await.map_err(Halt::Saas)?;
            let other = self.calendar.read(calendar).await.map_err(Halt::Saas)?;
            match (one, other) {
                (Some(a), Some(b)) => return Ok(planned(&[done(notes, &a), done(calendar, &b)])),
                (one, other) => {
                    let parts = [(notes, one), (calendar, other)];
                    let refused = parts.iter().filter(|(_, found)| found.is_none());
                    refused.for_each(|(grant, _)| self.source.rejected(grant));
                }
            }
        }
        Err(Halt::Saas("A token is not taken.".to_owned()))
    }
}

fn answer(outcome: Result<Value, Halt>) -> Value {
    match outcome {
        Ok(done) => done,
        Err(Halt::Consent(consent)) => {
            connect(consent.url.expose(), &consent.message, consent.reason.as_str_name())
        }
        Err(Halt::Consents(required)) => {
            let first = required.items.iter().flatten().next();
            let reason = first.map_or("", |consent| consent.reason.as_str_name());
            connect(required.url.expose(), &required.message, reason)
        }
        Err(Halt::Broker(error)) => failed(error.reason(), error.message()),
        Err(Halt::Saas(why)) => failed("SAAS_FAILED", &why),
    }
}

/// What the tool found, and which grant it used: enough to find it in the audit log, and nothing secret.
fn done(grant: &Grant, Found { account, entries }: &Found) -> Value {
    json!({
        "resultType": "complete",
        "content": [{ "type": "text", "text": format!("{account}: {}", entries.join("; ")) }],
        "structuredContent": { "account": account, "entries": entries },
        "isError": false,
        "_meta": { "grant": { "id": grant.id, "scopes": grant.scopes, "expireTime": seconds(grant) } },
    })
}

/// Several of these as one.
fn planned(parts: &[Value]) -> Value {
    let content: Vec<&Value> = parts.iter().map(|part| &part["content"][0]).collect();
    let found: Vec<&Value> = parts.iter().map(|part| &part["structuredContent"]).collect();
    let grants: Vec<&Value> = parts.iter().map(|part| &part["_meta"]["grant"]).collect();
    json!({
        "resultType": "complete",
        "content": content,
        "structuredContent": { "week": found },
        "isError": false,
        "_meta": { "grants": grants },
    })
}

fn seconds(grant: &Grant) -> u64 {
    grant.expire_time.duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The link, for agents that can show it (URL elicitation) and, as text, for those that cannot.
fn connect(url: &str, message: &str, reason: &str) -> Value {
    json!({
        "resultType": "input_required",
        "inputRequests": { "connect": {
            "method": "elicitation/create",
            "params": { "mode": "url", "url": url, "message": message },
        }},
        "content": [{ "type": "text", "text": format!("{message} {url}") }],
        "isError": true,
        "_meta": { "reason": reason },
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
