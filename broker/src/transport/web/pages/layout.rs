//! Around every page: one main landmark, one h1, and who is signed in.

use super::{super::texts, fill::sentence};
use maud::{DOCTYPE, Markup, html};

/// Who is signed in, and the token of their sign-out form.
pub(in crate::transport::web) struct SignedIn {
    pub(in crate::transport::web) name: String,
    pub(in crate::transport::web) logout: String,
}

/// What stands around a page's own content.
#[derive(Default)]
pub(in crate::transport::web) struct Frame {
    pub(in crate::transport::web) signed_in: Option<SignedIn>,
}

impl Frame {
    /// What the visitor is called.
    pub(super) fn name(&self) -> &str {
        self.signed_in.as_ref().map_or("", |signed_in| &signed_in.name)
    }

    /// A whole page. `head` goes into the head, `title` is its name without the product's.
    pub(super) fn page_with(&self, title: &str, head: Markup, content: Markup) -> Markup {
        html! {
            (DOCTYPE)
            html lang=(texts::LANGUAGE) {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (title) " · " (texts::PRODUCT) }
                    link rel="stylesheet" href="/style.css";
                    (head)
                }
                body {
                    header { (self.bar()) }
                    main { div.card { (content) } }
                    footer { p { (texts::FOOTER) } }
                }
            }
        }
    }

    /// The same without anything in the head.
    pub(super) fn page(&self, title: &str, content: Markup) -> Markup {
        self.page_with(title, html! {}, content)
    }

    fn bar(&self) -> Markup {
        html! {
            a.wordmark href="/connections" { span.mark aria-hidden="true" {} (texts::PRODUCT) }
            @if let Some(signed_in) = &self.signed_in {
                form.session method="post" action="/logout" {
                    span { (sentence(texts::SIGNED_IN_AS, &[("name", &signed_in.name)])) }
                    (csrf(&signed_in.logout))
                    button.plain type="submit" { (texts::SIGN_OUT) }
                }
            }
        }
    }
}

/// A form's token.
pub(super) fn csrf(token: &str) -> Markup {
    html! { input type="hidden" name="csrf" value=(token); }
}

/// An error: what happened, what to do, and where to go on.
pub(in crate::transport::web) fn error(words: texts::Explained, link: Option<&str>, trace: &str) -> Markup {
    Frame::default().page(
        words.title,
        html! {
            h1 { (words.title) }
            p.lead { (words.what) }
            p { (words.next) }
            @if let Some(link) = link {
                p.actions { a.button.primary href=(link) { (texts::GO_ON) } }
            }
            p.fine { (texts::REFERENCE) " " code { (trace) } }
        },
    )
}
