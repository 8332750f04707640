//! Has the broker verify users' tokens, each once in a while.

use crate::{Assertion, Client, Error};
use ring::digest::{SHA256, digest};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// For how long a verified token is not shown to the broker again.
const REMEMBERED: Duration = Duration::from_secs(60);
/// How many verified tokens are remembered.
const MOST: usize = 4096;
/// How many checks are under way at a time: whoever sends made-up tokens must not use up what the broker grants this workload.
const AT_A_TIME: usize = 32;

/// What was verified, by SHA-256 of the token, and when.
pub(super) struct TokenCheck {
    client: Client,
    verified: Mutex<HashMap<[u8; 32], Duration>>,
    under_way: Semaphore,
}

impl TokenCheck {
    pub(super) fn new(client: Client) -> Self {
        Self { client, verified: Mutex::default(), under_way: Semaphore::new(AT_A_TIME) }
    }

    /// Whether the broker takes this token from this workload.
    pub(super) async fn verify(&self, assertion: &Assertion) -> Result<(), Error> {
        let mut key = [0; 32];
        key.copy_from_slice(digest(&SHA256, assertion.expose().as_bytes()).as_ref());
        let now = self.client.clock().monotonic();
        let known = self.verified().get(&key).copied();
        if known.is_some_and(|at| now.saturating_sub(at) < REMEMBERED) {
            return Ok(());
        }
        let _turn = self.under_way.try_acquire().map_err(|_| Error::busy())?;
        self.client.verify_user_token(assertion).await?;
        let mut verified = self.verified();
        if verified.len() >= MOST {
            verified.retain(|_, at| now.saturating_sub(*at) < REMEMBERED);
        }
        // Where that made no room, one more question to the broker is cheaper than a list without end.
        if verified.len() < MOST {
            verified.insert(key, now);
        }
        Ok(())
    }

    fn verified(&self) -> MutexGuard<'_, HashMap<[u8; 32], Duration>> {
        self.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for TokenCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCheck").field("verified", &self.verified().len()).finish_non_exhaustive()
    }
}
