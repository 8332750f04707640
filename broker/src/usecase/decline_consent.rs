//! The user says no, before or after the provider. What was obtained meanwhile is revoked there.

use super::{Rooms, Visitor, open_consent, own, revoke_leftover::end};
use crate::{
    crash::crash_point,
    domain::{Entry, EventKind, Outcome, Reason, Refusal},
};
use std::sync::Arc;

/// Declines a consent.
///
/// # Errors
/// [`Reason::NotFound`] for a foreign or unknown link; [`Reason::Conflict`] when it is over; the store's.
pub async fn decline_consent(rooms: &Arc<Rooms>, visitor: &Visitor, handle: &str) -> Result<(), Refusal> {
    let found = open_consent::find_by_handle(rooms, handle).await?;
    let (consent, epoch) = own(rooms, visitor, found).await?.ok_or_else(|| Refusal::new(Reason::NotFound))?;
    let mut draft = visitor.draft_about(rooms, EventKind::ConsentDeclined, Outcome::Denied, &consent);
    draft.reason = Some(Reason::ConsentDeclined);
    let names = visitor.names(&consent);
    let expected_version = consent.version;
    let next = consent.decline()?;
    let effect = end(rooms, &next, expected_version);
    rooms.audit.note(Entry { names, epoch, effect, ..Entry::note(draft) }, visitor.call.deadline).await?;
    crash_point!(rooms.points, "consent.declined");
    Ok(())
}
