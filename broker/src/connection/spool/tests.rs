//! What is kept is on disk, opens for nobody else, and is found by whoever comes after.

use super::{Ending, Exchanged, Party, Record, Spool, SpoolError, Token};
use crate::{
    config::SpoolSettings,
    domain::ManualClock,
    keys::{
        KeyRing,
        testing::{SeededRng, ring},
    },
};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

struct House {
    home: tempfile::TempDir,
    keys: Arc<KeyRing>,
    clock: Arc<ManualClock>,
    rng: Arc<SeededRng>,
}

impl House {
    async fn new() -> Self {
        let (keys, _, clock) = ring().await;
        Self { home: tempfile::tempdir().unwrap(), keys, clock, rng: Arc::new(SeededRng::default()) }
    }

    fn settings(&self) -> SpoolSettings {
        SpoolSettings { directory: Some(self.home.path().join("spool")), ..SpoolSettings::default() }
    }

    async fn open(&self) -> Spool {
        self.open_with(&self.settings()).await.unwrap()
    }

    async fn open_with(&self, settings: &SpoolSettings) -> Result<Spool, SpoolError> {
        Spool::open(settings, self.keys.clone(), self.clock.clone(), self.rng.clone()).await
    }

    /// Every file below the directory, with its end.
    fn files(&self, end: &str) -> Vec<PathBuf> {
        let all = self.all_files().into_iter();
        all.filter(|path| path.extension().is_some_and(|found| found == end)).collect()
    }

    fn files_named(&self, name: &str) -> Vec<PathBuf> {
        let all = self.all_files().into_iter();
        all.filter(|path| path.file_name().is_some_and(|found| found == name)).collect()
    }

    fn all_files(&self) -> Vec<PathBuf> {
        let inside = |path: &Path| fs::read_dir(path).unwrap().map(|found| found.unwrap().path());
        inside(&self.home.path().join("spool"))
            .filter(|path| path.is_dir())
            .flat_map(|path| inside(&path).collect::<Vec<_>>())
            .collect()
    }
}

fn record(consent: &str) -> Record {
    Record::Code(Exchanged {
        consent: consent.to_owned(),
        party: Party {
            tenant: "company".to_owned(),
            realm: "staff".to_owned(),
            subject: "alice".to_owned(),
            workload: "tickets".to_owned(),
            provider: "notes".to_owned(),
        },
        state_hash: "ab".to_owned(),
        access: Some(Token::new("read".to_owned(), b"sealed access", Some(5), 1)),
        refresh: None,
        ending: Ending::Fail("PROVIDER_UNAVAILABLE".to_owned()),
    })
}

async fn records(spool: &Spool) -> Vec<Record> {
    spool.waiting().await.unwrap().into_iter().map(|waiting| waiting.record).collect()
}

