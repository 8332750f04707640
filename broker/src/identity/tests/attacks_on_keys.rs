//! Tokens signed with something else than their issuer's key.

use super::{
    issuer::{RSA_1024, Signer, encode, jwks},
    world::{World, claims, notes},
};
use crate::identity::{
    Algorithm, IdentityConfigError, KeySetError, KeySource,
    TokenError::{self, *},
    jwk,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::hmac;
use serde_json::{Value, json};

fn header(changes: Value) -> String {
    let mut header = json!({ "alg": "ES256", "kid": "es", "typ": "JWT" });
    header.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    header.to_string()
}

/// A token with this header, signed by the SSO's ES256 key.
async fn refuses(changes: Value, error: TokenError) {
    let world = World::new();
    world.refuses(&world.es.raw(&header(changes), &claims().to_string()), error).await;
}

fn only_static(keys: &[Value], algorithms: &[Algorithm]) -> World {
    let change = |spec: &mut crate::identity::IssuerSpec| {
        spec.keys = KeySource::Static(jwks(keys));
        spec.algorithms = algorithms.to_vec();
    };
    World::build(change, vec![notes()]).unwrap()
}

/// Proves: ID3
#[tokio::test]
async fn id3_every_configured_algorithm_is_accepted() {
    let world = World::new();
    for signer in [&world.es, &world.ed, &world.rsa] {
        assert!(world.assertion(&signer.token(&claims())).await.is_ok(), "{}", signer.alg);
    }
    let (es384, ps256) = (Signer::es384("p384"), Signer::ps256("pss"));
    let world = only_static(&[es384.jwk(), ps256.jwk()], &[Algorithm::Es384, Algorithm::Ps256]);
    for signer in [&es384, &ps256] {
        assert!(world.assertion(&signer.token(&claims())).await.is_ok(), "{}", signer.alg);
    }
}

/// Proves: ID3
#[tokio::test]
async fn id3_alg_none_is_refused_in_every_spelling() {
    let world = World::new();
    for alg in ["none", "None", "NONE", ""] {
        let unsigned = format!("{}.{}.", encode(header(json!({ "alg": alg }))), encode(claims().to_string()));
        world.refuses(&unsigned, AlgorithmNotAllowed).await;
    }
    refuses(json!({ "alg": null }), Malformed("a header parameter is not a string")).await;
    let nameless = world.es.raw(r#"{"kid":"es"}"#, &claims().to_string());
    world.refuses(&nameless, Malformed("the header names no algorithm")).await;
}

/// Proves: ID3
#[tokio::test]
async fn id3_hs256_keyed_with_the_public_rsa_key_is_refused() {
    let world = World::new();
    let public = world.rsa.jwk()["n"].as_str().unwrap().to_owned();
    let input = format!(
        "{}.{}",
        encode(header(json!({ "alg": "HS256", "kid": "rsa" }))),
        encode(claims().to_string())
    );
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, public.as_bytes()), input.as_bytes());
    world.refuses(&format!("{input}.{}", encode(tag)), AlgorithmNotAllowed).await;
}

/// Proves: ID3
#[tokio::test]
async fn id3_an_algorithm_that_is_not_configured_is_refused() {
    let world = World::new();
    let pss = Signer::ps256("rsa");
    world.refuses(&pss.token(&claims()), AlgorithmNotAllowed).await;
    refuses(json!({ "alg": "es256" }), AlgorithmNotAllowed).await;
    refuses(json!({ "alg": "ES256K" }), AlgorithmNotAllowed).await;
}

/// Proves: ID3
#[tokio::test]
async fn id3_swapping_the_alg_of_a_key_is_refused() {
    refuses(json!({ "alg": "RS256" }), AlgorithmMismatch).await;
    refuses(json!({ "kid": "rsa" }), AlgorithmMismatch).await;
    refuses(json!({ "alg": "RS256", "kid": "rsa" }), BadSignature).await;
}

/// Proves: ID3
#[tokio::test]
async fn id3_an_rsa_key_without_alg_gets_the_operators_first_not_the_tokens() {
    let pss = Signer::ps256("rsa");
    let pkcs1 = Signer::rs256("rsa");
    let mut jwk = pkcs1.jwk();
    jwk.as_object_mut().unwrap().remove("alg");
    let world = only_static(&[jwk], &[Algorithm::Rs256, Algorithm::Ps256]);
    assert!(world.assertion(&pkcs1.token(&claims())).await.is_ok());
    world.refuses(&pss.token(&claims()), AlgorithmMismatch).await;
}

