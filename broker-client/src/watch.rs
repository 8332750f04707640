//! Following a consent until the user has answered.

use crate::proto::{Consent, ConsentState, WatchConsentResponse};
use crate::{Clock, Error};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tonic::Streaming;

/// The changes of one consent, until its terminal state.
pub struct ConsentWatch {
    pub(crate) stream: Streaming<WatchConsentResponse>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) until: Duration,
    pub(crate) ended: bool,
}

impl ConsentWatch {
    /// The next state; the first call gives the current one. `None` after the terminal state.
    ///
    /// # Errors
    /// [`Error::DeadlineExceeded`] when the time given to `watch_consent` is over; [`Error::Unavailable`] when the stream broke
    /// before the consent ended: watch again. Others as the broker says.
    pub async fn next(&mut self) -> Result<Option<Consent>, Error> {
        if self.ended {
            return Ok(None);
        }
        let left = self.until.saturating_sub(self.clock.monotonic());
        let message =
            tokio::time::timeout(left, self.stream.message()).await.map_err(|_| Error::deadline())??;
        let Some(message) = message else { return Err(Error::stream_ended()) };
        let consent = message.consent.ok_or_else(|| Error::protocol("a change without a consent"))?;
        self.ended = is_terminal(consent.state());
        Ok(Some(consent))
    }

    /// Waits for the terminal state: COMPLETED (ask for the grant again), DECLINED, EXPIRED or FAILED.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub async fn finished(mut self) -> Result<Consent, Error> {
        loop {
            match self.next().await? {
                Some(consent) if self.ended => return Ok(consent),
                Some(_) => {}
                None => return Err(Error::stream_ended()),
            }
        }
    }
}

fn is_terminal(state: ConsentState) -> bool {
    match state {
        ConsentState::Completed | ConsentState::Declined | ConsentState::Expired | ConsentState::Failed => {
            true
        }
        ConsentState::Unspecified
        | ConsentState::Pending
        | ConsentState::Approved
        | ConsentState::AwaitingConfirmation => false,
    }
}

impl fmt::Debug for ConsentWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsentWatch").field("ended", &self.ended).finish_non_exhaustive()
    }
}
