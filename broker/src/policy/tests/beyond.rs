//! A token that can do more than is granted: who may hold it.

use super::{Scene, issue::Case, policy, rule, scopes, seconds, wider};
use crate::{
    domain::{ConsentReason, Input, Reason, WorkloadId},
    policy::{DEFAULT_DENY, Denial},
};
use std::sync::Arc;

/// Asks to read, is approved to read, and the token can write too.
fn narrow(rules: &str) -> Case {
    let mut case = Case::new();
    case.rules = rules.to_owned();
    case.approval.scopes = scopes(&["read"]);
    case.secret.scopes = scopes(&["read", "write"]);
    case
}

fn refused(case: &Case) -> Denial {
    case.issue().err().expect("must be refused")
}

fn all() -> String {
    rule("permit", "all", "@max_ttl(\"15m\")", "true")
}

const WRITES: &str = "resource.access == \"write\"";

/// Proves: GR1
#[test]
fn gr1_a_rule_lets_a_wider_token_be_held_and_the_permit_says_so() {
    assert_eq!(refused(&narrow(&all())).consent, Some(ConsentReason::WiderThanApproved));

    let permit = narrow(&(all() + &wider("permit", "may-hold", "", WRITES))).issue().unwrap();
    assert_eq!(permit.facts().scopes, scopes(&["read"]), "what is granted does not grow");
    let trace = permit.facts().policy.as_ref().unwrap();
    assert_eq!(*trace.rules, ["all", "may-hold"]);
    let held = Input::Other(serde_json::json!({"write": ["may-hold"]}));
    assert_eq!(trace.inputs.get("held_wider"), Some(&held));

    let mut exact = Case::new();
    exact.rules = all() + &wider("permit", "may-hold", "", "true");
    let permit = exact.issue().unwrap();
    assert!(permit.facts().policy.as_ref().unwrap().inputs.get("held_wider").is_none());
}

/// Proves: GR1
#[test]
fn gr1_every_further_scope_needs_its_rule() {
    let mut case = narrow(&(all() + &wider("permit", "may-hold", "", "resource.name == \"write\"")));
    case.secret.scopes = scopes(&["read", "write", "delete"]);
    assert_eq!(refused(&case).consent, Some(ConsentReason::WiderThanApproved));
}

/// Proves: GR1, PO4
#[test]
fn gr1_a_block_on_either_action_beats_what_allows_and_no_consent_mends_it() {
    let hold = all() + &wider("permit", "may-hold", "", "true");
    let why = "@reason(\"Never.\")";
    for forbid in [rule("forbid", "never", why, WRITES), wider("forbid", "never", why, WRITES)] {
        for approved in [scopes(&["read"]), scopes(&["read", "write"])] {
            let mut case = narrow(&(hold.clone() + &forbid));
            case.approval.scopes = approved;
            let denial = refused(&case);
            assert_eq!((denial.reason, denial.consent), (Reason::PolicyDenied, None));
            assert_eq!((denial.message.as_str(), &denial.rules[..]), ("Never.", &["never".to_owned()][..]));
            assert_eq!(*denial.policy.rules, ["all", "never"]);
        }
    }
    // Asked for along with what is allowed, it is no less forbidden.
    let mut case = narrow(&(hold + &rule("forbid", "never", why, WRITES)));
    case.scene = Scene::asking(&["read", "write"]);
    case.approval.scopes = scopes(&["read", "write"]);
    assert_eq!(*refused(&case).rules, ["never"]);
}

/// Proves: GR1, PO1
#[test]
fn gr1_po1_a_rule_about_wider_tokens_that_cannot_be_evaluated_denies() {
    let overflow = "context has requested_ttl && context.requested_ttl * 9223372036854775807 > 5";
    for effect in ["permit", "forbid"] {
        let rules = all() + &wider("permit", "may-hold", "", "true") + &wider(effect, "broken", "", overflow);
        let mut case = narrow(&rules);
        assert!(case.issue().is_ok(), "{effect}: without the attribute the rule is sound");
        case.scene.requested_ttl = Some(seconds(60));
        let denial = refused(&case);
        assert_eq!((denial.reason, denial.consent), (Reason::PolicyError, None), "{effect}");
        assert_eq!(*denial.rules, ["broken"]);
    }
}

