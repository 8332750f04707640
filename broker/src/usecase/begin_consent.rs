//! The user has to act first: a consent is created or found, recorded, and its link answered.

use super::{
    ask::{Ask, Failed},
    expire::checked,
};
use crate::{
    connection::Need,
    consent::{self, Asking},
    crash::crash_point,
    domain::{
        Consent, ConsentId, ConsentReason, ConsentState, Entry, EventDraft, EventId, Outcome, QuarantinedRow,
        Reason, Refusal, ScopeSet, Write,
    },
};

/// So many edited rows at least are read along with those that count. Where there are more, the next call goes on.
const SET_ASIDE_AT_ONCE: u32 = 100;

/// How often a commit that somebody else overtook is tried.
pub(super) const TRIES: usize = 3;

/// A consent and its link.
#[derive(Debug)]
pub struct ConsentLink {
    /// The consent.
    pub consent: Consent,
    /// The link for the user.
    pub url: String,
    /// Scopes the approval lacks.
    pub missing: ScopeSet,
    /// One sentence for the user.
    pub sentence: String,
}

/// Answers with a link. The same open need always gets the same link (CO1).
pub(super) async fn begin_consent(
    ask: &Ask<'_>,
    need: Need,
    about: &mut EventDraft,
) -> Result<ConsentLink, Failed> {
    for _ in 0..TRIES {
        let begun = Round::default().begin(ask, &need).await?;
        let mut draft = about.clone();
        begun.describe(&need, &mut draft);
        let Begun { consent, effect, .. } = begun;
        let raced = !effect.is_empty();
        let entry = Entry { names: ask.names.clone(), epoch: ask.epoch, effect, ..Entry::note(draft) };
        match ask.rooms.audit.note(entry, ask.caller.call.deadline).await {
            Ok(_) => {
                crash_point!(ask.rooms.points, "consent.begun");
                return Ok(ConsentLink::of(ask, consent, need));
            }
            // Somebody created the same need at the same moment: use theirs.
            Err(crate::audit::Refused::NotApplied) if raced => {
                // The try that lost has a row of its own: whatever comes after it is another event.
                about.id = EventId::random(&*ask.rooms.rng);
            }
            Err(refused) => return Err(Failed::Recorded(refused.into())),
        }
    }
    Err(Failed::Recorded(Refusal::new(Reason::Conflict)))
}

/// A consent that is about to be opened, or is open already, and what has to be written for it.
pub(super) struct Begun {
    pub(super) consent: Consent,
    pub(super) effect: Vec<Write>,
    quarantined: bool,
}

impl Begun {
    /// What the event about it says.
    pub(super) fn describe(&self, need: &Need, draft: &mut EventDraft) {
        draft.outcome = Outcome::ConsentRequired;
        draft.consent = Some(self.consent.id.clone());
        draft.reason = self.quarantined.then_some(Reason::RecordQuarantined);
        draft.detail.insert("consent_reason", need.reason.as_str().into());
    }
}

/// What one commit opens and sets aside, over everything that is asked for in it.
#[derive(Default)]
pub(super) struct Round {
    /// Those it answers with.
    begun: Vec<Consent>,
    /// How many of them are new.
    created: u32,
    /// Edited rows that give way already.
    aside: Vec<Vec<u8>>,
}

impl Round {
    /// The consent for a need: of this round, or open already, or a new one.
    pub(super) async fn begin(&mut self, ask: &Ask<'_>, need: &Need) -> Result<Begun, Refusal> {
        let same = |c: &&Consent| c.provider == ask.spec.id && c.scopes == need.scopes;
        if let Some(consent) = self.begun.iter().find(same).cloned() {
            return Ok(Begun { consent, effect: Vec::new(), quarantined: false });
        }
        let mut effect = Vec::new();
        let mut open = open_consents(ask, need).await?;
        let consent = match open.consent.take() {
            Some(found) => retarget(ask, found, need, &mut effect),
            None => self.create(ask, need, &mut open.quarantined, &mut effect).await?,
        };
        self.begun.push(consent.clone());
        let quarantined = need.quarantined || !open.quarantined.is_empty();
        open.quarantined.retain(|row| !self.aside.contains(&row.id));
        self.aside.extend(open.quarantined.iter().map(|row| row.id.clone()));
        // They go first: one of them may stand where the new one will.
        effect.splice(0..0, open.quarantined.into_iter().map(Write::SetAsideConsent));
        Ok(Begun { consent, effect, quarantined })
    }

    async fn create(
        &mut self,
        ask: &Ask<'_>,
        need: &Need,
        quarantined: &mut Vec<QuarantinedRow>,
        effect: &mut Vec<Write>,
    ) -> Result<Consent, Refusal> {
        let rooms = ask.rooms;
        let most = rooms.settings.max_open_consents;
        let open = count_open(ask, quarantined).await?;
        let created = self.created;
        // Half for one workload: one that was stolen, with a person's assertion, uses up nobody else's links.
        if open.all + created >= most || open.of_workload + created >= (most / 2).max(1) {
            return Err(Refusal::new(Reason::TooManyConsents));
        }
        let consent = consent::draft(ConsentId::random(&*rooms.rng), &asking(ask), need);
        let handle_hash = consent::link_hash(&rooms.keys.consent_handle(&consent.id));
        let row = rooms.row_key().tag(consent.clone());
        effect.push(Write::InsertConsent { row, handle_hash });
        self.created += 1;
        Ok(consent)
    }
}

