//! One message between replicas: sealed, so that Redis can neither read, make nor change one; numbered, so that it cannot repeat one.

use super::Changed;
use crate::{
    domain::{Canonical, ConnectionId, ConsentId, Rng},
    keys::AeadKeys,
};

/// Larger ones are nobody's of ours, in bytes.
pub(super) const LARGEST: usize = 512;

/// Names a process in its messages.
pub(super) type Name = [u8; 16];

/// What one process says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Message {
    pub(super) from: Name,
    /// Counts up from one.
    pub(super) number: u64,
    /// `None` = a heartbeat.
    pub(super) changed: Option<Changed>,
}

impl Message {
    pub(super) fn seal(&self, keys: &AeadKeys, rng: &dyn Rng, channel: &str) -> Vec<u8> {
        let (kind, id) = match &self.changed {
            None | Some(Changed::Anything) => (b'h', ""),
            Some(Changed::Connection(id)) => (b'c', id.as_str()),
            Some(Changed::Consent(id)) => (b's', id.as_str()),
        };
        let plain = [&self.from[..], &self.number.to_be_bytes(), &[kind], id.as_bytes()].concat();
        keys.seal(rng, &aad(channel), &plain)
    }

    /// `None` for what no replica said.
    pub(super) fn open(keys: &AeadKeys, channel: &str, sealed: &[u8]) -> Option<Self> {
        if sealed.len() > LARGEST {
            return None;
        }
        let plain = keys.open(&aad(channel), sealed).ok()?;
        let (from, rest) = plain.split_first_chunk::<16>()?;
        let (number, rest) = rest.split_first_chunk::<8>()?;
        let (kind, id) = rest.split_first()?;
        let id = std::str::from_utf8(id).ok()?;
        let changed = match kind {
            b'h' => None,
            b'c' => Some(Changed::Connection(ConnectionId::parse(id).ok()?)),
            b's' => Some(Changed::Consent(ConsentId::parse(id).ok()?)),
            _ => return None,
        };
        Some(Self { from: *from, number: u64::from_be_bytes(*number), changed })
    }
}

fn aad(channel: &str) -> Canonical {
    let mut aad = Canonical::new("broker.v1 relay");
    aad.text(channel);
    aad
}
