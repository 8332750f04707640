//! Words as long, and as odd, as they may be.

use super::story::{CONNECTIONS, Story, sign_in_at_notes};
use broker_client::Outcome;
use broker_tests::composite::both;
use broker_tests::stage::READ_WRITE;
use demo::world::{ALICE, Options, Workload::TicketHelper};

/// Proves: CO7
#[tokio::test]
async fn co7_long_and_hostile_words_stay_in_their_place_on_every_screen() {
    let (server, provider) = ("Serverwithaverylongnameindeed".repeat(3), "Anbieter مزود <b>".repeat(4));
    let scope = "Readsallyournotesandthoseofothers".repeat(3);
    let (name, shown) = (provider.trim().to_owned(), server.clone());
    let amend = move |config: String| {
        config
            .replace("display_name: Ticket helper", &format!("display_name: {server}"))
            .replace("display_name: Notes", &format!("display_name: '{name}'"))
            .replace("Read your notes", &scope)
    };
    let story = Story::with(Options { amend_config: Some(Box::new(amend)), ..Options::default() }).await;
    let heading = format!("Allow {shown} to use {}?", provider.trim());
    let request = story.stage().request(&ALICE, TicketHelper, READ_WRITE);
    let request = request.tool("<img src=x onerror=alert(1)>".repeat(7)).purpose("W".repeat(200));
    let asked = match story.stage().client(TicketHelper).issue_grant(&request).await {
        Ok(Outcome::ConsentRequired(asked)) => asked,
        other => panic!("a consent was due: {other:?}"),
    };
    let (_, tab) = story.opened(&ALICE, asked.url.expose()).await;
    let page = tab.sees(&heading).await;
    assert!(page.text.contains("<img src=x onerror=alert(1)>"), "shown as it is: {}", page.text);
    tab.judge("long-consent").await;
    tab.press("Allow").await;
    sign_in_at_notes(&tab, &ALICE.notes).await;
    tab.press("Allow").await;
    tab.sees("Is this the right account?").await;
    tab.judge("long-confirm").await;
    tab.press("Attach this account").await;
    tab.sees("Done").await;
    tab.judge("long-done").await;
    tab.open(&format!("{}/connections", story.origin)).await;
    tab.sees(CONNECTIONS).await;
    tab.judge("long-connections").await;
    let required = story.duo().needed(&ALICE, both()).await;
    tab.open(&required.url).await;
    tab.reads("0 of 1 done").await;
    tab.judge("long-several").await;
    story.end().await;
}
