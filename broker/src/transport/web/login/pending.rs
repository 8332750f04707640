//! A sign-in under way, kept in the browser that began it and nowhere else.

use crate::{
    domain::{ExposeSecret, Rng, Timestamp},
    keys::SealedCookies,
    transport::web::{
        cookies::{self, Cookies, LOGIN},
        incoming::sha256,
        return_path::ReturnPath,
    },
    usecase::session,
};
use axum::http::HeaderValue;
use serde::{Deserialize, Serialize};

/// Most sign-ins under way in one browser.
const MAX: usize = 5;
const PURPOSE: &str = "login";
/// How much of `state` names the cookie.
const PREFIX: usize = 8;

/// What has to be the same again when the browser comes back.
#[derive(Serialize, Deserialize)]
pub(in crate::transport::web) struct PendingLogin {
    /// 256 random bits.
    pub(in crate::transport::web) state: String,
    /// 256 random bits that the ID token has to repeat.
    pub(in crate::transport::web) nonce: String,
    /// The PKCE verifier.
    pub(in crate::transport::web) verifier: String,
    /// Who was asked.
    pub(in crate::transport::web) issuer_name: String,
    back: String,
    started_micros: i64,
}

impl PendingLogin {
    /// A fresh one.
    pub(in crate::transport::web) fn new(
        rng: &dyn Rng,
        issuer_name: &str,
        back: &ReturnPath,
        now: Timestamp,
    ) -> Self {
        Self {
            state: cookies::random(rng),
            nonce: cookies::random(rng),
            verifier: crate::provider::new_verifier(rng).expose_secret().to_owned(),
            issuer_name: issuer_name.to_owned(),
            back: back.path(),
            started_micros: now.micros(),
        }
    }

    /// Where it leads back to.
    pub(in crate::transport::web) fn back(&self) -> ReturnPath {
        ReturnPath::parse(&self.back).unwrap_or(ReturnPath::Connections)
    }

    /// When it was begun, UTC.
    pub(in crate::transport::web) fn started_at(&self) -> Timestamp {
        Timestamp::from_micros(self.started_micros)
    }

    /// The cookie that keeps it.
    pub(in crate::transport::web) fn cookie(&self, keys: &SealedCookies) -> Option<HeaderValue> {
        let name = cookie_name(&self.state)?;
        let sealed = keys.seal(&name, PURPOSE, &serde_json::to_vec(self).ok()?).ok()?;
        Some(cookies::set(&name, &sealed, session::LOGIN))
    }

    /// The one that `state` belongs to, if this browser began it and its time is not over; and its cookie's name.
    pub(in crate::transport::web) fn find(
        keys: &SealedCookies,
        cookies: &Cookies,
        state: &str,
        now: Timestamp,
    ) -> Option<(Self, String)> {
        let name = cookie_name(state)?;
        let pending = open(keys, &name, cookies.get(&name)?)?;
        // The whole state, by hash: the time taken says nothing about how much of a guess was right.
        let same = sha256(&pending.state) == sha256(state);
        (same && pending.is_live(now)).then_some((pending, name))
    }

    fn is_live(&self, now: Timestamp) -> bool {
        now < self.started_at().plus(session::LOGIN)
    }
}

/// Cookies to remove so that one more sign-in fits: dead ones first, then the oldest.
pub(in crate::transport::web) fn crowded_out(
    keys: &SealedCookies,
    cookies: &Cookies,
    now: Timestamp,
) -> Vec<HeaderValue> {
    let mut known: Vec<(i64, &str)> = cookies
        .starting(LOGIN)
        .map(|(name, value)| match open(keys, name, value) {
            Some(pending) if pending.is_live(now) => (pending.started_micros, name),
            _ => (i64::MIN, name),
        })
        .collect();
    known.sort_unstable();
    let surplus = (known.len() + 1).saturating_sub(MAX);
    let dead = known.iter().filter(|(started, _)| *started == i64::MIN).count();
    known.iter().take(surplus.max(dead)).map(|(_, name)| cookies::clear(name)).collect()
}

fn open(keys: &SealedCookies, name: &str, value: &str) -> Option<PendingLogin> {
    serde_json::from_slice(&keys.open(name, PURPOSE, value).ok()?).ok()
}

fn cookie_name(state: &str) -> Option<String> {
    cookies::is_token(state).then(|| format!("{LOGIN}{}", &state[..PREFIX]))
}
