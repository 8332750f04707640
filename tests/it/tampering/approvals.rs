//! Edits of `approvals`: an approval that fails its check is none, and the person is asked again.

use broker_client::proto::ConsentReason::NotApproved;

use super::scene::{ALICE_REPORTS, Answer, Ask, BOB_READS, Edit, NEVER, Scene};

const fn not_approved(sql: &'static str, ask: Ask) -> Edit {
    Edit { sql, ask, answer: Answer::Consent(NotApproved) }
}

const fn reports(sql: &'static str) -> Edit {
    not_approved(sql, ALICE_REPORTS)
}

/// Proves: VA11, CO8
#[tokio::test]
async fn an_edited_approval_is_none() {
    let mut scene = Scene::start().await;
    let edits = [
        reports("UPDATE approvals SET scopes = 'notes.read notes.write' WHERE connection = '{alice}' AND workload = 'report-writer'"),
        not_approved(
            "UPDATE approvals SET scopes = 'notes.read notes.write' WHERE connection = '{alice}' AND workload = 'report-writer'",
            NEVER[0],
        ),
        // The ticket helper's approval in the report writer's name.
        not_approved("UPDATE approvals SET workload = 'report-writer' WHERE connection = '{bob}'", NEVER[2]),
        not_approved("UPDATE approvals SET workload = 'report-writer' WHERE connection = '{bob}'", BOB_READS),
        // alice's yes to the report writer on bob's connection.
        not_approved(
            "UPDATE approvals SET connection = '{bob}' WHERE connection = '{alice}' AND workload = 'report-writer'",
            NEVER[2],
        ),
        reports("UPDATE approvals SET tenant = 'elsewhere' WHERE connection = '{alice}' AND workload = 'report-writer'"),
        reports("UPDATE approvals SET id = 'apr_' || substr('{alice}', 5) WHERE connection = '{alice}' AND workload = 'report-writer'"),
        reports("UPDATE approvals SET default_account = 1 - default_account WHERE connection = '{alice}' AND workload = 'report-writer'"),
        reports("UPDATE approvals SET approved_by = 'policy' WHERE connection = '{alice}' AND workload = 'report-writer'"),
        reports("UPDATE approvals SET withdrawn_at = 1 WHERE connection = '{alice}' AND workload = 'report-writer'"),
        reports("UPDATE approvals SET version = version + 1 WHERE connection = '{alice}' AND workload = 'report-writer'"),
        reports("UPDATE approvals SET born_epoch = 1000000 WHERE connection = '{alice}' AND workload = 'report-writer'"),
        reports("UPDATE approvals SET created_at = 0 WHERE connection = '{alice}' AND workload = 'report-writer'"),
        reports("UPDATE approvals SET mac = zeroblob(50) WHERE connection = '{alice}' AND workload = 'report-writer'"),
        // A copy of the ticket helper's row under another name.
        not_approved(
            "INSERT INTO approvals SELECT 'apr_' || substr('{alice}', 5), tenant, connection, 'report-writer', scopes,
               approved_by, default_account, withdrawn_at, version, born_epoch, created_at, mac
             FROM approvals WHERE connection = '{bob}'",
            NEVER[2],
        ),
    ];
    scene.try_each(&edits).await;
    scene.stage.stop().await;
}

/// Proves: VA9, VA11
#[tokio::test]
async fn va9_an_approval_that_cannot_be_read_is_none_and_is_replaced() {
    let mut scene = Scene::start().await;
    let edits = [
        reports(
            "UPDATE approvals SET scopes = 'b a' WHERE connection = '{alice}' AND workload = 'report-writer'",
        ),
        reports(
            "UPDATE approvals SET approved_by = 'nobody' WHERE connection = '{alice}' AND workload = 'report-writer'",
        ),
        reports(
            "UPDATE approvals SET default_account = 7 WHERE connection = '{alice}' AND workload = 'report-writer'",
        ),
        reports(
            "UPDATE approvals SET id = 'nonsense' WHERE connection = '{alice}' AND workload = 'report-writer'",
        ),
        reports(
            "UPDATE approvals SET id = CAST(x'ff' AS TEXT) WHERE connection = '{alice}' AND workload = 'report-writer'",
        ),
    ];
    scene.try_each(&edits).await;
    scene.stage.stop().await;
}

/// Proves: VA11, GR12
#[tokio::test]
async fn a_withdrawn_approval_does_not_come_back_by_an_edit() {
    let mut scene = Scene::start().await;
    let row = "FROM approvals WHERE connection = '{alice}' AND workload = 'report-writer'";
    scene.database.run(&scene.sql(&format!("CREATE TEMP TABLE kept AS SELECT * {row}"))).await;
    let assertion = scene.stage.world.assertion(&demo::world::ALICE, super::scene::ReportWriter);
    let client = scene.stage.client(super::scene::ReportWriter);
    client.withdraw_approval(&scene.alice, &assertion.into()).await.expect("withdrawn");
    scene.database.save().await;
    for sql in [
        // The mark alone, and the whole row as it once was: authentic, but a rule has ended it.
        "UPDATE approvals SET withdrawn_at = NULL WHERE connection = '{alice}' AND workload = 'report-writer'",
        "INSERT OR REPLACE INTO approvals SELECT * FROM temp.kept",
    ] {
        scene.database.edit(&scene.sql(sql)).await;
        let (person, workload, scopes) = ALICE_REPORTS;
        let consent = scene.stage.consent(person, workload, scopes).await;
        assert_eq!(consent.reason, NotApproved, "{sql}");
        scene.nobody_gets_more(sql).await;
        scene.stage.walk(person, &consent).await;
        scene.stage.grant(person, workload, scopes).await;
        scene.database.restore().await;
    }
    scene.stage.stop().await;
}
