//! After the last kill: clients, log and provider are held against each other.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use broker_proto::v1::Grant;
use broker_tests::process;
use demo::saas::{Event, Saas};
use demo::world::{CALENDAR, PROVIDER};
use serde_json::Value;

use super::ask::End;
use super::kills::Kills;
use super::load::{Call, Load};

/// Refusals that a restart or a refresh under way explains. Anything else is a fault.
const EXPLAINED: &[&str] = &[
    // A refresh that died holds its lease for a while.
    "PROVIDER_UNAVAILABLE",
    "REQUEST_ID_STALE",
    // A revocation came in between.
    "REVOKED",
    "DEADLINE_EXCEEDED",
];

pub async fn check(load: &Load, kills: Kills) {
    verified(load, kills).await;
    let log = Log::read(load).await;
    let calls = load.calls.lock().expect("no holder panicked");
    refusals_are_explained(&calls);
    rows_match_grants(&log, &calls);
    rows_without_a_grant_are_lost_replies(&log, &calls);
    batches_are_whole(&log, &calls, kills);
    tokens_are_the_right_persons(load, &calls);
    nothing_after_a_revocation(load, &calls);
}

/// `broker audit verify` passes and counts one recovered stream for each kill.
async fn verified(load: &Load, kills: Kills) {
    let ran = process::run(load.site.directory(), &["audit", "verify", "--json"]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    let said: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(said["verified"], true);
    assert_eq!(said["open_streams"], 0, "SIGTERM closed the last one: {said}");
    let recovered = said["recovered_streams"].as_u64().expect("a number");
    let most = kills.serving + kills.starting;
    assert!((kills.serving..=most).contains(&recovered), "{said} after {kills:?}");
    println!("{said}");
}

/// The audit log as `broker audit list --json` shows it.
struct Log(Vec<Value>);

impl Log {
    async fn read(load: &Load) -> Log {
        let args = ["audit", "list", "--json", "--limit", "1000000"];
        let ran = process::run(load.site.directory(), &args).await;
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        Log(ran.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect())
    }

    fn allowed(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.0.iter().filter(move |event| event["kind"] == kind && event["outcome"] == "allowed")
    }
}

fn text<'a>(event: &'a Value, field: &str) -> &'a str {
    event[field].as_str().unwrap_or_default()
}

/// A grant that a client received, and what it had asked for.
struct Received<'a> {
    call: &'a Call,
    grant: &'a Grant,
    provider: &'static str,
    scopes: Vec<String>,
}

fn granted(calls: &[Call]) -> impl Iterator<Item = Received<'_>> {
    let grants = |call: &'_ Call| match &call.end {
        End::Granted(grants) => grants.len(),
        _ => 0,
    };
    calls.iter().flat_map(move |call| (0..grants(call)).map(move |at| (call, at))).map(|(call, at)| {
        let End::Granted(grants) = &call.end else { unreachable!("it was counted") };
        let (provider, scopes) = call.ask.items().swap_remove(at);
        Received { call, grant: &grants[at], provider, scopes }
    })
}

fn refusals_are_explained(calls: &[Call]) {
    let mut reasons = BTreeMap::<&str, usize>::new();
    for call in calls {
        let end = match &call.end {
            End::Granted(_) => "granted",
            End::Consent(_) => "consent",
            End::Refused(reason) => reason,
            End::Lost => "lost",
        };
        *reasons.entry(end).or_default() += 1;
    }
    println!("{reasons:?}");
    let known = |reason: &&&str| !["granted", "consent", "lost"].contains(*reason);
    let odd: Vec<_> = reasons.keys().filter(known).filter(|reason| !EXPLAINED.contains(reason)).collect();
    assert!(odd.is_empty(), "a restart does not explain {odd:?}");
    assert!(reasons["granted"] > 50, "too little was issued to prove anything");
    assert!(reasons["lost"] > 5, "too few calls were cut off to prove anything");
}

