//! The real broker, as the model's steps move it: a process that is killed and started again.

use std::collections::HashMap;
use std::os::unix::process::ExitStatusExt;

use broker::config::Config;
use broker_proto::v1::block_target::Target;
use broker_proto::v1::connection_service_client::ConnectionServiceClient;
use broker_proto::v1::grant_service_client::GrantServiceClient;
use broker_proto::v1::issue_grant_response::Outcome;
use broker_proto::v1::{self, ConnectionState, IssueGrantRequest, WithdrawApprovalRequest};
use broker_tests::dialect::Dialect;
use broker_tests::operator::Operator;
use broker_tests::postgres::PgDatabase;
use broker_tests::process::{self, BrokerProcess};
use demo::browser::Browser;
use demo::sso::User;
use demo::walk;
use demo::world::{ALICE, Account, BOB, Options, PROVIDER, Site, Workload, World};
use tonic::Request;
use tonic::transport::{Channel, Endpoint};

use super::reference::{Answer, Ask, PEOPLE, Scopes, State, Step};
use crate::crash::load::reason;

const PASSWORD: &str = "model-password";
/// Tokens that last, and tokens that are never served from memory or the database.
const LASTING: i64 = 600;
const BRIEF: i64 = 4;

/// A broker that many sequences run against, each with people of its own.
pub struct House {
    site: Site,
    /// Kept for as long as the house stands.
    _database: Option<PgDatabase>,
    process: Option<BrokerProcess>,
    channel: Channel,
    operator: Operator,
    people: usize,
}

/// One sequence's people, and what they hold.
pub struct Cast {
    people: [Actor; PEOPLE],
    /// By person, server and request id: the grant's id.
    answered: HashMap<(usize, usize, u8), String>,
}

struct Actor {
    sso: Account,
    notes: Account,
    subject: String,
    browser: Browser,
    /// Connections so far; the last may have ended.
    connections: Vec<String>,
}

impl House {
    pub async fn start(dialect: Dialect) -> House {
        let amend = |text: String| text.replace("level: warn", "level: info");
        // The model knows of no refresh but those that calls make.
        let options = Options {
            amend_config: Some(Box::new(amend)),
            extra_config: "refresh: { ahead: false }\n".to_owned(),
            ..Options::default()
        };
        let (site, database) = match dialect {
            Dialect::Sqlite => (World::prepare(options).await.expect("prepared"), None),
            Dialect::Postgres => {
                let database = PgDatabase::create();
                let site = World::prepare(database.options(options)).await.expect("prepared");
                let config = Config::load(&site.config_path()).expect("a sound configuration");
                database.migrate_for(&config).await;
                (site, Some(database))
            }
        };
        let endpoint = Endpoint::from_shared(site.grpc_url()).expect("an address");
        let mut house = House {
            operator: Operator::at(site.grpc_url(), &site),
            site,
            _database: database,
            process: None,
            channel: endpoint.connect_lazy(),
            people: 0,
        };
        house.serve().await;
        house
    }

    async fn serve(&mut self) {
        let mut process = BrokerProcess::serve(self.site.directory(), "broker.yaml");
        process.listening().await;
        self.process = Some(process);
    }

    /// Its end, in order.
    pub async fn stop(&mut self) {
        let process = self.process.take().expect("it runs");
        process.terminate().await;
        let (status, stderr) = process.ended().await;
        assert!(status.success(), "{stderr}");
    }

    /// The directory of its configuration.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// New people.
    pub fn cast(&mut self) -> Cast {
        let people = [ALICE.notes, BOB.notes].map(|notes| {
            self.people += 1;
            // Sign-ins of the demo's have names that live as long as the program.
            let name: &'static str = format!("model-{}", self.people).leak();
            let subject = format!("u-{name}");
            self.site.sso().put_user(User {
                username: name.to_owned(),
                password: PASSWORD.to_owned(),
                sub: subject.clone(),
                ..User::alice()
            });
            let browser = self.site.browser().expect("a browser");
            let sso = Account { name, password: PASSWORD };
            Actor { sso, notes, subject, browser, connections: Vec::new() }
        });
        self.site.notes().set_access_lifetime(LASTING);
        Cast { people, answered: HashMap::new() }
    }

