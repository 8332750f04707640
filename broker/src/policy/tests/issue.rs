use super::{NOW, Scene, alice, approval, connection, policy, rule, scopes, seconds, secret, wider};
use crate::{
    domain::{
        Approval, Connection, ConnectionState, ConsentReason, Input, Owner, ProviderId, Reason, Scope,
        ScopeSet, SecretKind, SecretRow, Timestamp, WorkloadId,
    },
    policy::{Denial, Issue, Permit, TtlLimits},
};
use proptest::prelude::*;

pub(super) struct Case {
    pub(super) rules: String,
    pub(super) scene: Scene,
    connection: Connection,
    pub(super) approval: Approval,
    pub(super) secret: SecretRow,
    assertion_expires_at: Timestamp,
}

impl Case {
    pub(super) fn new() -> Self {
        let connection = connection(&["read", "write"]);
        Self {
            rules: rule("permit", "all", "@max_ttl(\"15m\")", "true"),
            scene: Scene::asking(&["read"]),
            approval: approval(&connection, &["read", "write"]),
            secret: secret(&connection, SecretKind::Access, &["read"]),
            connection,
            assertion_expires_at: NOW.plus(seconds(3600)),
        }
    }

    pub(super) fn issue(&self) -> Result<Permit<Issue>, Denial> {
        let policy = policy(&self.rules);
        let verdict = self.scene.decide(&policy);
        let question = self.scene.question();
        let beyond = policy.beyond(&verdict, &question, &self.approval.scopes, &self.secret.scopes);
        let limits = TtlLimits { assertion_expires_at: self.assertion_expires_at, now: NOW };
        verdict.issue(&alice(), &self.connection, &self.approval, &self.secret, &beyond, limits)
    }

    fn refused(change: impl FnOnce(&mut Self)) -> Denial {
        let mut case = Self::new();
        change(&mut case);
        case.issue().err().expect("must be refused")
    }

    fn ends_after(change: impl FnOnce(&mut Self)) -> u64 {
        let mut case = Self::new();
        change(&mut case);
        case.issue().unwrap().facts().expires_at.unwrap().since(NOW).as_secs()
    }
}

#[test]
fn a_permit_names_one_token_and_says_what_was_decided() {
    let case = Case::new();
    let permit = case.issue().unwrap();
    assert_eq!(*permit.key(), case.connection.access_key(&scopes(&["read"]), 7));
    assert_eq!(permit.facts().scopes, scopes(&["read"]));
    let trace = permit.facts().policy.as_ref().unwrap();
    assert_eq!(*trace.rules, ["all"]);
    assert_eq!(trace.inputs.get("token_outlives_bound"), Some(&Input::Flag(false)));
}

/// Proves: GR4
#[test]
fn gr4_nothing_of_somebody_else_is_ever_permitted() {
    let other = connection(&["read"]);
    let changes: [fn(&mut Case); 9] = [
        |c| c.scene.subject.id = "bob".to_owned(),
        |c| c.scene.subject.realm = crate::domain::RealmId::parse("guests").unwrap(),
        |c| {
            let mut bob = alice();
            bob.id = "bob".to_owned();
            c.connection.owner = Owner::Subject(bob);
        },
        |c| c.connection.owner = Owner::Tenant(alice().tenant),
        |c| c.connection.provider = ProviderId::parse("mail").unwrap(),
        |c| c.approval.workload = WorkloadId::parse("other-server").unwrap(),
        |c| c.approval.tenant = crate::domain::TenantId::parse("other").unwrap(),
        |c| c.secret.kind = SecretKind::Refresh,
        |c| c.scene.workload = WorkloadId::parse("other-server").unwrap(),
    ];
    for (n, change) in changes.into_iter().enumerate() {
        assert_eq!(Case::refused(change).reason, Reason::NotFound, "change {n}");
    }
    assert_eq!(Case::refused(|c| c.approval.connection = other.id.clone()).reason, Reason::NotFound);
    assert_eq!(Case::refused(|c| c.secret.connection = other.id.clone()).reason, Reason::NotFound);
}

#[test]
fn a_state_that_stands_in_the_way_names_what_mends_it() {
    let state = |state| Case::refused(|c| c.connection.state = state);
    let reauth = state(ConnectionState::ReauthRequired);
    assert_eq!(reauth.consent, Some(ConsentReason::ReauthRequired));
    assert_eq!(state(ConnectionState::Suspended).reason, Reason::Blocked);
    assert_eq!(state(ConnectionState::Suspended).consent, None);
    assert_eq!(state(ConnectionState::Revoked).reason, Reason::Revoked);
    let over = Case::refused(|c| c.connection.expires_at = Some(NOW));
    assert_eq!(over.consent, Some(ConsentReason::ReauthRequired));
    let withdrawn = Case::refused(|c| c.approval.withdrawn_at = Some(NOW));
    assert_eq!(withdrawn.consent, Some(ConsentReason::NotApproved));
}