/// Every received grant has exactly one allow row that says the same; each further delivery has a row of its own.
fn rows_match_grants(log: &Log, calls: &[Call]) {
    let mut rows = HashMap::<&str, Vec<&Value>>::new();
    log.allowed("grant.issue").for_each(|row| rows.entry(text(row, "id")).or_default().push(row));
    let mut redelivered = HashMap::<&str, usize>::new();
    log.allowed("grant.redelivered").for_each(|row| *redelivered.entry(text(row, "grant")).or_default() += 1);
    let mut received = HashMap::<&str, usize>::new();
    for Received { call, grant, provider, scopes } in granted(calls) {
        let row = match rows.get(grant.id.as_str()).map(Vec::as_slice) {
            Some([row]) => row,
            other => panic!("grant {} has {} rows", grant.id, other.unwrap_or_default().len()),
        };
        assert_eq!(text(row, "purpose"), call.ask.purpose, "{row}");
        assert_eq!(text(row, "workload"), call.ask.workload.id(), "{row}");
        assert_eq!(text(row, "provider"), provider, "{row}");
        assert_eq!(text(row, "connection"), grant.connection_id, "{row}");
        assert_eq!(row["scopes_granted"], serde_json::json!(grant.scopes), "{row}");
        assert!(grant.scopes.iter().all(|scope| scopes.contains(scope)), "{row}");
        *received.entry(&grant.id).or_default() += 1;
    }
    let more = |(id, times): (&&str, &usize)| *times > 1 + redelivered.get(id).copied().unwrap_or(0);
    assert!(!received.iter().any(more), "an answer without a row of its own");
    assert!(received.values().any(|times| *times > 1), "nothing was redelivered");
}

/// A row that no client has the grant of belongs to a call without an answer (AU17).
fn rows_without_a_grant_are_lost_replies(log: &Log, calls: &[Call]) {
    let mut answers = HashMap::<&str, usize>::new();
    granted(calls).for_each(|received| *answers.entry(&received.call.ask.purpose).or_default() += 1);
    let mut lost = HashMap::<&str, usize>::new();
    let cut_off = |call: &&Call| match &call.end {
        End::Lost => true,
        End::Refused(reason) => reason == "DEADLINE_EXCEEDED",
        _ => false,
    };
    let items = |call: &Call| call.ask.items().len();
    calls.iter().filter(cut_off).for_each(|call| *lost.entry(&call.ask.purpose).or_default() += items(call));
    let mut rows = HashMap::<&str, usize>::new();
    let both = log.allowed("grant.issue").chain(log.allowed("grant.redelivered"));
    both.for_each(|row| *rows.entry(text(row, "purpose")).or_default() += 1);
    for (purpose, rows) in rows {
        let (answers, lost) =
            (answers.get(purpose).copied().unwrap_or(0), lost.get(purpose).copied().unwrap_or(0));
        assert!(
            (answers..=answers + lost).contains(&rows),
            "{purpose}: {rows} rows, {answers} answers, {lost} lost"
        );
    }
}

/// GR6: of a batch everything was issued, or nothing; and so for each further delivery of it.
fn batches_are_whole(log: &Log, calls: &[Call], kills: Kills) {
    let batches: BTreeSet<&str> =
        calls.iter().filter(|call| call.ask.batch).map(|call| call.ask.purpose.as_str()).collect();
    let mut whole = 0;
    for kind in ["grant.issue", "grant.redelivered"] {
        let mut rows = BTreeMap::<&str, BTreeMap<&str, usize>>::new();
        for row in log.allowed(kind).filter(|row| batches.contains(text(row, "purpose"))) {
            *rows.entry(text(row, "purpose")).or_default().entry(text(row, "provider")).or_default() += 1;
        }
        for (purpose, of) in &rows {
            let counts = [of.get(PROVIDER), of.get(CALENDAR)];
            assert!(counts[0].is_some() && counts[0] == counts[1], "{kind} of {purpose}: {of:?}");
        }
        whole += rows.len();
    }
    let received = calls.iter().filter(|call| call.ask.batch && matches!(call.end, End::Granted(_))).count();
    println!("{received} batches received, {whole} batches in the log");
    assert!(received as u64 * 5 > kills.serving, "too few batches to prove anything");
}

