//! What can be looked at from the command line: keys, providers, completions; and that all of it speaks JSON.

use broker_tests::process::BrokerProcess;
use demo::world::{Options, Site, World};
use serde_json::{Value, json};

use super::{refused, works};

async fn site() -> Site {
    let amend = |text: String| text.replace("level: warn", "level: info");
    World::prepare(Options { amend_config: Some(Box::new(amend)), ..Options::default() })
        .await
        .expect("prepared")
}

async fn parsed(site: &Site, args: &[&str]) -> Value {
    serde_json::from_str(&works(site.directory(), args).await).expect("JSON")
}

#[tokio::test]
async fn keys_list_shows_every_key_by_name_and_none_itself() {
    let site = site().await;
    let root = parsed(&site, &["keys", "list", "--json"]).await;
    let [only] = &root.as_array().expect("a list")[..] else { panic!("{root}") };
    assert_eq!((&only["kind"], &only["state"]), (&json!("root"), &json!("wraps")));

    let mut broker = BrokerProcess::serve(site.directory(), "broker.yaml");
    broker.listening().await;
    let all = parsed(&site, &["keys", "list", "--json"]).await;
    let system =
        all.as_array().expect("a list").iter().find(|key| key["kind"] == "system").expect("a system key");
    assert_eq!((&system["wrapped_by"], &system["state"]), (&only["id"], &json!("wraps")));
    let text = std::fs::read_to_string(site.path("keys.json")).expect("keys");
    let key = text.split('"').find(|part| part.len() > 40).expect("a key");
    let table = works(site.directory(), &["keys", "list"]).await;
    assert!(table.contains("system") && !table.contains(key) && !all.to_string().contains(key), "{table}");

    // Another root key: what the old one wrapped can be opened by nobody, and that is said.
    let other = text.replace(only["id"].as_str().expect("an id"), "key_other");
    std::fs::write(site.path("keys.json"), other).expect("written");
    let table = works(site.directory(), &["keys", "list"]).await;
    assert!(table.contains("ROOT KEY MISSING"), "{table}");
    std::fs::write(site.path("keys.json"), "{}").expect("written");
    refused(site.directory(), &["keys", "list"], 1, &["keys.json"]).await;
}

#[tokio::test]
async fn provider_list_names_the_redirect_uri_and_no_secret() {
    let site = site().await;
    let listed = parsed(&site, &["provider", "list", "--json"]).await;
    let uri = format!("{}/oauth/callback/notes", site.web_url());
    assert_eq!(listed[0]["redirect_uri"], uri.as_str());
    assert_eq!(
        listed[0]["scopes"][1],
        json!({ "scope": "notes.write", "description": "Write notes in your name", "access": "write" })
    );
    let table = works(site.directory(), &["provider", "list"]).await;
    assert!(table.contains(&uri) && table.contains("notes.read notes.write"), "{table}");
    for secret in site.all_secrets().expect("read") {
        assert!(!table.contains(&secret) && !listed.to_string().contains(&secret));
    }
}

#[tokio::test]
async fn completions_are_scripts_that_the_shell_takes() {
    let directory = tempfile::tempdir().expect("a directory");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = works(directory.path(), &["completions", shell]).await;
        assert!(script.contains("workload") && script.contains("broker"), "{shell}");
    }
    refused(directory.path(), &["completions", "basic"], 2, &["possible values"]).await;
    // As bash calls it: the word under the cursor is the second, and begins with "wor".
    let ask = r#"source <(cat) && COMP_WORDS=(broker wor) COMP_CWORD=1 && _broker broker wor broker && echo "${COMPREPLY[@]}""#;
    let script = works(directory.path(), &["completions", "bash"]).await;
    std::fs::write(directory.path().join("broker.bash"), script).expect("written");
    let ask = ask.replace("<(cat)", "./broker.bash");
    let bash = tokio::process::Command::new("bash").args(["-c", &ask]).current_dir(directory.path()).output();
    let output = bash.await.expect("bash runs");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "workload", "{output:?}");
}

#[tokio::test]
async fn init_and_migrate_speak_json_too() {
    let directory = tempfile::tempdir().expect("a directory");
    let said: Value =
        serde_json::from_str(&works(directory.path(), &["init", "--json"]).await).expect("JSON");
    assert_eq!(
        (said["config"].as_str(), said["wrote"].as_array().map(Vec::len)),
        (Some("./broker.yaml"), Some(3))
    );
    let migrated = works(directory.path(), &["migrate", "--json"]).await;
    let said: Value = serde_json::from_str(&migrated).expect("JSON");
    assert!(said["applied"].as_array().is_some_and(|all| all[0]["version"] == 1), "{said}");
    assert_eq!(works(directory.path(), &["migrate", "--json"]).await.trim(), "{\"applied\":[]}");
}
