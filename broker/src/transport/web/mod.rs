//! Pages for people: sign-in, consent, and their own connections. Server-rendered, no script (design §11).
//!
//! GET never changes what the broker knows, with two exceptions: the OAuth callbacks, and the counted visit of
//! somebody else's link (CO2, CO6). HEAD does nothing at all.

mod backchannel;
mod callback;
mod connections;
mod consent;
mod cookies;
mod csrf;
mod failure;
mod guard;
mod incoming;
mod login;
mod pages;
mod params;
mod parent;
mod reply;
mod return_path;
mod session;
mod sign_in;
mod texts;

#[cfg(test)]
mod tests;

pub use login::{LoginSpec, Logins};

use crate::usecase::Rooms;
use axum::{
    Router,
    http::StatusCode,
    middleware::from_fn_with_state,
    routing::{MethodRouter, get, post},
};
use failure::Failure;
use std::sync::Arc;

/// What every page needs.
struct Web {
    rooms: Arc<Rooms>,
    logins: Arc<Logins>,
    /// Scheme, host and port of the public URL: what `Origin` has to be.
    origin: String,
    /// Before any logout token's signature is looked at.
    logout_gate: backchannel::LogoutGate,
}

type Page = MethodRouter<Arc<Web>>;

/// The pages. `rooms.settings.public_url` has no path of its own: cookies are for the whole host.
pub fn router(rooms: Arc<Rooms>, logins: Arc<Logins>) -> Router {
    let origin = rooms.settings.public_url.origin().ascii_serialization();
    let logout_gate = backchannel::LogoutGate::new(&rooms);
    let web = Arc::new(Web { rooms, logins, origin, logout_gate });
    routes().layer(from_fn_with_state(web.clone(), guard::guard)).with_state(web)
}

fn routes() -> Router<Arc<Web>> {
    Router::new()
        .route("/", get(async || reply::see_other("/connections")))
        .route("/style.css", get(reply::style))
        .route("/favicon.ico", get(async || StatusCode::NO_CONTENT))
        .route("/login/start", quiet_head(get(sign_in::start)))
        .route("/login/callback", quiet_head(get(sign_in::callback)))
        .route("/login/switch", post(sign_in::switch))
        .route("/logout", post(session::logout))
        .route("/logout/backchannel/{issuer}", post(backchannel::logout))
        .route("/consent/{handle}", quiet_head(get(consent::show)))
        .route("/consent/{handle}/approve", post(consent::approve))
        .route("/consent/{handle}/decline", post(consent::decline))
        .route("/consent/{handle}/confirm", post(consent::confirm))
        .route("/consent/{handle}/reject", post(consent::reject))
        .route("/consents/{handle}", quiet_head(get(parent::show)))
        .route("/oauth/callback/{provider}", quiet_head(get(callback::finish)))
        .route("/connections", quiet_head(get(connections::list)))
        .route(
            "/connections/{id}/disconnect",
            quiet_head(get(connections::ask_disconnect)).post(connections::disconnect),
        )
        .fallback(async || Failure::not_found())
        .method_not_allowed_fallback(async || Failure::wrong_method())
}

/// HEAD, which link scanners send, is answered without looking anything up.
fn quiet_head(page: Page) -> Page {
    page.head(async || reply::empty())
}