/// Proves: GR1
#[test]
fn gr1_a_token_wider_than_the_approval_is_never_handed_out() {
    let wider = Case::refused(|c| {
        c.approval.scopes = scopes(&["read"]);
        c.secret.scopes = scopes(&["read", "write"]);
    });
    assert_eq!(wider.consent, Some(ConsentReason::WiderThanApproved));

    let mut technical = Case::new();
    technical.approval.scopes = scopes(&["read"]);
    technical.secret.scopes = scopes(&["read", "offline_access"]);
    assert_eq!(technical.issue().unwrap().facts().scopes, scopes(&["read"]));

    let not_approved = Case::refused(|c| c.approval.scopes = scopes(&["write"]));
    assert_eq!(not_approved.consent, Some(ConsentReason::NotApproved));
    let missing = Case::refused(|c| {
        c.scene.scopes = scopes(&["delete"]);
        c.approval.scopes = scopes(&["read", "delete"]);
    });
    assert_eq!(missing.consent, Some(ConsentReason::ScopesMissing));
    assert_eq!(Case::refused(|c| c.scene.scopes = scopes(&["write"])).reason, Reason::Conflict);
}

/// Proves: GR2
#[test]
fn gr2_a_grant_ends_with_the_earliest_of_its_limits_and_never_in_the_past() {
    assert_eq!(Case::ends_after(|_| {}), 900, "policy");
    assert_eq!(Case::ends_after(|c| c.scene.requested_ttl = Some(seconds(60))), 60);
    assert_eq!(Case::ends_after(|c| c.scene.requested_ttl = Some(seconds(9999))), 900);
    assert_eq!(Case::ends_after(|c| c.secret.expires_at = Some(NOW.plus(seconds(5)))), 5);
    assert_eq!(Case::ends_after(|c| c.assertion_expires_at = NOW.plus(seconds(7))), 7);
    assert_eq!(Case::refused(|c| c.assertion_expires_at = NOW).reason, Reason::AssertionExpired);
    assert_eq!(Case::refused(|c| c.secret.expires_at = Some(NOW)).reason, Reason::Conflict);
    let none = Case::refused(|c| c.scene.requested_ttl = Some(seconds(0)));
    assert_eq!(none.reason, Reason::InvalidArgument);
}

/// Proves: GR10
#[test]
fn gr10_a_token_that_outlives_its_grant_needs_a_rule_that_allows_it() {
    let bound = 24 * 3600;
    let outlives = |by: u64| Some(NOW.plus(seconds(900 + by)));
    assert_eq!(Case::ends_after(|c| c.secret.expires_at = outlives(bound)), 900);
    for expires_at in [outlives(bound + 1), None] {
        let denial = Case::refused(|c| c.secret.expires_at = expires_at);
        assert_eq!(denial.reason, Reason::TokenOutlivesGrant);
        assert_eq!(*denial.rules, ["all"]);
        let mut allowed = Case::new();
        allowed.secret.expires_at = expires_at;
        allowed.rules = rule("permit", "long", "@max_ttl(\"15m\") @long_lived(\"allow\")", "true");
        let permit = allowed.issue().unwrap();
        let trace = permit.facts().policy.clone().unwrap();
        assert_eq!(trace.inputs.get("token_outlives_bound"), Some(&Input::Flag(true)));
        assert_eq!(permit.facts().expires_at, Some(NOW.plus(seconds(900))));
    }
    for (long, short) in [("read", "write"), ("write", "read")] {
        let partly = Case::refused(|c| {
            let only = |scope: &str| format!("resource.name == \"{scope}\"");
            c.rules = rule("permit", "long", "@long_lived(\"allow\")", &only(long))
                + &rule("permit", "short", "", &only(short));
            c.scene.scopes = scopes(&["read", "write"]);
            c.secret.scopes = scopes(&["read", "write"]);
            c.secret.expires_at = None;
        });
        assert_eq!(partly.reason, Reason::TokenOutlivesGrant, "every granted scope must be allowed it");
    }
}

fn any_scopes() -> impl Strategy<Value = ScopeSet> {
    prop::sample::subsequence(vec!["read", "list", "write", "delete"], 0..=4).prop_map(|list| scopes(&list))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Proves: GR1
    #[test]
    fn gr1_granted_is_within_approval_and_policy_and_request(
        (asked, approved, token) in (any_scopes(), any_scopes(), any_scopes()),
        (allowed, held, barred) in (any_scopes(), any_scopes(), any_scopes()),
    ) {
        let named = |scope: &Scope| format!("resource.name == \"{scope}\"");
        let issue = allowed.iter().map(|s| rule("permit", &format!("r-{s}"), "", &named(s)));
        let hold = held.iter().map(|s| wider("permit", &format!("h-{s}"), "", &named(s)));
        let bar = barred.iter().map(|s| wider("forbid", &format!("f-{s}"), "", &named(s)));
        let rules: String = issue.chain(hold).chain(bar).collect();
        let mut case = Case::new();
        case.rules = rules;
        case.scene.scopes = asked.clone();
        case.connection.scopes = token.clone();
        case.approval.scopes = approved.clone();
        case.secret.scopes = token.clone();
        let expected = asked.intersection(&approved).intersection(&allowed);
        let extras = token.minus(&expected);
        let may_be_held = approved.intersection(&allowed).union(&held).minus(&barred);
        let servable = !expected.is_empty() && expected.is_subset(&token) && extras.is_subset(&may_be_held);
        match case.issue() {
            Ok(permit) => {
                prop_assert_eq!(&permit.facts().scopes, &expected);
                prop_assert!(!expected.is_empty());
                prop_assert!(servable);
            }
            Err(_) => prop_assert!(!servable),
        }
    }
}
