//! How a consent ended (CO12).

use super::{
    super::texts,
    consent::names,
    fill::{quoted, sentence},
    layout::Frame,
};
use crate::{domain::Reason, usecase::ConsentView};
use maud::{Markup, html};

pub(super) fn done(frame: &Frame, view: &ConsentView) -> Markup {
    let text = if view.account.is_some() { texts::DONE_AS } else { texts::DONE };
    let content = html! {
        p.lead { (sentence(text, &names(view))) }
        @if view.parent.is_none() { p { (texts::CLOSE) } }
    };
    end(frame, texts::DONE_TITLE, content, view.parent.as_deref())
}

pub(super) fn declined(frame: &Frame, view: &ConsentView, note: Option<&str>) -> Markup {
    let content = html! {
        p.lead { (sentence(texts::DECLINED, &names(view))) }
        (said(view, note))
        p { (texts::ASK_AGAIN) }
    };
    end(frame, texts::DECLINED_TITLE, content, view.parent.as_deref())
}

pub(super) fn expired(frame: &Frame, view: &ConsentView) -> Markup {
    let content = html! { p.lead { (texts::EXPIRED) } p { (texts::ASK_AGAIN) } };
    end(frame, texts::EXPIRED_TITLE, content, view.parent.as_deref())
}

pub(super) fn failed(frame: &Frame, view: &ConsentView, reason: Reason, note: Option<&str>) -> Markup {
    let why = texts::explain(reason);
    let content = html! {
        p.lead { (sentence(texts::FAILED, &names(view))) }
        p { b { (why.title) "." } " " (why.what) }
        (said(view, note))
        p { (why.next) }
        @if !texts::says_how_to_ask_again(reason) { p { (texts::ASK_AGAIN) } }
    };
    end(frame, texts::FAILED_TITLE, content, view.parent.as_deref())
}

/// The provider's words, as text.
fn said(view: &ConsentView, note: Option<&str>) -> Markup {
    html! {
        @if let Some(note) = note {
            section.says {
                h2 { (sentence(texts::PROVIDER_SAID, &names(view))) }
                blockquote { p { (quoted(note)) } }
            }
        }
    }
}

/// `parent` leads back to the other consents that are asked for at the same time.
fn end(frame: &Frame, title: &str, content: Markup, parent: Option<&str>) -> Markup {
    frame.page(
        title,
        html! {
            h1 { (title) }
            (content)
            p.actions {
                @if let Some(handle) = parent {
                    a.button.primary href=(format!("/consents/{handle}")) { (texts::BACK_TO_ALL) }
                }
                a.button href="/connections" { (texts::SEE_CONNECTIONS) }
            }
        },
    )
}
