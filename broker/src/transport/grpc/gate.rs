//! The gate every RPC passes: table, limit, credential; in this order, cheapest first (design §6).

use super::{
    super::{
        bucket::{Buckets, bucket_key},
        listener::Peer,
    },
    credentials::Credentials,
    denied, framing,
    status::to_status,
    table::{self, GateRow, Limit, Who},
};
use crate::{
    audit::Deadline,
    domain::{Reason, Refusal},
    identity::VerifiedWorkload,
    usecase::{Call, Caller, Rooms},
};
use http::{Request, Response, header::AUTHORIZATION, request::Parts};
use std::{
    future::Future,
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::sync::Semaphore;
use tonic::{Status, body::Body};
use tower::{Layer, Service};

/// A caller with less time than this is gone already.
const SHORTEST: Duration = Duration::from_millis(1);
/// How long before the caller's time is over it is told so: the stack around us would call it CANCELLED, and the answer has
/// to travel.
const MARGIN: Duration = Duration::from_millis(5);

/// What the gate established. Handlers take it from the request's extensions.
#[derive(Clone)]
pub struct Principal {
    /// The workload, where a credential was shown.
    pub workload: Option<VerifiedWorkload>,
    /// Facts of the call.
    pub call: Call,
    /// The method's name in the gate table.
    pub action: &'static str,
}

impl Principal {
    /// Of a request that passed the gate.
    ///
    /// # Errors
    /// [`Reason::Internal`]: a handler was reached around the gate.
    pub fn of<T>(request: &tonic::Request<T>) -> Result<Self, Status> {
        request.extensions().get::<Self>().cloned().ok_or_else(|| to_status(&Refusal::new(Reason::Internal)))
    }

    /// The calling workload.
    ///
    /// # Errors
    /// [`Reason::WorkloadCredentialMissing`].
    pub fn caller(self) -> Result<Caller, Refusal> {
        let workload = self.workload.ok_or_else(|| Refusal::new(Reason::WorkloadCredentialMissing))?;
        Ok(Caller { workload, call: self.call })
    }
}

/// Puts the gate before every service.
#[derive(Clone)]
pub struct GateLayer(Arc<Gate>);

struct Gate {
    rooms: Arc<Rooms>,
    buckets: Buckets,
    /// Calls served at once; more are shed (AV1).
    calls: Arc<Semaphore>,
    credentials: Credentials,
}

impl GateLayer {
    /// The gate of one listener.
    pub fn new(rooms: Arc<Rooms>) -> Self {
        let buckets = Buckets::new(Arc::clone(&rooms.clock), 100_000);
        let limits = rooms.settings.limits;
        let calls = Arc::new(Semaphore::new(limits.max_concurrent_requests as usize));
        let credentials = Credentials::new(Arc::clone(&rooms));
        Self(Arc::new(Gate { rooms, buckets, calls, credentials }))
    }
}

impl<S> Layer<S> for GateLayer {
    type Service = Gated<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Gated { gate: Arc::clone(&self.0), inner }
    }
}

/// A service behind the gate.
#[derive(Clone)]
pub struct Gated<S> {
    gate: Arc<Gate>,
    inner: S,
}

impl<S> Service<Request<Body>> for Gated<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let gate = Arc::clone(&self.gate);
        // The clone takes our place; what was polled ready serves this request.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let began = gate.rooms.clock.monotonic();
        // A method that is not in the table has no name of ours.
        let method = table::find(request.uri().path()).map_or("unknown", |row| row.method);
        let metrics = gate.rooms.metrics.clone();
        let clock = Arc::clone(&gate.rooms.clock);
        let answer = async move {
            let (mut parts, body) = request.into_parts();
            // Health stays answerable however busy the rest is.
            let anyone = table::find(parts.uri.path()).is_some_and(|row| row.who == Who::Anyone);
            let _turn = match Arc::clone(&gate.calls).try_acquire_owned() {
                Ok(turn) => Some(turn),
                Err(_) if anyone => None,
                Err(_) => return Ok(framing::refused(&overloaded(), body).await),
            };
            if let Some(answer) = framing::not_grpc(&parts) {
                return Ok(answer);
            }
            let left = timeout(&parts);
            let served = async {
                let principal = match gate.admit(&parts).await {
                    Ok(Some(principal)) => principal,
                    Ok(None) => return inner.call(Request::from_parts(parts, body)).await,
                    Err(refusal) => return Ok(framing::refused(&refusal, body).await),
                };
                parts.extensions.insert(principal.clone());
                let response = inner.call(Request::from_parts(parts, body)).await?;
                match framing::unreadable(&response) {
                    None => Ok(response),
                    Some(refusal) => {
                        let refusal = denied::written_down(&gate.rooms, &principal, refusal).await;
                        Ok(to_status(&refusal).into_http())
                    }
                }
            };
            in_time(left, served).await
        };
        Box::pin(async move {
            let answer: Result<Response<Body>, S::Error> = answer.await;
            if let Ok(response) = &answer {
                metrics.call(method, framing::code(response), clock.monotonic().saturating_sub(began));
            }
            answer
        })
    }
}

