//! The real Helm installs, upgrades, rolls back, tests and uninstalls; what it asks the API server for is what an operator expects.

use serde_json::{Value, json};

use super::driver::{Change, Step, live, step, values};

fn places(changes: &[Change], verb: &str) -> Vec<String> {
    changes.iter().filter(|change| change.verb == verb).map(Change::place).collect()
}

fn with(values: &Value, pointer: &str, value: Value) -> Value {
    let mut changed = values.clone();
    *changed.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer} is set")) = value;
    changed
}

/// The migration: once, before anything else, with all it needs made first and taken away afterwards.
fn migrated_once(step: &Step) {
    let changes = step.changes();
    let at = |verb: &str, place: &str| {
        let found = changes.iter().enumerate().filter(|(_, c)| c.verb == verb && c.place() == place);
        let found: Vec<usize> = found.map(|(n, _)| n).collect();
        assert_eq!(found.len(), 1, "{verb} {place} in {:?}", places(&changes, verb));
        found[0]
    };
    let job = at("create", "jobs/token-broker-migrate");
    for needed in ["serviceaccounts", "configmaps", "networkpolicies"] {
        assert!(at("create", &format!("{needed}/token-broker-migrate")) < job);
        assert!(at("delete", &format!("{needed}/token-broker-migrate")) > job);
    }
    let gone = at("delete", "jobs/token-broker-migrate");
    let of_the_release = |change: &Change| !change.place().ends_with("-migrate");
    let first = changes.iter().position(of_the_release).expect("the release itself");
    assert!(gone < first, "nothing else is touched before the migration succeeded");
}

/// Proves: OP1, AV6
#[tokio::test]
async fn op1_a_release_on_postgresql_lives_from_install_to_uninstall() {
    let first = values("helm/broker/ci/postgresql-values.yaml").await;
    let second = with(&first, "/config/providers/0/display_name", json!("Notes, renamed"));
    let second = with(&second, "/replicaCount", json!(5));
    let mut broken = second.clone();
    broken["image"] = json!({ "repository": "registry.example.com/token-broker", "tag": "broken" });
    broken["migrations"]["enabled"] = json!(false);
    let steps = vec![
        step("lint", &first),
        step("install", &first),
        step("upgrade", &second),
        step("test", &second),
        step("upgrade_or_roll_back", &broken),
        step("history", &second),
        step("uninstall", &second),
    ];
    let life = live(steps, &[]).await;
    let [lint, install, upgrade, test, rolled_back, history, uninstall] = &life.steps[..] else { panic!() };
    assert_eq!(lint.worked().get("messages"), &json!([]));

    assert_eq!(install.worked().get("status"), "deployed");
    migrated_once(install);
    assert!(
        install.notes().contains("MCP servers call   token-broker-grpc.broker.svc:7443"),
        "{}",
        install.notes()
    );

    migrated_once(upgrade.worked());
    let patched = places(&upgrade.changes(), "patch");
    for place in ["deployments/token-broker", "configmaps/token-broker-config"] {
        assert!(patched.contains(&place.to_owned()), "{patched:?}");
    }
    let changes = upgrade.changes();
    let rollout = changes.iter().find(|c| c.place() == "deployments/token-broker").expect("the patch");
    // Another configuration starts other pods.
    assert!(
        rollout.object.pointer("/spec/template/metadata/annotations/checksum~1config").is_some(),
        "{rollout:?}"
    );
    assert_eq!(rollout.object["spec"]["replicas"], 5);

    let [pod] = &test.worked().created()[..] else { panic!("{test:?}") };
    assert_eq!(pod["spec"]["containers"][0]["args"][1], "--url=https://token-broker-grpc.broker.svc:7443");

    // Pods that never come up: Helm takes back what it changed.
    let told = rolled_back.error().expect("it fails");
    assert!(told.contains("has been rolled back"), "{told}");
    let changes = rolled_back.changes();
    let images: Vec<&Value> = changes
        .iter()
        .filter(|change| change.place() == "deployments/token-broker")
        .map(|change| &change.object["spec"]["template"]["spec"]["containers"][0]["image"])
        .collect();
    let digest = format!("registry.example.com/token-broker@sha256:{}", "0".repeat(64));
    assert_eq!(images, [&json!("registry.example.com/token-broker:broken"), &json!(digest)]);
    let jobs = changes.iter().filter(|change| change.place().starts_with("jobs/")).count();
    assert_eq!(jobs, 0, "a rollback migrates nothing");
    assert_eq!(history.get("history"), &json!(["superseded", "superseded", "failed", "deployed"]));

    uninstall.worked();
    let left: Vec<&String> =
        life.left.iter().filter(|path| !path.ends_with("/pods/token-broker-test")).collect();
    assert_eq!(left, Vec::<&String>::new());
}

