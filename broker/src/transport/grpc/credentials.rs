//! Who is calling: credentials are verified in turns, so that whoever sends junk keeps nobody else out (AV1).
//!
//! A static secret costs a hash and waits for nothing. Signatures are checked in turns ([`crate::usecase::lines`]). Nobody is refused
//! for what came from the same address: behind a mesh or a NAT every caller has one.

use crate::{
    audit::Deadline,
    domain::{Reason, Refusal},
    identity::{Cost, VerifiedWorkload},
    usecase::{Rooms, bucket::bucket_key, lines::Standing},
};
use std::{net::IpAddr, sync::Arc};

/// Most credentials remembered as good.
const KNOWN: u64 = 10_000;

pub(super) struct Credentials {
    rooms: Arc<Rooms>,
    /// SHA-256 of credentials that were good once. They are verified like any other.
    known: moka::sync::Cache<[u8; 32], ()>,
}

impl Credentials {
    pub(super) fn new(rooms: Arc<Rooms>) -> Self {
        Self { known: moka::sync::Cache::new(KNOWN), rooms }
    }

    /// The workload behind an `authorization` value.
    pub(super) async fn verify(
        &self,
        credential: Option<&str>,
        peer: Option<IpAddr>,
        deadline: Deadline,
    ) -> Result<VerifiedWorkload, Refusal> {
        let sender = || bucket_key("failed credentials", None, peer);
        // A secret is its own proof: nothing about it is remembered.
        let shown = match self.rooms.identity.cost_of_credential(credential) {
            Cost::Hash => None,
            cost => Some((cost, bucket_key("credential", credential, peer))),
        };
        let known = shown.as_ref().is_some_and(|(_, key)| self.known.contains_key(key));
        let _turn = match &shown {
            Some((cost, _)) => {
                let standing = if known { Standing::Good } else { Standing::Unknown };
                let left = deadline.remaining(&*self.rooms.clock);
                self.rooms.lines.turn(*cost, standing, sender(), left).await?
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
                    self.rooms.lines.failed(sender());
                }
                Err(refusal)
            }
        }
    }
}