/// Promise 3: a token belongs to the account of the person asked for, and a family to one connection of one person.
fn tokens_are_the_right_persons(load: &Load, calls: &[Call]) {
    let mut owners = HashMap::<(&str, u64), (usize, &str)>::new();
    let account = |name: &str, provider: &str| match (provider, name) {
        (PROVIDER, "alice") => "acct-1001",
        (PROVIDER, _) => "acct-1002",
        (_, "alice") => "user-alice",
        _ => "user-bob",
    };
    for Received { call, grant, provider, .. } in granted(calls) {
        let facts = saas(load, provider).introspect(&grant.access_token).expect("the provider knows it");
        assert_eq!(facts.account, account(load.crew[call.ask.person].at_saas.sso.name, provider));
        assert!(facts.scopes.iter().all(|scope| grant.scopes.contains(scope)), "wider than granted");
        let owner = (call.ask.person, grant.connection_id.as_str());
        assert_eq!(*owners.entry((provider, facts.family)).or_insert(owner), owner, "somebody else's token");
    }
}

/// Promise 5: no call sent after an acknowledged revocation got a grant from that connection.
fn nothing_after_a_revocation(load: &Load, calls: &[Call]) {
    let revoked = load.revoked.lock().expect("no holder panicked");
    for Received { call, grant, .. } in granted(calls) {
        let after = revoked.get(&grant.connection_id).is_some_and(|first| call.number >= *first);
        assert!(!after, "{} was issued after its connection was revoked", grant.id);
    }
    println!("{} connections revoked", revoked.len());
}

fn saas<'a>(load: &'a Load, provider: &str) -> &'a Saas {
    if provider == CALENDAR { load.site.calendar() } else { load.site.notes() }
}

/// A refresh token came twice only where the first reply was lost: its intent has no result in the log.
pub async fn reuse_is_a_lost_reply(load: &Load) {
    let log = Log::read(load).await;
    let calls = load.calls.lock().expect("no holder panicked");
    let lost: usize =
        [PROVIDER, CALENDAR].map(|provider| reuse_at(load, provider, &log, &calls)).iter().sum();
    assert!(lost > 0, "no kill hit a refresh: nothing is proved");
}

/// The same at one provider; answers how many connections have an intent without a result.
fn reuse_at(load: &Load, provider: &str, log: &Log, calls: &[Call]) -> usize {
    let truth = saas(load, provider).truth();
    let mut refreshed = BTreeSet::new();
    for event in &truth {
        if let Event::Refreshed { family, generation, .. } = event {
            assert!(refreshed.insert((*family, *generation)), "one refresh token, two refreshes");
        }
    }
    let reused: Vec<u64> = truth
        .iter()
        .filter_map(|event| match event {
            Event::ReuseDetected { family, .. } => Some(*family),
            Event::CodeReplayed { family } => panic!("the code of family {family} came twice"),
            _ => None,
        })
        .collect();
    let mut connections = HashMap::<u64, &str>::new();
    for Received { grant, .. } in granted(calls).filter(|received| received.provider == provider) {
        let facts = saas(load, provider).introspect(&grant.access_token).expect("the provider knows it");
        connections.insert(facts.family, &grant.connection_id);
    }
    let mut unsettled = HashMap::<&str, i64>::new();
    for event in log.0.iter().filter(|event| text(event, "provider") == provider) {
        let change = match text(event, "kind") {
            "refresh.intent" if event["outcome"] == "allowed" => 1,
            "refresh.stored" | "refresh.failed" | "connection.reauth_required" => -1,
            _ => 0,
        };
        *unsettled.entry(text(event, "connection")).or_default() += change;
    }
    let lost = unsettled.values().filter(|lost| **lost > 0).count();
    println!(
        "{provider}: {} refreshes, {} reuses, {lost} intents without a result",
        refreshed.len(),
        reused.len()
    );
    // A family of which nobody received a grant is known by no name here: any lost reply may have been its.
    let (named, nameless): (Vec<u64>, Vec<u64>) = reused.iter().partition(|id| connections.contains_key(id));
    for connection in named.iter().map(|family| connections[family]) {
        let left = unsettled.get_mut(connection).filter(|left| **left > 0);
        *left.unwrap_or_else(|| panic!("{connection}: reuse without a lost reply")) -= 1;
    }
    let left: i64 = unsettled.values().filter(|left| **left > 0).sum();
    assert!(nameless.len() as i64 <= left, "reuse without a lost reply");
    lost
}
