//! What goes back to the client instead of a tool's result.

use super::peer::{Era, Peer};
use crate::Error;
use serde_json::{Value, json};
use std::fmt;

/// The key of the stable reason in `_meta`, for programs.
const REASON: &str = "broker.v1/reason";

/// What to answer the MCP client. Does not print: it may hold the link.
#[derive(Clone, PartialEq)]
pub enum Answer {
    /// The `result` of the call.
    Result(Value),
    /// The JSON-RPC `error` of the call.
    Error(RpcError),
}

/// A JSON-RPC 2.0 error object (section 5.1). Does not print its data.
#[derive(Clone, PartialEq)]
pub struct RpcError {
    /// The code.
    pub code: i32,
    /// One sentence.
    pub message: String,
    /// What else there is; `null` for nothing.
    pub data: Value,
}

impl Answer {
    /// The whole JSON-RPC response to the request `id`.
    pub fn to_response(&self, id: &Value) -> Value {
        match self {
            Self::Result(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
            Self::Error(error) => json!({ "jsonrpc": "2.0", "id": id, "error": error.to_value() }),
        }
    }

    /// The failure as a text that the client's model can read, with the stable reason beside it.
    pub fn failure(error: &Error, peer: Peer) -> Self {
        let text = match error {
            Error::Assertion(_) if error.is_replayed() => {
                "This needs a fresh token of yours, as the one that came was used before. Please have your client refresh it, \
                 and try again."
                    .to_owned()
            }
            Error::Assertion(_) => "Your sign-in is not accepted any more. Please sign in again.".to_owned(),
            Error::Denied(_) => format!("This is not allowed: {}", error.message()),
            Error::Unavailable(_) | Error::DeadlineExceeded(_) => {
                "Access cannot be arranged right now. Please try again in a moment.".to_owned()
            }
            _ => "Access cannot be arranged. The operators of this server have to look into it.".to_owned(),
        };
        Self::text(&format!("{text} ({})", error.reason()), Some(error.reason()), peer)
    }

    /// The user said no, at the client or on the broker's page.
    pub(super) fn declined(peer: Peer) -> Self {
        Self::text(
            "You declined the access that this needs. (CONSENT_DECLINED)",
            Some("CONSENT_DECLINED"),
            peer,
        )
    }

    /// A result of a tool that failed.
    pub(super) fn text(text: &str, reason: Option<&str>, peer: Peer) -> Self {
        let mut result = json!({ "content": [{ "type": "text", "text": text }], "isError": true });
        if let Some(reason) = reason {
            result["_meta"] = json!({ REASON: reason });
        }
        if peer.era >= Era::RoundTrips {
            result["resultType"] = "complete".into();
        }
        Self::Result(result)
    }

    pub(super) fn invalid_params(message: &str) -> Self {
        Self::Error(RpcError { code: -32602, message: message.to_owned(), data: Value::Null })
    }
}

impl RpcError {
    /// The `error` object.
    pub fn to_value(&self) -> Value {
        let mut value = json!({ "code": self.code, "message": self.message });
        if !self.data.is_null() {
            value["data"] = self.data.clone();
        }
        value
    }

    /// The elicitations that this error asks for, by id. Watch the consents of each ([`consents_of`](super::consents_of)), and
    /// tell the client that asked by [`elicitation_complete`] when all of them are over.
    pub fn elicitation_ids(&self) -> Vec<String> {
        let asked = self.data.get("elicitations").and_then(Value::as_array).into_iter().flatten();
        asked.filter_map(|one| one.get("elicitationId")?.as_str().map(str::to_owned)).collect()
    }
}

/// The notification of 2025-11-25 that an elicitation is over. Only for the client that was asked.
pub fn elicitation_complete(elicitation_id: &str) -> Value {
    json!({
        "jsonrpc": "2.0",
        "method": "notifications/elicitation/complete",
        "params": { "elicitationId": elicitation_id },
    })
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Result(_) => f.write_str("Answer::Result([redacted])"),
            Self::Error(error) => f.debug_tuple("Answer::Error").field(error).finish(),
        }
    }
}

impl fmt::Debug for RpcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RpcError")
            .field("code", &self.code)
            .field("message", &self.message)
            .finish_non_exhaustive()
    }
}
