//! alice's agent calls tools of Ticket helper.

use broker_client::{ConsentRequired, GrantRequest, Outcome};

use crate::saas::Event;
use crate::story::stage::{NOTE, Stage};
use crate::story::teller::{Mishap, Scene, Told, ensure};
use crate::tools::{ADD_NOTE, LIST_NOTES};
use crate::world::Workload::TicketHelper;
use crate::world::{ALICE, PROVIDER};

/// A link, and the consent it leads to.
pub(in crate::story) struct Link {
    pub(in crate::story) url: String,
    pub(in crate::story) consent: String,
}

/// Nothing is connected: a link comes back.
pub(in crate::story) async fn first(stage: &Stage) -> Scene<Link> {
    let (link, message) = stage.must_connect(TicketHelper, ADD_NOTE, "CONSENT_REASON_NOT_CONNECTED").await?;
    let consent = asked_directly(stage).await?;
    ensure(link == consent.url.expose(), || "the same question got two different links".to_owned())?;
    let lines = [
        "Nothing is connected yet, so instead of a token the broker hands out a link for alice:".to_owned(),
        format!("“{message}”"),
        link.clone(),
    ];
    Told::with(Link { url: link, consent: consent.consent_id }, lines)
}

/// The same question as Ticket helper's, without a tool around it.
async fn asked_directly(stage: &Stage) -> Result<ConsentRequired, Mishap> {
    let client = stage.world.client(TicketHelper).await?;
    let assertion = stage.world.assertion(&ALICE, TicketHelper);
    let request = GrantRequest::new(assertion, PROVIDER, ["notes.read", "notes.write"]).tool(ADD_NOTE);
    match client.issue_grant(&request).await? {
        Outcome::ConsentRequired(consent) => Ok(consent),
        Outcome::Grant(_) => Err("a link was to come back, but a grant did".into()),
    }
}

/// Connected: the note is written in alice's name.
pub(in crate::story) async fn again(stage: &Stage) -> Scene<()> {
    let done = stage.must_serve_alice(TicketHelper, ADD_NOTE).await?;
    ensure(done.entries.iter().any(|note| note == NOTE), || {
        format!("the note is not there: {:?}", done.entries)
    })?;
    ensure(done.scopes == ["notes.read", "notes.write"], || format!("granted {:?}", done.scopes))?;
    let minutes = stage.seconds_until(done.expires_at).saturating_add(30) / 60;
    ensure((1..=15).contains(&minutes), || format!("a grant of {minutes} minutes; policy says 15"))?;
    Told::lines([
        format!("A grant for {}, good for {minutes} minutes,", done.scopes.join(" and ")),
        format!("in the log as {}", done.grant),
        format!("Notes answers as {}: {}", done.account, quoted(&done.entries)),
    ])
}

/// A tool that only reads gets a token that can only read.
pub(in crate::story) async fn narrower(stage: &Stage) -> Scene<String> {
    let done = stage.must_serve_alice(TicketHelper, LIST_NOTES).await?;
    ensure(done.scopes == ["notes.read"], || format!("granted {:?}", done.scopes))?;
    let narrowed =
        |event: &Event| matches!(event, Event::Refreshed { scopes, .. } if *scopes == ["notes.read"]);
    ensure(refreshes(stage) == 1 && stage.world.notes().truth().iter().any(narrowed), || {
        "Notes did not narrow the token by one refresh".to_owned()
    })?;
    let lines = [
        "No question to alice: reading is part of what she allowed. The broker refreshed at Notes and"
            .to_owned(),
        "got a token that can read and nothing else,".to_owned(),
        format!("in the log as {}", done.grant),
    ];
    Told::with(done.grant, lines)
}

/// The same call again costs the broker nothing.
pub(in crate::story) async fn remembered(stage: &Stage, grant: &str) -> Scene<()> {
    let done = stage.must_serve_alice(TicketHelper, LIST_NOTES).await?;
    ensure(done.grant == grant, || {
        format!("another grant, {}, instead of the remembered {grant}", done.grant)
    })?;
    ensure(refreshes(stage) == 1, || "the token was refreshed again".to_owned())?;
    Told::lines(["Ticket helper still has that grant in memory (for a minute at most), and asks nobody."])
}

fn refreshes(stage: &Stage) -> usize {
    let truth = stage.world.notes().truth();
    truth.iter().filter(|event| matches!(event, Event::Refreshed { .. })).count()
}

fn quoted(notes: &[String]) -> String {
    notes.iter().map(|note| format!("“{note}”")).collect::<Vec<_>>().join(", ")
}
