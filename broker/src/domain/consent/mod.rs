//! One attempt of a user to create or widen a connection or an approval. Single use, expires (CO1–CO12).

mod leftover;
mod reason;
mod state;

pub use leftover::Leftover;
pub use reason::ConsentReason;
pub use state::{ConsentState, Obtained};

use super::{
    Authority, Canonical, ConnectionId, ConsentId, Kind, Owner, PkceVerifier, ProviderId, Reason, RecordKey,
    ScopeSet, Sealed, Subject, Timestamp, WorkloadId, sha256,
};

/// A transition that the state does not allow.
#[derive(Debug, Clone, Copy, thiserror::Error, PartialEq, Eq)]
#[error("a consent that is {from} cannot become {to}")]
pub struct InvalidTransition {
    /// The state it is in.
    pub from: &'static str,
    /// The state that was asked for.
    pub to: &'static str,
}

/// One attempt.
#[derive(Clone, Debug)]
pub struct Consent {
    /// Its id; the link's handle is derived from it.
    pub id: ConsentId,
    /// For whom, and for nobody else (promise 4).
    pub subject: Subject,
    /// Who asked.
    pub workload: WorkloadId,
    /// Where.
    pub provider: ProviderId,
    /// The existing connection it widens or approves, if any.
    pub connection: Option<ConnectionId>,
    /// Why.
    pub reason: ConsentReason,
    /// What the workload asked for: the approval that will come of it.
    pub scopes: ScopeSet,
    /// What the provider is asked for: at least `scopes`, and what the connection holds already (CO9).
    pub provider_scopes: ScopeSet,
    /// The tool, in the server's words.
    pub tool: String,
    /// The purpose, in the server's words.
    pub purpose: String,
    /// When it was made, UTC.
    pub created_at: Timestamp,
    /// When it expires, UTC.
    pub expires_at: Timestamp,
    /// Guards updates: every transition adds one.
    pub version: i64,
    /// The revocation epoch it was born at.
    pub born_epoch: i64,
    /// How often somebody else opened the link (CO2).
    pub mismatches: i64,
    /// Where it stands.
    pub state: ConsentState,
    /// Tokens to be revoked at the provider; only a consent that is over has any: its own, or, completed, those that it replaced.
    pub leftover: Leftover,
}

impl Consent {
    /// Names its sealed values. Each attempt has each column once, so the generation is always 1.
    pub fn record_key(&self) -> RecordKey {
        RecordKey {
            table: Self::TABLE,
            row: self.id.to_string(),
            owner: Owner::Subject(self.subject.clone()),
            provider: self.provider.clone(),
            generation: 1,
        }
    }

    /// What a yes is a yes to, as a digest: the page carries it, and an approval counts only while it is still true.
    pub fn terms(&self) -> String {
        let mut terms = Canonical::new("broker.v1 consent terms");
        self.subject.encode(&mut terms);
        terms
            .text(self.id.as_str())
            .text(self.workload.as_str())
            .text(self.provider.as_str())
            .text(self.connection.as_ref().map_or("", ConnectionId::as_str))
            .text(self.reason.as_str())
            .text(&self.scopes.canonical())
            .text(&self.provider_scopes.canonical())
            .text(&self.tool)
            .text(&self.purpose);
        data_encoding::HEXLOWER.encode(&sha256(terms.finish()))
    }

