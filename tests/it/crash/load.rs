//! Clients that ask, people who connect, an administrator who revokes: all at once, while the broker dies under them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use broker_proto::v1::RevokeConnectionRequest;
use broker_proto::v1::connection_service_client::ConnectionServiceClient;
use broker_proto::v1::grant_service_client::GrantServiceClient;
use broker_tests::dice::Dice;
use demo::world::{ADMIN, Site, Workload};
use tokio::sync::watch;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use tonic_types::StatusExt;

use super::ask::{Ask, End, Link};
use super::people::Crew;

/// How long a caller waits for one answer.
const DEADLINE: Duration = Duration::from_secs(10);
/// Who is asked for.
const PEOPLE: usize = 8;

/// One call, in the order in which they were sent.
pub struct Call {
    pub number: u64,
    pub ask: Ask,
    pub end: End,
}

/// How far things got; [`watch`]ed by whoever chooses the moment to kill.
#[derive(Clone, Copy, Default)]
pub struct Progress {
    pub sent: u64,
    pub answered: u64,
    pub walks: u64,
}

/// Everything that happens at once.
pub struct Load {
    pub site: Arc<Site>,
    pub crew: Vec<Crew>,
    pub dice: Dice,
    pub calls: Mutex<Vec<Call>>,
    /// Connections whose revocation was acknowledged, with the number of the first call sent after that.
    pub revoked: Mutex<HashMap<String, u64>>,
    pub progress: watch::Sender<Progress>,
    pub up: watch::Sender<bool>,
    pub over: watch::Sender<bool>,
    assertions: Vec<[String; 2]>,
    channel: Channel,
}

impl Load {
    pub fn new(site: Arc<Site>, seed: u64) -> Load {
        let crew = Crew::hire(&site, PEOPLE);
        let mint = |person: &Crew, w: Workload| site.sso().mint_assertion(person.sso.name, w.audience());
        let assertions = crew.iter().map(|person| Workload::ALL.map(|w| mint(person, w))).collect();
        let endpoint = Endpoint::from_shared(site.grpc_url()).expect("an address");
        Load {
            channel: endpoint.connect_timeout(DEADLINE).connect_lazy(),
            crew,
            dice: Dice::new(seed),
            calls: Mutex::default(),
            revoked: Mutex::default(),
            progress: watch::Sender::default(),
            up: watch::Sender::default(),
            over: watch::Sender::default(),
            assertions,
            site,
        }
    }

    fn is_over(&self) -> bool {
        *self.over.borrow()
    }

    /// Waits until there is a broker to call, or no more need for one.
    async fn broker_up(&self) {
        let (mut up, mut over) = (self.up.subscribe(), self.over.subscribe());
        tokio::select! {
            _ = async { up.wait_for(|up| *up).await.map(drop) } => {}
            _ = async { over.wait_for(|over| *over).await.map(drop) } => {}
        }
    }

    /// One client: asks, and sometimes asks the same again.
    pub async fn ask_on(self: Arc<Self>) {
        let mut earlier: Vec<Ask> = Vec::new();
        while !self.is_over() {
            self.broker_up().await;
            let ask = if !earlier.is_empty() && self.dice.one_in(4) {
                self.dice.pick(&earlier).clone()
            } else {
                self.new_ask()
            };
            if ask.request_id.is_some() {
                earlier.push(ask.clone());
                earlier.drain(..earlier.len().saturating_sub(8));
            }
            if let Answer::Consent(_) = self.call(ask).await {
                self.next_walk().await;
            }
        }
    }

    /// Waits until one more person had their turn.
    async fn next_walk(&self) {
        let (mut progress, mut over) = (self.progress.subscribe(), self.over.subscribe());
        let walks = progress.borrow().walks;
        tokio::select! {
            _ = async { progress.wait_for(|now| now.walks > walks).await.map(drop) } => {}
            _ = async { over.wait_for(|over| *over).await.map(drop) } => {}
        }
    }

    fn new_ask(&self) -> Ask {
        let wanted: &[&[&str]] = &[&["notes.read"], &["notes.write"], &["notes.read", "notes.write"]];
        let number = self.count(|progress| &mut progress.sent);
        let unique = format!("call {number}");
        let workload = *self.dice.pick(&Workload::ALL);
        Ask {
            request_id: self.dice.one_in(2).then(|| unique.replace(' ', "-")),
            purpose: unique,
            person: self.dice.below(self.crew.len()),
            workload,
            batch: workload == Workload::TicketHelper && self.dice.one_in(2),
            scopes: self.dice.pick(wanted).iter().map(|scope| (*scope).to_owned()).collect(),
        }
    }

