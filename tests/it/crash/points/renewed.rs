//! The person connects again while a refresh of the older tokens is on its way: the newer ones stay, and what comes for the older ones is
//! revoked at the provider.

use std::sync::Arc;
use std::time::Duration;

use broker_client::{Client, GrantRequest, Outcome};
use broker_tests::postgres::PgDatabase;
use broker_tests::replicas::client;
use broker_tests::stage::READ_WRITE;
use demo::saas::{Event, Fault, RevokedKind};
use demo::walk;
use demo::world::{
    ALICE, PROVIDER,
    Workload::{self, ReportWriter, TicketHelper},
};
use tokio::sync::Notify;

use super::scene::{BOUND, Class, Scene, Told};

/// A token that ends so soon is handed to nobody twice: every call needs a refresh.
const LIFE: i64 = 5;

/// Refreshes whose lease did not store all that they brought.
const LATE: &str = "\
SELECT count(*) FROM audit_events WHERE kind = 'refresh.stored' \
    AND convert_from(body, 'UTF8')::json -> 'detail' ->> 'late' = 'true'";

/// What was told to the provider of tokens that came too late.
const OUTLIVED: &str = "\
SELECT count(*) FROM audit_events WHERE kind = 'provider_revocation.result' AND outcome = 'allowed' \
    AND convert_from(body, 'UTF8')::json -> 'detail' ->> 'outlived' = 'true'";

/// Refusals of a token that was not the newest.
const CONFLICTS: &str =
    "SELECT count(*) FROM audit_events WHERE kind = 'refresh.failed' AND reason = 'CONFLICT'";

/// Authorizations that ended at the provider.
fn ended(events: &[Event]) -> Vec<u64> {
    let ended = events.iter().filter_map(|event| match event {
        Event::Revoked { family, kind: RevokedKind::Family | RevokedKind::Reuse } => Some(*family),
        _ => None,
    });
    ended.collect()
}

/// More than the connection has at first.
fn more(scene: &Scene, workload: Workload) -> GrantRequest {
    GrantRequest::new(scene.site.assertion(&ALICE, workload), PROVIDER, READ_WRITE.iter().copied())
}

/// The link that leads to more than the connection has.
async fn link(scene: &Scene, client: &Client, workload: Workload) -> String {
    let Ok(Outcome::ConsentRequired(consent)) = client.issue_grant(&more(scene, workload)).await else {
        panic!("a consent was due")
    };
    consent.url.expose().to_owned()
}

/// The person allows it.
async fn walks(scene: &Scene, link: &str) {
    let browser = scene.site.browser().expect("a browser");
    let page = walk::connect(&browser, link, &ALICE.sso, &ALICE.notes).await;
    assert_eq!(page.expect("the pages lead through").status, 200);
}

/// More is asked for than the connection has, and the person allows it.
async fn connects_again(scene: &Scene) {
    let link = link(scene, scene.survivor(), TicketHelper).await;
    walks(scene, &link).await;
}

/// The newer tokens serve, and end with nobody.
async fn the_newer_ones_serve(scene: &Scene, class: Class) {
    let grant = match scene.answer().await {
        Ok(Outcome::Grant(grant)) => grant,
        other => panic!("{class:?}: a grant was due: {other:?}"),
    };
    let facts = scene.site.notes().introspect(grant.access_token.expose()).expect("the provider knows it");
    assert_eq!((facts.family, facts.live), (2, true), "{class:?}");
    assert_eq!(scene.events("connection.reauth_required"), 0, "{class:?}");
    assert_eq!(scene.database.sql("SELECT count(*) FROM connections"), "1");
}

async fn the_older_ones_end(scene: &Scene, class: Class) {
    scene.until(OUTLIVED, "1").await;
    scene.emptied().await;
    let ended = ended(&scene.site.notes().truth());
    assert!(ended.contains(&1) && !ended.contains(&2), "{class:?}: {ended:?}");
}

/// Proves: RF2, RF5, CO9, RV1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rf2_co9_who_connects_again_during_a_refresh_keeps_the_newer_tokens_and_the_older_end() {
    futures::future::join_all(Class::ALL.map(async |class| {
        let scene = Scene::set(class, PgDatabase::create()).await;
        let victim = scene.victim(None).await;
        let (notes, release, before) = (scene.site.notes(), Arc::new(Notify::new()), scene.refreshes());
        notes.script(Fault::SlowAnswer(Arc::clone(&release)), 1);
        let meanwhile = async {
            scene.refreshed(before + 1).await;
            connects_again(&scene).await;
            release.notify_one();
        };
        let (answer, ()) = tokio::join!(scene.ask_by(&victim.client), meanwhile);
        if let Ok(Outcome::Grant(grant)) = answer {
            let facts = notes.introspect(grant.access_token.expose()).expect("the provider knows it");
            assert_eq!(facts.family, 2, "{class:?}: what came late serves nobody");
        }
        the_newer_ones_serve(&scene, class).await;
        // An access token alone ends by itself, and its refresh token as one that was replaced.
        if class != Class::Stays {
            the_older_ones_end(&scene, class).await;
            the_newer_ones_serve(&scene, class).await;
        }
        victim.stops().await;
        scene.end().await;
    }))
    .await;
}