impl Gate {
    async fn admit(&self, request: &Parts) -> Result<Option<Principal>, Refusal> {
        let peer = request.extensions.get::<Option<Peer>>().copied().flatten().map(|peer| peer.address.ip());
        let admitted = self.try_admit(request, peer).await;
        if let (Err(refusal), Some(peer)) = (&admitted, peer) {
            self.rooms.refusals.count("grpc", refusal.reason, peer);
        }
        admitted
    }

    async fn try_admit(&self, request: &Parts, peer: Option<IpAddr>) -> Result<Option<Principal>, Refusal> {
        let row = table::find(request.uri.path()).ok_or_else(|| Refusal::new(Reason::MethodNotAllowed))?;
        if row.who == Who::Anyone {
            return Ok(None);
        }
        let mut credentials = request.headers.get_all(AUTHORIZATION).iter().map(|value| value.to_str());
        let credential = match (credentials.next(), credentials.next()) {
            (None, _) => None,
            (Some(Ok(text)), None) => Some(text),
            // Two of them: which one a proxy in front believed is anybody's guess.
            _ => return Err(Refusal::new(Reason::WorkloadCredentialInvalid)),
        };
        self.limit(row, credential, peer)?;
        let longest = self.rooms.settings.limits.request_timeout;
        let call = Call {
            client_address: peer.map(|ip| ip.to_string()),
            trace_id: trace_id(request),
            deadline: Deadline::after(&*self.rooms.clock, timeout(request).unwrap_or(longest).min(longest)),
        };
        if credential.is_none() && row.who == Who::WorkloadOrPerson {
            return Ok(Some(Principal { workload: None, call, action: row.action }));
        }
        let workload = self.credentials.verify(credential, peer, call.deadline).await?;
        Ok(Some(Principal { workload: Some(workload), call, action: row.action }))
    }

    fn limit(&self, row: &GateRow, credential: Option<&str>, peer: Option<IpAddr>) -> Result<(), Refusal> {
        let Limit::PerCaller(rate) = row.limit else { return Ok(()) };
        let key = bucket_key(row.method, credential, peer);
        self.buckets.take(key, rate).map_err(|wait| Refusal::new(Reason::RateLimited).retry_after(wait))
    }
}

/// The answer, or that the caller's time is over. Until a stream begins: how long it then lasts is its own matter.
async fn in_time<E>(
    left: Option<Duration>,
    served: impl Future<Output = Result<Response<Body>, E>>,
) -> Result<Response<Body>, E> {
    let late = || Ok(to_status(&Refusal::new(Reason::DeadlineExceeded)).into_http());
    match left {
        None => served.await,
        Some(left) if left < SHORTEST => late(),
        Some(left) => {
            let left = left.saturating_sub(MARGIN.min(left / 2));
            tokio::time::timeout(left, served).await.unwrap_or_else(|_| late())
        }
    }
}

fn overloaded() -> Refusal {
    Refusal::new(Reason::Overloaded).retry_after(Duration::from_millis(100))
}

/// The trace id of a W3C `traceparent` header.
fn trace_id(request: &Parts) -> Option<String> {
    let header = request.headers.get("traceparent")?.to_str().ok()?;
    let id = header.split('-').nth(1)?;
    let ok = id.len() == 32 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    ok.then(|| id.to_owned())
}

/// The `grpc-timeout` header: at most eight digits and a unit.
fn timeout(request: &Parts) -> Option<Duration> {
    let text = request.headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}