    /// Whether its time is over at `now`.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        !self.state.is_terminal() && now >= self.expires_at
    }

    fn become_state(mut self, state: ConsentState) -> Self {
        self.version += 1;
        if state.is_terminal() && !matches!(state, ConsentState::Completed { .. }) {
            self.leftover = Leftover::of(&self.state);
        }
        self.state = state;
        self
    }

    fn refuse<T>(&self, to: &'static str) -> Result<T, InvalidTransition> {
        Err(InvalidTransition { from: self.state.as_str(), to })
    }

    /// The user said yes; the browser leaves for the provider. Allowed again while approved: a restart (CO3).
    ///
    /// # Errors
    /// [`InvalidTransition`].
    pub fn approve(
        self,
        state_hash: [u8; 32],
        browser_hash: [u8; 32],
        verifier: Sealed<PkceVerifier>,
    ) -> Result<Self, InvalidTransition> {
        match self.state {
            ConsentState::Pending | ConsentState::Approved { .. } => {
                Ok(self.become_state(ConsentState::Approved { state_hash, browser_hash, verifier }))
            }
            _ => self.refuse("approved"),
        }
    }

    /// The callback arrived: `state` is consumed, once. A process that dies from here on leaves it like this, so it ends at
    /// `until` if nobody moves it on: its person is not kept waiting, and the same need gets a new link.
    ///
    /// # Errors
    /// [`InvalidTransition`].
    pub fn exchange(mut self, until: Timestamp) -> Result<(Self, Sealed<PkceVerifier>), InvalidTransition> {
        match self.state.clone() {
            ConsentState::Approved { state_hash, browser_hash, verifier } => {
                self.expires_at = until;
                Ok((self.become_state(ConsentState::Exchanging { state_hash, browser_hash }), verifier))
            }
            _ => self.refuse("exchanging"),
        }
    }

    /// The provider answered. The person has until `until` to confirm, or until the exchange would have ended, if that is later.
    ///
    /// # Errors
    /// [`InvalidTransition`].
    pub fn obtained(mut self, obtained: Obtained, until: Timestamp) -> Result<Self, InvalidTransition> {
        match self.state.clone() {
            ConsentState::Exchanging { state_hash, browser_hash } => {
                let obtained = Box::new(obtained);
                self.expires_at = self.expires_at.max(until);
                Ok(self.become_state(ConsentState::AwaitingConfirmation {
                    state_hash,
                    browser_hash,
                    obtained,
                }))
            }
            _ => self.refuse("awaiting_confirmation"),
        }
    }

    /// The person confirmed the account. `replaced` = the tokens of the connection that were good until now, to be revoked.
    ///
    /// # Errors
    /// [`InvalidTransition`].
    pub fn confirm(self, connection: ConnectionId, replaced: Leftover) -> Result<Self, InvalidTransition> {
        match self.state.clone() {
            ConsentState::AwaitingConfirmation { state_hash, .. } => {
                let state = ConsentState::Completed { connection, state_hash: Some(state_hash) };
                Ok(Self { leftover: replaced, ..self.become_state(state) })
            }
            _ => self.refuse("completed"),
        }
    }

    /// The user's yes was all that was missing: no provider visit.
    ///
    /// # Errors
    /// [`InvalidTransition`], also when the reason needs the provider.
    pub fn complete_without_provider(self, connection: ConnectionId) -> Result<Self, InvalidTransition> {
        match self.state {
            ConsentState::Pending if !self.reason.needs_provider() => {
                Ok(self.become_state(ConsentState::Completed { connection, state_hash: None }))
            }
            _ => self.refuse("completed"),
        }
    }

    /// The user said no.
    ///
    /// # Errors
    /// [`InvalidTransition`] when it is over already.
    pub fn decline(self) -> Result<Self, InvalidTransition> {
        if self.state.is_terminal() {
            self.refuse("declined")
        } else {
            let state_hash = self.state.state_hash().copied();
            Ok(self.become_state(ConsentState::Declined { state_hash }))
        }
    }

    /// Time is up.
    ///
    /// # Errors
    /// [`InvalidTransition`] when it is over already.
    pub fn expire(self) -> Result<Self, InvalidTransition> {
        if self.state.is_terminal() {
            self.refuse("expired")
        } else {
            let state_hash = self.state.state_hash().copied();
            Ok(self.become_state(ConsentState::Expired { state_hash }))
        }
    }

    /// It cannot be finished.
    ///
    /// # Errors
    /// [`InvalidTransition`] when it is over already.
    pub fn fail(self, reason: Reason) -> Result<Self, InvalidTransition> {
        if self.state.is_terminal() {
            return self.refuse("failed");
        }
        let state_hash = self.state.state_hash().copied();
        Ok(self.become_state(ConsentState::Failed { reason, state_hash }))
    }

    /// It is over, and tokens came for it all the same: they are kept to be revoked. The state stays.
    ///
    /// # Errors
    /// [`InvalidTransition`] while it is open, when it is completed, and when it has others to be revoked.
    pub fn leave(mut self, leftover: Leftover) -> Result<Self, InvalidTransition> {
        let completed = matches!(self.state, ConsentState::Completed { .. });
        if !self.state.is_terminal() || completed || !self.leftover.is_empty() {
            return self.refuse("left over");
        }
        self.version += 1;
        self.leftover = leftover;
        Ok(self)
    }

    /// The provider has been told of what was left over, or that was given up: nothing sealed is kept. The state stays.
    #[must_use]
    pub fn forget(mut self) -> Self {
        self.version += 1;
        self.leftover = Leftover::default();
        self
    }

    /// What is sealed in it: the PKCE verifier, a refresh token, an access token; whether it waits or is left over.
    pub fn envelopes(&self) -> [Option<&[u8]>; 3] {
        let [refresh, access] = self.leftover.envelopes();
        match &self.state {
            ConsentState::Approved { verifier, .. } => [Some(verifier.envelope()), refresh, access],
            ConsentState::AwaitingConfirmation { obtained, .. } => {
                [None, obtained.refresh.as_ref().map(Sealed::envelope), Some(obtained.access.envelope())]
            }
            _ => [None, refresh, access],
        }
    }

    /// The same with what `rewrap` makes of each sealed value, which is to be the same value wrapped by another key: nothing that is
    /// true of it changes, so its version stays.
    ///
    /// # Errors
    /// Those of `rewrap`.
    pub fn rewrapped<E>(mut self, rewrap: impl Fn(&[u8]) -> Result<Vec<u8>, E>) -> Result<Self, E> {
        match &mut self.state {
            ConsentState::Approved { verifier, .. } => *verifier = anew(verifier, &rewrap)?,
            ConsentState::AwaitingConfirmation { obtained, .. } => {
                obtained.access = anew(&obtained.access, &rewrap)?;
                obtained.refresh =
                    obtained.refresh.as_ref().map(|sealed| anew(sealed, &rewrap)).transpose()?;
            }
            _ => {}
        }
        let Leftover { refresh, access } = &self.leftover;
        self.leftover = Leftover {
            refresh: refresh.as_ref().map(|sealed| anew(sealed, &rewrap)).transpose()?,
            access: access.as_ref().map(|sealed| anew(sealed, &rewrap)).transpose()?,
        };
        Ok(self)
    }

    /// Somebody else opened the link. The state stays.
    #[must_use]
    pub fn count_mismatch(mut self) -> Self {
        self.version += 1;
        self.mismatches += 1;
        self
    }
}

