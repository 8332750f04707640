//! The main job by the real binary, at the most talkative log level, and then the sweep.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use broker_testkit::Redis;
use broker_tests::collector::Collector;
use broker_tests::process::{self, BrokerProcess};
use demo::world::{Options, Site, World};

use super::evidence::{Evidence, Place};
use super::job::Job;

/// Proves: VA10, AU6
#[tokio::test(flavor = "multi_thread")]
async fn va10_database_logs_statuses_pages_and_command_line_hold_no_secret() {
    let amend = |text: String| text.replace("log: { level: warn }", "log: { level: trace }");
    let collector = Collector::start().await;
    let redis = Redis::start();
    let tape = redis.tape();
    let options = Options {
        amend_config: Some(Box::new(amend)),
        extra_config: telemetry(&collector) + &redis.section(),
        ..Options::default()
    };
    let site = World::prepare(options).await.expect("prepared");
    let mut evidence = Evidence::default();
    let key = "canary-key-of-the-collector-8915";
    std::fs::write(site.path("collector-key"), key).expect("written");
    evidence.secret("the collector's key", key);
    operator_files(&site, &mut evidence);
    wrong_configurations(&site, &mut evidence).await;

    let mut broker = BrokerProcess::serve(site.directory(), "broker.yaml");
    broker.listening().await;
    tape.wait_for("PUBLISH");
    let mut job = Job::new(&site, evidence);
    job.run().await;
    let mut evidence = job.evidence;
    operations(&site, &mut evidence).await;
    database(&site, &mut evidence, "while it runs");
    command_line(&site, &mut evidence).await;
    broker.terminate().await;
    let (status, log) = broker.ended().await;
    assert!(status.success(), "{status:?}");
    evidence.wrote(Place::Log, "standard error", &log);
    database(&site, &mut evidence, "afterwards");
    evidence.wrote(Place::Redis, "all it was told and asked", tape.bytes());
    evidence.wrote(Place::Redis, "all it keeps", redis.dump());
    evidence.wrote(Place::Trace, "spans", collector.bytes());
    wire(&site, &mut evidence);

    there_was_something_to_find(&evidence, &log);
    let found = evidence.found();
    assert!(found.is_empty(), "secrets where they must not be:\n{}", found.join("\n"));
    planted_secrets_are_found(evidence);
}

/// Every call is traced.
fn telemetry(collector: &Collector) -> String {
    let rest =
        "sample_ratio: 1\n  max_traces_per_second: 1000\n  headers: { x-key: \"${file:collector-key}\" }";
    format!("telemetry:\n  endpoint: \"{}\"\n  {rest}\n", collector.url())
}

fn operator_files(site: &Site, evidence: &mut Evidence) {
    for secret in site.all_secrets().expect("readable") {
        evidence.secret("operator's secret", secret);
    }
    let text = std::fs::read_to_string(site.path("keys.json")).expect("the key file");
    let keys: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let key = keys["keys"][0]["key"].as_str().expect("a key");
    evidence.secret("root key, encoded", key);
    evidence.secret("root key", STANDARD.decode(key).expect("base64"));
}

/// A secret in the wrong place of a configuration is not repeated by whoever complains.
async fn wrong_configurations(site: &Site, evidence: &mut Evidence) {
    let good = std::fs::read_to_string(site.config_path()).expect("the configuration");
    let secret = "canary-of-the-configuration-4711";
    evidence.secret("canary in the configuration", secret);
    let wrong = [
        good.replace("${file:notes-client-secret}", secret),
        good.replace("public_url: \"http://", &format!("public_url: \"http://user:{secret}@")),
        good.replace("keys:\n", &format!("keys:\n  {secret}: 1\n")),
        good.replace("level: trace", &format!("level: {secret}")),
        good.replace("algorithms: [ES256]", &format!("algorithms: [{secret}]")),
        format!("{good}\n{secret}: [\n"),
        format!("{good}\nunknown_section: {secret}\n"),
        good.replace("- static_secret_sha256: \"", &format!("- static_secret_sha256: \"{secret}")),
    ];
    for text in wrong {
        assert_ne!(text, good, "the configuration looks different by now");
        std::fs::write(site.path("wrong.yaml"), text).expect("written");
        let commands: [&[&str]; 8] = [
            &["config", "check"],
            &["config", "check", "--json"],
            &["serve"],
            &["migrate"],
            &["workload", "list"],
            &["provider", "list"],
            &["keys", "list"],
            &["policy", "explain", "--workload", "ticket-helper", "--subject", "alice"],
        ];
        for args in commands {
            let ran = process::run(site.directory(), &[args, &["--config", "wrong.yaml"]].concat()).await;
            assert_ne!(ran.code, 0, "{args:?}: {ran:?}");
            evidence.wrote(Place::CommandLine, &format!("{args:?}"), ran.stdout + &ran.stderr);
        }
    }
}

