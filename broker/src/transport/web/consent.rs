//! A consent's page and what a person does there. The recipes live in [`crate::usecase`].

use super::{
    Web,
    cookies::{self, BROWSER, NOTE},
    csrf::{self, Action},
    failure::Failure,
    incoming::{Incoming, sha256},
    pages,
    reply::{self, Answer},
    return_path::ReturnPath,
    sign_in,
};
use crate::{
    domain::{ConnectionId, Reason, Refusal, WebSession},
    usecase::{
        Approved, Visit, Visitor, approve_consent, confirm_consent, decline_consent, find_by_handle,
        open_consent,
    },
};
use axum::{
    extract::State,
    http::{HeaderValue, StatusCode},
    response::Response,
};
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};

/// How long a browser binding lasts: longer than any consent.
const BINDING: Duration = Duration::from_secs(24 * 3600);
/// How long a provider's words wait for the page that shows them.
const NOTE_LIFETIME: Duration = Duration::from_secs(60);

/// `GET /consent/{handle}`
pub(super) async fn show(State(web): State<Arc<Web>>, incoming: Incoming) -> Answer {
    let handle = handle(&incoming)?;
    let Some(session) = incoming.session(&web).await? else {
        let consent = find_by_handle(&web.rooms, &handle).await?;
        return Ok(sign_in::first(&consent.subject.realm, &ReturnPath::Consent(handle)));
    };
    let visitor = incoming.visitor(session);
    let frame = web.frame(&visitor.session);
    match open_consent(&web.rooms, &visitor, &handle).await? {
        Visit::SomebodyElses => Ok(wrong_person(&web, &visitor.session, &ReturnPath::Consent(handle))),
        Visit::Own(view) => {
            let note = Note::read(&web, &incoming, &handle);
            let forms = forms(&web, &visitor.session, &handle);
            let here = view.consent.state.browser_hash().is_none_or(|h| Some(*h) == visitor.browser_hash);
            let page = pages::consent(&frame, &view, &forms, here, note.as_deref());
            let page = reply::page(StatusCode::OK, page);
            Ok(if note.is_some() { reply::with_cookie(page, cookies::clear(NOTE)) } else { page })
        }
    }
}

/// Says that the link is not for this person, and nothing about it.
pub(super) fn wrong_person(web: &Web, session: &WebSession, link: &ReturnPath) -> Response {
    let back = link.path();
    let token = web.token(session, Action::SwitchAccount, &back);
    reply::page(StatusCode::FORBIDDEN, pages::wrong_person(&web.frame(session), &back, &token))
}

fn forms(web: &Web, session: &WebSession, handle: &str) -> pages::Forms {
    let token = |action| web.token(session, action, handle);
    pages::Forms {
        handle: handle.to_owned(),
        approve: token(Action::Approve),
        decline: token(Action::Decline),
        confirm: token(Action::Confirm),
        reject: token(Action::Reject),
    }
}

/// The handle, which is only looked up when it has the form of one.
pub(super) fn handle(incoming: &Incoming) -> Result<String, Failure> {
    let handle = incoming.path("handle");
    if cookies::is_token(handle) { Ok(handle.to_owned()) } else { Err(Failure::not_found()) }
}

async fn sender(web: &Web, incoming: &Incoming, action: Action) -> Result<(Visitor, String), Failure> {
    let handle = handle(incoming)?;
    let path = ReturnPath::Consent(handle.clone()).path();
    let visitor = incoming.sender(web, action, &handle).await.map_err(|failure| failure.then(path))?;
    Ok((visitor, handle))
}

/// `POST /consent/{handle}/approve`
pub(super) async fn approve(State(web): State<Arc<Web>>, incoming: Incoming) -> Answer {
    let (mut visitor, handle) = sender(&web, &incoming, Action::Approve).await?;
    let chosen = match incoming.form.get("connection", 64)?.filter(|text| !text.is_empty()) {
        Some(text) => {
            let bad = |_| Refusal::invalid("connection", "Choose one of the accounts.");
            Some(ConnectionId::parse(text).map_err(bad)?)
        }
        None => None,
    };
    let seen = incoming.form.get("terms", 64)?.unwrap_or_default().to_owned();
    let (binding, cookie) = binding(&web, &incoming);
    visitor.browser_hash = Some(sha256(&binding));
    match approve_consent(&web.rooms, &visitor, &handle, &seen, chosen).await {
        Ok(Approved::Leave(url)) => Ok(reply::with_cookie(reply::leaving(pages::to_provider(&url)), cookie)),
        Ok(Approved::Completed) => see_next(&web, &visitor, &handle).await,
        Err(refusal) => settled(&web, &visitor, &handle, refusal).await,
    }
}

