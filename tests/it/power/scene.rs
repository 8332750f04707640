//! A broker whose every write and sync is recorded, and people and clients who keep it busy.

use std::sync::Arc;
use std::time::Duration;

use broker_tests::clock::ShiftedClock;
use broker_tests::dice::Dice;
use broker_tests::power::{Disk, Recorder};
use broker_tests::process::BrokerProcess;
use demo::world::{Options, World};
use tokio::task::JoinSet;
use tonic::transport::Endpoint;

use crate::history::load::Load;

const CLIENTS: usize = 3;
const PEOPLE: usize = 6;
/// Longest that anything here may take.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct Scene {
    pub load: Arc<Load>,
    pub clock: Arc<ShiftedClock>,
    pub recorder: Recorder,
    /// What the disk held before the broker's first start.
    pub before: Disk,
    pub process: BrokerProcess,
    pub seed: u64,
    work: JoinSet<()>,
}

impl Scene {
    /// A first start, and everybody at it.
    pub async fn set() -> Scene {
        let clock = Arc::new(ShiftedClock::default());
        let amend = |text: String| text.replace("level: warn", "level: info");
        let site = World::prepare(Options {
            clock: clock.clone(),
            amend_config: Some(Box::new(amend)),
            extra_config: "consent: { max_open_per_subject: 50 }".to_owned(),
            ..Options::default()
        });
        let site = Arc::new(site.await.expect("prepared"));
        let seed = Dice::seed(&**site.rng());
        println!("TEST_SEED={seed}");
        let (recorder, before) = (Recorder::of(site.directory()), Disk::of(site.directory()));
        let mut process = BrokerProcess::serve_with(site.directory(), "broker.yaml", recorder.environment());
        process.listening().await;
        let load = Arc::new(Load::new(Arc::clone(&site), PEOPLE, seed));
        let channel = Endpoint::from_shared(site.grpc_url()).expect("an address").connect_lazy();
        load.live.send_replace(vec![channel]);
        // Most of what is asked for needs a refresh.
        site.notes().set_access_lifetime(9);
        let mut work = JoinSet::new();
        (0..CLIENTS).for_each(|_| drop(work.spawn(Arc::clone(&load).ask_on())));
        for first in (0..PEOPLE).step_by(3) {
            work.spawn(Arc::clone(&load).people_on(first..first + 3));
        }
        work.spawn(Arc::clone(&load).block_on());
        Scene { load, clock, recorder, before, process, seed, work }
    }

    /// Until so many more calls were served.
    pub async fn granted(&self, more: u64) {
        let before = self.load.progress.borrow().granted;
        let served = self.load.until(|now| now.granted >= before + more);
        tokio::time::timeout(PATIENCE, served).await.expect("it serves");
    }

    /// Everybody ends what they are at.
    pub async fn over(&mut self) {
        self.load.over.send_replace(true);
        while let Some(ended) = self.work.join_next().await {
            ended.expect("no client panicked");
        }
    }
}
