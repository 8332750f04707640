//! A real broker between two certified OpenID providers: one is the company's IdP, the other a system to connect to.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use broker::app::{self, Running, Sockets};
use broker::config::Config;
use broker::domain::{ExposeSecret, SecretString, SystemRng};
use broker::identity::StaticSecret;
use broker::keys::FileKeyring;
use broker::usecase::Rooms;
use broker_client::{Client, Credential, Error, Grant, GrantRequest, Outcome};
use data_encoding::HEXLOWER;
use demo::browser::Browser;
use demo::world::ClientClock;
use tempfile::TempDir;

use crate::clock::ShiftedClock;
use crate::oidc::{OidcClient, OidcConfig, OidcPeer};

const CONFIG: &str = include_str!("certified.yaml");
const POLICY: &str = include_str!("certified.cedar");
/// Where the tool servers' own sign-ins end; nobody listens there.
const NOWHERE: &str = "http://127.0.0.1:1/callback";
/// Half a day, in seconds: tests move the broker's clock by hours, the peers' stands in real time.
const LONG: u32 = 43_200;

/// A tool server of the configuration; its name is its workload id and the audience of assertions for it.
pub const TOOL: &str = "tool-server";
/// The other one.
pub const OTHER: &str = "other-server";

/// The system with rotating refresh tokens, as the broker's configuration names it.
pub const SAAS: &str = "saas";
/// A second provider with a redirect URI of its own.
pub const ARCHIVE: &str = "archive";

/// Scopes of [`SAAS`].
pub const READ: &str = "notes.read";
/// As [`READ`].
pub const WRITE: &str = "notes.write";

