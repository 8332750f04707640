//! The page that leads a person through several consents. It only shows: every answer is given on a consent's own page.

use super::{
    Web,
    consent::{handle, wrong_person},
    incoming::Incoming,
    pages,
    reply::{self, Answer},
    return_path::ReturnPath,
    sign_in,
};
use crate::usecase::{ParentVisit, find_parent, open_parent};
use axum::{extract::State, http::StatusCode};
use std::sync::Arc;

/// `GET /consents/{handle}`
pub(super) async fn show(State(web): State<Arc<Web>>, incoming: Incoming) -> Answer {
    let handle = handle(&incoming)?;
    let here = ReturnPath::Parent(handle.clone());
    let Some(session) = incoming.session(&web).await? else {
        let parent = find_parent(&web.rooms, &handle).await?;
        return Ok(sign_in::first(&parent.subject.realm, &here));
    };
    let visitor = incoming.visitor(session);
    match open_parent(&web.rooms, &visitor, &handle).await? {
        ParentVisit::SomebodyElses => Ok(wrong_person(&web, &visitor.session, &here)),
        ParentVisit::Own(view) => {
            let page = pages::parent(&web.frame(&visitor.session), &view, &here.path());
            Ok(reply::page(StatusCode::OK, page))
        }
    }
}
