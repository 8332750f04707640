//! Everything around the broker: its files, its peers, its callers' credentials.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use broker::domain::{Clock, ExposeSecret, Rng, SecretString};
use broker::identity::StaticSecret;
use broker::keys::FileKeyring;
use broker_client::{Client, Credential};
use data_encoding::HEXLOWER;
use tempfile::TempDir;

use super::cast::{self, Account, OPERATORS_AUDIENCE, Person, Workload};
use super::{Addresses, ClientClock, Options, WorldError, addresses::Held, clock};
use crate::browser::Browser;
use crate::clock::Now;
use crate::http::ClientError;
use crate::oauth;
use crate::saas::{self, Saas};
use crate::sso::Sso;

const CONFIG: &str = include_str!("broker.yaml");
const POLICY: &str = include_str!("policy.cedar");

/// The broker's files in a temporary directory, and the running SSO and SaaS. Dropping it ends them.
pub struct Site {
    directory: TempDir,
    addresses: Addresses,
    _held: Held,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    sso: Sso,
    notes: Saas,
    calendar: Saas,
    secrets: [(Workload, SecretString); 2],
}

impl Site {
    pub(super) async fn set_up(
        options: Options,
        addresses: Addresses,
        held: Held,
    ) -> Result<Site, WorldError> {
        let now = clock::seconds_of(&options.clock);
        let sso = Sso::start(now.clone()).await?;
        let notes = Saas::start(saas::NOTES, now.clone()).await?;
        let calendar = Saas::start(saas::CALENDAR, now).await?;
        cast::operators().into_iter().for_each(|user| sso.put_user(user));
        let mut temporary = tempfile::Builder::new();
        let directory = temporary.prefix("token-broker-").tempdir()?;
        let rng = options.rng.clone();
        let made = Workload::ALL.map(|workload| (workload, StaticSecret::generate(&*rng)));
        let hashes = [0, 1].map(|n| (made[n].0, HEXLOWER.encode(&made[n].1.sha256)));
        let secrets = made.map(|(workload, made)| (workload, made.secret));
        let site = Site {
            directory,
            addresses,
            _held: held,
            clock: options.clock.clone(),
            rng,
            sso,
            notes,
            calendar,
            secrets,
        };
        site.register_broker()?;
        FileKeyring::generate(&site.path("keys.json"), &*site.rng)?;
        let policy = options.policy.as_deref().unwrap_or(POLICY);
        site.write("policy.cedar", &format!("{policy}\n{}", options.extra_policy))?;
        let config = format!("{}\n{}", site.config(&hashes), options.extra_config);
        let config = options.amend_config.map_or(config.clone(), |amend| amend(config));
        site.write("broker.yaml", &config)?;
        Ok(site)
    }

    fn config(&self, hashes: &[(Workload, String)]) -> String {
        let Addresses { grpc, web, ops } = self.addresses;
        let text = CONFIG
            .replace("@grpc@", &grpc.to_string())
            .replace("@web@", &web.to_string())
            .replace("@ops@", &ops.to_string())
            .replace("@sso@", self.sso.issuer())
            .replace("@cluster@", self.sso.workload_issuer())
            .replace("@operators@", OPERATORS_AUDIENCE)
            .replace("@notes@", self.notes.origin())
            .replace("@calendar@", self.calendar.origin());
        hashes.iter().fold(text, |text, (workload, hash)| text.replace(&format!("@{}@", workload.id()), hash))
    }

    /// Makes the broker known as a client, at the SSO for its pages and at each SaaS for its tokens.
    fn register_broker(&self) -> io::Result<()> {
        let web = self.web_url();
        let client = |id: &str, redirect: String, secret: &SecretString| oauth::Client {
            id: id.to_owned(),
            name: "Token broker".to_owned(),
            secret: secret.expose_secret().to_owned(),
            redirect_uris: vec![redirect],
        };
        let pages = StaticSecret::generate(&*self.rng).secret;
        self.sso.register_client(client("broker-pages", format!("{web}/login/callback"), &pages));
        self.write("sso-client-secret", pages.expose_secret())?;
        for (provider, saas) in [(cast::PROVIDER, &self.notes), (cast::CALENDAR, &self.calendar)] {
            let tokens = StaticSecret::generate(&*self.rng).secret;
            saas.register_client(client("broker", format!("{web}/oauth/callback/{provider}"), &tokens));
            self.write(&format!("{provider}-client-secret"), tokens.expose_secret())?;
        }
        Ok(())
    }

