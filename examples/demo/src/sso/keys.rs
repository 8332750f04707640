//! ES256 signing keys and their public side (RFC 7515, RFC 7517, RFC 7518 §3.4).

use data_encoding::BASE64URL_NOPAD;
use ring::digest::{SHA256, digest};
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};

use crate::random;

/// One P-256 key pair, made fresh; its id is the thumbprint of the public key (RFC 7638).
pub(super) struct SigningKey {
    pair: EcdsaKeyPair,
    id: String,
}

impl SigningKey {
    /// # Panics
    /// When the operating system has no randomness to give.
    pub(super) fn generate() -> SigningKey {
        let rng = random::system();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &rng)
            .expect("the operating system gives random bytes");
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &rng)
            .expect("a key just generated is well formed");
        let (x, y) = coordinates(&pair);
        let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        let id = BASE64URL_NOPAD.encode(digest(&SHA256, canonical.as_bytes()).as_ref());
        SigningKey { pair, id }
    }

    /// The `kid`.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// The public key as a JWK.
    pub(super) fn public_jwk(&self) -> Value {
        let (x, y) = coordinates(&self.pair);
        json!({ "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.id, "x": x, "y": y })
    }

    /// A JWS in compact form over exactly this header and these claims.
    ///
    /// # Panics
    /// When the operating system has no randomness to give.
    pub(super) fn sign(&self, header: &Value, claims: &Value) -> String {
        let header = BASE64URL_NOPAD.encode(header.to_string().as_bytes());
        let claims = BASE64URL_NOPAD.encode(claims.to_string().as_bytes());
        let message = format!("{header}.{claims}");
        let signature = self
            .pair
            .sign(&random::system(), message.as_bytes())
            .expect("the operating system gives random bytes");
        format!("{message}.{}", BASE64URL_NOPAD.encode(signature.as_ref()))
    }
}

/// The public point is 0x04, then X and Y of 32 bytes each.
fn coordinates(pair: &EcdsaKeyPair) -> (String, String) {
    let point = pair.public_key().as_ref();
    (BASE64URL_NOPAD.encode(&point[1..33]), BASE64URL_NOPAD.encode(&point[33..65]))
}
