//! A workload gives back its own approval (GR12), or the owner takes it.

use super::{Call, Rooms};
use crate::domain::{
    Approval, Connection, Entry, EventDraft, EventKind, Outcome, Reason, Refusal, RuleKind, Target,
    WorkloadId, Write,
};

/// Withdraws the approval of `workload` on `connection`. `draft` says who did it.
///
/// # Errors
/// [`Reason::NotFound`] when there is no standing approval; the store's.
pub async fn withdraw_approval(
    rooms: &Rooms,
    call: &Call,
    connection: &Connection,
    workload: &WorkloadId,
    mut draft: EventDraft,
) -> Result<(), Refusal> {
    let key = rooms.row_key();
    let rules = rooms.audit.rules();
    let standing = crate::connection::own_approval(&rooms.store, &key, &rules, connection, workload).await?;
    let approval = standing.ok_or_else(|| Refusal::new(Reason::NotFound))?;
    draft.kind = EventKind::ApprovalWithdrawn;
    draft.outcome = Outcome::Allowed;
    draft.connection = Some(connection.id.clone());
    draft.provider = Some(connection.provider.clone());
    draft.approval = Some(approval.id.clone());
    let target = Target::Approval(approval.id.clone());
    let expected_version = approval.version;
    let row = Approval {
        withdrawn_at: Some(rooms.clock.now()),
        default_account: false,
        version: expected_version + 1,
        ..approval
    };
    let effect = vec![
        Write::PutApproval { row: key.tag(row), expected_version: Some(expected_version) },
        Write::AddRule { kind: RuleKind::Revoke, target },
    ];
    rooms.audit.note(Entry { effect, ..Entry::note(draft) }, call.deadline).await?;
    Ok(())
}
