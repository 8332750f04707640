use super::open_fixture;
use crate::{
    domain::{Applied, Entry, Write},
    storage::{
        AuditFilter, AuditLog, Connections, Ledger, LockMode, StoreError, WrappedKey, WrappedKeys,
        conformance::{pen::Pen, samples},
        sqlite::{OpenError, SchemaError, SqliteStore, migrate_file},
    },
};
use sqlx::Row;
use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::Path,
    time::Duration,
};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn every_file_is_its_owners_alone() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("broker.db");
    // What an operator's careless copy would look like.
    fs::write(&path, b"").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    let store = SqliteStore::open(&path, samples::NOW).await.unwrap();
    store.streams().await.unwrap();
    for name in ["broker.db", "broker.db-wal", "broker.db-shm", "broker.db.lock"] {
        assert_eq!(mode(&home.path().join(name)), 0o600, "{name}");
    }
}

#[tokio::test]
async fn one_process_serves_a_file_under_whatever_name() {
    let home = tempfile::tempdir().unwrap();
    let (path, alias) = (home.path().join("broker.db"), home.path().join("alias.db"));
    let store = SqliteStore::open(&path, samples::NOW).await.unwrap();
    std::os::unix::fs::symlink(&path, &alias).unwrap();
    for name in [&path, &alias] {
        assert!(matches!(SqliteStore::open(name, samples::NOW).await, Err(OpenError::InUse(_))));
        assert!(matches!(migrate_file(name, samples::NOW).await, Err(OpenError::InUse(_))));
    }
    drop(store);
    SqliteStore::open(&alias, samples::NOW).await.unwrap();
}

#[tokio::test]
async fn what_was_committed_is_there_after_reopening() {
    let (fixture, store) = open_fixture().await;
    let path = fixture.home.path().join("broker.db");
    let (connection, key, head) = {
        let mut pen = Pen::open(&fixture).await;
        let connection = samples::connection();
        let effect = vec![Write::InsertConnection(pen.tag(connection.clone()))];
        assert_eq!(pen.entry(Entry { effect, ..samples::note() }).await, Applied::Yes);
        (connection, pen.seal.key.clone(), pen.head.clone())
    };
    store.close().await.unwrap();
    assert!(!fixture.home.path().join("broker.db-wal").exists(), "the log is folded in");
    let home = fixture.into_home();
    drop(store);
    let store = SqliteStore::open(&path, samples::NOW).await.unwrap();
    let stored = Connections::by_id(&store, &samples::tenant(), &connection.id).await.unwrap().unwrap();
    assert_eq!(stored.row.check(&key).unwrap(), connection);
    assert_eq!(store.streams().await.unwrap()[0].head, head);
    drop((store, home));
}

#[tokio::test]
async fn a_reader_reads_beside_the_server_and_writes_nothing() {
    let (fixture, store) = open_fixture().await;
    let mut pen = Pen::open(&fixture).await;
    let path = fixture.home.path().join("broker.db");
    let reader = SqliteStore::open_read_only(&path).await.unwrap();
    pen.entry(samples::note()).await;
    assert_eq!(reader.list(&AuditFilter::default(), None, 9).await.unwrap().len(), 1);
    let mut streams = store.streams().await.unwrap();
    // Who serves is alone; who looks on cannot tell who lives, and takes nobody for dead.
    assert!(streams.iter().all(|stream| stream.silent_for == Duration::MAX));
    streams.iter_mut().for_each(|stream| stream.silent_for = Duration::ZERO);
    for beside in [reader.streams().await, SqliteStore::open_beside(&path).await.unwrap().streams().await] {
        assert_eq!(beside.unwrap(), streams);
    }
    let commit = reader.commit(&pen.head, 0, &[], LockMode::Shared, pen.now, &pen.seal).await;
    assert!(matches!(commit, Err(StoreError::Unavailable(_))), "{commit:?}");
    let key = WrappedKey {
        id: "k".to_owned(),
        tenant: String::new(),
        subject: String::new(),
        wrapped_by: String::new(),
        wrapped: vec![],
        created_at: pen.now,
    };
    assert!(matches!(reader.insert(&key, true).await, Err(StoreError::Unavailable(_))));
    let missing = SqliteStore::open_read_only(&fixture.home.path().join("other.db")).await;
    assert!(
        matches!(missing, Err(OpenError::Store(StoreError::Unavailable(_)))),
        "a missing file is an error"
    );
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("notes.txt");
    let text = "not a database at all, but long enough to be looked at ".repeat(40);
    fs::write(&path, &text).unwrap();
    let error = SqliteStore::open(&path, samples::NOW).await.err().expect("refused");
    assert!(error.to_string().contains("not a database"), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    assert!(!matches!(error, OpenError::Schema(SchemaError::Pending { .. })));
}

#[tokio::test]
async fn commits_are_on_disk_before_they_are_told() {
    let (_fixture, store) = open_fixture().await;
    let mut held = store.writer.hold().await.unwrap();
    for (pragma, expected) in
        [("PRAGMA synchronous", "2"), ("PRAGMA journal_mode", "wal"), ("PRAGMA foreign_keys", "1")]
    {
        let row = sqlx::query(pragma).fetch_one(held.connection().unwrap()).await.unwrap();
        let value = row.try_get_unchecked::<String, _>(0).unwrap();
        assert_eq!(value, expected, "{pragma}");
    }
}
