use super::{Fixture, pen::Pen, samples};
use crate::{
    domain::{Applied, Entry, Group, Write},
    storage::LockMode,
};
use futures::{FutureExt, poll};
use std::{pin::pin, task::Poll};

/// Drops the commit after more and more polls, until one is enough.
pub(crate) async fn dropped(fixture: &Fixture) {
    let mut pen = Pen::open(fixture).await;
    let (mut undone, mut done) = (0, 0);
    let mut polls = 0;
    loop {
        let effect = vec![Write::InsertConnection(pen.tag(samples::connection()))];
        let batch = [Group { entries: vec![Entry { effect, ..samples::note() }] }];
        let finished = {
            let ledger = &fixture.ledger;
            let commit = ledger.commit(&pen.head, pen.epoch, &batch, LockMode::Shared, pen.now, &pen.seal);
            let mut commit = pin!(commit.fuse());
            let mut finished = false;
            for _ in 0..polls {
                finished = matches!(poll!(&mut commit), Poll::Ready(Ok(_)));
                if finished {
                    break;
                }
                tokio::task::yield_now().await;
            }
            finished
        };
        // Waits its turn behind whatever the dropped commit left running, then says where the head is.
        fixture.sessions.purge(samples::NOW).await.unwrap();
        let stored = fixture.ledger.streams().await.unwrap().remove(0).head;
        let moved = stored.seq - pen.head.seq;
        assert!(moved == 1 || (moved == 0 && !finished), "{polls} polls moved the head by {moved}");
        (undone, done) = if moved == 0 { (undone + 1, done) } else { (undone, done + 1) };
        pen.head = stored;
        assert_eq!(pen.entry(samples::note()).await, Applied::Yes, "after {polls} polls");
        if finished {
            break;
        }
        polls += 1 + polls / 8;
    }
    assert!(undone > 0, "some were dropped before their end");
    let stored = fixture.connections.page(&samples::tenant(), None, 1000).await.unwrap();
    assert_eq!(stored.len(), done, "an effect is there exactly where its row is");
}
