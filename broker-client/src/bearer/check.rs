//! Has the broker verify users' tokens, each once in a while.

use super::pace::Pace;
use crate::call::Repeat;
use crate::{Assertion, Client, Error};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use serde_json::Value;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::sync::Semaphore;

/// For how long a verified token is not shown to the broker again.
const FRESH: Duration = Duration::from_secs(60);
/// For how long after that it still does not stand in line with tokens that nobody knows.
const KNOWN: Duration = Duration::from_secs(3600);
/// How many verified tokens are remembered.
const MOST: usize = 4096;
/// How many checks of unknown tokens are under way at a time.
const AT_A_TIME: usize = 32;
/// When to come again after too many were under way.
const SOON: Duration = Duration::from_secs(1);

/// What was verified, by SHA-256 of the token. Whoever sends made-up tokens must not use up what the broker grants this
/// workload: those are paced, and the tokens of people who were here before are not.
pub(super) struct TokenCheck {
    client: Client,
    verified: Mutex<HashMap<[u8; 32], Verified>>,
    pace: Pace,
    under_way: Semaphore,
}

#[derive(Clone, Copy)]
struct Verified {
    /// By the monotonic clock.
    at: Duration,
    /// The token's own end, if it names one.
    ends: Option<SystemTime>,
}

impl TokenCheck {
    pub(super) fn new(client: Client) -> Self {
        let under_way = Semaphore::new(AT_A_TIME);
        Self { client, verified: Mutex::default(), pace: Pace::default(), under_way }
    }

    /// Whether the broker takes this token from this workload.
    pub(super) async fn verify(&self, assertion: &Assertion) -> Result<(), Error> {
        let mut key = [0; 32];
        key.copy_from_slice(digest(&SHA256, assertion.expose().as_bytes()).as_ref());
        let clock = self.client.clock();
        let now = clock.monotonic();
        let known = self.verified().get(&key).copied().filter(|known| known.age(now) < KNOWN);
        if known.is_some_and(|known| known.age(now) < FRESH && known.ends.is_none_or(|end| clock.now() < end))
        {
            return Ok(());
        }
        let checked = match known {
            Some(_) => self.client.verify(assertion, Repeat::Safe).await,
            None => {
                self.pace.take(now).map_err(Error::busy)?;
                let _turn = self.under_way.try_acquire().map_err(|_| Error::busy(SOON))?;
                // Another attempt would spend on a token that may be made up what others need.
                self.client.verify(assertion, Repeat::Never).await
            }
        };
        match &checked {
            Ok(()) => self.remember(key, Verified { at: now, ends: end(assertion) }),
            // The broker said no to this token: from now on it is one like any other. Other failures say nothing about it.
            Err(Error::Assertion(_) | Error::Denied(_)) => drop(self.verified().remove(&key)),
            Err(_) => {}
        }
        checked
    }

    fn remember(&self, key: [u8; 32], new: Verified) {
        let mut verified = self.verified();
        for bound in [KNOWN, FRESH] {
            if verified.len() >= MOST {
                verified.retain(|_, one| one.age(new.at) < bound);
            }
        }
        // Where that made no room, one more question to the broker is cheaper than a list without end.
        if verified.len() < MOST || verified.contains_key(&key) {
            verified.insert(key, new);
        }
    }

    fn verified(&self) -> MutexGuard<'_, HashMap<[u8; 32], Verified>> {
        self.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Verified {
    fn age(self, now: Duration) -> Duration {
        now.saturating_sub(self.at)
    }
}

/// `exp` (RFC 7519 section 4.1.4), of a token that was verified just now. One that cannot be read has no end of its own.
fn end(assertion: &Assertion) -> Option<SystemTime> {
    let payload = URL_SAFE_NO_PAD.decode(assertion.expose().split('.').nth(1)?).ok()?;
    let seconds = serde_json::from_slice::<Value>(&payload).ok()?.get("exp")?.as_f64()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(seconds).ok()?)
}

impl fmt::Debug for TokenCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCheck").field("verified", &self.verified().len()).finish_non_exhaustive()
    }
}
