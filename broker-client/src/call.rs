//! One call: credential, deadline, and another attempt where that is safe.

use crate::link::Link;
use crate::trace;
use crate::{Clock, Credential, Error};
use backon::{BackoffBuilder as _, ExponentialBuilder};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};
use tracing::Instrument as _;

const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(5);

/// What every call needs.
pub(crate) struct Caller {
    pub(crate) link: Link,
    pub(crate) credential: Credential,
    pub(crate) deadline: Duration,
    pub(crate) attempts: usize,
    pub(crate) clock: Arc<dyn Clock>,
}

/// Whether a call may be sent again after a failure that says "not now".
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Repeat {
    /// It only reads, or its request id makes repeats answer alike.
    Safe,
    /// It might be done twice.
    Never,
}

impl Caller {
    /// Sends `message` until it is answered, refused, out of attempts or out of time. `method` is `package.Service/Method`.
    pub(crate) async fn unary<M, R, F, Fut>(
        &self,
        method: &'static str,
        message: M,
        repeat: Repeat,
        send: F,
    ) -> Result<R, Error>
    where
        M: Clone,
        F: Fn(Channel, Request<M>) -> Fut,
        Fut: Future<Output = Result<Response<R>, Status>>,
    {
        let until = self.clock.monotonic().saturating_add(self.deadline);
        let mut pauses = self.pauses(repeat);
        loop {
            let left = self.left(until);
            if left.is_zero() {
                return Err(Error::deadline());
            }
            let once = async {
                let request = self.request(message.clone(), left).await?;
                let channel = self.link.channel(self.clock.as_ref()).await;
                let answer = send(channel, request).await;
                trace::answered(&answer);
                Ok(answer?.into_inner())
            };
            let once = once.instrument(trace::span(method));
            let error = match tokio::time::timeout(left, once).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => error,
                Err(_) => Error::deadline(),
            };
            let pause = if error.is_retryable() { pauses.next() } else { None };
            // Never earlier than the broker asked; not at all when the answer could no longer come in time.
            let pause = pause.map(|pause| pause.max(error.retry_after().unwrap_or_default()));
            let Some(pause) = pause.filter(|pause| *pause < self.left(until)) else { return Err(error) };
            tracing::debug!(reason = error.reason(), ?pause, "trying again");
            self.clock.sleep(pause).await;
        }
    }

    fn left(&self, until: Duration) -> Duration {
        until.saturating_sub(self.clock.monotonic())
    }

    fn pauses(&self, repeat: Repeat) -> impl Iterator<Item = Duration> + use<> {
        let times = if repeat == Repeat::Safe { self.attempts.saturating_sub(1) } else { 0 };
        ExponentialBuilder::default()
            .with_jitter()
            .with_min_delay(FIRST_DELAY)
            .with_max_delay(LONGEST_DELAY)
            .with_max_times(times)
            .build()
    }

    /// A request with the workload's credential and `grpc-timeout`.
    pub(crate) async fn request<M>(&self, message: M, timeout: Duration) -> Result<Request<M>, Error> {
        let mut request = Request::new(message);
        request.set_timeout(timeout);
        trace::carry(request.metadata_mut());
        if let Some(bearer) = self.credential.current(self.clock.as_ref()).await? {
            request.metadata_mut().insert("authorization", bearer);
        }
        Ok(request)
    }
}
