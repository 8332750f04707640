//! What is to be written about one decision or change, before the audit room numbers, seals and chains it.

use super::{
    ApprovalId, ConnectionId, ConsentId, EventId, PolicyTrace, ProviderId, Reason, ScopeSet, StreamId,
    Subject, TenantId, Timestamp, WorkloadId,
};
use std::{collections::BTreeMap, sync::Arc};

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)+) => {
        /// What happened. The text is stored, and final.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum EventKind {
            $($(#[$doc])* $name,)+
        }

        impl EventKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// As stored.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }
        }
    };
}

kinds! {
    /// A grant was decided.
    GrantIssue = "grant.issue",
    /// A grant's answer was given again to the same request (GR5).
    GrantRedelivered = "grant.redelivered",
    /// An issued grant could not be answered after its row was committed (AU1).
    GrantFailed = "grant.failed",
    /// A consent was asked for.
    ConsentRequested = "consent.requested",
    /// The user approved.
    ConsentApproved = "consent.approved",
    /// The user declined.
    ConsentDeclined = "consent.declined",
    /// Somebody else opened the link.
    ConsentUserMismatch = "consent.user_mismatch",
    /// The intent to exchange a code, before the call.
    ConsentExchange = "consent.exchange",
    /// The provider answered; tokens wait for confirmation.
    ConsentObtained = "consent.obtained",
    /// The connection or approval exists.
    ConsentCompleted = "consent.completed",
    /// Nobody finished in time.
    ConsentExpired = "consent.expired",
    /// It could not be finished.
    ConsentFailed = "consent.failed",
    /// The intent to refresh, before the call.
    RefreshIntent = "refresh.intent",
    /// Refreshed tokens were stored.
    RefreshStored = "refresh.stored",
    /// A refresh failed.
    RefreshFailed = "refresh.failed",
    /// A connection needs its owner.
    ConnectionLatched = "connection.reauth_required",
    /// A connection was ended.
    ConnectionRevoked = "connection.revoked",
    /// The intent to revoke at the provider, before the call.
    ProviderRevokeIntent = "provider_revocation.intent",
    /// What the provider said to it.
    ProviderRevoked = "provider_revocation.result",
    /// An approval was withdrawn.
    ApprovalWithdrawn = "approval.withdrawn",
    /// A block was set.
    BlockSet = "block.set",
    /// A block was lifted.
    BlockLifted = "block.lifted",
    /// Somebody signed in on the pages.
    SessionStarted = "session.started",
    /// Somebody signed out, or was.
    SessionEnded = "session.ended",
    /// An identity provider said that sessions with it are over.
    LogoutReceived = "logout.received",
    /// A call was refused after its caller was known.
    CallDenied = "call.denied",
    /// Refusals before authentication, summed up.
    RefusalsSummary = "refusals.summary",
    /// An administrator looked at connections.
    ConnectionsRead = "connections.read",
    /// Somebody read the audit log.
    AuditQueried = "audit.queried",
    /// A writer began a stream.
    StreamOpened = "stream.opened",
    /// A writer ended its stream.
    StreamClosed = "stream.closed",
    /// A dead writer's stream was ended by its successor.
    StreamRecovered = "stream.recovered",
    /// A policy set was loaded.
    PolicyLoaded = "policy.loaded",
    /// A key was made.
    KeyCreated = "key.created",
    /// Stored values were wrapped by a tenant's newest key.
    KeyRewrapped = "key.rewrapped",
}

/// How it ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Outcome {
    /// Allowed, or done.
    Allowed,
    /// Refused.
    Denied,
    /// The user has to act first.
    ConsentRequired,
    /// It did not work.
    Failed,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 4] = [Self::Allowed, Self::Denied, Self::ConsentRequired, Self::Failed];

    /// As stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::ConsentRequired => "consent_required",
            Self::Failed => "failed",
        }
    }

    /// Reads what [`Self::as_str`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|o| o.as_str() == text)
    }
}

/// Personal fields: sealed under the subject's own key before they are written (AU14).
#[derive(Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Personal {
    /// The person's name, as the IdP gave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject_label: Option<String>,
    /// The provider account's label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_label: Option<String>,
    /// The provider account's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    /// The network address the call came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_address: Option<String>,
}

impl std::fmt::Debug for Personal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Personal(…)")
    }
}

/// One event to be. Filled by use cases; the audit room adds stream, sequence, time, pseudonym and seal.
#[derive(Clone, Debug)]
pub struct EventDraft {
    /// Its id, fixed beforehand: a grant's id is that of its event.
    pub id: EventId,
    /// What happened.
    pub kind: EventKind,
    /// How it ended.
    pub outcome: Outcome,
    /// Why, if it did not end well.
    pub reason: Option<Reason>,
    /// The tenant; `None` for the broker's own events.
    pub tenant: Option<TenantId>,
    /// The person it is about.
    pub subject: Option<Subject>,
    /// Sealed with the subject's key; without a subject these must be empty.
    pub personal: Personal,
    /// The workload that called.
    pub workload: Option<WorkloadId>,
    /// The agent's own client id (`azp`), verified with the assertion (ID17).
    pub client_id: Option<Arc<str>>,
    /// The provider.
    pub provider: Option<ProviderId>,
    /// The connection.
    pub connection: Option<ConnectionId>,
    /// The approval.
    pub approval: Option<ApprovalId>,
    /// The consent.
    pub consent: Option<ConsentId>,
    /// Scopes asked for.
    pub scopes_asked: ScopeSet,
    /// Scopes granted.
    pub scopes_granted: ScopeSet,
    /// The grant's life in seconds.
    pub ttl_seconds: Option<i64>,
    /// When the grant ends, UTC.
    pub expires_at: Option<Timestamp>,
    /// SHA-256 of the assertion, lower-case hex.
    pub assertion_sha256: Option<Arc<str>>,
    /// The tool, in the server's words.
    pub tool: Arc<str>,
    /// The purpose, in the server's words.
    pub purpose: Arc<str>,
    /// What policy saw and decided.
    pub policy: Option<Arc<PolicyTrace>>,
    /// The grant an event is about, where that is another event.
    pub grant: Option<EventId>,
    /// W3C trace id.
    pub trace_id: Option<String>,
    /// Further facts by fixed names; no personal data and no secret.
    pub detail: BTreeMap<&'static str, serde_json::Value>,
}

impl EventDraft {
    /// An event with nothing but its kind and outcome.
    pub fn new(id: EventId, kind: EventKind, outcome: Outcome) -> Self {
        Self {
            id,
            kind,
            outcome,
            reason: None,
            tenant: None,
            subject: None,
            personal: Personal::default(),
            workload: None,
            client_id: None,
            provider: None,
            connection: None,
            approval: None,
            consent: None,
            scopes_asked: ScopeSet::default(),
            scopes_granted: ScopeSet::default(),
            ttl_seconds: None,
            expires_at: None,
            assertion_sha256: None,
            tool: Arc::default(),
            purpose: Arc::default(),
            policy: None,
            grant: None,
            trace_id: None,
            detail: BTreeMap::new(),
        }
    }

    /// The same about `subject`, in their tenant.
    #[must_use]
    pub fn about(mut self, subject: &Subject) -> Self {
        self.tenant = Some(subject.tenant.clone());
        self.subject = Some(subject.clone());
        self
    }
}

/// Where an event stands in the log.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct EventRef {
    /// The stream.
    pub stream: StreamId,
    /// Its number in the stream, from 1.
    pub seq: i64,
}
