//! Fetched keys: discovery, rotation, outages and storms (ID7, NE3).

use super::{
    issuer::{Signer, jwks},
    world::{ISS, NOW, claims, notes, sso, with},
};
use crate::domain::{ManualClock, Timestamp};
use crate::identity::{
    Cost, Fetch, FetchError, Identity, IdentityError, IssuerSpec, KeySource, TokenError, TokenError::*,
    VerifiedWorkload,
};
use async_trait::async_trait;
use serde_json::json;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::Semaphore;
use url::Url;

const METADATA: &str = "https://sso.example.com/.well-known/openid-configuration";
const JWKS: &str = "https://keys.example.com/jwks";

/// Answers by address, counts, and can hold answers back.
struct Web {
    pages: Mutex<HashMap<String, Result<Vec<u8>, FetchError>>>,
    asked: Mutex<Vec<String>>,
    gate: Semaphore,
}

#[async_trait]
impl Fetch for Web {
    async fn get_json(&self, url: &Url, max_bytes: usize) -> Result<Vec<u8>, FetchError> {
        self.asked.lock().unwrap().push(url.to_string());
        drop(self.gate.acquire().await.unwrap());
        assert_eq!(max_bytes, 256 * 1024);
        self.pages.lock().unwrap().get(url.as_str()).cloned().unwrap_or(Err(FetchError::Status(404)))
    }
}

struct Net {
    web: Arc<Web>,
    clock: Arc<ManualClock>,
    identity: Arc<Identity>,
    notes: VerifiedWorkload,
}

impl Net {
    async fn new(change: impl FnOnce(&mut IssuerSpec)) -> Self {
        let web =
            Arc::new(Web { pages: Mutex::default(), asked: Mutex::default(), gate: Semaphore::new(100) });
        let clock = Arc::new(ManualClock::at(Timestamp::from_unix_seconds(NOW)));
        let mut spec = sso(&[]);
        spec.keys = KeySource::Discovery;
        change(&mut spec);
        let fetch: Arc<dyn Fetch> = web.clone();
        let fetchers = BTreeMap::from([("sso".to_owned(), fetch)]);
        let identity = Identity::new(vec![spec], vec![notes()], &fetchers, clock.clone()).unwrap();
        let secret = "Bearer bws_notes-notes-notes-notes-notes-notes-notes-n";
        let notes = identity.workload(Some(secret)).await.unwrap();
        let net = Self { web, clock, identity: Arc::new(identity), notes };
        net.serve(METADATA, json!({ "issuer": ISS, "jwks_uri": JWKS }).to_string().into_bytes());
        net
    }

    fn serve(&self, url: &str, body: Vec<u8>) {
        self.web.pages.lock().unwrap().insert(url.to_owned(), Ok(body));
    }

    fn break_down(&self, url: &str) {
        let down = FetchError::Unreachable("connection refused".to_owned());
        self.web.pages.lock().unwrap().insert(url.to_owned(), Err(down));
    }

    fn publish(&self, keys: &[&Signer]) {
        self.serve(JWKS, jwks(&keys.iter().map(|key| key.jwk()).collect::<Vec<_>>()));
    }

    fn fetches(&self) -> usize {
        self.web.asked.lock().unwrap().iter().filter(|url| *url == JWKS).count()
    }

    async fn check(&self, token: &str) -> Result<(), TokenError> {
        match self.identity.assertion(token, &self.notes).await {
            Ok(_) => Ok(()),
            Err(IdentityError::Assertion(error)) => Err(error),
            Err(other) => panic!("{other}"),
        }
    }

    /// Lets the background fetch that was begun come to its end: this runtime has one thread, and nothing the fetch
    /// does from here on waits for anything but a turn.
    async fn settle(&self, fetches: usize) {
        while self.fetches() < fetches {
            tokio::task::yield_now().await;
        }
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }
}

fn long_lived() -> serde_json::Value {
    with(json!({ "exp": NOW + 80_000 }))
}

const SECONDS: fn(u64) -> Duration = Duration::from_secs;

/// Proves: ID7
#[tokio::test]
async fn id7_keys_are_discovered_once_and_kept() {
    let (net, key) = (Net::new(|_| {}).await, Signer::es256("k"));
    net.publish(&[&key]);
    for sub in ["alice", "bob", "carol"] {
        assert_eq!(net.check(&key.token(&with(json!({ "sub": sub })))).await, Ok(()));
    }
    assert_eq!(*net.web.asked.lock().unwrap(), [METADATA, JWKS]);
}

