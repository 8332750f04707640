//! A person's connections, and ending one.

use super::{
    super::texts,
    fill::{foreign, plain, sentence, time_element, timed},
    layout::{Frame, csrf},
    scopes,
};
use crate::{
    domain::{ConnectionId, ConnectionState, Timestamp, provider::ScopeSpec},
    usecase::{AtProvider, Disconnected},
};
use maud::{Markup, html};

/// A server that may use a connection.
pub(in crate::transport::web) struct Approved {
    /// What people call it (operator configuration).
    pub(in crate::transport::web) server: String,
    /// For what, in words.
    pub(in crate::transport::web) scopes: Vec<ScopeSpec>,
}

/// A connection as shown.
pub(in crate::transport::web) struct Listing {
    pub(in crate::transport::web) id: ConnectionId,
    pub(in crate::transport::web) provider: String,
    pub(in crate::transport::web) account: String,
    pub(in crate::transport::web) state: ConnectionState,
    pub(in crate::transport::web) approvals: Vec<Approved>,
    pub(in crate::transport::web) connected_at: Timestamp,
    /// It is over then, unless its person connects again.
    pub(in crate::transport::web) ends_at: Option<Timestamp>,
    pub(in crate::transport::web) last_used_at: Option<Timestamp>,
}

impl Listing {
    fn names(&self) -> [(&'static str, &str); 2] {
        [("provider", &self.provider), ("account", &self.account)]
    }

    fn path(&self) -> String {
        format!("/connections/{}/disconnect", self.id)
    }
}

/// The list.
pub(in crate::transport::web) fn connections(frame: &Frame, listings: &[Listing]) -> Markup {
    frame.page(
        texts::YOUR_CONNECTIONS,
        html! {
            h1 { (texts::YOUR_CONNECTIONS) }
            @if listings.is_empty() {
                p.lead { (texts::CONNECTIONS_NONE) }
            } @else {
                p.lead { (texts::CONNECTIONS_LEAD) }
                @for listing in listings { (one(listing)) }
            }
        },
    )
}

fn one(listing: &Listing) -> Markup {
    let label = plain(texts::DISCONNECT_ONE, &listing.names());
    html! {
        article.connection {
            h2 { (foreign(&listing.provider)) }
            dl.facts {
                div { dt { (texts::WHICH_ACCOUNT) } dd { (foreign(&listing.account)) } }
                div { dt { (texts::STATE) } dd { (texts::state(listing.state)) } }
                div { dt { (texts::CONNECTED) } dd { (time_element(listing.connected_at)) } }
                div {
                    dt { (texts::LAST_USED) }
                    dd { @match listing.last_used_at { Some(at) => (time_element(at)), None => (texts::NEVER) } }
                }
                @if let Some(at) = listing.ends_at {
                    div { dt { (texts::CONNECT_AGAIN_BEFORE) } dd { (time_element(at)) } }
                }
            }
            h3 { (texts::MAY_USE) }
            @if listing.approvals.is_empty() { p { (texts::NOBODY) } }
            @for approved in &listing.approvals {
                h4 { (foreign(&approved.server)) }
                (scopes::list(&approved.scopes))
            }
            p.actions { a.button href=(listing.path()) aria-label=(label) { (texts::DISCONNECT) } }
        }
    }
}

/// Asks before it ends one.
pub(in crate::transport::web) fn ask_disconnect(frame: &Frame, listing: &Listing, token: &str) -> Markup {
    let names = listing.names();
    let lead = if listing.approvals.is_empty() { texts::DISCONNECT_NOBODY } else { texts::DISCONNECT_LEAD };
    let title = plain(texts::DISCONNECT_TITLE, &names);
    frame.page(
        &title,
        html! {
            h1 { (sentence(texts::DISCONNECT_TITLE, &names)) }
            p.lead { (sentence(lead, &names)) }
            @if !listing.approvals.is_empty() {
                ul { @for approved in &listing.approvals { li { (foreign(&approved.server)) } } }
            }
            p { (sentence(texts::DISCONNECT_THEN, &names)) }
            div.actions {
                form method="post" action=(listing.path()) {
                    (csrf(token))
                    button.primary type="submit" { (texts::DISCONNECT) }
                }
                a.button href="/connections" { (texts::KEEP) }
            }
        },
    )
}

/// What became of it, as it is.
pub(in crate::transport::web) fn disconnected(
    frame: &Frame,
    listing: &Listing,
    ended: &Disconnected,
) -> Markup {
    let names = listing.names();
    let there = match ended.at_provider {
        AtProvider::Revoked => texts::AT_PROVIDER_REVOKED,
        AtProvider::Unsupported => texts::AT_PROVIDER_UNSUPPORTED,
        AtProvider::FailedWillRetry => texts::AT_PROVIDER_RETRY,
    };
    frame.page(
        texts::DISCONNECTED_TITLE,
        html! {
            h1 { (texts::DISCONNECTED_TITLE) }
            p.lead { (sentence(texts::DISCONNECTED, &names)) }
            p { (sentence(there, &names)) }
            @match (ended.never_ends, ended.outstanding_until) {
                (true, _) => p { (sentence(texts::OUTSTANDING_UNKNOWN, &names)) },
                (false, Some(until)) => p { (timed(texts::OUTSTANDING, until)) },
                (false, None) => {},
            }
            p.actions { a.button href="/connections" { (texts::SEE_CONNECTIONS) } }
        },
    )
}