/// The open consents for a need: at most one that counts.
struct Open {
    consent: Option<Consent>,
    /// They are there and say nothing that counts: they give way in the commit that answers with another one, so that the person
    /// gets a new link at once (VA9). Whoever edits rows gains no more than by deleting them: nobody is served anything.
    quarantined: Vec<QuarantinedRow>,
}

async fn open_consents(ask: &Ask<'_>, need: &Need) -> Result<Open, Refusal> {
    let rooms = ask.rooms;
    let subject = ask.assertion.subject();
    let now = rooms.clock.now();
    let found =
        rooms.store.consents.open_need(subject, ask.caller.id(), &ask.spec.id, &need.scopes, now).await?;
    let mut open = Open { consent: None, quarantined: Vec::new() };
    for found in found {
        match found.and_then(|tagged| checked(tagged, &rooms.row_key())) {
            Ok(consent) => {
                open.consent.get_or_insert(consent);
            }
            Err(row) => {
                tracing::error!(column = row.column, "an open consent is quarantined and replaced");
                open.quarantined.push(row);
            }
        }
    }
    Ok(open)
}

/// An open consent whose reason is no longer the true one is set right while nobody has acted on it.
fn retarget(ask: &Ask<'_>, found: Consent, need: &Need, effect: &mut Vec<Write>) -> Consent {
    let connection = need.connection.as_ref().map(|c| c.id.clone());
    let stale = found.reason != need.reason || found.connection != connection;
    if !stale || !matches!(found.state, ConsentState::Pending) {
        return found;
    }
    let fresh = consent::draft(found.id.clone(), &asking(ask), need);
    let expected_version = found.version;
    let consent = Consent {
        version: expected_version + 1,
        created_at: found.created_at,
        expires_at: found.expires_at,
        mismatches: found.mismatches,
        ..fresh
    };
    let row = ask.rooms.row_key().tag(consent.clone());
    effect.push(Write::UpdateConsent { row, expected_version });
    consent
}

/// How many consents of one person are open.
#[derive(Default)]
struct Count {
    all: u32,
    /// Of them, those of the workload that asks.
    of_workload: u32,
}

/// How many consents of this person are open, of those that say so themselves. Rows that somebody edited do not count and give
/// way with the next link: else an edited one would stand in every other need's way for as long as it likes (VA9).
async fn count_open(ask: &Ask<'_>, quarantined: &mut Vec<QuarantinedRow>) -> Result<Count, Refusal> {
    let rooms = ask.rooms;
    let limit = rooms.settings.max_open_consents.saturating_add(SET_ASIDE_AT_ONCE);
    let found = rooms.store.consents.open_of(ask.assertion.subject(), rooms.clock.now(), limit).await?;
    let mut count = Count::default();
    for found in found {
        match found.and_then(|tagged| checked(tagged, &rooms.row_key())) {
            Ok(consent) => {
                count.all += 1;
                count.of_workload += u32::from(consent.workload == *ask.caller.id());
            }
            Err(row) if quarantined.iter().any(|known| known.id == row.id) => {}
            Err(row) => {
                tracing::error!(column = row.column, "an open consent is quarantined and does not count");
                quarantined.push(row);
            }
        }
    }
    Ok(count)
}

fn asking<'a>(ask: &'a Ask<'_>) -> Asking<'a> {
    Asking {
        subject: ask.assertion.subject(),
        workload: ask.caller.id(),
        provider: &ask.spec.id,
        tool: &ask.request.tool,
        purpose: &ask.request.purpose,
        now: ask.rooms.clock.now(),
        lifetime: ask.rooms.settings.consent_lifetime,
        epoch: ask.epoch,
    }
}

impl ConsentLink {
    pub(super) fn of(ask: &Ask<'_>, consent: Consent, need: Need) -> Self {
        let url = ask.rooms.consent_url(&consent.id);
        let server = ask.rooms.workload_name(ask.caller.id());
        let sentence = sentence(need.reason, &server, &ask.spec.display_name);
        Self { consent, url, missing: need.missing, sentence }
    }
}

/// One sentence for the user.
pub fn sentence(reason: ConsentReason, server: &str, provider: &str) -> String {
    match reason {
        ConsentReason::NotConnected => {
            format!("Connect your {provider} account so that {server} can use it for you.")
        }
        ConsentReason::ScopesMissing => {
            format!("{server} needs more access to your {provider} account than it has.")
        }
        ConsentReason::NotApproved => format!("Allow {server} to use your connected {provider} account."),
        ConsentReason::WiderThanApproved => {
            format!(
                "{provider} can only give {server} more access than you allowed; decide whether that is all right."
            )
        }
        ConsentReason::ChooseAccount => format!("Choose which {provider} account {server} may use."),
        ConsentReason::ReauthRequired => {
            format!("Connect your {provider} account again: the old connection has ended.")
        }
    }
}
