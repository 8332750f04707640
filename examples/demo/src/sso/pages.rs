//! The authorization endpoint and the login form.

use std::sync::Arc;

use axum::Router;
use axum::extract::{RawForm, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, html};

use super::Shared;
use super::token::Code;
use crate::oauth::{AuthorizationRequest, OauthError, Params, Refusal};
use crate::page;
use crate::sessions::Session;

pub(super) const SCOPES: [&str; 3] = ["openid", "profile", "email"];

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new().route("/authorize", get(authorize)).route("/login", post(login))
}

async fn authorize(
    State(sso): State<Arc<Shared>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let query = query.unwrap_or_default();
    let request = match AuthorizationRequest::parse(&query, &sso.clients, &sso.issuer, &SCOPES) {
        Ok(request) => request,
        Err(Refusal::Page(why)) => return problem(why),
        Err(Refusal::Redirect(target)) => return page::redirect_to(&target),
    };
    if !request.scopes.iter().any(|scope| scope == "openid") {
        return page::redirect_to(&request.refuse(OauthError("invalid_scope", "openid is required")));
    }
    let asks = |what: &str| request.prompt.iter().any(|prompt| prompt == what);
    let session = sso.sessions.current(&headers, sso.now()).filter(|session| {
        let age = sso.now().saturating_sub(session.auth_time);
        !asks("login") && !asks("select_account") && request.max_age.is_none_or(|most| age <= most)
    });
    match session {
        Some(session) => page::redirect_to(&sso.answer(&request, &session)),
        None if asks("none") => {
            page::redirect_to(&request.refuse(OauthError("login_required", "nobody is signed in")))
        }
        None => {
            let id = sso.pending.keep(request);
            page::respond(StatusCode::OK, sign_in(&id, false))
        }
    }
}

async fn login(State(sso): State<Arc<Shared>>, headers: HeaderMap, RawForm(body): RawForm) -> Response {
    if !page::is_own_post(&headers, &sso.issuer) {
        return problem("This form was sent from another site.");
    }
    let Ok(form) = Params::parse(&body) else { return problem("The form was sent twice over.") };
    let id = form.get("request").unwrap_or_default();
    let Some(request) = sso.pending.get(id) else {
        return problem("This sign-in is over. Go back to where you came from and start again.");
    };
    let user = sso.user(form.get("username").unwrap_or_default());
    let Some(user) = user.filter(|user| form.get("password") == Some(user.password.as_str())) else {
        return page::respond(StatusCode::UNAUTHORIZED, sign_in(id, true));
    };
    if sso.pending.take(id).is_none() {
        return problem("This sign-in is over. Go back to where you came from and start again.");
    }
    let (session, cookie) = sso.sessions.begin(&headers, &user.username, sso.now());
    page::redirect(sso.answer(&request, &session).as_str(), Some(cookie))
}

impl Shared {
    /// Issues a code and says where to take it.
    fn answer(&self, request: &AuthorizationRequest, session: &Session) -> url::Url {
        request.accept(&self.keep_code(Code::new(request, session, self.now())))
    }
}

fn sign_in(request: &str, failed: bool) -> Markup {
    let hint = "Demo users: alice (password wonderland) and bob (password builder).";
    frame("Sign in", &page::login_form(request, "User name", hint, failed))
}

fn problem(why: &str) -> Response {
    page::respond(
        StatusCode::BAD_REQUEST,
        frame("That did not work", &html! { p.alert role="alert" { (why) } }),
    )
}

fn frame(title: &str, body: &Markup) -> Markup {
    page::shell("Company SSO", "#2f5bb7", title, body)
}
