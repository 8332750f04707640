//! Clients that ask, people who connect, administrators who revoke and block: all at once, and everything written down.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use broker_proto::v1::grant_service_client::GrantServiceClient;
use broker_proto::v1::{
    BatchIssueGrantsRequest, Grant, GrantItem, IssueGrantRequest, batch_issue_grants_response as batch,
    issue_grant_response as single,
};
use broker_tests::dice::Dice;
use broker_tests::history::{Act, Call, End, Facts, Item, Received};
use demo::world::{PROVIDER, Site, Workload};
use tokio::sync::watch;
use tonic::transport::Channel;
use tonic::{Request, Status};

use crate::crash::ask::Link;
use crate::crash::load::reason;
use crate::crash::people::Crew;

/// How long a caller waits for one answer.
const DEADLINE: Duration = Duration::from_secs(10);

const READ: &str = "notes.read";
const WRITE: &str = "notes.write";

/// What one client wants; a repeat with the same request id wants exactly the same.
#[derive(Clone)]
pub struct Ask {
    purpose: String,
    person: usize,
    workload: Workload,
    items: Vec<Item>,
    request_id: Option<String>,
    /// `None`: a fresh one for every call.
    assertion: Option<Assertion>,
}

#[derive(Clone)]
struct Assertion {
    jti: String,
    token: String,
}

/// How far things got; watched by whoever chooses the moment of a fault.
#[derive(Clone, Copy, Default)]
pub struct Progress {
    pub asks: u64,
    pub assertions: u64,
    pub sent: u64,
    pub answered: u64,
    pub granted: u64,
    pub walks: u64,
}

/// Everything that happens at once.
pub struct Load {
    pub site: Arc<Site>,
    pub crew: Vec<Crew>,
    pub dice: Dice,
    pub calls: Mutex<Vec<Call>>,
    pub acts: Mutex<Vec<Act>>,
    pub progress: watch::Sender<Progress>,
    /// Whom one can call.
    pub live: watch::Sender<Vec<Channel>>,
    pub over: watch::Sender<bool>,
    /// How many calls of the provider were to fail.
    pub scripted: AtomicUsize,
}

/// What a single caller needs to know of its call.
pub enum Answer {
    Granted(String),
    Consent(String),
    Other,
}

impl Load {
    pub fn new(site: Arc<Site>, people: usize, seed: u64) -> Load {
        let clock = Arc::clone(site.clock());
        // The provider writes down its times as the brokers do.
        site.notes().time_by(Arc::new(move || clock.now().micros()));
        Load {
            crew: Crew::hire(&site, people),
            dice: Dice::new(seed),
            calls: Mutex::default(),
            acts: Mutex::default(),
            progress: watch::Sender::default(),
            live: watch::Sender::default(),
            over: watch::Sender::default(),
            scripted: AtomicUsize::default(),
            site,
        }
    }

    pub fn now(&self) -> i64 {
        self.site.clock().now().micros()
    }

    /// Whether any answer was lost.
    pub fn has_lost(&self) -> bool {
        let calls = self.calls.lock().expect("no holder panicked");
        calls.iter().any(|call| matches!(call.end, End::Lost))
    }

    pub fn is_over(&self) -> bool {
        *self.over.borrow()
    }

    pub fn count(&self, field: impl Fn(&mut Progress) -> &mut u64) -> u64 {
        let mut now = 0;
        self.progress.send_modify(|progress| {
            let field = field(progress);
            *field += 1;
            now = *field;
        });
        now
    }

    /// Somebody to call, or no more need for it.
    pub async fn channel(&self) -> Option<Channel> {
        let (mut live, mut over) = (self.live.subscribe(), self.over.subscribe());
        tokio::select! {
            _ = async { live.wait_for(|live| !live.is_empty()).await.map(drop) } => {}
            _ = async { over.wait_for(|over| *over).await.map(drop) } => {}
        }
        let live = self.live.borrow().clone();
        if live.is_empty() { None } else { Some(self.dice.pick(&live).clone()) }
    }