/// Proves: ID3
#[tokio::test]
async fn id3_injected_kids_find_no_key() {
    for kid in ["../../etc/passwd", "es' OR '1'='1", "ES", "es\0", "es ", "https://evil.example/key"] {
        refuses(json!({ "kid": kid }), UnknownKey).await;
    }
    let bad = Malformed("the header's key id is empty or too long");
    refuses(json!({ "kid": "" }), bad.clone()).await;
    refuses(json!({ "kid": "k".repeat(257) }), bad).await;
    for changes in [json!({ "jwk": "k" }), json!({ "x5c": [1] }), json!({ "x5c": "c" })] {
        refuses(changes, Malformed("a header parameter has the wrong type")).await;
    }
    refuses(json!({ "jku": 1 }), Malformed("a header parameter is not a string")).await;
    refuses(json!({ "kid": ["es"] }), Malformed("a header parameter is not a string")).await;
}

/// Proves: ID3, NE3
#[tokio::test]
async fn id3_keys_in_the_header_are_ignored() {
    let world = World::new();
    let thief = Signer::es256("es");
    let own = json!({ "jwk": thief.jwk(), "jku": "https://evil.example/jwks", "x5u": "https://evil.example/c",
        "x5c": ["MIIB"] });
    world.refuses(&thief.raw(&header(own.clone()), &claims().to_string()), BadSignature).await;
    // And they do no harm beside the right signature.
    assert!(world.assertion(&world.es.raw(&header(own), &claims().to_string())).await.is_ok());
}

/// Proves: ID3
#[tokio::test]
async fn id3_an_empty_short_or_foreign_signature_is_refused() {
    let world = World::new();
    let token = world.es.token(&claims());
    let input = &token[..token.rfind('.').unwrap()];
    let right = world.es.signature(input.as_bytes());
    for bad in
        [&[][..], &right[..63], &[&right[..], &[0]].concat(), &[0; 64], &world.ed.signature(input.as_bytes())]
    {
        world.refuses(&format!("{input}.{}", encode(bad)), BadSignature).await;
    }
}

/// The order of P-256 (SEC 2 §2.4.2).
const ORDER: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";

/// Every ECDSA signature (r, s) has a twin (r, n − s) that anyone can compute, and JOSE allows both: the twin is the
/// same assertion under another hash, and no more than that.
///
/// Proves: ID3, ID10
#[tokio::test]
async fn id3_the_twin_of_an_ecdsa_signature_gains_nothing() {
    let world = World::new();
    let token = world.es.token(&claims());
    let input = &token[..token.rfind('.').unwrap()];
    let mut twin = URL_SAFE_NO_PAD.decode(&token[input.len() + 1..]).unwrap();
    let order = data_encoding::HEXLOWER.decode(ORDER.as_bytes()).unwrap();
    let mut borrow = 0i16;
    for (digit, from) in twin[32..].iter_mut().zip(order).rev() {
        let difference = i16::from(from) - i16::from(*digit) - borrow;
        borrow = i16::from(difference < 0);
        *digit = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
    let twin = format!("{input}.{}", encode(twin));
    let (seen, again) = (world.assertion(&token).await.unwrap(), world.assertion(&twin).await.unwrap());
    assert_ne!(seen.sha256(), again.sha256());
    assert_eq!((seen.subject(), seen.expires_at()), (again.subject(), again.expires_at()));
    let elsewhere = world.identity.assertion(&twin, &world.mail().await).await;
    assert_eq!(elsewhere.err(), Some(crate::identity::IdentityError::Assertion(AudienceNotAccepted)));
}

/// Proves: ID3
#[tokio::test]
async fn id3_a_der_encoded_ecdsa_signature_is_refused() {
    let world = World::new();
    let input = format!("{}.{}", encode(header(json!({}))), encode(claims().to_string()));
    let raw = world.es.signature(input.as_bytes());
    let integer = |half: &[u8]| {
        let digits: Vec<u8> = std::iter::once(0).chain(half.iter().copied()).collect();
        [&[2, u8::try_from(digits.len()).unwrap()], &digits[..]].concat()
    };
    let body = [integer(&raw[..32]), integer(&raw[32..])].concat();
    let der = [&[0x30, u8::try_from(body.len()).unwrap()], &body[..]].concat();
    world.refuses(&format!("{input}.{}", encode(der)), BadSignature).await;
}

/// Proves: ID3
#[tokio::test]
async fn id3_a_key_of_another_curve_under_the_same_kid_is_refused() {
    let world = World::new();
    let p384 = Signer::es384("es");
    world.refuses(&p384.raw(&header(json!({})), &claims().to_string()), BadSignature).await;
    world.refuses(&p384.token(&claims()), AlgorithmNotAllowed).await;
}

/// Proves: ID3
#[tokio::test]
async fn id3_an_rsa_key_of_1024_bits_verifies_nothing() {
    let signer = jsonwebtoken::EncodingKey::from_rsa_der(RSA_1024);
    let small = jsonwebtoken::jwk::Jwk::from_encoding_key(&signer, jsonwebtoken::Algorithm::RS256).unwrap();
    let mut small = serde_json::to_value(small).unwrap();
    small["kid"] = "small".into();
    assert!(small["n"].as_str().unwrap().len() < 180);
    let es = Signer::es256("es");
    let world = only_static(&[es.jwk(), small.clone()], &[Algorithm::Es256, Algorithm::Rs256]);
    let mut head = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::RS256);
    head.kid = Some("small".to_owned());
    let token = jsonwebtoken::encode(&head, &claims(), &signer).unwrap();
    world.refuses(&token, UnknownKey).await;
    assert_eq!(jwk_set(&[small], &[Algorithm::Rs256]), Ok(0));
}

