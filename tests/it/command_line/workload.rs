//! `broker workload add|rotate|list`: the file keeps every line, and what was handed over opens the door.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use broker_client::{Credential, Error, GrantRequest, Outcome};
use broker_tests::process::BrokerProcess;
use demo::world::{ALICE, Options, PROVIDER, Site, World};
use serde_json::Value;

use super::{refused, works};

const AUDIENCE: &str = "https://new-server.company.example/mcp";
/// One that its operator brought along.
const OWN: &str = "0123456789abcdef0123456789ABCDEF-own";

/// A site whose rules know the server that is going to be added.
async fn site() -> Site {
    let amend = |text: String| text.replace("level: warn", "level: info");
    let rule = r#"@id("new") permit (principal, action == Broker::Action::"issue", resource) when { context.workload.name == "new-server" };"#;
    let options =
        Options { amend_config: Some(Box::new(amend)), extra_policy: rule.to_owned(), ..Options::default() };
    World::prepare(options).await.expect("prepared")
}

/// What the broker makes of a secret: its reason, or that it asked alice to connect.
async fn shown(site: &Site, secret: &str) -> String {
    let client = site.client_with(Credential::secret(secret)).await.expect("a client");
    let assertion = site.sso().mint_assertion(ALICE.sso.name, AUDIENCE);
    match client.issue_grant(&GrantRequest::new(assertion, PROVIDER, ["notes.read"])).await {
        Ok(Outcome::ConsentRequired(_)) => "served".to_owned(),
        Ok(Outcome::Grant(_)) => "granted".to_owned(),
        Err(error @ Error::WorkloadCredential(_)) => format!("refused: {}", error.reason()),
        Err(error) => error.reason().to_owned(),
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).expect("readable");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

async fn running(site: &Site) -> BrokerProcess {
    let mut broker = BrokerProcess::serve(site.directory(), "broker.yaml");
    broker.listening().await;
    broker
}

/// Proves: OP7, ID2
#[tokio::test]
async fn op7_id2_an_added_server_is_served_by_its_secret_and_by_the_next_and_by_no_ended_one() {
    let site = site().await;
    let directory = site.directory();
    let before = read(&site.config_path());
    let add = [
        "workload",
        "add",
        "new-server",
        "--name",
        "New: server #1",
        "--issuer",
        "sso",
        "--audience",
        AUDIENCE,
    ];
    let said = works(directory, &[&add[..], &["--secret-file", "new.secret"]].concat()).await;
    let first = read(&site.path("new.secret")).trim().to_owned();
    assert!(first.starts_with("bws_") && !said.contains(&first), "{said}");
    let mode = |name: &str| site.path(name).metadata().expect(name).permissions().mode() & 0o777;
    assert_eq!((mode("new.secret"), mode("broker.yaml")), (0o600, 0o600));
    let after = read(&site.config_path());
    assert!(after.starts_with(before.trim_end()), "every line is where it was");
    assert!(!after.contains(&first), "the hash alone");
    let copies: Vec<String> = names(directory).into_iter().filter(|name| name.ends_with(".bak")).collect();
    let [copy] = &copies[..] else { panic!("{copies:?}") };
    assert_eq!((read(&site.path(copy)), mode(copy)), (before, 0o600));
    assert!(works(directory, &["config", "check"]).await.contains("is in order"));

    let broker = running(&site).await;
    assert_eq!(shown(&site, &first).await, "served");
    assert_eq!(shown(&site, OWN).await, "refused: WORKLOAD_CREDENTIAL_INVALID");
    drop(broker);

    // Rotated with overlap: both work. Rotated without: the newest alone.
    let rotate = ["workload", "rotate", "new-server", "--no-backup", "--secret-file"];
    works(directory, &[&rotate[..], &["second"]].concat()).await;
    let second = read(&site.path("second")).trim().to_owned();
    let broker = running(&site).await;
    assert_eq!((shown(&site, &first).await, shown(&site, &second).await), ("served".into(), "served".into()));
    drop(broker);
    let said = works(directory, &[&rotate[..], &["third", "--overlap", "1ms", "--json"]].concat()).await;
    let said: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!((&said["workload"], &said["secret_file"]), (&"new-server".into(), &"third".into()));
    let third = read(&site.path("third")).trim().to_owned();
    let _broker = running(&site).await;
    for secret in [&first, &second] {
        assert_eq!(shown(&site, secret).await, "refused: WORKLOAD_CREDENTIAL_INVALID");
    }
    assert_eq!(shown(&site, &third).await, "served");

    let listed: Value =
        serde_json::from_str(&works(directory, &["workload", "list", "--json"]).await).expect("JSON");
    let entry =
        listed.as_array().expect("a list").iter().find(|one| one["id"] == "new-server").expect("listed");
    let states: Vec<&str> = entry["credentials"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|one| one["state"].as_str())
        .collect();
    assert_eq!(states, ["expired", "expired", "valid"]);
    assert_eq!(entry["display_name"], "New: server #1");
    let table = works(directory, &["workload", "list"]).await;
    assert!(table.contains("token of cluster") && table.contains("new-server"), "{table}");
    assert!(!table.contains("static_secret_sha256") && !listed.to_string().contains(&hash_of(&third)));
}

fn hash_of(secret: &str) -> String {
    data_encoding::HEXLOWER.encode(&broker::identity::StaticSecret::hash(secret))
}

/// Proves: OP7
#[tokio::test]
async fn op7_what_cannot_be_added_leaves_no_trace() {
    let site = site().await;
    let directory = site.directory();
    std::fs::write(site.path("taken"), "mine").expect("written");
    let (before, all) = (read(&site.config_path()), names(directory));
    let name = ["workload", "add", "new-server", "--name", "New"];
    let cases: [(&[&str], &str); 10] = [
        (&["workload", "add"], "ID is missing"),
        (&["workload", "add", "x"], "--name is missing"),
        (&["workload", "add", "No Id", "--name", "x"], "not a valid workload name"),
        (&[&name[..], &["--audience", AUDIENCE, "--secret-file", "s"]].concat(), "--issuer is missing"),
        (&name, "--secret-file"),
        (&[&name[..], &["--json"]].concat(), "--secret-file"),
        (&[&name[..], &["--secret-file", "taken"]].concat(), "taken exists"),
        (
            &[&name[..], &["--secret-file", "s", "--issuer", "nobody", "--audience", "x"]].concat(),
            "names no entry of issuers",
        ),
        (
            &[&name[..], &["--secret-file", "s", "--provider", "nothing"]].concat(),
            "names no entry of providers",
        ),
        (&["workload", "add", "ticket-helper", "--name", "x", "--secret-file", "s"], "already"),
    ];
    for (args, words) in cases {
        refused(directory, args, 1, &[words]).await;
        assert_eq!((read(&site.config_path()), names(directory)), (before.clone(), all.clone()), "{args:?}");
    }
    refused(
        directory,
        &["workload", "rotate", "nobody", "--secret-file", "s"],
        1,
        &["no workload of this id"],
    )
    .await;
    refused(
        directory,
        &["workload", "rotate", "ticket-helper", "--overlap", "soon", "--secret-file", "s"],
        1,
        &["--overlap"],
    )
    .await;
    assert_eq!((read(&site.config_path()), names(directory)), (before, all));
    refused(
        directory,
        &[&name[..], &["--secret-file", "/dev/null", "--force"]].concat(),
        1,
        &["regular file"],
    )
    .await;
    // Everybody could read what was there; nobody else reads the secret.
    std::fs::set_permissions(site.path("taken"), PermissionsExt::from_mode(0o666)).expect("opened");
    works(directory, &[&name[..], &["--secret-file", "taken", "--force"]].concat()).await;
    assert!(read(&site.path("taken")).starts_with("bws_"));
    assert_eq!(site.path("taken").metadata().expect("there").permissions().mode() & 0o777, 0o600);
}

/// Proves: OP7
#[tokio::test]
async fn op7_who_is_to_put_the_lines_in_by_hand_gets_the_secret_of_their_hash() {
    let site = site().await;
    let directory = site.directory();
    // One document in braces: there is no line to put another one below.
    let old = hash_of(OWN);
    let braces = format!(
        "{{ workloads: [{{ id: wiki, credentials: &c [{{ static_secret_sha256: {old} }}] }}, {{ id: b, credentials: *c }}] }}\n"
    );
    std::fs::write(site.path("braces.yaml"), &braces).expect("written");
    let file = ["--config", "braces.yaml", "--secret-file"];
    let add = ["workload", "add", "new-server", "--name", "New"];
    let rotate = ["workload", "rotate", "wiki"];
    for (args, secret) in [(&add[..], "added"), (&rotate[..], "rotated")] {
        let args = [args, &file[..], &[secret]].concat();
        let told = refused(directory, &args, 1, &["put this in", &format!("is in {secret}")]).await;
        let handed = hash_of(read(&site.path(secret)).trim());
        assert!(told.stderr.contains(&handed), "{told:?}");
        assert_eq!(read(&site.path("braces.yaml")), braces);
    }
}

#[tokio::test]
async fn a_server_with_a_token_of_its_own_needs_no_secret() {
    let site = site().await;
    let subject = "system:serviceaccount:tools:new-server";
    let jwt = ["--jwt-issuer", "cluster", "--jwt-audience", "token-broker", "--jwt-subject", subject];
    let who = [
        "workload",
        "add",
        "new-server",
        "--name",
        "New",
        "--issuer",
        "sso",
        "--audience",
        AUDIENCE,
        "--role",
        "r",
    ];
    let said =
        works(site.directory(), &[&who[..], &jwt[..], &["--provider", "notes", "--json"]].concat()).await;
    let said: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(said["secret_file"], Value::Null);
    let _broker = running(&site).await;
    assert_eq!(shown(&site, &site.sso().mint_workload_token(subject, "token-broker")).await, "served");
    refused(
        site.directory(),
        &["workload", "rotate", "new-server", "--secret-file", "s"],
        1,
        &["no static secret"],
    )
    .await;
    assert!(!site.path("s").exists());
}
