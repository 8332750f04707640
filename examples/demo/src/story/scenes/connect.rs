//! alice follows the link: through the SSO, the broker's page, Notes, and back.

use super::{expect, seen};
use crate::story::stage::Stage;
use crate::story::teller::{Scene, Told, ensure};
use crate::walk;
use crate::world::ALICE;

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
