//! A broker for your own tests: in your test's process, without a server, doing what you tell it.
//!
//! It speaks the real protocol on a free loopback port, so that what you test is your server with the real [`Client`] in it.
//! It knows no policy and no browser: you say who has connected what, what is refused, and when the user is done.
//!
//! ```
//! use broker_client::testing::{Answered, FakeBroker, Finish};
//! use broker_client::{Error, GrantRequest, Outcome, TokenSource};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Error> {
//! let broker = FakeBroker::start().await;
//! let source = TokenSource::new(broker.client().await);
//! let request = GrantRequest::new("assertion of alice", "notes", ["notes.read"]).tool("list_notes");
//!
//! // Nobody has connected anything: the first answer is a link.
//! let Outcome::ConsentRequired(consent) = source.grant(&request).await? else { panic!("a link was due") };
//! // What the person would do on the broker's pages:
//! broker.finish(&consent.consent_id, Finish::Completed);
//!
//! // Now there is a grant. Your stand-in for the notes API asks whose token it was given.
//! let Outcome::Grant(grant) = source.grant(&request).await? else { panic!("a grant was due") };
//! let owner = broker.whose(grant.access_token.expose()).expect("one of this broker's");
//! assert!(owner.live && owner.assertion.expose() == "assertion of alice");
//!
//! // The provider refuses the token: tell the source, and this fake's next one is fresh.
//! broker.end_token(grant.access_token.expose());
//! source.rejected(&grant);
//! let Outcome::Grant(fresh) = source.grant(&request).await? else { panic!("a grant was due") };
//! assert_ne!(fresh.access_token, grant.access_token);
//!
//! // A refusal, for this once.
//! broker.refuse_next("POLICY_DENIED");
//! source.clear();
//! assert!(matches!(source.grant(&request).await, Err(Error::Denied(_))));
//!
//! // What your server really asked for.
//! let calls = broker.calls();
//! assert!(calls.iter().all(|call| call.tool == "list_notes" && call.scopes == ["notes.read"]));
//! assert_eq!(calls[3].answered, Answered::Refused("POLICY_DENIED".to_owned()));
//! # Ok(())
//! # }
//! ```
//!
//! Time stands still until you move it ([`FakeBroker::clock`]): a client from [`FakeBroker::client`] reads the same clock, so
//! grants age when you say so, and its pauses between attempts take no time.
//!
//! What it does not do: verify assertions (each text is a person of its own), decide by policy, narrow scopes, or tell your
//! workload from others. Tests of those belong against the real broker.

mod batch;
mod calls;
mod clock;
mod reasons;
mod services;
mod state;

pub use calls::{Answered, Call};
pub use clock::ManualClock;
pub use reasons::REASONS;
pub use state::{Finish, Owner};

use crate::proto::connection_service_server::ConnectionServiceServer;
use crate::proto::consent_service_server::ConsentServiceServer;
use crate::proto::grant_service_server::GrantServiceServer;
use crate::{Client, Credential};
use services::{Consents, Shared};
use state::State;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;

/// A broker in this process. It ends when it is dropped, once it has answered what it was asked.
#[derive(Debug)]
pub struct FakeBroker {
    shared: Arc<Shared>,
    address: String,
    /// Closes listener and connections when it is dropped.
    _running: oneshot::Sender<()>,
}

/// Holds answers to `IssueGrant` and `BatchIssueGrants` back for as long as it lives.
#[derive(Debug)]
#[must_use = "answers are held back until this is dropped"]
pub struct Held(Arc<Shared>);

impl FakeBroker {
    /// The workload credential that it takes; any other is refused.
    pub const CREDENTIAL: &str = "fake-broker-workload-credential";

    /// Starts one on a free loopback port.
    ///
    /// # Panics
    /// When there is no port to be had.
    pub async fn start() -> Self {
        let shared = Arc::new(Shared::default());
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a loopback port");
        let address = format!("http://{}", listener.local_addr().expect("its address"));
        let router = Server::builder()
            .add_service(GrantServiceServer::from_arc(Arc::clone(&shared)))
            .add_service(ConsentServiceServer::new(Consents(Arc::clone(&shared))))
            .add_service(ConnectionServiceServer::from_arc(Arc::clone(&shared)));
        let (running, dropped) = oneshot::channel();
        tokio::spawn(async move {
            let dropped = async { drop(dropped.await) };
            // It ends with the test; there is nobody to tell.
            let _ = router.serve_with_incoming_shutdown(TcpListenerStream::new(listener), dropped).await;
        });
        Self { shared, address, _running: running }
    }

