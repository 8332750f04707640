//! Signing in (CO16): begun here, finished here, in the same browser. Nothing about it is recorded before it is known who it is.

use super::{
    Web,
    cookies::{self, SESSION},
    csrf::Action,
    failure::Failure,
    incoming::Incoming,
    login::{LoginClient, PendingLogin, crowded_out},
    pages,
    reply::{self, Answer},
    return_path::ReturnPath,
    texts,
};
use crate::{
    domain::{ExposeSecret, RealmId, Reason, Refusal, SecretString},
    usecase::{
        find_by_handle, find_parent,
        session::{ABSOLUTE, end_session, find_session, start_session},
    },
};
use axum::{
    extract::State,
    http::{HeaderValue, StatusCode},
    response::Response,
};
use std::sync::Arc;
use url::Url;

/// `GET /login/start?realm=…&return=…`
pub(super) async fn start(State(web): State<Arc<Web>>, incoming: Incoming) -> Answer {
    let back = return_path(incoming.query.get("return", 128)?)?;
    let Some(realm) = incoming.query.get("realm", 64)? else { return choose(&web, &back) };
    let realm = RealmId::parse(realm).map_err(|_| Failure::not_found())?;
    // A name from the address bar: that nobody has it is the visitor's mistake, not the operator's.
    let client = web.logins.of_realm(&realm).ok_or_else(Failure::not_found)?;
    let (url, cookies) = begin(&web, &incoming, client, &back, false).await?;
    Ok(cookies.into_iter().fold(reply::see_other(url.as_str()), reply::with_cookie))
}

/// `POST /login/switch`: ends the session and signs in as somebody else. Leaves from a page, because
/// `form-action 'self'` does not let a form's redirects leave.
pub(super) async fn switch(State(web): State<Arc<Web>>, incoming: Incoming) -> Answer {
    let back = return_path(Some(incoming.form.need("return", 128)?))?;
    let visitor = incoming.sender(&web, Action::SwitchAccount, &back.path()).await?;
    let realm = match &back {
        ReturnPath::Consent(handle) => find_by_handle(&web.rooms, handle).await?.subject.realm,
        ReturnPath::Parent(handle) => find_parent(&web.rooms, handle).await?.subject.realm,
        ReturnPath::Connections => visitor.session.subject.realm.clone(),
    };
    let (url, cookies) = begin(&web, &incoming, client_of(&web, &realm)?, &back, true).await?;
    end_session(&web.rooms, &visitor.call, visitor.session).await?;
    let page = reply::with_cookie(reply::leaving(pages::to_sign_in(&url)), cookies::clear(SESSION));
    Ok(cookies.into_iter().fold(page, reply::with_cookie))
}

/// Sends somebody who is not signed in to sign in and come back.
pub(super) fn first(realm: &RealmId, back: &ReturnPath) -> Response {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("realm", realm.as_str()).append_pair("return", &back.path());
    reply::see_other(&format!("/login/start?{}", query.finish()))
}

/// The same where any realm will do: the only one, or the person chooses.
pub(super) fn choose(web: &Web, back: &ReturnPath) -> Answer {
    match web.logins.realms().as_slice() {
        [] => Err(Reason::IssuerUnknown.into()),
        [only] => Ok(first(only, back)),
        several => Ok(reply::page(StatusCode::OK, pages::choose_realm(several, &back.path()))),
    }
}

fn return_path(text: Option<&str>) -> Result<ReturnPath, Failure> {
    match text {
        None => Ok(ReturnPath::Connections),
        Some(text) => {
            Ok(ReturnPath::parse(text)
                .ok_or_else(|| Refusal::invalid("return", "Not a page of the broker."))?)
        }
    }
}

fn client_of<'w>(web: &'w Web, realm: &RealmId) -> Result<&'w LoginClient, Failure> {
    web.logins.of_realm(realm).ok_or_else(|| Reason::IssuerUnknown.into())
}

