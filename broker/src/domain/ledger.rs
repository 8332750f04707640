//! What one ledger commit is asked to do (design §6): groups of entries that share their fate.

use super::{
    Approval, Connection, ConnectionId, Consent, ConsentId, EventDraft, LogoutNames, Names, ParentPage,
    QuarantinedRow, Rule, RuleKind, SecretRow, StreamId, Tagged, Target, Timestamp, TokenHolder, WebSession,
    WrappedKey, event::EventRef,
};
use std::time::Duration;

/// An event's place in the log: what a caller is told as "audit position".
pub type Position = EventRef;

/// A conditional write. Each reports whether it applied; an entry's writes apply all or none.
#[derive(Clone, Debug)]
pub enum Write {
    /// Inserts a consent; applies unless its handle, id, or an equal open need exists.
    InsertConsent {
        /// The row.
        row: Tagged<Consent>,
        /// SHA-256 of the link's handle.
        handle_hash: [u8; 32],
    },
    /// Replaces a consent that still has `expected_version`.
    UpdateConsent {
        /// The row.
        row: Tagged<Consent>,
        /// The version it was read at.
        expected_version: i64,
    },
    /// Inserts a parent page; applies unless its handle or id exists.
    InsertParent {
        /// The row.
        row: Tagged<ParentPage>,
        /// SHA-256 of the link's handle.
        handle_hash: [u8; 32],
    },
    /// Replaces a parent page that still has `expected_version`.
    UpdateParent {
        /// The row.
        row: Tagged<ParentPage>,
        /// The version it was read at.
        expected_version: i64,
    },
    /// Moves a quarantined consent out of the way of an equal need, its sealed values removed. Applies while it is still what
    /// was read.
    SetAsideConsent(QuarantinedRow),
    /// Inserts a connection.
    InsertConnection(Tagged<Connection>),
    /// Replaces a connection that still has `expected_version`.
    UpdateConnection {
        /// The row.
        row: Tagged<Connection>,
        /// The version it was read at.
        expected_version: i64,
    },
    /// Moves a quarantined connection out of the way of its owner's next one. Applies while it is still what was read.
    SetAsideConnection(QuarantinedRow),
    /// Inserts an approval, or replaces the one of the same (tenant, connection, workload) at `expected_version`.
    PutApproval {
        /// The row.
        row: Tagged<Approval>,
        /// The version it was read at; `None` = there was none.
        expected_version: Option<i64>,
    },
    /// Stores a token of a connection, replacing one with a smaller generation under the same (connection, kind, scope key).
    PutSecret(Tagged<SecretRow>),
    /// Removes every token of a connection whose provider no longer honours them.
    DeleteSecrets(ConnectionId),
    /// Removes the access tokens of a connection, e.g. because a refresh killed them.
    DeleteAccessTokens(ConnectionId),
    /// Takes the refresh lease: applies if nobody holds it and the epoch is still the one read.
    TakeLease(TakeLease),
    /// Gives the lease back; applies only to the one its taker named, under its fencing epoch.
    SettleLease(SettleLease),
    /// Ends every lease before it, so that what came late is stored in its own right and not under a lease that is over: applies if
    /// the epoch is still `expected_epoch`, and the lease is `owner`'s, or nobody holds it any more.
    SupersedeLease {
        /// The connection.
        connection: ConnectionId,
        /// Whose lease may be ended before its time.
        owner: String,
        /// The fencing epoch read before.
        expected_epoch: i64,
    },
    /// Queues the revocation of a holder's tokens at the provider, durably (RV1). Queued already, the earlier time counts.
    QueueProviderRevocation {
        /// Whose; they stay sealed where they are until it is done.
        holder: TokenHolder,
        /// First attempt not before this.
        due_at: Timestamp,
    },
    /// Brings forward what is queued of tokens that a connection had before others took their place: it ends, and they with it. Always
    /// applies.
    HastenProviderRevocations {
        /// The connection.
        connection: ConnectionId,
        /// Next attempt not after this.
        due_at: Timestamp,
    },
    /// Queues a connection whose tokens came after it was revoked, so that they end at the provider too (RF4). Queued already, it is
    /// counted as tried twice more: whoever is at it now has not seen these tokens, and must not finish it. Always applies.
    QueueIfRevoked {
        /// The connection.
        connection: ConnectionId,
        /// Next attempt not before this.
        due_at: Timestamp,
    },
    /// Moves a queued revocation on, if it has no more attempts than these.
    RescheduleProviderRevocation {
        /// Whose tokens.
        holder: TokenHolder,
        /// Attempts so far.
        attempts: i64,
        /// Next attempt not before this; `None` = it is done or given up, and leaves the queue.
        due_at: Option<Timestamp>,
    },
    /// Removes a queued revocation that cannot be read.
    DropQueuedRevocation(QuarantinedRow),
    /// Removes what is sealed in a consent whose own row cannot be relied on, so that nobody can store it anew.
    DeleteLeftovers(ConsentId),
    /// Starts a web session. Applies unless a logout is remembered that means it: of its `sid` or its person, and after
    /// `begun_at`.
    InsertSession {
        /// The row.
        row: Tagged<WebSession>,
        /// When the person was sent to sign in, UTC: not what the ID token says, for an identity provider may issue one for a
        /// code of a session that it has ended meanwhile.
        begun_at: Timestamp,
    },
    /// Remembers that an identity provider has ended sessions, for the logins that are under way. The later one of the same
    /// names counts.
    InsertLogout {
        /// Which sessions.
        names: LogoutNames,
        /// Those whose login was begun at or before this, UTC.
        until: Timestamp,
        /// When it is forgotten, UTC.
        expires_at: Timestamp,
    },
    /// Replaces a web session that still has `expected_version`.
    UpdateSession {
        /// The row.
        row: Tagged<WebSession>,
        /// The version it was read at.
        expected_version: i64,
    },
    /// Uses a one-time assertion up (ID12). Applies unless it was used before.
    UseAssertion(AssertionUse),
    /// Gives a tenant a further key. Applies unless one of that id exists.
    InsertTenantKey(WrappedKey),
    /// Ends the stream of a writer that died; applies if it is open and its head is still `head`.
    EndStream {
        /// Its head.
        head: Head,
        /// The head's MAC as an ended stream.
        mac: Vec<u8>,
    },
    /// Appends a rule. The commit gives it its epoch; such groups run under the exclusive lock.
    AddRule {
        /// What it does.
        kind: RuleKind,
        /// What it names.
        target: Target,
    },
}

