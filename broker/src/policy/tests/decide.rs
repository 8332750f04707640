use super::{NOW, Scene, policy, rule, scopes, seconds};
use crate::{
    domain::Reason,
    policy::{DEFAULT_DENY, STARTER},
};
use std::sync::Arc;

/// Proves: PO1, PO2
#[test]
fn po1_nothing_is_allowed_without_a_rule() {
    let verdict = Scene::asking(&["read", "write"]).decide(&policy(""));
    assert!(verdict.allowed().is_empty());
    let denial = verdict.denial().unwrap();
    assert_eq!(denial.reason, Reason::PolicyDenied);
    assert_eq!(*denial.rules, [DEFAULT_DENY]);
    assert!(!denial.message.contains("alice"));
}

/// Proves: PO4
#[test]
fn po4_every_scope_is_decided_and_a_forbid_beats_a_permit() {
    let rules = rule("permit", "all", "", "true")
        + &rule("forbid", "no-delete", "@reason(\"Nobody deletes.\")", "resource.name == \"delete\"");
    let policy = policy(&rules);
    let verdict = Scene::asking(&["read", "delete"]).decide(&policy);
    assert_eq!(*verdict.allowed(), scopes(&["read"]));
    assert!(verdict.denial().is_none());
    let denied: Vec<_> = verdict.denied().map(|d| (d.scope.as_str(), d.rule, d.message)).collect();
    assert_eq!(denied, [("delete", "no-delete", "Nobody deletes.")]);
    assert_eq!(*verdict.trace().rules, ["all", "no-delete"]);

    let denial = Scene::asking(&["delete"]).decide(&policy).denial().unwrap();
    assert_eq!((denial.reason, denial.message.as_str()), (Reason::PolicyDenied, "Nobody deletes."));
    assert_eq!(*denial.rules, ["no-delete"]);
}

/// Proves: PO1
#[test]
fn po1_a_rule_that_cannot_be_evaluated_denies() {
    let overflow = "context.requested_ttl * 9223372036854775807 > 5";
    for effect in ["forbid", "permit"] {
        let broken = rule(effect, "broken", "", &format!("context has requested_ttl && {overflow}"));
        let policy = policy(&(rule("permit", "all", "", "true") + &broken));
        let mut scene = Scene::asking(&["read"]);
        assert!(
            scene.decide(&policy).denial().is_none(),
            "{effect}: without the attribute the rule is sound"
        );
        scene.requested_ttl = Some(seconds(60));
        let denial = scene.decide(&policy).denial().unwrap();
        assert_eq!(denial.reason, Reason::PolicyError, "{effect}");
        assert_eq!(*denial.rules, ["broken"]);
    }
}

/// Proves: PO1, GR9
#[test]
fn po1_rules_see_roles_workload_scope_tool_purpose_and_time() {
    let mut scene = Scene::asking(&["read"]);
    scene.tool = "search".to_owned();
    scene.purpose = "answer a question".to_owned();
    scene.acr = Some("mfa".to_owned());
    scene.client_id = Some("desktop".to_owned());
    scene.requested_ttl = Some(std::time::Duration::from_millis(1500));
    scene.workload_roles = Arc::new(["trusted".to_owned()].into());
    let (yes, no) = (
        [
            "principal.roles.contains(\"engineering\") && principal.tenant == \"acme\"",
            "principal == Broker::Subject::\"acme/staff/alice\"",
            "principal has issuer && principal.issuer == \"https://sso.example\"",
            "context.workload == Broker::Workload::\"notes-server\" && context.workload.roles.contains(\"trusted\")",
            "resource.provider == \"notes\" && resource.access == \"read\" && resource.environment == \"production\"",
            "resource == Broker::Scope::\"notes/read\"",
            "context.tool == \"search\" && context.purpose like \"answer *\"",
            "context.now.toTime() == duration(\"8h\")",
            "context has acr && context.acr == \"mfa\"",
            "context has client_id && context.client_id == \"desktop\"",
            "context has requested_ttl && context.requested_ttl == 2",
            "context has login_age_minutes && context.login_age_minutes == 10",
        ],
        [
            "principal.roles.contains(\"sales\")",
            "principal == Broker::Subject::\"acme/staff/bob\"",
            "resource.access == \"write\"",
            "context.tool == \"\"",
            "context.now > datetime(\"2027-01-01\")",
        ],
    );
    for condition in yes {
        let verdict = scene.decide(&policy(&rule("permit", "r", "", condition)));
        assert!(verdict.denial().is_none(), "{condition}: {:?}", verdict.denial());
    }
    for condition in no {
        assert!(scene.decide(&policy(&rule("permit", "r", "", condition))).denial().is_some(), "{condition}");
    }
}

/// Proves: PO5
#[test]
fn po5_the_trace_names_version_rules_and_every_input_but_no_person() {
    let policy = policy(&rule("permit", "all", "", "true"));
    let mut scene = Scene::asking(&["read", "write"]);
    scene.acr = Some("mfa".to_owned());
    let verdict = scene.decide(&policy);
    let trace = verdict.trace();
    assert_eq!(*trace.version, policy.version());
    assert_eq!(*trace.rules, ["all"]);
    let inputs = serde_json::to_value(&trace.inputs).unwrap();
    assert_eq!(inputs["roles"], serde_json::json!(["engineering"]));
    assert_eq!(inputs["scopes"], serde_json::json!({"read": "read", "write": "write"}));
    assert_eq!(inputs["acr"], "mfa");
    assert_eq!(inputs["auth_time"], NOW.minus(seconds(600)).rfc3339());
    assert_eq!(inputs["login_age_minutes"], 10);
    assert!(inputs.get("requested_ttl").is_none());
    assert!(!inputs.to_string().contains("alice"));
}

/// Proves: GR2
#[test]
fn gr2_a_scope_has_the_largest_limit_of_its_permits_and_a_grant_the_smallest_of_its_scopes() {
    let rules = rule("permit", "short", "@max_ttl(\"5m\")", "true")
        + &rule("permit", "long-reads", "@max_ttl(\"20m\")", "resource.access == \"read\"")
        + &rule("permit", "lists", "", "resource.name == \"list\"");
    let policy = policy(&rules);
    let limit = |list: &[&str]| Scene::asking(list).decide(&policy).max_ttl();
    assert_eq!(limit(&["write"]), seconds(300));
    assert_eq!(limit(&["read"]), seconds(1200));
    assert_eq!(limit(&["list"]), seconds(3600), "a permit without a limit counts as the default");
    assert_eq!(limit(&["read", "list", "write"]), seconds(300));
    assert_eq!(limit(&["read", "list"]), seconds(1200));
}

#[test]
fn the_starter_allows_its_example_and_nothing_else() {
    let policy = policy(STARTER);
    let verdict = Scene::asking(&["read", "write"]).decide(&policy);
    assert_eq!(*verdict.allowed(), scopes(&["read"]));
    assert_eq!(verdict.max_ttl(), seconds(900));
    let mut stranger = Scene::asking(&["read"]);
    stranger.roles = Arc::default();
    assert!(stranger.decide(&policy).denial().is_some());
    let mut old_login = Scene::asking(&["write"]);
    old_login.auth_time = Some(NOW.minus(seconds(9 * 3600)));
    assert_eq!(*old_login.decide(&policy).denial().unwrap().rules, ["production-writes-need-recent-login"]);
}
