//! The same tokens before another verifier, jsonwebtoken on RustCrypto.
//!
//! It must never refuse what we accept. What it accepts and we refuse must be one of the rules it does not have:
//! `kid` (it is handed the key), duplicate members, depth and size bounds, `crit`, `typ`, `iat` (presence, type, future), lifetime, further
//! audiences and clients, times before 1970 or after 9999, JSON types of claims it does not look at, our bounds on `sub`, and security events.

use super::{
    issuer::Signer,
    world::{ISS, NOTES, World, notes, with},
};
use crate::domain::{Clock, SystemClock};
use crate::identity::{
    Algorithm, IdentityError, KeySource,
    TokenError::{self, *},
};
use jsonwebtoken::{Algorithm as Theirs, DecodingKey, Validation, decode};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::HashSet;

const ALGORITHMS: [(Algorithm, Theirs); 5] = [
    (Algorithm::Es256, Theirs::ES256),
    (Algorithm::Es384, Theirs::ES384),
    (Algorithm::Rs256, Theirs::RS256),
    (Algorithm::Ps256, Theirs::PS256),
    (Algorithm::EdDsa, Theirs::EdDSA),
];

/// Whether this rule is one that the other verifier does not have.
fn only_ours(error: &TokenError, claims: &Value) -> bool {
    match error {
        DuplicateMember | TooDeep | TooLarge | TooManyClaims | CriticalHeader | TypeNotAllowed
        | IssuedInFuture | LifetimeTooLong | AudienceExtra | ClientNotAccepted | UnknownKey => true,
        Malformed("a header parameter is not a string") => true,
        ClaimMissing(name) => name == "iat",
        ClaimInvalid(name) if name == "exp" || name == "nbf" => {
            claims[name].as_f64().is_some_and(|seconds| !(0.0..253_402_300_800.0).contains(&seconds))
        }
        ClaimInvalid(name) => ["iat", "sub", "auth_time", "azp", "client_id", "act", "jti", "name", "events"]
            .contains(&name.as_str()),
        _ => false,
    }
}

/// The other verifier's answer under the rules both have: key, algorithm, `iss`, `aud`, `exp`, `nbf`, `sub` present.
fn theirs(token: &str, jwk: &Value, algorithm: Theirs) -> Result<Value, jsonwebtoken::errors::Error> {
    let key = DecodingKey::from_jwk(&serde_json::from_value(jwk.clone()).unwrap())?;
    let mut rules = Validation::new(algorithm);
    rules.set_audience(&[NOTES]);
    rules.set_issuer(&[ISS]);
    rules.set_required_spec_claims(&["iss", "sub", "aud", "exp"]);
    rules.validate_nbf = true;
    rules.leeway = 60;
    decode::<Value>(token, &key, &rules).map(|data| data.claims)
}

fn signer(index: usize) -> Signer {
    let make: [fn(&'static str) -> Signer; 5] =
        [Signer::es256, Signer::es384, Signer::rs256, Signer::ps256, Signer::ed25519];
    make[index]("k")
}

/// Values that a claim should not have, and some that it may.
fn odd_value(now: i64) -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        // Away from the edges of the skew, since the two read the clock at different moments.
        prop::sample::select(vec![-4000i64, -30, 0, 30, 4000, 90_000]).prop_map(move |d| json!(now + d)),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|f| json!(f)),
        "[a-z]{0,6}".prop_map(Value::from),
        Just(json!(NOTES)),
        Just(json!([NOTES])),
        Just(json!([NOTES, "other"])),
        Just(json!(ISS)),
        Just(json!([])),
        Just(json!({})),
        (now - 90_000..now + 90_000)
            .prop_filter("edge", move |t| ((t - now).abs() - 60).abs() > 20)
            .prop_map(|t| json!(t.to_string())),
    ]
}

