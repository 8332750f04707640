use super::{NOW, Scene, connection, policy, rule, scopes, seconds, secret};
use crate::{
    domain::{
        AccessToken, Connection, ConnectionState, Consent, ConsentId, ConsentReason, ConsentState,
        PkceVerifier, ProviderId, Reason, RefreshToken, Sealed, SecretKind, SystemRng, WorkloadId,
    },
    policy::Grounds,
};

fn consent() -> Consent {
    Consent {
        id: ConsentId::random(&SystemRng::default()),
        subject: super::alice(),
        workload: WorkloadId::parse("notes-server").unwrap(),
        provider: ProviderId::parse("notes").unwrap(),
        connection: None,
        reason: ConsentReason::NotConnected,
        scopes: scopes(&["read"]),
        provider_scopes: scopes(&["read"]),
        tool: String::new(),
        purpose: String::new(),
        created_at: NOW,
        expires_at: NOW.plus(seconds(600)),
        version: 1,
        born_epoch: 0,
        mismatches: 0,
        state: ConsentState::Pending,
        leftover: crate::domain::consent::Leftover::default(),
    }
}

const NO_WORK: &str = "@id(\"halt\") @reason(\"Halted.\")
forbid (principal == Broker::System::\"broker\", action, resource);";

#[test]
fn a_refresh_needs_grounds_that_fit_the_connection() {
    let policy = policy(&rule("permit", "reads", "", "resource.access == \"read\""));
    let connection = connection(&["read"]);
    let token = secret(&connection, SecretKind::Refresh, &["read"]);
    let verdict = Scene::asking(&["read"]).decide(&policy);
    let permit = policy.refresh(&connection, &token, Grounds::Issuance(&verdict)).unwrap();
    assert_eq!(*permit.key(), connection.refresh_key(7));
    assert_eq!(*permit.facts().policy.as_ref().unwrap().rules, ["reads"]);
    let permit = policy.refresh(&connection, &token, Grounds::KeepAlive).unwrap();
    assert_eq!(*permit.facts().policy.as_ref().unwrap().rules, ["broker.keep-alive"]);

    let refused = Scene::asking(&["write"]).decide(&policy);
    assert!(policy.refresh(&connection, &token, Grounds::Issuance(&refused)).is_err());
    let mut bob = Scene::asking(&["read"]);
    bob.subject.id = "bob".to_owned();
    let bobs = bob.decide(&policy);
    let denial = policy.refresh(&connection, &token, Grounds::Issuance(&bobs)).err().unwrap();
    assert_eq!(denial.reason, Reason::NotFound);
    let access = secret(&connection, SecretKind::Access, &["read"]);
    assert!(policy.refresh(&connection, &access, Grounds::KeepAlive).is_err());
    for state in [ConnectionState::ReauthRequired, ConnectionState::Suspended, ConnectionState::Revoked] {
        let ended = Connection { state, ..connection.clone() };
        assert!(policy.refresh(&ended, &token, Grounds::KeepAlive).is_err(), "{state:?}");
        assert!(policy.refresh(&ended, &token, Grounds::Issuance(&verdict)).is_err(), "{state:?}");
    }
}

#[test]
fn background_work_is_policys_to_forbid() {
    let halted = policy(NO_WORK);
    let connection = connection(&["read"]);
    let token = secret(&connection, SecretKind::Refresh, &["read"]);
    let denial = halted.refresh(&connection, &token, Grounds::KeepAlive).err().unwrap();
    assert_eq!((denial.rules, denial.message.as_str()), (vec!["halt".to_owned()], "Halted."));
    assert!(halted.revoke_at_provider::<RefreshToken>(&connection, &token).is_err());
    assert!(halted.exchange_code(&consent()).is_err());
}

#[test]
fn a_code_is_redeemed_only_for_an_approved_consent() {
    let policy = policy("");
    let verifier = Sealed::<PkceVerifier>::from_envelope(vec![1]);
    let pending = consent();
    assert!(policy.exchange_code(&pending).is_err());
    let approved = pending.approve([1; 32], [2; 32], verifier).unwrap();
    let permit = policy.exchange_code(&approved).unwrap();
    assert_eq!(*permit.key(), approved.record_key());
    let (exchanging, _) = approved.exchange(NOW).unwrap();
    assert!(policy.exchange_code(&exchanging).is_ok());
    assert!(policy.exchange_code(&exchanging.decline().unwrap()).is_err());
}

#[test]
fn a_token_is_revoked_as_what_it_is() {
    let policy = policy("");
    let connection = Connection { state: ConnectionState::Revoked, ..connection(&["read"]) };
    let refresh = secret(&connection, SecretKind::Refresh, &["read"]);
    let access = secret(&connection, SecretKind::Access, &["read"]);
    let permit = policy.revoke_at_provider::<RefreshToken>(&connection, &refresh).unwrap();
    assert_eq!(*permit.key(), connection.refresh_key(7));
    let permit = policy.revoke_at_provider::<AccessToken>(&connection, &access).unwrap();
    assert_eq!(*permit.key(), connection.access_key(&scopes(&["read"]), 7));
    assert!(policy.revoke_at_provider::<AccessToken>(&connection, &refresh).is_err());
    let other = super::connection(&["read"]);
    assert!(policy.revoke_at_provider::<RefreshToken>(&other, &refresh).is_err());

    assert!(policy.revoke_waiting::<AccessToken>(&consent()).is_err());
    let failed = consent().fail(Reason::ConsentAccountChanged).unwrap();
    assert!(policy.revoke_waiting::<AccessToken>(&failed).is_ok());
    assert!(policy.revoke_waiting::<PkceVerifier>(&failed).is_err());
}
