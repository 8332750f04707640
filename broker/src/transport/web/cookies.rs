//! Cookies: all of them `__Host-`, so for this host alone, over TLS (or loopback) alone, out of reach of scripts.

use crate::domain::Rng;
use axum::http::{HeaderMap, HeaderValue, header};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use std::time::Duration;

/// The signed-in session.
pub(super) const SESSION: &str = "__Host-broker-session";
/// What binds consents to the browser in which they were approved (CO3). Parallel consents share it.
pub(super) const BROWSER: &str = "__Host-broker-browser";
/// A sign-in under way; the first characters of its `state` follow.
pub(super) const LOGIN: &str = "__Host-broker-login-";
/// A provider's words, carried from the callback to the consent's page, once.
pub(super) const NOTE: &str = "__Host-broker-note";

/// The cookies a browser sent.
pub(super) struct Cookies(Vec<(String, String)>);

impl Cookies {
    pub(super) fn read(headers: &HeaderMap) -> Self {
        let values = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let pairs = values.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        Self(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// A cookie's value; one that is there twice was not set by us and counts as missing.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let mut found = self.0.iter().filter(|(n, _)| n == name).map(|(_, value)| value.as_str());
        match (found.next(), found.next()) {
            (Some(value), None) => Some(value),
            _ => None,
        }
    }

    /// Names and values of cookies whose name begins with `prefix`.
    pub(super) fn starting(&self, prefix: &str) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter(move |(n, _)| n.starts_with(prefix)).map(|(n, v)| (n.as_str(), v.as_str()))
    }
}

/// A `Set-Cookie` value. `name` and `value` are ours: letters, digits, `-` and `_`.
pub(super) fn set(name: &str, value: &str, lifetime: Duration) -> HeaderValue {
    let seconds = lifetime.as_secs();
    let text = format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={seconds}");
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}

/// A `Set-Cookie` value that removes the cookie.
pub(super) fn clear(name: &str) -> HeaderValue {
    set(name, "", Duration::ZERO)
}

/// 256 random bits as 43 characters.
pub(super) fn random(rng: &dyn Rng) -> String {
    let mut bytes = [0; 32];
    rng.fill(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Whether a text has the form of [`random`]'s.
pub(super) fn is_token(text: &str) -> bool {
    text.len() == 43 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}
