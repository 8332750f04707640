//! Signing in and out on the pages (CO16).

use super::{Call, Rooms};
use crate::{
    crash::crash_point,
    domain::{Entry, EventKind, Names, Outcome, Refusal, Timestamp, WebSession, Write},
    identity::VerifiedLogin,
    storage::StoreError,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use std::time::Duration;

/// A session without a request for this long is over.
pub const IDLE: Duration = Duration::from_secs(30 * 60);
/// A session is over after this long, whatever happens.
pub const ABSOLUTE: Duration = Duration::from_secs(8 * 3600);
/// A login that was begun is finished within this, or not at all.
pub const LOGIN: Duration = Duration::from_secs(600);
/// How long a logout is remembered for the logins under way: their whole life, and time for their last commit.
pub const LOGIN_UNDER_WAY: Duration = Duration::from_secs(LOGIN.as_secs() + 300);
/// How exactly "last seen" is kept.
const TOUCH_EVERY: Duration = Duration::from_secs(60);

/// Starts a session for a verified login that was begun at `begun_at`; always a new id, so that none can be planted. Answers with the cookie's value.
///
/// # Errors
/// [`crate::domain::Reason::Blocked`]; [`crate::domain::Reason::Conflict`] when the identity provider has ended the person's session with it since
/// `begun_at`; the audit log's.
pub async fn start_session(
    rooms: &Rooms,
    call: &Call,
    login: &VerifiedLogin,
    begun_at: Timestamp,
) -> Result<String, Refusal> {
    let names = Names {
        tenant: Some(login.subject().tenant.clone()),
        subject: Some(login.subject().clone()),
        issuer: Some(login.issuer().to_owned()),
        ..Names::default()
    };
    let epoch = rooms.not_blocked(&names)?;
    let mut bytes = [0; 32];
    rooms.rng.fill(&mut bytes);
    let cookie = URL_SAFE_NO_PAD.encode(bytes);
    let now = rooms.clock.now();
    let session = WebSession {
        id_hash: crate::domain::sha256(cookie.as_bytes()),
        subject: login.subject().clone(),
        label: login.label().to_owned(),
        issuer: login.issuer().to_owned(),
        sid: login.sid().unwrap_or_default().to_owned(),
        created_at: now,
        expires_at: now.plus(ABSOLUTE),
        version: 1,
        ended: false,
        last_seen_at: now,
    };
    let draft = call.draft(&*rooms.rng, EventKind::SessionStarted, Outcome::Allowed);
    let draft = call.about(draft, login.subject(), Some(login.label()));
    let row = rooms.row_key().tag(session);
    let effect = vec![Write::InsertSession { row, begun_at }];
    rooms.audit.note(Entry { names, epoch, effect, ..Entry::note(draft) }, call.deadline).await?;
    crash_point!(rooms.points, "session.started");
    Ok(cookie)
}

/// The live session behind a cookie's value, if there is one.
///
/// # Errors
/// The store's. A row that fails its check is no session.
pub async fn find_session(rooms: &Rooms, cookie: &str) -> Result<Option<WebSession>, Refusal> {
    if cookie.len() != 43 {
        return Ok(None);
    }
    let tagged = match rooms.store.sessions.by_id(&crate::domain::sha256(cookie.as_bytes())).await {
        Ok(Some(tagged)) => tagged,
        Ok(None) => return Ok(None),
        Err(StoreError::Malformed { column, .. }) => {
            tracing::error!(column, "a web session row cannot be read");
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    let Ok(session) = tagged.check(&rooms.row_key()) else {
        tracing::error!("a web session row failed its integrity check");
        return Ok(None);
    };
    let now = rooms.clock.now();
    if session.ended || now >= session.expires_at || now.since(session.last_seen_at) >= IDLE {
        return Ok(None);
    }
    let names = Names {
        tenant: Some(session.subject.tenant.clone()),
        subject: Some(session.subject.clone()),
        issuer: Some(session.issuer.clone()),
        ..Names::default()
    };
    rooms.not_blocked(&names)?;
    if now.since(session.last_seen_at) >= TOUCH_EVERY {
        // What is not noted only shortens the session's life: no reason to refuse the person.
        if let Err(error) = rooms.store.sessions.touch(&session.id_hash, now).await {
            tracing::warn!(%error, "a session's last request could not be noted");
        }
    }
    Ok(Some(session))
}

/// Ends a session.
///
/// # Errors
/// The audit log's.
pub async fn end_session(rooms: &Rooms, call: &Call, session: WebSession) -> Result<(), Refusal> {
    end(rooms, call, session, None).await
}

/// Ends a session; `by` says who did if it was not the person.
pub(super) async fn end(
    rooms: &Rooms,
    call: &Call,
    session: WebSession,
    by: Option<&'static str>,
) -> Result<(), Refusal> {
    let mut draft = call.draft(&*rooms.rng, EventKind::SessionEnded, Outcome::Allowed);
    if let Some(by) = by {
        draft.detail.insert("by", by.into());
    }
    let draft = call.about(draft, &session.subject, Some(&session.label));
    let expected_version = session.version;
    let ended = WebSession { ended: true, version: expected_version + 1, ..session };
    let effect = vec![Write::UpdateSession { row: rooms.row_key().tag(ended), expected_version }];
    rooms.audit.note(Entry { effect, ..Entry::note(draft) }, call.deadline).await?;
    Ok(())
}
