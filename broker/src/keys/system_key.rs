//! What the broker's own system keys are split into (VA12).

use super::SecretKey;

/// A purpose with a key of its own, so that no use of one key helps against another.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Subkey {
    /// MACs of rows that confer authority.
    RowMac,
    /// Consent link handles.
    ConsentHandle,
    /// Sealed cookies.
    Cookie,
    /// The spool of refreshed tokens on disk.
    Spool,
    /// MACs of audit events and stream heads.
    Audit,
    /// Lookup keys and fingerprints of request ids.
    RequestClaim,
    /// What replicas tell each other through Redis.
    Relay,
    /// The names that Redis counts calls under.
    CallCount,
}

impl Subkey {
    fn label(self) -> &'static str {
        match self {
            Self::RowMac => "system: row mac",
            Self::ConsentHandle => "system: consent handle",
            Self::Cookie => "system: cookie",
            Self::Spool => "system: spool",
            Self::Audit => "system: audit",
            Self::RequestClaim => "system: request claim",
            Self::Relay => "system: relay",
            Self::CallCount => "system: call count",
        }
    }
}

/// The system keys, newest first.
pub(super) struct SystemKeys {
    pub(super) keys: Vec<(String, SecretKey)>,
}

impl SystemKeys {
    /// The subkey of every system key, newest first, under the system key's id.
    pub(super) fn derive(&self, subkey: Subkey) -> Vec<(String, SecretKey)> {
        self.keys.iter().map(|(id, key)| (id.clone(), key.derive(subkey.label()))).collect()
    }
}