/// The same where the refresh's holder died with what it had got in its spool, and comes back.
///
/// Proves: RF2, RF5, CO9, RV1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rf5_co9_what_is_in_a_spool_and_was_outlived_ends_at_the_provider() {
    futures::future::join_all([Class::Grace, Class::SingleUse, Class::FamilyRevoking].map(async |class| {
        let scene = Scene::set(class, PgDatabase::create()).await;
        scene.victim(Some("refresh.spooled")).await.dies(&scene).await;
        connects_again(&scene).await;
        let back = scene.victim(None).await;
        the_older_ones_end(&scene, class).await;
        // The dead one's lease is over only then.
        scene.to_lease_end(1);
        the_newer_ones_serve(&scene, class).await;
        back.stops().await;
        scene.end().await;
    }))
    .await;
}

/// The older token is refused, and the word comes when the newer ones are there already: it is not about them. Nobody is asked, and nobody
/// is kept waiting by the lease.
///
/// Proves: RF6, CO9
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rf6_co9_a_refusal_of_the_older_token_ends_nothing_that_is_newer() {
    futures::future::join_all(Class::ALL.map(async |class| {
        let scene = Scene::set(class, PgDatabase::create()).await;
        let victim = scene.victim(None).await;
        let (notes, release, before) = (scene.site.notes(), Arc::new(Notify::new()), scene.refreshes());
        assert_eq!(
            notes.disconnect(ALICE.notes.name),
            1,
            "{class:?}: she ends it in the provider's settings"
        );
        notes.script(Fault::SlowAnswer(Arc::clone(&release)), 1);
        let meanwhile = async {
            scene.refreshed(before + 1).await;
            connects_again(&scene).await;
            release.notify_one();
        };
        let (answer, ()) = tokio::join!(scene.ask_by(&victim.client), meanwhile);
        let told = answer.expect_err("it was refused");
        assert_eq!(told.reason(), "PROVIDER_UNAVAILABLE", "{class:?}: {told:?}");
        assert_eq!(told.retry_after(), Some(Duration::from_secs(1)), "{class:?}: at once");
        scene.nothing_is_left();
        assert_eq!(scene.database.sql("SELECT state FROM connections"), "active", "{class:?}");
        assert_eq!(scene.database.sql(CONFLICTS), "1", "{class:?}: and it is on record");
        the_newer_ones_serve(&scene, class).await;
        assert!(scene.refreshes() > before + 1, "{class:?}: they are refreshed at once");
        victim.stops().await;
        scene.end().await;
    }))
    .await;
}

/// A step-up that brings no refresh token leaves the one that the dead holder stored: its entry ends nothing that is in use.
///
/// Proves: RF5, CO9
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rf5_co9_what_is_stored_and_in_use_is_not_taken_for_outlived() {
    futures::future::join_all([Class::Grace, Class::SingleUse, Class::FamilyRevoking].map(async |class| {
        let scene = Scene::set(class, PgDatabase::create()).await;
        let dying = scene.victim(Some("refresh.committed")).await;
        assert!(scene.ask_by(&dying.client).await.is_err());
        dying.process.died().await;
        assert_eq!(scene.kept(), 1, "{class:?}");
        scene.site.notes().script(Fault::NoRefreshToken, 1);
        connects_again(&scene).await;
        let back = scene.victim(None).await;
        scene.emptied().await;
        assert_eq!(scene.database.sql(OUTLIVED), "0", "{class:?}");
        assert_eq!(ended(&scene.site.notes().truth()), Vec::<u64>::new(), "{class:?}");
        assert_eq!(scene.settled().await, Told::Granted, "{class:?}");
        assert_eq!(scene.events("connection.reauth_required"), 0, "{class:?}");
        back.stops().await;
        scene.end().await;
    }))
    .await;
}

/// The same while the refresh is on its way: what it brings is stored beside the new access token, which is as young as its own.
///
/// Proves: RF4, CO9
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rf4_co9_a_refresh_token_is_stored_beside_an_access_token_that_came_meanwhile() {
    futures::future::join_all([Class::Grace, Class::SingleUse, Class::FamilyRevoking].map(async |class| {
        let scene = Scene::set(class, PgDatabase::create()).await;
        let victim = scene.victim(None).await;
        // All three ask for the same scopes: the second consent brings an access token that takes the place of the refresh's own.
        scene.site.notes().set_access_lifetime(LIFE);
        let other = client(&scene.site, &scene.site.grpc_url(), ReportWriter, BOUND).await;
        let first = link(&scene, scene.survivor(), TicketHelper).await;
        let second = link(&scene, &other, ReportWriter).await;
        walks(&scene, &first).await;
        let (notes, release, before) = (scene.site.notes(), Arc::new(Notify::new()), scene.refreshes());
        notes.script(Fault::SlowAnswer(Arc::clone(&release)), 1);
        let meanwhile = async {
            scene.refreshed(before + 1).await;
            notes.script(Fault::NoRefreshToken, 1);
            walks(&scene, &second).await;
            release.notify_one();
        };
        let wanted = more(&scene, TicketHelper);
        let (_, ()) = tokio::join!(victim.client.issue_grant(&wanted), meanwhile);
        scene.emptied().await;
        assert_eq!(scene.database.sql(LATE), "1", "{class:?}: an access token as young stood in the way");
        assert_eq!(scene.settled().await, Told::Granted, "{class:?}");
        assert_eq!(scene.events("connection.reauth_required"), 0, "{class:?}");
        victim.stops().await;
        scene.end().await;
    }))
    .await;
}
