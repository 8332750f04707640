//! The only place that names concrete types: from a configuration to a running broker.

mod database;
mod fetch;
mod keys;
mod running;
mod wiring;

pub use database::{migrate, open_store, open_store_read_only};
pub use keys::{KeyDesk, Log};
pub use running::Running;

use crate::{
    audit::{Audit, AuditConfig, AuditError, Refusals, check_continuity},
    config::{Config, ListenerTls},
    connection::{
        Parts, Tokens,
        spool::{Spool, SpoolError},
    },
    crash::CrashPoints,
    domain::{Clock, Rng, StreamId},
    identity::{Fetch, Identity, IdentityConfigError},
    keys::{FileKeyring, KeyError, KeyRing, KeyringError, with_known_keys},
    metrics::Metrics,
    net::{Limits, NetError, OAuthHttp, Outbound},
    policy::{self, Policy, PolicyProblems, PolicySet},
    provider::Engine,
    relay,
    storage::{HotLimits, SchemaError, Store, postgres, sqlite, with_hot_rows, with_spans},
    trace::Sampling,
    transport::{
        grpc::{self, GateLayer},
        health::Health,
        http::{self, Patience},
        listener::{Accepted, Intake},
        ops,
        tls::{self, TlsError, TlsFiles},
        web::{self, LoginSpec, Logins},
    },
    usecase::{self, Rooms, fleet_buckets::FleetBuckets, lines::Lines},
    vault::Vault,
    worker,
};
use fetch::IssuerFetch;
use std::{
    collections::{BTreeMap, HashMap},
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Denials per workload and minute that get rows of their own (AU2).
const DENIAL_BUDGET: u32 = 600;
/// Most persons whose pace is watched; the least active are forgotten first.
const PERSONS: u64 = 100_000;
/// Connections open at once on the operations listener: a few probes and scrapers.
const OPS_CONNECTIONS: usize = 256;

/// Why the broker did not start. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A configuration value that only the rooms can judge.
    #[error("{0}")]
    Config(String),
    /// A listener's address.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// A listener's certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The root key file.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// The keys in the database.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// The SQLite database.
    #[error(transparent)]
    Sqlite(#[from] sqlite::OpenError),
    /// The PostgreSQL database.
    #[error(transparent)]
    Postgres(#[from] postgres::OpenError),
    /// Its schema, when it is brought up to date.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// The audit log.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// Issuers and workloads.
    #[error(transparent)]
    Identity(#[from] IdentityConfigError),
    /// The policy files.
    #[error("policy: {0}")]
    Policy(PolicyProblems),
    /// The spool's directory.
    #[error("spool.directory: {0}")]
    Spool(#[from] SpoolError),
    /// An outbound destination.
    #[error(transparent)]
    Net(#[from] NetError),
}

/// The three bound sockets.
pub struct Sockets {
    /// gRPC.
    pub grpc: TcpListener,
    /// Pages.
    pub web: TcpListener,
    /// Operations.
    pub ops: TcpListener,
}

impl Sockets {
    /// Binds what the configuration names.
    ///
    /// # Errors
    /// [`StartError::Listen`].
    pub fn bind(config: &Config) -> Result<Self, StartError> {
        let bind =
            |address| TcpListener::bind(address).map_err(|source| StartError::Listen { address, source });
        Ok(Self {
            grpc: bind(config.listeners.grpc.address)?,
            web: bind(config.listeners.web.address)?,
            ops: bind(config.listeners.ops.address)?,
        })
    }
}

/// Starts a broker on bound sockets.
///
/// # Errors
/// [`StartError`].
pub async fn start(
    config: &Config,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    sockets: Sockets,
) -> Result<Running, StartError> {
    start_with(config, clock, rng, sockets, Metrics::default(), CrashPoints::none()).await
}

/// The same, counting in `metrics`, and to die where the tests say.
///
/// # Errors
/// [`StartError`].
pub async fn start_with(
    config: &Config,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    sockets: Sockets,
    metrics: Metrics,
    points: CrashPoints,
) -> Result<Running, StartError> {
    let outbound = Arc::new(Outbound::new(Arc::clone(&clock)));
    let rooms = Arc::new(rooms(config, clock, rng, points, &outbound, metrics).await?);
    // First of all: what an earlier process kept is wanted by the first caller.
    if let Err(refusal) = usecase::drain_spool(&rooms).await {
        tracing::warn!(reason = refusal.reason.as_str(), "the spool cannot be stored yet; it is tried again");
    }
    let logins = Arc::new(logins(config, &outbound, &rooms)?);
    let stop = CancellationToken::new();
    let tasks = TaskTracker::new();
    let (last, operations) = (CancellationToken::new(), TaskTracker::new());
    let accept = |socket,
                  tls: Option<&ListenerTls>,
                  alpn,
                  name,
                  most,
                  stop: &CancellationToken|
     -> Result<Accepted, StartError> {
        let tls = tls.map(|files| tls::source(tls_files(files, alpn))).transpose()?;
        let address = SocketAddr::from(([0, 0, 0, 0], 0));
        Accepted::on(socket, tls, Intake::of(name, most, rooms.metrics.clone()), stop.clone())
            .map_err(|source| StartError::Listen { address, source })
    };
    let most = config.limits.max_connections as usize;
    let listeners = &config.listeners;
    let grpc = accept(sockets.grpc, listeners.grpc.tls.as_ref(), &["h2"], "grpc", most, &stop)?;
    let web = accept(sockets.web, listeners.web.tls.as_ref(), &["h2", "http/1.1"], "web", most, &stop)?;
    let ops = accept(sockets.ops, listeners.ops.tls.as_ref(), &["http/1.1"], "ops", OPS_CONNECTIONS, &last)?;
    tracing::info!(grpc = %grpc.local_addr(), web = %web.local_addr(), ops = %ops.local_addr(), "listening");

    let health = Arc::new(Health::of(Arc::clone(&rooms)));
    rooms.metrics.configured(&config.hash, &rooms.policy.version());
    rooms.metrics.started(rooms.clock.now());
    let (services, reporter) = grpc::services(&rooms);
    let server = grpc::server(config.limits.max_connection_age)
        .layer(GateLayer::new(Arc::clone(&rooms)))
        .add_routes(services);
    tasks.spawn(serve_grpc(
        server.serve_with_incoming_shutdown(grpc.into_stream(), stop.clone().cancelled_owned()),
    ));
    tasks.spawn(grpc::watch_health(Arc::clone(&health), reporter, stop.clone()));
    let patience = Patience::with_requests_of(config.limits.request_timeout);
    let pages = web::router(Arc::clone(&rooms), logins);
    tasks.spawn(http::serve(web, pages, patience, stop.clone()));
    let router = ops::router(Arc::clone(&rooms), Arc::clone(&health));
    operations.spawn(http::serve(ops, router, patience, last.clone()));
    tasks.spawn(worker::run(Arc::clone(&rooms), stop.clone()));
    tasks.spawn(warm(Arc::clone(&rooms)));
    Ok(Running { rooms, health, drain_delay: config.listeners.drain_delay, stop, tasks, last, operations })
}

/// Fetches every issuer's keys, so that the first call does not wait for them and a wrong address is told at once.
async fn warm(rooms: Arc<Rooms>) {
    for issuer in rooms.identity.warm().await {
        tracing::warn!(
            issuer,
            "the keys of this issuer cannot be fetched; calls with its tokens are refused until they can"
        );
    }
}

async fn serve_grpc(server: impl Future<Output = Result<(), tonic::transport::Error>>) {
    if let Err(error) = server.await {
        tracing::error!(%error, "the gRPC listener ended");
    }
}

fn tls_files(files: &ListenerTls, alpn: &'static [&'static str]) -> TlsFiles {
    TlsFiles {
        certificate: files.certificate_file.clone(),
        key: files.key_file.clone(),
        client_ca: files.client_ca_file.clone(),
        alpn,
    }
}

/// The keys of a database, opened with the root keys.
///
/// # Errors
/// [`StartError::Keys`].
pub async fn open_keys(
    keyring: FileKeyring,
    store: &Store,
    clock: &Arc<dyn Clock>,
    rng: &Arc<dyn Rng>,
) -> Result<Arc<KeyRing>, StartError> {
    let wrapped = Arc::clone(&store.wrapped_keys);
    let no_system_key = wrapped.tenant_keys("").await.map_err(KeyError::Unavailable)?.is_empty();
    if no_system_key && !store.ledger.streams().await.map_err(KeyError::Unavailable)?.is_empty() {
        return Err(KeyError::SystemKeyGone.into());
    }
    Ok(Arc::new(KeyRing::open(keyring, wrapped, Arc::clone(clock), Arc::clone(rng)).await?))
}

async fn rooms(
    config: &Config,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    points: CrashPoints,
    outbound: &Arc<Outbound>,
    metrics: Metrics,
) -> Result<Rooms, StartError> {
    let limits = HotLimits {
        bytes: u64::from(config.limits.hot_rows_mebibytes) * 1024 * 1024,
        max_age: config.limits.hot_rows_max_age,
    };
    // What is wrong with a file is found before the database is touched.
    let keyring = FileKeyring::load(&config.keys.file)?;
    let policies = PolicySet::load_files(&config.policy.files).map_err(StartError::Policy)?;
    let mut store = open_store(config, &*clock).await?;
    if config.telemetry.is_some() {
        store = with_spans(store, database::system(config));
    }
    let keys = open_keys(keyring, &store, &clock, &rng).await?;
    let system = store.wrapped_keys.tenant_keys("").await.map_err(KeyError::Unavailable)?;
    metrics.keys(keys.root_keys(), system.len(), system.first().map(|newest| newest.created_at));
    let (store, hot, forget) =
        with_hot_rows(with_known_keys(store, keys.clone(), clock.clone()), clock.clone(), limits);
    let parts =
        relay::Parts { keys: keys.clone(), clock: clock.clone(), rng: rng.clone(), metrics: metrics.clone() };
    let relay = wiring::relay(config.redis.as_ref(), parts, forget)?;
    let store = relay.telling(store);
    let identity = identity(config, outbound, &clock)?.metered(metrics.clone());
    let policy = Policy::new(
        policies,
        policy::Settings {
            default_max_ttl: config.grants.default_max_ttl,
            max_token_outlive: config.grants.max_token_outlive,
            cache_entries: u64::from(config.limits.policy_cache_entries),
        },
    );
    let policy = Arc::new(policy.metered(metrics.clone()));
    check_continuity(&*store.ledger, &*store.audit_log, &keys.audit_keys()).await?;
    let ledger = Arc::clone(&store.ledger);
    let settings = AuditConfig { metrics: metrics.clone(), points: points.clone(), ..AuditConfig::default() };
    let audit = Audit::start(ledger, keys.clone(), clock.clone(), rng.clone(), settings).await?;
    let audit = Arc::new(audit);
    let vault = Arc::new(Vault::new(keys.clone(), clock.clone(), rng.clone()));
    let engine = Arc::new(Engine::new(Arc::clone(outbound), Arc::clone(&clock)).metered(metrics.clone()));
    let detached = TaskTracker::new();
    let spool = Spool::open(&config.spool, keys.clone(), clock.clone(), rng.clone()).await?;
    let tokens = Arc::new(Tokens::new(Parts {
        detached: detached.clone(),
        spool,
        drain_grace: config.spool.drain_grace,
        relay: relay.clone(),
        points: points.clone(),
        metrics: metrics.clone(),
        // A quarter of what is served at once: three providers may hang and there is room for the rest.
        waiting_per_provider: (config.limits.max_concurrent_requests / 4).max(1) as usize,
        store: store.clone(),
        hot: hot.clone(),
        keys: keys.clone(),
        policy: policy.clone(),
        audit: audit.clone(),
        vault: vault.clone(),
        engine: engine.clone(),
        clock: clock.clone(),
        rng: rng.clone(),
        replica: StreamId::opened_at(clock.now(), &*rng).to_string(),
    }));
    let providers: HashMap<_, _> =
        config.providers.iter().map(|spec| (spec.id.clone(), spec.clone())).collect();
    Ok(Rooms {
        lines: Lines::new(
            config.limits.max_concurrent_verifications as usize,
            config.limits.max_concurrent_requests as usize,
            config.issuers.len(),
            clock.clone(),
        ),
        persons: FleetBuckets::new(clock.clone(), PERSONS, relay.clone()),
        relay,
        settings: wiring::settings(config),
        providers: Arc::new(providers),
        refusals: Arc::new(Refusals::new(clock.clone(), rng.clone(), DENIAL_BUDGET).metered(metrics.clone())),
        sampling: config.telemetry.as_ref().map_or_else(Sampling::off, |settings| {
            Sampling::of(settings, Arc::clone(&clock), Arc::clone(&rng))
        }),
        metrics,
        clock,
        rng,
        store,
        hot,
        keys,
        identity,
        policy,
        audit,
        vault,
        engine,
        tokens,
        points,
        detached,
    })
}

fn identity(config: &Config, outbound: &Outbound, clock: &Arc<dyn Clock>) -> Result<Identity, StartError> {
    let mut specs = Vec::new();
    let mut fetchers: BTreeMap<String, Arc<dyn Fetch>> = BTreeMap::new();
    for issuer in &config.issuers {
        specs.push(wiring::issuer(issuer, &config.operators)?);
        let client = outbound.client(&issuer_destination(issuer)?)?;
        let token_file = issuer.keys_token_file.clone();
        fetchers.insert(issuer.name.clone(), Arc::new(IssuerFetch { client, token_file }));
    }
    let workloads = config.workloads.iter().map(wiring::workload).collect();
    Ok(Identity::new(specs, workloads, &fetchers, Arc::clone(clock))?)
}

fn issuer_destination(issuer: &crate::config::Issuer) -> Result<crate::net::Destination, StartError> {
    let url = url::Url::parse(&issuer.issuer)
        .map_err(|_| StartError::Config(format!("issuer {}: its `iss` is not a URL", issuer.name)))?;
    wiring::destination(&issuer.name, &url, &issuer.allowed_networks, issuer.ca_file.as_ref())
}

fn logins(config: &Config, outbound: &Outbound, rooms: &Rooms) -> Result<Logins, StartError> {
    let mut specs = Vec::new();
    for issuer in &config.issuers {
        let Some(login) = &issuer.login else { continue };
        let client = outbound.client(&issuer_destination(issuer)?)?;
        let limits = Limits { max_bytes: 256 * 1024, total_deadline: Duration::from_secs(10) };
        specs.push(LoginSpec {
            issuer_name: issuer.name.clone(),
            issuer: issuer.issuer.clone(),
            realm: issuer.realm.clone(),
            client_id: login.client_id.clone(),
            client_secret: login.client_secret.clone(),
            scopes: login.scopes.clone(),
            http: OAuthHttp::new(client, limits),
        });
    }
    Ok(Logins::new(specs, Arc::clone(&rooms.clock)))
}
