use super::{Fixture, pen::Pen, samples};
use crate::domain::{Applied, Entry, WebSession, Write};

pub(crate) async fn writes(fixture: &Fixture) {
    let mut pen = Pen::open(fixture).await;
    let session = samples::session(1);
    let insert = |pen: &Pen<'_>, session: &WebSession| vec![Write::InsertSession(pen.tag(session.clone()))];
    let update = |pen: &Pen<'_>, session: &WebSession, expected_version| {
        vec![Write::UpdateSession { row: pen.tag(session.clone()), expected_version }]
    };
    assert_eq!(pen.write(insert(&pen, &session)).await, Applied::Yes);
    assert_eq!(pen.write(insert(&pen, &session)).await, Applied::NotApplied(0));
    let reads = &fixture.sessions;
    reads.touch(&session.id_hash, samples::later(7)).await.unwrap();
    reads.touch(&session.id_hash, samples::later(3)).await.unwrap();

    let ended = WebSession { ended: true, version: 2, ..session.clone() };
    let handed_over = WebSession { subject: samples::person("bob"), ..ended.clone() };
    assert_eq!(pen.write(update(&pen, &handed_over, 1)).await, Applied::NotApplied(0));
    assert_eq!(pen.write(update(&pen, &ended, 2)).await, Applied::NotApplied(0));
    assert_eq!(pen.write(update(&pen, &ended, 1)).await, Applied::Yes);
    let stored = reads.by_id(&session.id_hash).await.unwrap().unwrap().check(&pen.seal.key).unwrap();
    let expected = WebSession { last_seen_at: samples::later(7), ..ended };
    assert_eq!(stored, expected, "the last sign of life does not go back");

    pen.write(insert(&pen, &samples::session(2))).await;
    let short = WebSession { expires_at: samples::later(5), ..samples::session(3) };
    pen.write(insert(&pen, &short)).await;
    pen.entry(Entry { claim: Some(samples::claim(1)), ..samples::note() }).await;
    assert_eq!(reads.purge(samples::later(5)).await.unwrap(), 2, "the ended one and the one that ran out");
    assert!(reads.by_id(&[2; 32]).await.unwrap().is_some());
    assert!(reads.by_id(&[3; 32]).await.unwrap().is_none());
    assert_eq!(reads.purge(samples::later(600)).await.unwrap(), 1, "the request id");
}
