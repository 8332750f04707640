//! The page that leads through several consents: for its own person alone, and it allows nothing by itself.

use broker_client::proto::ConsentState;
use broker_proto::v1::BatchConsentRequired;
use broker_tests::composite::{Composite, both, next_of, open, standing, step};
use broker_tests::http1;
use broker_tests::walk::words;
use demo::browser::Page;
use demo::walk;
use demo::world::{ALICE, BOB, Workload::TicketHelper};
use std::time::Duration;

/// Everything that the page shows to the right person.
const PARTICULARS: [&str; 8] = [
    "Ticket helper",
    "ticket-helper",
    "Notes",
    "Tasks",
    "notes.read",
    "Read your notes",
    "plan_week",
    "alice",
];

async fn asked() -> (Composite, BatchConsentRequired) {
    let duo = Composite::start().await;
    let required = duo.needed(&ALICE, both()).await;
    (duo, required)
}

fn handle(link: &str) -> &str {
    link.rsplit('/').next().expect("a handle")
}

fn says(page: &Page, told: &str) {
    assert!(words(page).contains(told), "{told}: {}", page.describe());
}

/// Proves: GR6, CO12
#[tokio::test]
async fn gr6_it_leads_through_every_provider_comes_back_after_each_and_ends() {
    let (duo, required) = asked().await;
    let page = open(&duo.browser(), &required.url, &ALICE).await;
    assert_eq!(page.url.as_str(), required.url, "back from sign-in");
    says(&page, "Ticket helper needs several connections");
    says(&page, "0 of 2 done");
    assert_eq!(next_of(&page).as_deref(), Some("Continue with Notes"));
    page.link("Do Tasks first").expect("in any order");

    let page = step(&page, "Continue with Notes", &ALICE).await;
    assert_eq!(page.url.as_str(), required.url, "back from the provider");
    says(&page, "1 of 2 done");
    assert_eq!(next_of(&page).as_deref(), Some("Continue with Tasks"));
    let page = step(&page, "Continue with Tasks", &ALICE).await;
    assert_eq!(page.url.as_str(), required.url);
    assert_eq!(page.title(), "All done · Token broker");
    says(&page, "2 of 2 done");
    assert_eq!(next_of(&page), None);
    assert_eq!(duo.granted(&ALICE, both()).await.len(), 2);
    duo.stop().await;
}

/// Proves: GR6, CO12
#[tokio::test]
async fn gr6_it_shows_live_what_was_declined_failed_or_done_elsewhere() {
    let (duo, required) = asked().await;
    let browser = duo.browser();
    let page = open(&browser, &required.url, &ALICE).await;
    let child = page.click("Continue with Notes").await.expect("its page");
    let page = walk::decline(child).await.expect("declined");
    assert_eq!(page.url.as_str(), required.url);
    says(&page, "Notes Declined");
    assert_eq!(next_of(&page).as_deref(), Some("Continue with Tasks"));

    // She goes on with the other on her phone; a reload here shows how far she is.
    let phone = open(&duo.browser(), &required.url, &ALICE).await;
    let there =
        walk::approve(phone.click("Continue with Tasks").await.expect("its page")).await.expect("approved");
    let page = page.click("Look again").await.expect("the page");
    says(&page, "Tasks Begun");
    let there = walk::allow(there, &ALICE.notes).await.expect("allowed");
    let here = page.click("Continue with Tasks").await.expect("its page");
    says(&here, "Continue in the browser where you began");
    let there = walk::confirm(there).await.expect("confirmed");
    assert_eq!(there.title(), "Not everything was connected · Token broker");
    let page = browser.get(&required.url).await.expect("the page");
    says(&page, "1 of 2 done");
    says(&page, "Tasks Connected");
    page.link("See your connections").expect("the way out");

    // Only what is still missing is asked for again.
    let again = duo.needed(&ALICE, both()).await;
    assert!(standing(&again, 0).is_some() && standing(&again, 1).is_none());
    assert_ne!(again.url, required.url);
    duo.stop().await;
}

/// Proves: GR6, CO12
#[tokio::test]
async fn gr6_a_provider_that_fails_is_told_on_its_own_page_and_leads_back() {
    let (duo, required) = asked().await;
    let page = open(&duo.browser(), &required.url, &ALICE).await;
    let page =
        walk::approve(page.click("Continue with Notes").await.expect("its page")).await.expect("approved");
    let page = walk::sign_in(page, &ALICE.notes).await.expect("signed in");
    let page = page.form("consent").expect("asks").submit("Deny").await.expect("denied");
    says(&page, "Declined");
    let page = page.click("Back to the other connections").await.expect("the page");
    assert_eq!(page.url.as_str(), required.url);
    says(&page, "Notes Declined");
    duo.stop().await;
}