fn anew<K: Kind, E>(
    sealed: &Sealed<K>,
    rewrap: impl Fn(&[u8]) -> Result<Vec<u8>, E>,
) -> Result<Sealed<K>, E> {
    rewrap(sealed.envelope()).map(Sealed::from_envelope)
}

impl Authority for Consent {
    const TABLE: &'static str = "consents";

    fn covered(&self, to: &mut Canonical) {
        to.text(self.id.as_str());
        self.subject.encode(to);
        to.text(self.workload.as_str())
            .text(self.provider.as_str())
            .text(self.connection.as_ref().map_or("", ConnectionId::as_str))
            .text(self.reason.as_str())
            .text(&self.scopes.canonical())
            .text(&self.provider_scopes.canonical())
            .text(&self.tool)
            .text(&self.purpose)
            .number(self.created_at.micros())
            .number(self.expires_at.micros())
            .number(self.version)
            .number(self.born_epoch)
            .number(self.mismatches)
            .text(self.state.as_str())
            .optional(self.state.state_hash().map(|h| &h[..]))
            .optional(self.state.browser_hash().map(|h| &h[..]));
        match &self.state {
            ConsentState::Approved { verifier, .. } => {
                to.bytes(verifier.envelope());
            }
            ConsentState::AwaitingConfirmation { obtained, .. } => {
                to.text(&obtained.account.id)
                    .text(&obtained.account.label)
                    .text(&obtained.scopes.canonical())
                    .optional(obtained.refresh.as_ref().map(Sealed::envelope))
                    .bytes(obtained.access.envelope())
                    .number(obtained.access_expires_at.map_or(-1, Timestamp::micros));
            }
            ConsentState::Completed { connection, .. } => {
                to.text(connection.as_str());
            }
            ConsentState::Failed { reason, .. } => {
                to.text(reason.as_str());
            }
            _ => {}
        }
        if !self.leftover.is_empty() {
            let [refresh, access] = self.leftover.envelopes();
            to.optional(refresh).optional(access);
        }
    }
}
