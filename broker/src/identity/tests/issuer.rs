//! A small identity provider: keys, a JWK set, and tokens of any shape.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    rand::SystemRandom,
    rsa,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
        EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    },
};
use serde_json::{Value, json};

pub const RSA_2048: &[u8] = include_bytes!("keys/rsa-2048.test-only.der");
pub const RSA_1024: &[u8] = include_bytes!("keys/rsa-1024.test-only.der");

pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[expect(clippy::disallowed_methods, reason = "ring signs with its own generator only")]
fn random() -> SystemRandom {
    SystemRandom::new()
}

enum Pair {
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
    Rsa(rsa::KeyPair, bool),
}

/// A key that signs.
pub struct Signer {
    pub kid: &'static str,
    pub alg: &'static str,
    pair: Pair,
}

impl Signer {
    pub fn es256(kid: &'static str) -> Self {
        Self { kid, alg: "ES256", pair: Pair::Ec(ec(&ECDSA_P256_SHA256_FIXED_SIGNING)) }
    }

    pub fn es384(kid: &'static str) -> Self {
        Self { kid, alg: "ES384", pair: Pair::Ec(ec(&ECDSA_P384_SHA384_FIXED_SIGNING)) }
    }

    pub fn ed25519(kid: &'static str) -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&random()).unwrap();
        Self { kid, alg: "EdDSA", pair: Pair::Ed(Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap()) }
    }

    pub fn rs256(kid: &'static str) -> Self {
        Self { kid, alg: "RS256", pair: Pair::Rsa(rsa::KeyPair::from_der(RSA_2048).unwrap(), false) }
    }

    pub fn ps256(kid: &'static str) -> Self {
        Self { kid, alg: "PS256", pair: Pair::Rsa(rsa::KeyPair::from_der(RSA_2048).unwrap(), true) }
    }

    /// The public half.
    pub fn jwk(&self) -> Value {
        let mut jwk = match &self.pair {
            Pair::Ec(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(pair.public_key().as_ref().len() / 2);
                let crv = if x.len() == 32 { "P-256" } else { "P-384" };
                json!({ "kty": "EC", "crv": crv, "x": encode(x), "y": encode(y) })
            }
            Pair::Ed(pair) => json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key()) }),
            Pair::Rsa(pair, _) => {
                let public = rsa::PublicKeyComponents::<Vec<u8>>::from(pair.public());
                json!({ "kty": "RSA", "n": encode(public.n), "e": encode(public.e) })
            }
        };
        jwk["kid"] = self.kid.into();
        jwk["alg"] = self.alg.into();
        jwk["use"] = "sig".into();
        jwk
    }

    pub fn signature(&self, input: &[u8]) -> Vec<u8> {
        match &self.pair {
            Pair::Ec(pair) => pair.sign(&random(), input).unwrap().as_ref().to_vec(),
            Pair::Ed(pair) => pair.sign(input).as_ref().to_vec(),
            Pair::Rsa(pair, pss) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                let padding: &dyn ring::signature::RsaEncoding =
                    if *pss { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
                pair.sign(padding, &random(), input, &mut signature).unwrap();
                signature
            }
        }
    }

    /// A token of exactly this header and payload text.
    pub fn raw(&self, header: &str, payload: &str) -> String {
        let input = format!("{}.{}", encode(header), encode(payload));
        let signature = encode(self.signature(input.as_bytes()));
        format!("{input}.{signature}")
    }

    pub fn header(&self) -> Value {
        json!({ "alg": self.alg, "kid": self.kid, "typ": "JWT" })
    }

    pub fn token(&self, claims: &Value) -> String {
        self.raw(&self.header().to_string(), &claims.to_string())
    }
}

fn ec(algorithm: &'static EcdsaSigningAlgorithm) -> EcdsaKeyPair {
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random()).unwrap();
    EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random()).unwrap()
}

pub fn jwks(keys: &[Value]) -> Vec<u8> {
    json!({ "keys": keys }).to_string().into_bytes()
}
