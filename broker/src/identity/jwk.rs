//! JWK sets (RFC 7517), read strictly. A key that cannot be used is left out; a set that is ambiguous is refused whole.

use super::{
    Algorithm,
    json::{self, Json, Limits, Object},
    keys::{Key, KeySet, Public},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use std::collections::HashSet;

/// The largest document fetched from an issuer, in bytes.
pub(super) const MAX_DOCUMENT_BYTES: usize = 256 * 1024;
pub(super) const DOCUMENT_LIMITS: Limits = Limits { depth: 16, members: 512 };
const MAX_KEYS: usize = 100;

/// Why a JWK set is not usable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// Not a JSON object with an array `keys` of objects, or a name occurs twice.
    #[error("it is not a JWK set")]
    Malformed,
    /// More than 256 KiB or more than 100 keys.
    #[error("it is too large")]
    TooLarge,
    /// It has no key that could verify anything.
    #[error("it has no usable key")]
    Empty,
    /// Two usable keys have the same `kid`.
    #[error("two of its keys have the same kid")]
    DuplicateKid,
}

impl KeySet {
    /// Reads a set, keeping the keys whose algorithm is among `algorithms`.
    pub fn parse(bytes: &[u8], algorithms: &[Algorithm]) -> Result<Self, KeySetError> {
        if bytes.len() > MAX_DOCUMENT_BYTES {
            return Err(KeySetError::TooLarge);
        }
        let set = json::read_object(bytes, DOCUMENT_LIMITS).map_err(|_| KeySetError::Malformed)?;
        let Some(Json::Array(members)) = set.get("keys") else { return Err(KeySetError::Malformed) };
        if members.len() > MAX_KEYS {
            return Err(KeySetError::TooLarge);
        }
        let mut keys = Vec::new();
        for member in members {
            let Json::Object(jwk) = member else { return Err(KeySetError::Malformed) };
            keys.extend(read(jwk, algorithms));
        }
        let mut kids = HashSet::new();
        if keys.iter().filter_map(|key| key.kid.as_deref()).any(|kid| !kids.insert(kid)) {
            return Err(KeySetError::DuplicateKid);
        }
        Ok(Self(keys))
    }
}

/// The key, if it is a public signature key of an allowed algorithm.
fn read(jwk: &Object, algorithms: &[Algorithm]) -> Option<Key> {
    // A private key that is published is no longer anybody's.
    let private = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"].iter().any(|name| jwk.contains_key(*name));
    if private || !for_verifying(jwk) {
        return None;
    }
    let (fitting, public): (&[Algorithm], _) = match text(jwk, "kty")? {
        "RSA" => (&[Algorithm::Rs256, Algorithm::Ps256], rsa(jwk)?),
        "EC" => match text(jwk, "crv")? {
            "P-256" => (&[Algorithm::Es256], point(jwk, 32)?),
            "P-384" => (&[Algorithm::Es384], point(jwk, 48)?),
            _ => return None,
        },
        "OKP" if text(jwk, "crv")? == "Ed25519" => (&[Algorithm::EdDsa], Public::Bytes(sized(jwk, "x", 32)?)),
        _ => return None,
    };
    let algorithm = match jwk.get("alg") {
        Some(Json::String(alg)) => {
            Algorithm::parse(alg).filter(|a| fitting.contains(a) && algorithms.contains(a))?
        }
        Some(_) => return None,
        // The operator's order decides, not the token: an RSA key without `alg` gets the issuer's first RSA algorithm.
        None => *algorithms.iter().find(|a| fitting.contains(a))?,
    };
    let kid = match jwk.get("kid") {
        Some(Json::String(kid)) => Some(kid.clone()),
        Some(_) => return None,
        None => None,
    };
    Some(Key { kid, algorithm, public })
}

/// RFC 7517 §4.2, §4.3: absent means any use.
fn for_verifying(jwk: &Object) -> bool {
    let by_use = match jwk.get("use") {
        None => true,
        Some(value) => matches!(value, Json::String(u) if u == "sig"),
    };
    let by_operation = match jwk.get("key_ops") {
        None => true,
        Some(Json::Array(ops)) => ops.iter().any(|op| matches!(op, Json::String(op) if op == "verify")),
        Some(_) => false,
    };
    by_use && by_operation
}

fn rsa(jwk: &Object) -> Option<Public> {
    let (n, e) = (bytes(jwk, "n")?, bytes(jwk, "e")?);
    // RFC 7518 §6.3.1: no leading zero octets, so that the length is the size.
    let bits = n.len() * 8 - n.first()?.leading_zeros() as usize;
    let exponent =
        e.iter().try_fold(0u64, |sum, byte| sum.checked_mul(256)?.checked_add(u64::from(*byte)))?;
    let usable = (2048..=8192).contains(&bits)
        && n[0] != 0
        && e.first().is_some_and(|byte| *byte != 0)
        && exponent % 2 == 1
        && (65_537..1 << 33).contains(&exponent);
    usable.then_some(Public::Rsa { n, e })
}

/// An uncompressed point (SEC 1 §2.3.3); ring checks that it lies on the curve.
fn point(jwk: &Object, size: usize) -> Option<Public> {
    let (x, y) = (sized(jwk, "x", size)?, sized(jwk, "y", size)?);
    Some(Public::Bytes([&[4], &x[..], &y[..]].concat()))
}

fn text<'a>(jwk: &'a Object, name: &str) -> Option<&'a str> {
    match jwk.get(name)? {
        Json::String(text) => Some(text),
        _ => None,
    }
}

fn bytes(jwk: &Object, name: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text(jwk, name)?).ok()
}

fn sized(jwk: &Object, name: &str, size: usize) -> Option<Vec<u8>> {
    bytes(jwk, name).filter(|value| value.len() == size)
}
