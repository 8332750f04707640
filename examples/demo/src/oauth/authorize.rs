//! The authorization request (RFC 6749 §4.1.1) with PKCE S256 enforced (RFC 7636) and `iss` in the answer (RFC 9207).

use std::collections::HashMap;
use std::sync::Mutex;

use url::Url;

use super::{Clients, OauthError, Params};
use crate::random;

/// A request that names a known client and one of its redirect URIs, and is otherwise well formed.
#[derive(Clone)]
pub(crate) struct AuthorizationRequest {
    pub(crate) client_id: String,
    pub(crate) client_name: String,
    pub(crate) redirect_uri: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) challenge: String,
    pub(crate) nonce: Option<String>,
    pub(crate) prompt: Vec<String>,
    pub(crate) max_age: Option<i64>,
    answer_to: Url,
    state: Option<String>,
    issuer: String,
}

/// Why a request goes no further.
pub(crate) enum Refusal {
    /// The redirect URI cannot be trusted: tell the person, send nobody anywhere.
    Page(&'static str),
    /// Tell the client, at its redirect URI.
    Redirect(Box<Url>),
}

impl AuthorizationRequest {
    /// Checks a request for `issuer`. `known` says which scopes exist here.
    pub(crate) fn parse(
        query: &str,
        clients: &Clients,
        issuer: &str,
        known: &[&str],
    ) -> Result<AuthorizationRequest, Refusal> {
        let params = Params::parse(query.as_bytes()).map_err(|error| Refusal::Page(error.1))?;
        let client_id = params.get("client_id").ok_or(Refusal::Page("The request names no client."))?;
        let client = clients.find(client_id).ok_or(Refusal::Page("The client is not registered."))?;
        let redirect_uri =
            params.get("redirect_uri").ok_or(Refusal::Page("The request names no redirect URI."))?;
        if !client.redirect_uris.iter().any(|registered| registered == redirect_uri) {
            return Err(Refusal::Page("The redirect URI is not registered."));
        }
        let answer_to =
            Url::parse(redirect_uri).map_err(|_| Refusal::Page("The redirect URI is not a URL."))?;
        let request = AuthorizationRequest {
            client_id: client.id,
            client_name: client.name,
            redirect_uri: redirect_uri.to_owned(),
            scopes: params.list("scope"),
            challenge: params.get("code_challenge").unwrap_or_default().to_owned(),
            nonce: params.get("nonce").map(str::to_owned),
            prompt: params.list("prompt"),
            max_age: params.get("max_age").and_then(|age| age.parse().ok()),
            answer_to,
            state: params.get("state").map(str::to_owned),
            issuer: issuer.to_owned(),
        };
        match request.check(&params, known) {
            Ok(()) => Ok(request),
            Err(error) => Err(Refusal::Redirect(Box::new(request.refuse(error)))),
        }
    }

    fn check(&self, params: &Params, known: &[&str]) -> Result<(), OauthError> {
        if params.need("response_type")? != "code" {
            return Err(OauthError("unsupported_response_type", "only the code flow is offered"));
        }
        if params.get("response_mode").is_some_and(|mode| mode != "query") {
            return Err(OauthError("invalid_request", "only response_mode=query is offered"));
        }
        if params.get("code_challenge_method") != Some("S256") || self.challenge.len() != 43 {
            return Err(OauthError("invalid_request", "PKCE with S256 is required"));
        }
        if self.scopes.is_empty() || self.scopes.iter().any(|scope| !known.contains(&scope.as_str())) {
            return Err(OauthError("invalid_scope", "the scope is empty or unknown"));
        }
        Ok(())
    }

    /// The client's redirect URI with a code.
    pub(crate) fn accept(&self, code: &str) -> Url {
        self.answer(&[("code", code)])
    }

    /// The client's redirect URI with an error.
    pub(crate) fn refuse(&self, error: OauthError) -> Url {
        self.answer(&[("error", error.0), ("error_description", error.1)])
    }

    fn answer(&self, pairs: &[(&str, &str)]) -> Url {
        let mut target = self.answer_to.clone();
        let mut query = target.query_pairs_mut();
        query.extend_pairs(pairs);
        if let Some(state) = &self.state {
            query.append_pair("state", state);
        }
        query.append_pair("iss", &self.issuer);
        drop(query);
        target
    }
}

/// Requests that wait for a person, by an unguessable id carried in the pages' forms.
#[derive(Default)]
pub(crate) struct Pending(Mutex<HashMap<String, AuthorizationRequest>>);

impl Pending {
    pub(crate) fn keep(&self, request: AuthorizationRequest) -> String {
        let id = random::token("");
        self.0.lock().expect("no holder panicked").insert(id.clone(), request);
        id
    }

    pub(crate) fn get(&self, id: &str) -> Option<AuthorizationRequest> {
        self.0.lock().expect("no holder panicked").get(id).cloned()
    }

    /// Ends the wait: a request is answered once.
    pub(crate) fn take(&self, id: &str) -> Option<AuthorizationRequest> {
        self.0.lock().expect("no holder panicked").remove(id)
    }
}