    /// Waits until `enough` of everything happened, or it is over.
    pub async fn until(&self, enough: impl Fn(&Progress) -> bool) {
        let (mut progress, mut over) = (self.progress.subscribe(), self.over.subscribe());
        tokio::select! {
            _ = async { progress.wait_for(|now| enough(now)).await.map(drop) } => {}
            _ = async { over.wait_for(|over| *over).await.map(drop) } => {}
        }
    }

    /// One client: asks, and sometimes asks the same again, or something else with an assertion that brought a grant already.
    pub async fn ask_on(self: Arc<Self>) {
        let (mut earlier, mut spent) = (Vec::<Ask>::new(), Vec::<Ask>::new());
        while !self.is_over() {
            let again = !earlier.is_empty() && self.dice.one_in(4);
            let ask = if again { self.same_again(&earlier) } else { self.other_ask(&spent) };
            if ask.request_id.is_some() && !again {
                earlier.push(ask.clone());
                earlier.drain(..earlier.len().saturating_sub(6));
            }
            match self.call(ask.clone()).await {
                Answer::Consent(_) => {
                    let walks = self.progress.borrow().walks;
                    self.until(|now| now.walks > walks).await;
                }
                Answer::Granted(_) if ask.assertion.is_some() => {
                    spent.push(ask);
                    spent.drain(..spent.len().saturating_sub(6));
                }
                Answer::Granted(_) | Answer::Other => {}
            }
        }
    }

    /// With the assertion of the first time, or a fresh one.
    fn same_again(&self, earlier: &[Ask]) -> Ask {
        let ask = self.dice.pick(earlier).clone();
        let assertion = ask.assertion.filter(|_| self.dice.one_in(2));
        Ask { assertion, ..ask }
    }

    /// Now and then for the person and by the workload whose assertion was used before, and with it.
    fn other_ask(&self, spent: &[Ask]) -> Ask {
        let ask = self.new_ask();
        if !spent.is_empty() && self.dice.one_in(8) {
            let Ask { person, workload, assertion, .. } = self.dice.pick(spent).clone();
            return Ask { person, workload, assertion, ..ask };
        }
        Ask { assertion: Some(self.assertion(&ask)), ..ask }
    }

    fn assertion(&self, ask: &Ask) -> Assertion {
        let jti = format!("jti-{}", self.count(|progress| &mut progress.assertions));
        let person = self.crew[ask.person].sso.name;
        let claims = serde_json::json!({ "jti": jti });
        Assertion { token: self.site.sso().mint_with(person, ask.workload.audience(), claims), jti }
    }

    fn new_ask(&self) -> Ask {
        let one = |scopes: &[&str]| scopes.iter().map(|scope| (*scope).to_owned()).collect::<Item>();
        let items = match self.dice.below(5) {
            0 => vec![one(&[READ]), one(&[WRITE])],
            1 => vec![one(&[WRITE])],
            2 => vec![one(&[READ, WRITE])],
            _ => vec![one(&[READ])],
        };
        let unique = format!("ask {}", self.count(|progress| &mut progress.asks));
        Ask {
            request_id: self.dice.one_in(2).then(|| unique.replace(' ', "-")),
            purpose: unique,
            person: self.dice.below(self.crew.len()),
            workload: *self.dice.pick(&Workload::ALL),
            items,
            assertion: None,
        }
    }

    /// Asks somebody once, and writes down what came of it.
    pub async fn call(&self, ask: Ask) -> Answer {
        let Some(channel) = self.channel().await else { return Answer::Other };
        self.count(|progress| &mut progress.sent);
        let Assertion { jti, token } = ask.assertion.clone().unwrap_or_else(|| self.assertion(&ask));
        let sent = self.now();
        let answer = self.answer(channel, &ask, token).await;
        let ended = self.now();
        let (end, answer) = match answer {
            Ok(Told::Grants(grants)) => {
                self.count(|progress| &mut progress.granted);
                let connection = grants[0].connection_id.clone();
                (End::Granted(self.received(&grants)), Answer::Granted(connection))
            }
            Ok(Told::Consent(link)) => (End::Consent, Answer::Consent(link)),
            Err(status) => (reason(&status).map_or(End::Lost, End::Refused), Answer::Other),
        };
        self.count(|progress| &mut progress.answered);
        let Ask { purpose, person, workload, items, request_id, .. } = ask;
        let person = self.crew[person].sso.name.to_owned();
        let workload = workload.id().to_owned();
        let call = Call { person, workload, purpose, request_id, jti, items, sent, ended, end };
        self.calls.lock().expect("no holder panicked").push(call);
        answer
    }

