//! The broker's vocabulary: pure values and rules, no I/O.
//!
//! Every other room speaks in these types. Nothing here reads a clock, draws randomness, opens a file or a socket:
//! [`Clock`] and [`Rng`] are passed in.

pub mod approval;
pub mod canonical;
pub mod clock;
pub mod connection;
pub mod consent;
pub mod digest;
pub mod event;
pub mod holder;
pub mod ids;
pub mod ledger;
pub mod parent;
pub mod policy_trace;
pub mod provider;
pub mod quarantine;
mod rate;
mod reason;
pub mod refusal;
pub mod revocation;
pub mod rng;
pub mod scopes;
pub mod sealed;
pub mod session;
pub mod shares;
pub mod subject;
pub mod tagged;
pub mod timestamp;
pub mod wrapped_key;

pub use approval::{Approval, ApprovedBy};
pub use canonical::Canonical;
pub use clock::{Clock, ManualClock, SystemClock};
pub use connection::{Account, Connection, ConnectionState, RefreshState, SecretRow, StoredConnection};
pub use consent::{Consent, ConsentReason, ConsentState};
pub use digest::sha256;
pub use event::{EventDraft, EventKind, Outcome, Personal};
pub use holder::TokenHolder;
pub use ids::{
    ApprovalId, ConnectionId, ConsentId, EventId, ParentId, ProviderId, RealmId, StreamId, TenantId,
    WorkloadId,
};
pub use ledger::{Applied, AssertionUse, Entry, Group, Position, RequestClaim, Write};
pub use parent::ParentPage;
pub use policy_trace::{Input, Inputs, PolicyTrace};
pub use provider::ProviderSpec;
pub use quarantine::QuarantinedRow;
pub use rate::Rate;
pub use reason::Reason;
pub use refusal::Refusal;
pub use revocation::{Names, Rule, RuleKind, Rules, Target};
pub use rng::{Rng, SystemRng};
pub use scopes::{Scope, ScopeSet};
pub use sealed::{AccessToken, Kind, PkceVerifier, RecordKey, RefreshToken, Sealed, SecretKind};
pub use secrecy::{ExposeSecret, SecretString};
pub use session::{LoggedOut, LogoutNames, WebSession};
pub use shares::{Share, Shares};
pub use subject::{Owner, Subject};
pub use tagged::{Authority, Quarantined, RowKey, RowMac, Tagged};
pub use timestamp::Timestamp;
pub use wrapped_key::WrappedKey;
