//! A PostgreSQL database for a broker of the tests, and its clock in their hands.

use std::sync::Arc;

use broker::app;
use broker::config::Config;
use broker::domain::{Clock, SecretString, SystemClock};
use broker_testkit::{APPLICATION, OWNER, shared};
use demo::world::{Options, Site};
use tempfile::TempDir;

const SQLITE: &str = "storage:\n  sqlite: { path: broker.db }\n";

/// An empty database on the server that the tests of this process share.
pub struct PgDatabase {
    name: String,
    secrets: TempDir,
}

impl PgDatabase {
    /// Makes one.
    pub fn create() -> PgDatabase {
        let name = shared().database();
        let secrets = tempfile::tempdir().expect("a directory");
        std::fs::write(secrets.path().join("url"), shared().url(APPLICATION, &name)).expect("the URL");
        std::fs::write(secrets.path().join("owner-url"), shared().url(OWNER, &name)).expect("the URL");
        PgDatabase { name, secrets }
    }

    /// The `storage` section that names it.
    pub fn section(&self) -> String {
        let url = self.secrets.path().join("url");
        // The shared server runs without fsync.
        format!(
            "storage:\n  postgres: {{ url: \"${{file:{}}}\", tls: false, development: true }}\n",
            url.display()
        )
    }

    /// Options whose broker keeps its rows here.
    pub fn options(&self, options: Options) -> Options {
        let section = self.section();
        let before = options.amend_config;
        let amend = move |text: String| {
            let text = before.map_or(text.clone(), |before| before(text));
            assert!(text.contains(SQLITE), "the demo's configuration names SQLite");
            text.replace(SQLITE, &section)
        };
        Options { amend_config: Some(Box::new(amend)), ..options }
    }

    /// The file with the owner's URL, for `broker migrate`.
    pub fn owner_url_file(&self) -> std::path::PathBuf {
        self.secrets.path().join("owner-url")
    }

    /// Migrates it as its owner, and hands its clock to the test.
    pub async fn migrate(&self, site: &Site) {
        let config = Config::load(&site.config_path()).expect("a sound configuration");
        let owner = SecretString::from(shared().url(OWNER, &self.name));
        app::migrate(&config, Some(&owner), &SystemClock::default()).await.expect("migrates");
        self.sql(
            "CREATE TABLE test_clock (micros BIGINT NOT NULL);
             ALTER TABLE test_clock OWNER TO broker_owner;
             INSERT INTO test_clock VALUES (0);
             CREATE OR REPLACE FUNCTION broker_clock() RETURNS BIGINT LANGUAGE sql VOLATILE
                 SECURITY DEFINER RETURN (SELECT micros FROM public.test_clock)",
        );
        self.follow(site.clock());
    }

    /// Sets the database's clock to everybody's.
    pub fn follow(&self, clock: &Arc<dyn Clock>) {
        self.sql(&format!("UPDATE test_clock SET micros = {}", clock.now().micros()));
    }

    /// Runs SQL as the server's superuser; its output.
    pub fn sql(&self, sql: &str) -> String {
        shared().sql(&self.name, sql)
    }
}
