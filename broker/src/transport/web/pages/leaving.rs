//! Ways out and in: to the provider, to the sign-in, and after signing out.

use super::{
    super::texts,
    fill::{plain, quoted, sentence},
    layout::Frame,
};
use crate::domain::RealmId;
use maud::{Markup, html};
use url::Url;

/// Leaves for the provider.
pub(in crate::transport::web) fn to_provider(url: &Url) -> Markup {
    leaving(url)
}

/// Leaves for the organisation's sign-in.
pub(in crate::transport::web) fn to_sign_in(url: &Url) -> Markup {
    leaving(url)
}

/// Goes at once, without a script; the link is for browsers that do not.
fn leaving(url: &Url) -> Markup {
    let names = [("host", url.host_str().unwrap_or_default())];
    let refresh = html! { meta http-equiv="refresh" content=(format!("0;url={url}")); };
    Frame::default().page_with(
        &plain(texts::LEAVING_TITLE, &names),
        refresh,
        html! {
            h1 { (sentence(texts::LEAVING_TITLE, &names)) }
            p.lead { (texts::LEAVING) }
            p.actions { a.button.primary href=(url) rel="noreferrer" { (plain(texts::LEAVE, &names)) } }
        },
    )
}

/// Where people sign in.
pub(in crate::transport::web) fn choose_realm(realms: &[&RealmId], back: &str) -> Markup {
    let href = |realm: &RealmId| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("realm", realm.as_str()).append_pair("return", back);
        format!("/login/start?{}", query.finish())
    };
    Frame::default().page(
        texts::REALM_TITLE,
        html! {
            h1 { (texts::REALM_TITLE) }
            p.lead { (texts::REALM_LEAD) }
            ul.realms role="list" { @for realm in realms { li { a.button href=(href(realm)) { (realm) } } } }
        },
    )
}

/// The identity provider said no. `said` is its own sentence.
pub(in crate::transport::web) fn sign_in_failed(said: Option<&str>, retry: &str) -> Markup {
    Frame::default().page(
        texts::SIGN_IN_FAILED_TITLE,
        html! {
            h1 { (texts::SIGN_IN_FAILED_TITLE) }
            p.lead { (texts::SIGN_IN_FAILED) }
            @if let Some(said) = said.filter(|said| !said.is_empty()) {
                section.says { h2 { (texts::SIGN_IN_SAID) } blockquote { p { (quoted(said)) } } }
            }
            p.actions { a.button.primary href=(retry) { (texts::TRY_AGAIN) } }
        },
    )
}

/// Signed out.
pub(in crate::transport::web) fn signed_out() -> Markup {
    Frame::default().page(
        texts::SIGNED_OUT_TITLE,
        html! {
            h1 { (texts::SIGNED_OUT_TITLE) }
            p.lead { (texts::SIGNED_OUT) }
            p.actions { a.button href="/connections" { (texts::SIGN_IN) } }
        },
    )
}
