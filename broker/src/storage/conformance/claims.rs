use super::{Fixture, pen::Pen, samples};
use crate::domain::{Applied, Entry, Group, RequestClaim, Write};

fn claiming(pen: &Pen<'_>, claim: &RequestClaim) -> Group {
    let effect = vec![Write::InsertConnection(pen.tag(samples::connection()))];
    Group { entries: vec![Entry { claim: Some(claim.clone()), effect, ..samples::note() }] }
}

fn duplicate(of: &RequestClaim) -> Vec<Applied> {
    vec![Applied::Duplicate(Box::new(of.clone()))]
}

pub(crate) async fn taken_once(fixture: &Fixture) {
    let mut pen = Pen::open(fixture).await;
    let (first, second, other) = (samples::claim(1), samples::claim(1), samples::claim(2));
    let batch = [claiming(&pen, &first), claiming(&pen, &second), claiming(&pen, &other)];
    let done = pen.commit(&batch).await.unwrap();
    assert_eq!(done.applied, [vec![Applied::Yes], duplicate(&first), vec![Applied::Yes]]);
    let again = pen.commit(&[claiming(&pen, &second)]).await.unwrap();
    assert_eq!(again.applied, [duplicate(&first)], "across batches");
    let found = fixture.requests.by_key(&[1; 32], pen.now).await.unwrap();
    assert_eq!(found, Some(first));
    let stored = fixture.connections.page(&samples::tenant(), None, 100).await.unwrap();
    assert_eq!(stored.len(), 2, "a duplicate changes nothing");
}

pub(crate) async fn over(fixture: &Fixture) {
    let mut pen = Pen::open(fixture).await;
    let (first, second) = (samples::claim(1), samples::claim(1));
    pen.commit(&[claiming(&pen, &first)]).await.unwrap();
    pen.now = first.expires_at;
    assert_eq!(fixture.requests.by_key(&[1; 32], pen.now).await.unwrap(), None);
    let second = RequestClaim { expires_at: samples::later(1200), ..second };
    let done = pen.commit(&[claiming(&pen, &second)]).await.unwrap();
    assert_eq!(done.applied, [vec![Applied::Yes]]);
    assert_eq!(fixture.requests.by_key(&[1; 32], pen.now).await.unwrap(), Some(second));
}

/// Those of one group are taken together or not at all.
pub(crate) async fn together(fixture: &Fixture) {
    let mut pen = Pen::open(fixture).await;
    let [one, two, three] = [1, 2, 3].map(samples::claim);
    let group = |claims: &[&RequestClaim]| Group {
        entries: claims
            .iter()
            .map(|claim| Entry { claim: Some(RequestClaim::clone(claim)), ..samples::note() })
            .collect(),
    };
    pen.commit(&[group(&[&two])]).await.unwrap();
    let done = pen.commit(&[group(&[&one, &two, &three])]).await.unwrap();
    let [taken] = <[_; 1]>::try_from(duplicate(&two)).unwrap();
    assert_eq!(done.applied, [vec![Applied::GroupFailed, taken, Applied::GroupFailed]]);
    for free in [&one, &three] {
        assert_eq!(fixture.requests.by_key(&free.key, pen.now).await.unwrap(), None, "given back");
    }
    let done = pen.commit(&[group(&[&three, &one]), group(&[&one])]).await.unwrap();
    assert_eq!(done.applied, [vec![Applied::Yes, Applied::Yes], duplicate(&one)]);
}
