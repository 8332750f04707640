//! A whole broker below the pages, on SQLite in a temporary directory, with a clock that the test moves.

use super::outside::Outside;
use crate::{
    audit::{Audit, AuditConfig, Deadline, Refusals},
    config::Limits as ConfigLimits,
    connection::{Need, Parts, Tokens},
    consent::{Asking, draft, link_hash},
    domain::{
        Clock, Consent, ConsentId, ConsentReason, Entry, EventDraft, EventId, EventKind, ManualClock,
        Outcome, ProviderId, RealmId, Rng, ScopeSet, Subject, SystemRng, TenantId, Timestamp, WebSession,
        WorkloadId, Write,
    },
    identity::{Algorithm, Identity, IssuerSpec, KeySource, TenantRule},
    keys::{FileKeyring, KeyRing, testing::ROOT},
    net::{Destination, Limits, OAuthHttp, Outbound},
    policy::{Policy, PolicySet, Settings as PolicySettings},
    provider::Engine,
    storage::{SqliteStore, Store},
    transport::web::{LoginSpec, Logins, cookies, incoming::sha256, router},
    usecase::{Rooms, Settings, fleet_buckets::FleetBuckets, lines::Lines, session::ABSOLUTE},
    vault::Vault,
};
use axum::{
    Router,
    body::Body,
    http::{Method, Request, Response, header},
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

pub(super) const ORIGIN: &str = "https://broker.example";

/// The broker, its parts within reach.
pub(super) struct House {
    pub(super) rooms: Arc<Rooms>,
    pub(super) clock: Arc<ManualClock>,
    pub(super) router: Router,
    directory: tempfile::TempDir,
}

/// What a browser got.
pub(super) struct Got {
    pub(super) status: u16,
    pub(super) headers: axum::http::HeaderMap,
    pub(super) body: String,
}

impl Got {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(super) fn location(&self) -> &str {
        self.header("location")
    }

    pub(super) fn set_cookies(&self) -> Vec<&str> {
        self.headers.get_all(header::SET_COOKIE).iter().map(|value| value.to_str().unwrap()).collect()
    }

    /// The token of the form that goes to `action`.
    pub(super) fn token(&self, action: &str) -> String {
        let form = self.body.split("<form").find(|form| form.contains(&format!("action=\"{action}\"")));
        let form = form.unwrap_or_else(|| panic!("no form for {action} in {}", self.body));
        hidden(form, "csrf")
    }

    /// What the page said is approved, as its forms carry it.
    pub(super) fn terms(&self) -> String {
        hidden(&self.body, "terms")
    }
}

fn hidden(html: &str, name: &str) -> String {
    let value = html.split_once(&format!("name=\"{name}\" value=\"")).unwrap().1;
    value.split_once('"').unwrap().0.to_owned()
}

impl House {
    /// A broker whose identity provider and notes service are `outside`, if there is one.
    pub(super) async fn open(outside: Option<&Outside>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp::from_unix_seconds(1_800_000_000)));
        let rng: Arc<dyn Rng> = Arc::new(SystemRng::default());
        let sqlite =
            Arc::new(SqliteStore::open(&directory.path().join("broker.db"), clock.now()).await.unwrap());
        let store = store(&sqlite);
        let root = FileKeyring::of("root", ROOT);
        let keys = KeyRing::open(root, store.wrapped_keys.clone(), clock.clone(), rng.clone()).await.unwrap();
        let keys = Arc::new(keys);
        let audit = Audit::start(
            store.ledger.clone(),
            keys.clone(),
            clock.clone(),
            rng.clone(),
            AuditConfig::default(),
        );
        let audit = Arc::new(audit.await.unwrap());
        let policy = Arc::new(Policy::new(PolicySet::load(&[]).unwrap(), PolicySettings::default()));
        let outbound = Arc::new(Outbound::new(clock.clone()));
        let engine = Arc::new(Engine::new(outbound.clone(), clock.clone()));
        let vault = Arc::new(Vault::new(keys.clone(), clock.clone(), rng.clone()));
        let parts = Parts {
            relay: crate::relay::Relay::none(),
            metrics: crate::metrics::Metrics::default(),
            store: store.clone(),
            hot: store.clone(),
            waiting_per_provider: 16,
            keys: keys.clone(),
            policy: policy.clone(),
            audit: audit.clone(),
            vault: vault.clone(),
            engine: engine.clone(),
            clock: clock.clone(),
            rng: rng.clone(),
            replica: "test".into(),
            spool: crate::connection::spool::Spool::off(),
            drain_grace: std::time::Duration::ZERO,
            points: crate::crash::CrashPoints::none(),
            detached: TaskTracker::new(),
        };
        let refusals = Arc::new(Refusals::new(clock.clone(), rng.clone(), 600));
        let providers = outside.map(|outside| (ProviderId::parse("notes").unwrap(), outside.notes_spec()));
        let rooms = Arc::new(Rooms {
            metrics: crate::metrics::Metrics::default(),
            sampling: crate::trace::Sampling::off(),
            lines: Lines::new(4, 64, 1, clock.clone()),
            relay: crate::relay::Relay::none(),
            persons: FleetBuckets::new(clock.clone(), 100, crate::relay::Relay::none()),
            clock: clock.clone(),
            rng,
            settings: settings(),
            providers: Arc::new(providers.into_iter().collect()),
            hot: store.clone(),
            store,
            keys,
            identity: identity(outside, clock.clone()),
            policy,
            audit,
            vault,
            engine,
            tokens: Arc::new(Tokens::new(parts)),
            refusals,
            points: crate::crash::CrashPoints::none(),
            detached: TaskTracker::new(),
        });
        let logins = Arc::new(Logins::new(logins(outside, &outbound), clock.clone()));
        Self { router: router(rooms.clone(), logins), rooms, clock, directory }
    }

    /// Sends a request; `cookies` as a `Cookie` header has them.
    pub(super) async fn send(&self, request: Request<Body>) -> Got {
        let response: Response<Body> = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        Got { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    pub(super) async fn get(&self, path: &str, cookies: &str) -> Got {
        self.send(request(Method::GET, path, cookies).body(Body::empty()).unwrap()).await
    }

    /// A form as a browser sends it from our own page.
    pub(super) async fn post(&self, path: &str, cookies: &str, fields: &[(&str, &str)]) -> Got {
        let request = request(Method::POST, path, cookies)
            .header("sec-fetch-site", "same-origin")
            .header(header::ORIGIN, ORIGIN);
        self.send(with_form(request, fields)).await
    }

    /// Somebody who signed in; answers with the cookie.
    pub(super) async fn signed_in(&self, name: &str) -> String {
        self.signed_in_as(name, |_| {}).await
    }

    /// The same with a session that `change` has changed.
    pub(super) async fn signed_in_as(&self, name: &str, change: impl FnOnce(&mut WebSession)) -> String {
        let cookie = cookies::random(&*self.rooms.rng);
        let now = self.clock.now();
        let mut session = WebSession {
            id_hash: sha256(&cookie),
            subject: subject(name),
            label: name.to_owned(),
            issuer: "https://sso.example".into(),
            sid: String::new(),
            created_at: now,
            expires_at: now.plus(ABSOLUTE),
            version: 1,
            ended: false,
            last_seen_at: now,
        };
        change(&mut session);
        self.write(Write::InsertSession { row: self.rooms.row_key().tag(session), begun_at: now }).await;
        format!("{}={cookie}", cookies::SESSION)
    }

    /// A pending consent of `name`; answers with its handle.
    pub(super) async fn consent_for(&self, name: &str) -> String {
        let scopes = ScopeSet::parse(["notes.read"]).unwrap();
        let asking = Asking {
            subject: &subject(name),
            workload: &WorkloadId::parse("meeting-assistant").unwrap(),
            provider: &ProviderId::parse("notes").unwrap(),
            tool: "summarise",
            purpose: "Summarise the week",
            now: self.clock.now(),
            lifetime: Duration::from_secs(600),
            epoch: 0,
        };
        let id = ConsentId::random(&*self.rooms.rng);
        let consent = draft(id, &asking, &Need::of(ConsentReason::NotConnected, &scopes));
        let handle = self.rooms.keys.consent_handle(&consent.id);
        let row = self.rooms.row_key().tag(consent);
        self.write(Write::InsertConsent { row, handle_hash: link_hash(&handle) }).await;
        handle
    }

    /// The consent behind a handle as stored, checked.
    pub(super) async fn stored(&self, handle: &str) -> Consent {
        let found = self.rooms.store.consents.by_handle(&link_hash(handle)).await.unwrap().unwrap();
        found.check(&self.rooms.row_key()).unwrap()
    }

    /// Runs SQL behind the broker's back; tells how many rows it met.
    pub(super) async fn edit(&self, sql: &'static str) -> u64 {
        let options =
            sqlx::sqlite::SqliteConnectOptions::new().filename(self.directory.path().join("broker.db"));
        let mut connection = sqlx::ConnectOptions::connect(&options).await.unwrap();
        sqlx::query(sql).execute(&mut connection).await.unwrap().rows_affected()
    }

    /// How many audit rows there are.
    pub(super) async fn audit_rows(&self) -> usize {
        self.rooms.store.audit_log.list(&Default::default(), None, 1000).await.unwrap().len()
    }

    async fn write(&self, write: Write) {
        let id = EventId::random(&*self.rooms.rng);
        let draft = EventDraft::new(id, EventKind::SessionStarted, Outcome::Allowed);
        let entry = Entry { effect: vec![write], ..Entry::note(draft) };
        self.rooms.audit.note(entry, Deadline::none()).await.unwrap();
    }
}

pub(super) fn request(method: Method, path: &str, cookies: &str) -> axum::http::request::Builder {
    let builder = Request::builder().method(method).uri(path);
    if cookies.is_empty() { builder } else { builder.header(header::COOKIE, cookies) }
}

pub(super) fn with_form(builder: axum::http::request::Builder, fields: &[(&str, &str)]) -> Request<Body> {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    builder.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(Body::from(body)).unwrap()
}

pub(super) fn subject(name: &str) -> Subject {
    Subject {
        tenant: TenantId::parse("acme").unwrap(),
        realm: RealmId::parse("staff").unwrap(),
        id: name.to_owned(),
    }
}

fn settings() -> Settings {
    Settings {
        public_url: ORIGIN.parse().unwrap(),
        consent_lifetime: Duration::from_secs(600),
        refresh_ahead: crate::config::RefreshAhead { on: false, used_within: std::time::Duration::ZERO },
        max_open_consents: 20,
        limits: ConfigLimits {
            request_timeout: Duration::from_secs(30),
            max_request_bytes: 131_072,
            max_concurrent_requests: 64,
            max_concurrent_verifications: 64,
            policy_cache_entries: 64,
            hot_rows_mebibytes: 1,
            hot_rows_max_age: Duration::from_secs(10),
            max_connections: 64,
            max_connection_age: Duration::from_secs(1800),
            drain_timeout: Duration::from_secs(20),
        },
        workload_providers: HashMap::new(),
        workload_roles: HashMap::new(),
        tenants: vec![TenantId::parse("acme").unwrap()],
        workload_names: HashMap::from([(
            WorkloadId::parse("meeting-assistant").unwrap(),
            "Meeting assistant".to_owned(),
        )]),
    }
}

fn identity(outside: Option<&Outside>, clock: Arc<dyn Clock>) -> Identity {
    let issuers = outside.map(|outside| {
        IssuerSpec::new(
            "sso",
            &outside.issuer,
            RealmId::parse("staff").unwrap(),
            TenantRule::Fixed(TenantId::parse("acme").unwrap()),
            vec![Algorithm::EdDsa],
            KeySource::Static(outside.jwks.clone().into_bytes()),
        )
    });
    Identity::new(issuers.into_iter().collect(), Vec::new(), &BTreeMap::new(), clock).unwrap()
}

/// With nobody outside, a login client whose identity provider does not answer.
fn logins(outside: Option<&Outside>, outbound: &Outbound) -> Vec<LoginSpec> {
    let destination = Destination { name: "sso".into(), loopback_http: true, ..Destination::default() };
    let limits = Limits { max_bytes: 1 << 18, total_deadline: Duration::from_secs(5) };
    let http = OAuthHttp::new(outbound.client(&destination).unwrap(), limits);
    vec![LoginSpec {
        issuer_name: "sso".into(),
        // Port 9 (discard) is not served.
        issuer: outside.map_or("http://127.0.0.1:9".into(), |outside| outside.issuer.clone()),
        realm: RealmId::parse("staff").unwrap(),
        client_id: "broker-pages".into(),
        client_secret: Some("login-client-secret".to_owned().into()),
        scopes: vec!["profile".into()],
        http,
    }]
}

fn store(sqlite: &Arc<SqliteStore>) -> Store {
    Store {
        connections: sqlite.clone(),
        endings: sqlite.clone(),
        approvals: sqlite.clone(),
        consents: sqlite.clone(),
        parents: sqlite.clone(),
        sessions: sqlite.clone(),
        requests: sqlite.clone(),
        wrapped_keys: sqlite.clone(),
        rewraps: sqlite.clone(),
        ledger: sqlite.clone(),
        audit_log: sqlite.clone(),
        wakeups: sqlite.clone(),
        pools: sqlite.clone(),
    }
}
