//! The authorization endpoint and its pages: sign in, then allow or deny.

use std::sync::Arc;

use axum::Router;
use axum::extract::{RawForm, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::get;
use maud::{Markup, html};

use super::Shared;
use super::product::{Account, Product};
use super::token::Code;
use super::truth::Event;
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
    State(saas): State<Arc<Shared>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let query = query.unwrap_or_default();
    let request =
        match AuthorizationRequest::parse(&query, &saas.clients, &saas.origin, &saas.product.scopes()) {
            Ok(request) => request,
            Err(Refusal::Page(why)) => return problem(saas.product, why),
            Err(Refusal::Redirect(target)) => return page::redirect_to(&target),
        };
    let asks = |what: &str| request.prompt.iter().any(|prompt| prompt == what);
    if asks("none") {
        let refusal = OauthError("interaction_required", "this server always asks the account's owner");
        return page::redirect_to(&request.refuse(refusal));
    }
    let sign_in_first = asks("login") || asks("select_account") || saas.signed_in(&headers).is_none();
    let id = saas.pending.keep(request);
    let next = if sign_in_first { "login" } else { "consent" };
    page::redirect(&format!("/{next}?request={id}"), None)
}

async fn login_page(State(saas): State<Arc<Shared>>, RawQuery(query): RawQuery) -> Response {
    match named_request(&saas, query.unwrap_or_default().as_bytes()) {
        Some((id, _, _)) => page::respond(StatusCode::OK, sign_in(saas.product, &id, false)),
        None => problem(saas.product, OVER),
    }
}

async fn login(State(saas): State<Arc<Shared>>, headers: HeaderMap, RawForm(body): RawForm) -> Response {
    if !page::is_own_post(&headers, &saas.origin) {
        return problem(saas.product, FOREIGN);
    }
    let Some((id, _, form)) = named_request(&saas, &body) else { return problem(saas.product, OVER) };
    let (label, password) = (form.get("username"), form.get("password"));
    let mut accounts = saas.product.accounts.iter();
    let Some(account) = accounts.find(|a| label == Some(a.label) && password == Some(a.password)) else {
        return page::respond(StatusCode::UNAUTHORIZED, sign_in(saas.product, &id, true));
    };
    let (_, cookie) = saas.sessions.begin(&headers, account.id, saas.now());
    page::redirect(&format!("/consent?request={id}"), Some(cookie))
}

async fn consent_page(
    State(saas): State<Arc<Shared>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let Some((id, request, _)) = named_request(&saas, query.unwrap_or_default().as_bytes()) else {
        return problem(saas.product, OVER);
    };
    match saas.signed_in(&headers) {
        Some(account) => page::respond(StatusCode::OK, ask(saas.product, &id, &request, account)),
        None => page::redirect(&format!("/login?request={id}"), None),
    }
}

async fn decide(State(saas): State<Arc<Shared>>, headers: HeaderMap, RawForm(body): RawForm) -> Response {
    if !page::is_own_post(&headers, &saas.origin) {
        return problem(saas.product, FOREIGN);
    }
    let Some((id, _, form)) = named_request(&saas, &body) else { return problem(saas.product, OVER) };
    // The page named an account; another tab may have signed in as somebody else since.
    let account = saas.signed_in(&headers).filter(|account| form.get("account") == Some(account.id));
    let Some(account) = account else {
        return problem(saas.product, "You are signed in as somebody else by now.");
    };
    let Some(allowed) = form.get("decision").map(|decision| decision == "approve") else {
        return problem(saas.product, "Choose Allow or Deny.");
    };
    let Some(request) = saas.pending.take(&id) else { return problem(saas.product, OVER) };
    page::redirect_to(&if allowed { saas.allow(&request, account) } else { saas.deny(&request, account) })
}

/// The waiting request that a form or query names.
fn named_request(saas: &Shared, encoded: &[u8]) -> Option<(String, AuthorizationRequest, Params)> {
    let params = Params::parse(encoded).ok()?;
    let id = params.get("request")?.to_owned();
    Some((id.clone(), saas.pending.get(&id)?, params))
}

impl Shared {
    fn signed_in(&self, headers: &HeaderMap) -> Option<&Account> {
        let session = self.sessions.current(headers, self.now())?;
        self.product.accounts.iter().find(|account| account.id == session.user)
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

fn sign_in(product: &Product, request: &str, failed: bool) -> Markup {
    let [one, other] = product.accounts.each_ref().map(|a| format!("{} (password {})", a.label, a.password));
    let hint = format!("Demo accounts: {one} and {other}.");
    let form = page::login_form(request, "Account", &hint, failed);
    frame(product, &format!("Sign in to {}", product.name), &form)
}

fn ask(product: &Product, id: &str, request: &AuthorizationRequest, account: &Account) -> Markup {
    let body = html! {
        p { strong { (request.client_name) } " wants to use the account " strong { (account.label) } ":" }
        ul { @for scope in &request.scopes { li { (product.words(scope)) " (" code { (scope) } ")" } } }
        form id="consent" method="post" action="/consent" {
            input type="hidden" name="request" value=(id);
            input type="hidden" name="account" value=(account.id);
            button type="submit" name="decision" value="approve" { "Allow" }
            button.quiet type="submit" name="decision" value="deny" { "Deny" }
        }
        p.hint { a href={ "/login?request=" (id) } { "Use another account" } }
    };
    frame(product, "Allow access?", &body)
}

fn problem(product: &Product, why: &str) -> Response {
    page::respond(
        StatusCode::BAD_REQUEST,
        frame(product, "That did not work", &html! { p.alert role="alert" { (why) } }),
    )
}

fn frame(product: &Product, title: &str, body: &Markup) -> Markup {
    page::shell(product.name, product.accent, title, body)
}
