//! Values that are wrong are refused before anything is sent, in words that say where and what.

use serde_json::{Value, json};

use super::driver::{live, step, values};

/// Where, what stands there, and what the refusal has to say.
fn wrong() -> Vec<(&'static str, Value, &'static str)> {
    vec![
        ("/replicaCount", json!(0), "at '/replicaCount': minimum: got 0, want 1"),
        ("/replicaCount", json!("3"), "at '/replicaCount': got string, want integer"),
        ("/replicas", json!(3), "additional properties 'replicas' not allowed"),
        ("/image/digest", json!("latest"), "at '/image/digest': 'latest' does not match pattern"),
        ("/image/repo", json!("x"), "at '/image': additional properties 'repo' not allowed"),
        (
            "/publicUrl",
            json!("http://broker.example.com"),
            "at '/publicUrl': 'http://broker.example.com' does not match",
        ),
        (
            "/database/type",
            json!("mysql"),
            "at '/database/type': value must be one of 'postgresql', 'sqlite'",
        ),
        ("/database/postgresql/password", json!("x"), "additional properties 'password' not allowed"),
        ("/config/listeners", json!({}), "at '/config': additional properties 'listeners' not allowed"),
        (
            "/config/limits/request_timeouts",
            json!("1s"),
            "at '/config/limits': additional properties 'request_timeouts'",
        ),
        ("/config/providers/0/scopes/0/access", json!("admin"), "at '/config/providers/0/scopes/0/access'"),
        (
            "/policy/files/main.rego",
            json!(""),
            "at '/policy/files': additional properties 'main.rego' not allowed",
        ),
        ("/secrets/sso/secret", json!("x"), "at '/secrets/sso': additional properties 'secret' not allowed"),
        ("/listeners/grpc/port", json!(80), "at '/listeners/grpc/port': minimum: got 80, want 1,024"),
        ("/shutdown/preStopSeconds", json!(-1), "at '/shutdown/preStopSeconds': minimum"),
        // What no schema can say.
        ("/publicUrl", json!(""), "publicUrl: say where people's browsers reach the pages"),
        ("/image/repository", json!(""), "image.repository: name the image"),
        ("/keyring/existingSecret", json!(""), "keyring.existingSecret: name the Secret with keys.json"),
        (
            "/database/postgresql/existingSecret",
            json!(""),
            "database.postgresql.existingSecret: name the Secret",
        ),
        (
            "/certManager/enabled",
            json!(false),
            "listeners.grpc.tls: name an existingSecret, enable certManager",
        ),
        ("/certManager/issuerRef/name", json!(""), "certManager.issuerRef.name: name the issuer"),
        ("/config/limits/request_timeout", json!("1m"), "shutdown.drainSeconds: requests may take 60 s"),
        (
            "/config/limits/drain_timeout",
            json!("1m"),
            "config.limits.drain_timeout: set shutdown.drainSeconds",
        ),
        (
            "/config/spool",
            json!({ "directory": "/tmp" }),
            "at '/config/spool': additional properties 'directory' not allowed",
        ),
        ("/config/issuers/0/name", json!("cluster"), "config.issuers: cluster is the name of clusterIssuer"),
        ("/httpRoute/enabled", json!(true), "httpRoute.parentRefs: name the Gateway"),
        ("/policy/existingConfigMap", json!("rules"), "policy: give files or an existingConfigMap, not both"),
        (
            "/config/providers/0/client/secret",
            json!("hunter2"),
            "config.providers (notes).client.secret: is a secret written out",
        ),
        (
            "/config/issuers/0/login/client_secret",
            json!("hunter2"),
            "login.client_secret: is a secret written out",
        ),
        (
            "/config/telemetry",
            json!({ "endpoint": "https://collector.example.com:4317", "headers": { "x-key": "hunter2" } }),
            "config.telemetry.headers.x-key: is a secret written out",
        ),
        (
            "/config/redis",
            json!({ "url": "rediss://:hunter2@redis.example.com" }),
            "config.redis.url: is a secret written out",
        ),
        ("/listeners/grpc/tls/clientCaSecret", json!("ca"), "helmTest.clientCertificateSecret: gRPC asks"),
        ("/listeners/host", json!("broker.example.com"), "at '/listeners/host'"),
        ("/authorities/corp/secret", json!("ca"), "authorities.corp: name a configMap or a secret"),
        (
            "/listeners/web/tls",
            json!({ "existingSecret": "x", "terminatedByMesh": true }),
            "listeners.web.tls: existingSecret and terminatedByMesh contradict each other",
        ),
    ]
}

/// Sets a value, making the mappings on its way.
fn set(values: &mut Value, pointer: &str, value: Value) {
    let mut at = values;
    for key in pointer.split('/').skip(1) {
        at = match at {
            Value::Array(items) => &mut items[key.parse::<usize>().expect("an index")],
            other => {
                if other.is_null() {
                    *other = json!({});
                }
                other.as_object_mut().expect("a mapping").entry(key).or_insert(Value::Null)
            }
        };
    }
    *at = value;
}

/// Proves: OP1
#[tokio::test]
async fn op1_bad_values_are_refused_with_their_place_and_a_reason() {
    let sound = values("helm/broker/ci/postgresql-values.yaml").await;
    let cases = wrong();
    let steps = cases.iter().map(|(pointer, value, _)| {
        let mut values = sound.clone();
        set(&mut values, pointer, value.clone());
        step("install", &values)
    });
    let life = live(steps.collect(), &[]).await;
    let mut faults = Vec::new();
    for ((pointer, value, expected), done) in cases.iter().zip(&life.steps) {
        let told = done.error().unwrap_or("nothing");
        if !told.contains(expected) || !done.changes().is_empty() {
            faults.push(format!("{pointer} = {value}: {expected:?} is not in {told:?}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert_eq!(life.left, Vec::<String>::new());
}

/// Proves: OP1
#[tokio::test]
async fn op1_sqlite_does_not_scale() {
    let mut values = values("helm/broker/ci/sqlite-values.yaml").await;
    values["autoscaling"] = json!({ "enabled": true });
    let life = live(vec![step("install", &values)], &[]).await;
    let told = life.steps[0].error().expect("refused");
    assert!(told.contains("autoscaling.enabled: SQLite is one process"), "{told}");
}
