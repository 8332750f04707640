//! alice follows the link: through the SSO, the broker's page, Notes, and back.

use std::time::Duration;

use broker_client::{Error, proto::ConsentState};

use super::{expect, seen};
use crate::story::stage::Stage;
use crate::story::teller::{Scene, Told, ensure};
use crate::walk;
use crate::world::{ALICE, Workload};

/// Longer than a link works: the broker says when it is over.
const PATIENCE: Duration = Duration::from_secs(3600);
/// A watch that broke is opened again, this many times.
const WATCHES: usize = 5;

/// What whoever watches is asked to do.
pub(in crate::story) fn invitation(link: &str) -> Vec<String> {
    vec![
        "It is your turn. Open this link in your browser; the story goes on when you have answered:"
            .to_owned(),
        link.to_owned(),
        format!("at the SSO    {} / {}", ALICE.sso.name, ALICE.sso.password),
        format!("at Notes      {} / {}", ALICE.notes.name, ALICE.notes.password),
    ]
}

/// Waits until the link was answered in some browser, as alice.
pub(in crate::story) async fn you(stage: &Stage, consent: &str) -> Scene<()> {
    let client = stage.world.client(Workload::TicketHelper).await?;
    let mut watches = 0;
    let ended = loop {
        watches += 1;
        match client.watch_consent(consent, None, PATIENCE).await?.finished().await {
            Err(Error::Unavailable(_) | Error::DeadlineExceeded(_)) if watches < WATCHES => {}
            ended => break ended?,
        }
    };
    ensure(ended.state() == ConsentState::Completed, || {
        format!("the link ended as {}: start again and allow it", ended.state().as_str_name())
    })?;
    // Later steps need her signed in where the story itself walks.
    let page = stage.alice.get(&format!("{}/connections", stage.world.web_url())).await?;
    let page = walk::sign_in(page, &ALICE.sso).await?;
    expect(&page, 200, &["Notes", ALICE.notes.name, "Ticket helper"])?;
    Told::lines([format!("Connected as {}; the tokens are sealed in the database.", ALICE.notes.name)])
}

pub(in crate::story) async fn alice(stage: &Stage, link: &str) -> Scene<()> {
    let mut lines = Vec::new();

    let page = stage.alice.get(link).await?;
    ensure(page.url.as_str().starts_with(stage.world.sso().issuer()), || {
        format!("the SSO was to ask who she is: {}", page.describe())
    })?;
    lines.push(seen(&page, "signs in"));

    let page = walk::sign_in(page, &ALICE.sso).await?;
    expect(
        &page,
        200,
        &["Ticket helper", "Notes", "Alice Example", "Read your notes", "Write notes in your name"],
    )?;
    lines.push(seen(&page, "reads what is asked, and allows it"));

    let page = walk::approve(page).await?;
    ensure(page.url.as_str().starts_with(stage.world.notes().origin()), || {
        format!("Notes was to ask her: {}", page.describe())
    })?;
    lines.push(seen(&page, "signs in, and allows it there too"));

    let page = walk::allow(page, &ALICE.notes).await?;
    expect(&page, 200, &[ALICE.notes.name])?;
    page.form("/confirm")?;
    lines.push(seen(&page, &format!("{}: yes", ALICE.notes.name)));

    let page = walk::confirm(page).await?;
    expect(&page, 200, &["Ticket helper", ALICE.notes.name])?;
    ensure(page.form("/confirm").is_err(), || format!("still asking: {}", page.describe()))?;
    lines.push(seen(&page, "the tokens are sealed in the database"));
    Told::lines(lines)
}
