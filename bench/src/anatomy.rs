//! Where the time of a warm call goes: every step by itself, on the same broker, through the rooms' own doors.
//!
//! Two numbers a step: processor time of the whole process, and time passed; both per call. They differ where a step
//! waits (for a database connection, a commit) or where both cores work.

use crate::{
    Fault,
    bench::{Bench, progress},
    stand::Stand,
};
use broker::{
    audit::Deadline,
    connection::{Resolved, Usable, Wanted, Wanting, resolve},
    domain::{
        AccessToken, Entry, EventDraft, EventId, EventKind, Names, Outcome, Owner, ProviderId, ScopeSet,
        SecretString,
    },
    identity::{VerifiedAssertion, VerifiedWorkload},
    policy::Question,
    usecase::{Call, Caller, GrantRequest, Rooms, issue_grant},
};
use futures::{StreamExt, TryStreamExt};
use std::{fs, hint::black_box, sync::Arc};

const TIMES: usize = 4_000;
/// Commits of one row.
const ALONE: u32 = 500;
const TOGETHER: usize = 64;

/// One step.
pub struct Step {
    /// What is done.
    pub name: &'static str,
    /// Microseconds of processor time.
    pub cpu: f64,
    /// Microseconds passed.
    pub wall: f64,
}

/// Takes a warm call apart.
///
/// # Errors
/// When a step fails.
pub async fn anatomy(bench: &mut Bench) -> Result<Vec<Step>, Fault> {
    bench.prepare().await?;
    let bench = &*bench;
    let stand = bench.stand()?;
    let mut taken = Taken { bench, steps: Vec::new() };
    taken.calls(stand).await?;
    let subject = Subject::of(stand).await?;
    taken.identity(&subject).await?;
    taken.reads(&subject).await?;
    taken.writes(&subject, stand).await?;
    Ok(taken.steps)
}

/// The steps as a table.
pub fn table(steps: &[Step]) -> String {
    let mut out = String::from("| step | processor µs | passed µs |\n|---|---|---|\n");
    for step in steps {
        out += &format!("| {} | {:.1} | {:.1} |\n", step.name, step.cpu, step.wall);
    }
    out
}

/// One person's call, step by step.
struct Subject<'a> {
    rooms: &'a Arc<Rooms>,
    secret: String,
    signed: String,
    token: String,
    workload: VerifiedWorkload,
    assertion: VerifiedAssertion,
    names: Names,
    provider: ProviderId,
    scopes: ScopeSet,
}

impl<'a> Subject<'a> {
    async fn of(stand: &'a Stand) -> Result<Self, Fault> {
        let rooms = stand.estate.rooms();
        let header = |n| Ok::<_, Fault>(stand.estate.call(0, n)?.authorization.to_str()?.to_owned());
        let (secret, signed, token) = (header(0)?, header(1)?, stand.estate.assertion(0, 0));
        let workload = rooms.identity.workload(Some(&secret)).await?;
        let assertion = rooms.identity.assertion(&token, &workload).await?;
        let provider = ProviderId::parse(demo::world::PROVIDER)?;
        let names = Names {
            tenant: Some(assertion.subject().tenant.clone()),
            subject: Some(assertion.subject().clone()),
            issuer: Some(assertion.issuer().to_owned()),
            workload: Some(workload.id().clone()),
            provider: Some(provider.clone()),
            ..Names::default()
        };
        let scopes = ScopeSet::parse(["notes.read"])?;
        Ok(Self { rooms, secret, signed, token, workload, assertion, names, provider, scopes })
    }

    fn question(&self) -> Result<Question<'_>, Fault> {
        Ok(Question {
            subject: self.assertion.subject(),
            issuer: self.assertion.issuer(),
            roles: self.assertion.roles(),
            acr: self.assertion.acr(),
            auth_time: self.assertion.auth_time(),
            client_id: self.assertion.client_id(),
            workload: self.workload.id(),
            workload_roles: self.workload.roles(),
            provider: self.rooms.provider(&self.provider)?,
            scopes: &self.scopes,
            tool: "list_notes",
            purpose: "Show notes",
            requested_ttl: None,
            now: self.rooms.clock.now(),
        })
    }

    async fn usable(&self) -> Result<Usable, Fault> {
        let rooms = self.rooms;
        let wanted = Wanted {
            subject: self.assertion.subject(),
            workload: self.workload.id(),
            provider: &self.provider,
            scopes: &self.scopes,
            connection: None,
        };
        match resolve(&rooms.store, &rooms.row_key(), &rooms.audit.rules(), &wanted).await? {
            Resolved::Usable(usable) => Ok(*usable),
            Resolved::Need(_) => Err("the person is not connected".into()),
        }
    }
}

