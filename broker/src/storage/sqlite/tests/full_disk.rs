use super::open_fixture;
use crate::{
    domain::{Applied, Entry, Group, Write},
    storage::{
        Connections, StoreError,
        conformance::{pen::Pen, samples},
    },
};

/// Proves: AU3
#[tokio::test]
async fn au3_a_full_disk_is_unavailable_and_nothing_is_applied_in_part() {
    let (fixture, store) = open_fixture().await;
    let mut pen = Pen::open(&fixture).await;
    let known = samples::connection();
    assert_eq!(pen.write(vec![Write::InsertConnection(pen.tag(known))]).await, Applied::Yes);
    {
        // SQLite's own way to make the disk full: no more pages than there are.
        let mut held = store.writer.hold().await.unwrap();
        let limit = sqlx::query("PRAGMA max_page_count = 1").execute(held.connection().unwrap()).await;
        limit.unwrap();
    }
    let before = pen.head.clone();
    let mut failed = None;
    for _ in 0..50 {
        let entries = (0..8)
            .map(|_| {
                let effect = vec![Write::InsertConnection(pen.tag(samples::connection()))];
                Entry { effect, ..samples::note() }
            })
            .collect();
        match pen.commit(&[Group { entries }]).await {
            Ok(_) => {}
            Err(error) => {
                failed = Some(error);
                break;
            }
        }
    }
    let error = failed.expect("the pages run out");
    assert!(matches!(&error, StoreError::Unavailable(text) if text.contains("full")), "{error}");
    assert!(pen.head.seq < before.seq + 400);
    let stored = store.page(&samples::tenant(), None, 1000).await.unwrap();
    // Each row after the first belongs to one connection: an effect without its row, or a row without its effect, would show.
    assert_eq!(i64::try_from(stored.len()).unwrap(), pen.head.seq);
    {
        let mut held = store.writer.hold().await.unwrap();
        sqlx::query("PRAGMA max_page_count = 100000").execute(held.connection().unwrap()).await.unwrap();
    }
    assert_eq!(pen.entry(samples::note()).await, Applied::Yes, "it goes on when there is room again");
}
