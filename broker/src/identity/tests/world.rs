//! One company with its SSO, two MCP servers, and the broker's verifier.

use super::issuer::{Signer, jwks};
use crate::domain::{Clock, ManualClock, RealmId, TenantId, Timestamp, WorkloadId};
use crate::identity::{
    Acceptance, Algorithm, CredentialSpec, Identity, IdentityConfigError, IdentityError, IssuerSpec,
    KeySource, StaticSecret, TenantRule, TokenError, VerifiedAssertion, VerifiedWorkload, WorkloadSpec,
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc};

pub const NOW: i64 = 1_800_000_000;
pub const ISS: &str = "https://sso.example.com";
pub const NOTES: &str = "https://notes.example.com/mcp";
pub const MAIL: &str = "https://mail.example.com/mcp";
pub const BROKER: &str = "https://broker.example.com";
const NOTES_SECRET: &str = "bws_notes-notes-notes-notes-notes-notes-notes-n";
const MAIL_SECRET: &str = "bws_mail-mail-mail-mail-mail-mail-mail-mail-mai";

pub fn realm() -> RealmId {
    RealmId::parse("people").unwrap()
}

pub fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

pub fn set(items: &[&str]) -> std::collections::BTreeSet<String> {
    items.iter().map(|item| (*item).to_owned()).collect()
}

/// The company's SSO, with a contract that uses every feature the attacks aim at.
pub fn sso(keys: &[Value]) -> IssuerSpec {
    let algorithms = vec![Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256];
    let keys = KeySource::Static(jwks(keys));
    let mut spec = IssuerSpec::new("sso", ISS, realm(), TenantRule::Fixed(tenant("acme")), algorithms, keys);
    spec.roles_claim = Some("/realm_access/roles".to_owned());
    spec.further_audiences = set(&["account"]);
    spec.broker_audience = Some(BROKER.to_owned());
    spec.person_clients = set(&["broker-cli"]);
    spec
}

pub fn server(name: &str, secret: &str, audience: &str) -> WorkloadSpec {
    let accepted = Acceptance {
        audiences: set(&[audience]),
        client_ids: set(&[&format!("{name}-client")]),
        agents: Default::default(),
    };
    WorkloadSpec {
        id: WorkloadId::parse(name).unwrap(),
        display_name: format!("The {name} server"),
        credentials: vec![CredentialSpec::StaticSecret {
            sha256: StaticSecret::hash(secret),
            not_after: None,
        }],
        accepts: BTreeMap::from([("sso".to_owned(), accepted)]),
        roles: Default::default(),
        tenants: None,
    }
}

pub fn notes() -> WorkloadSpec {
    server("notes", NOTES_SECRET, NOTES)
}

pub fn mail() -> WorkloadSpec {
    server("mail", MAIL_SECRET, MAIL)
}

/// Claims of alice's assertion for the notes server.
pub fn claims() -> Value {
    json!({ "iss": ISS, "sub": "alice", "aud": NOTES, "iat": NOW - 10, "exp": NOW + 300 })
}

/// Alice's claims with some members replaced; `null` removes one.
pub fn with(changes: Value) -> Value {
    let mut claims = claims();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

pub struct World {
    pub es: Signer,
    pub ed: Signer,
    pub rsa: Signer,
    pub clock: Arc<ManualClock>,
    pub identity: Identity,
}

impl World {
    pub fn new() -> Self {
        Self::build(|_| {}, vec![notes(), mail()]).unwrap()
    }

    pub fn build(
        change: impl FnOnce(&mut IssuerSpec),
        workloads: Vec<WorkloadSpec>,
    ) -> Result<Self, IdentityConfigError> {
        let (es, ed, rsa) = (Signer::es256("es"), Signer::ed25519("ed"), Signer::rs256("rsa"));
        let mut spec = sso(&[es.jwk(), ed.jwk(), rsa.jwk()]);
        change(&mut spec);
        let clock = Arc::new(ManualClock::at(Timestamp::from_unix_seconds(NOW)));
        let shared: Arc<dyn Clock> = clock.clone();
        let identity = Identity::new(vec![spec], workloads, &BTreeMap::new(), shared)?;
        Ok(Self { es, ed, rsa, clock, identity })
    }

    pub async fn notes(&self) -> VerifiedWorkload {
        self.identity.workload(Some(&format!("Bearer {NOTES_SECRET}"))).await.unwrap()
    }

    pub async fn mail(&self) -> VerifiedWorkload {
        self.identity.workload(Some(&format!("Bearer {MAIL_SECRET}"))).await.unwrap()
    }

    /// The notes server presents a token.
    pub async fn assertion(&self, token: &str) -> Result<VerifiedAssertion, IdentityError> {
        self.identity.assertion(token, &self.notes().await).await
    }

    /// What an otherwise right token with these claims comes to.
    pub async fn claimed(&self, claims: Value) -> Result<VerifiedAssertion, IdentityError> {
        self.assertion(&self.es.token(&claims)).await
    }

    pub async fn refuses(&self, token: &str, error: TokenError) {
        // Twice: what was refused must not be remembered as right.
        for _ in 0..2 {
            assert_eq!(self.assertion(token).await.err(), Some(IdentityError::Assertion(error.clone())));
        }
    }

    pub async fn refuses_claims(&self, changes: Value, error: TokenError) {
        self.refuses(&self.es.token(&with(changes)), error).await;
    }
}

pub fn invalid(claim: &str) -> TokenError {
    TokenError::ClaimInvalid(claim.to_owned())
}

pub fn missing(claim: &str) -> TokenError {
    TokenError::ClaimMissing(claim.to_owned())
}