/// The broker and its peers; ends with [`Certified::stop`].
pub struct Certified {
    /// The company's identity provider.
    pub idp: OidcPeer,
    /// The downstream authorization server.
    pub saas: OidcPeer,
    /// The broker's time.
    pub clock: Arc<ShiftedClock>,
    /// The broker's own client at [`SAAS`].
    pub client: OidcClient,
    broker: Running,
    web: SocketAddr,
    grpc: SocketAddr,
    secrets: [(&'static str, SecretString); 2],
    _directory: TempDir,
}

impl Certified {
    /// Starts everything on free loopback ports.
    pub async fn start() -> Self {
        Self::with(|text| text).await
    }

    /// The same with a configuration that `amend` has changed.
    pub async fn with(amend: impl FnOnce(String) -> String) -> Self {
        let bind = || TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let sockets = Sockets { grpc: bind(), web: bind(), ops: bind() };
        let at = |socket: &TcpListener| socket.local_addr().expect("its address");
        let (grpc, web, ops) = (at(&sockets.grpc), at(&sockets.web), at(&sockets.ops));
        let client = OidcClient::new("broker-saas", &format!("http://{web}/oauth/callback/saas"));
        let archive = OidcClient::new("broker-archive", &format!("http://{web}/oauth/callback/archive"));
        let pages = OidcClient {
            backchannel_logout_uri: Some(format!("http://{web}/logout/backchannel/sso")),
            ..OidcClient::new("broker-pages", &format!("http://{web}/login/callback"))
        };
        let ttl = vec![("AccessToken", 3600), ("IdToken", LONG)];
        let peer =
            |clients| OidcPeer::start(OidcConfig { clients, ttl: ttl.clone(), ..OidcConfig::default() });
        let tools = [TOOL, OTHER].map(|id| OidcClient::new(id, NOWHERE));
        let idp_clients = [std::slice::from_ref(&pages), &tools[..]].concat();
        let (idp, saas) = tokio::join!(peer(idp_clients), peer(vec![client.clone(), archive.clone()]));

        let directory = tempfile::tempdir().expect("a directory");
        let rng = Arc::new(SystemRng::default());
        let secrets = [TOOL, OTHER].map(|id| (id, StaticSecret::generate(&*rng)));
        let mut text = CONFIG
            .replace("@grpc@", &grpc.to_string())
            .replace("@web@", &web.to_string())
            .replace("@ops@", &ops.to_string())
            .replace("@idp@", idp.issuer())
            .replace("@saas@", saas.issuer());
        for (id, secret) in &secrets {
            text = text.replace(&format!("@{id}@"), &HEXLOWER.encode(&secret.sha256));
        }
        let write = |name: &str, text: &str| {
            std::fs::write(directory.path().join(name), text).expect("the broker's file");
        };
        write("broker.yaml", &amend(text));
        write("policy.cedar", POLICY);
        write("idp-client-secret", &pages.secret);
        write("saas-client-secret", &client.secret);
        write("archive-client-secret", &archive.secret);
        FileKeyring::generate(&directory.path().join("keys.json"), &*rng).expect("keys");

        let clock = Arc::new(ShiftedClock::default());
        let config = Config::load(&directory.path().join("broker.yaml")).expect("a sound configuration");
        let broker = app::start(&config, clock.clone(), rng, sockets).await.expect("the broker starts");
        let secrets = secrets.map(|(id, made)| (id, made.secret));
        Self { idp, saas, clock, client, broker, web, grpc, secrets, _directory: directory }
    }

    /// Ends the broker; the peers end with it.
    pub async fn stop(self) {
        self.broker.stop(Duration::from_secs(10)).await;
    }

    /// The same after the identity provider has ended for good: its port is closed.
    pub async fn without_idp(mut self) -> Self {
        self.idp.kill().await;
        self
    }

    /// What is below the broker's transports.
    pub fn rooms(&self) -> &Arc<Rooms> {
        self.broker.rooms()
    }

    /// Where people's browsers go; no slash at the end.
    pub fn web(&self) -> String {
        format!("http://{}", self.web)
    }

    /// A browser without cookies. It lives in the peers' real time, so that only the broker ends its sessions.
    pub fn browser(&self) -> Browser {
        Browser::new(demo::clock::system(), b"").expect("a browser")
    }

    /// What `workload` receives when `person` uses it: an ID token from a whole sign-in at the IdP.
    pub async fn assertion(&self, person: &str, workload: &str) -> String {
        self.idp.id_token(&OidcClient::new(workload, NOWHERE), person).await
    }

    /// A client that calls as `workload` and never repeats by itself.
    pub async fn caller(&self, workload: &str) -> Client {
        let (_, secret) = self.secrets.iter().find(|(id, _)| *id == workload).expect("a configured workload");
        let clock = Arc::new(ClientClock(self.clock.clone()));
        let builder = Client::builder(format!("http://{}", self.grpc)).attempts(1).clock(clock);
        builder.credential(Credential::secret(secret.expose_secret())).connect().await.expect("a client")
    }

    /// `person` at `workload`, ready to ask.
    pub async fn user(&self, person: &str, workload: &str) -> User {
        User { assertion: self.assertion(person, workload).await, client: self.caller(workload).await }
    }

    /// Kind and reason (`""` = none) of every audit event so far, in order.
    pub async fn events(&self) -> Vec<(String, String)> {
        crate::audit::events(self.rooms()).await
    }

    /// How many events of `kind` there are.
    pub async fn count(&self, kind: &str) -> usize {
        self.events().await.iter().filter(|(k, _)| k == kind).count()
    }
}

/// A person behind a tool server: asks for grants.
#[derive(Clone)]
pub struct User {
    /// The person's ID token for the server.
    pub assertion: String,
    /// The server.
    pub client: Client,
}

impl User {
    /// One IssueGrant.
    pub async fn ask(&self, provider: &str, scopes: &[&str]) -> Result<Outcome, Error> {
        let request = GrantRequest::new(self.assertion.clone(), provider, scopes.iter().copied());
        self.client.issue_grant(&request.tool("list_notes").purpose("Show the notes")).await
    }

    /// The grant; panics when there is none.
    pub async fn grant(&self, provider: &str, scopes: &[&str]) -> Grant {
        match self.ask(provider, scopes).await.expect("an outcome") {
            Outcome::Grant(grant) => grant,
            Outcome::ConsentRequired(needed) => panic!("a consent is needed: {:?}", needed.reason),
        }
    }

    /// The consent that is needed; panics when there is a grant.
    pub async fn needs(&self, provider: &str, scopes: &[&str]) -> broker_client::ConsentRequired {
        match self.ask(provider, scopes).await.expect("an outcome") {
            Outcome::Grant(_) => panic!("a grant, where a consent was due"),
            Outcome::ConsentRequired(needed) => needed,
        }
    }

    /// The refusal; panics when there is none.
    pub async fn refused(&self, provider: &str, scopes: &[&str]) -> Error {
        match self.ask(provider, scopes).await {
            Err(error) => error,
            Ok(outcome) => panic!("not refused: {outcome:?}"),
        }
    }
}
