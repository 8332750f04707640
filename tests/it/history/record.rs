//! After the run: everything that is written anywhere, and every connection's refresh token once more at the provider.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use broker::app::{self, Running, Sockets};
use broker::config::Config;
use broker::domain::{RealmId, Subject, TenantId};
use broker_client::{Error, GrantRequest, Outcome};
use broker_tests::clock::ShiftedClock;
use broker_tests::database::Database;
use broker_tests::history::{Connection, Happened, History, Person, Probe};
use broker_tests::operator::Operator;
use broker_tests::replicas::client;
use demo::saas::Event;
use demo::world::{PROVIDER, Site, Workload};

use super::load::Load;

/// Longer than a lease, a cool-down and the life of every token.
const LATER: Duration = Duration::from_secs(900);
/// Longest that the clock is put ahead for what is left alone even then.
const MOST_WAITING: Duration = Duration::from_secs(600);
/// For whatever the broker does in the end.
const PATIENCE: Duration = Duration::from_secs(30);
/// What is asked of a connection: `|` between the columns, `;` between the rows.
const CONNECTIONS: &str = "\
SELECT string_agg(line, ';') FROM (
    SELECT c.id || '|' || c.subject || '|' || c.state || '|' || coalesce(min(a.workload), '') || '|' || coalesce(min(a.scopes), '') AS line
    FROM connections c LEFT JOIN approvals a ON a.connection = c.id AND a.withdrawn_at IS NULL
    GROUP BY c.id, c.subject, c.state) AS lines";

/// Reads everything in the `database` of the load's site, after everybody stopped.
pub async fn record(load: &Load, clock: &ShiftedClock, mut database: Database) -> History {
    let log = database.events().await;
    let mut history = History {
        calls: load.calls.lock().expect("no holder panicked").clone(),
        acts: load.acts.lock().expect("no holder panicked").clone(),
        log,
        ..History::default()
    };
    let asked = connections(&database.text(CONNECTIONS).await, &mut history);
    database.close().await;
    // No lease of the dead is waited for: a broker inside this process reads the clock that is put ahead.
    clock.advance(LATER);
    let (broker, url) = last_broker(&load.site).await;
    for person in &load.crew {
        history.people.insert(person.sso.name.to_owned(), known(&broker, person).await);
    }
    everybody_lifted(load, &url).await;
    sober(load).await;
    let mut waited = Duration::ZERO;
    for (connection, workload, scope) in asked {
        let person = person_of(load, &history.connections[&connection].subject);
        let ask = |scope: &str| {
            let assertion = load.site.sso().mint_assertion(person, workload.audience());
            GrantRequest::new(assertion, PROVIDER, [scope]).connection(&connection)
        };
        let client = client(&load.site, &url, workload, PATIENCE).await;
        let mut before = load.site.notes().truth().len();
        let mut answer = client.issue_grant(&ask(&scope)).await;
        // A single-use token whose fate is unknown is left alone for as long as its holder may still bring what it got.
        while let Err(refused @ Error::Unavailable(_)) = &answer
            && let Some(rest) = refused.retry_after()
            && waited < MOST_WAITING
        {
            waited += rest;
            clock.advance(rest + Duration::from_secs(1));
            before = load.site.notes().truth().len();
            answer = client.issue_grant(&ask(&scope)).await;
        }
        assert!(
            matches!(answer, Ok(Outcome::Grant(_) | Outcome::ConsentRequired(_))),
            "{connection} of {person} for {workload:?}: {answer:?}"
        );
        history.probes.push(Probe::of(&connection, &happened(&load.site), before));
    }
    history.provider = happened(&load.site);
    broker.stop(PATIENCE).await;
    history
}

pub fn happened(site: &Site) -> Vec<Happened> {
    site.notes().timed_truth().into_iter().map(|(at, event)| Happened { at, event }).collect()
}

/// What was scripted and not met yet is met by calls that mean nothing.
async fn sober(load: &Load) {
    let scripted = load.scripted.load(Ordering::Relaxed);
    let met = |events: &[Event]| events.iter().filter(|e| matches!(e, Event::Faulted { .. })).count();
    let token = format!("{}/token", load.site.notes().origin());
    let http = broker_tests::browser::http_client();
    while met(&load.site.notes().truth()) < scripted {
        // However it is answered, or not.
        drop(http.post(&token).send().await);
    }
}

async fn last_broker(site: &Site) -> (Running, String) {
    let mut config = Config::load(&site.config_path()).expect("the same configuration");
    // Nobody but the one who asks: a token that its worker refreshed in the moment before would be taken for none.
    config.refresh.on = false;
    let bind = || TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let sockets = Sockets { grpc: bind(), web: bind(), ops: bind() };
    let url = format!("http://{}", sockets.grpc.local_addr().expect("its address"));
    let started = app::start(&config, Arc::clone(site.clock()), Arc::clone(site.rng()), sockets).await;
    (started.expect("it starts on what the others left"), url)
}

async fn known(broker: &Running, person: &crate::crash::people::Crew) -> Person {
    let subject = Subject {
        tenant: TenantId::parse("company").expect("a tenant"),
        realm: RealmId::parse("staff").expect("a realm"),
        id: person.subject(),
    };
    let pseudonym = broker.rooms().keys.pseudonym(&subject).await.expect("a pseudonym");
    Person { subject: subject.id, pseudonym, account: person.account().to_owned() }
}

/// Notes them all down; answers those that may be asked, by whom and for what.
fn connections(lines: &str, history: &mut History) -> Vec<(String, Workload, String)> {
    let mut connections = BTreeMap::new();
    let mut asked = Vec::new();
    for line in lines.split(';') {
        let fields: Vec<&str> = line.split('|').collect();
        let [id, subject, state, workload, scopes] = fields[..] else { panic!("{line}") };
        let row = Connection { subject: subject.to_owned(), state: state.to_owned() };
        connections.insert(id.to_owned(), row);
        let workload = Workload::ALL.into_iter().find(|known| known.id() == workload);
        if let (true, Some(workload)) = (state != "revoked", workload) {
            let scope = scopes.split(' ').next().unwrap_or_default();
            asked.push((id.to_owned(), workload, scope.to_owned()));
        }
    }
    history.connections = connections;
    asked
}

fn person_of<'a>(load: &'a Load, subject: &str) -> &'a str {
    load.crew.iter().find(|person| person.subject() == subject).expect("one of the crew").sso.name
}

async fn everybody_lifted(load: &Load, url: &str) {
    let operator = Operator::at(url.to_owned(), &load.site);
    for person in &load.crew {
        let target = super::acts::subject(person);
        // What is not blocked cannot be lifted, and need not be.
        drop(operator.unblock(target).await);
    }
}
