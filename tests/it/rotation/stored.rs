//! Whatever is sealed, in whatever state: it is wrapped by the newest key, and goes on as if nothing had happened.

use std::collections::BTreeSet;
use std::time::Duration;

use broker::worker;
use broker_client::ConsentRequired;
use broker_tests::database::Database;
use broker_tests::dialect::Dialect;
use broker_tests::postgres::PgDatabase;
use broker_tests::process::run;
use broker_tests::stage::{READ, READ_WRITE, Stage};
use demo::browser::Page;
use demo::saas::{Endpoint, Event, Fault, RevokedKind};
use demo::walk;
use demo::world::{
    ALICE, BOB, Person,
    Workload::{ReportWriter, TicketHelper},
};

use super::{rewrap, rotate, tenant};

const COLUMNS_OF_SQLITE: &str = "\
SELECT group_concat(t.name || '.' || c.name) FROM sqlite_schema t JOIN pragma_table_info(t.name) c
WHERE t.type = 'table' AND (c.type = 'BLOB' OR c.name = 'wrapped_by')";
const COLUMNS_OF_POSTGRESQL: &str = "\
SELECT string_agg(c.table_name || '.' || c.column_name, ',') FROM information_schema.columns c
JOIN pg_class r ON r.relname = c.table_name AND r.relnamespace = 'public'::regnamespace AND NOT r.relispartition
WHERE c.table_schema = 'public' AND (c.data_type = 'bytea' OR c.column_name = 'wrapped_by')";

/// Every column in which a key is named, but for the log, which tells of it for good.
async fn places(dialect: Dialect, database: &mut Database, key: &str) -> BTreeSet<String> {
    let sqlite = dialect == Dialect::Sqlite;
    let columns = database.text(if sqlite { COLUMNS_OF_SQLITE } else { COLUMNS_OF_POSTGRESQL }).await;
    assert!(columns.split(',').count() > 20, "{columns}");
    let mut places = BTreeSet::new();
    for place in columns.split(',').filter(|place| !place.starts_with("audit_")) {
        let (table, column) = place.split_once('.').expect("a column of a table");
        let named = match (sqlite, column) {
            (_, "wrapped_by") => format!("wrapped_by = '{key}'"),
            (true, _) => format!("instr({column}, CAST('{key}' AS BLOB)) > 0"),
            (false, _) => format!("position(convert_to('{key}', 'UTF8') IN {column}) > 0"),
        };
        if database.text(&format!("SELECT count(*) FROM {table} WHERE {named}")).await != "0" {
            places.insert(place.to_owned());
        }
    }
    places
}

async fn approved(stage: &Stage, person: &Person, consent: &ConsentRequired) -> Page {
    let browser = stage.world.browser().expect("a browser");
    let page = browser.get(consent.url.expose()).await.expect("a page");
    let page = walk::sign_in(page, &person.sso).await.expect("signed in");
    walk::approve(page).await.expect("approved")
}

async fn to_confirmation(stage: &Stage, person: &Person, consent: &ConsentRequired) -> Page {
    walk::allow(approved(stage, person, consent).await, &person.notes).await.expect("allowed")
}

async fn stage(dialect: Dialect) -> Stage {
    match dialect {
        Dialect::Sqlite => Stage::start().await,
        Dialect::Postgres => Stage::on_postgres(&PgDatabase::create()).await,
    }
}

