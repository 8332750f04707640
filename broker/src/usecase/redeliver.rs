//! A repeated request is answered with the same token under the same grant id, and recorded as such (GR5).

use super::{
    ask::{Ask, Failed},
    gather::{Gathered, Ready, note_token},
};
use crate::{
    connection::Resolved,
    domain::{Entry, EventDraft, EventKind, Outcome, Reason, Refusal, RequestClaim, SecretKind},
    policy::Verdict,
};

impl Ask<'_> {
    /// What answered `claim`, judged as it is now.
    pub(super) async fn gather_again(
        &self,
        verdict: Verdict,
        claim: RequestClaim,
        about: &mut EventDraft,
    ) -> Result<Gathered, Failed> {
        about.grant = Some(claim.grant.clone());
        let rooms = self.rooms;
        let stale = || Refusal::new(Reason::RequestIdStale);
        let Resolved::Usable(usable) = self.resolve(&verdict).await? else { return Err(stale().into()) };
        if usable.connection.id != claim.connection {
            return Err(stale().into());
        }
        let stored =
            rooms.store.connections.secret(&claim.connection, SecretKind::Access, &claim.scope_key).await?;
        let secret = stored.ok_or_else(stale)?.check(&rooms.row_key())?;
        if secret.generation != claim.generation || claim.grant_expires_at <= rooms.clock.now() {
            return Err(stale().into());
        }
        // Never longer than the first answer said.
        let mut limits = self.limits();
        limits.assertion_expires_at = limits.assertion_expires_at.min(claim.grant_expires_at);
        // The rules, the approval and the token are judged as they are now, as for a first answer (GR1).
        let beyond = self.beyond(&verdict, &usable.approval, &secret.scopes);
        let subject = self.assertion.subject();
        let permit = verdict.issue(subject, &usable.connection, &usable.approval, &secret, &beyond, limits);
        let permit = permit.map_err(|denial| Failed::denied(denial, about))?;
        let mut draft = about.clone();
        note_token(&mut draft, &permit, &secret);
        draft.kind = EventKind::GrantRedelivered;
        draft.outcome = Outcome::Allowed;
        draft.connection = Some(usable.connection.id.clone());
        draft.approval = Some(usable.approval.id.clone());
        let entry = Entry { names: self.names_of(&usable), epoch: self.epoch, ..Entry::note(draft) };
        let (grant, connection) = (claim.grant, usable.connection);
        Ok(Gathered::Ready(Box::new(Ready { grant, permit, entry, connection, secret })))
    }
}
