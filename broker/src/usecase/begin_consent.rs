//! The user has to act first: a consent is created or found, recorded, and its link answered.

use super::{
    expire::checked,
    issue_grant::{Ask, ConsentLink, Failed, GrantOutcome},
};
use crate::{
    connection::Need,
    consent::{self, Asking},
    domain::{
        Consent, ConsentId, ConsentReason, ConsentState, Entry, EventDraft, EventId, Outcome, QuarantinedRow,
        Reason, Refusal, Write,
    },
};

/// So many edited rows at least are read along with those that count. Where there are more, the next call goes on.
const SET_ASIDE_AT_ONCE: u32 = 100;

/// Answers with a link. The same open need always gets the same link (CO1).
pub(super) async fn begin_consent(
    ask: &Ask<'_>,
    need: Need,
    about: &mut EventDraft,
) -> Result<GrantOutcome, Failed> {
    for _ in 0..3 {
        let mut effect = Vec::new();
        let mut open = open_consents(ask, &need).await?;
        let consent = match open.consent.take() {
            Some(found) => retarget(ask, found, &need, &mut effect),
            None => create(ask, &need, &mut open.quarantined, &mut effect).await?,
        };
        let quarantined = need.quarantined || !open.quarantined.is_empty();
        // They go first: one of them may stand where the new one will.
        effect.splice(0..0, open.quarantined.into_iter().map(Write::SetAsideConsent));
        let mut draft = about.clone();
        draft.outcome = Outcome::ConsentRequired;
        draft.consent = Some(consent.id.clone());
        draft.reason = quarantined.then_some(Reason::RecordQuarantined);
        draft.detail.insert("consent_reason", need.reason.as_str().into());
        let raced = !effect.is_empty();
        let entry = Entry { names: ask.names.clone(), epoch: ask.epoch, effect, ..Entry::note(draft) };
        match ask.rooms.audit.note(entry, ask.caller.call.deadline).await {
            Ok(_) => return Ok(answer(ask, consent, need)),
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

async fn create(
    ask: &Ask<'_>,
    need: &Need,
    quarantined: &mut Vec<QuarantinedRow>,
    effect: &mut Vec<Write>,
) -> Result<Consent, Refusal> {
    let rooms = ask.rooms;
    let most = rooms.settings.max_open_consents;
    let open = count_open(ask, quarantined).await?;
    // Half for one workload: one that was stolen, with a person's assertion, uses up nobody else's links.
    if open.all >= most || open.of_workload >= (most / 2).max(1) {
        return Err(Refusal::new(Reason::TooManyConsents));
    }
    let consent = consent::draft(ConsentId::random(&*rooms.rng), &asking(ask), need);
    let handle_hash = consent::link_hash(&rooms.keys.consent_handle(&consent.id));
    let row = rooms.row_key().tag(consent.clone());
    effect.push(Write::InsertConsent { row, handle_hash });
    Ok(consent)
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

fn answer(ask: &Ask<'_>, consent: Consent, need: Need) -> GrantOutcome {
    let url = ask.rooms.consent_url(&consent.id);
    let sentence = sentence(need.reason, &ask.rooms.workload_name(ask.caller.id()), &ask.spec.display_name);
    GrantOutcome::ConsentRequired(Box::new(ConsentLink { consent, url, missing: need.missing, sentence }))
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
