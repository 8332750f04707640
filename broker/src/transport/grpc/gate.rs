//! The gate every RPC passes: table, limit, credential; in this order, cheapest first (design §6).

use super::{
    super::listener::Peer,
    arrival::Arrivals,
    credentials::Credentials,
    denied, framing,
    status::to_status,
    table::{self, GateRow, Limit, STRANGERS, Who},
};
use crate::{
    audit::Deadline,
    domain::{Reason, Refusal, Share, Shares, WorkloadId},
    identity::VerifiedWorkload,
    trace::{self, Remote, Sampling, step},
    usecase::{Call, Caller, Pace, Rooms, bucket::bucket_key, fleet_buckets::FleetBuckets},
};
use http::{HeaderMap, Request, Response, header::AUTHORIZATION, request::Parts};
use std::{
    future::Future,
    net::IpAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::sync::{Semaphore, SemaphorePermit, TryAcquireError};
use tonic::{Status, body::Body};
use tower::{Layer, Service};
use tracing::{Instrument, Span};

/// A caller with less time than this is gone already.
const SHORTEST: Duration = Duration::from_millis(1);
/// How long before the caller's time is over it is told so: the stack around us would call it CANCELLED, and the answer has
/// to travel.
const MARGIN: Duration = Duration::from_millis(25);
/// When to come again where there is no place.
const LATER: Duration = Duration::from_millis(100);
/// Calls at once of methods that are anyone's. Each takes a moment.
const OPEN_CALLS: usize = 64;

/// What the gate established. Handlers take it from the request's extensions.
#[derive(Clone)]
pub struct Principal {
    /// The workload, where a credential was shown.
    pub workload: Option<VerifiedWorkload>,
    /// Facts of the call.
    pub call: Call,
    /// The method's name in the gate table.
    pub action: &'static str,
    /// How often one person may call it.
    pub pace: Option<Pace>,
    /// How workloads share the places; the call itself has one.
    shares: Option<Arc<Shares<WorkloadId>>>,
}

impl Principal {
    /// Of a request that passed the gate.
    ///
    /// # Errors
    /// [`Reason::Internal`]: a handler was reached around the gate.
    pub fn of<T>(request: &tonic::Request<T>) -> Result<Self, Status> {
        request.extensions().get::<Self>().cloned().ok_or_else(|| to_status(&Refusal::new(Reason::Internal)))
    }

    /// Places for what a call asks for beyond one thing, until they are dropped: a batch costs what its items would alone (AV4).
    /// `None`: there is nobody to share with.
    ///
    /// # Errors
    /// [`Reason::RateLimited`]: the workload has its share already. A summary says so later (AU2).
    pub fn further(&self, rooms: &Rooms, places: usize) -> Result<Option<Share>, Refusal> {
        let (Some(shares), Some(workload)) = (&self.shares, &self.workload) else { return Ok(None) };
        shares
            .take_further(workload.id(), places)
            .map(Some)
            .ok_or_else(|| has_its_share(rooms, workload.id()))
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
    buckets: FleetBuckets,
    /// Calls served at once; more are shed (AV1).
    calls: Semaphore,
    /// The same of methods that are anyone's: strangers and everybody else keep no place from each other, and health stays
    /// answerable however busy the rest is.
    open_calls: Semaphore,
    /// How workloads share them; `None` where there is only one (AV4).
    shares: Option<Arc<Shares<WorkloadId>>>,
    arrivals: Arrivals,
    credentials: Credentials,
}

impl GateLayer {
    /// The gate of one listener.
    pub fn new(rooms: Arc<Rooms>) -> Self {
        let buckets = FleetBuckets::new(Arc::clone(&rooms.clock), 100_000, rooms.relay.clone());
        let limits = rooms.settings.limits;
        let at_once = limits.max_concurrent_requests as usize;
        let (calls, open_calls) = (Semaphore::new(at_once), Semaphore::new(OPEN_CALLS));
        let shares = (rooms.settings.workload_names.len() > 1).then(|| Arc::new(Shares::new(at_once)));
        let arrivals = Arrivals::new(at_once, limits.max_request_bytes as usize);
        let credentials = Credentials::new(Arc::clone(&rooms));
        Self(Arc::new(Gate { rooms, buckets, calls, open_calls, shares, arrivals, credentials }))
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
        // The clone takes our place; what was polled ready serves this request.
        let clone = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, clone);
        Box::pin(Arc::clone(&self.gate).answer(inner, request))
    }
}

impl Gate {
    /// The answer to a request, counted.
    async fn answer<S>(self: Arc<Self>, inner: S, request: Request<Body>) -> Result<Response<Body>, S::Error>
    where
        S: Service<Request<Body>, Response = Response<Body>>,
    {
        let began = self.rooms.clock.monotonic();
        let row = table::find(request.uri().path());
        let span = span(&self.rooms.sampling, row, request.headers());
        let _in_progress = self.rooms.metrics.call_in_progress();
        let (parts, body) = request.into_parts();
        let answer = match framing::not_grpc(&parts) {
            Some(answer) => Ok(answer),
            None => {
                // A caller that names no time has the longest there is.
                let longest = self.rooms.settings.limits.request_timeout;
                let left = timeout(&parts).unwrap_or(longest).min(longest);
                // Pinned here: a call's state is large, and is not moved again.
                let served = pin!(self.serve(inner, row, parts, body, left));
                in_time(left, served.instrument(span.clone())).await
            }
        };
        if let Ok(response) = &answer {
            // A method that is not in the table has no name of ours.
            let method = row.map_or("unknown", |row| row.method);
            let took = self.rooms.clock.monotonic().saturating_sub(began);
            let code = framing::code(response);
            self.rooms.metrics.call(method, code, took);
            trace::rpc_answered(&span, code);
        }
        answer
    }

    /// What is behind the gate, for whoever passes it within `left`.
    async fn serve<S>(
        &self,
        mut inner: S,
        row: Option<&'static GateRow>,
        mut parts: Parts,
        body: Body,
        left: Duration,
    ) -> Result<Response<Body>, S::Error>
    where
        S: Service<Request<Body>, Response = Response<Body>>,
    {
        // It runs while the message arrives.
        let deadline = Deadline::after(&*self.rooms.clock, left);
        // Whoever has not sent a message yet takes nobody's place.
        let body = match self.message(row, &parts, body, left).await {
            Ok(body) => body,
            Err(refusal) => return Ok(to_status(&refusal).into_http()),
        };
        let Ok(_place) = self.place(row) else {
            self.rooms.metrics.shed("calls");
            return Ok(framing::refused(&overloaded(), body).await);
        };
        let principal = match self.admit(row, &parts, deadline).await {
            Ok(Some(principal)) => principal,
            Ok(None) => return inner.call(Request::from_parts(parts, body)).await,
            Err(refusal) => return Ok(framing::refused(&refusal, body).await),
        };
        let _share = match self.share(&principal) {
            Ok(share) => share,
            Err(refusal) => return Ok(framing::refused(&refusal, body).await),
        };
        parts.extensions.insert(principal.clone());
        let response = inner.call(Request::from_parts(parts, body)).await?;
        match framing::unreadable(&response) {
            None => Ok(response),
            Some(refusal) => {
                let refusal = denied::written_down(&self.rooms, &principal, refusal).await;
                Ok(to_status(&refusal).into_http())
            }
        }
    }

    /// The whole message; as it comes where it is a stream or nobody will read it.
    async fn message(
        &self,
        row: Option<&GateRow>,
        request: &Parts,
        body: Body,
        left: Duration,
    ) -> Result<Body, Refusal> {
        if row.is_none_or(GateRow::is_streamed) {
            return Ok(body);
        }
        let message = self.arrivals.whole(body, peer(request), left).await;
        if let (Err(refusal), Some(peer)) = (&message, peer(request)) {
            if refusal.reason == Reason::Overloaded {
                self.rooms.metrics.shed("messages");
            }
            self.rooms.refusals.count("grpc", refusal.reason, peer);
        }
        message
    }

    /// A place until it is dropped; none is needed for what is refused unread.
    fn place(&self, row: Option<&GateRow>) -> Result<Option<SemaphorePermit<'_>>, TryAcquireError> {
        let Some(row) = row else { return Ok(None) };
        let places = if row.who == Who::Anyone { &self.open_calls } else { &self.calls };
        places.try_acquire().map(Some)
    }

    /// One of the places its workload may have. Who has them all is told at once, and a summary says so later (AU2): whatever
    /// keeps the others waiting may be the log itself.
    fn share(&self, principal: &Principal) -> Result<Option<Share>, Refusal> {
        let (Some(shares), Some(workload)) = (&self.shares, &principal.workload) else { return Ok(None) };
        shares.take(workload.id()).map(Some).ok_or_else(|| has_its_share(&self.rooms, workload.id()))
    }

    fn principal(&self, workload: Option<VerifiedWorkload>, call: Call, row: &GateRow) -> Principal {
        Principal { workload, call, action: row.action, pace: row.pace(), shares: self.shares.clone() }
    }

    async fn admit(
        &self,
        row: Option<&'static GateRow>,
        request: &Parts,
        deadline: Deadline,
    ) -> Result<Option<Principal>, Refusal> {
        let peer = peer(request);
        let admitted = self.try_admit(row, request, peer, deadline).await;
        if let (Err(refusal), Some(peer)) = (&admitted, peer) {
            self.rooms.refusals.count("grpc", refusal.reason, peer);
        }
        admitted
    }

    async fn try_admit(
        &self,
        row: Option<&'static GateRow>,
        request: &Parts,
        peer: Option<IpAddr>,
        deadline: Deadline,
    ) -> Result<Option<Principal>, Refusal> {
        let row = row.ok_or_else(|| Refusal::new(Reason::MethodNotAllowed))?;
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
        self.limit(row, credential, peer).await?;
        // Of a traced call the ids agree; of others, what the caller says.
        let trace_id = trace::current().map(|ids| ids.trace).or_else(|| trace_id(request));
        let call = Call { client_address: peer, trace_id, deadline };
        if credential.is_none() && row.who == Who::WorkloadOrPerson {
            return Ok(Some(self.principal(None, call, row)));
        }
        let verified = self.credentials.verify(credential, peer, call.deadline);
        let workload = trace::within(step!("authenticate workload"), verified).await?;
        Span::current().record("broker.workload", workload.id().as_str());
        Ok(Some(self.principal(Some(workload), call, row)))
    }

    async fn limit(
        &self,
        row: &GateRow,
        credential: Option<&str>,
        peer: Option<IpAddr>,
    ) -> Result<(), Refusal> {
        let Limit::PerCaller(mut rate) = row.limit else { return Ok(()) };
        if credential.is_none() && row.who == Who::WorkloadOrPerson {
            // Who it is will be known from the message, and has the method's own pace then.
            rate = STRANGERS;
        }
        let key = bucket_key(row.method, credential, peer);
        let taken = self.buckets.take(key, rate).await;
        taken.map_err(|wait| Refusal::new(Reason::RateLimited).retry_after(wait))
    }
}