/// Proves: GR6, CO2
#[tokio::test]
async fn co2_another_persons_link_tells_nothing_is_not_burnt_and_counts_twenty_attempts() {
    let (duo, required) = asked().await;
    let bobs = duo.browser();
    let page = open(&bobs, &required.url, &BOB).await;
    assert_eq!((page.status, page.url.as_str()), (403, required.url.as_str()));
    for particular in PARTICULARS {
        assert!(!page.html().contains(particular), "{particular} on {}", page.describe());
    }
    for index in [0, 1] {
        let (_, link) = standing(&required, index).expect("a consent");
        assert!(!page.html().contains(handle(&link)), "a child's handle");
    }
    for _ in 0..25 {
        assert_eq!(bobs.get(&required.url).await.expect("answers").status, 403);
    }
    let events = duo.stage.database().await.events().await;
    let mismatches: Vec<_> = events.iter().filter(|e| e.kind == "consent.user_mismatch").collect();
    assert_eq!(mismatches.len(), 20);
    assert!(
        mismatches
            .iter()
            .all(|e| e.reason == "CONSENT_USER_MISMATCH" && e.text("/detail/parent").starts_with("par_"))
    );

    // Switching the account leads back to the link, and it works for its own person.
    let page =
        page.form("/login/switch").expect("a way").submit("Switch account").await.expect("the sign-in");
    let page = walk::sign_in(page, &ALICE.sso).await.expect("signed in");
    assert_eq!((page.status, page.url.as_str()), (200, required.url.as_str()));
    says(&page, "0 of 2 done");
    duo.stop().await;
}

/// Proves: GR6, CO1
#[tokio::test]
async fn gr6_no_handle_opens_another_kind_of_page() {
    let (duo, required) = asked().await;
    let browser = duo.browser();
    open(&browser, &required.url, &ALICE).await;
    let web = duo.stage.world.web_url();
    let (_, child) = standing(&required, 0).expect("a consent");
    let mut other = handle(&required.url).to_owned();
    other.replace_range(0..1, if other.starts_with('A') { "B" } else { "A" });
    for path in [
        format!("/consents/{}", handle(&child)),
        format!("/consent/{}", handle(&required.url)),
        format!("/consents/{other}"),
        "/consents/x".to_owned(),
        format!("/consents/{}", "A".repeat(4000)),
        format!("/consents/{}%00", handle(&required.url)),
    ] {
        let page = browser.get(&format!("{web}{path}")).await.expect("answers");
        assert!(matches!(page.status, 404 | 414), "{path}: {}", page.describe());
        assert!(!page.html().contains("Ticket helper"), "{path}");
    }
    duo.stop().await;
}

/// Proves: GR6, CO6, CO7
#[tokio::test]
async fn gr6_it_has_nothing_to_press_that_allows_anything() {
    let (duo, required) = asked().await;
    let browser = duo.browser();
    let page = open(&browser, &required.url, &ALICE).await;
    let forms = page.forms();
    assert_eq!(forms.len(), 1, "sign-out alone: {}", page.describe());
    assert_eq!(forms[0].buttons(), ["Sign out"]);
    let policy = page.header("content-security-policy").expect("a policy");
    for part in ["default-src 'none'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert!(page.html().find("<script").is_none() && page.html().find("http-equiv").is_none());

    // Looking changes nothing, however often and by whatever method.
    let before = duo.stage.database().await.events().await.len();
    for _ in 0..3 {
        browser.get(&required.url).await.expect("the page");
    }
    let cookies: Vec<String> =
        browser.cookies(&required.url).into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    let address = duo.stage.world.addresses().web;
    for (method, status) in [("HEAD", 200), ("POST", 405), ("PUT", 405), ("DELETE", 405)] {
        let path = format!("/consents/{}", handle(&required.url));
        let reply = http1::send(address, method, &path, &[("cookie", &cookies.join("; "))], b"").await;
        assert_eq!(reply.status, status, "{method}");
    }
    let token = forms[0].value("csrf").expect("a token").to_owned();
    for index in [0, 1] {
        let (_, child) = standing(&required, index).expect("a consent");
        for verb in ["approve", "decline", "confirm", "reject"] {
            let sent =
                browser.post_from(&required.url, &format!("{child}/{verb}"), &[("csrf", &token)]).await;
            assert_eq!(sent.expect("answers").status, 403, "{verb}: a token for another form");
        }
        let answer =
            browser.post_from(&required.url, &format!("{}/approve", required.url), &[("csrf", &token)]).await;
        assert_eq!(answer.expect("answers").status, 404);
    }
    assert_eq!(duo.stage.database().await.events().await.len(), before);
    for index in [0, 1] {
        let (id, _) = standing(&required, index).expect("a consent");
        let consent = duo.stage.client(TicketHelper).get_consent(&id, None).await.expect("the consent");
        assert_eq!(consent.state(), ConsentState::Pending);
    }
    duo.stop().await;
}

/// Proves: GR6, CO1, CO12
#[tokio::test]
async fn gr6_it_ends_with_its_consents_and_a_new_batch_gets_a_new_one() {
    let (duo, required) = asked().await;
    let browser = duo.browser();
    let page = open(&browser, &required.url, &ALICE).await;
    step(&page, "Continue with Notes", &ALICE).await;
    duo.stage.clock.advance(Duration::from_secs(599));
    says(&browser.get(&required.url).await.expect("the page"), "1 of 2 done");
    duo.stage.clock.advance(Duration::from_secs(2));
    let page = browser.get(&required.url).await.expect("the page");
    assert_eq!(page.title(), "This request has ended · Token broker");
    says(&page, "Tasks Expired");
    says(&page, "Notes Connected");
    assert_eq!(next_of(&page), None);
    let again = duo.needed(&ALICE, both()).await;
    assert_ne!(again.url, required.url);
    assert!(standing(&again, 0).is_none());
    let page = duo.walk(&ALICE, &again).await;
    says(&page, "1 of 1 done");
    duo.stop().await;
}
