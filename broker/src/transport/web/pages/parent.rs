//! The page that leads through several consents (GR6): what is missing, how each stands, and the way to the next one.

use super::{
    super::texts,
    fill::{foreign, plain, sentence, timed},
    layout::Frame,
    scopes,
};
use crate::usecase::{ParentView, Standing, Step};
use maud::{Markup, html};

/// The page. `here` is its own path, to look again.
pub(in crate::transport::web) fn parent(frame: &Frame, view: &ParentView, here: &str) -> Markup {
    let names = [("server", view.server.as_str())];
    let (title, lead) = if view.is_done() {
        (texts::ALL_DONE_TITLE, texts::ALL_DONE)
    } else if view.is_over {
        (texts::EXPIRED_TITLE, texts::ALL_EXPIRED)
    } else if view.next().is_none() {
        (texts::ALL_STOPPED_TITLE, texts::ALL_STOPPED)
    } else if view.steps.len() == 1 {
        (texts::ONE_TITLE, texts::ONE_LEAD)
    } else {
        (texts::ALL_TITLE, texts::ALL_LEAD)
    };
    frame.page(
        &plain(title, &names),
        html! {
            h1 { (sentence(title, &names)) }
            p.lead { (sentence(lead, &names)) }
            (progress(view))
            ol.steps role="list" {
                @for step in &view.steps { (line(step, view)) }
            }
            @if view.is_done() {
                p { (texts::CLOSE) }
            } @else if view.next().is_none() {
                p { (texts::ASK_AGAIN) }
            } @else {
                p.fine { (sentence(texts::ALL_NOTE, &names)) " " (timed(texts::ENDS, view.expires_at)) }
            }
            (ways_on(view, here))
        },
    )
}

/// How far it is, in words.
fn progress(view: &ParentView) -> Markup {
    let done = view.steps.iter().filter(|step| step.standing == Standing::Done).count();
    let (done, all) = (done.to_string(), view.steps.len().to_string());
    html! { p.progress { (sentence(texts::ALL_PROGRESS, &[("done", &done), ("all", &all)])) } }
}

fn line(step: &Step, view: &ParentView) -> Markup {
    let is_next = view.next().is_some_and(|next| std::ptr::eq(next, step));
    html! {
        li.next[is_next] {
            div.step {
                h2 { (foreign(&step.provider)) }
                span.badge.done[step.standing == Standing::Done] { (texts::standing(step.standing)) }
            }
            @if step.is_open() {
                p.fine { (texts::step(step.reason)) }
                (scopes::list(&step.scopes))
                @if !is_next {
                    p { a href=(path(step)) { (sentence(texts::OPEN_ONE, &[("provider", &step.provider)])) } }
                }
            }
        }
    }
}

fn ways_on(view: &ParentView, here: &str) -> Markup {
    html! {
        p.actions {
            @match view.next() {
                Some(next) => {
                    a.button.primary href=(path(next)) {
                        // One box: the parts of a button stand side by side without the space between them.
                        span { (sentence(texts::NEXT_ONE, &[("provider", &next.provider)])) }
                    }
                    a.button href=(here) { (texts::LOOK_AGAIN) }
                }
                None => a.button href="/connections" { (texts::SEE_CONNECTIONS) },
            }
        }
    }
}

fn path(step: &Step) -> String {
    format!("/consent/{}", step.handle)
}
