//! More access than was given: the connection goes on as it is until its owner has agreed.

use broker_client::proto::ConsentReason;
use broker_client::{Client, ConsentRequired, Grant, GrantRequest, Outcome};

use crate::story::stage::Stage;
use crate::story::teller::{Mishap, Scene, Told, ensure};
use crate::walk;
use crate::world::Workload::TicketHelper;
use crate::world::{BOB, PROVIDER};

const READ: &[&str] = &["notes.read"];
const READ_WRITE: &[&str] = &["notes.read", "notes.write"];

/// bob lets Ticket helper read by now, and is asked about writing when it wants that too.
pub(in crate::story) async fn bob(stage: &Stage) -> Scene<()> {
    let client = stage.world.client(TicketHelper).await?;
    let reading = grant(&client, stage, READ).await?;

    let wider = consent(&client, stage, READ_WRITE, ConsentReason::ScopesMissing).await?;
    let meanwhile = grant(&client, stage, READ).await?;
    ensure(meanwhile.access_token.expose() == reading.access_token.expose(), || {
        "the connection did not go on as it was".to_owned()
    })?;
    walk::connect(&stage.bob, wider.url.expose(), &BOB.sso, &BOB.notes).await?;
    let both = grant(&client, stage, READ_WRITE).await?;
    ensure(both.connection_id == reading.connection_id, || "another connection was made".to_owned())?;
    ensure(both.account_label == BOB.notes.name, || format!("served as {}", both.account_label))?;
    Told::lines([
        "He allowed reading. When his agent wants to write to Notes, he is asked about that alone:"
            .to_owned(),
        format!("“{}”", wider.message),
        "Reading went on until he had agreed, and the same connection now carries both,".to_owned(),
        format!("in the log as {}", both.id),
    ])
}

async fn ask(client: &Client, stage: &Stage, scopes: &[&str]) -> Result<Outcome, Mishap> {
    let assertion = stage.world.assertion(&BOB, TicketHelper);
    Ok(client.issue_grant(&GrantRequest::new(assertion, PROVIDER, scopes.iter().copied())).await?)
}

async fn grant(client: &Client, stage: &Stage, scopes: &[&str]) -> Result<Grant, Mishap> {
    match ask(client, stage, scopes).await? {
        Outcome::Grant(grant) => Ok(grant),
        Outcome::ConsentRequired(consent) => Err(format!("no grant, but: {}", consent.message).into()),
    }
}

async fn consent(
    client: &Client,
    stage: &Stage,
    scopes: &[&str],
    because: ConsentReason,
) -> Result<ConsentRequired, Mishap> {
    match ask(client, stage, scopes).await? {
        Outcome::ConsentRequired(consent) if consent.reason == because => Ok(consent),
        other => Err(format!("a link was to come back because of {because:?}, but: {other:?}").into()),
    }
}
