//! Reads what token endpoints really send (RFC 6749 §5.1, §5.2; RF8).
//!
//! | field | meaning |
//! |---|---|
//! | `error` (any status), `ok: false` | a refusal, also with status 200 |
//! | `expires_in` number or numeric string above 0 | seconds, fractions cut, at most ten years |
//! | `expires_in` absent, null, empty, 0 or negative | the provider says nothing: the spec's expiry rule |
//! | `expires_in` anything else | unusable |
//! | `token_type` absent or `bearer` in any case | bearer; anything else is unusable |
//! | `scope` absent or null | exactly what was asked for |
//! | `scope` text | split at the spec's separator and at spaces; `""` = nothing was granted |
//! | `scope` array of texts | one scope each |
//! | tokens empty, over 16 KiB or not printable ASCII | unusable |
//! | a key twice, HTML, anything that is neither an object nor a form | malformed |
//!
//! The tokens of an unusable answer are rescued into the error: an old refresh token may be dead (RF4), and what nobody
//! will use is to be revoked.

use super::{ErrorCode, ProviderError, TokenSet, Trouble, refusal, refusal::Refusal, strict_json};
use crate::{
    domain::{ProviderSpec, ScopeSet, SecretString, Timestamp, provider::Expiry},
    net::Response,
};
use serde_json::{Map, Value};
use std::time::Duration;
use url::form_urlencoded;

/// Largest token accepted, in bytes.
pub const MAX_TOKEN: usize = 16 * 1024;

/// Longest lifetime believed: ten years. What is longer is absolute time, milliseconds or nonsense, and is cut.
const LONGEST_LIFE: u64 = 10 * 366 * 24 * 3_600;

/// Reads a token response. `asked` is what an absent `scope` means; `sent_at` is when the request left.
///
/// # Errors
/// Every class of [`ProviderError`] that an answer can have.
pub(super) fn read(
    spec: &ProviderSpec,
    response: &Response,
    asked: &ScopeSet,
    sent_at: Timestamp,
) -> Result<TokenSet, ProviderError> {
    if let Some(error) = refusal::by_status(response.status, &response.headers, sent_at) {
        return Err(error);
    }
    if response.status.is_redirection() {
        return Err(ProviderError::protocol("a redirect, which is not followed"));
    }
    let object = match object(&response.body) {
        Ok(object) => object,
        // An empty 401 or 400 is still a refusal.
        Err(_) if !response.status.is_success() && response.body.is_empty() => Map::new(),
        Err(trouble) => return Err(ProviderError::unavailable(trouble)),
    };
    if let Some(said) = refusal(&object) {
        return Err(refusal::classify(response.status, said, &response.headers, sent_at));
    }
    if !response.status.is_success() {
        return Err(refusal::classify(response.status, Refusal::default(), &response.headers, sent_at));
    }
    tokens(spec, &object, asked, sent_at)
}

/// The answer as one object, from JSON or from a form (some send a form whatever `Accept` says).
pub(super) fn object(body: &[u8]) -> Result<Map<String, Value>, Trouble> {
    match body.trim_ascii_start().first() {
        Some(b'{') => match strict_json::parse(body) {
            Some(Value::Object(object)) => Ok(object),
            _ => Err(Trouble::Malformed),
        },
        Some(b'<') => Err(Trouble::Html),
        _ => form(body).ok_or(Trouble::Malformed),
    }
}

fn form(body: &[u8]) -> Option<Map<String, Value>> {
    let mut object = Map::new();
    for (key, value) in form_urlencoded::parse(body.trim_ascii()) {
        if object.insert(key.into_owned(), value.into_owned().into()).is_some() {
            return None;
        }
    }
    (object.contains_key("access_token") || object.contains_key("error")).then_some(object)
}

