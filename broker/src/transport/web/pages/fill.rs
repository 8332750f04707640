//! Puts what others wrote into our sentences: visible characters only, and isolated, so that right-to-left text and
//! tricks with direction marks stay within their own place.

use super::super::texts;
use crate::{consent::words::tamed, domain::Timestamp};
use maud::{Markup, PreEscaped, html};
use time::OffsetDateTime;

/// A text from outside, alone.
pub(super) fn foreign(text: &str) -> Markup {
    html! { bdi { (tamed(text)) } }
}

/// The same as a quotation.
pub(super) fn quoted(text: &str) -> Markup {
    let (begin, end) = texts::QUOTES;
    html! { (begin) (foreign(text)) (end) }
}

/// A sentence of ours with its `{names}` filled in.
pub(super) fn sentence(template: &str, values: &[(&str, &str)]) -> Markup {
    html! {
        @for part in parts(template) {
            @match part {
                Part::Ours(text) => (text),
                Part::Name(name) => b { (foreign(value(values, name))) },
            }
        }
    }
}

/// The same as plain text, for `<title>` and labels.
pub(super) fn plain(template: &str, values: &[(&str, &str)]) -> String {
    let text = |part| match part {
        Part::Ours(text) => text.to_owned(),
        Part::Name(name) => tamed(value(values, name)),
    };
    parts(template).into_iter().map(text).collect()
}

enum Part<'t> {
    Ours(&'t str),
    Name(&'t str),
}

fn parts(template: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = template;
    while let Some((ours, tail)) = rest.split_once('{') {
        let Some((name, tail)) = tail.split_once('}') else { break };
        parts.extend([Part::Ours(ours), Part::Name(name)]);
        rest = tail;
    }
    parts.push(Part::Ours(rest));
    parts
}

fn value<'v>(values: &[(&str, &'v str)], name: &str) -> &'v str {
    values.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value)
}

/// A point in time, for people.
pub(super) fn time_text(at: Timestamp) -> String {
    let time = OffsetDateTime::from_unix_timestamp(at.unix_seconds()).ok();
    time.and_then(|time| time.format(texts::TIME).ok()).unwrap_or_else(|| at.rfc3339())
}

/// The same as an element that programs can read too.
pub(super) fn time_element(at: Timestamp) -> Markup {
    html! { time datetime=(at.rfc3339()) { (time_text(at)) } }
}

/// A sentence whose `{time}` is a time element.
pub(super) fn timed(template: &str, at: Timestamp) -> Markup {
    match template.split_once("{time}") {
        Some((before, after)) => html! { (before) (time_element(at)) (after) },
        None => PreEscaped(String::new()),
    }
}
