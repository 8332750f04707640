//! A world whose broker is called as programs call it, well or badly, with what its log says about each call.

use std::{future::Future, sync::Arc, time::Duration};

use broker::{
    audit::Deadline,
    domain::{ManualClock, Position, Timestamp},
    storage::AuditFilter,
};
use broker_proto::v1::{
    IssueGrantRequest, admin_service_client::AdminServiceClient, audit_service_client::AuditServiceClient,
    connection_service_client::ConnectionServiceClient, consent_service_client::ConsentServiceClient,
    grant_service_client::GrantServiceClient, issue_grant_response::Outcome,
};
use demo::world::{Options, PROVIDER, Person, Workload, World};
use serde_json::Value;
use tonic::{
    Code, Request, Response, Status,
    transport::{Channel, Endpoint},
};
use tonic_types::StatusExt;

/// What every call of a test is given, in real time: longer is a hang.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// Between calls, so that a table of cases is not a flood: the broker's own clock moves, nobody waits.
const PAUSE: Duration = Duration::from_millis(60);
/// Where the clock starts: a full minute.
const START: i64 = 1_790_000_040;

/// Code, `ErrorInfo.reason`, and the field in `BadRequest`.
pub type Expected<'a> = (Code, &'a str, Option<&'a str>);

/// A field of the request that cannot be served.
pub const fn invalid(field: &str) -> Expected<'_> {
    (Code::InvalidArgument, "INVALID_ARGUMENT", Some(field))
}

/// Nobody's, or not yours.
pub const NOT_FOUND: Expected<'static> = (Code::NotFound, "NOT_FOUND", None);
/// A known person or workload without the role.
pub const ROLE_MISSING: Expected<'static> = (Code::PermissionDenied, "ROLE_MISSING", None);
/// Neither a workload nor a person.
pub const ASSERTION_MISSING: Expected<'static> = (Code::Unauthenticated, "ASSERTION_MISSING", None);
/// A token for somebody else.
pub const WRONG_AUDIENCE: Expected<'static> = (Code::Unauthenticated, "ASSERTION_AUDIENCE", None);
/// Not a token at all.
pub const ASSERTION_INVALID: Expected<'static> = (Code::Unauthenticated, "ASSERTION_INVALID", None);

/// A world, its clock and a channel to its broker.
pub struct Rpc {
    /// Everything.
    pub world: World,
    /// Everybody's time.
    pub clock: Arc<ManualClock>,
    channel: Channel,
}

impl Rpc {
    /// The demo's world on a clock that stands still.
    pub async fn start() -> Rpc {
        Rpc::start_with(Options::default()).await
    }

    /// The same with other rules or another configuration.
    pub async fn start_with(options: Options) -> Rpc {
        let clock = Arc::new(ManualClock::at(Timestamp::from_unix_seconds(START)));
        let options = Options { clock: clock.clone(), ..options };
        let world = World::start(options).await.expect("the world starts");
        let endpoint = Endpoint::from_shared(world.grpc_url()).expect("an address");
        Rpc { channel: endpoint.connect_lazy(), world, clock }
    }

    /// `GrantService`.
    pub fn grants(&self) -> GrantServiceClient<Channel> {
        GrantServiceClient::new(self.channel.clone())
    }

    /// `ConsentService`.
    pub fn consents(&self) -> ConsentServiceClient<Channel> {
        ConsentServiceClient::new(self.channel.clone())
    }

    /// `ConnectionService`.
    pub fn connections(&self) -> ConnectionServiceClient<Channel> {
        ConnectionServiceClient::new(self.channel.clone())
    }

    /// `AuditService`.
    pub fn audit(&self) -> AuditServiceClient<Channel> {
        AuditServiceClient::new(self.channel.clone())
    }

    /// `AdminService`.
    pub fn admin(&self) -> AdminServiceClient<Channel> {
        AdminServiceClient::new(self.channel.clone())
    }

    /// The channel, for other services.
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// A call by `workload` with its static secret.
    pub fn by<T>(&self, workload: Workload, message: T) -> Request<T> {
        with(&format!("Bearer {}", self.world.secret(workload)), message)
    }