/// `error` and friends, if the object is a refusal.
pub(super) fn refusal(object: &Map<String, Value>) -> Option<Refusal> {
    let code = match object.get("error") {
        None | Some(Value::Null | Value::Bool(false)) => None,
        Some(Value::String(text)) if text.is_empty() => None,
        Some(Value::String(text)) => Some(ErrorCode::read(text)),
        Some(Value::Object(nested)) => {
            let text = ["code", "type", "status"].iter().find_map(|key| nested.get(*key)?.as_str());
            Some(ErrorCode::read(text.unwrap_or_default()))
        }
        Some(_) => Some(ErrorCode::read("")),
    };
    let refused = code.is_some() || object.get("ok") == Some(&Value::Bool(false));
    let suberror = object.get("suberror").and_then(Value::as_str).filter(|text| !text.is_empty());
    refused.then(|| Refusal { code, suberror: suberror.map(ErrorCode::read) })
}

fn tokens(
    spec: &ProviderSpec,
    object: &Map<String, Value>,
    asked: &ScopeSet,
    sent_at: Timestamp,
) -> Result<TokenSet, ProviderError> {
    let (refresh, access) = (token(object, "refresh_token"), token(object, "access_token"));
    let rest = || {
        let refresh = refresh.clone()?;
        let access = access.clone()?.ok_or("there is no access token")?;
        bearer(object)?;
        let access_expires_at = expiry(spec.expiry, object.get("expires_in"), sent_at)?;
        Ok(TokenSet { access, refresh, scopes: scopes(spec, object, asked)?, access_expires_at })
    };
    rest().map_err(|why| ProviderError::Protocol {
        why,
        rescued: refresh.clone().ok().flatten(),
        unusable: access.clone().ok().flatten(),
    })
}

fn token(object: &Map<String, Value>, name: &str) -> Result<Option<SecretString>, &'static str> {
    let text = match object.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text,
        Some(_) => return Err("a token is not a text"),
    };
    // RFC 6749 appendix A.12 and A.17 (VSCHAR), without the space that no header could carry safely.
    if text.bytes().any(|b| !b.is_ascii_graphic()) {
        return Err("a token has characters that no token has");
    }
    match text.len() {
        // Some say "no refresh token" with an empty text.
        0 if name == "refresh_token" => Ok(None),
        0 => Err("a token is empty"),
        1..=MAX_TOKEN => Ok(Some(text.clone().into())),
        _ => Err("a token is larger than 16 KiB"),
    }
}

fn bearer(object: &Map<String, Value>) -> Result<(), &'static str> {
    match object.get("token_type") {
        None | Some(Value::Null) => Ok(()),
        Some(Value::String(kind)) if kind.eq_ignore_ascii_case("bearer") => Ok(()),
        Some(_) => Err("the token is not a bearer token"),
    }
}

fn scopes(
    spec: &ProviderSpec,
    object: &Map<String, Value>,
    asked: &ScopeSet,
) -> Result<ScopeSet, &'static str> {
    let granted = match object.get("scope") {
        None | Some(Value::Null) => return Ok(asked.clone()),
        Some(Value::String(text)) => ScopeSet::split(text, spec.scope_separator),
        Some(Value::Array(items)) => {
            let texts: Option<Vec<_>> = items.iter().map(Value::as_str).collect();
            ScopeSet::parse(texts.ok_or("the scopes are not texts")?)
        }
        Some(_) => return Err("the scopes are not texts"),
    };
    Ok(granted.map_err(|_| "a scope is malformed, or there are too many")?.minus(&spec.technical_scopes))
}

fn expiry(
    rule: Expiry,
    given: Option<&Value>,
    sent_at: Timestamp,
) -> Result<Option<Timestamp>, &'static str> {
    let unusable = "expires_in is not a number of seconds";
    let seconds = match given {
        None | Some(Value::Null) => 0.0,
        Some(Value::Number(number)) => number.as_f64().ok_or(unusable)?,
        Some(Value::String(text)) if text.trim().is_empty() => 0.0,
        Some(Value::String(text)) => {
            text.trim().parse().ok().filter(|s: &f64| s.is_finite()).ok_or(unusable)?
        }
        Some(_) => return Err(unusable),
    };
    if seconds >= 1.0 {
        // The cast saturates, and ten years are far below where a float loses whole seconds.
        let life = (seconds as u64).min(LONGEST_LIFE);
        return Ok(Some(sent_at.plus(Duration::from_secs(life))));
    }
    Ok(match rule {
        Expiry::GivenOr(life) => Some(sent_at.plus(life)),
        Expiry::Never => None,
    })
}
