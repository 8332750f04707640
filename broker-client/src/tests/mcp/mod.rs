//! What MCP clients are answered.

mod flow;
mod shapes;
mod states;

use crate::mcp::Peer;
use crate::proto::ConsentReason;
use crate::{ConsentRequired, ConsentUrl};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};

/// A client of this revision that opens links.
fn opens_links(version: &str) -> Peer {
    Peer::new(Some(version), Some(&json!({ "elicitation": { "form": {}, "url": {} } })))
}

/// A client of this revision that does not.
fn reads_text(version: &str) -> Peer {
    Peer::new(Some(version), Some(&json!({ "elicitation": {} })))
}

fn consent(id: &str) -> ConsentRequired {
    ConsentRequired {
        consent_id: id.to_owned(),
        url: ConsentUrl::new(format!("https://broker.example/consent/{id}-canary")),
        expire_time: SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_600),
        reason: ConsentReason::NotConnected,
        missing_scopes: vec!["notes.read".to_owned()],
        message: "Please connect Notes.".to_owned(),
    }
}

/// Parameters of `tools/call`.
fn params(tool: &str, arguments: Value) -> Value {
    json!({ "name": tool, "arguments": arguments })
}
