//! Everything one grant needs, at hand before anything is recorded: connection, approval, token, permit.

use super::ask::{Ask, Failed};
use crate::{
    connection::{Access, Need, Resolved, Usable, Wanting},
    domain::{
        Approval, Connection, ConsentReason, Entry, EventDraft, EventId, Input, Outcome, Refusal,
        RequestClaim, ScopeSet, SecretRow, Timestamp, Write,
    },
    policy::{Denial, Issue, Permit, Verdict},
    trace::{self, step},
};
use std::time::Duration;

/// How long a request id is remembered (GR5).
const CLAIM_LIFE: Duration = Duration::from_secs(600);

/// A permit that waits to be recorded, and what is recorded with it.
pub(super) struct Ready {
    /// The grant's id: that of the event that first recorded it.
    pub(super) grant: EventId,
    pub(super) permit: Permit<Issue>,
    pub(super) entry: Entry,
    pub(super) connection: Connection,
    pub(super) secret: SecretRow,
}

/// What gathering found.
pub(super) enum Gathered {
    /// It can be recorded and answered.
    Ready(Box<Ready>),
    /// The user has to act first.
    Need(Box<Need>),
}

impl From<Need> for Gathered {
    fn from(need: Need) -> Self {
        Self::Need(Box::new(need))
    }
}

/// The truth about the token handed out: all it can do, until when, and what of it only rules let this workload hold.
pub(super) fn note_token(draft: &mut EventDraft, permit: &Permit<Issue>, secret: &SecretRow) {
    draft.detail.insert("token_scopes", secret.scopes.canonical().into());
    draft.detail.insert("token_expires_at", secret.expires_at.map(|t| t.rfc3339()).into());
    let held = permit.facts().policy.as_ref().and_then(|trace| trace.inputs.get("held_wider"));
    if let Some(Input::Other(held)) = held {
        draft.detail.insert("held_wider", held.clone());
    }
}

impl Ask<'_> {
    /// What answers: what answered `claim`, or everything anew.
    pub(super) async fn gather_for(
        &self,
        verdict: Verdict,
        claim: Option<RequestClaim>,
        about: &mut EventDraft,
    ) -> Result<Gathered, Failed> {
        match claim {
            Some(claim) => Box::pin(self.gather_again(verdict, claim, about)).await,
            None => self.gather(verdict, about).await,
        }
    }

    /// Finds the connection and a fresh token, refreshing it if it must be, and makes the permit.
    async fn gather(&self, verdict: Verdict, about: &mut EventDraft) -> Result<Gathered, Failed> {
        let usable = match self.resolve(&verdict).await? {
            Resolved::Usable(usable) => *usable,
            Resolved::Need(need) => return Ok(Gathered::Need(need)),
        };
        about.connection = Some(usable.connection.id.clone());
        about.approval = Some(usable.approval.id.clone());
        let secret = match self.access(&usable, &verdict).await? {
            Access::Ready(secret) => *secret,
            Access::Need(reason, scopes, quarantined) => {
                if reason == ConsentReason::WiderThanApproved {
                    // Only what the owner can mend is asked of them.
                    match self.may_hold(&verdict, &usable.approval, &scopes) {
                        Err(denial) if denial.consent.is_none() => return Err(Failed::denied(denial, about)),
                        _ => {}
                    }
                }
                let scopes = if scopes.is_empty() { verdict.allowed().clone() } else { scopes };
                let mut need = Need::of(reason, &scopes).about(usable.connection);
                need.quarantined = quarantined.is_some();
                return Ok(need.into());
            }
        };
        self.permit(usable, verdict, secret, about)
    }

    fn may_hold(&self, verdict: &Verdict, approval: &Approval, token: &ScopeSet) -> Result<(), Denial> {
        verdict.may_hold(&approval.scopes, token, &self.beyond(verdict, approval, token)).map(drop)
    }

    async fn access(&self, usable: &Usable, verdict: &Verdict) -> Result<Access, Refusal> {
        let may_hold = |token: &ScopeSet| self.may_hold(verdict, &usable.approval, token).is_ok();
        let wanting = Wanting {
            may_hold: &may_hold,
            connection: &usable.connection,
            approval: &usable.approval,
            scopes: verdict.allowed(),
            verdict,
            spec: self.spec,
            names: &self.names_of(usable),
            epoch: self.epoch,
            deadline: self.caller.call.deadline,
        };
        trace::within(step!("find access token"), self.rooms.tokens.access(&wanting)).await
    }

    /// The permit and its entry; a denial that the user can mend is a need.
    fn permit(
        &self,
        usable: Usable,
        verdict: Verdict,
        secret: SecretRow,
        about: &mut EventDraft,
    ) -> Result<Gathered, Failed> {
        let subject = self.assertion.subject();
        let asked = verdict.allowed().clone();
        let beyond = self.beyond(&verdict, &usable.approval, &secret.scopes);
        let Usable { connection, approval, .. } = &usable;
        let permit = match verdict.issue(subject, connection, approval, &secret, &beyond, self.limits()) {
            Ok(permit) => permit,
            Err(denial) => {
                let Some(reason) = denial.consent else { return Err(Failed::denied(denial, about)) };
                let wider = reason == ConsentReason::WiderThanApproved;
                let scopes = if wider { &secret.scopes } else { &asked };
                return Ok(Need::of(reason, scopes).about(usable.connection).into());
            }
        };
        let expires_at = permit.facts().expires_at;
        let mut draft = about.clone();
        draft.outcome = Outcome::Allowed;
        draft.personal.account_label = Some(usable.connection.account.label.clone());
        draft.ttl_seconds = expires_at.map(|end| end.unix_seconds() - self.rooms.clock.now().unix_seconds());
        note_token(&mut draft, &permit, &secret);
        let grant = draft.id.clone();
        let claim = self.claim(&grant, &usable.connection, &secret, expires_at);
        let names = self.names_of(&usable);
        let effect = self.use_assertion();
        let entry = Entry { names, epoch: self.epoch, claim, effect, ..Entry::note(draft) };
        let connection = usable.connection;
        Ok(Gathered::Ready(Box::new(Ready { grant, permit, entry, connection, secret })))
    }

    /// Uses a one-time assertion up in the commit of what it is answered with (ID12). A batch is one use: its entries share their fate, and
    /// the first item's says it.
    fn use_assertion(&self) -> Vec<Write> {
        let says_it = self.request.place.is_none_or(|place| place.item == 0);
        self.assertion.one_time().filter(|_| says_it).cloned().map(Write::UseAssertion).into_iter().collect()
    }

    /// The request id it takes, if it has one.
    fn claim(
        &self,
        grant: &EventId,
        connection: &Connection,
        secret: &SecretRow,
        ends: Option<Timestamp>,
    ) -> Option<RequestClaim> {
        let key = self.request.claim_key(self.caller.id(), self.assertion.subject())?;
        let now = self.rooms.clock.now();
        let claim = RequestClaim {
            key,
            fingerprint: [0; 32],
            grant: grant.clone(),
            connection: connection.id.clone(),
            scope_key: secret.scope_key(),
            generation: secret.generation,
            grant_expires_at: ends.unwrap_or(now),
            expires_at: now.plus(CLAIM_LIFE),
        };
        Some(RequestClaim { fingerprint: self.fingerprint(&claim), ..claim })
    }
}
