//! pgbouncer in transaction mode: one that keeps prepared statements serves the main job, any other is refused at start.

use broker::config::{Config, Postgres, Storage};
use broker::storage::PostgresStore;
use broker_testkit::Pooler;
use broker_tests::postgres::PgDatabase;
use demo::world::{Options, World};

use super::job::main_job;

/// The first that can keep prepared statements.
const KEEPS: (u32, u32) = (1, 21);
const KEEPING: &str = "max_prepared_statements = 200";

/// Proves: GR5, CO1, RV2
#[tokio::test]
async fn the_main_job_runs_through_a_pooler_that_keeps_prepared_statements() {
    let version = Pooler::version();
    let mut database = PgDatabase::create();
    if version >= KEEPS {
        let pooler = Pooler::before(database.server(), KEEPING);
        database.pooled(&pooler);
        main_job(&database).await;
        return;
    }
    // Debian 12's does not: the broker says so instead of failing under load.
    println!(
        "pgbouncer {version:?} keeps no prepared statements: that it is refused is all that can be shown with it"
    );
    let pooler = Pooler::before(database.server(), "");
    assert_refused(&mut database, &pooler).await;
}

#[tokio::test]
async fn a_pooler_that_loses_prepared_statements_is_refused_at_start() {
    let mut database = PgDatabase::create();
    let settings = if Pooler::version() >= KEEPS { "max_prepared_statements = 0" } else { "" };
    let pooler = Pooler::before(database.server(), settings);
    assert_refused(&mut database, &pooler).await;
}

/// Twice: what the first one prepared is still there in the pooler's sessions.
async fn assert_refused(database: &mut PgDatabase, pooler: &Pooler) {
    database.pooled(pooler);
    let site = World::prepare(database.options(Options::default())).await.expect("prepared");
    database.migrate(&site).await;
    let Storage::Postgres(config) = Config::load(&site.config_path()).expect("sound").storage else {
        panic!("it is on PostgreSQL");
    };
    for _ in 0..2 {
        let told = PostgresStore::open(&config).await.err().expect("refused").to_string();
        assert!(told.contains("behind a pooler that loses prepared statements"), "{told}");
    }
    // Past it everything works.
    let direct = Postgres { url: config.direct_url.clone(), ..config };
    PostgresStore::open(&direct).await.expect("opens").close().await.expect("closes");
}
