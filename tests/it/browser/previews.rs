//! Those who only look: link scanners, previews in chats, prefetching browsers.

use super::story::{ASK, SIGN_IN, Story};
use broker_client::proto::ConsentState;
use broker_tests::composite::both;
use broker_tests::http1;
use broker_tests::stage::READ;
use demo::world::ALICE;

/// Proves: CO6
#[tokio::test]
async fn co6_a_link_that_was_scanned_and_previewed_still_works_for_its_person() {
    let story = Story::begin().await;
    let asked = story.asked(READ).await;
    let required = story.duo().needed(&ALICE, both()).await;
    let before = story.events().await.len();
    let web = story.stage().world.addresses().web;
    for link in [asked.url.expose(), &required.url] {
        let path = link.strip_prefix(&story.origin).expect("a link of ours");
        for agent in ["Slackbot-LinkExpanding 1.0", "Mozilla/5.0 (compatible; Scanner)"] {
            let reply = http1::send(web, "HEAD", path, &[("user-agent", agent)], b"").await;
            assert_eq!((reply.status, reply.body.as_str()), (200, ""), "{path}");
            let reply =
                http1::send(web, "GET", path, &[("user-agent", agent), ("sec-purpose", "prefetch")], b"")
                    .await;
            assert_eq!(reply.status, 303, "{path}");
            assert!(!reply.body.contains("Ticket helper") && reply.header("set-cookie").is_none(), "{path}");
        }
        // A preview that runs a whole browser gets as far as the company's sign-in.
        let preview = story.chromium.profile().await.tab().await;
        let page = preview.open(link).await;
        assert!(
            page.heading == SIGN_IN && page.url.starts_with(story.stage().world.sso().issuer()),
            "{page:?}"
        );
        for told in ["Ticket helper", "Notes", "Alice"] {
            assert!(!page.text.contains(told), "{told}: {}", page.text);
        }
    }
    assert_eq!(story.events().await.len(), before, "nobody was there");
    assert_eq!(story.state(&asked).await, ConsentState::Pending);
    let (_, tab) = story.opened(&ALICE, asked.url.expose()).await;
    tab.sees(ASK).await;
    story.end().await;
}
