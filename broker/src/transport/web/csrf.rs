//! Forms only count when they come from our own page, in the session it was shown in (CO6).

use super::{failure::Failure, texts};
use crate::{domain::WebSession, keys::SealedCookies};
use axum::http::{HeaderMap, StatusCode, header};

/// What a form does. A token for one action on one thing is worth nothing for another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Action {
    Approve,
    Decline,
    Confirm,
    Reject,
    Disconnect,
    Logout,
    SwitchAccount,
}

impl Action {
    fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Decline => "decline",
            Self::Confirm => "confirm",
            Self::Reject => "reject",
            Self::Disconnect => "disconnect",
            Self::Logout => "logout",
            Self::SwitchAccount => "switch-account",
        }
    }
}

/// Longest token.
pub(super) const MAX_TOKEN: usize = 256;
const NAME: &str = "form token";

/// An authenticated token without content: session, action and what it is about are its associated data.
pub(super) fn token(keys: &SealedCookies, session: &WebSession, action: Action, about: &str) -> String {
    keys.seal(NAME, &circumstances(session, action, about), b"").unwrap_or_default()
}

/// Whether `token` was made for exactly this. The comparison is the cipher's, in constant time.
pub(super) fn is_ours(
    keys: &SealedCookies,
    session: &WebSession,
    action: Action,
    about: &str,
    token: &str,
) -> bool {
    keys.open(NAME, &circumstances(session, action, about), token).is_ok()
}

fn circumstances(session: &WebSession, action: Action, about: &str) -> String {
    let session = data_encoding::HEXLOWER.encode(&session.id_hash);
    format!("{session} {} {about}", action.as_str())
}

/// A POST has to come from our own page by the browser's own word: `Sec-Fetch-Site`, or `Origin` where a browser
/// does not send that; both where both are there. Neither: refused.
pub(super) fn same_origin(headers: &HeaderMap, origin: &str) -> Result<(), Failure> {
    let one = |name: &str| {
        let mut values = headers.get_all(name).iter();
        (values.next().map(|value| value.as_bytes()), values.next().is_some())
    };
    let (site, site_twice) = one("sec-fetch-site");
    let (from, from_twice) = one(header::ORIGIN.as_str());
    let good = !site_twice
        && !from_twice
        && (site.is_some() || from.is_some())
        && site.is_none_or(|site| site == b"same-origin")
        && from.is_none_or(|from| from == origin.as_bytes());
    if good { Ok(()) } else { Err(Failure::told(StatusCode::FORBIDDEN, texts::FOREIGN_FORM)) }
}
