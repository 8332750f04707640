//! "The company's SSO": a small OpenID Connect provider, and beside it the token issuer of the company's cluster.
//!
//! The two issuers have their own URL, discovery and keys, as they would in a company: a workload token can never
//! be mistaken for a person's.

mod discovery;
mod keys;
mod mint;
mod pages;
mod token;
mod users;

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;

pub use users::User;

use crate::clock::Now;
use crate::oauth::{Client, Clients, Heard, Pending};
use crate::server::{Bound, Server};
use crate::sessions::Sessions;
use keys::SigningKey;

/// A running provider; dropping it stops the server.
pub struct Sso {
    shared: Arc<Shared>,
    _server: Server,
}

/// What the request handlers share.
struct Shared {
    issuer: String,
    workload_issuer: String,
    now: Now,
    users: Mutex<Vec<User>>,
    clients: Clients,
    sessions: Sessions,
    pending: Pending,
    codes: Mutex<HashMap<String, token::Code>>,
    /// Newest last; the newest signs, all are published.
    keys: Mutex<Vec<SigningKey>>,
    workload_key: SigningKey,
    jwks_fetches: AtomicUsize,
    heard: Heard,
    id_token_lifetime: Mutex<i64>,
}

impl Sso {
    /// Starts on a free loopback port with the users alice and bob and fresh keys.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start(now: Now) -> io::Result<Sso> {
        let bound = Bound::loopback().await?;
        let issuer = bound.origin();
        let shared = Arc::new(Shared {
            workload_issuer: format!("{issuer}/cluster"),
            issuer,
            now,
            users: Mutex::new(vec![User::alice(), User::bob()]),
            clients: Clients::default(),
            sessions: Sessions::new("sso_session"),
            pending: Pending::default(),
            codes: Mutex::default(),
            keys: Mutex::new(vec![SigningKey::generate()]),
            workload_key: SigningKey::generate(),
            jwks_fetches: AtomicUsize::new(0),
            heard: Heard::default(),
            id_token_lifetime: Mutex::new(3600),
        });
        let router = Router::new().merge(discovery::routes()).merge(pages::routes()).merge(token::routes());
        let server = bound.serve(router.with_state(shared.clone()));
        Ok(Sso { shared, _server: server })
    }

    /// The issuer of people's ID tokens, such as `http://127.0.0.1:40123`.
    pub fn issuer(&self) -> &str {
        &self.shared.issuer
    }

    /// The issuer of workload tokens: its own discovery, its own keys.
    pub fn workload_issuer(&self) -> &str {
        &self.shared.workload_issuer
    }

    /// Registers a client, or replaces the one with the same id.
    pub fn register_client(&self, client: Client) {
        self.shared.clients.register(client);
    }

    /// Adds a person, or replaces the one with the same user name.
    pub fn put_user(&self, user: User) {
        let mut users = self.shared.users.lock().expect("no holder panicked");
        users.retain(|known| known.username != user.username);
        users.push(user);
    }

    /// How long ID tokens live from now on, in seconds (one hour at start).
    pub fn set_id_token_lifetime(&self, seconds: i64) {
        *self.shared.id_token_lifetime.lock().expect("no holder panicked") = seconds;
    }

    /// From now on a new key signs. The old ones stay published, unless `retire_old`.
    pub fn rotate_key(&self, retire_old: bool) {
        let mut keys = self.shared.keys.lock().expect("no holder panicked");
        if retire_old {
            keys.clear();
        }
        keys.push(SigningKey::generate());
    }

    /// Every code, verifier and token that crossed the token endpoint, with what it is.
    pub fn heard(&self) -> Vec<(&'static str, String)> {
        self.shared.heard.all()
    }

    /// How often the key set of the people's issuer was fetched.
    pub fn jwks_fetches(&self) -> usize {
        self.shared.jwks_fetches.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn now(&self) -> i64 {
        (self.now)()
    }

    fn user(&self, username: &str) -> Option<User> {
        let users = self.users.lock().expect("no holder panicked");
        users.iter().find(|user| user.username == username).cloned()
    }
}

#[cfg(test)]
mod tests;
