use super::{Place, config_on, fixture_of};
use crate::{
    domain::{Applied, Entry, Group, Write},
    storage::{
        Connections, Ledger, StoreError,
        conformance::{pen::Pen, samples},
        postgres::{PostgresStore, migrate::migrate_database},
    },
};
use broker_testkit::{OWNER, Server};
use std::{sync::Arc, time::Duration};

fn insert(pen: &Pen<'_>) -> [Group; 1] {
    let effect = vec![Write::InsertConnection(pen.tag(samples::connection()))];
    [Group { entries: vec![Entry { effect, ..samples::note() }] }]
}

/// The server dies in the middle of load, as in a crash, and comes back: what was acknowledged is there, row and effect together, and
/// the store goes on without a human.
///
/// Proves: AV3, AU3
#[tokio::test]
async fn av3_au3_a_crash_of_the_server_loses_nothing_acknowledged_and_needs_no_human() {
    let server = Arc::new(Server::durable());
    let database = server.database();
    let mut config = config_on(&server, &database);
    config.development = false;
    let owner = server.url(OWNER, &database).into();
    migrate_database(&config, Some(&owner), samples::NOW).await.unwrap();
    let store = PostgresStore::open(&config).await.unwrap();
    let fixture = Place::plain(Arc::new(store));
    let mut pen = Pen::open(&fixture).await;
    for _ in 0..3 {
        let mut acknowledged = 0;
        let before = pen.head.seq;
        let load = async {
            loop {
                match pen.commit(&insert(&pen)).await {
                    Ok(_) => acknowledged += 1,
                    Err(error) => break error,
                }
            }
        };
        let (pulled, name) = (server.clone(), database.clone());
        let crash = tokio::task::spawn_blocking(move || {
            let written = || pulled.sql(&name, "SELECT count(*) FROM audit_events").parse::<i64>().unwrap();
            assert!((0..2000).any(|_| written() >= before + 5), "the load goes on");
            pulled.crash();
        });
        let error = tokio::time::timeout(Duration::from_secs(60), async { tokio::join!(load, crash) }).await;
        let (error, crashed) = error.expect("the load notices");
        crashed.unwrap();
        assert!(acknowledged > 0);
        assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
        let down = fixture.ledger.streams().await.expect_err("it is down");
        assert!(matches!(down, StoreError::Unavailable(_)), "{down}");
        server.restart();
        let head = loop {
            if let Ok(streams) = fixture.ledger.streams().await {
                break streams[0].head.clone();
            }
        };
        assert!(
            head.seq >= before + acknowledged && head.seq <= before + acknowledged + 1,
            "{head:?} after {acknowledged}"
        );
        pen.head = head;
        assert_eq!(pen.entry(samples::note()).await, Applied::Yes);
        // Notes have no connection: one a round.
    }
    let connections = fixture.connections.page(&samples::tenant(), None, 100_000).await.unwrap();
    assert_eq!(
        i64::try_from(connections.len()).unwrap(),
        pen.head.seq - 3,
        "an effect is there exactly where its row is"
    );
}

/// Proves: AV3
#[tokio::test]
async fn av3_a_read_only_or_full_server_is_unavailable_and_says_why() {
    let place = Place::migrated().await;
    let (fixture, store) = fixture_of(&place).await;
    let mut pen = Pen::open(&fixture).await;
    let sql = |text: &str| broker_testkit::shared().sql(&place.database, text);
    sql("CREATE FUNCTION full_disk() RETURNS TRIGGER LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''secret value'' USING ERRCODE = ''53100''; END';
         CREATE TRIGGER full_disk BEFORE INSERT ON audit_events FOR EACH STATEMENT EXECUTE FUNCTION full_disk()");
    let full = pen.commit(&insert(&pen)).await.expect_err("it is full");
    assert_eq!(full.to_string(), "the database is unavailable: the disk is full (SQLSTATE 53100)");
    sql("DROP TRIGGER full_disk ON audit_events");
    assert!(store.page(&samples::tenant(), None, 9).await.unwrap().is_empty(), "nothing is applied in part");
    assert_eq!(pen.entry(samples::note()).await, Applied::Yes, "it goes on when there is room again");
    // A slow one: the server itself ends the statement.
    sql("CREATE FUNCTION slow() RETURNS TRIGGER LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(60); RETURN NULL; END';
         CREATE TRIGGER slow BEFORE INSERT ON audit_events FOR EACH STATEMENT EXECUTE FUNCTION slow()");
    let slow =
        tokio::time::timeout(Duration::from_secs(6), pen.commit(&insert(&pen))).await.expect("bounded");
    assert!(matches!(slow, Err(StoreError::Unavailable(why)) if why.contains("too long")));
    sql("DROP TRIGGER slow ON audit_events");
    assert_eq!(pen.entry(samples::note()).await, Applied::Yes);
    assert!(store.page(&samples::tenant(), None, 9).await.unwrap().is_empty());
    assert_eq!(store.streams().await.unwrap()[0].head, pen.head);
}