    fn count(&self, field: impl Fn(&mut Progress) -> &mut u64) -> u64 {
        let mut now = 0;
        self.progress.send_modify(|progress| {
            let field = field(progress);
            *field += 1;
            now = *field;
        });
        now
    }

    /// Asks once, keeps what came of it and answers it: a grant's connection or a link.
    pub async fn call(&self, ask: Ask) -> Answer {
        let number = self.count(|progress| &mut progress.sent);
        let end = match self.send(&ask).await {
            Ok(Some(end)) => end,
            Ok(None) => panic!("an answer without an outcome"),
            Err(status) => reason(&status).map_or(End::Lost, End::Refused),
        };
        self.count(|progress| &mut progress.answered);
        let answer = match &end {
            End::Granted(grants) => Answer::Granted(self.dice.pick(grants).connection_id.clone()),
            End::Consent(links) => Answer::Consent(links.clone()),
            End::Refused(reason) => Answer::Other(reason.clone()),
            End::Lost => Answer::Other("no answer".to_owned()),
        };
        self.calls.lock().expect("no holder panicked").push(Call { number, ask, end });
        answer
    }

    async fn send(&self, ask: &Ask) -> Result<Option<End>, Status> {
        let assertion = self.assertions[ask.person][usize::from(ask.workload != Workload::ALL[0])].clone();
        let mut grants = GrantServiceClient::new(self.channel.clone());
        Ok(if ask.batch {
            let request = self.request(ask.batch(assertion), Some(ask.workload));
            grants.batch_issue_grants(request).await?.into_inner().outcome.map(End::from)
        } else {
            let request = self.request(ask.single(assertion), Some(ask.workload));
            grants.issue_grant(request).await?.into_inner().outcome.map(End::from)
        })
    }

    fn request<T>(&self, message: T, workload: Option<Workload>) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(DEADLINE);
        if let Some(workload) = workload {
            let bearer = format!("Bearer {}", self.site.secret(workload));
            request.metadata_mut().insert("authorization", bearer.parse().expect("a header"));
        }
        request
    }

    /// One person after the other sees to it that they are connected; now and then a connection is revoked.
    pub async fn people_on(self: Arc<Self>, people: std::ops::Range<usize>) {
        let (mut turn, mut held) = (0, HashMap::new());
        while !self.is_over() {
            self.broker_up().await;
            turn += 1;
            let workload = Workload::ALL[(turn / people.len()) % 2];
            let ask = Ask {
                person: people.start + turn % people.len(),
                // Both systems are connected that way, or there would be no batch to issue.
                batch: workload == Workload::TicketHelper,
                workload,
                scopes: vec!["notes.read".to_owned(), "notes.write".to_owned()],
                request_id: None,
                ..self.new_ask()
            };
            let person = ask.person;
            match self.call(ask).await {
                // What went wrong on the way is mended by the next turn.
                Answer::Consent(links) => drop(self.crew[person].connect(&links).await),
                Answer::Granted(connection) if self.dice.one_in(4) => self.revoke(connection).await,
                Answer::Granted(connection) => drop(held.insert(person, connection)),
                // A refresh died with its lease. Half of these people start afresh, half wait.
                Answer::Other(_) if self.dice.one_in(2) => {
                    if let Some(connection) = held.remove(&person) {
                        self.revoke(connection).await;
                    }
                }
                Answer::Other(_) => {}
            }
            self.count(|progress| &mut progress.walks);
        }
    }

    async fn revoke(&self, connection: String) {
        let message = RevokeConnectionRequest {
            connection_id: connection.clone(),
            assertion: Some(self.site.operator_assertion(&ADMIN)),
            reason: "crash test".to_owned(),
        };
        let request = self.request(message, None);
        if ConnectionServiceClient::new(self.channel.clone()).revoke_connection(request).await.is_ok() {
            let after = self.progress.borrow().sent + 1;
            self.revoked.lock().expect("no holder panicked").insert(connection, after);
        }
    }
}

/// What a single caller needs to know of its call.
pub enum Answer {
    /// The connection, or one of several.
    Granted(String),
    Consent(Vec<Link>),
    Other(String),
}

/// The broker's own reason; `None` when the transport made up the status.
pub fn reason(status: &Status) -> Option<String> {
    status.get_details_error_info().filter(|info| info.domain == "broker.v1").map(|info| info.reason)
}