async fn begin(
    web: &Web,
    incoming: &Incoming,
    client: &LoginClient,
    back: &ReturnPath,
    again: bool,
) -> Result<(Url, Vec<HeaderValue>), Refusal> {
    let (keys, now) = (web.rooms.keys.cookies(), web.rooms.clock.now());
    let pending = PendingLogin::new(&*web.rooms.rng, &client.spec.issuer_name, back, now);
    let url = client.authorize_url(&pending, redirect_uri(web)?, again).await?;
    let mut cookies = crowded_out(keys, &incoming.cookies, now);
    cookies.push(pending.cookie(keys).ok_or_else(|| Refusal::new(Reason::Internal))?);
    Ok((url, cookies))
}

fn redirect_uri(web: &Web) -> Result<Url, Refusal> {
    let public = &web.rooms.settings.public_url;
    public.join("/login/callback").map_err(|error| Refusal::new(Reason::Internal).caused_by(error))
}

/// `GET /login/callback`
pub(super) async fn callback(State(web): State<Arc<Web>>, incoming: Incoming) -> Answer {
    let query = &incoming.query;
    let state = query.need("state", 512)?;
    let code = query.get("code", 8 * 1024)?.map(|code| SecretString::from(code.to_owned()));
    let (iss, error) = (query.get("iss", 2048)?, query.get("error", 256)?);
    let said = query.words("error_description", 2048)?;
    let now = web.rooms.clock.now();
    let Some((pending, name)) = PendingLogin::find(web.rooms.keys.cookies(), &incoming.cookies, state, now)
    else {
        return Err(Failure::told(StatusCode::BAD_REQUEST, texts::SIGN_IN_ELSEWHERE).then("/connections"));
    };
    let used = cookies::clear(&name);
    let retry = pending.back().path();
    let outcome = match (error, code) {
        (Some(_), _) => {
            Ok(reply::page(StatusCode::FORBIDDEN, pages::sign_in_failed(said.as_deref(), &retry)))
        }
        (None, Some(code)) => finish(&web, &incoming, &pending, iss, code).await,
        (None, None) => Err(Refusal::invalid("code", "The identity provider sent no code.").into()),
    };
    // Spent either way; an error's page has to say so to the browser as well.
    Ok(reply::with_cookie(outcome.unwrap_or_else(|failure| answer(failure.then(retry))), used))
}

fn answer(failure: Failure) -> Response {
    axum::response::IntoResponse::into_response(failure)
}

async fn finish(
    web: &Web,
    incoming: &Incoming,
    pending: &PendingLogin,
    iss: Option<&str>,
    code: SecretString,
) -> Answer {
    let rooms = &web.rooms;
    let named = web.logins.of_issuer(&pending.issuer_name);
    let client = named.ok_or_else(|| Refusal::new(Reason::IssuerUnknown))?;
    client.check_iss(iss).await.map_err(Refusal::from)?;
    let id_token = client.redeem(code, pending, redirect_uri(web)?).await.map_err(Refusal::from)?;
    let spec = &client.spec;
    let verified =
        rooms.identity.login(&spec.issuer_name, id_token.expose_secret(), &spec.client_id, &pending.nonce);
    let login = verified.await.map_err(Refusal::from)?;
    if login.subject().realm != spec.realm {
        return Err(Reason::IssuerUnknown.into());
    }
    // The earlier session of this browser ends: one browser, one person. A blocked person's session is over anyway.
    if let Some(cookie) = incoming.cookies.get(SESSION)
        && let Ok(Some(earlier)) = find_session(rooms, cookie).await
    {
        match end_session(rooms, &incoming.call, earlier).await {
            // Two sign-ins at once: the other one ended it.
            Err(refusal) if refusal.reason == Reason::Conflict => {}
            ended => ended?,
        }
    }
    let session = match start_session(rooms, &incoming.call, &login, pending.started_at()).await {
        // The only thing that can have happened meanwhile to a session that is not there yet.
        Err(refusal) if refusal.reason == Reason::Conflict => {
            return Err(Failure::told(StatusCode::CONFLICT, texts::SIGNED_OUT_MEANWHILE));
        }
        started => started?,
    };
    let back = reply::see_other(&pending.back().path());
    Ok(reply::with_cookie(back, cookies::set(SESSION, &session, ABSOLUTE)))
}
