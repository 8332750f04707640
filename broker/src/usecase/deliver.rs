//! The last step: a recorded permit goes through the door and becomes an answer.

use super::{Caller, Rooms};
use crate::{
    audit::{Audited, Refused},
    domain::{
        AccessToken, Connection, ConnectionState, Entry, EventDraft, EventId, EventKind, Outcome, Refusal,
        ScopeSet, Sealed, SecretRow, Subject, Timestamp, Write,
    },
    policy::{Issue, Permit},
    vault::{Grant, VaultError},
};

/// A grant and the truth about it.
#[derive(Debug)]
pub struct Issued {
    /// The grant's id: that of the event that first recorded it.
    pub id: EventId,
    /// The grant.
    pub grant: Grant,
    /// What its token can really do (GR1).
    pub token_scopes: ScopeSet,
    /// When the provider stops honouring the token; `None` = never, or it does not say (GR10).
    pub token_expires_at: Option<Timestamp>,
    /// The connection it stands on.
    pub connection: Connection,
}

/// A permit that is on record, and what it opens.
pub(super) struct Recorded {
    pub(super) grant: EventId,
    pub(super) proof: Audited<Permit<Issue>>,
    pub(super) connection: Connection,
    pub(super) secret: SecretRow,
}

/// Opens everything recorded, or nothing is answered. A value that does not open is quarantined: the owner is asked to connect
/// again (VA9). The rows of grants stand; what nobody gets has a second event that names the first (AU1).
pub(super) async fn deliver(
    rooms: &Rooms,
    caller: &Caller,
    subject: &Subject,
    recorded: Vec<Recorded>,
) -> Result<Vec<Issued>, Refusal> {
    let (mut issued, mut events) = (Vec::with_capacity(recorded.len()), Vec::with_capacity(recorded.len()));
    let (mut failed, mut undelivered) = (Vec::new(), Vec::new());
    for Recorded { grant, proof, connection, secret } in recorded {
        let event = proof.event().clone();
        let sealed = Sealed::<AccessToken>::from_envelope(secret.envelope.clone());
        match rooms.vault.open(proof, &sealed).await {
            Ok(opened) => {
                events.push(event);
                issued.push(Issued {
                    id: grant,
                    grant: opened.into_grant(),
                    token_scopes: secret.scopes,
                    token_expires_at: secret.expires_at,
                    connection,
                });
            }
            Err(error) => {
                undelivered.push((event, connection, matches!(error, VaultError::Tampered)));
                failed.push(Refusal::from(error));
            }
        }
    }
    let Some(refusal) = failed.into_iter().next() else { return Ok(issued) };
    // What opened is not handed out either.
    undelivered
        .extend(events.into_iter().zip(issued).map(|(event, issued)| (event, issued.connection, false)));
    for (event, connection, tampered) in undelivered {
        let draft = grant_failed(rooms, caller, subject, event, &connection, &refusal);
        let effect = if tampered { vec![latch(rooms, &connection)] } else { Vec::new() };
        match rooms.audit.note(Entry { effect, ..Entry::note(draft) }, caller.call.deadline).await {
            Ok(_) | Err(Refused::NotApplied) => {}
            Err(refused) => return Err(refused.into()),
        }
    }
    Err(refusal)
}

fn grant_failed(
    rooms: &Rooms,
    caller: &Caller,
    subject: &Subject,
    grant: EventId,
    connection: &Connection,
    refusal: &Refusal,
) -> EventDraft {
    let mut draft = caller.draft(&*rooms.rng, EventKind::GrantFailed, Outcome::Failed).about(subject);
    draft.provider = Some(connection.provider.clone());
    draft.connection = Some(connection.id.clone());
    draft.grant = Some(grant);
    draft.reason = Some(refusal.reason);
    draft
}

fn latch(rooms: &Rooms, connection: &Connection) -> Write {
    let expected_version = connection.version;
    let state = ConnectionState::ReauthRequired;
    let row = Connection { state, version: expected_version + 1, ..connection.clone() };
    Write::UpdateConnection { row: rooms.row_key().tag(row), expected_version }
}
