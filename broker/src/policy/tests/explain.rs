use super::{Scene, policy, rule, wider};
use crate::policy::{DEFAULT_DENY, ExplainedScope, Policy, ScopeQuestion};

fn explain(policy: &Policy, scene: &Scene) -> Vec<ExplainedScope> {
    policy.explain(ScopeQuestion::Issue, &scene.question()).scopes
}

/// Proves: PO6
#[test]
fn po6_what_is_explained_is_what_is_decided() {
    let rules =
        rule("permit", "readers", "@max_ttl(\"15m\") @long_lived(\"allow\")", "resource.access == \"read\"")
            + &rule("permit", "also", "", "resource.name == \"list\"")
            + &rule("forbid", "no-delete", "@reason(\"Nobody deletes.\")", "resource.name == \"delete\"");
    let policy = policy(&rules);
    let scene = Scene::asking(&["read", "list", "write", "delete"]);
    let verdict = scene.decide(&policy);
    for explained in explain(&policy, &scene) {
        assert_eq!(explained.allowed, verdict.allowed().contains(&explained.scope), "{explained:?}");
        let denied = verdict.denied().find(|denied| *denied.scope == explained.scope);
        assert_eq!(denied.map(|d| d.message), explained.message.as_deref());
        let (rules, seconds): (&[&str], _) = match explained.scope.as_str() {
            "read" => (&["readers"], Some(900)),
            "list" => (&["also", "readers"], Some(3600)),
            "write" => (&[DEFAULT_DENY], None),
            _ => (&["no-delete"], None),
        };
        assert_eq!(
            (explained.rules, explained.max_ttl.map(|ttl| ttl.as_secs())),
            (rules.iter().map(|&r| r.to_owned()).collect(), seconds)
        );
        // A forbid stands whatever permits say: nothing is near.
        assert_eq!(explained.near.is_empty(), explained.scope.as_str() != "write");
    }
    let shown = policy.set.load().rule("no-delete").unwrap();
    assert!(
        !shown.permits && shown.line == Some(5) && shown.reason.as_deref() == Some("Nobody deletes."),
        "{shown:?}"
    );
}

/// Proves: PO6
#[test]
fn po6_what_is_missing_is_named_part_by_part_and_nearest_first() {
    let rules = rule(
        "permit",
        "far",
        "",
        "resource.name == \"list\" && context.tool == \"x\" && principal.roles.contains(\"lead\")",
    ) + &rule(
        "permit",
        "close",
        "",
        "principal.roles.contains(\"engineering\") && (context.tool == \"x\" || context.tool == \"y\")",
    ) + &rule("permit", "guarded", "", "context has acr && context.acr == \"mfa\"")
        .replace("};", "} unless { context.purpose == \"\" };")
        + &rule("permit", "elsewhere", "", "true")
            .replace("resource)", "resource == Broker::Scope::\"notes/write\")")
        + &wider("permit", "wider", "", "true");
    let explained = explain(&policy(&rules), &Scene::asking(&["read"]));
    let near: Vec<(&str, usize)> =
        explained[0].near.iter().map(|near| (near.rule.as_str(), near.unmet.len())).collect();
    assert_eq!(near, [("close", 1), ("far", 3), ("guarded", 3)]);
    assert!(explained[0].near[0].unmet[0].contains("\"y\""), "{explained:?}");
    assert!(explained[0].near[2].unmet.contains(&"!(context.purpose == \"\")".to_owned()), "{explained:?}");
}