/// Proves: OP1
#[tokio::test]
async fn op1_a_release_on_sqlite_keeps_its_volume() {
    let first = values("helm/broker/ci/sqlite-values.yaml").await;
    let mut second = first.clone();
    second["podAnnotations"] = json!({ "example.com/why": "an upgrade" });
    let steps = [
        step("lint", &first),
        step("install", &first),
        step("upgrade", &second),
        step("test", &first),
        step("uninstall", &first),
    ];
    let life = live(steps.to_vec(), &["monitoring.coreos.com/v1", "cert-manager.io/v1"]).await;
    for done in &life.steps {
        done.worked();
    }
    let kinds: Vec<Value> = life.steps[1].created().iter().map(|object| object["kind"].clone()).collect();
    assert!(kinds.contains(&json!("PersistentVolumeClaim")), "{kinds:?}");
    for other in ["Job", "HorizontalPodAutoscaler", "PodDisruptionBudget"] {
        assert!(!kinds.contains(&json!(other)), "{other} has no place with one replica");
    }
    assert!(places(&life.steps[4].changes(), "delete").contains(&"deployments/token-broker".to_owned()));
    let claim = "/api/v1/namespaces/broker/persistentvolumeclaims/token-broker-data";
    assert!(
        life.left.iter().any(|path| path == claim),
        "people's connections outlive the release: {:?}",
        life.left
    );
}

/// Proves: OP1
#[tokio::test]
async fn op1_a_migration_that_fails_changes_nothing_else() {
    let first = values("helm/broker/ci/postgresql-values.yaml").await;
    let mut broken = first.clone();
    broken["image"] = json!({ "repository": "registry.example.com/token-broker", "tag": "broken" });
    let life = live(vec![step("install", &first), step("upgrade", &broken)], &[]).await;
    let told = life.steps[1].error().expect("it fails");
    assert!(told.contains("pre-upgrade"), "{told}");
    let touched: Vec<String> = life.steps[1].changes().iter().map(Change::place).collect();
    assert!(touched.iter().all(|place| place.ends_with("/token-broker-migrate")), "{touched:?}");
    // What failed stays to be looked at.
    assert!(life.left.iter().any(|path| path.ends_with("/jobs/token-broker-migrate")), "{:?}", life.left);
}

/// Proves: OP1
#[tokio::test]
async fn op1_kinds_of_operators_are_made_where_the_cluster_knows_them() {
    let values = values("helm/broker/ci/postgresql-values.yaml").await;
    let life = live(vec![step("install", &values)], &["monitoring.coreos.com/v1"]).await;
    let text = life.steps[0].worked().text();
    assert!(!text.contains("monitoring.coreos.com"), "the cluster has no such kinds");
    let notes = life.steps[0].notes();
    assert!(
        notes.contains("No ServiceMonitor was made") && notes.contains("No PrometheusRule was made"),
        "{notes}"
    );
    let known = live(vec![step("install", &values)], &[]).await;
    let text = known.steps[0].worked().text();
    assert!(text.contains("kind: ServiceMonitor") && text.contains("kind: PrometheusRule"));
}
