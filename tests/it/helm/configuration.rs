//! The configuration that the chart renders is one that the broker takes, with every file where the chart mounts it.

use broker_tests::process;

use super::golden::rows;
use super::kubelet::{Cluster, mount};
use super::rendered::{Rendered, write};

const URL: &str = "postgres://broker_app:secret@db.example.com:5432/broker";

/// Everything that the rows of the matrix name and the chart does not make.
pub fn cluster() -> Cluster {
    let mut cluster = Cluster::with_token("a token");
    for (secret, key) in
        [("broker-database", "url"), ("broker-database", "direct"), ("broker-owner", "owner")]
    {
        cluster.secret(secret, key, URL);
    }
    cluster.secret("broker-database-owner", "url", URL);
    for (secret, key) in [("broker-keys", "keys.json"), ("broker-keys", "ring")] {
        cluster.secret(secret, key, "{}");
    }
    for secret in ["broker-tls", "broker-web-tls", "token-broker-tls"] {
        cluster.secret(secret, "tls.crt", "PEM");
        cluster.secret(secret, "tls.key", "PEM");
    }
    for secret in ["client-ca", "corp-ca"] {
        cluster.secret(secret, "ca.crt", "PEM");
    }
    cluster.secret("database-ca", "root.pem", "PEM");
    cluster.secret("broker-sso", "client-secret", "for the check only");
    cluster.secret("broker-redis", "url", "rediss://:hunter2@redis.example.com");
    cluster.secret("broker-notes", "client-secret", "for the check only");
    cluster.config_map("corp-ca", "ca.crt", "PEM");
    cluster.config_map("kube-root-ca.crt", "ca.crt", "PEM");
    cluster.config_map("rules", "main.cedar", "");
    cluster.config_map("rules", "more.cedar", "");
    cluster
}

/// Every file that a configuration names.
pub fn named_files(config: &str) -> Vec<String> {
    let words = config.split(|c: char| c.is_whitespace() || "\"'{}:,".contains(c));
    let files = words.filter(|word| word.starts_with("/etc/broker/") || word.starts_with("/var/lib/broker/"));
    files.map(str::to_owned).collect()
}

/// Proves: OP1
#[tokio::test]
async fn op1_the_rendered_configuration_passes_the_brokers_own_check() {
    for row in rows().await {
        let mut rendered = row.rendered.clone();
        if row.name == "scaled" {
            // A volume and containers of the operator's own.
            let pod = pod_of(&mut rendered);
            pod["volumes"].as_array_mut().expect("volumes").retain(|volume| volume["name"] != "more");
            pod["containers"][0]["volumeMounts"]
                .as_array_mut()
                .expect("mounts")
                .retain(|m| m["name"] != "more");
        }
        let directory = tempfile::tempdir().expect("a directory");
        let root = directory.path();
        let name = if row.name == "mesh" { "grants" } else { "token-broker" };
        let pod = &rendered.object("Deployment", name)["spec"]["template"]["spec"];
        mount(root, &rendered, pod, &cluster());
        let config = rendered.file(&format!("{name}-config"), "broker.yaml");
        let missing: Vec<String> = named_files(config)
            .into_iter()
            .filter(|file| !file.starts_with("/var/lib/") && !root.join(&file[1..]).exists())
            .collect();
        assert!(missing.is_empty(), "{}: not mounted: {missing:?}", row.name);
        checked(root, "broker.yaml", config, row.name).await;
    }
}

/// Proves: OP1
#[tokio::test]
async fn op1_the_migration_gets_a_configuration_of_its_own_and_no_secret_but_the_databases() {
    let rows = rows().await;
    for name in ["postgresql", "bare", "scaled"] {
        let row = rows.iter().find(|row| row.name == name).expect("the row");
        let directory = tempfile::tempdir().expect("a directory");
        let job = row.rendered.object("Job", "token-broker-migrate");
        let pod = &job["spec"]["template"]["spec"];
        let mounts = mount(directory.path(), &row.rendered, pod, &cluster());
        let paths: Vec<&str> = mounts.iter().map(|mount| mount.path.as_str()).collect();
        let allowed =
            ["/etc/broker/config", "/etc/broker/database", "/etc/broker/database-ca", "/etc/broker/owner"];
        assert!(paths.iter().all(|path| allowed.contains(path)), "{paths:?}");
        checked(
            directory.path(),
            "migrate.yaml",
            row.rendered.file("token-broker-migrate", "broker.yaml"),
            name,
        )
        .await;
    }
}

fn pod_of(rendered: &mut Rendered) -> &mut serde_json::Value {
    let deployment = rendered.0.iter_mut().find(|object| object["kind"] == "Deployment").expect("it");
    deployment.pointer_mut("/spec/template/spec").expect("a pod")
}

async fn checked(root: &std::path::Path, file: &str, config: &str, name: &str) {
    let here = root.display().to_string();
    write(root, file, &config.replace("/etc/broker", &format!("{here}/etc/broker")));
    let ran = process::run(root, &["config", "check", "--config", file]).await;
    assert_eq!(ran.code, 0, "{name}: {ran:?}");
    assert!(ran.stdout.contains("is in order"), "{name}: {ran:?}");
}
