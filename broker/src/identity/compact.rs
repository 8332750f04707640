//! JWS compact serialization (RFC 7515 §7.1), read strictly: what two readers could read differently is refused.

use super::{
    TokenError,
    json::{self, Json, JsonFault, Limits, Object},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

/// The longest token that is looked at, in bytes (ID5).
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;

const LIMITS: Limits = Limits { depth: 16, members: 64 };
const MAX_KID_BYTES: usize = 256;

/// A well-formed token. Nothing in it is to be believed.
pub(super) struct UnverifiedToken<'t> {
    pub(super) signing_input: &'t [u8],
    pub(super) signature: Vec<u8>,
    pub(super) header: Header,
    pub(super) claims: Object,
}

/// Registered header parameters that are strings (RFC 7515 §4.1, RFC 7516 §4.1). Those of no use here must still be
/// well-formed: a header that another reader would refuse is not accepted.
const TEXTS: [&str; 11] = ["alg", "kid", "typ", "cty", "jku", "x5u", "x5t", "x5t#S256", "enc", "zip", "url"];
const NOT_TEXT: TokenError = TokenError::Malformed("a header parameter is not a string");

/// The header parameters that are used. Keys that come with the token (`jwk`, `jku`, `x5u`, `x5c`) never are.
pub(super) struct Header {
    pub alg: String,
    pub kid: Option<String>,
    pub typ: Option<String>,
}

impl<'t> UnverifiedToken<'t> {
    /// Parses a token: at most [`MAX_TOKEN_BYTES`], three canonical base64url parts, header and payload JSON objects
    /// of depth ≤ 16 with ≤ 64 members, no duplicate names, no `crit`.
    ///
    /// # Errors
    /// The [`TokenError`] of the first rule broken.
    pub fn parse(token: &'t str) -> Result<Self, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::TooLarge);
        }
        let (header, payload, signature) = split(token)?;
        let signing_input = &token.as_bytes()[..header.len() + 1 + payload.len()];
        let header = Header::read(&object(header)?)?;
        Ok(Self { signing_input, signature: decode(signature)?, header, claims: object(payload)? })
    }

    /// The claimed `iss`, for choosing among the configured issuers and nothing else.
    pub(super) fn claimed_issuer(&self) -> Result<&str, TokenError> {
        match self.claims.get("iss") {
            Some(Json::String(iss)) => Ok(iss),
            Some(_) => Err(TokenError::claim_invalid("iss")),
            None => Err(TokenError::claim_missing("iss")),
        }
    }
}

impl Header {
    fn read(object: &Object) -> Result<Self, TokenError> {
        // No extension is understood, so none may be critical (RFC 7515 §4.1.11); an empty list is malformed too.
        if object.contains_key("crit") {
            return Err(TokenError::CriticalHeader);
        }
        if TEXTS.iter().any(|name| !matches!(object.get(*name), None | Some(Json::String(_)))) {
            return Err(NOT_TEXT);
        }
        let certificates = match object.get("x5c") {
            None => true,
            Some(Json::Array(items)) => items.iter().all(|item| matches!(item, Json::String(_))),
            Some(_) => false,
        };
        if !certificates || !matches!(object.get("jwk"), None | Some(Json::Object(_))) {
            return Err(TokenError::Malformed("a header parameter has the wrong type"));
        }
        let text = |name: &str| match object.get(name) {
            Some(Json::String(value)) => Some(value.clone()),
            _ => None,
        };
        let alg = text("alg").ok_or(TokenError::Malformed("the header names no algorithm"))?;
        let kid = text("kid");
        if kid.as_ref().is_some_and(|kid| kid.is_empty() || kid.len() > MAX_KID_BYTES) {
            return Err(TokenError::Malformed("the header's key id is empty or too long"));
        }
        Ok(Self { alg, kid, typ: text("typ") })
    }
}

fn split(token: &str) -> Result<(&str, &str, &str), TokenError> {
    let mut parts = token.split('.');
    match (parts.next(), parts.next(), parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(header), Some(payload), Some(signature), None, ..) => Ok((header, payload, signature)),
        // Five parts are a JWE (RFC 7516 §7.1): worth its own answer, the IdP is configured to encrypt.
        (.., Some(_), None) => Err(TokenError::Encrypted),
        _ => Err(TokenError::Malformed("it does not have three parts")),
    }
}

fn object(part: &str) -> Result<Object, TokenError> {
    json::read_object(&decode(part)?, LIMITS).map_err(|fault| match fault {
        JsonFault::Malformed => TokenError::Malformed("a part is not a JSON object"),
        JsonFault::Duplicate => TokenError::DuplicateMember,
        JsonFault::TooDeep => TokenError::TooDeep,
        JsonFault::TooMany => TokenError::TooManyClaims,
    })
}

// The engine refuses padding, white space, the other alphabet and non-zero trailing bits, so a value has one spelling.
fn decode(part: &str) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Malformed("a part is not canonical base64url"))
}