    /// Takes the step; answers what the calls in it were answered.
    pub async fn take(&mut self, cast: &mut Cast, step: &Step) -> Result<Vec<Answer>, String> {
        match step {
            Step::Ask(ask) => Ok(vec![self.ask(cast, *ask, None).await?.0]),
            Step::AskOnce(ask, id) => Ok(vec![self.ask(cast, *ask, Some(*id)).await?.0]),
            Step::Connect(ask) => self.connect(cast, *ask).await,
            Step::Decline(ask) => {
                let (answer, link) = self.ask(cast, *ask, None).await?;
                if let Some(link) = link {
                    let actor = &cast.people[ask.person];
                    let page = actor.browser.get(&link).await.map_err(|e| e.to_string())?;
                    let page = walk::sign_in(page, &actor.sso).await.map_err(|e| e.to_string())?;
                    walk::decline(page).await.map_err(|e| e.to_string())?;
                }
                Ok(vec![answer])
            }
            other => self.change(cast, other).await.map(|()| Vec::new()),
        }
    }

    async fn connect(&self, cast: &mut Cast, ask: Ask) -> Result<Vec<Answer>, String> {
        let (answer, link) = self.ask(cast, ask, None).await?;
        let Some(link) = link else { return Ok(vec![answer]) };
        let actor = &cast.people[ask.person];
        let page = walk::connect(&actor.browser, &link, &actor.sso, &actor.notes).await;
        let page = page.map_err(|error| error.to_string())?;
        if page.status != 200 {
            return Err(format!("the pages end with {}: {}", page.status, page.text()));
        }
        Ok(vec![answer, self.ask(cast, ask, None).await?.0])
    }

    async fn change(&mut self, cast: &mut Cast, step: &Step) -> Result<(), String> {
        let told = |status: tonic::Status| format!("{step:?}: {status:?}");
        match step {
            Step::Revoke(person) => {
                let connection = cast.people[*person].connections.last().expect("it was connected").clone();
                self.operator.revoke(&connection).await.map_err(told)?;
            }
            Step::Withdraw { person, server } => self.withdraw(cast, *person, *server).await.map_err(told)?,
            Step::Block { person, stop } => {
                self.block(person_of(&cast.people[*person]), *stop).await.map_err(told)?;
            }
            Step::BlockServer { server, stop } => {
                let target = Target::Workload(Workload::ALL[*server].id().to_owned());
                self.block(target, *stop).await.map_err(told)?;
            }
            Step::EndAtProvider(person) => {
                self.site.notes().disconnect(cast.people[*person].notes.name);
            }
            Step::Tokens { last } => {
                self.site.notes().set_access_lifetime(if *last { LASTING } else { BRIEF });
            }
            Step::Crash => {
                self.process.take().expect("it runs").kill().await;
                self.serve().await;
            }
            Step::Restart => {
                self.stop().await;
                self.serve().await;
            }
            Step::RotateKey => self.keys(&["keys", "rotate", "--tenant", "company"]).await?,
            Step::Rewrap(None) => self.keys(&["keys", "rewrap", "--rate", "5000/s"]).await?,
            Step::Rewrap(Some(point)) => {
                let args = ["keys", "rewrap", "--rate", "5000/s"];
                let killed = BrokerProcess::command_to(self.site.directory(), &args, point);
                let (status, said) = killed.ended().await;
                // Where nothing was left to do it ends by itself.
                if status.signal() != Some(9) && !status.success() {
                    return Err(format!("{step:?}: {status:?}: {said}"));
                }
            }
            Step::Ask(_) | Step::AskOnce(..) | Step::Connect(_) | Step::Decline(_) => {
                unreachable!("a call, not a change")
            }
        }
        Ok(())
    }

    async fn keys(&self, args: &[&str]) -> Result<(), String> {
        let ran = process::run(self.site.directory(), args).await;
        if ran.code == 0 { Ok(()) } else { Err(format!("{args:?}: {ran:?}")) }
    }

    async fn block(&self, target: Target, stop: bool) -> Result<u64, tonic::Status> {
        if stop { self.operator.block(target).await } else { self.operator.unblock(target).await }
    }

    async fn withdraw(&self, cast: &Cast, person: usize, server: usize) -> Result<(), tonic::Status> {
        let actor = &cast.people[person];
        let message = WithdrawApprovalRequest {
            connection_id: actor.connections.last().expect("it was connected").clone(),
            assertion: Some(self.assertion(actor, server)),
        };
        let mut client = ConnectionServiceClient::new(self.channel.clone());
        client.withdraw_approval(self.by(server, message)).await.map(drop)
    }

    fn assertion(&self, actor: &Actor, server: usize) -> String {
        self.site.sso().mint_assertion(actor.sso.name, Workload::ALL[server].audience())
    }

