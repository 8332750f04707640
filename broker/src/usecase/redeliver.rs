//! A repeated request is answered with the same token under the same grant id, and recorded as such (GR5).

use super::issue_grant::{Ask, Failed, GrantOutcome};
use crate::{
    connection::Resolved,
    domain::{Entry, EventDraft, EventKind, Outcome, Reason, Refusal, RequestClaim, SecretKind},
    policy::Verdict,
};

pub(super) async fn redeliver(
    ask: &Ask<'_>,
    verdict: Verdict,
    claim: RequestClaim,
    about: &mut EventDraft,
) -> Result<GrantOutcome, Failed> {
    about.grant = Some(claim.grant.clone());
    let rooms = ask.rooms;
    let stale = || Refusal::new(Reason::RequestIdStale);
    let Resolved::Usable(usable) = ask.resolve(&verdict).await? else { return Err(stale().into()) };
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
    let mut limits = ask.limits();
    limits.assertion_expires_at = limits.assertion_expires_at.min(claim.grant_expires_at);
    // The rules, the approval and the token are judged as they are now, as for a first answer (GR1).
    let beyond = ask.beyond(&verdict, &usable.approval, &secret.scopes);
    let subject = ask.assertion.subject();
    let permit = verdict.issue(subject, &usable.connection, &usable.approval, &secret, &beyond, limits);
    let permit = permit.map_err(|denial| super::issue_grant::refused(denial, about))?;
    let mut draft = about.clone();
    super::issue_grant::note_token(&mut draft, &permit, &secret);
    draft.kind = EventKind::GrantRedelivered;
    draft.outcome = Outcome::Allowed;
    draft.connection = Some(usable.connection.id.clone());
    draft.approval = Some(usable.approval.id.clone());
    let names = ask.names_of(&usable);
    let entry = Entry { names, epoch: ask.epoch, ..Entry::note(draft) };
    let proof = rooms.audit.record(permit, entry, ask.caller.call.deadline).await;
    let proof = proof.map_err(|refused| Failed::Recorded(refused.into()))?;
    ask.open(claim.grant, proof, &usable.connection, &secret).await
}
