//! A person's own connections: what is connected, who may use it, and the way to end it.

use super::{
    Web,
    csrf::Action,
    failure::Failure,
    incoming::Incoming,
    pages::{self, Approved, Listing},
    reply::{self, Answer},
    return_path::ReturnPath,
    sign_in,
};
use crate::{
    domain::{
        ConnectionId, ConnectionState, EventKind, Outcome, ProviderId, Reason, ScopeSet, Subject,
        provider::{ScopeAccess, ScopeSpec},
    },
    usecase::{
        list_connections::{Listed, of_subject},
        revoke_connection,
    },
};
use axum::{extract::State, http::StatusCode, response::Response};
use std::sync::Arc;

/// `GET /connections`
pub(super) async fn list(State(web): State<Arc<Web>>, incoming: Incoming) -> Answer {
    let Some(session) = incoming.session(&web).await? else {
        return sign_in::choose(&web, &ReturnPath::Connections);
    };
    let own = of_subject(&web.rooms, &session.subject, None).await?;
    let listings: Vec<Listing> =
        own.iter().filter(|listed| !is_over(listed)).map(|listed| listing(&web, listed)).collect();
    Ok(reply::page(StatusCode::OK, pages::connections(&web.frame(&session), &listings)))
}

/// `GET /connections/{id}/disconnect`
pub(super) async fn ask_disconnect(State(web): State<Arc<Web>>, incoming: Incoming) -> Answer {
    let Some(session) = incoming.session(&web).await? else {
        return sign_in::choose(&web, &ReturnPath::Connections);
    };
    let listed = find(&web, &session.subject, incoming.path("id")).await?;
    if is_over(&listed) {
        return Err(nothing());
    }
    let token = web.token(&session, Action::Disconnect, listed.connection.id.as_str());
    let page = pages::ask_disconnect(&web.frame(&session), &listing(&web, &listed), &token);
    Ok(reply::page(StatusCode::OK, page))
}

/// `POST /connections/{id}/disconnect`
pub(super) async fn disconnect(State(web): State<Arc<Web>>, incoming: Incoming) -> Answer {
    let id = incoming.path("id");
    let visitor = incoming.sender(&web, Action::Disconnect, id).await.map_err(|f| f.then("/connections"))?;
    let subject = &visitor.session.subject;
    let listed = find(&web, subject, id).await?;
    // Sent twice, or from a tab that was late: it is gone, as was wanted.
    if is_over(&listed) {
        return Ok(gone());
    }
    let shown = listing(&web, &listed);
    let draft = visitor.draft(&web.rooms, EventKind::ConnectionRevoked, Outcome::Allowed);
    match revoke_connection(&web.rooms, &visitor.call, listed.connection, draft).await {
        Ok(ended) => {
            let page = pages::disconnected(&web.frame(&visitor.session), &shown, &ended);
            Ok(reply::page(StatusCode::OK, page))
        }
        Err(_) if find(&web, subject, id).await.is_ok_and(|listed| is_over(&listed)) => Ok(gone()),
        Err(refusal) => Err(Failure::from(refusal).then("/connections")),
    }
}

/// Back to the list, where it is no more.
fn gone() -> Response {
    reply::see_other(&ReturnPath::Connections.path())
}

fn is_over(listed: &Listed) -> bool {
    listed.connection.state == ConnectionState::Revoked
}

/// One of the person's own, over or not; another's is not found, like one that never was.
async fn find(web: &Web, subject: &Subject, id: &str) -> Result<Listed, Failure> {
    let id = ConnectionId::parse(id).map_err(|_| Failure::not_found())?;
    let found = of_subject(&web.rooms, subject, None).await?.into_iter().find(|one| one.connection.id == id);
    found.ok_or_else(nothing)
}

fn nothing() -> Failure {
    Failure::from(Reason::NotFound).then("/connections")
}

fn listing(web: &Web, listed: &Listed) -> Listing {
    let connection = &listed.connection;
    let spec = web.rooms.providers.get(&connection.provider);
    let approvals = listed.approvals.iter().map(|approval| Approved {
        server: web.rooms.workload_name(&approval.workload),
        scopes: in_words(web, &connection.provider, &approval.scopes),
    });
    Listing {
        id: connection.id.clone(),
        provider: spec.map_or_else(|| connection.provider.to_string(), |spec| spec.display_name.clone()),
        account: connection.account.label.clone(),
        state: connection.state,
        approvals: approvals.collect(),
        connected_at: connection.created_at,
        ends_at: listed.ends_at,
        last_used_at: listed.last_used_at,
    }
}

/// Scopes as sentences; one that the configuration no longer describes by its own name, as if it could change things.
fn in_words(web: &Web, provider: &ProviderId, scopes: &ScopeSet) -> Vec<ScopeSpec> {
    let spec = web.rooms.providers.get(provider);
    let described = |scope| spec.and_then(|spec| spec.scope(scope)).cloned();
    let undescribed = |scope: &crate::domain::Scope| ScopeSpec {
        scope: scope.clone(),
        description: scope.as_str().to_owned(),
        access: ScopeAccess::Write,
    };
    scopes.iter().map(|scope| described(scope).unwrap_or_else(|| undescribed(scope))).collect()
}
