use super::{Fixture, pen::Pen, samples};
use crate::domain::{Applied, ConsentId, ParentId, ParentPage, Write};

fn page() -> ParentPage {
    ParentPage {
        id: ParentId::random(&samples::rng()),
        subject: samples::alice(),
        workload: samples::workload(),
        consents: vec![ConsentId::random(&samples::rng()), ConsentId::random(&samples::rng())],
        created_at: samples::NOW,
        expires_at: samples::later(600),
        version: 1,
        mismatches: 0,
    }
}

fn insert(pen: &Pen<'_>, page: &ParentPage, handle: u8) -> Vec<Write> {
    vec![Write::InsertParent { row: pen.tag(page.clone()), handle_hash: [handle; 32] }]
}

fn update(pen: &Pen<'_>, page: &ParentPage, expected_version: i64) -> Vec<Write> {
    vec![Write::UpdateParent { row: pen.tag(page.clone()), expected_version }]
}

pub(crate) async fn writes(fixture: &Fixture) {
    let mut pen = Pen::open(fixture).await;
    let (first, later) = (page(), ParentPage { created_at: samples::later(1), ..page() });
    let bobs = ParentPage { subject: samples::person("bob"), ..page() };
    for (page, handle) in [(&first, 1), (&later, 2), (&bobs, 3)] {
        assert_eq!(pen.write(insert(&pen, page, handle)).await, Applied::Yes);
    }
    assert_eq!(pen.write(insert(&pen, &page(), 1)).await, Applied::NotApplied(0), "the handle exists");
    assert_eq!(pen.write(insert(&pen, &first, 4)).await, Applied::NotApplied(0), "the page exists");

    let visited = first.clone().count_mismatch();
    assert_eq!(pen.write(update(&pen, &visited, 7)).await, Applied::NotApplied(0));
    assert_eq!(pen.write(update(&pen, &visited, 1)).await, Applied::Yes);
    assert_eq!(pen.write(update(&pen, &visited, 1)).await, Applied::NotApplied(0), "read before it changed");
    let stolen = ParentPage { subject: samples::person("bob"), version: 3, ..visited.clone() };
    assert_eq!(pen.write(update(&pen, &stolen, 2)).await, Applied::NotApplied(0), "it stays its person's");
    let other = ParentPage { consents: bobs.consents.clone(), version: 3, ..visited.clone() };
    assert_eq!(pen.write(update(&pen, &other, 2)).await, Applied::NotApplied(0), "and leads where it led");

    let parents = &fixture.parents;
    // The MAC covers every column, so the check proves that each came back as it was.
    let read = parents.by_handle(&[1; 32]).await.unwrap().expect("it is there");
    let read = read.check(&pen.seal.key).unwrap();
    assert_eq!((read.mismatches, &read.consents), (1, &first.consents));
    assert!(parents.by_handle(&[9; 32]).await.unwrap().is_none());
    let hers = parents.open_of(&samples::alice(), pen.now, 9).await.unwrap();
    let hers: Vec<_> = hers.into_iter().map(|row| row.unwrap().check(&pen.seal.key).unwrap().id).collect();
    assert_eq!(hers, [later.id, first.id.clone()], "the newest first");
    assert_eq!(parents.open_of(&samples::alice(), pen.now, 1).await.unwrap().len(), 1);
    pen.now = first.expires_at;
    assert!(parents.open_of(&samples::alice(), pen.now, 9).await.unwrap().is_empty());
    assert!(parents.by_handle(&[1; 32]).await.unwrap().is_some(), "its page says that it is over");
}