/// Proves: AV1
#[tokio::test]
async fn av1_what_a_verification_takes_is_told_beforehand() {
    let (net, key, other) = (Net::new(|_| {}).await, Signer::es256("k"), Signer::es256("k2"));
    net.publish(&[&key]);
    let token = key.token(&long_lived());
    assert_eq!(net.identity.cost_of_token(&token), Cost::Fetch(0), "no keys yet");
    assert_eq!(net.check(&token).await, Ok(()));
    assert_eq!(net.identity.cost_of_token(&token), Cost::Hash, "remembered");
    let shown = |token: &str| net.identity.cost_of_credential(Some(&format!("Bearer {token}")));
    assert_eq!(shown(&key.token(&with(json!({ "sub": "bob" })))), Cost::Signature);
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (start, end) = signature.split_at(1);
    let other_start = if start == "A" { "B" } else { "A" };
    assert_eq!(shown(&format!("{signed}.{other_start}{end}")), Cost::Signature);
    assert_eq!(shown(&other.token(&claims())), Cost::Fetch(0), "a key that may have been published since");
    let elsewhere = key.token(&with(json!({ "iss": "https://elsewhere.example" })));
    for cheap in ["", "x", "a.b.c", "bws_notes", signed, &elsewhere, &"x".repeat(20_000)] {
        assert_eq!(shown(cheap), Cost::Hash, "{cheap:.40}");
    }
    assert_eq!(net.identity.cost_of_credential(None), Cost::Hash);
    // The issuer has changed its keys, and later its keys are too old.
    net.publish(&[&key, &other]);
    net.clock.advance(SECONDS(3600));
    assert_eq!(net.check(&other.token(&long_lived())).await, Ok(()));
    assert_eq!(net.identity.cost_of_token(&token), Cost::Signature, "remembered under other keys");
    net.clock.advance(SECONDS(200_000));
    assert_eq!(net.identity.cost_of_token(&token), Cost::Fetch(0));
}

/// Proves: ID7
#[tokio::test]
async fn id7_warming_fetches_and_names_who_is_unavailable() {
    let (net, key) = (Net::new(|_| {}).await, Signer::es256("k"));
    assert_eq!(net.identity.warm().await, ["sso"]);
    net.publish(&[&key]);
    net.clock.advance(SECONDS(5));
    assert!(net.identity.warm().await.is_empty());
    let asked = net.web.asked.lock().unwrap().len();
    assert_eq!(net.check(&key.token(&claims())).await, Ok(()));
    assert_eq!(net.web.asked.lock().unwrap().len(), asked);
}

/// Proves: ID7
#[tokio::test]
async fn id7_a_jwks_uri_needs_no_discovery() {
    let net = Net::new(|spec| spec.keys = KeySource::JwksUri(Url::parse(JWKS).unwrap())).await;
    let key = Signer::es256("k");
    net.publish(&[&key]);
    assert_eq!(net.check(&key.token(&claims())).await, Ok(()));
    assert_eq!(*net.web.asked.lock().unwrap(), [JWKS]);
}

