//! A tool that needs two systems at once: one link, one walk, and both grants in one answer.

use super::{expect, seen};
use crate::agent::{Answer, Done};
use crate::browser::Page;
use crate::saas::{Event, Saas};
use crate::story::stage::Stage;
use crate::story::teller::{Mishap, Scene, Told, ensure};
use crate::tools::PLAN_WEEK;
use crate::walk;
use crate::world::{Account, BOB};

/// bob has connected nothing: one link for everything that is missing.
pub(in crate::story) async fn asks(stage: &Stage) -> Scene<String> {
    let (url, message) = match stage.call_as_bob(PLAN_WEEK).await? {
        Answer::Connect { url, message, .. } => (url, message),
        other => return Err(format!("a link was to come back, but: {other:?}").into()),
    };
    ensure(url.starts_with(&format!("{}/consents/", stage.world.web_url())), || {
        format!("the link does not lead through several: {url}")
    })?;
    let lines = [
        "Planning a week takes notes and appointments, both or it makes no sense. Ticket helper asks"
            .to_owned(),
        "for both at once. bob has connected neither: nothing is issued, one link leads through it all:"
            .to_owned(),
        format!("“{message}”"),
        url.clone(),
    ];
    Told::with(url, lines)
}

/// Notes, back to the broker, Calendar, and back.
pub(in crate::story) async fn bob(stage: &Stage, link: &str) -> Scene<()> {
    let page = walk::sign_in(stage.bob.get(link).await?, &BOB.sso).await?;
    expect(&page, 200, &["Ticket helper", "Notes", "Calendar", "0 of 2 done", "Bob Example"])?;
    let mut lines = vec![seen(&page, "reads what is missing")];
    let world = &stage.world;
    let page = through(page, "Notes", world.notes(), &BOB.notes, &mut lines).await?;
    expect(&page, 200, &["1 of 2 done"])?;
    lines.push(seen(&page, "1 of 2 done: on to the next"));
    let page = through(page, "Calendar", world.calendar(), &BOB.calendar, &mut lines).await?;
    expect(&page, 200, &["2 of 2 done"])?;
    ensure(page.url.as_str() == link, || format!("the end is elsewhere: {}", page.describe()))?;
    lines.push(seen(&page, "2 of 2 done"));
    Told::lines(lines)
}

/// From the page through one provider, and back.
async fn through(
    page: Page,
    name: &str,
    saas: &Saas,
    account: &Account,
    lines: &mut Vec<String>,
) -> Result<Page, Mishap> {
    let page = page.click(&format!("Continue with {name}")).await?;
    expect(&page, 200, &["Ticket helper", name])?;
    let page = walk::approve(page).await?;
    ensure(page.url.as_str().starts_with(saas.origin()), || {
        format!("{name} was to ask him: {}", page.describe())
    })?;
    lines.push(seen(&page, "allows it, there and here"));
    let page = walk::allow(page, account).await?;
    expect(&page, 200, &[account.name])?;
    Ok(walk::confirm(page).await?)
}

/// Everything is connected: both grants come at once, each for its own system alone.
pub(in crate::story) async fn planned(stage: &Stage) -> Scene<()> {
    let week = match stage.call_as_bob(PLAN_WEEK).await? {
        Answer::Several(week) => week,
        other => return Err(format!("a week was to come back, but: {other:?}").into()),
    };
    let [notes, calendar] = week.as_slice() else { return Err(format!("not two parts: {week:?}").into()) };
    let world = &stage.world;
    let mut lines = vec!["Both are granted in one commit, or neither:".to_owned()];
    for (part, account, scope, saas) in [
        (notes, BOB.notes, "notes.read", world.notes()),
        (calendar, BOB.calendar, "calendar.read", world.calendar()),
    ] {
        ensure(part.account == account.name, || format!("served as {}", part.account))?;
        ensure(part.scopes == [scope], || format!("granted {:?}", part.scopes))?;
        ensure(was_read(saas), || format!("{} was not read", account.name))?;
        lines.push(told(part));
    }
    ensure(notes.grant != calendar.grant, || "two systems on one grant".to_owned())?;
    Told::lines(lines)
}

fn told(part: &Done) -> String {
    let entries: Vec<String> = part.entries.iter().map(|entry| format!("“{entry}”")).collect();
    format!("{:<22} {:<14} {}", part.account, part.scopes.join(" "), entries.join(", "))
}

/// Whether the last thing that happened there is that somebody read.
fn was_read(saas: &Saas) -> bool {
    matches!(saas.truth().last(), Some(Event::ApiCall { method: "GET", status: 200, .. }))
}
