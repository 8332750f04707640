//! The user has to act first for some items of a batch: their consents, and one parent page that leads through all of them (GR6).

use super::{
    Rooms,
    ask::{Ask, Failed},
    begin_consent::{ConsentLink, Round, TRIES},
};
use crate::{
    audit::Refused,
    connection::Need,
    consent,
    crash::crash_point,
    domain::{
        Consent, ConsentId, Entry, EventDraft, EventId, Group, Outcome, ParentId, ParentPage, Reason,
        Refusal, Subject, WorkloadId, Write,
    },
};
use std::collections::HashSet;

/// How many pages of one person are looked at, for each consent that may be open: more than that are not over within a consent's life.
const KEPT: usize = 4;

/// A parent page, its link, and what it leads through.
#[derive(Debug)]
pub struct ParentLink {
    /// The page.
    pub parent: ParentPage,
    /// The link for the user.
    pub url: String,
    /// One sentence for the user.
    pub sentence: String,
    /// What is missing for each item, in the order asked for; `None` = nothing, it could be granted.
    pub items: Vec<Option<ConsentLink>>,
}

/// Opens every missing consent and the page, in one commit. The same open needs always get the same links (CO1).
pub(super) async fn begin_consents(
    asks: &[Ask<'_>],
    mut needs: Vec<Option<Need>>,
    about: &mut [EventDraft],
) -> Result<ParentLink, Failed> {
    let Some(first) = asks.first() else { return Err(Refusal::new(Reason::Internal).into()) };
    let (rooms, caller) = (first.rooms, first.caller);
    for _ in 0..TRIES {
        let Begun { parent, consents, entries } = begin(asks, &needs, about).await?;
        let raced = entries.iter().any(|entry| !entry.effect.is_empty());
        match rooms.audit.note_group(Group { entries }, caller.call.deadline).await {
            Ok(_) => {
                crash_point!(rooms.points, "consent.begun");
                let linked = asks.iter().zip(consents).zip(needs.iter_mut().map(Option::take));
                let items = linked.map(|((ask, consent), need)| {
                    consent.zip(need).map(|(consent, need)| ConsentLink::of(ask, consent, need))
                });
                let (items, url) = (items.collect(), rooms.parent_url(&parent.id));
                let sentence = sentence(&rooms.workload_name(caller.id()), parent.consents.len());
                return Ok(ParentLink { parent, url, sentence, items });
            }
            // Somebody created one of them at the same moment: use theirs.
            Err(Refused::NotApplied) if raced => {
                // The try that lost has rows of its own: whatever comes after it are other events.
                about.iter_mut().for_each(|draft| draft.id = EventId::random(&*rooms.rng));
            }
            Err(refused) => return Err(Failed::Recorded(refused.into())),
        }
    }
    Err(Failed::Recorded(Refusal::new(Reason::Conflict)))
}

/// What one try is about to write.
struct Begun {
    parent: ParentPage,
    consents: Vec<Option<Consent>>,
    entries: Vec<Entry>,
}

async fn begin(asks: &[Ask<'_>], needs: &[Option<Need>], about: &[EventDraft]) -> Result<Begun, Refusal> {
    let mut round = Round::default();
    let (mut consents, mut entries) = (Vec::with_capacity(asks.len()), Vec::with_capacity(asks.len()));
    for ((ask, need), about) in asks.iter().zip(needs).zip(about) {
        let mut draft = about.clone();
        let (mut effect, mut consent) = (Vec::new(), None);
        match need {
            Some(need) => {
                let begun = round.begin(ask, need).await?;
                begun.describe(need, &mut draft);
                (effect, consent) = (begun.effect, Some(begun.consent));
            }
            None => {
                draft.outcome = Outcome::ConsentRequired;
                draft.detail.insert("batch_ready", true.into());
            }
        }
        consents.push(consent);
        let (names, epoch) = (ask.names.clone(), ask.epoch);
        entries.push(Entry { names, epoch, effect, ..Entry::note(draft) });
    }
    let (parent, write) = parent(asks, &consents).await?;
    for entry in &mut entries {
        entry.draft.detail.insert("parent", parent.id.as_str().into());
    }
    if let (Some(write), Some(last)) = (write, entries.last_mut()) {
        last.effect.push(write);
    }
    Ok(Begun { parent, consents, entries })
}

/// The page that leads through `consents`: the one that is open for exactly these, or a new one.
async fn parent(
    asks: &[Ask<'_>],
    consents: &[Option<Consent>],
) -> Result<(ParentPage, Option<Write>), Refusal> {
    let Some(Ask { rooms, caller, assertion, .. }) = asks.first() else {
        return Err(Refusal::new(Reason::Internal));
    };
    let (subject, workload, now) = (assertion.subject(), caller.id(), rooms.clock.now());
    let mut wanted: Vec<ConsentId> = Vec::with_capacity(consents.len());
    let mut expires_at = now;
    for consent in consents.iter().flatten() {
        // Two items may need the same one.
        if !wanted.contains(&consent.id) {
            wanted.push(consent.id.clone());
            expires_at = expires_at.max(consent.expires_at);
        }
    }
    let open = open_parents(rooms, subject).await?;
    if let Some(found) = open.iter().find(|page| page.is_for(workload, &wanted)) {
        return Ok((found.clone(), None));
    }
    if !has_room(rooms, subject, workload, &open).await? {
        return Err(Refusal::new(Reason::TooManyConsents));
    }
    let parent = ParentPage {
        id: ParentId::random(&*rooms.rng),
        subject: subject.clone(),
        workload: workload.clone(),
        consents: wanted,
        created_at: now,
        expires_at,
        version: 1,
        mismatches: 0,
    };
    let handle_hash = consent::link_hash(&rooms.keys.parent_handle(&parent.id));
    let row = rooms.row_key().tag(parent.clone());
    Ok((parent, Some(Write::InsertParent { row, handle_hash })))
}

/// Whether there may be one more page of this workload: as many as there may be consents, and half of them of one workload. Those
/// that lead nowhere any more, because everything on them is over, take nobody's place.
async fn has_room(
    rooms: &Rooms,
    subject: &Subject,
    workload: &WorkloadId,
    open: &[ParentPage],
) -> Result<bool, Refusal> {
    let most = usize::try_from(rooms.settings.max_open_consents).unwrap_or(usize::MAX);
    let fits = |pages: &[&ParentPage]| {
        let of_workload = pages.iter().filter(|page| page.workload == *workload).count();
        pages.len() < most && of_workload < (most / 2).max(1)
    };
    if fits(&open.iter().collect::<Vec<_>>()) {
        return Ok(true);
    }
    if open.len() >= most.saturating_mul(KEPT) {
        // There may be more of them than were read.
        return Ok(false);
    }
    let found = rooms.store.consents.open_of(subject, rooms.clock.now(), u32::MAX).await?;
    let key = rooms.row_key();
    let waiting: HashSet<ConsentId> =
        found.into_iter().filter_map(|row| Some(row.ok()?.check(&key).ok()?.id)).collect();
    let leads = |page: &&ParentPage| page.consents.iter().any(|id| waiting.contains(id));
    Ok(fits(&open.iter().filter(leads).collect::<Vec<_>>()))
}

/// A person's open parent pages, newest first. One that was edited is left out: it leads nowhere.
///
/// # Errors
/// The store's.
pub(super) async fn open_parents(rooms: &Rooms, subject: &Subject) -> Result<Vec<ParentPage>, Refusal> {
    let limit = rooms.settings.max_open_consents.saturating_mul(u32::try_from(KEPT).unwrap_or(u32::MAX));
    let found = rooms.store.parents.open_of(subject, rooms.clock.now(), limit).await?;
    let key = rooms.row_key();
    let checked = found.into_iter().filter_map(|row| row.ok()?.check(&key).ok());
    Ok(checked.filter(|page| page.subject == *subject).collect())
}

fn sentence(server: &str, missing: usize) -> String {
    match missing {
        1 => format!("{server} needs one connection that is missing."),
        many => {
            format!("{server} needs {many} connections that are missing; one page leads through all of them.")
        }
    }
}
