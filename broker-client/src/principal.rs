//! Who an assertion speaks of, as far as that can be told without verifying it.

use crate::Assertion;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{Context, SHA256, digest};
use serde_json::Value;

/// Issuer and subject, read without verifying, so that a token renewed between two requests stays the same user's. A token that is
/// none of JSON is its own. Whoever uses this needs the assertion verified before anything is answered from it.
pub(crate) fn of(assertion: &Assertion) -> [u8; 32] {
    let claims = claims(assertion);
    let text = |name: &str| claims.as_ref()?.get(name)?.as_str().map(str::to_owned);
    let mut hash = Context::new(&SHA256);
    match (text("iss"), text("sub")) {
        (Some(issuer), Some(subject)) => {
            part(&mut hash, b"claims");
            part(&mut hash, issuer.as_bytes());
            part(&mut hash, subject.as_bytes());
        }
        _ => {
            part(&mut hash, b"token");
            part(&mut hash, digest(&SHA256, assertion.expose().as_bytes()).as_ref());
        }
    }
    let mut bytes = [0; 32];
    bytes.copy_from_slice(hash.finish().as_ref());
    bytes
}

/// The SHA-256 of the issuer, read without verifying as well; `None` for a token that names none.
pub(crate) fn issuer(assertion: &Assertion) -> Option<[u8; 32]> {
    let claims = claims(assertion)?;
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, claims.get("iss")?.as_str()?.as_bytes()).as_ref());
    Some(bytes)
}

fn claims(assertion: &Assertion) -> Option<Value> {
    let payload = URL_SAFE_NO_PAD.decode(assertion.expose().split('.').nth(1)?).ok()?;
    serde_json::from_slice(&payload).ok()
}

fn part(hash: &mut Context, bytes: &[u8]) {
    hash.update(&(bytes.len() as u64).to_be_bytes());
    hash.update(bytes);
}