/// Proves: GR1, PO1
#[test]
fn gr1_holding_alone_grants_nothing() {
    let denial = refused(&narrow(&wider("permit", "may-hold", "", "true")));
    assert_eq!((denial.reason, denial.consent), (Reason::PolicyDenied, None));
    assert_eq!(*denial.rules, [DEFAULT_DENY]);
    // Nor does it stand in for a scope asked for, or for an approval of it.
    let rules = rule("permit", "reads", "", "resource.name == \"read\"") + &wider("permit", "h", "", "true");
    let mut case = narrow(&rules);
    case.scene = Scene::asking(&["read", "write"]);
    assert_eq!(case.issue().unwrap().facts().scopes, scopes(&["read"]));
    case.approval.scopes = scopes(&["write"]);
    assert_eq!(refused(&case).consent, Some(ConsentReason::NotApproved));
}

/// Proves: GR1
#[test]
fn gr1_what_no_rule_allows_is_refused_and_not_asked_for() {
    let rules = rule("permit", "reads", "", "resource.name == \"read\"");
    for approved in [scopes(&["read"]), scopes(&["read", "write"])] {
        let mut case = narrow(&rules);
        case.approval.scopes = approved;
        for asked in [&["read"][..], &["read", "write"]] {
            case.scene = Scene::asking(asked);
            let denial = refused(&case);
            assert_eq!((denial.reason, denial.consent), (Reason::PolicyDenied, None));
            assert!(denial.message.ends_with(": write"), "{}", denial.message);
        }
    }
}

/// Proves: GR1, GR2, GR10
#[test]
fn gr2_gr10_what_is_held_bounds_the_grant_like_what_is_granted() {
    let after = |case: &Case| case.issue().unwrap().facts().expires_at.unwrap().since(super::NOW).as_secs();
    assert_eq!(after(&narrow(&(all() + &wider("permit", "h", "@max_ttl(\"5m\")", "true")))), 300);
    assert_eq!(after(&narrow(&(all() + &wider("permit", "h", "@max_ttl(\"50m\")", "true")))), 900);
    let long = rule("permit", "long", "@long_lived(\"allow\")", "true");
    for (annotations, served) in [("", false), ("@long_lived(\"allow\")", true)] {
        let mut case = narrow(&(long.clone() + &wider("permit", "h", annotations, "true")));
        case.secret.expires_at = None;
        match case.issue() {
            Ok(_) => assert!(served),
            Err(denial) => assert_eq!((denial.reason, served), (Reason::TokenOutlivesGrant, false)),
        }
    }
    // What is approved too, and was only not asked for, bounds it no less.
    let reads = rule("permit", "r", "@max_ttl(\"8h\") @long_lived(\"allow\")", "resource.name == \"read\"");
    let mut case = narrow(&(reads + &rule("permit", "w", "@max_ttl(\"5m\")", WRITES)));
    case.approval.scopes = scopes(&["read", "write"]);
    assert_eq!(after(&case), 300);
    assert_eq!(*case.issue().unwrap().facts().policy.as_ref().unwrap().rules, ["r", "w"]);
    case.secret.expires_at = None;
    assert_eq!(refused(&case).reason, Reason::TokenOutlivesGrant);
}