/// Proves: ID3
#[tokio::test]
async fn id3_a_token_without_kid_needs_exactly_one_fitting_key() {
    let (one, two) = (Signer::es256("one"), Signer::es256("two"));
    let token = |signer: &Signer| signer.raw(r#"{"alg":"ES256"}"#, &claims().to_string());
    let world = only_static(&[one.jwk()], &[Algorithm::Es256]);
    assert!(world.assertion(&token(&one)).await.is_ok());
    world.refuses(&token(&two), BadSignature).await;
    let world = only_static(&[one.jwk(), two.jwk()], &[Algorithm::Es256]);
    world.refuses(&token(&one), AmbiguousKey).await;
}

fn jwk_set(keys: &[Value], algorithms: &[Algorithm]) -> Result<usize, KeySetError> {
    crate::identity::keys::KeySet::parse(&jwks(keys), algorithms).map(|set| set.0.len())
}

/// Proves: ID3, ID7
#[test]
fn id3_unusable_keys_are_left_out_of_a_set() {
    let all = Algorithm::ALL;
    let (es, rsa, ed) = (Signer::es256("a"), Signer::rs256("b"), Signer::ed25519("c"));
    let changed = |jwk: Value, name: &str, value: Value| {
        let mut jwk = jwk;
        jwk[name] = value;
        jwk
    };
    assert_eq!(jwk_set(&[es.jwk(), rsa.jwk(), ed.jwk()], &all), Ok(3));
    let leading_zero = encode([&[0][..], &[0x81; 256]].concat());
    for bad in [
        changed(es.jwk(), "use", "enc".into()),
        changed(es.jwk(), "use", Value::Null),
        changed(es.jwk(), "key_ops", json!(["sign"])),
        changed(es.jwk(), "key_ops", json!("verify")),
        changed(es.jwk(), "alg", "ES384".into()),
        changed(es.jwk(), "alg", "HS256".into()),
        changed(es.jwk(), "crv", "secp256k1".into()),
        changed(es.jwk(), "x", encode([1; 31]).into()),
        changed(es.jwk(), "d", encode([1; 32]).into()),
        changed(es.jwk(), "kid", 7.into()),
        changed(ed.jwk(), "crv", "X25519".into()),
        changed(rsa.jwk(), "n", leading_zero.into()),
        changed(rsa.jwk(), "n", encode([0x81; 1025]).into()),
        changed(rsa.jwk(), "n", "".into()),
        changed(rsa.jwk(), "e", "Aw".into()),
        changed(rsa.jwk(), "e", "AQAC".into()),
        changed(rsa.jwk(), "e", format!("{}=", rsa.jwk()["e"].as_str().unwrap()).into()),
        json!({ "kty": "oct", "k": encode([1; 32]), "alg": "HS256", "kid": "s" }),
        json!({}),
    ] {
        assert_eq!(jwk_set(std::slice::from_ref(&bad), &all), Ok(0), "{bad}");
    }
    assert_eq!(jwk_set(&[es.jwk()], &[Algorithm::EdDsa]), Ok(0));
}

/// Proves: ID3, ID7
#[test]
fn id7_ambiguous_or_malformed_sets_are_refused_whole() {
    let (one, two) = (Signer::es256("same"), Signer::ed25519("same"));
    assert_eq!(jwk_set(&[one.jwk(), two.jwk()], &Algorithm::ALL), Err(KeySetError::DuplicateKid));
    assert_eq!(jwk_set(&vec![json!({}); 101], &Algorithm::ALL), Err(KeySetError::TooLarge));
    assert_eq!(jwk_set(&[json!(1)], &Algorithm::ALL), Err(KeySetError::Malformed));
    let parse =
        |bytes: &[u8]| crate::identity::keys::KeySet::parse(bytes, &Algorithm::ALL).map(|set| set.0.len());
    for bad in [&b"<html>"[..], b"", b"[]", b"{}", br#"{"keys":{}}"#, br#"{"keys":[],"keys":[]}"#] {
        assert_eq!(parse(bad), Err(KeySetError::Malformed));
    }
    assert_eq!(parse(&vec![b' '; jwk::MAX_DOCUMENT_BYTES + 1]), Err(KeySetError::TooLarge));
    let empty = World::build(|spec| spec.keys = KeySource::Static(jwks(&[])), vec![]).err();
    let problem = KeySetError::Empty;
    assert_eq!(empty, Some(IdentityConfigError::StaticKeys { issuer: "sso".to_owned(), problem }));
}
