//! Signing out.

use super::{
    Web,
    cookies::{self, SESSION},
    csrf::Action,
    incoming::Incoming,
    pages,
    reply::{self, Answer},
};
use crate::usecase::session::end_session;
use axum::{extract::State, http::StatusCode};
use std::sync::Arc;

/// `POST /logout`
pub(super) async fn logout(State(web): State<Arc<Web>>, incoming: Incoming) -> Answer {
    // Somebody whose session is over already wanted just that.
    if incoming.session(&web).await?.is_some() {
        let visitor = incoming.sender(&web, Action::Logout, "").await?;
        end_session(&web.rooms, &visitor.call, visitor.session).await?;
    }
    Ok(reply::with_cookie(reply::page(StatusCode::OK, pages::signed_out()), cookies::clear(SESSION)))
}
