//! Callers that ask replicas without a pause, and what each was told.

use std::collections::HashMap;
use std::time::Duration;

use broker_client::{Client, GrantRequest, Outcome};
use broker_tests::stage::READ;
use demo::world::{PROVIDER, Person, Site, Workload};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use broker_tests::postgres::PgDatabase;

/// Whom a caller asks, and for whom.
pub struct Caller {
    /// The number of the replica it asks.
    pub replica: usize,
    pub client: Client,
    pub person: &'static Person,
    pub workload: Workload,
}

/// One call and its answer.
#[derive(Clone, Debug)]
pub struct Told {
    pub replica: usize,
    pub began: Instant,
    pub took: Duration,
    /// The grant's id, or the refusal's reason.
    pub answer: Result<String, String>,
}

/// Calls under way.
pub struct Load {
    told: watch::Sender<Vec<Told>>,
    over: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Load {
    pub fn start(site: &Site, callers: impl IntoIterator<Item = Caller>) -> Load {
        let mut load = Load {
            told: watch::Sender::new(Vec::new()),
            over: watch::Sender::new(false),
            tasks: JoinSet::new(),
        };
        for caller in callers {
            let assertion = site.assertion(caller.person, caller.workload);
            load.tasks.spawn(ask_on(caller, assertion, load.told.clone(), load.over.subscribe()));
        }
        load
    }

    /// Waits for answers to calls that begin from now on, until they satisfy `enough`.
    pub async fn until(&self, within: Duration, what: &str, enough: impl Fn(&[&Told]) -> bool) {
        let now = Instant::now();
        let mut told = self.told.subscribe();
        let seen =
            told.wait_for(|told| enough(&told.iter().filter(|told| told.began >= now).collect::<Vec<_>>()));
        if tokio::time::timeout(within, seen).await.is_err() {
            let told = self.told.borrow();
            let mut answers: HashMap<(usize, &str), usize> = HashMap::new();
            for told in told.iter().filter(|told| told.began >= now) {
                let answer = told.answer.as_ref().map_or_else(String::as_str, |_| "granted");
                *answers.entry((told.replica, answer)).or_default() += 1;
            }
            panic!("{what} within {within:?}: {answers:?}");
        }
    }

    /// Ends it.
    pub async fn stop(mut self) -> Vec<Told> {
        self.over.send_replace(true);
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("no caller panicked");
        }
        self.told.send_replace(Vec::new())
    }
}

async fn ask_on(
    caller: Caller,
    assertion: String,
    told: watch::Sender<Vec<Told>>,
    over: watch::Receiver<bool>,
) {
    while !*over.borrow() {
        let request = GrantRequest::new(assertion.as_str(), PROVIDER, READ.iter().copied());
        let began = Instant::now();
        let answer = match caller.client.issue_grant(&request).await {
            Ok(Outcome::Grant(grant)) => Ok(grant.id),
            Ok(Outcome::ConsentRequired(_)) => Err("CONSENT_REQUIRED".to_owned()),
            Err(error) => Err(error.reason().to_owned()),
        };
        let refused = answer.is_err();
        let (replica, took) = (caller.replica, began.elapsed());
        told.send_modify(|all| all.push(Told { replica, began, took, answer }));
        if refused {
            // As a client would; and a refusal in no time must not crowd out what the test wants to see.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// How many grants, and how many refusals, each of `replicas` has given.
pub fn counts(told: &[&Told], replica: usize) -> (usize, usize) {
    let of = told.iter().filter(|told| told.replica == replica);
    let granted = of.clone().filter(|told| told.answer.is_ok()).count();
    (granted, of.count() - granted)
}

/// Every received grant has exactly one allow row; a row whose grant nobody received is explained by a refusal; no stream has a gap.
pub fn reckon(database: &PgDatabase, told: &[Told], earlier: usize) {
    let ids = database.sql("SELECT id FROM audit_events WHERE kind = 'grant.issue' AND outcome = 'allowed'");
    let mut rows: HashMap<&str, usize> = HashMap::new();
    for id in ids.lines() {
        *rows.entry(id).or_default() += 1;
    }
    let mut received = 0;
    for id in told.iter().filter_map(|told| told.answer.as_ref().ok()) {
        assert_eq!(rows.get(id.as_str()), Some(&1), "{id} was received");
        received += 1;
    }
    let refused = told.len() - received;
    let unreceived = rows.len() - received - earlier;
    println!("{received} granted, {refused} refused, {unreceived} rows without a received grant");
    assert!(unreceived <= refused, "{unreceived} rows without a grant, {refused} refusals");
    let gaps = "SELECT count(*) FROM audit_streams s \
                WHERE seq <> (SELECT count(*) FROM audit_events e WHERE e.stream = s.stream)";
    assert_eq!(database.sql(gaps), "0");
}
