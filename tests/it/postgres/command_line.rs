//! `broker migrate`, `serve` and `audit verify` against PostgreSQL.

use broker_tests::postgres::PgDatabase;
use demo::world::{Options, World};
use tokio::process::Command;

use broker_tests::process;

/// Proves: AV6
#[tokio::test]
async fn av6_serving_waits_for_broker_migrate_and_the_log_verifies() {
    let database = PgDatabase::create();
    let site = World::prepare(database.options(Options::default())).await.expect("prepared");
    let broker = async |arguments: &[&str]| {
        let mut command = Command::new(process::broker_binary());
        command.args(arguments).arg("--config").arg(site.config_path()).kill_on_drop(true);
        command.output().await.expect("the broker runs")
    };
    let refused = broker(&["serve"]).await;
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && told.contains("run `broker migrate`"), "{told}");
    let owner = database.owner_url_file().display().to_string();
    let migrated = broker(&["migrate", "--owner-url-file", &owner]).await;
    let told = String::from_utf8_lossy(&migrated.stdout).into_owned();
    assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));
    assert!(told.contains("applied 0001 connections") && told.contains("roles"), "{told}");
    let again = broker(&["migrate", "--owner-url-file", &owner]).await;
    assert_eq!(String::from_utf8_lossy(&again.stdout), "The database is up to date.\n");

    let world = World::run(site).await.expect("it serves now");
    let site = world.stop().await;
    let verified = Command::new(process::broker_binary())
        .args(["audit", "verify", "--config"])
        .arg(site.config_path())
        .output()
        .await
        .expect("the broker runs");
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
}

/// A password in the URL shows up in no error.
#[tokio::test]
async fn a_database_that_cannot_be_reached_is_told_without_its_url() {
    let secret = tempfile::tempdir().expect("a directory");
    let file = secret.path().join("url");
    std::fs::write(&file, "postgres://app:hunter2hunter2@127.0.0.1:1/broker").expect("the URL");
    let section = format!("storage:\n  postgres: {{ url: \"${{file:{}}}\", tls: false }}\n", file.display());
    let amend = move |text: String| text.replace("storage:\n  sqlite: { path: broker.db }\n", &section);
    let options = Options { amend_config: Some(Box::new(amend)), ..Options::default() };
    let site = World::prepare(options).await.expect("prepared");
    let config = broker::config::Config::load(&site.config_path()).expect("sound");
    assert!(!format!("{:?}", config.storage).contains("hunter2"));
    let error = World::run(site).await.err().expect("it cannot start").to_string();
    assert!(
        error.contains("unavailable") && !error.contains("hunter2") && !error.contains("127.0.0.1"),
        "{error}"
    );
}