impl Write {
    /// Whether it reduces authority, and so needs the exclusive lock. A logout does: a login that commits at the same time
    /// either sees it or is there to be ended.
    pub fn is_rule(&self) -> bool {
        matches!(self, Self::AddRule { .. } | Self::InsertLogout { .. })
    }
}

/// A refresh lease to be taken. The store counts its time on the clock that all replicas share.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TakeLease {
    /// The connection.
    pub connection: ConnectionId,
    /// Who takes it.
    pub owner: String,
    /// The fencing epoch read before; the lease has this plus one.
    pub expected_epoch: i64,
    /// How long it holds from the commit on.
    pub holds: Duration,
    /// The generation of the refresh token that is about to be sent: should the holder die, it is known that it may have been.
    pub sends: i64,
}

/// A refresh lease to be given back, and with it the mark that a refresh token may be on its way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SettleLease {
    /// The connection.
    pub connection: ConnectionId,
    /// Who took it.
    pub owner: String,
    /// The fencing epoch of the lease.
    pub epoch: i64,
    /// Not to be refreshed again for so long; `None` = at once.
    pub rest: Option<Duration>,
    /// The failure's reason code, `""` = it went well.
    pub last_error: String,
    /// Applies only while the refresh token of this generation is the stored one; `None` = whichever is.
    pub while_stored: Option<i64>,
}

/// What is remembered of an assertion that is good for one use, once it was used (ID12).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AssertionUse {
    /// SHA-256 over (issuer, `jti`): where it is looked up.
    pub key: [u8; 32],
    /// When it is forgotten, UTC: some time after the assertion is refused for its age.
    pub expires_at: Timestamp,
}

/// A caller's request id, taken at most once (GR5).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RequestClaim {
    /// SHA-256 over (tenant, workload, subject, request id): where it is looked up.
    pub key: [u8; 32],
    /// MAC over every field of the request, with the subject in place of the assertion, and over what answers it.
    pub fingerprint: [u8; 32],
    /// The grant that answers it.
    pub grant: super::EventId,
    /// The connection whose token answers it.
    pub connection: ConnectionId,
    /// The token's scope key.
    pub scope_key: String,
    /// The token's generation.
    pub generation: i64,
    /// When the grant ends, UTC.
    pub grant_expires_at: Timestamp,
    /// When the claim is forgotten, UTC.
    pub expires_at: Timestamp,
}

/// One event to be, the names it relies on, and at most one effect.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What is written.
    pub draft: EventDraft,
    /// What it relies on. A rule newer than `epoch` that names one of them turns the entry into a denial.
    pub names: Names,
    /// The revocation epoch those names were read at.
    pub epoch: i64,
    /// The request id it takes.
    pub claim: Option<RequestClaim>,
    /// What it changes: all or none.
    pub effect: Vec<Write>,
    /// Its outside half already happened (tokens are here): rules do not hit it and load never sheds it.
    pub settlement: bool,
}

impl Entry {
    /// An entry that relies on nothing and changes nothing.
    pub fn note(draft: EventDraft) -> Self {
        Self { draft, names: Names::default(), epoch: 0, claim: None, effect: Vec::new(), settlement: false }
    }

    /// Whether its write with this index, where it does not apply, means that an assertion was used before.
    pub fn replays(&self, write: usize) -> bool {
        matches!(self.effect.get(write), Some(Write::UseAssertion(_)))
    }
}

/// Entries that are written together or not at all.
#[derive(Clone, Debug)]
pub struct Group {
    /// In order.
    pub entries: Vec<Entry>,
}

/// What became of an entry in its commit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Applied {
    /// As asked.
    Yes,
    /// A newer rule hit it: a recorded denial, nothing changed.
    Hit(Rule),
    /// Its request id was taken: nothing changed.
    Duplicate(Box<RequestClaim>),
    /// The write with this index did not apply: nothing changed.
    NotApplied(usize),
    /// Another entry of its group was not applied: nothing changed.
    GroupFailed,
}

/// A stream's head as its writer knows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Head {
    /// The stream.
    pub stream: StreamId,
    /// The last event's number; 0 = none yet.
    pub seq: i64,
    /// The last event's hash; zeros = none yet.
    pub hash: [u8; 32],
}