    fn write(&self, name: &str, text: &str) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(self.path(name))?;
        file.write_all(text.as_bytes())
    }

    /// A file of the broker's directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The broker's directory: configuration, keys, policy, secrets, database.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The configuration, for `broker --config`.
    pub fn config_path(&self) -> PathBuf {
        self.path("broker.yaml")
    }

    /// The SQLite database.
    pub fn database_path(&self) -> PathBuf {
        self.path("broker.db")
    }

    /// Where the broker listens.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Where MCP servers, auditors and operators call, such as `http://127.0.0.1:40123`.
    pub fn grpc_url(&self) -> String {
        format!("http://{}", self.addresses.grpc)
    }

    /// Where people's browsers go; no slash at the end.
    pub fn web_url(&self) -> String {
        format!("http://{}", self.addresses.web)
    }

    /// Where the platform asks for health; no slash at the end.
    pub fn ops_url(&self) -> String {
        format!("http://{}", self.addresses.ops)
    }

    /// The company's SSO.
    pub fn sso(&self) -> &Sso {
        &self.sso
    }

    /// The SaaS that keeps notes.
    pub fn notes(&self) -> &Saas {
        &self.notes
    }

    /// The SaaS that keeps appointments.
    pub fn calendar(&self) -> &Saas {
        &self.calendar
    }

    /// Everybody's clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The broker's randomness.
    pub fn rng(&self) -> &Arc<dyn Rng> {
        &self.rng
    }

    /// Everybody's clock in the peers' and browsers' shape.
    pub fn now(&self) -> Now {
        clock::seconds_of(&self.clock)
    }

    /// The static secret of a tool server.
    pub fn secret(&self, workload: Workload) -> &str {
        let [(first, one), (_, other)] = &self.secrets;
        if *first == workload { one.expose_secret() } else { other.expose_secret() }
    }

    /// Every secret that was made for this world and must not show up anywhere: the tool servers' and the broker's own
    /// client secrets.
    ///
    /// # Errors
    /// When a secret's file cannot be read.
    pub fn all_secrets(&self) -> io::Result<Vec<String>> {
        let mut secrets = vec![
            fs::read_to_string(self.path("sso-client-secret"))?,
            fs::read_to_string(self.path("notes-client-secret"))?,
            fs::read_to_string(self.path("calendar-client-secret"))?,
        ];
        secrets.extend(Workload::ALL.map(|workload| self.secret(workload).to_owned()));
        Ok(secrets)
    }

    /// A client that calls as `workload`, by its static secret.
    ///
    /// # Errors
    /// [`broker_client::Error::Configuration`].
    pub async fn client(&self, workload: Workload) -> Result<Client, broker_client::Error> {
        self.client_with(Credential::secret(self.secret(workload))).await
    }

    /// A client that shows this credential. Its clock is everybody's.
    ///
    /// # Errors
    /// [`broker_client::Error::Configuration`].
    pub async fn client_with(&self, credential: Credential) -> Result<Client, broker_client::Error> {
        let clock = Arc::new(ClientClock(Arc::clone(&self.clock)));
        Client::builder(self.grpc_url()).credential(credential).clock(clock).connect().await
    }

    /// What `workload` receives when `person` uses it: an ID token minted for it.
    pub fn assertion(&self, person: &Person, workload: Workload) -> String {
        self.sso.mint_assertion(person.sso.name, workload.audience())
    }

    /// What an auditor or administrator calls the broker itself with.
    pub fn operator_assertion(&self, operator: &Account) -> String {
        self.sso.mint_assertion(operator.name, OPERATORS_AUDIENCE)
    }

    /// A browser without cookies.
    ///
    /// # Errors
    /// When the HTTP stack cannot be set up.
    pub fn browser(&self) -> Result<Browser, ClientError> {
        Browser::new(self.now(), b"")
    }
}
