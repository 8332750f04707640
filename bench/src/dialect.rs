//! Which database the broker under measurement runs on.

use crate::Fault;
use broker::{
    app,
    config::Config,
    domain::{SecretString, SystemClock},
    storage::Store,
};
use broker_testkit::{APPLICATION, OWNER, Server};
use demo::world::{Options, Site, World};
use std::{fs, sync::Arc};
use tempfile::TempDir;

const SQLITE: &str = "storage:\n  sqlite: { path: broker.db }\n";

/// A database the broker runs on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Dialect {
    /// SQLite: one process, one file.
    Sqlite,
    /// PostgreSQL: a private server, durable as in production.
    Postgres,
}

impl Dialect {
    /// As printed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }

    /// Whether several brokers may serve one database.
    pub fn has_replicas(self) -> bool {
        self == Self::Postgres
    }
}

/// Makes databases of one dialect, on the same disk and with the same settings.
#[derive(Clone)]
pub enum Databases {
    /// Files.
    Sqlite,
    /// Databases of one server.
    Postgres {
        /// The server; it ends with the last holder.
        server: Arc<Server>,
        /// Files with the URLs.
        urls: Arc<TempDir>,
    },
}

impl Databases {
    /// Starts what is needed.
    ///
    /// # Errors
    /// When there is no temporary directory.
    pub fn of(dialect: Dialect) -> Result<Self, Fault> {
        Ok(match dialect {
            Dialect::Sqlite => Self::Sqlite,
            Dialect::Postgres => {
                let server = Server::durable();
                season(&server);
                Self::Postgres { server: Arc::new(server), urls: Arc::new(tempfile::tempdir()?) }
            }
        })
    }

    /// A broker with fresh keys on an empty database, on default settings but for what the options say.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn found(&self, options: Options) -> Result<World, Fault> {
        let Self::Postgres { server, .. } = self else {
            return Ok(World::start(options).await?);
        };
        let name = server.database();
        let section = self.section(&name)?;
        let before = options.amend_config;
        let amend = move |text: String| {
            let text = before.map_or(text.clone(), |amend| amend(text));
            text.replace(SQLITE, &section)
        };
        let options = Options { amend_config: Some(Box::new(amend)), ..options };
        let site = World::prepare(options).await?;
        migrate(&Config::load(&site.config_path())?, server, &name).await?;
        Ok(World::run(site).await?)
    }

    /// An empty database beside a broker's, for the floor: opened by the broker's own code.
    ///
    /// # Errors
    /// When it does not open.
    pub async fn beside(&self, site: &Site) -> Result<Store, Fault> {
        let path = site.config_path().with_file_name("floor.yaml");
        let text = fs::read_to_string(site.config_path())?;
        let Self::Postgres { server, .. } = self else {
            fs::write(&path, text.replace("path: broker.db", "path: floor.db"))?;
            return Ok(app::open_store(&Config::load(&path)?, &**site.clock()).await?);
        };
        let name = server.database();
        let (before, after) = text.split_once("storage:\n").ok_or("a configuration without storage")?;
        let rest = after.split_once('\n').map_or("", |(_, rest)| rest);
        fs::write(&path, format!("{before}{}{rest}", self.section(&name)?))?;
        let config = Config::load(&path)?;
        migrate(&config, server, &name).await?;
        Ok(app::open_store(&config, &**site.clock()).await?)
    }

    fn section(&self, name: &str) -> Result<String, Fault> {
        let Self::Postgres { server, urls } = self else { return Ok(SQLITE.to_owned()) };
        let file = urls.path().join(name);
        fs::write(&file, server.url(APPLICATION, name))?;
        Ok(format!("storage:\n  postgres: {{ url: \"${{file:{}}}\", tls: false }}\n", file.display()))
    }
}

/// A server that was made a moment ago writes every file of its log (16 MiB) full of zeroes before it uses it, and nothing is committed
/// meanwhile, a tenth of a second every two seconds under load. One that has run for an hour uses its old files again; so does this one.
fn season(server: &Server) {
    const FILES: usize = 96;
    for setting in ["min_wal_size = '2GB'", "max_wal_size = '4GB'"] {
        server.sql("postgres", &format!("ALTER SYSTEM SET {setting}"));
    }
    server.sql("postgres", "SELECT pg_reload_conf()");
    let next = "SELECT pg_logical_emit_message(false, 'bench', 'x'), pg_switch_wal();".repeat(FILES);
    server.sql("postgres", &next);
    server.sql("postgres", "CHECKPOINT");
}

async fn migrate(config: &Config, server: &Server, name: &str) -> Result<(), Fault> {
    let owner = SecretString::from(server.url(OWNER, name));
    app::migrate(config, Some(&owner), &SystemClock::default()).await?;
    Ok(())
}
