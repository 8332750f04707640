//! A broker that answers from a script and writes down what it was asked.

use super::clock::TestClock;
use crate::Clock as _;
use crate::proto::connection_service_server::{ConnectionService, ConnectionServiceServer};
use crate::proto::consent_service_server::{ConsentService, ConsentServiceServer};
use crate::proto::grant_service_server::{GrantService, GrantServiceServer};
use crate::proto::*;
use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_stream::Stream;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Server, ServerTlsConfig};
use tonic::{Code, Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

pub(super) struct Fake {
    shared: Arc<Shared>,
    port: u16,
    task: tokio::task::JoinHandle<()>,
}

pub(super) struct Shared {
    clock: Arc<TestClock>,
    script: Mutex<VecDeque<Step>>,
    seen: Mutex<Vec<Seen>>,
    /// Each IssueGrant takes one permit; closed doors hold the answers back.
    doors: Semaphore,
    pub(super) consents: Mutex<Vec<Consent>>,
    pub(super) grant_life: Mutex<Duration>,
}

pub(super) enum Step {
    Fail(Status),
    Consent,
    Empty,
    Hang,
}

#[derive(Clone)]
pub(super) struct Seen {
    pub(super) method: &'static str,
    pub(super) authorization: Option<String>,
    pub(super) timeout: Option<String>,
    pub(super) request_id: Option<String>,
    pub(super) client_certificate: Option<Vec<u8>>,
    pub(super) message: Option<IssueGrantRequest>,
}

impl Fake {
    pub(super) async fn start(clock: Arc<TestClock>) -> Self {
        Self::serve(clock, Server::builder()).await
    }

    pub(super) async fn start_tls(clock: Arc<TestClock>, tls: ServerTlsConfig) -> Self {
        Self::serve(clock, Server::builder().tls_config(tls).expect("server TLS")).await
    }

    async fn serve(clock: Arc<TestClock>, mut server: Server) -> Self {
        let shared = Arc::new(Shared {
            clock,
            script: Mutex::default(),
            seen: Mutex::default(),
            doors: Semaphore::new(1_000_000),
            consents: Mutex::default(),
            grant_life: Mutex::new(Duration::from_secs(3600)),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port");
        let port = listener.local_addr().expect("its address").port();
        let router = server
            .add_service(GrantServiceServer::from_arc(Arc::clone(&shared)))
            .add_service(ConsentServiceServer::from_arc(Arc::clone(&shared)))
            .add_service(ConnectionServiceServer::from_arc(Arc::clone(&shared)));
        let task = tokio::spawn(async move {
            router.serve_with_incoming(TcpListenerStream::new(listener)).await.expect("fake broker");
        });
        Self { shared, port, task }
    }

    pub(super) fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    pub(super) fn script(&self, steps: impl IntoIterator<Item = Step>) {
        self.shared.script.lock().expect("script").extend(steps);
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().expect("seen").clone()
    }

    /// Holds back all answers to IssueGrant until [`open`](Self::open).
    pub(super) fn close(&self) {
        self.shared.doors.forget_permits(usize::MAX);
    }

    pub(super) fn open(&self) {
        self.shared.doors.add_permits(1_000_000);
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(super) fn failure(code: Code, reason: &str, retry_after: Option<Duration>) -> Status {
    let mut details = ErrorDetails::with_error_info(reason, "broker.v1", HashMap::new());
    if retry_after.is_some() {
        details.set_retry_info(retry_after);
    }
    Status::with_error_details(code, format!("the broker says {reason}"), details)
}

impl Shared {
    fn note<M>(&self, method: &'static str, request: &Request<M>) -> usize {
        let text =
            |name| request.metadata().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let certificates = request.peer_certs();
        let mut seen = self.seen.lock().expect("seen");
        seen.push(Seen {
            method,
            authorization: text("authorization"),
            timeout: text("grpc-timeout"),
            request_id: None,
            client_certificate: certificates.and_then(|chain| chain.first().map(|first| first.to_vec())),
            message: None,
        });
        seen.len()
    }

    fn next(&self) -> Option<Step> {
        self.script.lock().expect("script").pop_front()
    }

    fn grant(&self, number: usize, scopes: Vec<String>) -> Grant {
        let life = *self.grant_life.lock().expect("life");
        Grant {
            id: format!("evt_{number}"),
            access_token: format!("token-canary-{number}"),
            header_name: "authorization".into(),
            header_value_prefix: "Bearer ".into(),
            expire_time: Some(timestamp(self.clock.now() + life)),
            scopes,
            narrowing: GrantNarrowing::Exact.into(),
            lifetime: GrantLifetime::Enforced.into(),
            connection_id: "con_1".into(),
            audit_position: Some(AuditPosition { stream: "s".into(), seq: number as u64 }),
            ..Default::default()
        }
    }
}

pub(super) fn timestamp(time: SystemTime) -> prost_types::Timestamp {
    time.into()
}

#[tonic::async_trait]
impl GrantService for Shared {
    async fn batch_issue_grants(
        &self,
        request: Request<BatchIssueGrantsRequest>,
    ) -> Result<Response<BatchIssueGrantsResponse>, Status> {
        self.note("BatchIssueGrants", &request);
        Err(Status::unimplemented("no script has a batch"))
    }

    async fn issue_grant(
        &self,
        request: Request<IssueGrantRequest>,
    ) -> Result<Response<IssueGrantResponse>, Status> {
        let number = self.note("IssueGrant", &request);
        let message = request.into_inner();
        {
            let mut seen = self.seen.lock().expect("seen");
            seen[number - 1].request_id = message.request_id.clone();
            seen[number - 1].message = Some(message.clone());
        }
        self.doors.acquire().await.expect("doors").forget();
        use issue_grant_response::Outcome;
        let outcome = match self.next() {
            None => Some(Outcome::Grant(self.grant(number, message.scopes))),
            Some(Step::Fail(status)) => return Err(status),
            Some(Step::Hang) => std::future::pending().await,
            Some(Step::Empty) => None,
            Some(Step::Consent) => Some(Outcome::ConsentRequired(ConsentRequired {
                consent_id: "cns_1".into(),
                url: "https://broker.example/consent/link-canary".into(),
                expire_time: Some(timestamp(self.clock.now() + Duration::from_secs(600))),
                reason: ConsentReason::NotApproved.into(),
                missing_scopes: message.scopes,
                message: "Please approve".into(),
            })),
        };
        Ok(Response::new(IssueGrantResponse { outcome }))
    }
}

#[tonic::async_trait]
impl ConsentService for Shared {
    async fn get_consent(
        &self,
        request: Request<GetConsentRequest>,
    ) -> Result<Response<GetConsentResponse>, Status> {
        self.note("GetConsent", &request);
        match self.next() {
            Some(Step::Fail(status)) => Err(status),
            _ => Ok(Response::new(GetConsentResponse {
                consent: self.consents.lock().expect("consents").first().cloned(),
            })),
        }
    }

    type WatchConsentStream = Pin<Box<dyn Stream<Item = Result<WatchConsentResponse, Status>> + Send>>;

    async fn watch_consent(
        &self,
        request: Request<WatchConsentRequest>,
    ) -> Result<Response<Self::WatchConsentStream>, Status> {
        self.note("WatchConsent", &request);
        let states = self.consents.lock().expect("consents").clone();
        let answers = states.into_iter().map(|consent| Ok(WatchConsentResponse { consent: Some(consent) }));
        Ok(Response::new(Box::pin(tokio_stream::iter(answers))))
    }
}

#[tonic::async_trait]
impl ConnectionService for Shared {
    /// Three pages of one connection each.
    async fn list_connections(
        &self,
        request: Request<ListConnectionsRequest>,
    ) -> Result<Response<ListConnectionsResponse>, Status> {
        self.note("ListConnections", &request);
        let page: usize = request.get_ref().page_token.parse().unwrap_or(0);
        Ok(Response::new(ListConnectionsResponse {
            connections: vec![Connection { id: format!("con_{page}"), ..Default::default() }],
            next_page_token: if page < 2 { (page + 1).to_string() } else { String::new() },
        }))
    }

    async fn get_connection(
        &self,
        _: Request<GetConnectionRequest>,
    ) -> Result<Response<GetConnectionResponse>, Status> {
        Err(Status::unimplemented("not scripted"))
    }

    async fn revoke_connection(
        &self,
        _: Request<RevokeConnectionRequest>,
    ) -> Result<Response<RevokeConnectionResponse>, Status> {
        Err(Status::unimplemented("not scripted"))
    }

    async fn withdraw_approval(
        &self,
        request: Request<WithdrawApprovalRequest>,
    ) -> Result<Response<WithdrawApprovalResponse>, Status> {
        self.note("WithdrawApproval", &request);
        match self.next() {
            Some(Step::Fail(status)) => Err(status),
            _ => Ok(Response::new(WithdrawApprovalResponse { revocation_epoch: 7 })),
        }
    }
}
