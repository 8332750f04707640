//! The authorization endpoint and its pages: sign in, then allow or deny.

use std::sync::Arc;

use axum::Router;
use axum::extract::{RawForm, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::get;
use maud::{Markup, html};

use super::token::Code;
use super::truth::Event;
use super::{Account, SCOPES, Shared};
use crate::oauth::{AuthorizationRequest, OauthError, Params, Refusal};
use crate::page;

const OVER: &str = "This request is over. Go back to where you came from and start again.";
const FOREIGN: &str = "This form was sent from another site.";

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/authorize", get(authorize))
        .route("/login", get(login_page).post(login))
        .route("/consent", get(consent_page).post(decide))
}

async fn authorize(
    State(notes): State<Arc<Shared>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let query = query.unwrap_or_default();
    let request = match AuthorizationRequest::parse(&query, &notes.clients, &notes.origin, &SCOPES) {
        Ok(request) => request,
        Err(Refusal::Page(why)) => return problem(why),
        Err(Refusal::Redirect(target)) => return page::redirect_to(&target),
    };
    let asks = |what: &str| request.prompt.iter().any(|prompt| prompt == what);
    if asks("none") {
        let refusal = OauthError("interaction_required", "this server always asks the account's owner");
        return page::redirect_to(&request.refuse(refusal));
    }
    let sign_in_first = asks("login") || asks("select_account") || notes.signed_in(&headers).is_none();
    let id = notes.pending.keep(request);
    let next = if sign_in_first { "login" } else { "consent" };
    page::redirect(&format!("/{next}?request={id}"), None)
}

async fn login_page(State(notes): State<Arc<Shared>>, RawQuery(query): RawQuery) -> Response {
    match named_request(&notes, query.unwrap_or_default().as_bytes()) {
        Some((id, _, _)) => page::respond(StatusCode::OK, sign_in(&id, false)),
        None => problem(OVER),
    }
}

async fn login(State(notes): State<Arc<Shared>>, headers: HeaderMap, RawForm(body): RawForm) -> Response {
    if !page::is_own_post(&headers, &notes.origin) {
        return problem(FOREIGN);
    }
    let Some((id, _, form)) = named_request(&notes, &body) else { return problem(OVER) };
    let (label, password) = (form.get("username"), form.get("password"));
    let mut accounts = notes.accounts.iter();
    let Some(account) = accounts.find(|a| label == Some(a.label) && password == Some(a.password)) else {
        return page::respond(StatusCode::UNAUTHORIZED, sign_in(&id, true));
    };
    let (_, cookie) = notes.sessions.begin(&headers, account.id, notes.now());
    page::redirect(&format!("/consent?request={id}"), Some(cookie))
}

async fn consent_page(
    State(notes): State<Arc<Shared>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let Some((id, request, _)) = named_request(&notes, query.unwrap_or_default().as_bytes()) else {
        return problem(OVER);
    };
    match notes.signed_in(&headers) {
        Some(account) => page::respond(StatusCode::OK, ask(&id, &request, account)),
        None => page::redirect(&format!("/login?request={id}"), None),
    }
}

async fn decide(State(notes): State<Arc<Shared>>, headers: HeaderMap, RawForm(body): RawForm) -> Response {
    if !page::is_own_post(&headers, &notes.origin) {
        return problem(FOREIGN);
    }
    let Some((id, _, form)) = named_request(&notes, &body) else { return problem(OVER) };
    // The page named an account; another tab may have signed in as somebody else since.
    let account = notes.signed_in(&headers).filter(|account| form.get("account") == Some(account.id));
    let Some(account) = account else { return problem("You are signed in as somebody else by now.") };
    let Some(allowed) = form.get("decision").map(|decision| decision == "approve") else {
        return problem("Choose Allow or Deny.");
    };
    let Some(request) = notes.pending.take(&id) else { return problem(OVER) };
    page::redirect_to(&if allowed { notes.allow(&request, account) } else { notes.deny(&request, account) })
}

/// The waiting request that a form or query names.
fn named_request(notes: &Shared, encoded: &[u8]) -> Option<(String, AuthorizationRequest, Params)> {
    let params = Params::parse(encoded).ok()?;
    let id = params.get("request")?.to_owned();
    Some((id.clone(), notes.pending.get(&id)?, params))
}

impl Shared {
    fn signed_in(&self, headers: &HeaderMap) -> Option<&Account> {
        let session = self.sessions.current(headers, self.now())?;
        self.accounts.iter().find(|account| account.id == session.user)
    }

    fn allow(&self, request: &AuthorizationRequest, account: &Account) -> url::Url {
        let (account, client) = (account.id.to_owned(), request.client_id.clone());
        let code = self.keep_code(Code::new(request, &account, self.now()));
        self.truth.log(Event::CodeIssued { account, client, scopes: request.scopes.clone() });
        request.accept(&code)
    }

    fn deny(&self, request: &AuthorizationRequest, account: &Account) -> url::Url {
        let client = request.client_id.clone();
        self.truth.log(Event::ConsentDenied { account: account.id.to_owned(), client });
        request.refuse(OauthError("access_denied", "the account's owner said no"))
    }
}

fn sign_in(request: &str, failed: bool) -> Markup {
    let hint = "Demo accounts: alice@notes.example (password alice-notes) and bob@notes.example (password bob-notes).";
    frame("Sign in to Notes", &page::login_form(request, "Account", hint, failed))
}

fn ask(id: &str, request: &AuthorizationRequest, account: &Account) -> Markup {
    let words = |scope: &str| match scope {
        "notes.read" => "Read your notes",
        "notes.write" => "Write notes in your name",
        _ => "Something this page has no words for",
    };
    let body = html! {
        p { strong { (request.client_name) } " wants to use the account " strong { (account.label) } ":" }
        ul { @for scope in &request.scopes { li { (words(scope)) " (" code { (scope) } ")" } } }
        form id="consent" method="post" action="/consent" {
            input type="hidden" name="request" value=(id);
            input type="hidden" name="account" value=(account.id);
            button type="submit" name="decision" value="approve" { "Allow" }
            button.quiet type="submit" name="decision" value="deny" { "Deny" }
        }
        p.hint { a href={ "/login?request=" (id) } { "Use another account" } }
    };
    frame("Allow access?", &body)
}

fn problem(why: &str) -> Response {
    page::respond(
        StatusCode::BAD_REQUEST,
        frame("That did not work", &html! { p.alert role="alert" { (why) } }),
    )
}

fn frame(title: &str, body: &Markup) -> Markup {
    page::shell("Notes", "#1c7a4f", title, body)
}
