//! Nothing that can be printed holds a secret.

use super::fake::Step;
use super::{Bench, granted, request};
use crate::{AccessToken, Assertion, Client, ConsentUrl, Credential, GrantRequest, Outcome, TokenSource};

const CANARY: &str = "canary-5d1e";

/// Proves: CL1
#[tokio::test]
async fn cl1_secrets_are_unprintable() {
    let bench = Bench::new().await;
    let request_with_canary = GrantRequest::new(CANARY, "notes", ["notes.read"]);
    let builder = || Client::builder(bench.fake.address()).credential(Credential::secret(CANARY));
    let client = builder().connect().await.expect("client");
    let source = TokenSource::new(client.clone());
    let outcome = source.grant(&request_with_canary).await;
    let grant = granted(outcome.clone());
    bench.fake.script([Step::Consent]);
    let consent = client.issue_grant(&request()).await.expect("consent");
    let Outcome::ConsentRequired(required) = &consent else { panic!("no consent: {consent:?}") };
    assert_eq!(required.url.expose(), "https://broker.example/consent/link-canary");
    let printed = [
        format!("{:?} {:?} {:?}", AccessToken::new(CANARY), Assertion::new(CANARY), ConsentUrl::new(CANARY)),
        format!("{:?} {:?}", Credential::secret(CANARY), request_with_canary),
        format!("{:?} {client:?} {source:?} {:?}", builder(), TokenSource::builder(client.clone())),
        format!("{outcome:#?} {grant:?} {consent:#?}"),
        format!("{:?}", bench.fake.seen()[0].message),
    ];
    for text in printed {
        assert!(!text.contains("canary"), "{text}");
    }
}
