//! The token endpoint (RFC 6749 §4.1.3, §6) and the revocation endpoint (RFC 7009).

use std::future::Future;
use std::sync::Arc;

use axum::extract::{RawForm, State};
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::Shared;
use super::families::{Issued, Terms};
use super::fault::{Endpoint, Fault};
use super::truth::{Event, RevokedKind};
use crate::oauth::{AuthorizationRequest, Client, OauthError, Params, pkce_matches};
use crate::{random, server};

/// How long a code may be redeemed, in seconds.
const CODE_LIFETIME: i64 = 60;

const DEAD: OauthError = OauthError("invalid_grant", "it is unknown, used, expired, revoked or not yours");

/// What a code stands for.
pub(super) struct Code {
    request: AuthorizationRequest,
    account: String,
    born: i64,
    family: Option<u64>,
}

impl Code {
    pub(super) fn new(request: &AuthorizationRequest, account: &str, now: i64) -> Code {
        Code { request: request.clone(), account: account.to_owned(), born: now, family: None }
    }
}

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new().route("/token", post(token)).route("/revoke", post(revoke))
}

async fn token(State(saas): State<Arc<Shared>>, headers: HeaderMap, RawForm(body): RawForm) -> Response {
    detached(async move {
        let fault = saas.next_fault(Endpoint::Token);
        let early = match &fault {
            Some(fault) => fault.instead().await,
            None => None,
        };
        if let Some(response) = early {
            return response;
        }
        let answer = saas.grant(&headers, &body, fault.as_ref());
        if let Some(Fault::SlowAnswer(release)) = &fault {
            release.notified().await;
        }
        match (answer, fault) {
            (_, Some(Fault::DropConnection)) => server::lost_reply(),
            (Err(error), _) => error.into_response(),
            (Ok(mut answer), fault) => {
                fault.inspect(|fault| fault.bend(&mut answer));
                ([(CACHE_CONTROL, "no-store")], Json(answer)).into_response()
            }
        }
    })
    .await
}

async fn revoke(State(saas): State<Arc<Shared>>, headers: HeaderMap, RawForm(body): RawForm) -> Response {
    detached(async move {
        let fault = saas.next_fault(Endpoint::Revoke);
        let early = match &fault {
            Some(fault) => fault.instead().await,
            None => None,
        };
        if let Some(response) = early {
            return response;
        }
        match (saas.end_token(&headers, &body), fault) {
            (_, Some(Fault::DropConnection)) => server::lost_reply(),
            (Err(error), _) => error.into_response(),
            (Ok(()), _) => StatusCode::OK.into_response(),
        }
    })
    .await
}

/// That nobody will hear of it; nothing where the refresh token is none of ours.
fn lost_reply_to(events: &[Event]) -> Option<Event> {
    events.iter().find_map(|event| match event {
        Event::Refreshed { family, generation, .. }
        | Event::ReuseDetected { family, generation }
        | Event::RefreshRefused { family: Some(family), generation: Some(generation) } => {
            Some(Event::ReplyLost { family: *family, generation: *generation })
        }
        _ => None,
    })
}

