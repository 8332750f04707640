//! Page sizes and tokens (AIP-158): opaque, URL-safe, bound to the query they continue.

use crate::{
    domain::{Canonical, Refusal},
    keys::KeyRing,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

/// Without a wish.
const DEFAULT: u32 = 50;
/// Larger wishes are cut to this.
const MAX: u32 = 1_000;

/// How many to return.
///
/// # Errors
/// A negative size.
pub fn size(wish: i32) -> Result<u32, Refusal> {
    match u32::try_from(wish) {
        Ok(0) => Ok(DEFAULT),
        Ok(wish) => Ok(wish.min(MAX)),
        Err(_) => Err(Refusal::invalid("page_size", "A page size is not negative.")),
    }
}

/// Where the next page of `query` begins. Sealed with a MAC: nobody makes up a place to go on from.
pub fn token(keys: &KeyRing, query: &str, parts: &[&str]) -> String {
    let place = parts.join("\n");
    URL_SAFE_NO_PAD.encode(format!("{}\n{place}", mark(keys, query, &place)))
}

/// Reads a token made for the same query.
///
/// # Errors
/// Not a token, or one of another query.
pub fn read_token(keys: &KeyRing, query: &str, token: &str, parts: usize) -> Result<Vec<String>, Refusal> {
    let bad = || Refusal::invalid("page_token", "This page token does not continue this query.");
    if token.len() > 512 {
        return Err(bad());
    }
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| bad())?;
    let text = String::from_utf8(bytes).map_err(|_| bad())?;
    let (mac, place) = text.split_once('\n').ok_or_else(bad)?;
    // Compared as the base64 of a MAC that is recomputed: timing tells nothing of use for a place in a list.
    if mac != mark(keys, query, place) {
        return Err(bad());
    }
    let read: Vec<String> = place.split('\n').map(str::to_owned).collect();
    if read.len() == parts { Ok(read) } else { Err(bad()) }
}

fn mark(keys: &KeyRing, query: &str, place: &str) -> String {
    let mut message = Canonical::new("broker.v1 page token");
    message.text(query).text(place);
    URL_SAFE_NO_PAD.encode(keys.request_claim(&message))
}
