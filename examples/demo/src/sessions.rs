//! Who is signed in at a server, by session cookie.

use std::collections::HashMap;
use std::sync::Mutex;

use axum::http::HeaderMap;
use axum::http::header::COOKIE;

use crate::random;

const LIFETIME: i64 = 8 * 3600;

/// A signed-in browser.
#[derive(Clone)]
pub(crate) struct Session {
    /// Opaque id of this session; never the cookie's value.
    pub(crate) sid: String,
    /// The name the person signed in with.
    pub(crate) user: String,
    /// When, in seconds since the Unix epoch.
    pub(crate) auth_time: i64,
}

/// The sessions of one server. Each server names its own cookie, because cookies do not tell ports apart.
pub(crate) struct Sessions {
    cookie: &'static str,
    live: Mutex<HashMap<String, Session>>,
}

impl Sessions {
    pub(crate) fn new(cookie: &'static str) -> Sessions {
        Sessions { cookie, live: Mutex::default() }
    }

    /// Signs `user` in; the answer is the session and its `Set-Cookie` value. The browser's old session, if any, ends.
    pub(crate) fn begin(&self, headers: &HeaderMap, user: &str, now: i64) -> (Session, String) {
        let session = Session { sid: random::token("sid_"), user: user.to_owned(), auth_time: now };
        let value = random::token("");
        let mut live = self.live.lock().expect("no holder panicked");
        if let Some(old) = self.presented(headers) {
            live.remove(&old);
        }
        let set = format!("{}={value}; Path=/; Max-Age={LIFETIME}; HttpOnly; SameSite=Lax", self.cookie);
        live.insert(value, session.clone());
        (session, set)
    }

    /// The session of the browser that sent `headers`, unless it is over.
    pub(crate) fn current(&self, headers: &HeaderMap, now: i64) -> Option<Session> {
        let value = self.presented(headers)?;
        let live = self.live.lock().expect("no holder panicked");
        live.get(&value).filter(|session| now < session.auth_time.saturating_add(LIFETIME)).cloned()
    }

    fn presented(&self, headers: &HeaderMap) -> Option<String> {
        let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
        let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(name, _)| *name == self.cookie).map(|(_, value)| value.to_owned())
    }
}
