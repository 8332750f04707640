//! Grants for MCP servers: ask the token broker for a short-lived, narrowly scoped token in a user's name.
//!
//! # In five minutes
//!
//! Your server shows the broker two things: *who it is* (its workload credential) and *whom it acts for* (the user's SSO
//! assertion, as your server received it). Back comes a grant, or a link that the user has to open first.
//!
//! ## 1. Connect
//!
//! ```no_run
//! use broker_client::{Client, Credential, Tls};
//!
//! # async fn connect() -> Result<Client, broker_client::Error> {
//! let client = Client::builder("https://broker.example:8443")
//!     .tls(Tls::ca_file("/etc/broker/ca.pem"))
//!     .credential(Credential::file("/var/run/secrets/broker/token"))
//!     .connect()
//!     .await?;
//! # Ok(client)
//! # }
//! ```
//!
//! The credential file is read again while you run, so a projected token may rotate. With mTLS the certificate speaks for the
//! workload: `.tls(Tls::ca_file(…).client_certificate(…, …))` and [`Credential::client_certificate`]. On your own machine,
//! `http://127.0.0.1:…` with [`Credential::secret`] will do.
//!
//! ## 2. Ask
//!
//! Put a [`TokenSource`] above the client. It remembers grants for a short while, fetches the next one early, and sends one
//! request however many tool calls wait for it.
//!
//! ```no_run
//! use broker_client::{Client, Error, GrantRequest, Outcome, TokenSource};
//!
//! # async fn tool(client: Client, assertion: &str) -> Result<String, Error> {
//! let source = TokenSource::new(client);
//! let request = GrantRequest::new(assertion, "notes", ["notes.read"])
//!     .tool("list_notes")
//!     .purpose("Show the user their notes");
//! match source.grant(&request).await? {
//!     Outcome::Grant(grant) => {
//!         // Send this header to the provider, and to nobody else.
//!         let (name, value) = (&grant.header_name, grant.header_value());
//! #       let _ = (name, value);
//!         Ok(format!("acting as {}", grant.account_label))
//!     }
//!     Outcome::ConsentRequired(consent) => Ok(format!("{} {}", consent.message, consent.url.expose())),
//! }
//! # }
//! ```
//!
//! ## 3. Wait for the user
//!
//! The link works for nobody but the user of the assertion. Wait until they have answered, then ask again:
//!
//! ```no_run
//! use broker_client::{Client, ConsentRequired, Error, proto::ConsentState};
//! use std::time::Duration;
//!
//! # async fn wait(client: Client, consent: ConsentRequired) -> Result<bool, Error> {
//! let watch = client.watch_consent(&consent.consent_id, None, Duration::from_secs(300)).await?;
//! Ok(watch.finished().await?.state() == ConsentState::Completed)
//! # }
//! ```
//!
//! ## 4. When the provider refuses the token
//!
//! Tell the source, and ask once more. The source forgets its copy, so that the broker is asked: it answers with a link when the
//! connection is gone, and with another token when the old one was near its end. Until then it answers with the same token
//! once more, because it is not told of the refusal: so ask once and not in a loop, and if that is refused too, tell the user,
//! who can disconnect at the broker's `/connections` and connect anew.
//!
//! ```no_run
//! # use broker_client::{Error, Grant, GrantRequest, Outcome, TokenSource};
//! # async fn again(source: TokenSource, request: GrantRequest, grant: Grant) -> Result<Outcome, Error> {
//! source.rejected(&grant);
//! source.grant(&request).await
//! # }
//! ```
//!
//! ## 5. When something fails
//!
//! [`Error`] has a variant for each thing you can do about it, [`Error::reason`] names the cause, and [`Error::advice`] says in
//! a sentence what to do:
//!
//! ```
//! use broker_client::Error;
//!
//! fn answer(error: &Error) -> String {
//!     match error {
//!         Error::Assertion(_) => "Please sign in again.".to_owned(),
//!         Error::Denied(_) => format!("This is not allowed ({}).", error.reason()),
//!         Error::Unavailable(_) => "Please try again in a moment.".to_owned(),
//!         other => format!("That did not work ({}).", other.reason()),
//!     }
//! }
//! # let _ = answer;
//! ```
//!
//! ## 6. Take the user's token from the MCP request
//!
//! Over HTTP, the layer of `bearer` (feature `tower`) hands you the user's token as an [`Assertion`], and tells clients that
//! bring none where to sign in. Verified by the broker it lets no made-up token in, and a session layer inside it keeps an MCP
//! session to the user who began it. For a service behind both:
//!
//! ```
//! # #[cfg(feature = "tower")]
//! # fn user(client: broker_client::Client) -> Result<(), broker_client::Error> {
//! use broker_client::Assertion;
//! use broker_client::bearer::{BearerLayer, ProtectedResource, SessionLayer};
//!
//! let resource = ProtectedResource::new("https://notes.example/mcp")?.authorization_server("https://sso.example");
//! let layers = (BearerLayer::new(&resource).verified_by(client), SessionLayer::new()?);
//! let user = |request: &http::Request<()>| request.extensions().get::<Assertion>().cloned();
//! # let _ = (layers, user);
//! # Ok(())
//! # }
//! ```
//!
//! ## 7. Ask the user in their client's own way
//!
//! MCP has had several ways to ask a user to open a link. A [`ConsentFlow`](mcp::ConsentFlow) takes the place of
//! [`TokenSource::grant`] in a tool: it gives the grant, or what to answer this client. See [`mcp`].
//!
//! ## 8. Test your tools
//!
//! With the feature `testing` the crate brings a broker for your own tests, which need no server:
//!
//! ```
//! # #[cfg(feature = "testing")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), broker_client::Error> {
//! use broker_client::testing::FakeBroker;
//! use broker_client::{GrantRequest, Outcome};
//!
//! let broker = FakeBroker::start().await;
//! broker.connect("assertion of alice", "notes", &["notes.read"]);
//! let request = GrantRequest::new("assertion of alice", "notes", ["notes.read"]);
//! assert!(matches!(broker.client().await.issue_grant(&request).await?, Outcome::Grant(_)));
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "testing"))]
//! # fn main() {}
//! ```
//!
//! A whole server made of these parts is in `examples/mcp-server`.
//!
//! ## 9. Tools that need several systems
//!
//! Ask for all of them at once. You get every grant, or one link, to the page that leads the user through everything that is
//! missing; [`mcp`] puts that link into the client's own words, too.
//!
//! ```no_run
//! use broker_client::{BatchOutcome, BatchRequest, Error, GrantRequest, TokenSource};
//!
//! # async fn tool(source: TokenSource, assertion: &str) -> Result<String, Error> {
//! let batch = BatchRequest::new(assertion)
//!     .item(GrantRequest::new(assertion, "notes", ["notes.read"]))
//!     .item(GrantRequest::new(assertion, "calendar", ["calendar.read"]))
//!     .tool("plan_week")
//!     .purpose("Plan the week from notes and appointments");
//! match source.grants(&batch).await? {
//!     // In the order of the items.
//!     BatchOutcome::Grants(grants) => Ok(format!("{} grants", grants.len())),
//!     BatchOutcome::ConsentRequired(missing) => Ok(format!("{} {}", missing.message, missing.url.expose())),
//! }
//! # }
//! ```
//!
//! # Features
//!
//! - `mcp` (on unless switched off): [`mcp`], plain JSON, no MCP library.
//! - `otel`: calls carry your trace on to the broker (W3C Trace Context), where your subscriber has a layer of `tracing-opentelemetry`.
//!   Every call is a span of the target `broker_client` with or without it.
//! - `tower`: the layer of step 6.
//! - `testing`: the fake broker of step 8. Meant for `dev-dependencies`.
//!
//! # What to rely on
//!
//! - **Deadlines.** Each call ends within [`ClientBuilder::deadline`], all attempts together, and tells the broker so.
//! - **Repeats.** Only where they are safe: reads, and grants, because each carries a request id. They wait, with jitter, and
//!   never less than the broker asks for.
//! - **How long a revoke takes to reach a tool.** A [`Client`] alone: the next call. A [`TokenSource`]: at most its
//!   [`max_age`](TokenSourceBuilder::max_age), 60 s unless set; that holds for your own
//!   [`withdraw_approval`](Client::withdraw_approval) too, unless you [`clear`](TokenSource::clear) the source. A server behind
//!   `BearerLayer::verified_by` (feature `tower`): a user's token that the broker takes no longer is let through for at most 60 s,
//!   and never past its own `exp`. A token that a tool already holds lives until the grant's
//!   `token_expire_time`, or until the provider revokes it; so fetch the grant for each use, and do not keep it.
//! - **Secrets.** Assertions, tokens, credentials and consent links do not print; `expose()` is the only way to them.

#![deny(missing_docs)]

mod batch;
#[cfg(feature = "tower")]
pub mod bearer;
mod builder;
mod call;
mod client;
mod clock;
mod credential;
mod error;
mod link;
#[cfg(feature = "mcp")]
pub mod mcp;
mod outcome;
#[cfg(any(feature = "mcp", feature = "tower"))]
mod principal;
mod random;
mod request;
mod request_id;
mod secret;
mod source;
#[cfg(feature = "testing")]
pub mod testing;
mod tls;
mod trace;
mod watch;
mod watched;

pub use batch::{BatchConsentRequired, BatchOutcome, BatchRequest};
pub use broker_proto::v1 as proto;
pub use builder::ClientBuilder;
pub use client::Client;
pub use clock::{Clock, SystemClock};
pub use credential::Credential;
pub use error::{Error, Failure};
pub use outcome::{ConsentRequired, Grant, Lifetime, Narrowing, Outcome};
pub use request::GrantRequest;
pub use secret::{AccessToken, Assertion, ConsentUrl};
pub use source::{TokenSource, TokenSourceBuilder};
pub use tls::Tls;
pub use watch::ConsentWatch;

#[cfg(test)]
mod tests;
