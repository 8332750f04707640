//! Registered clients and how they authenticate (RFC 6749 §2.3.1).

use std::sync::Mutex;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use data_encoding::BASE64;

use super::{OauthError, Params};

const REFUSED: OauthError = OauthError("invalid_client", "client authentication failed");

/// A registered client.
#[derive(Clone)]
pub struct Client {
    /// `client_id`.
    pub id: String,
    /// The name shown to people on consent pages.
    pub name: String,
    /// `client_secret`.
    pub secret: String,
    /// Compared byte for byte with what a request names.
    pub redirect_uris: Vec<String>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("id", &self.id).field("redirect_uris", &self.redirect_uris).finish()
    }
}

/// Everyone registered; clients may be added while the server runs.
#[derive(Default)]
pub(crate) struct Clients(Mutex<Vec<Client>>);

impl Clients {
    /// Adds a client, or replaces the one with the same id.
    pub(crate) fn register(&self, client: Client) {
        let mut clients = self.0.lock().expect("no holder panicked");
        clients.retain(|known| known.id != client.id);
        clients.push(client);
    }

    pub(crate) fn find(&self, id: &str) -> Option<Client> {
        self.0.lock().expect("no holder panicked").iter().find(|client| client.id == id).cloned()
    }

    /// The client that sent the request, by `client_secret_basic` or (where `post_allowed`) `client_secret_post`.
    /// Two methods at once are `invalid_request`, anything wrong is `invalid_client`.
    pub(crate) fn authenticate(
        &self,
        headers: &HeaderMap,
        params: &Params,
        post_allowed: bool,
    ) -> Result<Client, OauthError> {
        let (id, secret) = match (headers.get(AUTHORIZATION), params.get("client_secret")) {
            (Some(_), Some(_)) => {
                return Err(OauthError("invalid_request", "two client credentials at once"));
            }
            (Some(basic), None) => parse_basic(basic.as_bytes()).ok_or(REFUSED)?,
            (None, Some(secret)) if post_allowed => {
                (params.get("client_id").ok_or(REFUSED)?.to_owned(), secret.to_owned())
            }
            _ => return Err(REFUSED),
        };
        if params.get("client_id").is_some_and(|named| named != id) {
            return Err(REFUSED);
        }
        self.find(&id).filter(|client| client.secret == secret).ok_or(REFUSED)
    }
}

/// `Basic base64(form-encoded id ":" form-encoded secret)`.
fn parse_basic(header: &[u8]) -> Option<(String, String)> {
    let (scheme, encoded) = header.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let decoded = BASE64.decode(encoded.trim_ascii()).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    Some((form_decode(&decoded[..colon])?, form_decode(&decoded[colon + 1..])?))
}

/// Undoes form encoding of one word. A raw `=` or `&` is not form-encoded text.
fn form_decode(word: &[u8]) -> Option<String> {
    if word.contains(&b'&') || word.contains(&b'=') {
        return None;
    }
    let mut pairs = url::form_urlencoded::parse(word);
    Some(pairs.next().map(|(name, _)| name.into_owned()).unwrap_or_default())
}
