//! An identity provider tells that a session with it is over (OpenID Connect Back-Channel Logout 1.0 §2.5). Server to
//! server: no cookie, no page, no `Origin`; the signed token alone counts, and whom it ends is never told.

use super::{
    Web,
    failure::{Failure, status},
    guard::TraceId,
    incoming::{body, client_address},
    params::Params,
};
use crate::{
    audit::Deadline,
    domain::{Reason, Refusal},
    identity::{Cost, VerifiedLogout},
    usecase::{Call, Rooms, end_sessions_by_logout_token, turns::Turns},
};
use axum::{
    RequestExt,
    extract::{RawPathParams, Request, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use std::{net::IpAddr, sync::Arc, time::Duration};

/// Longest logout token, in bytes; real ones have about 1 KiB.
const MAX_LENGTH: usize = 8 * 1024;
/// When to send a token again that could not be served.
const LATER: Duration = Duration::from_secs(30);

/// What stands before the signature: only so many tokens are verified at once, and the next ones wait for their turn, in
/// order. Nobody is refused for what others sent: behind an ingress every caller has one address, and many identity
/// providers never send a logout again. A bad token costs its parsing and at most one signature.
pub(super) struct LogoutGate {
    checking: Turns,
    /// Those that first wait for their issuer's keys, and must not keep waiting who needs none: a line for each issuer.
    fetching: Vec<Turns>,
}

impl LogoutGate {
    pub(super) fn new(rooms: &Rooms) -> Self {
        let limits = rooms.settings.limits;
        let at_once = limits.max_concurrent_verifications as usize;
        // As many as there may be connections: a line that long is over within a second.
        let line = || Turns::new(at_once, limits.max_connections as usize);
        Self { checking: line(), fetching: (0..rooms.identity.issuers().max(1)).map(|_| line()).collect() }
    }

    /// Verifies a token in its turn, which is over before any session ends.
    async fn verify(
        &self,
        rooms: &Rooms,
        (issuer_name, client_id): (&str, &str),
        token: &str,
        deadline: Deadline,
    ) -> Result<VerifiedLogout, Refusal> {
        let line = match rooms.identity.cost_of_token(token) {
            Cost::Fetch(issuer) => &self.fetching[issuer % self.fetching.len()],
            Cost::Hash | Cost::Signature => &self.checking,
        };
        let _turn = line.take(deadline.remaining(&*rooms.clock)).await?;
        Ok(rooms.identity.logout(issuer_name, token, client_id).await?)
    }
}

/// Why a token was not served.
enum Refused {
    /// The request is not one; what a page would say.
    Request(Failure),
    /// The token, or what it needs.
    Token(Refusal),
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self::Request(failure)
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self::Token(refusal)
    }
}

/// `POST /logout/backchannel/{issuer}`
pub(super) async fn logout(State(web): State<Arc<Web>>, request: Request) -> Response {
    let peer = client_address(&request);
    match end(&web, request, peer).await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(refused) => {
            let (reason, response) = answer(refused);
            if let Some(peer) = peer {
                web.rooms.refusals.count("web", reason, peer);
            }
            response
        }
    }
}

async fn end(web: &Web, mut request: Request, peer: Option<IpAddr>) -> Result<(), Refused> {
    let path = request.extract_parts::<RawPathParams>().await.map_err(|_| Failure::not_found())?;
    let issuer = path.iter().find(|(name, _)| *name == "issuer").map_or("", |(_, value)| value);
    let client = &web.logins.of_issuer(issuer).ok_or_else(Failure::not_found)?.spec;
    let trace_id = request.extensions().get::<TraceId>().map(|trace| trace.0.clone());
    let form = Params::parse(&body(request).await?)?;
    let token = form.need("logout_token", MAX_LENGTH)?;
    let deadline = Deadline::after(&*web.rooms.clock, web.rooms.settings.limits.request_timeout);
    let call = Call { client_address: peer, trace_id, deadline };
    let (name, client_id) = (client.issuer_name.as_str(), client.client_id.as_str());
    let logout = web.logout_gate.verify(&web.rooms, (name, client_id), token, deadline).await?;
    let count = end_sessions_by_logout_token(&web.rooms, &call, &logout).await?;
    tracing::debug!(issuer = name, count, "an identity provider ended sessions");
    Ok(())
}

/// §2.8: 400 for a request or token that is wrong; what passes is told apart, so that the issuer may try again.
fn answer_status(refused: &Refused) -> StatusCode {
    match refused {
        Refused::Request(failure) => failure.status(),
        Refused::Token(refusal) => match status(refusal.reason) {
            StatusCode::FORBIDDEN => StatusCode::BAD_REQUEST,
            other => other,
        },
    }
}

fn answer(refused: Refused) -> (Reason, Response) {
    let status = answer_status(&refused);
    let (reason, words, retry) = match refused {
        Refused::Request(failure) => (failure.reason(), "The request is not a logout request.".into(), None),
        Refused::Token(refusal) => {
            tracing::info!(reason = refusal.reason.as_str(), error = ?refusal, "a logout token was not served");
            (refusal.reason, refusal.sentence, refusal.retry_after)
        }
    };
    let passing = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
    let error = if passing { "temporarily_unavailable" } else { "invalid_request" };
    let told = serde_json::json!({ "error": error, "error_description": words });
    let json = HeaderValue::from_static("application/json");
    let mut response = (status, [(header::CONTENT_TYPE, json)], told.to_string()).into_response();
    if passing {
        let delay = HeaderValue::from(retry.unwrap_or(LATER).as_secs().max(1));
        response.headers_mut().insert(header::RETRY_AFTER, delay);
    }
    (reason, response)
}
