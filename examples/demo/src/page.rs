//! The look both servers share: one calm card in the middle of the page.

use axum::http::header::{CACHE_CONTROL, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use url::Url;

const STYLE: &str = "
:root { color-scheme: light dark; --accent: #2f5bb7; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0; display: grid; place-items: center; min-height: 100vh; background: Canvas; color: CanvasText; }
main { width: min(24rem, 90vw); padding: 2rem; border: 1px solid color-mix(in srgb, CanvasText 20%, Canvas); border-top: 4px solid var(--accent); border-radius: 8px; }
.brand { font-weight: 600; color: var(--accent); margin: 0 0 .5rem; }
h1 { font-size: 1.35rem; margin: 0 0 1rem; }
label { display: block; margin: 1rem 0 .25rem; }
input { width: 100%; box-sizing: border-box; padding: .5rem; font: inherit; }
button { margin: 1.25rem .75rem 0 0; padding: .5rem 1.25rem; font: inherit; border-radius: 6px; border: 1px solid var(--accent); background: var(--accent); color: #fff; }
button.quiet { background: transparent; color: inherit; }
.alert { border-left: 4px solid #b3261e; padding-left: .75rem; }
.hint { opacity: .75; font-size: .9rem; }
";

/// A whole page. `brand` is who is speaking ("Company SSO", "Notes"), `accent` its colour.
pub(crate) fn shell(brand: &str, accent: &str, title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " · " (brand) }
                style { (PreEscaped(STYLE)) ":root { --accent: " (accent) "; }" }
            }
            body { main { p.brand { (brand) } h1 { (title) } (body) } }
        }
    }
}

/// A login form that posts to `/login` for the pending authorization `request`.
pub(crate) fn login_form(request: &str, user_label: &str, hint: &str, failed: bool) -> Markup {
    html! {
        @if failed { p.alert role="alert" { "That name and password do not match. Try again." } }
        form id="login" method="post" action="/login" {
            input type="hidden" name="request" value=(request);
            label for="username" { (user_label) }
            input id="username" name="username" autocomplete="username" required autofocus;
            label for="password" { "Password" }
            input id="password" name="password" type="password" autocomplete="current-password" required;
            button type="submit" { "Sign in" }
        }
        p.hint { (hint) }
    }
}

/// A page with its status, never stored by the browser.
pub(crate) fn respond(status: StatusCode, markup: Markup) -> Response {
    (status, [(CACHE_CONTROL, "no-store")], markup).into_response()
}

/// 303 to `target` (RFC 9110 §15.4.4: the next request is a GET), setting a cookie where given.
pub(crate) fn redirect(target: &str, set_cookie: Option<String>) -> Response {
    let mut response = (StatusCode::SEE_OTHER, [(CACHE_CONTROL, "no-store")]).into_response();
    let headers = response.headers_mut();
    match target.parse() {
        Ok(location) => headers.insert(LOCATION, location),
        Err(_) => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    };
    if let Some(cookie) = set_cookie.and_then(|cookie| cookie.parse().ok()) {
        headers.insert(SET_COOKIE, cookie);
    }
    response
}

/// 303 to a client's redirect URI.
pub(crate) fn redirect_to(target: &Url) -> Response {
    redirect(target.as_str(), None)
}

/// Whether a form post comes from our own page. Browsers name the origin of every post (Fetch §3.2);
/// a caller that names none is not a browser and has no cookies to abuse.
pub(crate) fn is_own_post(headers: &HeaderMap, origin: &str) -> bool {
    headers.get("origin").is_none_or(|sent| sent.as_bytes() == origin.as_bytes())
}