    /// A call without a credential; a person's assertion is in the message.
    pub fn bare<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(PATIENCE);
        request
    }

    /// A sound request for a grant.
    pub fn grant_request(&self, person: &Person, workload: Workload) -> IssueGrantRequest {
        IssueGrantRequest {
            assertion: self.world.assertion(person, workload),
            provider: PROVIDER.to_owned(),
            scopes: vec!["notes.read".to_owned()],
            ..IssueGrantRequest::default()
        }
    }

    /// What a sound request for a grant is answered with.
    pub async fn ask(&self, person: &Person, workload: Workload) -> Outcome {
        let call = self.by(workload, self.grant_request(person, workload));
        let answer = in_time(self.grants().issue_grant(call)).await.expect("an outcome");
        answer.into_inner().outcome.expect("one of the two")
    }

    /// The person connects and approves; the connection's id.
    pub async fn connect(&self, person: &Person, workload: Workload) -> String {
        if let Outcome::ConsentRequired(consent) = self.ask(person, workload).await {
            let browser = self.world.browser().expect("a browser");
            let walked = demo::walk::connect(&browser, &consent.url, &person.sso, &person.notes).await;
            walked.expect("the pages lead through");
        }
        match self.ask(person, workload).await {
            Outcome::Grant(grant) => grant.connection_id,
            Outcome::ConsentRequired(consent) => panic!("still a consent: {:?}", consent.reason()),
        }
    }

    /// Every event of the log, oldest first, as written.
    pub async fn events(&self) -> Vec<Value> {
        let log = &self.world.rooms().store.audit_log;
        let (mut events, mut after): (Vec<Value>, Option<Position>) = (Vec::new(), None);
        loop {
            let rows = log.list(&AuditFilter::default(), after.as_ref(), 500).await.expect("the log");
            let Some(last) = rows.last() else { return events };
            after = Some(Position { stream: last.stream.clone(), seq: last.seq });
            events.extend(rows.iter().map(|row| serde_json::from_slice(&row.body).expect("JSON")));
        }
    }

    /// The background's work, once, now.
    pub async fn background(&self) {
        broker::worker::round(self.world.rooms()).await;
    }

    /// A known caller is refused: as documented, in time, with exactly one row that says why (AU2).
    pub async fn refused<T: std::fmt::Debug>(
        &self,
        what: &str,
        expected: Expected<'_>,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) {
        let before = self.events().await.len();
        check(what, expected, in_time(call).await.map(drop));
        let new = self.events().await.split_off(before);
        let denied: Vec<&Value> = new.iter().filter(|event| event["outcome"] == "denied").collect();
        assert_eq!(denied.len(), 1, "{what}: {new:#?}");
        assert_eq!(denied[0]["reason"], expected.1, "{what}");
        self.clock.advance(PAUSE);
    }

    /// A stranger is refused: as documented, in time, without a row (AU2).
    pub async fn turned_away<T: std::fmt::Debug>(
        &self,
        what: &str,
        expected: Expected<'_>,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) {
        let before = self.events().await.len();
        check(what, expected, in_time(call).await.map(drop));
        assert_eq!(self.events().await.len(), before, "{what}: a row for a stranger");
        self.clock.advance(PAUSE);
    }

    /// Ends everything; the log can still be written to the last, or this is a failure.
    pub async fn stop(self) {
        assert!(self.world.rooms().audit.is_open(), "the audit writer gave up");
        self.world.rooms().audit.close(Deadline::none()).await.expect("the stream closes");
        drop(self.world.stop().await);
    }
}

/// A call with this `authorization`.
pub fn with<T>(authorization: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(PATIENCE);
    request.metadata_mut().insert("authorization", authorization.parse().expect("a header value"));
    request
}

/// The call's result, which is there within [`PATIENCE`].
pub async fn in_time<T>(call: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, call).await.expect("an answer in time, not a hang")
}

/// The refusal is exactly as documented.
pub fn check(what: &str, (code, reason, field): Expected<'_>, result: Result<(), Status>) {
    let status = result.expect_err(what);
    let details = status.get_error_details();
    let info = details.error_info().unwrap_or_else(|| panic!("{what}: no ErrorInfo in {status:?}"));
    assert_eq!((status.code(), info.reason.as_str()), (code, reason), "{what}: {}", status.message());
    assert_eq!(info.domain, "broker.v1", "{what}");
    let fields: Vec<&str> = details
        .bad_request()
        .map(|bad| bad.field_violations.iter().map(|one| one.field.as_str()).collect())
        .unwrap_or_default();
    assert_eq!(fields, field.into_iter().collect::<Vec<_>>(), "{what}");
    assert!(!matches!(status.code(), Code::Internal | Code::Unknown), "{what}: {status:?}");
}

/// Texts that are no id, name or token of anything.
pub fn hostile() -> Vec<String> {
    let mut texts: Vec<String> = [
        " ",
        "\0",
        "x\0y",
        "con_",
        "con_zzzzzzzzzzzzzzzzzzzzzzzzzz",
        "CON_00000000000000000000000000",
        "con_00000000000000000000000000 ",
        "cns_0000000000000000000000000",
        "../../etc/passwd",
        "..%2f..%2f",
        "'; DROP TABLE connections; --",
        "\" OR 1=1 --",
        "${file:/etc/passwd}",
        "{{7*7}}",
        "<script>alert(1)</script>",
        "\r\nSet-Cookie: a=b",
        "\u{202e}evil",
        "\u{feff}",
        "null",
        "%s%s%n",
        "٣",
        "ＮＯＴＥＳ",
    ]
    .map(str::to_owned)
    .to_vec();
    texts.push("x".repeat(100_000));
    texts
}

/// Those of them that could not name a tenant, provider or workload either.
pub fn hostile_names() -> Vec<String> {
    hostile().into_iter().filter(|text| broker::domain::ProviderId::parse(text).is_err()).collect()
}
