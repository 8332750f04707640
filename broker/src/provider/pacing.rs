//! One slow or failing provider neither blocks nor slows the others (RF12): a limit on calls under way and a breaker
//! for each (tenant, provider client, host).

use super::{ProviderError, Trouble};
use crate::domain::{Clock, TenantId};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Calls under way at once.
pub(super) const CONCURRENT: usize = 16;
/// How long a call waits for its turn.
pub(super) const TURN: Duration = Duration::from_secs(2);
/// Failures in a row that open the breaker.
pub(super) const FAILURES: u32 = 5;
/// How long an open breaker refuses before it lets one call try.
pub(super) const OPEN: Duration = Duration::from_secs(15);

/// What a call's end means to the breaker: only transport errors and 5xx count as failures.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Health {
    Good,
    Bad,
    /// Says nothing about the provider, e.g. our own misconfiguration.
    Unknown,
}

#[derive(Default)]
struct Breaker {
    failures: u32,
    /// On the monotonic clock.
    open_until: Duration,
}

struct Gate {
    turns: Semaphore,
    breaker: Mutex<Breaker>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    tenant: TenantId,
    client: String,
    host: String,
}

/// All gates.
pub(super) struct Pacing {
    clock: Arc<dyn Clock>,
    gates: Mutex<HashMap<Key, Arc<Gate>>>,
}

impl Pacing {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, gates: Mutex::default() }
    }

    /// Runs `call` in its turn. `judge` says what its end means.
    pub(super) async fn run<T, E: Into<ProviderError>>(
        &self,
        tenant: &TenantId,
        client: &str,
        host: &str,
        call: impl Future<Output = Result<T, E>>,
        judge: impl FnOnce(&Result<T, E>) -> Health,
    ) -> Result<T, ProviderError> {
        let gate = self.gate(tenant, client, host);
        let _turn = gate.turn().await?;
        gate.admit(self.clock.monotonic())?;
        let result = call.await;
        gate.settle(judge(&result), self.clock.monotonic());
        result.map_err(Into::into)
    }

    fn gate(&self, tenant: &TenantId, client: &str, host: &str) -> Arc<Gate> {
        let key = Key { tenant: tenant.clone(), client: client.to_owned(), host: host.to_owned() };
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Gate { turns: Semaphore::new(CONCURRENT), breaker: Mutex::default() });
        gates.entry(key).or_insert_with(new).clone()
    }
}

impl Gate {
    async fn turn(&self) -> Result<SemaphorePermit<'_>, ProviderError> {
        match tokio::time::timeout(TURN, self.turns.acquire()).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(ProviderError::Unavailable { retry_after: Some(TURN), trouble: Trouble::Busy }),
        }
    }

    /// An open breaker refuses; when its time is over it lets this call try and refuses the others until it ended.
    fn admit(&self, now: Duration) -> Result<(), ProviderError> {
        let mut breaker = self.lock();
        if breaker.failures < FAILURES {
            return Ok(());
        }
        if now < breaker.open_until {
            let retry_after = Some(breaker.open_until - now);
            return Err(ProviderError::Unavailable { retry_after, trouble: Trouble::BreakerOpen });
        }
        breaker.open_until = now + OPEN;
        Ok(())
    }

    fn settle(&self, health: Health, now: Duration) {
        let mut breaker = self.lock();
        match health {
            Health::Good => breaker.failures = 0,
            Health::Bad => {
                breaker.failures = breaker.failures.saturating_add(1);
                breaker.open_until = now + OPEN;
            }
            Health::Unknown => {}
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
