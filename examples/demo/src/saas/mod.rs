//! "The SaaS": an API behind its own OAuth 2.0 authorization server. Which one is told by its [`Product`]: [`NOTES`] or
//! [`CALENDAR`].
//!
//! It keeps a log of what truly happened ([`Saas::truth`]) and misbehaves on order ([`Saas::script`]).

mod api;
mod families;
mod fault;
mod metadata;
mod pages;
mod product;
mod token;
mod truth;

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};

use axum::Router;

pub use families::{Rotation, TokenFacts};
pub use fault::{Endpoint, ExpiresIn, Fault};
pub use product::{CALENDAR, NOTES, Product};
pub use truth::{Event, RevokedKind};

use crate::clock::Now;
use crate::oauth::{Client, Clients, Heard, Pending};
use crate::server::{Bound, Server};
use crate::sessions::Sessions;
use families::Families;
use fault::Script;
use truth::Truth;

/// A running SaaS; dropping it stops the server.
pub struct Saas {
    shared: Arc<Shared>,
    _server: Server,
}

/// What the request handlers share.
struct Shared {
    product: &'static Product,
    origin: String,
    now: Now,
    clients: Clients,
    sessions: Sessions,
    pending: Pending,
    codes: Mutex<HashMap<String, token::Code>>,
    families: Mutex<Families>,
    terms: Mutex<(i64, Rotation)>,
    script: Script,
    truth: Truth,
    heard: Heard,
    entries: Mutex<HashMap<String, Vec<String>>>,
}

impl Saas {
    /// Starts on a free loopback port: access tokens live 600 seconds, refresh tokens are single use and their
    /// family ends when one is used again.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start(product: &'static Product, now: Now) -> io::Result<Saas> {
        let bound = Bound::loopback().await?;
        let first = product.accounts.iter().map(|account| {
            let name = account.label.split('@').next().unwrap_or_default();
            (account.id.to_owned(), vec![format!("{name}'s first {}", product.entry)])
        });
        let shared = Arc::new(Shared {
            product,
            origin: bound.origin(),
            truth: Truth::new(Arc::clone(&now)),
            now,
            clients: Clients::default(),
            sessions: Sessions::new(product.cookie),
            pending: Pending::default(),
            codes: Mutex::default(),
            families: Mutex::new(Families::new(product)),
            terms: Mutex::new((600, Rotation::FamilyRevoking)),
            script: Script::default(),
            heard: Heard::default(),
            entries: Mutex::new(first.collect()),
        });
        let router = Router::new()
            .merge(metadata::routes())
            .merge(pages::routes())
            .merge(token::routes())
            .merge(api::routes(product));
        let server = bound.serve(router.with_state(shared.clone()));
        Ok(Saas { shared, _server: server })
    }

    /// Where everything is, and the issuer named in authorization responses: `/authorize`, `/token`, `/revoke`,
    /// `/userinfo` and the API.
    pub fn origin(&self) -> &str {
        &self.shared.origin
    }

    /// Registers a client, or replaces the one with the same id.
    pub fn register_client(&self, client: Client) {
        self.shared.clients.register(client);
    }

    /// How long access tokens live from now on, in seconds.
    pub fn set_access_lifetime(&self, seconds: i64) {
        self.shared.terms.lock().expect("no holder panicked").0 = seconds;
    }

    /// What happens to refresh tokens used from now on.
    pub fn set_rotation(&self, rotation: Rotation) {
        self.shared.terms.lock().expect("no holder panicked").1 = rotation;
    }

    /// The next `calls` calls of the token endpoint meet `fault`, after those already scripted.
    pub fn script(&self, fault: Fault, calls: usize) {
        self.script_at(Endpoint::Token, fault, calls);
    }

    /// The next `calls` calls of `endpoint` meet `fault`. Faults about scopes, refresh tokens and `expires_in`
    /// mean something at the token endpoint only.
    pub fn script_at(&self, endpoint: Endpoint, fault: Fault, calls: usize) {
        self.shared.script.add(endpoint, fault, calls);
    }

    /// Everything that happened, in order.
    pub fn truth(&self) -> Vec<Event> {
        self.shared.truth.events()
    }

    /// The same, each with when it happened: seconds since the Unix epoch, or what [`Saas::time_by`] reads.
    pub fn timed_truth(&self) -> Vec<(i64, Event)> {
        self.shared.truth.timed()
    }

    /// From now on the log's times are read from this clock, in a unit of the caller's choice.
    pub fn time_by(&self, clock: Now) {
        self.shared.truth.time_by(clock);
    }

    /// Returns when `reached` holds for everything that happened; checked again after each event.
    pub async fn wait_until(&self, reached: impl Fn(&[Event]) -> bool) {
        self.shared.truth.wait_until(reached).await;
    }

    /// Every code, verifier and token that crossed the token and revocation endpoints, with what it is.
    pub fn heard(&self) -> Vec<(&'static str, String)> {
        self.shared.heard.all()
    }

    /// Every `traceparent` that came to the token endpoint, in order.
    pub fn traceparents(&self) -> Vec<String> {
        self.shared.heard.traces()
    }

    /// What a token truly is; `None` when it was never issued here.
    pub fn introspect(&self, token: &str) -> Option<TokenFacts> {
        self.shared.facts(token)
    }

    /// The account's owner disconnects every client in the settings of the SaaS. `label` such as
    /// `alice@notes.example`. Answers how many families ended.
    pub fn disconnect(&self, label: &str) -> usize {
        let ids =
            self.shared.product.accounts.iter().filter(|known| known.label == label).map(|known| known.id);
        let mut families = self.shared.families.lock().expect("no holder panicked");
        let ended: Vec<u64> = ids.flat_map(|id| families.of_account(id)).collect();
        for family in &ended {
            families.kill(*family);
            self.shared.truth.log(Event::Revoked { family: *family, kind: RevokedKind::ByOwner });
        }
        ended.len()
    }
}

impl Shared {
    fn now(&self) -> i64 {
        (self.now)()
    }

    fn facts(&self, token: &str) -> Option<TokenFacts> {
        self.families.lock().expect("no holder panicked").facts(token, self.now())
    }

    /// The fault scripted for this call, noted in the log.
    fn next_fault(&self, endpoint: Endpoint) -> Option<Fault> {
        let fault = self.script.next(endpoint)?;
        self.truth.log(Event::Faulted { endpoint, fault: fault.name() });
        Some(fault)
    }
}

#[cfg(test)]
mod tests;
