//! Scopes in words, each with a badge that says in text whether it reads or writes.

use super::{super::texts, fill::foreign};
use crate::domain::provider::{ScopeAccess, ScopeSpec};
use maud::{Markup, html};

pub(super) fn list(scopes: &[ScopeSpec]) -> Markup {
    html! {
        // A list without markers is none to some screen readers unless it says so.
        ul.scopes role="list" {
            @for spec in scopes {
                li {
                    span.badge.write[spec.access == ScopeAccess::Write] { (texts::access(spec.access)) }
                    " "
                    span.words {
                        (foreign(&spec.description))
                        @if spec.description != spec.scope.as_str() {
                            " " code { (spec.scope) }
                        }
                    }
                }
            }
        }
    }
}
