//! What must not start does not start, and says why.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use broker_tests::process::BrokerProcess;
use demo::world::{Options, Site, World};
use serde_json::Value;

use super::{refused, works};

async fn site() -> Site {
    let amend = |text: String| text.replace("level: warn", "level: info");
    let options = Options { amend_config: Some(Box::new(amend)), ..Options::default() };
    World::prepare(options).await.expect("prepared")
}

/// Proves: VA7
#[tokio::test]
async fn va7_a_root_key_that_is_open_to_others_or_guessable_does_not_start() {
    let site = site().await;
    let path = site.path("keys.json");
    let good = std::fs::read_to_string(&path).expect("keys");
    let mode = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("mode");
    for open in [0o644, 0o640, 0o604, 0o666] {
        mode(open);
        refused(site.directory(), &["serve"], 1, &["keys.json is open to others", "chmod 600"]).await;
    }
    mode(0o600);
    let key =
        |bytes: &[u8]| format!("{{\"keys\": [{{\"id\": \"k\", \"key\": \"{}\"}}]}}", STANDARD.encode(bytes));
    let counted: Vec<u8> = (0..32).collect();
    for (text, words) in [
        (key(&[0; 32]), "all zeros"),
        (key(&[0x5A; 32]), "a repeated pattern"),
        (key(&counted), "a counted sequence"),
        (key(b"change-me-change-me-change-me-42"), "readable text"),
        (key(&[7; 16]), "exactly 32"),
        ("{\"keys\": []}".to_owned(), "holds no key"),
        ("not JSON".to_owned(), "malformed at line 1"),
    ] {
        std::fs::write(&path, text).expect("written");
        refused(site.directory(), &["serve"], 1, &[words]).await;
        assert!(
            !site.database_path().with_extension("db-wal").exists(),
            "{words}: the database was left open"
        );
    }
    std::fs::remove_file(&path).expect("removed");
    refused(site.directory(), &["serve"], 1, &["keys.json"]).await;
    std::fs::write(&path, good).expect("written");
    mode(0o600);
    starts(&site).await;
}

async fn starts(site: &Site) {
    let mut broker = BrokerProcess::serve(site.directory(), "broker.yaml");
    broker.listening().await;
    broker.terminate().await;
    assert!(broker.ended().await.0.success());
}

/// Every unsafe or mistaken configuration, the place it is told for, and words of the sentence.
const MISTAKES: &[(&str, &str, &str, &str)] = &[
    ("log: {", "lock: {", "lock", "not a known key"),
    ("environment: sandbox", "enviroment: sandbox", "providers[0].enviroment", "not a known key"),
    ("issuer: \"http://127.0.0.1", "issuer: \"http://sso.example.com", "issuers[0].issuer", "https"),
    (
        "token_url: \"http://127.0.0.1",
        "token_url: \"http://notes.example.com",
        "providers[0].token_url",
        "https",
    ),
    ("grpc: { address: \"127.0.0.1", "grpc: { address: \"0.0.0.0", "listeners.grpc.address", "no TLS"),
    ("web: { address: \"127.0.0.1", "web: { address: \"192.0.2.1", "listeners.web.address", "no TLS"),
    ("ops: { address: \"127.0.0.1", "ops: { address: \"0.0.0.0", "listeners.ops.address", "no TLS"),
    ("realm: staff", "realm: staff\n    realm: other", "", "given twice"),
    ("file: keys.json", "fyle: keys.json", "keys.file", "missing"),
];

/// Proves: VA7, NE4
#[tokio::test]
async fn ne4_an_unsafe_configuration_is_refused_by_check_and_by_serve_with_its_place() {
    let site = site().await;
    let good = std::fs::read_to_string(site.config_path()).expect("the configuration");
    for (from, to, path, words) in MISTAKES {
        let wrong = good.replacen(from, to, 1);
        assert_ne!(wrong, good, "{from:?} is not in the configuration any more");
        std::fs::write(site.path("wrong.yaml"), wrong).expect("written");
        let check = ["config", "check", "--config", "wrong.yaml"];
        refused(site.directory(), &check, 3, &["problem: ", path, words]).await;
        let json = refused(site.directory(), &[&check[..], &["--json"]].concat(), 3, &[]).await;
        let json: Value = serde_json::from_str(&json.stdout).expect("JSON and nothing else");
        let problems = json["problems"].as_array().expect("a list");
        let told = problems.iter().any(|p| {
            let field = |name: &str| p[name].as_str().unwrap_or_default().to_owned();
            field("path").contains(path) && field("message").contains(words)
        });
        assert!(told, "{path}: {json}");
        refused(site.directory(), &["serve", "--config", "wrong.yaml"], 1, &[path, words]).await;
    }
    // All at once, not one after the other.
    let many = good.replacen("log: {", "lock: {", 1).replacen("realm: staff", "reelm: staff", 1);
    std::fs::write(site.path("wrong.yaml"), many).expect("written");
    let check = ["config", "check", "--config", "wrong.yaml"];
    refused(site.directory(), &check, 3, &["lock", "issuers[0].reelm"]).await;
    refused(site.directory(), &["config", "check", "--config", "none.yaml"], 3, &["none.yaml"]).await;
    assert!(!site.database_path().exists(), "a refused configuration touches no database");
    let sound = works(site.directory(), &["config", "check", "--json"]).await;
    assert_eq!(serde_json::from_str::<Value>(&sound).expect("JSON")["problems"], serde_json::json!([]));
}

#[tokio::test]
async fn the_printed_schema_is_the_committed_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let printed = works(directory.path(), &["config", "schema"]).await;
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../broker/config.schema.json");
    let committed = std::fs::read_to_string(committed).expect("the schema");
    assert_eq!(printed.trim(), committed.trim());
}

#[tokio::test]
async fn a_second_broker_on_the_same_file_or_port_is_refused_in_a_sentence() {
    let site = site().await;
    let mut broker = BrokerProcess::serve(site.directory(), "broker.yaml");
    broker.listening().await;
    let grpc = site.addresses().grpc.to_string();
    refused(site.directory(), &["serve"], 1, &["cannot listen on", &grpc, "in use"]).await;
    let text = std::fs::read_to_string(site.config_path()).expect("the configuration");
    let text = text.replacen(&format!("address: \"{grpc}\""), "address: \"127.0.0.1:0\"", 1);
    let (web, ops) = (site.addresses().web, site.addresses().ops);
    let text = text.replacen(&format!("address: \"{web}\""), "address: \"127.0.0.1:0\"", 1);
    let text = text.replacen(&format!("address: \"{ops}\""), "address: \"127.0.0.1:0\"", 1);
    std::fs::write(site.path("second.yaml"), text).expect("written");
    let words = ["another process uses the database", "broker.db"];
    refused(site.directory(), &["serve", "--config", "second.yaml"], 1, &words).await;
    refused(site.directory(), &["migrate"], 1, &words).await;
    // The first one did not notice.
    broker.terminate().await;
    assert!(broker.ended().await.0.success());
}
