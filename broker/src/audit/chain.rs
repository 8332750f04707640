//! Hashes and MACs: what makes an edited, cut or reordered stream show.

use crate::{
    domain::{Canonical, RowMac, StreamId, ledger::Head},
    keys::AuditKeys,
};
use ring::digest;

/// What an event stands on when nothing is before it.
pub const GENESIS: [u8; 32] = [0; 32];

/// SHA-256 over a tag, the previous event's hash (length-prefixed) and the body.
pub fn event_hash(previous: &[u8; 32], body: &[u8]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    let mut prefix = Canonical::new("broker.v1 audit event");
    prefix.bytes(previous);
    context.update(prefix.finish());
    context.update(body);
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

/// How a stream stands. Covered by its head's MAC, so that nobody can reopen or silently end one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StreamState {
    /// Its writer may append.
    Open,
    /// Its writer ended it.
    Closed,
    /// Its writer died; a successor ended it and says so in a `stream.recovered` event.
    Recovered,
}

impl StreamState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Open, Self::Closed, Self::Recovered];

    fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Recovered => "recovered",
        }
    }

    /// The state a stored head MAC vouches for; `None` when it vouches for none.
    pub fn vouched(keys: &AuditKeys, head: &Head, mac: &[u8]) -> Option<Self> {
        let mac = RowMac::from_bytes(mac);
        let (key, tag) = mac.parts()?;
        Self::ALL.into_iter().find(|state| keys.verify(key, message(head, *state).finish(), tag))
    }
}

/// The MAC of a stream's head, as its column holds it.
pub fn head_mac(keys: &AuditKeys, head: &Head, state: StreamState) -> Vec<u8> {
    RowMac::new(keys.current(), &keys.sign(message(head, state).finish())).to_bytes()
}

/// The head of a stream without events.
pub fn empty_head(stream: StreamId) -> Head {
    Head { stream, seq: 0, hash: GENESIS }
}

fn message(head: &Head, state: StreamState) -> Canonical {
    let mut message = Canonical::new("broker.v1 audit stream head");
    message.text(head.stream.as_str()).number(head.seq).bytes(&head.hash).text(state.as_str());
    message
}
