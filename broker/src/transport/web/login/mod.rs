//! The pages' own login: OpenID Connect code flow with PKCE, nonce and state (CO16). Who it was is for
//! [`crate::identity`] to verify; this room only fetches the ID token.

mod client;
mod metadata;
mod pending;

pub use client::LoginSpec;
pub(super) use client::{LoginClient, LoginError};
pub(super) use pending::{PendingLogin, crowded_out};

use crate::domain::{Clock, RealmId};
use std::sync::Arc;

/// Login clients by realm.
pub struct Logins {
    clients: Vec<LoginClient>,
}

impl Logins {
    /// One client per spec. Where a realm has several, people are sent to the first. Nothing is fetched yet.
    pub fn new(specs: Vec<LoginSpec>, clock: Arc<dyn Clock>) -> Self {
        let clients = specs.into_iter().map(|spec| LoginClient::new(spec, clock.clone())).collect();
        Self { clients }
    }

    /// The client for people of `realm`.
    pub(super) fn of_realm(&self, realm: &RealmId) -> Option<&LoginClient> {
        self.clients.iter().find(|client| client.spec.realm == *realm)
    }

    /// The client by its issuer's configured name.
    pub(super) fn of_issuer(&self, name: &str) -> Option<&LoginClient> {
        self.clients.iter().find(|client| client.spec.issuer_name == name)
    }

    /// Realms people can sign in to, each once.
    pub(super) fn realms(&self) -> Vec<&RealmId> {
        let mut realms: Vec<_> = self.clients.iter().map(|client| &client.spec.realm).collect();
        realms.sort();
        realms.dedup();
        realms
    }
}
