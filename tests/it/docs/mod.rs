//! What `docs/` tells people to do works as it is written there.

mod page;

use std::collections::BTreeSet;
use std::path::Path;

use broker_tests::process::run;
use page::{Block, blocks, follow};
use serde_json::Value;

/// The configuration that pages speak of which do not begin with one: a single sign-on, notes, and a server for them.
const NOTES: &str = include_str!("notes.yaml");

fn read(page: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(page);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{page}: {error}"))
}

async fn started() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let ran = run(directory.path(), &["init"]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    directory
}

/// What looks as if it could be done, and is not.
fn left_out(page: &str) -> Vec<Block> {
    let doable = |block: &Block| {
        ["sh", "yaml", "cedar"].contains(&block.language.as_str()) && block.directive.is_none()
    };
    blocks(page).into_iter().filter(doable).collect()
}

/// Proves: OP7
#[tokio::test]
async fn op7_the_quick_start_can_be_followed_to_a_broker_that_serves() {
    let directory = tempfile::tempdir().expect("a directory");
    let page = read("quick-start.md");
    assert_eq!(follow(directory.path(), &page).await, 8);
    // Building the broker, which the test's own build did.
    let out = left_out(&page);
    assert!(matches!(&out[..], [one] if one.text.starts_with("cargo build -p broker\n")), "{out:?}");
    assert!(!std::fs::read_to_string(directory.path().join("broker.yaml")).expect("it").contains("bws_"));
}

/// Proves: PO6
#[tokio::test]
async fn po6_the_policies_of_the_guide_decide_as_its_table_says() {
    let directory = started().await;
    std::fs::write(directory.path().join("policy.cedar"), "").expect("written");
    std::fs::write(directory.path().join("notes-client-secret"), "only for the check").expect("written");
    std::fs::write(directory.path().join("broker.yaml"), NOTES).expect("written");
    let page = read("policies.md");
    assert_eq!(follow(directory.path(), &page).await, 10);
    assert_eq!(left_out(&page), []);
    // Each rule matters to the table: without any one of them it fails.
    let rules = std::fs::read_to_string(directory.path().join("policy.cedar")).expect("the rules");
    let all: Vec<&str> = rules.split("@id(").skip(1).collect();
    assert_eq!(all.len(), 5);
    for without in 0..all.len() {
        let rest = all.iter().enumerate().filter(|(n, _)| *n != without);
        let rest: String = rest.map(|(_, rule)| format!("@id({rule}")).collect();
        std::fs::write(directory.path().join("policy.cedar"), rest).expect("written");
        let ran = run(directory.path(), &["policy", "test", "cases.yaml"]).await;
        assert_eq!(ran.code, 3, "without {}: {ran:?}", all[without]);
    }
}

#[tokio::test]
async fn the_guide_to_providers_names_every_field_and_its_example_is_sound() {
    let directory = started().await;
    let page = read("providers.md");
    assert_eq!(follow(directory.path(), &page).await, 4);
    assert_eq!(left_out(&page), []);
    let schema: Value = serde_json::from_str(broker::config::SCHEMA).expect("the schema");
    let fields = schema["$defs"]["Provider"]["properties"].as_object().expect("the fields of a provider");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let rows: BTreeSet<&str> = rows.collect();
    assert_eq!(rows, fields.keys().map(String::as_str).collect());
}

/// Proves: VA5
#[tokio::test]
async fn va5_the_keys_of_a_tenant_and_the_root_key_are_changed_as_the_guide_says() {
    let directory = started().await;
    let page = read("keys.md");
    assert_eq!(follow(directory.path(), &page).await, 11);
    assert_eq!(left_out(&page), []);
}

#[test]
fn blocks_are_found_with_their_directives() {
    let page = "<!-- run -->\n```sh\na\nb\n```\n\n```yaml\nc: d\n```\n";
    let found = blocks(page);
    assert_eq!(
        (found.len(), found[0].directive.as_deref(), found[0].text.as_str()),
        (2, Some("run"), "a\nb\n")
    );
    assert_eq!(left_out(page), [Block { language: "yaml".into(), directive: None, text: "c: d\n".into() }]);
}
