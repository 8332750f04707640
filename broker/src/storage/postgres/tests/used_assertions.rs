use super::{Place, fixture_of};
use crate::{
    domain::{Applied, Entry, Group, Write},
    storage::conformance::{pen::Pen, samples},
};
use sqlx::Row;

fn using(byte: u8) -> Group {
    let effect = vec![Write::UseAssertion(samples::used(byte))];
    Group { entries: vec![Entry { effect, claim: Some(samples::claim(byte)), ..samples::note() }] }
}

/// In opposite orders, each request under an id of its own replica's: neither waits for the other.
///
/// Proves: ID12, AV4
#[tokio::test]
async fn id12_two_replicas_at_once_use_an_assertion_once() {
    let place = Place::migrated().await;
    let (fixture, _store) = fixture_of(&place).await;
    let timed = place.timed(place.open().await).await;
    let other = place.around(timed).await;
    for round in 0..10_u8 {
        let (mut a, mut b) = (Pen::open(&fixture).await, Pen::open(&other).await);
        let forth: Vec<Group> = (0..8).map(|n| using(round * 8 + n)).collect();
        let mut back: Vec<Group> = (0..8).rev().map(|n| using(round * 8 + n)).collect();
        for group in &mut back {
            group.entries[0].claim.as_mut().unwrap().key[0] ^= 0x80;
        }
        let (forth_done, back_done) = tokio::join!(a.commit(&forth), b.commit(&back));
        // The server ends one of two that wait for each other.
        let (forth_done, back_done) = (forth_done.unwrap(), back_done.unwrap());
        for n in 0..8 {
            let both = [&forth_done.applied[n][0], &back_done.applied[7 - n][0]];
            assert_eq!(both.iter().filter(|a| ***a == Applied::Yes).count(), 1, "{both:?}");
            assert_eq!(both.iter().filter(|a| ***a == Applied::NotApplied(0)).count(), 1, "{both:?}");
        }
    }
}

/// However many groups: begin, rules, claims, assertions, rows, commit. Those without one pay nothing.
///
/// Proves: ID12
#[tokio::test]
async fn id12_a_batch_uses_its_assertions_in_one_statement_however_many() {
    let place = Place::migrated().await;
    let (fixture, _store) = fixture_of(&place).await;
    let mut pen = Pen::open(&fixture).await;
    let mut owner = place.as_owner().await;
    sqlx::raw_sql("CREATE TABLE seen (sql TEXT); GRANT INSERT ON seen TO broker_app;
         CREATE FUNCTION see() RETURNS TRIGGER LANGUAGE plpgsql AS 'BEGIN INSERT INTO seen VALUES (TG_OP || TG_TABLE_NAME); RETURN NULL; END';
         CREATE TRIGGER see AFTER INSERT OR UPDATE OR DELETE ON used_assertions FOR EACH STATEMENT EXECUTE FUNCTION see();
         CREATE TRIGGER see AFTER DELETE ON requests FOR EACH STATEMENT EXECUTE FUNCTION see()")
        .execute(&mut owner)
        .await
        .unwrap();
    let mut seen = async || {
        let rows = sqlx::query("DELETE FROM seen RETURNING sql").fetch_all(&mut owner).await.unwrap();
        let mut seen: Vec<String> = rows.iter().map(|row| row.get("sql")).collect();
        seen.sort();
        seen
    };
    let done = pen.commit(&(0..200).map(using).collect::<Vec<_>>()).await.unwrap();
    assert!(done.applied.iter().all(|group| *group == [Applied::Yes]));
    assert_eq!(seen().await, ["INSERTused_assertions"]);
    let claiming =
        |byte| Group { entries: vec![Entry { claim: Some(samples::claim(byte)), ..samples::note() }] };
    pen.commit(&(200..250).map(claiming).collect::<Vec<_>>()).await.unwrap();
    assert_eq!(seen().await, [""; 0]);
}
