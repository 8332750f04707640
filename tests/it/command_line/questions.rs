//! At a terminal: what is missing is asked for, secrets are not shown while they are typed, and nothing is written over
//! without a yes.

use std::path::Path;

use broker_tests::terminal::Terminal;

use super::works;
use broker_tests::process::broker_binary;
use tokio::process::Command;

const TYPED: &str = "typed-secret-that-nobody-may-see-on-a-screen";

fn read(directory: &Path, name: &str) -> String {
    std::fs::read_to_string(directory.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

async fn init(directory: &Path) {
    let mut terminal = Terminal::run(directory, &["init"]);
    terminal.shows("Issuer of your single sign-on").await;
    terminal.types("https://sso.example.com");
    terminal.shows("The broker's client there [broker]:").await;
    terminal.types("");
    terminal.shows("The client's secret (empty: none) (not shown):").await;
    terminal.types(TYPED);
    let (code, shown) = terminal.ended().await;
    assert_eq!(code, 0, "{shown}");
    assert!(!shown.contains(TYPED) && shown.contains("next: broker serve"), "{shown}");
}

/// Proves: OP7
#[tokio::test]
async fn op7_init_asks_for_the_single_sign_on_and_writes_over_nothing_without_a_yes() {
    let directory = tempfile::tempdir().expect("a directory");
    let here = directory.path();
    init(here).await;
    assert_eq!(read(here, "sso-client-secret").trim(), TYPED);
    assert!(read(here, "broker.yaml").contains("    issuer: \"https://sso.example.com\"\n"));
    assert!(works(here, &["config", "check"]).await.contains("is in order"));

    std::fs::write(here.join("policy.cedar"), "// mine\n").expect("written");
    let (config, keys) = (read(here, "broker.yaml"), read(here, "keys.json"));
    for answer in ["n", "", "yess"] {
        let mut terminal = Terminal::run(here, &["init"]);
        terminal.shows("Write new ones, keeping copies?").await;
        terminal.types(answer);
        let (code, shown) = terminal.ended().await;
        assert!(code == 1 && shown.contains("nothing was written"), "{code}: {shown}");
        assert_eq!(
            (read(here, "broker.yaml"), read(here, "policy.cedar")),
            (config.clone(), "// mine\n".to_owned())
        );
    }
    let mut terminal = Terminal::run(here, &["init"]);
    terminal.shows("Write new ones, keeping copies?").await;
    terminal.types("y");
    terminal.shows("(empty: later)").await;
    terminal.types("");
    let (code, shown) = terminal.ended().await;
    assert_eq!(code, 0, "{shown}");
    assert_eq!(read(here, "keys.json"), keys, "keys stay");
    assert_eq!(read(here, "sso-client-secret").trim(), TYPED, "what is not written anew stays");
    let kept = |name: &str| {
        let copies = std::fs::read_dir(here).expect("readable").map(|entry| entry.expect("an entry").path());
        let is_copy = |path: &std::path::PathBuf| {
            let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            file.starts_with(name) && file.ends_with(".bak")
        };
        std::fs::read_to_string(copies.into_iter().find(is_copy).expect("a copy")).expect("readable")
    };
    assert_eq!((kept("broker.yaml"), kept("policy.cedar")), (config, "// mine\n".to_owned()));
    works(here, &["init", "--force"]).await;
    assert_eq!(read(here, "keys.json"), keys, "--force spares them too");
}

/// Proves: OP7
#[tokio::test]
async fn op7_workload_add_asks_for_what_is_missing_and_shows_the_secret_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let here = directory.path();
    init(here).await;
    let mut terminal = Terminal::run(here, &["workload", "add"]);
    terminal.shows("Id of the MCP server:").await;
    terminal.types("notes-server");
    terminal.shows("Its name for people:").await;
    terminal.types("Notes tools");
    terminal.shows("Whose assertions it may present, one of: sso [sso]:").await;
    terminal.types("");
    terminal.shows("The audience minted for it there").await;
    terminal.types("https://notes.example.com/mcp");
    let (code, shown) = terminal.ended().await;
    assert_eq!(code, 0, "{shown}");
    assert_eq!(shown.matches("bws_").count(), 1, "{shown}");
    assert!(shown.contains("It is shown this once"), "{shown}");
    let secret =
        shown.split("secret: ").nth(1).and_then(|rest| rest.split_whitespace().next()).expect("a secret");
    let hash = data_encoding::HEXLOWER.encode(&broker::identity::StaticSecret::hash(secret));
    let config = read(here, "broker.yaml");
    assert!(config.contains(&hash) && !config.contains(secret) && config.contains("Notes tools"));
    assert!(works(here, &["config", "check"]).await.contains("is in order"));

    // A secret made elsewhere is typed unseen.
    let mut terminal = Terminal::run(here, &["workload", "rotate", "notes-server", "--own-secret"]);
    terminal.shows("The secret (not shown):").await;
    terminal.types(TYPED);
    let (code, shown) = terminal.ended().await;
    assert!(code == 0 && !shown.contains(TYPED), "{code}: {shown}");
    let hash = data_encoding::HEXLOWER.encode(&broker::identity::StaticSecret::hash(TYPED));
    assert!(read(here, "broker.yaml").contains(&hash));

    // Nobody is asked who does not want to be, on a terminal either.
    let rotate = ["workload", "rotate", "notes-server", "--own-secret", "--no-input"];
    let (code, shown) = Terminal::run(here, &rotate).ended().await;
    assert!(code == 1 && shown.contains("nobody is to be asked"), "{code}: {shown}");
    assert!(!shown.contains("not shown"), "{shown}");

    let mut terminal = Terminal::run(here, &["workload", "rotate", "notes-server", "--own-secret"]);
    terminal.shows("The secret (not shown):").await;
    terminal.types("short");
    let (code, shown) = terminal.ended().await;
    assert!(code == 1 && shown.contains("at least 32 characters"), "{code}: {shown}");
}

/// Proves: OP7
#[tokio::test]
async fn op7_scripts_bring_secrets_on_standard_input() {
    let directory = tempfile::tempdir().expect("a directory");
    let here = directory.path();
    let script = r#"
        printf '%s\n' "$SECRET" | "$BROKER" init --issuer https://sso.example.com --client-secret-file -
        printf %s "$SECRET" | "$BROKER" workload add notes-server --name Notes --own-secret --no-input --json
        "$BROKER" workload rotate notes-server --own-secret </dev/null || echo "refused: $?"
    "#;
    let mut bash = Command::new("bash");
    bash.args(["-euc", script])
        .env("SECRET", TYPED)
        .env("BROKER", broker_binary())
        .env_remove("BROKER_CONFIG");
    let output = bash.current_dir(here).output().await.expect("bash runs");
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("refused: 1"), "{said}{complained}");
    assert!(complained.contains("the input ended"), "{complained}");
    assert!(!said.contains(TYPED) && !complained.contains(TYPED), "{said}{complained}");
    assert_eq!(read(here, "sso-client-secret").trim(), TYPED);
    let hash = data_encoding::HEXLOWER.encode(&broker::identity::StaticSecret::hash(TYPED));
    assert!(read(here, "broker.yaml").contains(&hash));
}