struct Taken<'a> {
    bench: &'a Bench,
    steps: Vec<Step>,
}

impl Taken<'_> {
    async fn step(
        &mut self,
        name: &'static str,
        together: usize,
        work: impl AsyncFn() -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let (cpu, began) = (processor_time()?, self.bench.clock.monotonic());
        let every = futures::stream::iter(0..TIMES).map(|_| work()).buffer_unordered(together);
        every.try_collect::<Vec<()>>().await?;
        let wall = self.bench.clock.monotonic().saturating_sub(began).as_secs_f64() * 1e6;
        let cpu = processor_time()? - cpu;
        let step = Step { name, cpu: cpu / TIMES as f64, wall: wall / TIMES as f64 };
        progress(format!("{name}: {:.1} µs processor, {:.1} µs passed", step.cpu, step.wall));
        self.steps.push(step);
        Ok(())
    }

    /// Whole calls over gRPC, 64 in flight.
    async fn calls(&mut self, stand: &Stand) -> Result<(), Fault> {
        let servers = [
            ("whole call, 64 in flight, load generator included: echo", stand.echo.address),
            ("the same: floor", stand.floor.address),
            ("the same: broker", stand.broker()),
        ];
        for (name, address) in servers {
            let line = self.bench.line(address).await?;
            let cpu = processor_time()?;
            let tally = self.bench.run(&line, &stand.warm, TOGETHER).await?;
            let spans = (self.bench.pace.span + self.bench.pace.warm_up).as_secs_f64();
            let calls = tally.rate() * spans;
            let step = Step { name, cpu: (processor_time()? - cpu) / calls, wall: 1e6 / tally.rate() };
            progress(format!("{name}: {:.1} µs processor, {:.1} µs passed", step.cpu, step.wall));
            self.steps.push(step);
        }
        Ok(())
    }

    async fn identity(&mut self, of: &Subject<'_>) -> Result<(), Fault> {
        let identity = &of.rooms.identity;
        let workload = async |credential: &str| {
            black_box(identity.workload(Some(credential)).await?);
            Ok(())
        };
        self.step("workload by static secret", 1, async || workload(&of.secret).await).await?;
        self.step("workload by signed token, seen", 1, async || workload(&of.signed).await).await?;
        let assertion = async || {
            black_box(identity.assertion(&of.token, &of.workload).await?);
            Ok(())
        };
        self.step("assertion, seen", 1, assertion).await?;
        let blocked = async || {
            black_box(of.rooms.not_blocked(&of.names)?);
            Ok(())
        };
        self.step("standing blocks", 1, blocked).await?;
        let decide = async || {
            black_box(of.rooms.policy.decide(&of.question()?));
            Ok(())
        };
        self.step("policy, decision remembered", 1, decide).await
    }

    async fn reads(&mut self, of: &Subject<'_>) -> Result<(), Fault> {
        let (store, usable) = (&of.rooms.store, of.usable().await?);
        let owner = Owner::Subject(of.assertion.subject().clone());
        let (tenant, id) = (&owner.tenant().clone(), &usable.connection.id);
        let connections = async || {
            black_box(store.connections.of_owner(&owner, Some(&of.provider)).await?);
            Ok(())
        };
        self.step("read the person's connections", TOGETHER, connections).await?;
        let approval = async || {
            black_box(store.approvals.find(tenant, id, of.workload.id()).await?);
            Ok(())
        };
        self.step("read the approval", TOGETHER, approval).await?;
        let tokens = async || {
            black_box(store.connections.secrets(id).await?);
            Ok(())
        };
        self.step("read the tokens", TOGETHER, tokens).await?;
        let key = of.rooms.row_key();
        let rows = store.connections.secrets(id).await?;
        let check = async || {
            for row in &rows {
                let row = row.clone().map_err(|q| format!("{q:?}"))?;
                black_box(row.check(&key)).map_err(|q| q.to_string())?;
            }
            Ok(())
        };
        self.step("check the tokens' row MACs", 1, check).await?;
        let whole = async || {
            black_box(of.usable().await?);
            Ok(())
        };
        self.step("resolve: connection and approval, read and checked", TOGETHER, whole).await?;
        let verdict = of.rooms.policy.decide(&of.question()?);
        let wanting = Wanting {
            connection: &usable.connection,
            approval: &usable.approval,
            scopes: &of.scopes,
            may_hold: &|_| true,
            verdict: &verdict,
            spec: of.rooms.provider(&of.provider)?,
            names: &of.names,
            epoch: 0,
            deadline: Deadline::none(),
        };
        let access = async || {
            black_box(of.rooms.tokens.access(&wanting).await?);
            Ok(())
        };
        self.step("access token: read, checked, picked", TOGETHER, access).await
    }

    async fn writes(&mut self, of: &Subject<'_>, stand: &Stand) -> Result<(), Fault> {
        let (rooms, usable) = (of.rooms, of.usable().await?);
        let subject = of.assertion.subject();
        let pseudonym = async || {
            black_box(rooms.keys.pseudonym(subject).await?);
            black_box(rooms.keys.subject_key(subject).await?);
            Ok(())
        };
        self.step("pseudonym and the person's key", 1, pseudonym).await?;
        let trace = rooms.policy.decide(&of.question()?).trace().clone();
        let draft = || {
            let draft =
                EventDraft::new(EventId::random(&*rooms.rng), EventKind::GrantFailed, Outcome::Failed);
            let mut draft = draft.about(subject);
            draft.workload = Some(of.workload.id().clone());
            draft.provider = Some(of.provider.clone());
            draft.connection = Some(usable.connection.id.clone());
            draft.approval = Some(usable.approval.id.clone());
            draft.scopes_asked = of.scopes.clone();
            draft.scopes_granted = of.scopes.clone();
            draft.assertion_sha256 = Some("0".repeat(64).into());
            draft.policy = Some(Arc::clone(&trace));
            draft.personal.account_label = Some(usable.connection.account.label.clone());
            draft.personal.client_address = Some("127.0.0.1".to_owned());
            draft
        };
        let note = async || {
            let entry = Entry { names: of.names.clone(), ..Entry::note(draft()) };
            black_box(rooms.audit.note(entry, Deadline::none()).await?);
            Ok(())
        };
        self.step("audit: prepare, encode, chain, commit", TOGETHER, note).await?;
        self.step("the same, one at a time", 1, note).await?;
        self.commits(stand).await?;
        let record = usable.connection.access_key(&of.scopes, 1);
        let seal = async || {
            let secret = SecretString::from("x".repeat(900));
            black_box(rooms.vault.seal::<AccessToken>(&record, secret).await?);
            Ok(())
        };
        self.step("seal one token (opening costs about as much)", 1, seal).await?;
        let call = Call {
            client_address: Some(std::net::Ipv4Addr::LOCALHOST.into()),
            trace_id: None,
            deadline: Deadline::none(),
        };
        let caller = Caller { workload: of.workload.clone(), call };
        let request = || GrantRequest {
            provider: of.provider.clone(),
            scopes: of.scopes.clone(),
            connection: None,
            resource: String::new(),
            ttl: None,
            tool: "list_notes".into(),
            purpose: "Show notes".into(),
            request_id: String::new(),
            place: None,
        };
        let token = || SecretString::from(of.token.as_str());
        let held = size_of_val(&issue_grant(rooms, &caller, token(), request()));
        progress(format!("a call under way holds {held} bytes of state in issue_grant"));
        let issue = async || {
            black_box(issue_grant(rooms, &caller, token(), request()).await?);
            Ok(())
        };
        self.step("issue_grant without transport", TOGETHER, issue).await?;
        self.step("the same, one at a time", 1, issue).await
    }

    /// What the floor pays for the same rows.
    async fn commits(&mut self, stand: &Stand) -> Result<(), Fault> {
        let mut pen = stand.pen.lock().await;
        let (cpu, began) = (processor_time()?, self.bench.clock.monotonic());
        for _ in 0..TIMES / TOGETHER {
            pen.commit(TOGETHER).await?;
        }
        let wall = self.bench.clock.monotonic().saturating_sub(began).as_secs_f64() * 1e6;
        let (rows, cpu) = ((TIMES / TOGETHER * TOGETHER) as f64, processor_time()? - cpu);
        let name = "the floor's commit alone, 64 rows at a time, per row";
        self.steps.push(Step { name, cpu: cpu / rows, wall: wall / rows });
        let (cpu, began) = (processor_time()?, self.bench.clock.monotonic());
        for _ in 0..ALONE {
            pen.commit(1).await?;
        }
        let wall = self.bench.clock.monotonic().saturating_sub(began).as_secs_f64() * 1e6;
        let (rows, cpu) = (f64::from(ALONE), processor_time()? - cpu);
        self.steps.push(Step { name: "the same, one row at a time", cpu: cpu / rows, wall: wall / rows });
        Ok(())
    }
}

/// Processor time of every thread of this process so far, in microseconds.
fn processor_time() -> Result<f64, Fault> {
    let mut total = 0.0;
    for thread in fs::read_dir("/proc/self/task")? {
        let Ok(times) = fs::read_to_string(thread?.path().join("schedstat")) else { continue };
        let spent: f64 = times.split(' ').next().unwrap_or_default().parse()?;
        total += spent / 1e3;
    }
    Ok(total)
}
