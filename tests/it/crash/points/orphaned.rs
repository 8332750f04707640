//! What came for a code is in the spool of a dead broker, and the consent's row is edited, put back or removed meanwhile: nothing can be
//! stored in it, and the provider is told to end what it gave.

use demo::saas::{Endpoint, Event, Fault, RevokedKind};

use super::moved::Scene;
use super::scene::{BOUND, emptied, entries};

/// Proves: RF5, RV1, VA9
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rf5_rv1_what_is_kept_for_a_consent_that_is_no_more_is_revoked() {
    let removed = "DELETE FROM consents";
    let edited = "UPDATE consents SET mac = decode(repeat('00', 50), 'hex')";
    let put_back = "UPDATE consents c SET (state, state_hash, browser_hash, pkce_verifier, version, expires_at, mac) = \
        (SELECT state, state_hash, browser_hash, pkce_verifier, version, expires_at, mac FROM earlier e WHERE e.id = c.id)";
    let cases = [
        ("code.spooled", removed),
        ("code.settling", removed),
        ("code.settling", edited),
        ("code.spooled", put_back),
    ];
    futures::future::join_all(cases.map(|(point, edit)| orphaned(point, edit))).await;
}

async fn orphaned(point: &str, edit: &str) {
    let (scene, dying) = Scene::set(point, false).await;
    let link = scene.link().await.expect("nobody is connected");
    scene.database.sql("CREATE TABLE earlier AS SELECT * FROM consents");
    scene.dies(&link, dying).await;
    assert_eq!(
        (scene.standing(), entries(&scene.site.path("spool"))),
        (1, 1),
        "{point}: it is known to the spool alone"
    );
    scene.database.sql(edit);
    // At first the provider cannot be told: it is told again.
    scene.site.notes().script_at(Endpoint::Revoke, Fault::Status500, 1);
    let back = scene.comes_back().await;
    let revoked = |events: &[Event]| {
        events.iter().any(|e| matches!(e, Event::Revoked { kind: RevokedKind::Family, .. }))
    };
    let told = scene.site.notes().wait_until(revoked);
    tokio::time::timeout(BOUND, told).await.unwrap_or_else(|_| panic!("{point}, {edit}: {}", back.stderr()));
    emptied(&scene.site.path("spool")).await;
    assert_eq!(scene.standing(), 0);
    let noted = |kind: &str, outcome: &str| {
        scene.database.sql(&format!(
            "SELECT count(*) FROM audit_events WHERE kind = '{kind}' AND outcome = '{outcome}'"
        ))
    };
    assert_eq!(noted("provider_revocation.result", "allowed"), "1", "{point}, {edit}");
    let failed =
        "SELECT count(*) FROM audit_events WHERE kind = 'consent.failed' AND reason = 'RECORD_QUARANTINED'";
    assert_eq!(scene.database.sql(failed), "1", "{point}, {edit}");
    assert_eq!(scene.database.sql("SELECT count(*) FROM connections"), "0");
    back.terminate().await;
    assert!(back.ended().await.0.success());
    scene.end().await;
}