/// The browser's binding, made if it has none; set again each time, so that it outlives what it binds.
fn binding(web: &Web, incoming: &Incoming) -> (String, HeaderValue) {
    let held = incoming.cookies.get(BROWSER).filter(|value| cookies::is_token(value)).map(str::to_owned);
    let value = held.unwrap_or_else(|| cookies::random(&*web.rooms.rng));
    let cookie = cookies::set(BROWSER, &value, BINDING);
    (value, cookie)
}

/// `POST /consent/{handle}/decline`
pub(super) async fn decline(State(web): State<Arc<Web>>, incoming: Incoming) -> Answer {
    let (visitor, handle) = sender(&web, &incoming, Action::Decline).await?;
    let done = decline_consent(&web.rooms, &visitor, &handle).await;
    after(&web, &visitor, &handle, done).await
}

/// `POST /consent/{handle}/reject`: the account that came back is not the right one.
pub(super) async fn reject(State(web): State<Arc<Web>>, incoming: Incoming) -> Answer {
    let (visitor, handle) = sender(&web, &incoming, Action::Reject).await?;
    let done = decline_consent(&web.rooms, &visitor, &handle).await;
    after(&web, &visitor, &handle, done).await
}

/// `POST /consent/{handle}/confirm`
pub(super) async fn confirm(State(web): State<Arc<Web>>, incoming: Incoming) -> Answer {
    let (visitor, handle) = sender(&web, &incoming, Action::Confirm).await?;
    let done = confirm_consent(&web.rooms, &visitor, &handle).await;
    after(&web, &visitor, &handle, done).await
}

async fn after(web: &Web, visitor: &Visitor, handle: &str, done: Result<(), Refusal>) -> Answer {
    match done {
        Ok(()) => see_next(web, visitor, handle).await,
        Err(refusal) => settled(web, visitor, handle, refusal).await,
    }
}

/// Answered: back to the page that leads through the others, if this consent is one of several (GR6).
async fn see_next(web: &Web, visitor: &Visitor, handle: &str) -> Answer {
    if let Ok(Visit::Own(view)) = open_consent(&web.rooms, visitor, handle).await
        && view.consent.state.is_terminal()
        && let Some(parent) = view.parent
    {
        return Ok(reply::see_other(&ReturnPath::Parent(parent).path()));
    }
    Ok(see(handle))
}

fn see(handle: &str) -> Response {
    reply::see_other(&ReturnPath::Consent(handle.to_owned()).path())
}

/// A form sent twice, or too late, shows how the consent ended instead of a scare (CO6).
async fn settled(web: &Web, visitor: &Visitor, handle: &str, refusal: Refusal) -> Answer {
    if refusal.reason == Reason::Conflict
        && let Visit::Own(view) = open_consent(&web.rooms, visitor, handle).await?
        && view.consent.state.is_terminal()
    {
        return Ok(see(handle));
    }
    let path = ReturnPath::Consent(handle.to_owned()).path();
    let failure = Failure::from(refusal);
    // Whose link it is not learns nothing, not even a way back to it.
    Err(if failure.reason() == Reason::NotFound { failure } else { failure.then(path) })
}

/// What a provider said about its refusal, for one page view and for nobody else.
#[derive(Serialize, Deserialize)]
pub(super) struct Note {
    handle: String,
    text: String,
}

impl Note {
    const PURPOSE: &'static str = "provider note";

    /// The cookie that carries `text` to the consent's page.
    pub(super) fn cookie(web: &Web, handle: &str, text: String) -> Option<HeaderValue> {
        let note = serde_json::to_vec(&Self { handle: handle.to_owned(), text }).ok()?;
        let sealed = web.rooms.keys.cookies().seal(NOTE, Self::PURPOSE, &note).ok()?;
        Some(cookies::set(NOTE, &sealed, NOTE_LIFETIME))
    }

    fn read(web: &Web, incoming: &Incoming, handle: &str) -> Option<String> {
        let value = incoming.cookies.get(NOTE)?;
        let opened = web.rooms.keys.cookies().open(NOTE, Self::PURPOSE, value).ok()?;
        let note: Self = serde_json::from_slice(&opened).ok()?;
        (note.handle == handle).then_some(note.text)
    }
}

impl Web {
    /// A form's token.
    pub(super) fn token(&self, session: &WebSession, action: Action, about: &str) -> String {
        csrf::token(self.rooms.keys.cookies(), session, action, about)
    }

    /// What stands around the page of somebody who is signed in.
    pub(super) fn frame(&self, session: &WebSession) -> pages::Frame {
        let name = if session.label.is_empty() { &session.subject.id } else { &session.label };
        let logout = self.token(session, Action::Logout, "");
        pages::Frame { signed_in: Some(pages::SignedIn { name: name.clone(), logout }) }
    }
}
