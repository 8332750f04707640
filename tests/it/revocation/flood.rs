//! Many callers at once, and what each was told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use broker_client::{Client, GrantRequest, Outcome};
use broker_tests::database::Database;
use broker_tests::stage::{READ, Stage, subject_of};
use demo::world::{ALICE, BOB, PROVIDER, Person, Site, Workload};
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// Who floods.
#[derive(Clone, Copy)]
pub struct Caller {
    pub person: &'static Person,
    pub workload: Workload,
    /// Whether it shows one assertion again and again, or a fresh one each time.
    pub cached: bool,
}

/// Everybody at once: two people, two servers, old and new assertions.
pub fn everybody() -> Vec<Caller> {
    let mut callers = Vec::new();
    for person in [&ALICE, &BOB] {
        for workload in Workload::ALL {
            callers.extend([true, false].map(|cached| Caller { person, workload, cached }));
        }
    }
    callers
}

/// What the flood knows.
#[derive(Default)]
struct Shared {
    acknowledged: AtomicBool,
    stop: AtomicBool,
    before: AtomicUsize,
    after: AtomicUsize,
    grown: Notify,
}

/// A grant whose call began after the acknowledgement.
#[derive(Clone, Debug)]
pub struct Late {
    pub person: &'static str,
    pub workload: Workload,
}

/// Calls under way.
pub struct Flood {
    shared: Arc<Shared>,
    tasks: JoinSet<Vec<Late>>,
}

impl Flood {
    /// Starts with the given callers, each asking as fast as it is answered.
    pub fn start(stage: &Stage, callers: &[Caller]) -> Flood {
        let callers = callers.iter().map(|caller| (*caller, stage.client(caller.workload).clone()));
        Flood::of(&stage.world, callers)
    }

    /// The same with each caller's own way to a broker.
    pub fn of(site: &Site, callers: impl IntoIterator<Item = (Caller, Client)>) -> Flood {
        let shared = Arc::new(Shared::default());
        let mut tasks = JoinSet::new();
        for (caller, client) in callers {
            let shared = Arc::clone(&shared);
            // Minted up front: what is fresh must not depend on the site while it is borrowed elsewhere.
            let minted = if caller.cached { 1 } else { 400 };
            let assertions: Vec<String> =
                (0..minted).map(|_| site.assertion(caller.person, caller.workload)).collect();
            tasks.spawn(async move {
                let mut late = Vec::new();
                for assertion in assertions.iter().cycle() {
                    if shared.stop.load(Ordering::SeqCst) {
                        break;
                    }
                    let began_after = shared.acknowledged.load(Ordering::SeqCst);
                    let request = GrantRequest::new(assertion.as_str(), PROVIDER, READ.iter().copied());
                    if let Ok(Outcome::Grant(_)) = client.issue_grant(&request).await
                        && began_after
                    {
                        let (person, workload) = (caller.person.sso.name, caller.workload);
                        late.push(Late { person, workload });
                    }
                    let counter = if began_after { &shared.after } else { &shared.before };
                    counter.fetch_add(1, Ordering::SeqCst);
                    shared.grown.notify_waiters();
                }
                late
            });
        }
        Flood { shared, tasks }
    }

    /// Waits until so many calls are answered.
    pub async fn running(&self, calls: usize) {
        self.wait(&self.shared.before, calls).await;
    }

    /// From now on no call may begin and be granted what was taken away. Waits for more calls, then ends the flood.
    pub async fn acknowledged(mut self, calls: usize) -> Vec<Late> {
        self.shared.acknowledged.store(true, Ordering::SeqCst);
        self.wait(&self.shared.after, calls).await;
        self.shared.stop.store(true, Ordering::SeqCst);
        let mut late = Vec::new();
        while let Some(task) = self.tasks.join_next().await {
            late.extend(task.expect("no panic"));
        }
        late
    }

    async fn wait(&self, counter: &AtomicUsize, calls: usize) {
        loop {
            let mut grown = std::pin::pin!(self.shared.grown.notified());
            grown.as_mut().enable();
            if counter.load(Ordering::SeqCst) >= calls {
                return;
            }
            grown.await;
        }
    }
}

/// Allow rows behind the newest row of `kind` whose body satisfies `named`, as "stream/seq".
pub async fn allowed_behind(
    database: &mut Database,
    kind: &str,
    named: impl Fn(&Row) -> bool,
) -> Vec<String> {
    let events = database.events().await;
    let act = events.iter().rev().find(|event| event.kind == kind).expect("the act is in the log");
    let behind = events.iter().filter(|event| (&event.stream, event.seq) > (&act.stream, act.seq));
    let issued = behind.filter(|event| event.outcome == "allowed" && event.kind.starts_with("grant."));
    let rows = issued.map(|event| Row {
        connection: event.text("/connection").to_owned(),
        subject: event.text("/subject").to_owned(),
        workload: event.text("/workload").to_owned(),
        place: format!("{}/{}", event.stream, event.seq),
    });
    rows.filter(|row| named(row)).map(|row| row.place).collect()
}

/// An allow row.
pub struct Row {
    pub connection: String,
    /// The person's pseudonym.
    pub subject: String,
    pub workload: String,
    pub place: String,
}

/// The person's name in the log.
pub async fn pseudonym(stage: &Stage, person: &Person) -> String {
    use broker::domain::{RealmId, Subject, TenantId};
    let subject = Subject {
        tenant: TenantId::parse("company").expect("a tenant"),
        realm: RealmId::parse("staff").expect("a realm"),
        id: subject_of(person),
    };
    stage.world.rooms().keys.pseudonym(&subject).await.expect("a pseudonym")
}
