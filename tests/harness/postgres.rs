//! A PostgreSQL database for a broker of the tests, and its clock in their hands.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use broker::app;
use broker::config::Config;
use broker::domain::{Clock, SecretString, SystemClock};
use broker_testkit::{APPLICATION, OWNER, Pooler, Server, shared};
use demo::world::{Options, Site};
use tempfile::TempDir;

use crate::database::Database;
use crate::pki::KeyFiles;

const SQLITE: &str = "storage:\n  sqlite: { path: broker.db }\n";
const SUPERUSER: &str = "postgres";

/// `broker_clock()` that stands at `micros`, or runs `ahead` of the machine's.
const CLOCK: &str = "\
CREATE TABLE test_clock (micros BIGINT, ahead BIGINT NOT NULL);
ALTER TABLE test_clock OWNER TO broker_owner;
INSERT INTO test_clock VALUES (NULL, 0);
CREATE OR REPLACE FUNCTION broker_clock() RETURNS BIGINT LANGUAGE sql VOLATILE SECURITY DEFINER RETURN (
    SELECT coalesce(micros, (extract(epoch FROM clock_timestamp()) * 1000000)::BIGINT + ahead) FROM public.test_clock)";

/// An empty database; clones are the same one.
#[derive(Clone)]
pub struct PgDatabase {
    /// `None`: the server that the tests of this process share.
    own: Option<Arc<Server>>,
    name: String,
    secrets: Arc<TempDir>,
    /// What the configuration says about the way there.
    way: String,
}

impl PgDatabase {
    /// Makes one on the server that the tests of this process share.
    pub fn create() -> PgDatabase {
        PgDatabase::on(None)
    }

    /// Makes one on a server that keeps what it acknowledged, to be killed and starved.
    pub fn durable() -> PgDatabase {
        PgDatabase::on(Some(Arc::new(Server::durable())))
    }

    /// One more on the same server.
    pub fn another(&self) -> PgDatabase {
        PgDatabase::on(self.own.clone())
    }

    /// Makes one on a server of its own that is reached at `host` over TLS, with the certificate of `files` and vouched for by whom
    /// `ca_file` names.
    pub fn encrypted(host: &str, files: &KeyFiles, ca_file: &Path) -> PgDatabase {
        let [certificate, key] =
            [&files.certificate, &files.key].map(|file| std::fs::read_to_string(file).expect("PEM"));
        let server = Server::encrypted(&certificate, &key);
        let port = server.port();
        let mut database = PgDatabase::on(Some(Arc::new(server)));
        database.way = format!("ca_file: {}", ca_file.display());
        database.reached_at(&format!("{host}:{port}"));
        database
    }

    fn on(own: Option<Arc<Server>>) -> PgDatabase {
        let server = own.as_deref().unwrap_or_else(|| shared());
        let name = server.database();
        let secrets = Arc::new(tempfile::tempdir().expect("a directory"));
        std::fs::write(secrets.path().join("url"), server.url(APPLICATION, &name)).expect("the URL");
        std::fs::write(secrets.path().join("owner-url"), server.url(OWNER, &name)).expect("the URL");
        PgDatabase { own, name, secrets, way: "tls: false".to_owned() }
    }

    /// From now on brokers that read their configuration reach it over TCP, at this address.
    pub fn reached_at(&self, address: &str) {
        std::fs::write(self.secrets.path().join("url"), self.url_at(address)).expect("the URL");
    }

    /// From now on brokers that read their configuration reach it through this pooler, and past it where they must.
    pub fn pooled(&mut self, pooler: &Pooler) {
        let direct = self.secrets.path().join("direct-url");
        std::fs::write(&direct, self.server().url(APPLICATION, &self.name)).expect("the URL");
        self.way = format!("tls: false, direct_url: \"${{file:{}}}\"", direct.display());
        self.reached_at(&pooler.address().to_string());
    }

    /// Its URL for the serving role, over TCP.
    pub fn url_at(&self, address: &str) -> String {
        format!("postgres://{APPLICATION}@{address}/{}", self.name)
    }

    /// The server it is on.
    pub fn server(&self) -> &Server {
        self.own.as_deref().unwrap_or_else(|| shared())
    }

    /// The `storage` section that names it.
    pub fn section(&self) -> String {
        let url = self.secrets.path().join("url");
        // The shared server runs without fsync.
        let development = if self.own.is_none() { ", development: true" } else { "" };
        format!(
            "storage:\n  postgres: {{ url: \"${{file:{}}}\", {}{development} }}\n",
            url.display(),
            self.way
        )
    }

    /// A configuration's text with this database instead of the SQLite file.
    ///
    /// # Panics
    /// When the text names no SQLite file.
    pub fn instead_of_sqlite(&self, text: &str) -> String {
        assert!(text.contains(SQLITE), "the configuration names SQLite");
        text.replace(SQLITE, &self.section())
    }

    /// Options whose broker keeps its rows here.
    pub fn options(&self, options: Options) -> Options {
        let (here, before) = (self.clone(), options.amend_config);
        let amend = move |text: String| {
            let text = here.instead_of_sqlite(&text);
            before.map_or(text.clone(), |before| before(text))
        };
        Options { amend_config: Some(Box::new(amend)), ..options }
    }

    /// The file with the owner's URL, for `broker migrate`.
    pub fn owner_url_file(&self) -> std::path::PathBuf {
        self.secrets.path().join("owner-url")
    }

    /// Migrates it as its owner, and hands its clock to the test; it stands still at the site's time.
    pub async fn migrate(&self, site: &Site) {
        let config = Config::load(&site.config_path()).expect("a sound configuration");
        self.migrate_for(&config).await;
        self.follow(&**site.clock());
    }

    /// The same with a clock that runs with the machine's.
    pub async fn migrate_for(&self, config: &Config) {
        let owner = SecretString::from(self.server().url(OWNER, &self.name));
        app::migrate(config, Some(&owner), &SystemClock::default()).await.expect("migrates");
        self.sql(CLOCK);
    }

    /// Stops the database's clock at another's time.
    pub fn follow(&self, clock: &dyn Clock) {
        self.sql(&format!("UPDATE test_clock SET micros = {}", clock.now().micros()));
    }

    /// Moves the database's running clock forward.
    pub fn advance(&self, by: Duration) {
        self.sql(&format!("UPDATE test_clock SET ahead = ahead + {}", by.as_micros()));
    }

    /// Runs SQL as the server's superuser; its output.
    pub fn sql(&self, sql: &str) -> String {
        self.server().sql(&self.name, sql)
    }

    /// A connection of the superuser's.
    pub async fn connect(&self) -> Database {
        Database::open_postgres(&self.server().url(SUPERUSER, &self.name)).await
    }
}
