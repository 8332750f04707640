//! Who is calling: credentials are verified in turns, so that whoever sends junk keeps nobody else out (AV1).
//!
//! A static secret costs a hash and waits for nothing. Signatures are checked in turns, and those of credentials that were
//! never good have a small share of their own; from an address that keeps sending bad ones, a smaller one. Nobody is refused for
//! what came from the same address: behind a mesh or a NAT every caller has one.

use super::super::{
    bucket::{Buckets, FAILURES, bucket_key},
    turns::Turns,
};
use crate::{
    audit::Deadline,
    domain::{Reason, Refusal},
    identity::{Cost, VerifiedWorkload},
    usecase::Rooms,
};
use std::{net::IpAddr, sync::Arc};

/// Most credentials remembered as good.
const KNOWN: u64 = 10_000;
/// Which part of the signatures at once is for credentials that were never good.
const SHARE: usize = 16;
/// Which part of the calls at once may wait in one line: with all of them full, most calls are free.
const WAITING: usize = 8;

pub(super) struct Credentials {
    rooms: Arc<Rooms>,
    /// How often bad ones came from an address.
    failures: Buckets,
    /// SHA-256 of credentials that were good once. They are verified like any other.
    known: moka::sync::Cache<[u8; 32], ()>,
    lines: Lines,
}

/// Where to wait for a signature check.
struct Lines {
    known: Turns,
    unknown: Turns,
    /// The same from an address that keeps sending bad ones.
    suspect: Turns,
    /// Those that first wait for an issuer's keys, and must not keep waiting who needs none.
    fetching: Turns,
}

impl Credentials {
    pub(super) fn new(rooms: Arc<Rooms>) -> Self {
        let limits = rooms.settings.limits;
        let at_once = limits.max_concurrent_verifications as usize;
        let calls = limits.max_concurrent_requests as usize;
        let waiting = calls / WAITING;
        let lines = Lines {
            known: Turns::new(at_once, calls),
            unknown: Turns::new(at_once / SHARE, waiting),
            suspect: Turns::new(1, waiting),
            fetching: Turns::new(at_once, waiting),
        };
        let failures = Buckets::new(Arc::clone(&rooms.clock), 100_000);
        Self { failures, known: moka::sync::Cache::new(KNOWN), lines, rooms }
    }

    /// The workload behind an `authorization` value.
    pub(super) async fn verify(
        &self,
        credential: Option<&str>,
        peer: Option<IpAddr>,
        deadline: Deadline,
    ) -> Result<VerifiedWorkload, Refusal> {
        let failures = || bucket_key("failed credentials", None, peer);
        // A secret is its own proof: nothing about it is remembered.
        let shown = match self.rooms.identity.cost_of_credential(credential) {
            Cost::Hash => None,
            cost => Some((cost, bucket_key("credential", credential, peer))),
        };
        let known = shown.as_ref().is_some_and(|(_, key)| self.known.contains_key(key));
        let _turn = match &shown {
            Some((cost, _)) => {
                let line = self.line(*cost, known, failures);
                Some(line.take(deadline.remaining(&*self.rooms.clock)).await?)
            }
            None => None,
        };
        match self.rooms.identity.workload(credential).await {
            Ok(workload) => {
                if let Some((_, key)) = shown
                    && !known
                {
                    self.known.insert(key, ());
                }
                Ok(workload)
            }
            Err(error) => {
                let refusal = Refusal::from(error);
                if refusal.reason == Reason::WorkloadCredentialInvalid {
                    if let Some((_, key)) = shown {
                        self.known.invalidate(&key);
                    }
                    // Empty or not makes no difference to this call: it is refused anyway.
                    let _ = self.failures.take(failures(), FAILURES);
                }
                Err(refusal)
            }
        }
    }

    /// Where this one waits.
    fn line(&self, cost: Cost, known: bool, failures: impl Fn() -> [u8; 32]) -> &Turns {
        match cost {
            _ if known => &self.lines.known,
            Cost::Fetch => &self.lines.fetching,
            Cost::Hash | Cost::Signature if self.failures.wait(failures(), FAILURES).is_some() => {
                &self.lines.suspect
            }
            Cost::Hash | Cost::Signature => &self.lines.unknown,
        }
    }
}
