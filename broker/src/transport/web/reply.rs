//! Shapes of answers.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{AppendHeaders, Html, IntoResponse, Response},
};
use maud::Markup;

const STYLE: &str = include_str!("style.css");

/// What a page's handler answers.
pub(super) type Answer = Result<Response, super::failure::Failure>;

/// A page.
pub(super) fn page(status: StatusCode, markup: Markup) -> Response {
    (status, Html(markup.into_string())).into_response()
}

/// A page that only leads elsewhere. It tells nobody where it came from.
pub(super) fn leaving(markup: Markup) -> Response {
    let mut response = page(StatusCode::OK, markup);
    response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// To another page, always by GET (RFC 9110 §15.4.4).
pub(super) fn see_other(to: &str) -> Response {
    match HeaderValue::try_from(to) {
        Ok(location) => (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response(),
        Err(_) => super::failure::Failure::not_found().into_response(),
    }
}

/// With one more cookie.
pub(super) fn with_cookie(response: Response, cookie: HeaderValue) -> Response {
    (AppendHeaders([(header::SET_COOKIE, cookie)]), response).into_response()
}

/// Nothing, well-formed.
pub(super) fn empty() -> Response {
    Html("").into_response()
}

/// The one style sheet.
pub(super) async fn style() -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("text/css; charset=utf-8"))], STYLE).into_response()
}
