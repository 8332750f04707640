//! A second tool server, the wrong person, and a token that was meant for somebody else.

use serde_json::json;

use super::{expect, seen};
use crate::agent::Answer;
use crate::story::stage::Stage;
use crate::story::teller::{Scene, Told, ensure};
use crate::tools::LIST_NOTES;
use crate::walk;
use crate::world::Workload::{ReportWriter, TicketHelper};
use crate::world::{ALICE, BOB};

/// alice's connection is not everybody's: each server needs an approval of its own.
pub(in crate::story) async fn asks(stage: &Stage) -> Scene<String> {
    let (link, message) = stage.must_connect(ReportWriter, LIST_NOTES, "CONSENT_REASON_NOT_APPROVED").await?;
    let lines = [
        "alice allowed Ticket helper, not Report writer. It gets a link of its own:".to_owned(),
        format!("“{message}”"),
        link.clone(),
    ];
    Told::with(link, lines)
}

/// The link works for nobody but alice, and says nothing to others.
pub(in crate::story) async fn bob(stage: &Stage, link: &str) -> Scene<()> {
    let page = walk::sign_in(stage.bob.get(link).await?, &BOB.sso).await?;
    expect(&page, 403, &["Bob Example"])?;
    for word in ["Report writer", "alice", "Alice", "Notes"] {
        ensure(!page.text().contains(word), || {
            format!("the page tells bob about {word:?}: {}", page.describe())
        })?;
    }
    ensure(page.form("/approve").is_err(), || format!("bob may answer: {}", page.describe()))?;
    Told::lines([seen(&page, "403"), "He learns nothing about it, and his visit is on record.".to_owned()])
}

/// Her own approval, on one page: Notes is not visited again.
pub(in crate::story) async fn alice(stage: &Stage, link: &str) -> Scene<()> {
    let page = stage.alice.get(link).await?;
    expect(&page, 200, &["Report writer", ALICE.notes.name])?;
    let asked = seen(&page, "allows it; Notes need not ask again");
    let page = walk::approve(page).await?;
    let notes = stage.world.notes().origin();
    ensure(page.trail.iter().all(|hop| !hop.url.as_str().starts_with(notes)), || {
        format!("Notes was visited again: {:?}", page.trail)
    })?;
    expect(&page, 200, &["Report writer", ALICE.notes.name])?;
    let done = stage.must_serve_alice(ReportWriter, LIST_NOTES).await?;
    Told::lines([
        asked,
        format!("Report writer's next call is served as {},", done.account),
        format!("in the log as {}", done.grant),
    ])
}

/// ID4 from outside: who receives a token for one server cannot use it through another.
pub(in crate::story) async fn misdirected(stage: &Stage) -> Scene<()> {
    let assertion = stage.world.assertion(&ALICE, TicketHelper);
    let url = stage.url(ReportWriter);
    match stage.agent.call(url, &assertion, LIST_NOTES, json!({})).await? {
        Answer::Refused { reason, message } if reason == "ASSERTION_AUDIENCE" => Told::lines([
            format!("Report writer shows an assertion minted for Ticket helper. Refused, {reason}:"),
            format!("“{message}”"),
        ]),
        other => Err(format!("it was to be refused with ASSERTION_AUDIENCE, but: {other:?}").into()),
    }
}
