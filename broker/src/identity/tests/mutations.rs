//! Random changes to right tokens: none is accepted.

use super::{
    issuer::{Signer, encode, jwks},
    world::{World, claims, with},
};
use crate::identity::{Algorithm, keys::KeySet};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use proptest::prelude::*;
use serde_json::json;

/// A change to a token's text.
#[derive(Clone, Debug)]
enum Change {
    Replace(prop::sample::Index, u8),
    Insert(prop::sample::Index, u8),
    Delete(prop::sample::Index),
    Truncate(prop::sample::Index),
    Repeat(prop::sample::Index, prop::sample::Index),
    FlipCase(prop::sample::Index),
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(i, b)| Change::Replace(i, b)),
        (at(), any::<u8>()).prop_map(|(i, b)| Change::Insert(i, b)),
        at().prop_map(Change::Delete),
        at().prop_map(Change::Truncate),
        (at(), at()).prop_map(|(i, j)| Change::Repeat(i, j)),
        at().prop_map(Change::FlipCase),
    ]
}

fn apply(mut bytes: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        if bytes.is_empty() {
            break;
        }
        match change {
            Change::Replace(i, byte) => *i.get_mut(&mut bytes) = *byte,
            Change::Insert(i, byte) => bytes.insert(i.index(bytes.len()), *byte),
            Change::Delete(i) => drop(bytes.remove(i.index(bytes.len()))),
            Change::Truncate(i) => bytes.truncate(i.index(bytes.len())),
            Change::Repeat(i, j) => {
                let (i, j) = (i.index(bytes.len()), j.index(bytes.len()));
                let piece = bytes[i.min(j)..i.max(j)].to_vec();
                bytes.splice(i..i, piece);
            }
            Change::FlipCase(i) => *i.get_mut(&mut bytes) ^= 0x20,
        }
    }
    bytes
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn tokens(world: &World) -> [String; 3] {
    let claims = with(json!({ "azp": "notes-client", "name": "Alice", "jti": "1" }));
    [world.es.token(&claims), world.ed.token(&claims), world.rsa.token(&claims)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Proves: ID1, ID3
    #[test]
    fn id3_no_random_change_to_a_tokens_text_is_accepted(changes in prop::collection::vec(change(), 1..4)) {
        let world = World::new();
        run(async {
            for token in tokens(&world) {
                let changed = apply(token.clone().into_bytes(), &changes);
                let Ok(changed) = String::from_utf8(changed) else { continue };
                let accepted = world.assertion(&changed).await.is_ok();
                assert_eq!(accepted, changed == token, "{changed}");
            }
        });
    }

    /// Proves: ID1, ID3
    #[test]
    fn id3_no_random_change_to_a_decoded_part_is_accepted(
        part in 0usize..3,
        changes in prop::collection::vec(change(), 1..4),
    ) {
        let world = World::new();
        run(async {
            for token in tokens(&world) {
                let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
                let decoded = URL_SAFE_NO_PAD.decode(&parts[part]).unwrap();
                parts[part] = encode(apply(decoded, &changes));
                let changed = parts.join(".");
                let accepted = world.assertion(&changed).await.is_ok();
                assert_eq!(accepted, changed == token, "{changed}");
            }
        });
    }

    /// Proves: ID7
    #[test]
    fn id7_a_changed_jwk_set_is_read_without_a_panic(changes in prop::collection::vec(change(), 1..6)) {
        let signers = [Signer::es256("a"), Signer::ed25519("b"), Signer::rs256("c")];
        let set = jwks(&signers.map(|signer| signer.jwk()));
        let Ok(read) = KeySet::parse(&apply(set, &changes), &Algorithm::ALL) else { return Ok(()) };
        let mut kids: Vec<_> = read.0.iter().filter_map(|key| key.kid.as_deref()).collect();
        kids.sort_unstable();
        prop_assert!(kids.windows(2).all(|pair| pair[0] != pair[1]));
    }

    /// Proves: ID5
    #[test]
    fn id5_arbitrary_text_is_refused_without_a_panic(text in ".{0,400}") {
        let world = World::new();
        run(async {
            assert!(world.assertion(&text).await.is_err());
            assert!(world.identity.workload(Some(&text)).await.is_err());
            let signed = world.es.raw(&world.es.header().to_string(), &text);
            assert!(world.assertion(&signed).await.is_err());
        });
    }
}

/// Proves: ID1, ID3
#[tokio::test]
async fn id3_no_reencoding_of_a_right_token_is_accepted() {
    let world = World::new();
    for token in tokens(&world) {
        let parts: Vec<&str> = token.split('.').collect();
        let bytes: Vec<Vec<u8>> = parts.iter().map(|part| URL_SAFE_NO_PAD.decode(part).unwrap()).collect();
        let standard = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
        let spaced = String::from_utf8(bytes[1].clone()).unwrap().replace(':', ": ");
        let header = String::from_utf8(bytes[0].clone()).unwrap().replace(',', " ,");
        for changed in [
            bytes.iter().map(|part| standard(part)).collect::<Vec<_>>().join("."),
            format!("{}.{}.{}", parts[0], encode(spaced), parts[2]),
            format!("{}.{}.{}", encode(header), parts[1], parts[2]),
            format!("{}.{}.{}", parts[1], parts[0], parts[2]),
            format!("{}.{}.{}", parts[0], parts[2], parts[1]),
            format!("{}\r\n", token),
            token.to_uppercase(),
            token.replace('.', "%2E"),
            format!(r#"{{"protected":"{}","payload":"{}","signature":"{}"}}"#, parts[0], parts[1], parts[2]),
        ] {
            assert!(world.assertion(&changed).await.is_err(), "{changed}");
        }
        assert!(world.assertion(&token).await.is_ok());
    }
    // A signature belongs to its own token.
    let (a, b) = (world.es.token(&claims()), world.es.token(&with(json!({ "sub": "bob" }))));
    let grafted = format!("{}{}", &a[..a.rfind('.').unwrap()], &b[b.rfind('.').unwrap()..]);
    world.refuses(&grafted, crate::identity::TokenError::BadSignature).await;
}
