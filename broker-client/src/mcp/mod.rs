//! What MCP clients are answered when the user has to act first, as plain JSON for whichever MCP library you use.
//!
//! [`ConsentFlow`] does it all: it asks for the grant and, where a consent is missing, says what to answer this client.
//!
//! ```no_run
//! use broker_client::mcp::{Answer, ConsentFlow, Peer, StateKey, ToolCall};
//! use broker_client::{Assertion, Error, Grant, GrantRequest, TokenSource};
//! use serde_json::Value;
//!
//! fn set_up(source: TokenSource) -> Result<ConsentFlow, Error> {
//!     // Every replica of your server needs the same secret: the retry may reach another one.
//!     let secret = std::fs::read("/etc/notes/request-state.key").unwrap_or_default();
//!     Ok(ConsentFlow::new(source, StateKey::new(&secret)?))
//! }
//!
//! /// `params` are those of `tools/call`; version and capabilities are what the client negotiated.
//! async fn list_notes(
//!     flow: &ConsentFlow,
//!     assertion: Assertion,
//!     params: &Value,
//!     version: &str,
//!     capabilities: &Value,
//! ) -> Result<Grant, Answer> {
//!     let call = ToolCall::from_params(params)?;
//!     let request = GrantRequest::new(assertion, "notes", ["notes.read"]).tool("list_notes");
//!     flow.grant(&request, &call, Peer::new(Some(version), Some(capabilities))).await
//! }
//! ```
//!
//! A tool that needs several systems at once asks for all of them: [`ConsentFlow::grants`] takes a [`BatchRequest`](crate::BatchRequest)
//! and gives every grant, or an answer with one link, to the page that leads the user through everything that is missing.
//!
//! ```no_run
//! # use broker_client::mcp::{Answer, ConsentFlow, Peer, ToolCall};
//! # use broker_client::{Assertion, BatchRequest, Grant, GrantRequest};
//! async fn plan_week(
//!     flow: &ConsentFlow,
//!     assertion: Assertion,
//!     call: &ToolCall,
//!     peer: Peer,
//! ) -> Result<Vec<Grant>, Answer> {
//!     let item = |provider, scope| GrantRequest::new(assertion.clone(), provider, [scope]);
//!     let batch = BatchRequest::new(assertion.clone())
//!         .item(item("notes", "notes.read"))
//!         .item(item("calendar", "calendar.read"))
//!         .tool("plan_week");
//!     // In the order of the items.
//!     flow.grants(&batch, call, peer).await
//! }
//! ```
//!
//! # Which answer a client gets
//!
//! | the client speaks | and declares `elicitation.url` | it gets |
//! |---|---|---|
//! | 2026-07-28 or later | yes | a result `input_required` with the link and a sealed `requestState`; it retries the call |
//! | 2025-11-25 | yes | the error `-32042` with the link; the completion is told by [`elicitation_complete`] |
//! | anything | no | a result with `isError` and the link in its text |
//!
//! An HTTP gateway that speaks for several servers answers [`Prompt::unauthorized`] with status 401.
//!
//! # What `requestState` is worth
//!
//! The client sends it back, so it is an attacker's to choose. It is sealed (AES-256-GCM) under a key that only your server has,
//! for the user of the assertion, the tool and its arguments, and ends with the link. It says which consents the retry waits
//! for, and nothing else: it authorises nothing. Whether the grant is given is decided by the broker, on each retry anew, so a
//! state that is sent twice does no harm. One that was changed, or made for another user or call, is refused with `-32602`. One
//! that was sealed under a key your server does not know, such as that of a process before this one, or by an older version of
//! this crate, starts anew: the user gets a fresh link.

mod answer;
mod call;
mod flow;
mod peer;
mod prompt;
mod state;

pub use answer::{Answer, RpcError, elicitation_complete};
pub use call::ToolCall;
pub use flow::ConsentFlow;
pub use peer::Peer;
pub use prompt::{Prompt, consents_of};
pub use state::StateKey;
#[cfg(test)]
pub(crate) use state::{StateError, Waiting};
