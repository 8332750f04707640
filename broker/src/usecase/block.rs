//! Block stops someone or something until lifted; immediate on every replica (RV3, ID11).

use super::{Actor, Rooms};
use crate::domain::{Entry, EventKind, Outcome, Reason, Refusal, RuleKind, Target, Write};

/// Sets or lifts a block; answers with the revocation epoch at which it holds.
///
/// # Errors
/// [`Reason::NotFound`] for another tenant's, and when what is not blocked is to be unblocked; [`Reason::RoleMissing`]; the audit log's: an acknowledged block is committed (RV4).
pub async fn block(
    rooms: &Rooms,
    actor: &Actor,
    kind: RuleKind,
    target: Target,
    why: &str,
) -> Result<i64, Refusal> {
    match &target {
        Target::Subject(subject) => actor.reaches(rooms, &subject.tenant)?,
        Target::Tenant(tenant) => actor.reaches(rooms, tenant)?,
        _ => actor.reaches_everything(rooms)?,
    }
    if kind == RuleKind::Lift && !rooms.audit.rules().blocks(&target) {
        return Err(Refusal::because(Reason::NotFound, "This is not blocked."));
    }
    let event = if kind == RuleKind::Lift { EventKind::BlockLifted } else { EventKind::BlockSet };
    let mut draft = actor.draft(rooms, event, Outcome::Allowed);
    draft.detail.insert("target_kind", target.kind().into());
    match &target {
        // A person appears as a pseudonym, and the event is found under their tenant.
        Target::Subject(subject) => {
            draft.detail.insert("target_tenant", subject.tenant.as_str().into());
            let pseudonym = rooms.keys.pseudonym(subject).await?;
            draft.detail.insert("target", pseudonym.into());
        }
        other => {
            draft.detail.insert("target", other.name().into());
        }
    }
    draft.purpose = why.into();
    let effect = vec![Write::AddRule { kind, target }];
    rooms.audit.note(Entry { effect, ..Entry::note(draft) }, actor.call().deadline).await?;
    // The writer applied the rule before it answered.
    Ok(rooms.audit.rules().epoch())
}
