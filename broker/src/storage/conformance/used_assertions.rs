use super::{Fixture, pen::Pen, samples};
use crate::domain::{Applied, Entry, Group, Write};

/// A group of as many entries as there are request ids, or of one; the first uses the assertion up.
fn using(byte: u8, claims: &[u8]) -> Group {
    let effect = vec![Write::UseAssertion(samples::used(byte))];
    let first = Entry { effect, claim: claims.first().map(|c| samples::claim(*c)), ..samples::note() };
    let rest = claims.iter().skip(1);
    let rest = rest.map(|c| Entry { claim: Some(samples::claim(*c)), ..samples::note() });
    Group { entries: std::iter::once(first).chain(rest).collect() }
}

/// The same, and with it something that is no issue.
fn with_more(pen: &Pen<'_>, mut group: Group) -> Group {
    group.entries[0].effect.push(Write::InsertConnection(pen.tag(samples::connection())));
    group
}

fn is_replay(applied: &[Applied]) -> bool {
    applied[0] == Applied::NotApplied(0) && applied[1..].iter().all(|one| *one == Applied::GroupFailed)
}

pub(crate) async fn used_once(fixture: &Fixture) {
    let mut pen = Pen::open(fixture).await;
    let batch = [using(1, &[]), using(1, &[]), using(2, &[]), with_more(&pen, using(1, &[]))];
    let done = pen.commit(&batch).await.unwrap().applied;
    assert_eq!((&done[0], &done[2]), (&vec![Applied::Yes], &vec![Applied::Yes]));
    assert!(is_replay(&done[1]) && is_replay(&done[3]), "{done:?}");
    for group in [using(1, &[]), with_more(&pen, using(2, &[]))] {
        let done = pen.commit(&[group]).await.unwrap().applied;
        assert!(is_replay(&done[0]), "across commits: {done:?}");
    }
    let stored = fixture.connections.page(&samples::tenant(), None, 9).await.unwrap();
    assert_eq!(stored.len(), 0, "nothing came of a replay");

    let over = samples::used(1).expires_at;
    assert_eq!(fixture.sessions.purge(samples::later(899)).await.unwrap(), 0);
    pen.now = samples::later(899);
    assert_eq!(pen.commit(&[using(1, &[])]).await.unwrap().applied, [[Applied::NotApplied(0)]]);
    assert_eq!(fixture.sessions.purge(over).await.unwrap(), 2);
    assert_eq!(pen.commit(&[using(1, &[])]).await.unwrap().applied, [[Applied::Yes]]);
}

pub(crate) async fn together(fixture: &Fixture) {
    let mut pen = Pen::open(fixture).await;
    let free = async |claim: u8| fixture.requests.by_key(&[claim; 32], samples::NOW).await.unwrap().is_none();
    assert_eq!(pen.commit(&[using(1, &[1])]).await.unwrap().applied, [[Applied::Yes]]);

    // The same request again: told so, and not that its assertion was used.
    for group in [using(1, &[1]), with_more(&pen, using(1, &[1]))] {
        let done = pen.commit(&[group]).await.unwrap().applied;
        assert!(matches!(done[0][..], [Applied::Duplicate(_)]), "{done:?}");
    }
    // A request id that is taken keeps the assertion fresh.
    for group in [using(2, &[1]), with_more(&pen, using(2, &[1]))] {
        let done = pen.commit(&[group]).await.unwrap().applied;
        assert!(matches!(done[0][..], [Applied::Duplicate(_)]), "{done:?}");
    }
    // An assertion that was used keeps the request ids free, whatever else is asked at the same time.
    let batch = [using(1, &[2, 3]), using(2, &[4, 5]), with_more(&pen, using(1, &[6, 7]))];
    let done = pen.commit(&batch).await.unwrap().applied;
    assert!(is_replay(&done[0]) && is_replay(&done[2]), "{done:?}");
    assert_eq!(done[1], [Applied::Yes, Applied::Yes]);
    for (claim, wanted) in [(2, true), (3, true), (4, false), (5, false), (6, true), (7, true)] {
        assert_eq!(free(claim).await, wanted, "{claim}");
    }
    // Two of one batch: the second one is the replay, and its request id is free for a fresh assertion.
    let done = pen.commit(&[using(3, &[8]), using(3, &[9]), using(4, &[8])]).await.unwrap().applied;
    assert_eq!(done[0], [Applied::Yes]);
    assert!(is_replay(&done[1]) && matches!(done[2][..], [Applied::Duplicate(_)]), "{done:?}");
    let done = pen.commit(&[using(4, &[9])]).await.unwrap().applied;
    assert_eq!(done, [[Applied::Yes]], "neither was taken");
    // Whoever comes after a replay under the same request id repeats nothing; who comes after them does.
    let batch = [using(1, &[10, 11]), using(5, &[11]), using(6, &[11]), using(7, &[10])];
    let done = pen.commit(&batch).await.unwrap().applied;
    assert!(is_replay(&done[0]) && matches!(done[2][..], [Applied::Duplicate(_)]), "{done:?}");
    assert_eq!((&done[1], &done[3]), (&vec![Applied::Yes], &vec![Applied::Yes]), "{done:?}");
}
