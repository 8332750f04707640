use super::{NOW, Scene, policy, rule, scopes, seconds, source};
use crate::policy::{Policy, PolicySet, Settings, cache, cedar::ScopeAction};
use proptest::prelude::*;
use std::sync::Arc;

fn key(policy: &Policy, scene: &Scene) -> [u8; 32] {
    let set = policy.set.load();
    cache::key(set.version(), ScopeAction::Issue, &set.mentions, &scene.question())
}

/// Proves: PO11
#[test]
fn po11_a_decision_on_login_age_ends_with_the_minute_that_ends_it() {
    let fresh = "context has login_age_minutes && context.login_age_minutes <= 30";
    let policy = policy(&rule("permit", "fresh", "", fresh));
    let mut scene = Scene::asking(&["read"]);
    scene.auth_time = Some(NOW);
    for (after, allowed) in [(0, true), (1859, true), (1860, false), (60, true), (999_999, false)] {
        scene.now = NOW.plus(seconds(after));
        assert_eq!(scene.decide(&policy).denial().is_none(), allowed, "after {after} s");
    }
    scene.now = NOW;
    scene.auth_time = None;
    assert!(scene.decide(&policy).denial().is_some());
}

/// Proves: PO11
#[test]
fn po11_a_decision_on_acr_or_the_time_of_day_is_not_reused_for_another() {
    let text = rule("permit", "r", "", "context has acr && context.acr == \"mfa\"")
        + &rule("forbid", "night", "", "context.now.toTime() >= duration(\"20h\")");
    let policy = policy(&text);
    let mut scene = Scene::asking(&["read"]);
    scene.acr = Some("mfa".to_owned());
    assert!(scene.decide(&policy).denial().is_none());
    scene.acr = Some("pwd".to_owned());
    assert!(scene.decide(&policy).denial().is_some());
    scene.acr = Some("mfa".to_owned());
    scene.now = NOW.plus(seconds(12 * 3600));
    assert!(scene.decide(&policy).denial().is_some());
}

/// Proves: PO11
#[test]
fn po11_other_rules_are_in_force_at_once() {
    let policy = policy(&rule("permit", "all", "", "true"));
    let scene = Scene::asking(&["read"]);
    assert!(scene.decide(&policy).denial().is_none());
    let before = policy.version();
    policy.replace(PolicySet::load(&[source("")]).unwrap());
    assert_ne!(policy.version(), before);
    assert!(scene.decide(&policy).denial().is_some());
}

#[test]
fn only_mentioned_inputs_are_in_the_key() {
    let plain = policy(&rule("permit", "r", "", "resource.access == \"read\""));
    let a = Scene::asking(&["read"]);
    let mut b = Scene::asking(&["read"]);
    b.tool = "other".to_owned();
    b.subject.id = "bob".to_owned();
    b.roles = Arc::default();
    b.now = NOW.plus(seconds(3600));
    assert_eq!(key(&plain, &a), key(&plain, &b));
    let conditions = [
        "context.tool == \"x\"",
        "principal == Broker::Subject::\"acme/staff/bob\"",
        "principal.roles.contains(\"a\")",
        "context.now > datetime(\"2020-01-01\")",
        "context has login_age_minutes",
    ];
    for condition in conditions {
        let policy = policy(&rule("permit", "r", "", condition));
        assert_ne!(key(&policy, &a), key(&policy, &b), "{condition}");
    }
    b = Scene::asking(&["read"]);
    b.subject.tenant = crate::domain::TenantId::parse("other").unwrap();
    assert_ne!(key(&plain, &a), key(&plain, &b));
    b = Scene::asking(&["read"]);
    b.provider.scopes[0].access = crate::domain::provider::ScopeAccess::Write;
    assert_ne!(key(&plain, &a), key(&plain, &b), "a reloaded provider is another question");
}

const CONDITIONS: [&str; 12] = [
    "principal.roles.contains(\"r1\")",
    "principal == Broker::Subject::\"acme/staff/u1\"",
    "principal.issuer == \"i1\"",
    "context.workload.name == \"w1\"",
    "context.workload.roles.containsAny([\"r1\", \"r2\"])",
    "context.tool == \"t1\"",
    "context.purpose != \"\"",
    "context has requested_ttl && context.requested_ttl > 1",
    "context has acr && context.acr == \"a1\"",
    "context has login_age_minutes && context.login_age_minutes < 2",
    "context has client_id",
    "resource.access == \"read\"",
];

prop_compose! {
    fn scene()(
        (subject, issuer, workload) in (0..3u8, 0..2u8, 0..2u8),
        (roles, workload_roles) in (prop::collection::btree_set("r[0-2]", 0..3), prop::collection::btree_set("r[0-2]", 0..3)),
        (acr, client_id) in (prop::option::of("a[01]"), prop::option::of("c[01]")),
        (tool, purpose) in ("(t[01])?", "(p)?"),
        (ttl, login, second) in (prop::option::of(0..4u64), prop::option::of(0..200u64), 0..120u64),
        picked in prop::sample::subsequence(vec!["read", "list", "write", "delete"], 1..4),
    ) -> Scene {
        let mut scene = Scene::asking(&picked);
        scene.subject.id = format!("u{subject}");
        scene.issuer = format!("i{issuer}");
        scene.workload = crate::domain::WorkloadId::parse(&format!("w{workload}")).unwrap();
        scene.roles = roles.into();
        scene.workload_roles = workload_roles.into();
        scene.acr = acr;
        scene.client_id = client_id;
        scene.tool = tool;
        scene.purpose = purpose;
        scene.requested_ttl = ttl.map(seconds);
        scene.now = NOW.plus(seconds(second));
        scene.auth_time = login.map(|ago| scene.now.minus(seconds(ago)));
        scene.scopes = scopes(&picked);
        scene
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Proves: PO11
    #[test]
    fn po11_cached_and_uncached_answers_are_equal(
        rules in prop::collection::vec((any::<bool>(), 0..CONDITIONS.len(), 0..CONDITIONS.len()), 1..5),
        scenes in prop::collection::vec(scene(), 1..24),
    ) {
        let text: String = rules.iter().enumerate().map(|(n, (permit, a, b))| {
            let effect = if *permit { "permit" } else { "forbid" };
            rule(effect, &format!("r{n}"), "", &format!("{} && {}", CONDITIONS[*a], CONDITIONS[*b]))
        }).collect();
        let set = PolicySet::load(&[source(&text)]).unwrap();
        let cached = Policy::new(set.clone(), Settings::default());
        for scene in scenes.iter().chain(&scenes) {
            let uncached = Policy::new(set.clone(), Settings::default());
            let (one, other) = (scene.decide(&cached), scene.decide(&uncached));
            prop_assert_eq!(one.allowed(), other.allowed());
            prop_assert_eq!(one.trace(), other.trace());
            prop_assert_eq!(one.denied().collect::<Vec<_>>(), other.denied().collect::<Vec<_>>());
        }
    }
}