async fn operations(site: &Site, evidence: &mut Evidence) {
    let client = demo::http::client(b"").expect("a client");
    for path in ["livez", "readyz", "metrics"] {
        let answer = client.get(format!("{}/{path}", site.ops_url())).send().await.expect("an answer");
        let headers = format!("{:?}", answer.headers());
        evidence.wrote(Place::Ops, path, headers + &answer.text().await.expect("text"));
    }
}

/// The file, its write-ahead log and its shared memory, byte by byte.
fn database(site: &Site, evidence: &mut Evidence, when: &str) {
    for name in ["broker.db", "broker.db-wal", "broker.db-shm"] {
        let bytes = std::fs::read(site.path(name)).unwrap_or_default();
        assert!(when == "afterwards" || !bytes.is_empty(), "{name} is gone");
        evidence.wrote(Place::Database, &format!("{name} {when}"), bytes);
    }
}

async fn command_line(site: &Site, evidence: &mut Evidence) {
    let question =
        ["policy", "explain", "--subject", "alice", "--issuer", "sso", "--workload", "ticket-helper"];
    let question = [&question[..], &["--provider", "notes", "--scope", "notes.read"]].concat();
    let commands: [&[&str]; 17] = [
        &["workload", "add", "canary", "--name", "Canary", "--secret-file", "canary.secret"],
        &["workload", "rotate", "canary", "--secret-file", "canary.next", "--json"],
        &["workload", "list"],
        &["workload", "list", "--json"],
        &["provider", "list"],
        &["provider", "list", "--json"],
        &["completions", "bash"],
        &["keys", "list"],
        &["keys", "list", "--json"],
        &question,
        &[&question[..], &["--json"]].concat(),
        &["audit", "list"],
        &["audit", "list", "--json"],
        &["audit", "verify"],
        &["audit", "verify", "--json"],
        &["config", "check"],
        &["config", "check", "--json"],
    ];
    for args in commands {
        let ran = process::run(site.directory(), args).await;
        assert_eq!(ran.code, 0, "{args:?}: {ran:?}");
        evidence.wrote(Place::CommandLine, &args.join(" "), ran.stdout + &ran.stderr);
    }
    // Handed over in files, and nowhere else: not even in the configuration.
    for file in ["canary.secret", "canary.next"] {
        let secret = std::fs::read_to_string(site.path(file)).expect("a secret");
        evidence.secret("a workload's new secret", secret.trim());
    }
    let files =
        std::fs::read_dir(site.directory()).expect("readable").map(|entry| entry.expect("an entry").path());
    let config = files.filter(|path| path.to_string_lossy().contains("broker.yaml"));
    for path in config {
        let text = std::fs::read(&path).expect("readable");
        evidence.wrote(Place::CommandLine, &path.display().to_string(), text);
    }
}

/// What crossed the token endpoints of the SSO and the SaaS.
fn wire(site: &Site, evidence: &mut Evidence) {
    let saas = [site.notes(), site.calendar()].map(|saas| ("SaaS", saas.heard()));
    for (who, heard) in [("SSO", site.sso().heard())].into_iter().chain(saas) {
        for (what, value) in heard {
            evidence.secret(&format!("{who} {what}"), value);
        }
    }
}

/// A sweep of nothing for nothing proves nothing.
fn there_was_something_to_find(evidence: &Evidence, log: &str) {
    assert!(
        log.contains("TRACE") && log.contains("PROVIDER_UNAVAILABLE"),
        "the log is not at its most talkative"
    );
    assert!(evidence.bytes_in(Place::Database) > 100_000);
    assert!(evidence.bytes_in(Place::Ops) > 5_000, "no metrics");
    assert!(evidence.bytes_in(Place::Trace) > 50_000, "no traces");
    assert!(evidence.bytes_in(Place::Rpc) > 1_000 && evidence.bytes_in(Place::Page) > 10_000);
    let kinds = [
        "operator's secret",
        "root key",
        "assertion",
        "session cookie",
        "consent handle",
        "parent handle",
        "state secret",
        "SaaS access_token of a batch",
        "state",
        "SSO code",
        "SSO code_verifier",
        "SSO id_token",
        "SaaS code",
        "SaaS code_verifier",
        "SaaS access_token",
        "SaaS refresh_token",
        "canary",
    ];
    for kind in kinds {
        assert!(evidence.named(kind) > 0, "no {kind} to look for");
    }
    assert!(evidence.named("SaaS refresh_token") >= 3, "nothing was rotated");
}

/// The same evidence with one secret planted in each place fails.
fn planted_secrets_are_found(mut evidence: Evidence) {
    let secret = b"planted-canary-0123456789";
    evidence.secret("planted", secret);
    for place in Place::ALL {
        evidence.wrote(place, "planted", [b"before ", &secret[..], b" after"].concat());
    }
    evidence.wrote(Place::Log, "planted, encoded", STANDARD.encode([b"x", &secret[..]].concat()));
    let found = evidence.found();
    for place in Place::ALL {
        assert!(found.contains(&format!("{place:?}, planted: planted as itself")), "{found:?}");
    }
    assert!(found.contains(&"Log, planted, encoded: planted as base64".to_owned()), "{found:?}");
}