/// Proves: ID7, NE3
#[tokio::test]
async fn id7_foreign_or_insecure_metadata_is_refused() {
    let key = Signer::es256("k");
    for bad in [
        json!({ "issuer": "https://sso.example.com/", "jwks_uri": JWKS }),
        json!({ "issuer": "https://evil.example", "jwks_uri": JWKS }),
        json!({ "issuer": [ISS], "jwks_uri": JWKS }),
        json!({ "jwks_uri": JWKS }),
        json!({ "issuer": ISS }),
        json!({ "issuer": ISS, "jwks_uri": "http://keys.example.com/jwks" }),
        json!({ "issuer": ISS, "jwks_uri": "file:///etc/passwd" }),
        json!({ "issuer": ISS, "jwks_uri": "https://u:p@keys.example.com/jwks" }),
        json!({ "issuer": ISS, "jwks_uri": 1 }),
        json!("text"),
    ] {
        let net = Net::new(|_| {}).await;
        net.publish(&[&key]);
        net.serve(METADATA, bad.to_string().into_bytes());
        assert_eq!(net.check(&key.token(&claims())).await, Err(KeysUnavailable), "{bad}");
        assert_eq!(net.fetches(), 0);
    }
    let net = Net::new(|_| {}).await;
    net.publish(&[&key]);
    net.serve(METADATA, format!(r#"{{"issuer":"{ISS}","jwks_uri":"{JWKS}","issuer":"{ISS}"}}"#).into_bytes());
    assert_eq!(net.check(&key.token(&claims())).await, Err(KeysUnavailable));
}

/// Proves: ID7
#[tokio::test]
async fn id7_plain_http_to_this_machine_is_allowed() {
    let net = Net::new(|spec| spec.issuer = "http://127.0.0.1:9/sso/".to_owned()).await;
    let key = Signer::es256("k");
    let jwks_uri = "http://[::1]:9/jwks";
    let metadata = json!({ "issuer": "http://127.0.0.1:9/sso/", "jwks_uri": jwks_uri });
    net.serve("http://127.0.0.1:9/sso/.well-known/openid-configuration", metadata.to_string().into_bytes());
    net.serve(jwks_uri, jwks(&[key.jwk()]));
    let token = key.token(&with(json!({ "iss": "http://127.0.0.1:9/sso/" })));
    assert_eq!(net.check(&token).await, Ok(()));
}

/// Proves: ID7, NE3
#[tokio::test]
async fn id7_an_unknown_issuer_never_causes_a_fetch() {
    let (net, key) = (Net::new(|_| {}).await, Signer::es256("k"));
    for iss in ["https://evil.example", "https://sso.example.com/", "http://169.254.169.254/"] {
        assert_eq!(net.check(&key.token(&with(json!({ "iss": iss })))).await, Err(IssuerUnknown));
    }
    let no = key.raw(r#"{"alg":"none"}"#, &claims().to_string());
    assert_eq!(net.check(&no).await, Err(AlgorithmNotAllowed));
    assert!(net.web.asked.lock().unwrap().is_empty());
}

/// Proves: ID7
#[tokio::test]
async fn id7_a_new_key_is_found_by_one_refetch() {
    let (net, old, new) = (Net::new(|_| {}).await, Signer::es256("old"), Signer::es256("new"));
    net.publish(&[&old]);
    assert_eq!(net.check(&old.token(&claims())).await, Ok(()));
    net.publish(&[&old, &new]);
    net.clock.advance(SECONDS(30));
    assert_eq!(net.check(&new.token(&claims())).await, Ok(()));
    assert_eq!(net.check(&old.token(&claims())).await, Ok(()));
    assert_eq!(net.fetches(), 2);
}

/// Proves: ID7
#[tokio::test]
async fn id7_a_storm_of_unknown_kids_causes_one_fetch_per_interval() {
    let (net, key) = (Net::new(|_| {}).await, Signer::es256("k"));
    net.publish(&[&key]);
    assert_eq!(net.check(&key.token(&claims())).await, Ok(()));
    let token = |i: usize| {
        key.raw(&json!({ "alg": "ES256", "kid": format!("x{i}") }).to_string(), &claims().to_string())
    };
    let storm = async |tokens: std::ops::Range<usize>| {
        let tokens: Vec<String> = tokens.map(token).collect();
        for result in futures::future::join_all(tokens.iter().map(|token| net.check(token))).await {
            assert_eq!(result, Err(UnknownKey));
        }
    };
    storm(0..100).await;
    assert_eq!(net.fetches(), 1, "the keys were fetched a moment ago");
    net.clock.advance(SECONDS(30));
    storm(100..200).await;
    storm(200..300).await;
    assert_eq!(net.fetches(), 2);
    net.clock.advance(SECONDS(29));
    storm(300..400).await;
    assert_eq!(net.fetches(), 2);
}

/// Proves: ID7
#[tokio::test]
async fn id7_the_first_fetch_is_shared_and_survives_a_caller_who_leaves() {
    let (net, key) = (Net::new(|_| {}).await, Signer::es256("k"));
    net.publish(&[&key]);
    let hold = net.web.gate.acquire_many(100).await.unwrap();
    let token = key.token(&claims());
    let (identity, notes) = (Arc::clone(&net.identity), net.notes.clone());
    let impatient = tokio::spawn({
        let token = token.clone();
        async move { identity.assertion(&token, &notes).await }
    });
    while net.web.asked.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    impatient.abort();
    assert!(impatient.await.unwrap_err().is_cancelled());
    let waiting = futures::future::join_all((0..20).map(|_| net.check(&token)));
    let release = async { drop(hold) };
    let (results, ()) = futures::future::join(waiting, release).await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(net.fetches(), 1);
}

/// Proves: ID7, ID11
#[tokio::test]
async fn id7_a_removed_key_stops_verifying_within_the_maximum_age() {
    let (net, old, new) = (Net::new(|_| {}).await, Signer::es256("old"), Signer::es256("new"));
    net.publish(&[&old]);
    let token = old.token(&long_lived());
    assert_eq!(net.check(&token).await, Ok(()));
    net.publish(&[&new]);
    // Seen at the first refresh, and what was remembered under the old keys is forgotten with them.
    net.clock.advance(SECONDS(300));
    assert_eq!(net.check(&token).await, Ok(()));
    net.settle(2).await;
    assert_eq!(net.check(&token).await, Err(UnknownKey));
    // Without any traffic between, the maximum age alone is enough.
    net.publish(&[&old]);
    net.clock.advance(SECONDS(3600));
    assert_eq!(net.check(&token).await, Ok(()));
    net.publish(&[]);
    net.clock.advance(SECONDS(3600));
    assert_eq!(net.check(&token).await, Err(UnknownKey));
}

/// Proves: ID7
#[tokio::test]
async fn id7_an_outage_is_bridged_up_to_the_maximum_age_and_no_longer() {
    let (net, key) = (Net::new(|_| {}).await, Signer::es256("k"));
    net.publish(&[&key]);
    let token = key.token(&long_lived());
    assert_eq!(net.check(&token).await, Ok(()));
    net.break_down(JWKS);
    net.clock.advance(SECONDS(3599));
    assert_eq!(net.check(&token).await, Ok(()));
    net.settle(2).await;
    assert_eq!(net.check(&token).await, Ok(()));
    // Setting the wall clock back does not make old keys young.
    net.clock.set_wall(Timestamp::from_unix_seconds(NOW));
    net.clock.advance(SECONDS(5));
    assert_eq!(net.check(&token).await, Err(KeysUnavailable));
    net.publish(&[&key]);
    assert_eq!(net.check(&token).await, Err(KeysUnavailable), "retried no sooner than its interval");
    net.clock.advance(SECONDS(5));
    assert_eq!(net.check(&token).await, Ok(()));
}

/// Proves: ID7
#[tokio::test]
async fn id7_an_unknown_kid_during_an_outage_is_unavailable_not_invalid() {
    let (net, old, new) = (Net::new(|_| {}).await, Signer::es256("old"), Signer::es256("new"));
    net.publish(&[&old]);
    assert_eq!(net.check(&old.token(&claims())).await, Ok(()));
    net.break_down(METADATA);
    net.clock.advance(SECONDS(30));
    let token = new.token(&claims());
    assert_eq!(net.check(&token).await, Err(KeysUnavailable));
    let error = net.identity.assertion(&token, &net.notes).await.err().unwrap();
    assert_eq!(error.reason(), crate::domain::Reason::IssuerUnavailable);
    assert_eq!(net.check(&old.token(&claims())).await, Ok(()));
}

/// Proves: ID7
#[tokio::test]
async fn id7_a_bad_set_does_not_replace_a_good_one() {
    let (net, key) = (Net::new(|_| {}).await, Signer::es256("k"));
    net.publish(&[&key]);
    assert_eq!(net.check(&key.token(&claims())).await, Ok(()));
    let huge = [b"{\"keys\":[]".to_vec(), vec![b' '; 256 * 1024], b"}".to_vec()].concat();
    for (round, bad) in [b"<html>".to_vec(), huge, jwks(&[key.jwk(), key.jwk()])].into_iter().enumerate() {
        net.serve(JWKS, bad);
        net.clock.advance(SECONDS(300));
        let token = key.token(&with(json!({ "iat": NOW, "exp": NOW + 7000 + round as i64 })));
        assert_eq!(net.check(&token).await, Ok(()));
        net.settle(round + 2).await;
        assert_eq!(net.check(&token).await, Ok(()));
    }
}