/// What was said about somebody else's token, or by other rules, counts for nothing.
///
/// Proves: GR1, GR4
#[test]
fn gr1_gr4_what_was_said_about_another_question_does_not_count() {
    let case = narrow(&(all() + &wider("permit", "may-hold", "", "true")));
    let policy = policy(&case.rules);
    let (approved, token) = (&case.approval.scopes, &case.secret.scopes);
    let verdict = case.scene.decide(&policy);
    assert!(
        verdict
            .may_hold(approved, token, &policy.beyond(&verdict, &case.scene.question(), approved, token))
            .is_ok()
    );
    let mut other = Scene::asking(&["read"]);
    other.workload = WorkloadId::parse("other-server").unwrap();
    let mut bob = Scene::asking(&["read"]);
    bob.subject.id = "bob".to_owned();
    let mut admin = Scene::asking(&["read"]);
    Arc::make_mut(&mut admin.roles).insert("admin".to_owned());
    let mut trusted = Scene::asking(&["read"]);
    Arc::make_mut(&mut trusted.workload_roles).insert("admin".to_owned());
    let mut sync = Scene::asking(&["read"]);
    sync.tool = "sync".to_owned();
    let mut audit = Scene::asking(&["read"]);
    audit.purpose = "sync".to_owned();
    let mut short = Scene::asking(&["read"]);
    short.requested_ttl = Some(seconds(60));
    let mut strong = Scene::asking(&["read"]);
    strong.acr = Some("mfa".to_owned());
    for scene in [other, bob, admin, trusted, sync, audit, short, strong] {
        let beyond = policy.beyond(&verdict, &scene.question(), approved, token);
        assert_eq!(verdict.may_hold(approved, token, &beyond).unwrap_err().reason, Reason::NotFound);
    }
    let elsewhere = super::policy(&(case.rules.clone() + &rule("permit", "more", "", "true")));
    let theirs = case.scene.decide(&elsewhere);
    let beyond = elsewhere.beyond(&theirs, &case.scene.question(), approved, token);
    assert_eq!(verdict.may_hold(approved, token, &beyond).unwrap_err().reason, Reason::NotFound);
}

/// A page knows neither roles nor context: it says "might" wherever a later call could make it so, and not otherwise.
///
/// Proves: GR1
#[test]
fn gr1_the_outlook_errs_on_the_side_of_might() {
    let mut scene = Scene::asking(&["read"]);
    scene.roles = Arc::default();
    let might = |rules: &str| {
        policy(rules).might_hold(&scene.question(), &scopes(&["read"]), &scopes(&["read", "write"]))
    };
    let held = Some(scopes(&["write"]));
    let yes = [
        "true",
        "principal.roles.contains(\"admin\")",
        "context.tool == \"sync\" && context.workload.name == \"notes-server\"",
        "context has acr && context.acr == \"mfa\" && resource.access == \"write\"",
        "context.workload.name == \"notes-server\" || context.workload.name == \"other\"",
        "context.purpose == \"x\" || context.workload.name == \"other\"",
        "!(context.tool == \"list\")",
        "if context.tool == \"x\" then resource.access == \"write\" else false",
    ];
    for condition in yes {
        assert_eq!(might(&(all() + &wider("permit", "h", "", condition))), held, "{condition}");
    }
    let no = [
        "context.workload.name == \"other\"",
        "context.tool == \"sync\" && context.workload.name == \"other\"",
        "context.workload.roles.contains(\"trusted\") && principal.roles.contains(\"admin\")",
        "resource.access == \"read\" && context.purpose != \"\"",
        "principal == Broker::Subject::\"acme/staff/bob\" && context.tool == \"x\"",
    ];
    for condition in no {
        assert_eq!(might(&(all() + &wider("permit", "h", "", condition))), None, "{condition}");
    }
    let hold = all() + &wider("permit", "h", "", "true");
    assert_eq!(might(&(hold.clone() + &wider("forbid", "f", "", WRITES))), None);
    assert_eq!(might(&(hold.clone() + &rule("forbid", "f", "", WRITES))), None);
    assert_eq!(might(&(hold.clone() + &rule("forbid", "f", "", "context.tool == \"\""))), held);
    assert_eq!(might(&(hold + &wider("forbid", "f", "", "!(principal.roles.contains(\"staff\"))"))), held);
    assert_eq!(might(&all()), None, "asked for their own approval instead");
    let unless = wider("permit", "h", "", "true").replace(";", " unless { context.tool == \"\" };");
    assert_eq!(might(&(all() + &unless)), held);
}