    /// Where it listens, for servers that make their own client: show [`FakeBroker::CREDENTIAL`].
    pub fn address(&self) -> &str {
        &self.address
    }

    /// A client of it, on its clock.
    ///
    /// # Panics
    /// Never, as long as the address is a loopback one.
    pub async fn client(&self) -> Client {
        let builder = Client::builder(&self.address).credential(Credential::secret(Self::CREDENTIAL));
        builder.clock(Arc::new(self.clock())).connect().await.expect("a client of a loopback address")
    }

    /// Its clock, to be moved.
    pub fn clock(&self) -> ManualClock {
        self.shared.clock.clone()
    }

    /// The person behind `assertion` has connected `provider` and approved these scopes for you, beside those before. Returns
    /// the connection's id.
    pub fn connect(&self, assertion: &str, provider: &str, scopes: &[&str]) -> String {
        self.change(|state, _| state.connect(assertion, provider, scopes))
    }

    /// The provider no longer honours the person's connection: the next answer is a link, `REAUTH_REQUIRED`.
    pub fn disconnect(&self, assertion: &str, provider: &str) {
        self.change(|state, _| state.disconnect(assertion, provider));
    }

    /// The person has answered the consent; `consent` is its id or its link. The link of a batch stands for all that it leads
    /// through.
    ///
    /// # Panics
    /// When there is no such consent, or it is over already.
    pub fn finish(&self, consent: &str, how: Finish) {
        self.change(|state, now| match batch::page(consent) {
            Some(consents) => consents.for_each(|consent| state.finish(consent, how, now)),
            None => state.finish(consent, how, now),
        });
    }

    /// The next `IssueGrant` or `BatchIssueGrants` is refused for this reason; several are used one after the other. A client repeats what says "not
    /// now" by itself, so one such refusal alone is not seen by the tool.
    ///
    /// # Panics
    /// When the broker has no such reason; see [`REASONS`].
    pub fn refuse_next(&self, reason: &str) {
        let refusal = reasons::Refusal::new(reason, None);
        self.change(|state, _| state.refusals.push_back(refusal));
    }

    /// As [`refuse_next`](Self::refuse_next), saying when to try again.
    ///
    /// # Panics
    /// As [`refuse_next`](Self::refuse_next).
    pub fn refuse_next_for(&self, reason: &str, retry_after: Duration) {
        let refusal = reasons::Refusal::new(reason, Some(retry_after));
        self.change(|state, _| state.refusals.push_back(refusal));
    }

    /// Everything that is asked with this assertion is refused for this reason, from now on.
    ///
    /// # Panics
    /// As [`refuse_next`](Self::refuse_next).
    pub fn refuse(&self, assertion: &str, reason: &str) {
        let refusal = reasons::Refusal::new(reason, None);
        self.change(|state, _| state.refused.insert(assertion.to_owned(), refusal));
    }

    /// Answers to `IssueGrant` and `BatchIssueGrants` wait until the result is dropped: a broker that is slow, or never answers.
    pub fn hold(&self) -> Held {
        self.shared.held.send_modify(|held| *held += 1);
        Held(Arc::clone(&self.shared))
    }

    /// The provider stops honouring this token; the next grant comes with a fresh one. The fake is kinder than the broker here,
    /// which does not learn of it and gives the same token again until that is near its end: a tool that asks once more has to
    /// get along with that, too.
    pub fn end_token(&self, token: &str) {
        self.change(|state, _| state.end_token(token));
    }

    /// For whom a token was made, and whether it is still good; `None` for one that is not from here. For your stand-in of the
    /// provider's API.
    pub fn whose(&self, token: &str) -> Option<Owner> {
        self.change(|state, now| state.whose(token, now))
    }

    /// Every call so far, in the order in which they were answered.
    pub fn calls(&self) -> Vec<Call> {
        self.change(|state, _| state.calls.clone())
    }

    /// Waits until so many calls were answered.
    pub async fn answered(&self, calls: usize) {
        let mut changes = self.shared.changes.subscribe();
        while self.calls().len() < calls {
            // The sender lives as long as this broker.
            let _ = changes.changed().await;
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut State, std::time::SystemTime) -> T) -> T {
        self.shared.change(change)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.held.send_modify(|held| *held -= 1);
    }
}