/// Runs to its end even when the caller hangs up: a provider that took a request finishes it.
async fn detached(work: impl Future<Output = Response> + Send + 'static) -> Response {
    tokio::spawn(work).await.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

impl Shared {
    /// Keeps what a new code stands for and answers the code.
    pub(super) fn keep_code(&self, code: Code) -> String {
        let name = random::token("code_");
        self.codes.lock().expect("no holder panicked").insert(name.clone(), code);
        name
    }

    fn grant(&self, headers: &HeaderMap, body: &[u8], fault: Option<&Fault>) -> Result<Value, OauthError> {
        let params = Params::parse(body)?;
        self.heard.asked(&params);
        self.heard.within(headers);
        let client = self.clients.authenticate(headers, &params, false)?;
        let (access_lifetime, rotation) = *self.terms.lock().expect("no holder panicked");
        let issue_refresh_token = !matches!(fault, Some(Fault::NoRefreshToken));
        let terms = Terms { now: self.now(), access_lifetime, rotation, issue_refresh_token };
        let issued = match params.need("grant_type")? {
            "authorization_code" => self.redeem(&client, &params, terms, fault)?,
            "refresh_token" => self.refresh(&client, &params, terms, fault)?,
            _ => return Err(OauthError("unsupported_grant_type", "codes and refresh tokens only")),
        };
        let mut answer = json!({
            "access_token": issued.access_token,
            "token_type": "Bearer",
            "expires_in": access_lifetime,
            "scope": issued.scopes.join(" "),
        });
        if let Some(refresh_token) = issued.refresh_token {
            answer["refresh_token"] = json!(refresh_token);
        }
        self.heard.answered(&answer);
        Ok(answer)
    }

    fn redeem(
        &self,
        client: &Client,
        params: &Params,
        terms: Terms,
        fault: Option<&Fault>,
    ) -> Result<Issued, OauthError> {
        let redirect_uri = params.need("redirect_uri")?;
        let verifier = params.need("code_verifier")?;
        let mut codes = self.codes.lock().expect("no holder panicked");
        let code = codes.get_mut(params.need("code")?).ok_or(DEAD)?;
        if let Some(family) = code.family {
            // RFC 6749 §4.1.2: what came from a code that is replayed should end.
            self.truth.log(Event::CodeReplayed { family });
            self.kill(family, RevokedKind::CodeReplay);
            return Err(DEAD);
        }
        let fresh = terms.now < code.born.saturating_add(CODE_LIFETIME);
        let same = code.request.client_id == client.id && code.request.redirect_uri == redirect_uri;
        if !fresh || !same || !pkce_matches(verifier, &code.request.challenge) {
            return Err(DEAD);
        }
        let scopes = self.bend_scopes(code.request.scopes.clone(), fault);
        let mut families = self.families.lock().expect("no holder panicked");
        let account = match fault {
            Some(Fault::OtherAccount) => self.other_account(&code.account),
            _ => code.account.clone(),
        };
        let issued = families.begin(&client.id, &account, scopes, terms);
        code.family = Some(issued.family);
        self.truth.log(Event::TokensIssued {
            family: issued.family,
            account,
            scopes: issued.scopes.clone(),
            refresh_token: issued.refresh_token.is_some(),
        });
        Ok(issued)
    }

    fn refresh(
        &self,
        client: &Client,
        params: &Params,
        terms: Terms,
        fault: Option<&Fault>,
    ) -> Result<Issued, OauthError> {
        let token = params.need("refresh_token")?;
        let wanted = params.list("scope");
        let mut families = self.families.lock().expect("no holder panicked");
        let held = families.family_scopes(token).unwrap_or_default();
        // Checked first: asking for too much must not use up the refresh token.
        if !held.is_empty() && wanted.iter().any(|scope| !held.contains(scope)) {
            return Err(OauthError("invalid_scope", "more than was granted"));
        }
        let narrow = |held: &[String]| {
            self.bend_scopes(if wanted.is_empty() { held.to_vec() } else { wanted.clone() }, fault)
        };
        let (issued, events) = families.refresh(&client.id, token, terms, narrow);
        // Logged under the lock, so that the log's order is the order in which things happened.
        let lost = fault.is_some_and(|fault| matches!(fault, Fault::DropConnection));
        let lost = if lost { lost_reply_to(&events) } else { None };
        events.into_iter().chain(lost).for_each(|event| self.truth.log(event));
        issued.ok_or(DEAD)
    }

    /// RFC 7009 §2: a token nobody knows is as good as revoked.
    fn end_token(&self, headers: &HeaderMap, body: &[u8]) -> Result<(), OauthError> {
        let params = Params::parse(body)?;
        let client = self.clients.authenticate(headers, &params, false)?;
        let token = params.need("token")?;
        let Some(facts) = self.facts(token) else { return Ok(()) };
        if facts.client != client.id {
            return Err(DEAD);
        }
        match facts.generation {
            Some(_) => self.kill(facts.family, RevokedKind::Family),
            None => {
                let mut families = self.families.lock().expect("no holder panicked");
                families.kill_access(token);
                self.truth.log(Event::Revoked { family: facts.family, kind: RevokedKind::AccessToken });
            }
        }
        Ok(())
    }

    fn other_account(&self, account: &str) -> String {
        let other = self.product.accounts.iter().find(|known| known.id != account);
        other.map_or(account, |other| other.id).to_owned()
    }

    fn kill(&self, family: u64, kind: RevokedKind) {
        let mut families = self.families.lock().expect("no holder panicked");
        if families.kill(family) {
            self.truth.log(Event::Revoked { family, kind });
        }
    }

    fn bend_scopes(&self, scopes: Vec<String>, fault: Option<&Fault>) -> Vec<String> {
        match fault {
            Some(Fault::FewerScopes) => scopes.into_iter().take(1).collect(),
            Some(Fault::MoreScopes) => self.product.scopes().map(str::to_owned).to_vec(),
            _ => scopes,
        }
    }
}
