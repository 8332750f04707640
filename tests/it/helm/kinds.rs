//! Kubernetes would take every object: its own schemas for two versions, and for the kinds of operators the fields that those know.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::driver::{run, values};
use super::golden::rows;

/// The oldest that the chart accepts, and the newest whose schemas are at hand.
const VERSIONS: [&str; 2] = ["1.30.0", "1.37.0"];

/// Where the fields of `spec` are that the chart may use, lists flattened; `*` is any text the operator chose.
fn known(kind: &str) -> Option<&'static [&'static str]> {
    Some(match kind {
        "ServiceMonitor" => &[
            "endpoints.interval",
            "endpoints.path",
            "endpoints.port",
            "endpoints.scheme",
            "endpoints.tlsConfig.ca.secret.key",
            "endpoints.tlsConfig.ca.secret.name",
            "endpoints.tlsConfig.serverName",
            "selector.matchLabels.*",
        ],
        "PrometheusRule" => &[
            "groups.name",
            "groups.rules.alert",
            "groups.rules.annotations.description",
            "groups.rules.annotations.summary",
            "groups.rules.expr",
            "groups.rules.for",
            "groups.rules.labels.severity",
            "groups.rules.record",
        ],
        "Certificate" => &[
            "dnsNames",
            "duration",
            "issuerRef.group",
            "issuerRef.kind",
            "issuerRef.name",
            "privateKey.algorithm",
            "privateKey.rotationPolicy",
            "privateKey.size",
            "renewBefore",
            "secretName",
            "usages",
        ],
        "HTTPRoute" => &[
            "hostnames",
            "parentRefs.name",
            "parentRefs.namespace",
            "parentRefs.sectionName",
            "rules.backendRefs.name",
            "rules.backendRefs.port",
            "rules.matches.path.type",
            "rules.matches.path.value",
        ],
        _ => return None,
    })
}

/// The paths of all leaves.
fn paths(at: &str, value: &Value, found: &mut BTreeSet<String>) {
    let join = |key: &str| if at.is_empty() { key.to_owned() } else { format!("{at}.{key}") };
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                paths(&join(if at.ends_with("matchLabels") { "*" } else { key }), value, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| paths(at, item, found)),
        _ => {
            found.insert(at.to_owned());
        }
    }
}

/// Proves: OP1
#[tokio::test]
async fn op1_kubernetes_would_take_every_object_of_the_matrix() {
    let rows = rows().await;
    let objects: Vec<&Value> = rows.iter().flat_map(|row| &row.rendered.0).collect();
    let answer = run("validate.py", &json!({ "versions": VERSIONS, "objects": objects })).await;
    assert_eq!(answer["faults"], json!([]));
    assert!(answer["checked"].as_u64() > Some(100), "{answer}");
    let mut seen = BTreeSet::new();
    for object in objects {
        let kind = object["kind"].as_str().expect("a kind");
        let Some(known) = known(kind) else { continue };
        let mut used = BTreeSet::new();
        paths("", &object["spec"], &mut used);
        let unknown: Vec<&String> = used.iter().filter(|path| !known.contains(&path.as_str())).collect();
        assert!(unknown.is_empty(), "{kind}: {unknown:?}");
        seen.insert(kind);
    }
    assert_eq!(seen.len(), 4, "{seen:?}");
}

#[tokio::test]
async fn a_field_that_kubernetes_does_not_know_is_found() {
    let object = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "a" }, "date": {} });
    let answer = run("validate.py", &json!({ "versions": VERSIONS, "objects": [object] })).await;
    assert_eq!(answer["faults"].as_array().expect("a list").len(), 2, "{answer}");
}

/// Proves: OP1
#[tokio::test]
async fn op1_the_example_of_an_mcp_server_is_sound_and_fits_the_values() {
    let documents = values("helm/examples/mcp-server.yaml").await;
    let answer = run("validate.py", &json!({ "versions": VERSIONS, "objects": documents })).await;
    assert_eq!(answer["faults"], json!([]));
    let object = |kind: &str| {
        let found = documents.as_array().expect("documents").iter().find(|one| one["kind"] == kind);
        found.unwrap_or_else(|| panic!("no {kind}"))
    };
    let pod = &object("Deployment")["spec"]["template"];
    let account = &object("ServiceAccount")["metadata"];
    assert_eq!(pod["spec"]["serviceAccountName"], account["name"]);
    assert_eq!(pod["metadata"]["labels"]["token-broker/client"], "true", "the network policy lets it call");
    let projected =
        pod.pointer("/spec/volumes/0/projected/sources/0/serviceAccountToken").expect("its token");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let subject = format!("system:serviceaccount:{}:{}", text(&account["namespace"]), text(&account["name"]));
    let chart = values("helm/broker/ci/postgresql-values.yaml").await;
    let accepted = &chart["config"]["workloads"][0]["credentials"][0]["jwt"];
    assert_eq!((&accepted["subject"], &accepted["audience"]), (&json!(subject), &projected["audience"]));

    // Its arguments are those of the program, and it looks for the token where it is mounted.
    let container = &pod["spec"]["containers"][0];
    let mount = text(&container["volumeMounts"][0]["mountPath"]);
    let arguments: Vec<String> = container["args"].as_array().expect("arguments").iter().map(text).collect();
    assert!(
        arguments.contains(&format!("--credential={mount}/{}", text(&projected["path"]))),
        "{arguments:?}"
    );
    let binary = broker_tests::process::binary("mcp-server");
    let help = std::process::Command::new(binary).arg("--help").output().expect("it runs");
    let help = String::from_utf8(help.stdout).expect("text");
    for argument in &arguments {
        let flag = argument.split('=').next().unwrap_or_default();
        assert!(help.contains(flag), "{flag} is not in:\n{help}");
    }
}