    async fn answer(&self, channel: Channel, ask: &Ask, assertion: String) -> Result<Told, Status> {
        let (tool, purpose) = ("history".to_owned(), ask.purpose.clone());
        let (provider, request_id) = (PROVIDER.to_owned(), ask.request_id.clone());
        let mut client = GrantServiceClient::new(channel);
        if let [scopes] = &ask.items[..] {
            let scopes = scopes.clone();
            let message = IssueGrantRequest {
                assertion,
                provider,
                scopes,
                tool,
                purpose,
                request_id,
                ..Default::default()
            };
            let answer = client.issue_grant(self.request(message, Some(ask.workload))).await?;
            return Ok(match answer.into_inner().outcome.expect("an outcome") {
                single::Outcome::Grant(grant) => Told::Grants(vec![grant]),
                single::Outcome::ConsentRequired(consent) => Told::Consent(consent.url),
            });
        }
        let item = |scopes: &Item| GrantItem {
            provider: provider.clone(),
            scopes: scopes.clone(),
            ..Default::default()
        };
        let items = ask.items.iter().map(item).collect();
        let message = BatchIssueGrantsRequest { assertion, items, tool, purpose, request_id };
        let answer = client.batch_issue_grants(self.request(message, Some(ask.workload))).await?;
        Ok(match answer.into_inner().outcome.expect("an outcome") {
            batch::Outcome::Grants(grants) => Told::Grants(grants.grants),
            batch::Outcome::ConsentRequired(consent) => Told::Consent(consent.url),
        })
    }

    fn received(&self, grants: &[Grant]) -> Vec<Received> {
        let token = |token: &str| {
            let facts = self.site.notes().introspect(token)?;
            Some(Facts { family: facts.family, account: facts.account, scopes: facts.scopes })
        };
        let received = grants.iter().map(|grant| Received {
            id: grant.id.clone(),
            connection: grant.connection_id.clone(),
            scopes: grant.scopes.clone(),
            token: token(&grant.access_token),
        });
        received.collect()
    }

    pub fn request<T>(&self, message: T, workload: Option<Workload>) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(DEADLINE);
        if let Some(workload) = workload {
            let bearer = format!("Bearer {}", self.site.secret(workload));
            request.metadata_mut().insert("authorization", bearer.parse().expect("a header"));
        }
        request
    }

    /// One person after the other sees to it that they are connected; now and then a connection is revoked.
    pub async fn people_on(self: Arc<Self>, people: Range<usize>) {
        let (mut turn, mut held) = (0, HashMap::new());
        while !self.is_over() {
            turn += 1;
            let ask = Ask {
                person: people.start + turn % people.len(),
                workload: Workload::ALL[(turn / people.len()) % 2],
                items: vec![vec![READ.to_owned(), WRITE.to_owned()]],
                request_id: None,
                ..self.new_ask()
            };
            let person = ask.person;
            match self.call(ask).await {
                // What went wrong on the way is mended by the next turn.
                Answer::Consent(link) => {
                    let link = Link { provider: Some(PROVIDER), url: link };
                    drop(self.crew[person].connect(&[link]).await);
                }
                Answer::Granted(connection) if self.dice.one_in(6) => self.revoke(connection).await,
                Answer::Granted(connection) => drop(held.insert(person, connection)),
                // A refresh died with its lease. Half of these people start afresh, half wait.
                Answer::Other if self.dice.one_in(2) => {
                    if let Some(connection) = held.remove(&person) {
                        self.revoke(connection).await;
                    }
                }
                Answer::Other => {}
            }
            self.count(|progress| &mut progress.walks);
        }
    }
}

enum Told {
    Grants(Vec<Grant>),
    Consent(String),
}