/// Alice is connected, and about to confirm more; Bob has left for the provider with one link, and turned away from what came of another.
async fn everything(dialect: Dialect) {
    let stage = stage(dialect).await;
    stage.connect(&ALICE, TicketHelper, READ).await;
    let more = stage.consent(&ALICE, TicketHelper, READ_WRITE).await;
    let to_confirm = to_confirmation(&stage, &ALICE, &more).await;
    let unwanted = to_confirmation(&stage, &BOB, &stage.consent(&BOB, ReportWriter, READ).await).await;
    stage.world.notes().script_at(Endpoint::Revoke, Fault::Status500, 1);
    let form = unwanted.form("/reject").expect("the way out");
    assert_eq!(form.submit("Do not attach it").await.expect("answers").status, 200);
    let to_allow = approved(&stage, &BOB, &stage.consent(&BOB, TicketHelper, READ).await).await;

    let mut database = stage.database().await;
    let rotated = rotate(&stage.world).await;
    let old = rotated.previous;
    let sealed = [
        "connection_secrets.envelope",
        "consents.obtained_access",
        "consents.obtained_refresh",
        "consents.pkce_verifier",
        "subject_keys.wrapped_by",
    ];
    assert_eq!(places(dialect, &mut database, &old).await, sealed.map(str::to_owned).into());
    let (done, left) = rewrap(&stage.world).await;
    assert_eq!((done.rows.tokens, done.rows.consents, done.unusable, left), (2, 3, 0, 0));
    assert!(done.rows.subject_keys >= 2, "{done:?}");
    assert_eq!(places(dialect, &mut database, &old).await, BTreeSet::new());
    assert_eq!(places(dialect, &mut database, &rotated.key.id).await, sealed.map(str::to_owned).into());
    let (again, _) = rewrap(&stage.world).await;
    assert_eq!(again.rows.sum(), 0, "there is nothing left to do");

    stage.grant(&ALICE, TicketHelper, READ).await;
    assert_eq!(walk::confirm(to_confirm).await.expect("confirmed").status, 200);
    stage.grant(&ALICE, TicketHelper, READ_WRITE).await;
    let page = walk::confirm(walk::allow(to_allow, &BOB.notes).await.expect("allowed")).await;
    assert_eq!(page.expect("confirmed").status, 200);
    stage.grant(&BOB, TicketHelper, READ).await;
    let ended = |stage: &Stage| {
        let events = stage.world.notes().truth();
        events.iter().filter(|e| matches!(e, Event::Revoked { kind: RevokedKind::Family, .. })).count()
    };
    let before = ended(&stage);
    for _ in 0..3 {
        stage.clock.advance(Duration::from_secs(120));
        worker::round(stage.world.rooms()).await;
    }
    assert!(ended(&stage) > before, "what Bob turned away from ends at the provider");
    stage.clock.advance(Duration::from_secs(700));
    for person in [&ALICE, &BOB] {
        stage.grant(person, TicketHelper, READ).await;
    }
    assert_eq!(
        places(dialect, &mut database, &old).await,
        BTreeSet::new(),
        "what is new is wrapped by the new one"
    );

    let events = database.events().await;
    let created: Vec<_> = events.iter().filter(|event| event.kind == "key.created").collect();
    let [created] = created[..] else { panic!("one key, one row: {created:?}") };
    assert_eq!(
        [created.text("/tenant"), created.text("/detail/key"), created.text("/detail/previous")],
        [tenant().as_str(), &rotated.key.id, &old]
    );
    assert_eq!(created.text("/detail/by"), "operator");
    let ran = run(stage.world.directory(), &["audit", "verify"]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    stage.stop().await;
}

/// Proves: VA5, VA11, AU2, RV1
#[tokio::test]
async fn va5_whatever_is_sealed_in_sqlite_is_wrapped_anew_and_goes_on_while_the_broker_serves() {
    everything(Dialect::Sqlite).await;
}

/// Proves: VA5, VA11, AU2, RV1
#[tokio::test]
async fn va5_whatever_is_sealed_in_postgresql_is_wrapped_anew_and_goes_on_while_the_broker_serves() {
    everything(Dialect::Postgres).await;
}

/// A row that was edited gets no new tag; it stays as it is, and is told of.
///
/// Proves: VA11, VA5
#[tokio::test]
async fn va11_rotation_makes_no_edited_row_good() {
    for dialect in [Dialect::Sqlite, Dialect::Postgres] {
        edited(dialect).await;
    }
}

async fn edited(dialect: Dialect) {
    let stage = stage(dialect).await;
    stage.connect(&ALICE, TicketHelper, READ).await;
    stage.connect(&BOB, TicketHelper, READ).await;
    let mut database = stage.database().await;
    let of_alice = "SELECT s.connection FROM connection_secrets s JOIN connections c ON c.id = s.connection
        WHERE s.kind = 'access' ORDER BY c.created_at, c.id LIMIT 1";
    let id = database.text(of_alice).await;
    let row = format!("connection = '{id}' AND kind = 'access'");
    database.edit(&format!("UPDATE connection_secrets SET expires_at = expires_at + 1 WHERE {row}")).await;
    let shown = |sql: &str| match dialect {
        Dialect::Sqlite => format!("SELECT hex({sql}) FROM connection_secrets WHERE {row}"),
        Dialect::Postgres => format!("SELECT encode({sql}, 'hex') FROM connection_secrets WHERE {row}"),
    };
    let before = (database.text(&shown("envelope")).await, database.text(&shown("mac")).await);
    rotate(&stage.world).await;
    let (done, left) = rewrap(&stage.world).await;
    assert_eq!((done.rows.tokens, done.unusable, left), (3, 1, 1));
    assert_eq!((database.text(&shown("envelope")).await, database.text(&shown("mac")).await), before);
    stage.stop().await;
}
