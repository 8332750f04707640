//! A broker dies at a step of a consent that asks no provider for anything, after its commit and before anybody is told. The person, or
//! their server, goes on with another broker that never stopped.

use broker_client::GrantRequest;
use demo::walk;
use demo::world::{ALICE, PROVIDER, Workload::ReportWriter};

use broker_tests::stage::READ;

use super::moved::{Scene, link_of};

/// Where a code or its provider is involved see `moved`.
pub const POINTS: [&str; 4] = ["consent.begun", "session.started", "consent.completed", "consent.declined"];

/// How many there are.
fn rows(scene: &Scene, of: &str) -> String {
    scene.database.sql(&format!("SELECT count(*) FROM {of}"))
}

/// The need stands, and whoever asks next is given its link.
///
/// Proves: CO1, CO12
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn co1_co12_a_link_that_its_server_never_received_is_given_to_whoever_asks_next() {
    let (scene, dying) = Scene::set("consent.begun", false).await;
    assert!(scene.dying.issue_grant(&scene.request()).await.is_err(), "nobody is told");
    scene.dead(dying).await;
    assert_eq!(rows(&scene, "consents"), "1");
    let link = scene.link().await.expect("nobody is connected");
    assert_eq!(rows(&scene, "consents"), "1", "it is the link that was begun");
    scene.connects(&link).await;
    scene.end().await;
}

/// The person signs in once more, and goes on with the link as it was. Nobody has the cookie of the session that was begun.
///
/// Proves: CO12
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn co12_who_was_signed_in_and_not_told_signs_in_again() {
    let (scene, dying) = Scene::set("session.started", false).await;
    let link = scene.link().await.expect("nobody is connected");
    let page = scene.browser.get(&link).await.expect("the page to sign in");
    scene.died_on(walk::sign_in(page, &ALICE.sso).await, dying).await;
    assert_eq!(rows(&scene, "web_sessions"), "1");
    assert_eq!(scene.link().await.as_ref(), Some(&link));
    scene.connects(&link).await;
    assert_eq!(rows(&scene, "web_sessions"), "2");
    scene.end().await;
}

/// A second server's approval of what is connected already stands, though its page never came.
///
/// Proves: CO12
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn co12_an_approval_without_a_provider_stands_though_its_page_never_came() {
    let (scene, dying) = Scene::set("consent.completed", false).await;
    let link = scene.link().await.expect("nobody is connected");
    scene.connects(&link).await;
    let reports = scene.client_of(ReportWriter).await;
    let ask = async || {
        let assertion = scene.site.assertion(&ALICE, ReportWriter);
        let request = GrantRequest::new(assertion, PROVIDER, READ.iter().copied());
        link_of(reports.issue_grant(&request).await.expect("an outcome"))
    };
    let link = ask().await.expect("another server needs a yes of its own");
    scene.dies(&link, dying).await;
    assert_eq!(ask().await, None, "granted");
    let page = scene.browser.get(&link).await.expect("the link's page");
    assert_eq!(page.status, 200, "and it says so: {}", page.text());
    assert_eq!((rows(&scene, "approvals"), rows(&scene, "connections")), ("2".to_owned(), "1".to_owned()));
    scene.end().await;
}

/// A no is a no, though its page never came: the link is over, and whoever asks next is given another one.
///
/// Proves: CO12
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn co12_a_no_stands_though_its_page_never_came() {
    let (scene, dying) = Scene::set("consent.declined", false).await;
    let link = scene.link().await.expect("nobody is connected");
    let page = scene.browser.get(&link).await.expect("the page to sign in");
    let page = walk::sign_in(page, &ALICE.sso).await.expect("signed in");
    scene.died_on(walk::decline(page).await, dying).await;
    assert_eq!(rows(&scene, "consents WHERE state = 'declined'"), "1");
    let page = scene.browser.get(&link).await.expect("the link's page");
    assert!(page.form("/approve").is_err(), "it is over: {}", page.text());
    let next = scene.link().await.expect("nobody is connected");
    assert_ne!(next, link);
    scene.connects(&next).await;
    assert_eq!(rows(&scene, "audit_events WHERE kind = 'consent.declined'"), "1");
    scene.end().await;
}
