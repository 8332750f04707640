//! A call of a tool, and whether a retry is one of the same call.

use super::answer::Answer;
use crate::{Assertion, principal};
use ring::digest::{Context, SHA256};
use serde_json::Value;

/// The parameters of one `tools/call`.
#[derive(Clone, Debug)]
pub struct ToolCall {
    fingerprint: [u8; 32],
    request_state: Option<String>,
    reply: Option<Reply>,
}

/// What the user answered the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// To open the links; not that they did.
    Accepted,
    /// Not to.
    Declined,
}

impl ToolCall {
    /// Reads `name`, `arguments` and, of a retry, `requestState` and `inputResponses`.
    ///
    /// # Errors
    /// The answer `-32602` when one of them is of the wrong type.
    pub fn from_params(params: &Value) -> Result<Self, Answer> {
        let name = params.get("name").and_then(Value::as_str);
        let name = name.ok_or_else(|| Answer::invalid_params("name: has to be a text"))?;
        let arguments = match params.get("arguments") {
            None | Some(Value::Null) => None,
            Some(arguments @ Value::Object(_)) => Some(arguments),
            Some(_) => return Err(Answer::invalid_params("arguments: has to be an object")),
        };
        let request_state = match params.get("requestState") {
            None | Some(Value::Null) => None,
            Some(Value::String(state)) => Some(state.clone()),
            Some(_) => return Err(Answer::invalid_params("requestState: has to be a text")),
        };
        Ok(Self {
            fingerprint: fingerprint(name, arguments),
            request_state,
            reply: params.get("inputResponses").map(reply).transpose()?.flatten(),
        })
    }

    pub(super) fn request_state(&self) -> Option<&str> {
        self.request_state.as_deref()
    }

    pub(super) fn reply(&self) -> Option<Reply> {
        self.reply
    }

    /// What a request state is sealed for: this call, of the user that the assertion speaks of.
    pub(crate) fn binding(&self, assertion: &Assertion) -> Vec<u8> {
        let mut hash = Context::new(&SHA256);
        part(&mut hash, b"broker-client/mcp/request-state/1");
        part(&mut hash, &self.fingerprint);
        // Safe unverified: a state opens only beside the same two claims, and the broker verifies the assertion before anything is
        // answered from it.
        part(&mut hash, &principal::of(assertion));
        hash.finish().as_ref().to_vec()
    }
}

/// One refusal among several replies is a refusal of the call.
fn reply(responses: &Value) -> Result<Option<Reply>, Answer> {
    let odd = || Answer::invalid_params("inputResponses: has to hold an action for each request");
    if responses.is_null() {
        return Ok(None);
    }
    let mut found = None;
    for response in responses.as_object().ok_or_else(odd)?.values() {
        match response.get("action").and_then(Value::as_str) {
            Some("accept") => found = found.or(Some(Reply::Accepted)),
            Some("decline" | "cancel") => found = Some(Reply::Declined),
            _ => return Err(odd()),
        }
    }
    Ok(found)
}

fn fingerprint(name: &str, arguments: Option<&Value>) -> [u8; 32] {
    let mut hash = Context::new(&SHA256);
    part(&mut hash, name.as_bytes());
    value(&mut hash, arguments.unwrap_or(&Value::Object(serde_json::Map::new())));
    let mut bytes = [0; 32];
    bytes.copy_from_slice(hash.finish().as_ref());
    bytes
}

/// The order of an object's members carries no meaning (RFC 8259 section 4), and clients do not keep it.
fn value(hash: &mut Context, json: &Value) {
    match json {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_unstable_by_key(|(name, _)| name.as_str());
            part(hash, b"object");
            hash.update(&members.len().to_be_bytes());
            for (name, member) in members {
                part(hash, name.as_bytes());
                value(hash, member);
            }
        }
        Value::Array(items) => {
            part(hash, b"array");
            hash.update(&items.len().to_be_bytes());
            items.iter().for_each(|item| value(hash, item));
        }
        // Texts keep their quotes, so none looks like a number or a word.
        scalar => part(hash, scalar.to_string().as_bytes()),
    }
}

fn part(hash: &mut Context, bytes: &[u8]) {
    hash.update(&(bytes.len() as u64).to_be_bytes());
    hash.update(bytes);
}
