//! alice ends the connection; a token that was out there is dead with it.

use broker_client::{Grant, GrantRequest, Outcome};

use super::{expect, seen};
use crate::saas::{Event, RevokedKind};
use crate::story::stage::Stage;
use crate::story::teller::{Mishap, Scene, Told, ensure};
use crate::tools::LIST_NOTES;
use crate::world::Workload::TicketHelper;
use crate::world::{ALICE, PROVIDER};

pub(in crate::story) async fn alice(stage: &Stage) -> Scene<()> {
    let grant = fresh_grant(stage).await?;
    let before = notes_says(stage, &grant).await?;
    ensure(before == 200, || format!("a fresh token was to work, but Notes says {before}"))?;

    let page = stage.alice.get(&format!("{}/connections", stage.world.web_url())).await?;
    expect(&page, 200, &["Notes", ALICE.notes.name, "Ticket helper", "Report writer"])?;
    let page = page.click("Disconnect").await?;
    expect(&page, 200, &[ALICE.notes.name])?;
    let asked = seen(&page, "yes: on her list of connections");
    let page = page.form("/disconnect")?.submit("Disconnect").await?;
    expect(&page, 200, &[ALICE.notes.name])?;

    let ended = |event: &Event| matches!(event, Event::Revoked { kind: RevokedKind::Family, .. });
    ensure(stage.world.notes().truth().iter().any(ended), || "Notes was not told".to_owned())?;
    let after = notes_says(stage, &grant).await?;
    ensure(after == 401, || format!("the old token was to be dead, but Notes says {after}"))?;
    Told::lines([
        asked,
        "The broker gives nobody access any more and has ended it at Notes too: a token handed out"
            .to_owned(),
        format!("a moment before got {before} from Notes, and now gets {after}."),
    ])
}

/// The tool server still remembers a grant; Notes refuses it, the broker is asked, and asks alice.
pub(in crate::story) async fn asked_again(stage: &Stage) -> Scene<()> {
    let (link, message) =
        stage.must_connect(TicketHelper, LIST_NOTES, "CONSENT_REASON_NOT_CONNECTED").await?;
    Told::lines([
        "Ticket helper still had a grant in memory; Notes refused it, and the broker has no other:"
            .to_owned(),
        format!("“{message}”"),
        link,
    ])
}

async fn fresh_grant(stage: &Stage) -> Result<Grant, Mishap> {
    let client = stage.world.client(TicketHelper).await?;
    let assertion = stage.world.assertion(&ALICE, TicketHelper);
    let request = GrantRequest::new(assertion, PROVIDER, ["notes.read"]).tool(LIST_NOTES);
    match client.issue_grant(&request).await? {
        Outcome::Grant(grant) => Ok(grant),
        Outcome::ConsentRequired(consent) => Err(format!("no grant, but: {}", consent.message).into()),
    }
}

/// The status with which the notes API answers the token.
async fn notes_says(stage: &Stage, grant: &Grant) -> Result<u16, Mishap> {
    let request = stage.http.get(format!("{}/notes", stage.world.notes().origin()));
    let request = request.header(&grant.header_name, grant.header_value().as_str());
    let response = request.send().await.map_err(reqwest::Error::without_url)?;
    Ok(response.status().as_u16())
}
