//! Ports, services, probes and network policy name the same things: those that the configuration makes the broker open.

use broker::config::Config;
use serde_json::{Value, json};

use super::configuration::cluster;
use super::golden::rows;
use super::kubelet::mount;
use super::rendered::{Rendered, list, write};

fn port(container: &Value, name: &str) -> Value {
    let ports = list(container, "/ports");
    ports.iter().find(|port| port["name"] == name).unwrap_or_else(|| panic!("no port {name}"))["containerPort"].clone()
}

/// Which ports a rule of the network policy lets in, by its order.
fn let_in(policy: &Value) -> Vec<Value> {
    list(policy, "/spec/ingress")
        .into_iter()
        .flat_map(|rule| list(rule, "/ports"))
        .map(|port| port["port"].clone())
        .collect()
}

/// Which ports it lets out to.
fn let_out(policy: &Value) -> Vec<Value> {
    let ports = list(policy, "/spec/egress").into_iter().flat_map(|rule| list(rule, "/ports"));
    ports.map(|port| port["port"].clone()).collect()
}

fn agrees(rendered: &Rendered, config: &Config) {
    let container = rendered.container();
    let listeners =
        [("grpc", &config.listeners.grpc), ("web", &config.listeners.web), ("ops", &config.listeners.ops)];
    let policy = rendered.object("NetworkPolicy", "token-broker");
    for (name, listener) in listeners {
        assert_eq!(port(container, name), json!(listener.address.port()), "{name}");
        let service = rendered.object("Service", &format!("token-broker-{name}"));
        assert_eq!(list(service, "/spec/ports")[0]["targetPort"], name);
        assert_eq!(service["spec"]["selector"], rendered.deployment()["spec"]["selector"]["matchLabels"]);
        let open = let_in(policy).contains(&json!(listener.address.port()));
        assert!(open || name == "ops", "{name} is shut");
    }
    let ours: Vec<Value> = listeners.iter().map(|(_, listener)| json!(listener.address.port())).collect();
    assert!(let_in(policy).iter().all(|port| ours.contains(port)), "{policy}");
    assert_eq!(list(container, "/ports").len(), 3);
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        let asked = &container[probe]["httpGet"];
        assert_eq!(asked["port"], "ops");
        assert_eq!(asked["scheme"] == "HTTPS", config.listeners.ops.tls.is_some(), "{probe}");
    }
    assert_eq!(policy["spec"]["policyTypes"], json!(["Ingress", "Egress"]));
    assert_eq!(
        policy["spec"]["podSelector"]["matchLabels"],
        rendered.deployment()["spec"]["selector"]["matchLabels"]
    );
}

/// The pod is killed only after the requests under way, and the log's end, had their time.
fn ends_in_time(rendered: &Rendered, config: &Config) {
    let before =
        rendered.container().pointer("/lifecycle/preStop/sleep/seconds").and_then(Value::as_u64).unwrap_or(0);
    let grace = rendered.pod()["terminationGracePeriodSeconds"].as_u64().expect("a number");
    assert!(config.limits.drain_timeout >= config.limits.request_timeout);
    assert!(grace >= before + config.limits.drain_timeout.as_secs() + 10, "{grace}");
}

/// Restricted, as Kubernetes' pod security standards call it.
fn is_restricted(pod: &Value) {
    assert_eq!(pod["automountServiceAccountToken"], false);
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert!(pod["securityContext"]["runAsUser"].as_u64() > Some(0));
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    for container in list(pod, "/containers").into_iter().filter(|one| one["name"] != "proxy") {
        let context = &container["securityContext"];
        assert_eq!(context["allowPrivilegeEscalation"], false);
        assert_eq!(context["readOnlyRootFilesystem"], true);
        assert_eq!(context["capabilities"]["drop"], json!(["ALL"]));
        assert!(container["resources"]["limits"]["memory"].is_string());
    }
}

/// Proves: OP1, AV5, NE4
#[tokio::test]
async fn op1_what_is_rendered_agrees_with_the_configuration() {
    for row in rows().await {
        for object in &row.rendered.0 {
            let pod = match object["kind"].as_str() {
                Some("Pod") => &object["spec"],
                Some("Deployment" | "Job") => &object["spec"]["template"]["spec"],
                _ => continue,
            };
            is_restricted(pod);
        }
        if ["mesh", "scaled"].contains(&row.name) {
            // Other names, and an operator's own volume; their text is in the golden files.
            continue;
        }
        let directory = tempfile::tempdir().expect("a directory");
        mount(directory.path(), &row.rendered, row.rendered.pod(), &cluster());
        let here = format!("{}/etc/broker", directory.path().display());
        write(directory.path(), "broker.yaml", &row.rendered.config().replace("/etc/broker", &here));
        let config = Config::load(&directory.path().join("broker.yaml")).expect("it is in order");
        agrees(&row.rendered, &config);
        ends_in_time(&row.rendered, &config);
        let many = row.rendered.deployment()["spec"]["replicas"].as_u64() > Some(1);
        assert_eq!(row.rendered.has("PodDisruptionBudget"), many, "{}", row.name);
        let sqlite = matches!(config.storage, broker::config::Storage::Sqlite { .. });
        let strategy = if sqlite { "Recreate" } else { "RollingUpdate" };
        assert_eq!(row.rendered.deployment()["spec"]["strategy"]["type"], strategy);
        assert_eq!(row.rendered.has("Job"), !sqlite);
        assert_eq!(
            let_out(row.rendered.object("NetworkPolicy", "token-broker")).contains(&json!(5432)),
            !sqlite
        );
        assert!(!sqlite || row.rendered.deployment()["spec"]["replicas"] == 1);
    }
}
