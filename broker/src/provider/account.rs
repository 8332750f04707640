//! Whose account granted (CO11).

use super::{ErrorCode, ProviderError, Trouble, refusal, strict_json, token_response};
use crate::{
    domain::{Account, ExposeSecret, ProviderSpec, SecretString, Timestamp, provider::AccountLookup},
    net::{Request, Response},
};
use http::{
    HeaderMap, HeaderValue, Method, StatusCode,
    header::{ACCEPT, AUTHORIZATION},
};
use serde_json::Value;

/// Longest account id, in bytes.
const MAX_ID: usize = 256;
/// Longest label, in characters; what is longer is cut.
const MAX_LABEL: usize = 128;

/// GET with the access token as bearer (RFC 6750 §2.1).
pub(super) fn request(spec: &ProviderSpec, access_token: &SecretString) -> Result<Request, ProviderError> {
    let mut bearer = HeaderValue::from_str(&format!("Bearer {}", access_token.expose_secret()))
        .map_err(|_| ProviderError::protocol("the access token fits into no header"))?;
    bearer.set_sensitive(true);
    let headers = HeaderMap::from_iter([
        (AUTHORIZATION, bearer),
        (ACCEPT, HeaderValue::from_static("application/json")),
    ]);
    Ok(Request { method: Method::GET, url: spec.account.url.clone(), headers, body: Vec::new() })
}

/// Reads the account from the answer.
pub(super) fn read(
    lookup: &AccountLookup,
    response: &Response,
    now: Timestamp,
) -> Result<Account, ProviderError> {
    if let Some(error) = refusal::by_status(response.status, &response.headers, now) {
        return Err(error);
    }
    if !response.status.is_success() {
        let code =
            if response.status == StatusCode::UNAUTHORIZED { "invalid_token" } else { "account_lookup" };
        return Err(ProviderError::Refused(ErrorCode::read(code)));
    }
    if response.body.trim_ascii_start().first() == Some(&b'<') {
        return Err(ProviderError::unavailable(Trouble::Html));
    }
    let answer = strict_json::parse(&response.body).ok_or(ProviderError::unavailable(Trouble::Malformed))?;
    if let Some(said) = answer.as_object().and_then(token_response::refusal) {
        return Err(refusal::classify(response.status, said, &response.headers, now));
    }
    let id = answer.pointer(&lookup.id_pointer).and_then(text).filter(|id| is_id(id));
    let id = id.ok_or(ProviderError::protocol("the account has no usable id"))?;
    let label = answer.pointer(&lookup.label_pointer).and_then(text).map(|label| clean(&label));
    let label = label.filter(|label| !label.is_empty()).unwrap_or_else(|| clean(&id));
    Ok(Account { id, label })
}

/// A text or an integer. A fraction or an integer beyond 64 bits would not come through unchanged.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) if !number.is_f64() => Some(number.to_string()),
        _ => None,
    }
}

/// An id is compared, so it is taken as it is or not at all.
fn is_id(id: &str) -> bool {
    (1..=MAX_ID).contains(&id.len()) && !id.chars().any(is_deceptive)
}

/// A label is shown, so what could deceive the eye is taken out.
fn clean(label: &str) -> String {
    let shown: String = label.chars().filter(|c| !is_deceptive(*c)).take(MAX_LABEL).collect();
    shown.trim().to_owned()
}

/// Controls, bidirectional controls and invisible characters.
fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}
