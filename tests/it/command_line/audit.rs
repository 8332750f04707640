//! `broker audit list|verify`, beside a running broker and after it.

use broker_tests::database::Database;
use broker_tests::stage::{READ, Stage};
use demo::sso::User;
use demo::world::{ALICE, BOB, Workload::ReportWriter, Workload::TicketHelper};
use serde_json::Value;

use super::{refused, works};

/// The events that these arguments select.
async fn list(stage: &Stage, args: &[&str]) -> Vec<Value> {
    let printed = works(stage.world.directory(), &[&["audit", "list", "--json"], args].concat()).await;
    printed.lines().map(|line| serde_json::from_str(line).expect("one JSON document a line")).collect()
}

#[tokio::test]
async fn audit_list_shows_exactly_what_its_filters_say_beside_a_running_broker() {
    let stage = Stage::start().await;
    let grant = stage.connect(&ALICE, TicketHelper, READ).await;
    stage.clock.advance(std::time::Duration::from_secs(3600));
    stage.consent(&BOB, ReportWriter, READ).await;
    let all = list(&stage, &[]).await;
    let mut database = stage.database().await;
    let stored = database.events().await;
    assert_eq!(all.len(), stored.len());
    assert!(all.iter().zip(&stored).all(|(shown, row)| *shown == row.body), "the canonical bytes, in order");

    let subject = format!("staff/{}", User::alice().sub);
    let alices = all.iter().find(|e| e["id"] == grant.id.as_str()).expect("the grant")["subject"].clone();
    type Wanted<'a> = Box<dyn Fn(&Value) -> bool + 'a>;
    let cases: [(&[&str], Wanted<'_>); 8] = [
        (&["--workload", "report-writer"], Box::new(|e| e["workload"] == "report-writer")),
        (&["--provider", "notes"], Box::new(|e| e["provider"] == "notes")),
        (&["--outcome", "consent_required"], Box::new(|e| e["outcome"] == "consent_required")),
        (&["--tenant", "company"], Box::new(|e| e["tenant"] == "company")),
        (&["--tenant", "company", "--subject", &subject], Box::new(|e| e["subject"] == alices)),
        (&["--since", "2026-03-02T09:30:00Z"], Box::new(|e| e["time"].as_str() >= Some("2026-03-02T09:30"))),
        (&["--until", "2026-03-02T09:30:00Z"], Box::new(|e| e["time"].as_str() < Some("2026-03-02T09:30"))),
        (&["--provider", "elsewhere"], Box::new(|_| false)),
    ];
    for (args, wanted) in cases {
        let expected: Vec<&Value> = all.iter().filter(|event| wanted(event)).collect();
        assert!(args[1] == "elsewhere" || (!expected.is_empty() && expected.len() < all.len()), "{args:?}");
        assert_eq!(list(&stage, args).await.iter().collect::<Vec<_>>(), expected, "{args:?}");
    }
    assert_eq!(list(&stage, &["--limit", "3"]).await, all[..3]);
    let table = works(stage.world.directory(), &["audit", "list"]).await;
    assert_eq!(table.lines().count(), all.len() + 1);
    assert!(table.starts_with("TIME") && table.contains("grant.issue"), "{table}");

    let directory = stage.world.directory();
    refused(directory, &["audit", "list", "--since", "yesterday"], 1, &["--since is not RFC 3339"]).await;
    refused(directory, &["audit", "list", "--outcome", "odd"], 2, &["allowed"]).await;
    refused(directory, &["audit", "list", "--subject", "staff/x"], 2, &["--tenant"]).await;
    refused(directory, &["audit", "list", "--subject", "x", "--tenant", "company"], 1, &["REALM/SUBJECT"])
        .await;
    database.close().await;
    stage.stop().await;
}

/// Proves: AU8
#[tokio::test]
async fn au8_audit_verify_exits_with_3_and_names_the_row_that_was_changed() {
    let stage = Stage::start().await;
    let grant = stage.connect(&ALICE, TicketHelper, READ).await;
    let directory = stage.world.directory().to_owned();
    let running = works(&directory, &["audit", "verify", "--json"]).await;
    let running: Value = serde_json::from_str(&running).expect("JSON");
    assert_eq!((&running["verified"], &running["open_streams"]), (&true.into(), &1.into()));

    let (stream, seq) = grant.audit_position;
    let World { site, .. } = stop(stage).await;
    let said = works(&directory, &["audit", "verify"]).await;
    assert!(said.starts_with("verified: ") && said.contains("(0 open, 0 recovered)"), "{said}");
    let mut database = Database::open(&site.database_path()).await;
    database.drop_triggers("audit_events").await;
    let edit = "body = CAST(replace(CAST(body AS TEXT), 'ticket-helper', 'report-writer') AS BLOB)";
    database.edit(&format!("UPDATE audit_events SET {edit} WHERE stream = '{stream}' AND seq = {seq}")).await;
    database.close().await;
    let place = format!("audit stream {stream}, event {seq}: ");
    refused(&directory, &["audit", "verify"], 3, &["NOT VERIFIED: ", &place, "its bytes were changed"]).await;
    let json = refused(&directory, &["audit", "verify", "--json"], 3, &[]).await.stdout;
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((&json["verified"], &json["seq"]), (&false.into(), &seq.into()));
    assert_eq!(json["stream"], stream.as_str());
}

/// What is left of a stage whose broker stopped: its files stay while this is held.
struct World {
    site: demo::world::Site,
}

async fn stop(stage: Stage) -> World {
    World { site: stage.world.stop().await }
}
