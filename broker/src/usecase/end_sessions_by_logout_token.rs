//! An identity provider ends a person's sessions (CO16, OpenID Connect Back-Channel Logout 1.0).

use super::{
    Call, Rooms,
    session::{LOGIN_UNDER_WAY, end},
};
use crate::{
    domain::{Entry, EventKind, LoggedOut, Outcome, Reason, Refusal, Subject, WebSession, Write},
    identity::VerifiedLogout,
    storage::StoreError,
};

/// Ends the live sessions that a logout token means; answers how many. Those begun after the token was made stay, so
/// that a token sent again ends nothing new. A login of theirs that is under way begins none.
///
/// # Errors
/// The store's and the audit log's, after which the token may be sent again.
pub async fn end_sessions_by_logout_token(
    rooms: &Rooms,
    call: &Call,
    logout: &VerifiedLogout,
) -> Result<usize, Refusal> {
    // First, in a commit of its own: a session that begins from here on is refused, and one that began before is found.
    remember(rooms, call, logout).await?;
    let mut count = 0;
    for id_hash in rooms.store.sessions.named(logout.names()).await? {
        let Some(session) = live(rooms, logout, &id_hash).await? else { continue };
        match end(rooms, call, session, Some("identity_provider")).await {
            Ok(()) => count += 1,
            // Signed out at the same moment.
            Err(refusal) if refusal.reason == Reason::Conflict => {}
            Err(refusal) => return Err(refusal),
        }
    }
    Ok(count)
}

async fn remember(rooms: &Rooms, call: &Call, logout: &VerifiedLogout) -> Result<(), Refusal> {
    let names = logout.names();
    let mut draft = call.draft(&*rooms.rng, EventKind::LogoutReceived, Outcome::Allowed);
    draft.tenant = Some(names.tenant.clone());
    draft.detail.insert("issuer", names.issuer.clone().into());
    if let LoggedOut::Person { subject } | LoggedOut::Session { subject: Some(subject), .. } = &names.who {
        let (tenant, realm) = (names.tenant.clone(), names.realm.clone());
        draft = call.about(draft, &Subject { tenant, realm, id: subject.clone() }, None);
    }
    let now = rooms.clock.now();
    let effect = vec![Write::InsertLogout {
        names: names.clone(),
        until: logout.until().min(now),
        expires_at: now.plus(LOGIN_UNDER_WAY),
    }];
    rooms.audit.note(Entry { effect, ..Entry::note(draft) }, call.deadline).await?;
    Ok(())
}

/// The session as it was begun, if the token means it. A row that fails its check serves nobody (see
/// [`super::session::find_session`]) and keeps no other session alive.
async fn live(
    rooms: &Rooms,
    logout: &VerifiedLogout,
    id_hash: &[u8; 32],
) -> Result<Option<WebSession>, Refusal> {
    let found = match rooms.store.sessions.by_id(id_hash).await {
        Ok(found) => found.map(|tagged| tagged.check(&rooms.row_key())),
        Err(StoreError::Malformed { table, column }) => {
            tracing::error!(table, column, "a web session that is to end cannot be read");
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    match found {
        Some(Ok(session)) => {
            let meant = !session.ended && session.created_at <= logout.until();
            Ok((meant && rooms.clock.now() < session.expires_at).then_some(session))
        }
        Some(Err(_)) => {
            tracing::error!("a web session row that is to end failed its integrity check");
            Ok(None)
        }
        None => Ok(None),
    }
}
