//! A provider sends the browser back.

use super::{
    Web,
    consent::Note,
    csrf::Action,
    failure::Failure,
    incoming::Incoming,
    pages,
    reply::{self, Answer},
    return_path::ReturnPath,
    texts,
};
use crate::{
    domain::{ProviderId, Reason, SecretString},
    usecase::{Callback, Finished, finish_consent},
};
use axum::{extract::State, http::StatusCode};
use std::sync::Arc;

/// `GET /oauth/callback/{provider}`
pub(super) async fn finish(State(web): State<Arc<Web>>, incoming: Incoming) -> Answer {
    let provider = ProviderId::parse(incoming.path("provider")).map_err(|_| Failure::not_found())?;
    let query = &incoming.query;
    let text = |name, max| query.get(name, max).map(|found| found.map(str::to_owned));
    let callback = Callback {
        state: query.need("state", 512)?.to_owned(),
        code: text("code", 8 * 1024)?.map(SecretString::from),
        iss: text("iss", 2048)?,
        error: text("error", 256)?,
    };
    let said = query.words("error_description", 2048)?;
    let failed = callback.error.is_some();
    let Some(session) = incoming.session(&web).await? else {
        return Err(Failure::told(StatusCode::FORBIDDEN, texts::CALLBACK_WITHOUT_SESSION));
    };
    let visitor = incoming.visitor(session);
    match finish_consent(&web.rooms, &visitor, &provider, callback).await {
        Ok(Finished::SeeConsent(handle)) => {
            let page = reply::see_other(&ReturnPath::Consent(handle.clone()).path());
            let note = said.filter(|_| failed).and_then(|said| Note::cookie(&web, &handle, said));
            Ok(match note {
                Some(note) => reply::with_cookie(page, note),
                None => page,
            })
        }
        Ok(Finished::SomebodyElses) => {
            let back = ReturnPath::Connections.path();
            let token = web.token(&visitor.session, Action::SwitchAccount, &back);
            let page = pages::wrong_person(&web.frame(&visitor.session), &back, &token);
            Ok(reply::page(StatusCode::FORBIDDEN, page))
        }
        Ok(Finished::OtherBrowser) => {
            let page = pages::other_browser(&web.frame(&visitor.session), None);
            Ok(reply::page(StatusCode::FORBIDDEN, page))
        }
        Err(refusal) if refusal.reason == Reason::NotFound => {
            Err(Failure::told(StatusCode::NOT_FOUND, texts::CALLBACK_UNKNOWN))
        }
        Err(refusal) => Err(refusal.into()),
    }
}