/// The answer, or that the caller's time is over. Until a stream begins: how long it then lasts is its own matter.
async fn in_time<E>(
    left: Duration,
    served: impl Future<Output = Result<Response<Body>, E>>,
) -> Result<Response<Body>, E> {
    let late = || Ok(to_status(&Refusal::new(Reason::DeadlineExceeded)).into_http());
    if left < SHORTEST {
        return late();
    }
    let left = left.saturating_sub(MARGIN.min(left / 10));
    tokio::time::timeout(left, served).await.unwrap_or_else(|_| late())
}

fn has_its_share(rooms: &Rooms, workload: &WorkloadId) -> Refusal {
    rooms.metrics.shed("workload_share");
    rooms.refusals.sum_up("grpc", Reason::RateLimited, workload);
    let sentence = "This server has its share of calls under way: send the next when some are answered.";
    Refusal::because(Reason::RateLimited, sentence).retry_after(LATER)
}

/// Where a request comes from.
fn peer(request: &Parts) -> Option<IpAddr> {
    request.extensions.get::<Option<Peer>>().copied().flatten().map(|peer| peer.address.ip())
}

fn overloaded() -> Refusal {
    Refusal::new(Reason::Overloaded).retry_after(LATER)
}

/// The trace id of a W3C `traceparent` header.
fn trace_id(request: &Parts) -> Option<String> {
    Remote::read(&request.headers).map(|remote| format!("{:032x}", remote.trace_id))
}

/// The call's span, if it is traced. Health and reflection are not: probes come every few seconds.
fn span(sampling: &Sampling, row: Option<&GateRow>, headers: &HeaderMap) -> Span {
    match row {
        Some(row) if row.who != Who::Anyone => {
            trace::rpc_server(sampling, row.method.trim_start_matches('/'), headers)
        }
        _ => Span::none(),
    }
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