/// Proves: RF5
#[tokio::test]
async fn rf5_what_is_kept_is_encrypted_private_and_found_after_the_process_is_gone() {
    let house = House::new().await;
    let spool = house.open().await;
    let mut slot = spool.reserve().await.unwrap();
    slot.keep(&record("cns_kept")).await.unwrap();
    assert!(records(&spool).await.is_empty(), "somebody is still at it");
    let [file] = &house.files("entry")[..] else { panic!("one entry") };
    let bytes = fs::read(file).unwrap();
    assert!(!bytes.windows(8).any(|part| part == b"cns_kept"), "it is encrypted");
    assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(file.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
    assert!(house.files("room").is_empty());

    // A second process cannot have it while the first one lives, and has it once that is gone.
    let next = house.open().await;
    assert!(records(&next).await.is_empty());
    drop((slot, spool));
    assert_eq!(records(&next).await, [record("cns_kept")], "it is taken over");
    for waiting in next.waiting().await.unwrap() {
        waiting.done().await;
    }
    assert!(house.files("entry").is_empty() && next.count().await.unwrap() == 0);
}

/// Proves: RF5
#[tokio::test]
async fn rf5_an_entry_opens_under_its_own_name_and_unchanged_or_is_kept_aside() {
    let house = House::new().await;
    let spool = house.open().await;
    for name in ["cns_one", "cns_two"] {
        spool.reserve().await.unwrap().keep(&record(name)).await.unwrap();
    }
    let [one, two] = &house.files("entry")[..] else { panic!("two entries") };
    let (first, mut second) = (fs::read(one).unwrap(), fs::read(two).unwrap());
    fs::write(two, &first).unwrap();
    assert_eq!(records(&spool).await.len(), 1, "the other one's bytes");
    *second.last_mut().unwrap() ^= 1;
    fs::write(two, &second).unwrap();
    house.clock.advance(Duration::from_secs(60));
    assert_eq!(records(&spool).await.len(), 1, "a byte was changed");
    *second.last_mut().unwrap() ^= 1;
    fs::write(two, &second).unwrap();
    assert_eq!(records(&spool).await.len(), 1, "it is not looked at all the time");
    house.clock.advance(Duration::from_secs(60));
    assert_eq!(records(&spool).await.len(), 2, "nothing was thrown away");
}

/// Proves: RF5
#[tokio::test]
async fn rf5_no_room_is_known_before_anything_is_asked_for() {
    let house = House::new().await;
    let spool = house.open_with(&SpoolSettings { max_entries: 2, ..house.settings() }).await.unwrap();
    let held = [spool.reserve().await.unwrap(), spool.reserve().await.unwrap()];
    assert!(matches!(spool.reserve().await, Err(SpoolError::Full)), "by number");
    drop(held);
    let mut slot = spool.reserve().await.unwrap();
    slot.keep(&record("cns_a")).await.unwrap();
    slot.discharge().await;
    assert!(spool.reserve().await.is_ok() && house.files("entry").is_empty());

    let small = SpoolSettings { max_bytes: 150_000, ..house.settings() };
    let spool = house.open_with(&small).await.unwrap();
    let held = spool.reserve().await.unwrap();
    assert!(matches!(spool.reserve().await, Err(SpoolError::Full)), "by size");
    drop(held);

    // Its directory is gone, as with a volume that was taken away.
    fs::remove_dir_all(house.home.path().join("spool")).unwrap();
    assert!(matches!(spool.reserve().await, Err(SpoolError::Io(_))));
    assert!(matches!(spool.waiting().await, Err(SpoolError::Io(_))));
    fs::write(house.home.path().join("file"), "").unwrap();
    let file = SpoolSettings { directory: Some(house.home.path().join("file")), ..house.settings() };
    assert!(house.open_with(&file).await.is_err(), "a file is no directory");
}

#[tokio::test]
async fn room_that_is_not_needed_is_given_back_and_a_later_entry_takes_the_place_of_an_earlier() {
    let house = House::new().await;
    let spool = house.open().await;
    drop(spool.reserve().await.unwrap());
    assert!(house.files("room").is_empty());
    let mut slot = spool.reserve().await.unwrap();
    slot.keep(&record("cns_first")).await.unwrap();
    slot.keep(&record("cns_second")).await.unwrap();
    drop(slot);
    assert_eq!(records(&spool).await, [record("cns_second")]);
    let off = Spool::off();
    let mut none = off.reserve().await.unwrap();
    none.keep(&record("cns_nowhere")).await.unwrap();
    assert!(!none.is_kept() && off.waiting().await.unwrap().is_empty());
}

/// Proves: RF5
#[tokio::test]
async fn rf5_a_takeover_that_was_interrupted_is_finished_by_the_next() {
    let house = House::new().await;
    let spool = house.open().await;
    for name in ["cns_one", "cns_two"] {
        spool.reserve().await.unwrap().keep(&record(name)).await.unwrap();
    }
    drop(spool);
    let taking = house.open().await;
    // One entry was moved, then the process died.
    let [one, _] = &house.files("entry")[..] else { panic!("two entries") };
    let locks = house.files_named("lock");
    let own = locks.iter().find(|lock| lock.parent() != one.parent()).expect("its own");
    fs::rename(one, own.with_file_name(one.file_name().unwrap())).unwrap();
    drop(taking);
    let mut found: Vec<_> =
        records(&house.open().await).await.into_iter().map(|record| format!("{record:?}")).collect();
    found.sort();
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(house.files_named("lock").len(), 1, "nothing else is left");
}
