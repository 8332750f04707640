//! The truth log: what really happened at the SaaS, in order, whatever the caller was told.

use std::sync::{Mutex, MutexGuard};

use tokio::sync::Notify;

use super::fault::Endpoint;
use crate::clock::Now;

/// One thing that happened. A *family* is everything issued from one authorization code; a *generation* counts
/// the refresh tokens of a family, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The account's owner pressed "Deny".
    ConsentDenied { account: String, client: String },
    /// The account's owner pressed "Allow".
    CodeIssued { account: String, client: String, scopes: Vec<String> },
    /// A code became tokens.
    TokensIssued { family: u64, account: String, scopes: Vec<String>, refresh_token: bool },
    /// A code came a second time; its family dies.
    CodeReplayed { family: u64 },
    /// The refresh token of `generation` was accepted; `issued` is the generation that is current since.
    Refreshed { family: u64, generation: u32, issued: u32, scopes: Vec<String> },
    /// A refresh token that is unknown, dead or another client's was presented.
    RefreshRefused { family: Option<u64>, generation: Option<u32> },
    /// A refresh token came again after its successor was issued; the family dies.
    ReuseDetected { family: u64, generation: u32 },
    /// What was answered to the refresh token of `generation`, in what is logged before this, never reached its caller.
    ReplyLost { family: u64, generation: u32 },
    /// Something ended before its time.
    Revoked { family: u64, kind: RevokedKind },
    /// A call met a scripted fault; logged when the call arrives.
    Faulted { endpoint: Endpoint, fault: &'static str },
    /// The API was called. `account` and `family` are those of the token, where it is known.
    ApiCall {
        account: Option<String>,
        family: Option<u64>,
        method: &'static str,
        path: &'static str,
        status: u16,
    },
}

/// What ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevokedKind {
    /// The client revoked one access token; the family lives on.
    AccessToken,
    /// The client revoked a refresh token: the whole family ended (RFC 7009 §2.1).
    Family,
    /// The family ended because a refresh token was reused.
    Reuse,
    /// The family ended because its code was replayed.
    CodeReplay,
    /// The account's owner disconnected the client at the SaaS itself.
    ByOwner,
}

/// An append-only list one can wait on.
pub(super) struct Truth {
    log: Mutex<Log>,
    grown: Notify,
}

/// Of `events` and `times` each has one entry for everything that happened.
struct Log {
    events: Vec<Event>,
    times: Vec<i64>,
    clock: Now,
}

impl Truth {
    pub(super) fn new(clock: Now) -> Truth {
        let log = Log { events: Vec::new(), times: Vec::new(), clock };
        Truth { log: Mutex::new(log), grown: Notify::new() }
    }

    fn held(&self) -> MutexGuard<'_, Log> {
        self.log.lock().expect("no holder panicked")
    }

    pub(super) fn log(&self, event: Event) {
        {
            let mut log = self.held();
            let now = (log.clock)();
            log.times.push(now);
            log.events.push(event);
        }
        self.grown.notify_waiters();
    }

    pub(super) fn events(&self) -> Vec<Event> {
        self.held().events.clone()
    }

    /// The same, each with when it happened.
    pub(super) fn timed(&self) -> Vec<(i64, Event)> {
        let log = self.held();
        log.times.iter().copied().zip(log.events.iter().cloned()).collect()
    }

    pub(super) fn time_by(&self, clock: Now) {
        self.held().clock = clock;
    }

    /// Returns when `reached` holds for all that happened so far.
    pub(super) async fn wait_until(&self, reached: impl Fn(&[Event]) -> bool) {
        loop {
            // Enabled before looking, so that what happens in between is not missed.
            let mut grown = std::pin::pin!(self.grown.notified());
            grown.as_mut().enable();
            if reached(&self.held().events) {
                return;
            }
            grown.await;
        }
    }
}
