//! The power goes at any moment: what was acknowledged is there, and the broker starts on what is left without a human.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use broker_tests::dice::Dice;
use broker_tests::power::{Disk, Kind, Left, Record};
use tokio::time::Instant;

use super::leftover::examine;
use super::scene::Scene;

/// Calls served under the recorder: enough for some checkpoints of the write-ahead log.
const SERVED: u64 = 150;
/// How long cuts are tried, unless `POWER_CUTS` says `all`.
const SHORT: Duration = Duration::from_secs(25);
/// So many on the slowest machine.
const LEAST: usize = 8;

/// A cut leaves what was synced, and of the rest nothing, or some sectors. Between two syncs nothing more becomes certain and nothing more
/// than at the last moment before the second is in doubt or acknowledged: a cut at each of these moments stands for all before it. In
/// the time there is, as many of them as fit, chosen by seed; all of them with `POWER_CUTS=all`.
///
/// Proves: AU1, AU8, RF11, RV4
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn au1_rf11_what_was_acknowledged_survives_a_power_cut_at_any_moment() {
    let mut scene = Scene::set().await;
    scene.granted(SERVED).await;
    scene.over().await;
    let Scene { load, recorder, before, process, seed, .. } = scene;
    process.kill().await;
    let records = recorder.records();
    same_as_there(&before, &records, load.site.directory());
    let cuts = moments(&records);
    println!("{} records, {} moments", records.len(), cuts.len());

    // A loss is found where there is one: a log whose syncs do nothing, and a directory's.
    let last = *cuts.last().expect("there are some");
    for (what, idle) in [
        ("the log's syncs", (|r| r.kind == Kind::Sync && r.name.ends_with("-wal")) as fn(&Record) -> bool),
        ("syncs of directories", |r| r.kind == Kind::SyncDirectory),
    ] {
        let doctored: Vec<Record> = records.iter().filter(|record| !idle(record)).cloned().collect();
        let files = after(&before, &doctored).after_a_cut(Left::Synced);
        let found = examine(&load, &files, i64::MAX).await;
        println!("without {what}: {found:?}");
        assert!(found.is_err(), "without {what} nothing is missed");
    }

    let dice = Dice::new(seed);
    let all = std::env::var("POWER_CUTS").is_ok_and(|cuts| cuts == "all");
    let over = Instant::now() + SHORT;
    let mut tried = BTreeMap::<&str, usize>::new();
    let mut left = cuts;
    while !left.is_empty() && (all || Instant::now() < over || tried.values().sum::<usize>() < LEAST) {
        // The last one first: most was acknowledged by then.
        let cut = if tried.is_empty() { last } else { *dice.pick(&left) };
        left.retain(|other| *other != cut);
        let disk = after(&before, &records[..cut]);
        let at = records.get(cut).map_or(i64::MAX, |next| next.began);
        let sides: &[bool] = if all { &[true, false] } else { &[dice.one_in(2)] };
        for nothing in sides {
            let (what, left) =
                if *nothing { ("nothing more", Left::Synced) } else { ("some sectors", Left::Some(&dice)) };
            let found = examine(&load, &disk.after_a_cut(left), at).await;
            assert_eq!(found, Ok(()), "TEST_SEED={seed}: {what} after record {cut} of {}", records.len());
            *tried.entry(what).or_default() += 1;
        }
    }
    println!("cuts that left {tried:?}");
}

/// Just before each sync that makes something certain, and in the end.
fn moments(records: &[Record]) -> Vec<usize> {
    let syncs = records
        .iter()
        .enumerate()
        .filter(|(_, record)| matches!(record.kind, Kind::Sync | Kind::SyncDirectory));
    let checkpoints = records.iter().filter(|record| record.kind == Kind::Sync && record.name == "broker.db");
    assert!(checkpoints.count() > 1, "the log was never copied into the database");
    syncs.map(|(number, _)| number).chain([records.len()]).collect()
}

fn after(before: &Disk, records: &[Record]) -> Disk {
    let mut disk = before.clone();
    records.iter().for_each(|record| disk.apply(record));
    disk
}

/// Nothing escaped the recorder: with all of it the files are what they are.
fn same_as_there(before: &Disk, records: &[Record], directory: &Path) {
    let rebuilt = after(before, records).after_a_cut(Left::Everything);
    let mut there = Disk::of(directory).after_a_cut(Left::Everything);
    there.retain(|name, _| !name.ends_with("-shm"));
    assert_eq!(rebuilt.keys().collect::<Vec<_>>(), there.keys().collect::<Vec<_>>());
    for (name, bytes) in &there {
        assert!(rebuilt[name] == *bytes, "{name} is not what was recorded");
    }
    assert!(there.contains_key("broker.db-wal"), "{:?}", there.keys());
}
