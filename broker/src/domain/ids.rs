//! Identifiers. Opaque ids carry a type prefix; names come from operator configuration. Clones share their text: a call
//! names the same few things many times.

use super::{Rng, Timestamp};
use std::{fmt, sync::Arc};

/// A text that is not an identifier of the kind asked for.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("not a valid {kind}")]
pub struct BadId {
    /// Which kind of identifier was expected, e.g. `connection id`.
    pub kind: &'static str,
}

fn encode(bytes: &[u8; 16]) -> String {
    // base32hex keeps byte order, so ids that begin with a time sort by it.
    data_encoding::BASE32HEX_NOPAD.encode(bytes).to_ascii_lowercase()
}

macro_rules! opaque_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The type prefix every id of this kind begins with.
            pub const PREFIX: &'static str = $prefix;

            /// A fresh id with 128 random bits.
            pub fn random(rng: &dyn Rng) -> Self {
                let mut bytes = [0; 16];
                rng.fill(&mut bytes);
                Self(format!("{}{}", $prefix, encode(&bytes)).into())
            }

            /// Reads an id written by [`Self::as_str`].
            ///
            /// # Errors
            /// [`BadId`] when the prefix, length or alphabet is wrong.
            pub fn parse(text: &str) -> Result<Self, BadId> {
                let body = text.strip_prefix($prefix).ok_or(BadId { kind: $kind })?;
                let ok = body.len() == 26 && body.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'v'));
                if ok { Ok(Self(text.into())) } else { Err(BadId { kind: $kind }) }
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

opaque_id!(/// A connection: one stored credential at one provider.
    ConnectionId, "con_", "connection id");
opaque_id!(/// An approval: one workload's standing permission on one connection.
    ApprovalId, "apr_", "approval id");
opaque_id!(/// A consent: one attempt to create or widen a connection or approval.
    ConsentId, "cns_", "consent id");
opaque_id!(/// A parent page: one link that leads through several consents.
    ParentId, "par_", "parent page id");
opaque_id!(/// An audit event; a grant's id is that of the event that recorded it.
    EventId, "evt_", "event id");
opaque_id!(/// One writer's ordered events. Begins with its opening time, so ids sort by age.
    StreamId, "str_", "stream id");

impl StreamId {
    /// A stream id that sorts after every stream opened earlier (microsecond precision).
    pub fn opened_at(time: Timestamp, rng: &dyn Rng) -> Self {
        let mut bytes = [0; 16];
        rng.fill(&mut bytes[8..]);
        bytes[..8].copy_from_slice(&time.micros().to_be_bytes());
        Self(format!("{}{}", Self::PREFIX, encode(&bytes)).into())
    }

    /// What sorts before every stream opened at `time` or later, and after those opened earlier. Before 1970 there are none.
    pub fn bound(time: Timestamp) -> String {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&time.micros().max(0).to_be_bytes());
        format!("{}{}", Self::PREFIX, encode(&bytes))
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        ///
        /// One to 63 characters of `a-z`, `0-9`, `-`, `_` and `.`, beginning with a letter or digit.
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Reads a name.
            ///
            /// # Errors
            /// [`BadId`] when it is empty, too long or has another character.
            pub fn parse(text: &str) -> Result<Self, BadId> {
                let ok = (1..=63).contains(&text.len())
                    && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.'))
                    && text.as_bytes()[0].is_ascii_alphanumeric();
                if ok { Ok(Self(text.into())) } else { Err(BadId { kind: $kind }) }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The same text.
            pub fn shared(&self) -> Arc<str> {
                Arc::clone(&self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(/// A tenant: the isolation boundary.
    TenantId, "tenant name");
name!(/// A realm: an operator-named set of issuers that name the same people.
    RealmId, "realm name");
name!(/// A provider: a downstream system and how tokens for it are obtained.
    ProviderId, "provider name");
name!(/// A workload: an MCP server that calls the broker.
    WorkloadId, "workload name");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::SystemRng;

    #[test]
    fn opaque_ids_round_trip_and_refuse_other_kinds() {
        let id = ConnectionId::random(&SystemRng::default());
        assert_eq!(ConnectionId::parse(id.as_str()), Ok(id.clone()));
        assert!(ConsentId::parse(id.as_str()).is_err());
        for bad in
            ["", "con_", "con_ABC", "con_zzzzzzzzzzzzzzzzzzzzzzzzzz", "con_0123456789abcdefghijklmnop0"]
        {
            assert!(ConnectionId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn stream_ids_sort_by_opening_time() {
        let rng = SystemRng::default();
        let a = StreamId::opened_at(Timestamp::from_micros(1_000), &rng);
        let b = StreamId::opened_at(Timestamp::from_micros(1_001), &rng);
        assert!(a < b);
    }

    #[test]
    fn names_are_never_folded_or_trimmed() {
        assert!(TenantId::parse("acme").is_ok());
        for bad in ["", "Acme", " acme", "acme ", "-acme", "a/b", "ä", &"a".repeat(64)] {
            assert!(TenantId::parse(bad).is_err(), "{bad}");
        }
    }
}