#[derive(Clone, Debug)]
enum Edit {
    Set(&'static str, Value),
    Remove(&'static str),
    Duplicate(&'static str),
    Header(&'static str, Value),
    Text(prop::sample::Index, u8),
}

fn edit(now: i64) -> impl Strategy<Value = Edit> {
    let names = ["iss", "sub", "aud", "exp", "iat", "nbf", "azp", "auth_time", "jti", "name", "events"];
    let name = prop::sample::select(names.to_vec());
    prop_oneof![
        4 => (name.clone(), odd_value(now)).prop_map(|(name, value)| Edit::Set(name, value)),
        1 => name.clone().prop_map(Edit::Remove),
        1 => name.prop_map(Edit::Duplicate),
        1 => (prop::sample::select(vec!["alg", "typ", "kid", "crit", "zip", "jku", "x5t", "cty"]), prop_oneof![
            Just(json!("none")), Just(json!("HS256")), Just(json!("ES256")), Just(json!("JWT")), Just(json!(["exp"])),
            Just(Value::Null),
        ]).prop_map(|(name, value)| Edit::Header(name, value)),
        1 => (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(i, b)| Edit::Text(i, b)),
    ]
}

fn build(signer: &Signer, now: i64, edits: &[Edit]) -> String {
    let mut claims = with(json!({ "iat": now - 10, "exp": now + 3000 }));
    let mut header = signer.header();
    let mut duplicates = String::new();
    for edit in edits {
        match edit {
            Edit::Set(name, value) => claims[*name] = value.clone(),
            Edit::Remove(name) => drop(claims.as_object_mut().unwrap().remove(*name)),
            Edit::Duplicate(name) => duplicates.push_str(&format!("{name:?}:{},", claims[*name])),
            Edit::Header(name, value) => header[*name] = value.clone(),
            Edit::Text(..) => {}
        }
    }
    let payload = claims.to_string().replacen('{', &format!("{{{duplicates}"), 1);
    let mut token = signer.raw(&header.to_string(), &payload).into_bytes();
    for edit in edits {
        if let Edit::Text(index, byte) = edit {
            *index.get_mut(&mut token) = *byte & 0x7f;
        }
    }
    String::from_utf8(token).unwrap()
}

fn compare(algorithm: usize, now: i64, edits: &[Edit]) {
    let signer = signer(algorithm);
    let keys = KeySource::Static(super::issuer::jwks(&[signer.jwk()]));
    let (ours, other) = ALGORITHMS[algorithm];
    let world = World::build(
        |spec| {
            spec.keys = keys;
            spec.algorithms = vec![ours];
            // The other verifier knows nothing of tenants, roles or clients.
            spec.broker_audience = None;
            spec.roles_claim = None;
            spec.further_audiences.clear();
        },
        vec![notes()],
    )
    .unwrap();
    world.clock.set_wall(SystemClock::default().now());
    let token = build(&signer, now, edits);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    match (runtime.block_on(world.assertion(&token)), theirs(&token, &signer.jwk(), other)) {
        (Ok(seen), Ok(claims)) => assert_eq!(claims["sub"], seen.subject().id.as_str()),
        (Ok(_), Err(error)) => panic!("accepted here, refused there ({error}): {token}"),
        (Err(IdentityError::Assertion(error)), Ok(claims)) => {
            assert!(only_ours(&error, &claims), "refused here for a rule that both have ({error}): {token}");
        }
        (Err(_), _) => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// Proves: ID1, ID3, ID4
    #[test]
    fn id3_a_second_verifier_agrees_on_every_rule_both_have(
        algorithm in 0usize..5,
        seeds in prop::collection::vec(edit(SystemClock::default().now().unix_seconds()), 0..3),
    ) {
        compare(algorithm, SystemClock::default().now().unix_seconds(), &seeds);
    }
}

/// The comparison is not empty: untouched tokens of every algorithm pass both, and a wrong signature neither.
///
/// Proves: ID3
#[test]
fn id3_both_verifiers_accept_right_tokens_of_every_algorithm() {
    let now = SystemClock::default().now().unix_seconds();
    let mut kinds = HashSet::new();
    for (index, (_, other)) in ALGORITHMS.iter().enumerate() {
        let (signer, stranger) = (signer(index), if index == 0 { Signer::es256("k") } else { signer(0) });
        let token = build(&signer, now, &[]);
        assert!(theirs(&token, &signer.jwk(), *other).is_ok());
        let mut wrong = stranger.jwk();
        wrong["alg"] = signer.alg.into();
        assert!(theirs(&token, &wrong, *other).is_err());
        compare(index, now, &[]);
        kinds.insert(signer.alg);
    }
    assert_eq!(kinds.len(), 5);
}