    fn by<T>(&self, server: usize, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let bearer = format!("Bearer {}", self.site.secret(Workload::ALL[server]));
        request.metadata_mut().insert("authorization", bearer.parse().expect("a header"));
        request
    }

    /// What a call is answered, and the link if there is one.
    async fn ask(
        &self,
        cast: &mut Cast,
        ask: Ask,
        id: Option<u8>,
    ) -> Result<(Answer, Option<String>), String> {
        let message = IssueGrantRequest {
            assertion: self.assertion(&cast.people[ask.person], ask.server),
            provider: PROVIDER.to_owned(),
            scopes: names(ask.scopes),
            request_id: id.map(|id| format!("request-{id}")),
            ..Default::default()
        };
        let call = self.by(ask.server, message);
        let answer = GrantServiceClient::new(self.channel.clone()).issue_grant(call).await;
        match answer.map(|answer| answer.into_inner().outcome) {
            Ok(Some(Outcome::Grant(grant))) => Ok((granted(cast, ask, id, &grant)?, None)),
            Ok(Some(Outcome::ConsentRequired(consent))) => {
                Ok((Answer::Consent(consent.reason()), Some(consent.url)))
            }
            Ok(None) => Err("an answer without an outcome".to_owned()),
            Err(status) => {
                let known = ["BLOCKED", "REQUEST_ID_REUSED", "REQUEST_ID_STALE"];
                let told = reason(&status).unwrap_or_default();
                let known = known.into_iter().find(|known| *known == told);
                Ok((Answer::Refused(known.ok_or_else(|| format!("{ask:?}: {status:?}"))?), None))
            }
        }
    }

    /// The person's newest connection is as the model says.
    pub async fn compare(&self, cast: &Cast, state: &State) -> Result<(), String> {
        for (actor, person) in cast.people.iter().zip(&state.people) {
            let Some(id) = actor.connections.last() else { continue };
            let found = self.operator.connection(id).await.map_err(|status| format!("{id}: {status:?}"))?;
            let wanted = match &person.connection {
                None => (ConnectionState::Revoked, None),
                Some(c) if c.reauth_required => (ConnectionState::ReauthRequired, Some(names(c.held))),
                Some(c) => (ConnectionState::Active, Some(names(c.held))),
            };
            let same_scopes = wanted.1.is_none_or(|scopes| scopes == found.scopes);
            if found.state() != wanted.0 || !same_scopes {
                return Err(format!("{id} is {:?} {:?}", found.state(), found.scopes));
            }
        }
        Ok(())
    }

    /// Nothing of this sequence stands in the way of the next.
    pub async fn clear(&self, cast: &Cast, state: &State) {
        for (actor, person) in cast.people.iter().zip(&state.people) {
            if person.blocked {
                self.operator.unblock(person_of(actor)).await.expect("lifted");
            }
        }
        for (server, blocked) in state.servers_blocked.iter().enumerate() {
            if *blocked {
                let target = Target::Workload(Workload::ALL[server].id().to_owned());
                self.operator.unblock(target).await.expect("lifted");
            }
        }
    }
}

/// Notes its connection and its id down; says whether it is new.
fn granted(cast: &mut Cast, ask: Ask, id: Option<u8>, grant: &v1::Grant) -> Result<Answer, String> {
    if grant.scopes != names(ask.scopes) {
        return Err(format!("{ask:?}: {:?}", grant.scopes));
    }
    let connections = &mut cast.people[ask.person].connections;
    if !connections.contains(&grant.connection_id) {
        connections.push(grant.connection_id.clone());
    }
    if connections.last() != Some(&grant.connection_id) {
        return Err(format!("{ask:?}: a grant from an earlier connection"));
    }
    let Some(id) = id else { return Ok(Answer::Grant) };
    match cast.answered.insert((ask.person, ask.server, id), grant.id.clone()) {
        None => Ok(Answer::Grant),
        Some(earlier) if earlier == grant.id => Ok(Answer::SameGrant),
        Some(earlier) => Err(format!("{ask:?}: request id {id} had {earlier}, now {}", grant.id)),
    }
}

fn person_of(actor: &Actor) -> Target {
    Target::Subject(v1::Subject {
        tenant: "company".to_owned(),
        realm: "staff".to_owned(),
        subject: actor.subject.clone(),
    })
}

fn names(scopes: Scopes) -> Vec<String> {
    let all = [(1, "notes.read"), (2, "notes.write")];
    all.iter().filter(|(bit, _)| scopes & bit != 0).map(|(_, name)| (*name).to_owned()).collect()
}
