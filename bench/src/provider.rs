//! A provider in a process of its own: a token endpoint that takes every refresh token once, always needs the same time, counts its
//! calls, and does nothing else. What it costs is no part of the broker's process, and little of the machine's.

use crate::{Fault, child::Child};
use axum::{
    Form, Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use demo::world::Options;
use serde_json::json;
use std::{
    collections::HashMap,
    ffi::OsStr,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// Longer than any run, in seconds.
const EXPIRES_IN: u64 = crate::estate::TOKEN_LIFE.as_secs();

/// A running provider; ends when dropped.
pub struct Provider {
    address: SocketAddr,
    _process: Child,
}

/// What was asked of it so far.
#[derive(Clone, Copy, Default, Debug)]
pub struct Calls {
    /// Refresh tokens that were replaced.
    pub granted: u64,
    /// Calls with a refresh token that had been replaced, or with none.
    pub refused: u64,
}

impl Provider {
    /// Starts one that answers after `delay`.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(delay: Duration) -> Result<Self, Fault> {
        let delay = delay.as_millis().to_string();
        let (process, place) = Child::with(&[OsStr::new("--provide"), OsStr::new(&delay)]).await?;
        Ok(Self { address: place.parse()?, _process: process })
    }

    /// What it was asked so far.
    ///
    /// # Errors
    /// When it is gone.
    pub async fn calls(&self) -> Result<Calls, Fault> {
        let url = format!("http://{}/calls", self.address);
        let text = demo::http::client(b"")?.get(url).send().await?.text().await?;
        let (granted, refused) = text.split_once(' ').ok_or("the provider does not tell its calls")?;
        Ok(Calls { granted: granted.parse()?, refused: refused.parse()? })
    }

    /// A world in which it stands behind the demo's first provider, whose refresh tokens are good once.
    pub fn options(&self, extra_config: String) -> Options {
        let url = format!("token_url: \"http://{}/token\"", self.address);
        // The first is that of the provider that everybody is connected to.
        let amend = move |text: String| {
            let line =
                text.lines().find(|line| line.contains("token_url:")).map(str::trim).unwrap_or_default();
            let text = text.replacen(line, &url, 1);
            text.replacen("rotation: family_revoking", "rotation: single_use", 1)
        };
        Options { extra_config, amend_config: Some(Box::new(amend)), ..Options::default() }
    }
}

/// The provider's side: serves until its input ends.
///
/// # Errors
/// When no port can be bound.
pub async fn serve(delay: Duration) -> Result<(), Fault> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let desk = Arc::new(Desk { delay, book: Mutex::default() });
    let router = Router::new().route("/token", post(token)).route("/calls", get(calls)).with_state(desk);
    let serving = tokio::spawn(axum::serve(listener, router).into_future());
    crate::child::until_told(&address.to_string()).await?;
    serving.abort();
    Ok(())
}

struct Desk {
    delay: Duration,
    book: Mutex<Book>,
}

/// The generation of every refresh token that was replaced, by its first, and the calls.
#[derive(Default)]
struct Book {
    generations: HashMap<String, u64>,
    calls: Calls,
}

impl Book {
    /// A new pair for a refresh token that is good; single use.
    fn replace(&mut self, token: &str) -> Option<(String, String)> {
        let (first, generation) = token.split_once('.').unwrap_or((token, "0"));
        let current = self.generations.entry(first.to_owned()).or_default();
        if generation.parse() != Ok(*current) {
            self.calls.refused += 1;
            return None;
        }
        *current += 1;
        self.calls.granted += 1;
        Some((format!("access.{current}.{first}"), format!("{first}.{current}")))
    }
}

impl Desk {
    fn book(&self) -> std::sync::MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn token(State(desk): State<Arc<Desk>>, Form(form): Form<HashMap<String, String>>) -> Response {
    let replaced = desk.book().replace(form.get("refresh_token").map(String::as_str).unwrap_or_default());
    tokio::time::sleep(desk.delay).await;
    let (status, body) = match replaced {
        Some((access, refresh)) => (
            StatusCode::OK,
            json!({
                "access_token": access,
                "refresh_token": refresh,
                "token_type": "Bearer",
                "expires_in": EXPIRES_IN,
            }),
        ),
        None => (StatusCode::BAD_REQUEST, json!({ "error": "invalid_grant" })),
    };
    (status, [(CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

async fn calls(State(desk): State<Arc<Desk>>) -> String {
    let calls = desk.book().calls;
    format!("{} {}", calls.granted, calls.refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refresh_token_is_good_once() {
        let mut book = Book::default();
        let (_, second) = book.replace("refresh-1").unwrap();
        assert!(book.replace("refresh-1").is_none());
        let (_, third) = book.replace(&second).unwrap();
        assert_ne!(second, third);
        assert!(book.replace(&second).is_none());
        assert!(book.replace("refresh-2").is_some(), "another's");
        assert_eq!((book.calls.granted, book.calls.refused), (3, 2));
    }
}
