//! `broker migrate`, and schemas that are not this binary's.

use broker_tests::database::Database;
use demo::world::{Options, World};

use super::{refused, works};

#[tokio::test]
async fn migrate_makes_the_schema_once_and_refuses_a_newer_or_changed_one() {
    let site = World::prepare(Options::default()).await.expect("prepared");
    let first = works(site.directory(), &["migrate"]).await;
    assert!(first.starts_with("applied 0001 "), "{first}");
    assert_eq!(works(site.directory(), &["migrate"]).await, "The database is up to date.\n");
    let commands: [&[&str]; 4] = [&["serve"], &["migrate"], &["audit", "list"], &["audit", "verify"]];

    let mut database = Database::open(&site.database_path()).await;
    database.run("INSERT INTO schema_migrations VALUES (9999, 'from the future', x'00', 0)").await;
    for command in commands {
        refused(site.directory(), command, 1, &["9999", "newer broker", "upgrade"]).await;
    }
    database.run("DELETE FROM schema_migrations WHERE version = 9999").await;
    let kept = database.text("SELECT hex(sha256) FROM schema_migrations WHERE version = 2").await;
    database.run("UPDATE schema_migrations SET sha256 = zeroblob(32) WHERE version = 2").await;
    for command in commands {
        refused(site.directory(), command, 1, &["0002", "another text"]).await;
    }
    database.run(&format!("UPDATE schema_migrations SET sha256 = x'{kept}' WHERE version = 2")).await;
    let last = database.text("SELECT max(version) FROM schema_migrations").await;
    database.run(&format!("DELETE FROM schema_migrations WHERE version = {last}")).await;
    refused(site.directory(), &["serve"], 1, &["broker migrate"]).await;
    database.close().await;
}
