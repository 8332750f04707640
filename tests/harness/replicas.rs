//! Several brokers on one database: same configuration, keys and policy, listeners of their own.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use broker::app::{self, Running, Sockets};
use broker::config::Config;
use broker::usecase::Rooms;
use broker_client::{Client, ConsentRequired, Credential, Error, Grant, GrantRequest, Outcome};
use demo::browser::Browser;
use demo::walk;
use demo::world::{ClientClock, Options, PROVIDER, Person, Site, Workload, World};
use tonic::transport::{Channel, Endpoint};

use crate::front::Front;
use crate::operator::Operator;
use crate::postgres::PgDatabase;
use crate::stage::{StageClock, granted};

const GRACE: Duration = Duration::from_secs(10);
/// How long a caller waits unless a test says otherwise.
const PATIENCE: Duration = Duration::from_secs(10);

/// The client of a tool server that calls the broker at `url`; sends every call once, and waits so long for its answer.
pub async fn client(site: &Site, url: &str, workload: Workload, patience: Duration) -> Client {
    let clock = Arc::new(ClientClock(Arc::clone(site.clock())));
    let builder = Client::builder(url).attempts(1).deadline(patience).clock(clock);
    builder.credential(Credential::secret(site.secret(workload))).connect().await.expect("a client")
}

/// Running replicas, and the front before their pages.
pub struct Replicas {
    pub site: Site,
    pub database: PgDatabase,
    /// `None`: they run by the machine's.
    clock: Option<StageClock>,
    front: Front,
    all: Vec<Replica>,
}

/// One of them.
pub struct Replica {
    broker: Running,
    grpc: SocketAddr,
    web: SocketAddr,
    clients: [Client; 2],
}

impl Replicas {
    /// Starts so many; the front points at the first.
    pub async fn start(count: usize) -> Replicas {
        Replicas::with(count, Options::default()).await
    }

    /// The same with these options; the clock in them is replaced.
    pub async fn with(count: usize, options: Options) -> Replicas {
        let database = PgDatabase::create();
        let clock = StageClock::opening(Some(database.clone()));
        let options = database.options(Options { clock: clock.shared(), ..options });
        let site = World::prepare(options).await.expect("the world is prepared");
        database.migrate(&site).await;
        Replicas::raise(count, site, database, Some(clock)).await
    }

    /// The same on this database; time passes as on the machine.
    pub async fn on(count: usize, database: PgDatabase, options: Options) -> Replicas {
        let site = World::prepare(database.options(options)).await.expect("the world is prepared");
        let config = Config::load(&site.config_path()).expect("a sound configuration");
        database.migrate_for(&config).await;
        Replicas::raise(count, site, database, None).await
    }

    async fn raise(count: usize, site: Site, database: PgDatabase, clock: Option<StageClock>) -> Replicas {
        let mut all = Vec::new();
        for _ in 0..count {
            all.push(Replica::on(&site).await);
        }
        let front = Front::at(site.addresses().web, all[0].web);
        Replicas { site, database, clock, front, all }
    }

    /// Moves everybody's clock.
    ///
    /// # Panics
    /// When they run by the machine's.
    pub fn advance(&self, by: Duration) {
        self.clock.as_ref().expect("a clock of the test's").advance(by);
    }

    /// One by its number.
    pub fn at(&self, number: usize) -> &Replica {
        &self.all[number]
    }

    /// All of them.
    pub fn all(&self) -> &[Replica] {
        &self.all
    }

    /// From now on browsers reach this one.
    pub fn pages_at(&self, number: usize) {
        self.front.point_at([self.all[number].web]);
    }

    /// From now on browsers reach one replica after the other, with every request the next.
    pub fn pages_everywhere(&self) {
        self.front.point_at(self.all.iter().map(|replica| replica.web));
    }

    /// A request of `workload` for `person`, with a fresh assertion.
    pub fn request(&self, person: &Person, workload: Workload, scopes: &[&str]) -> GrantRequest {
        let assertion = self.site.assertion(person, workload);
        GrantRequest::new(assertion, PROVIDER, scopes.iter().copied())
            .tool("list_notes")
            .purpose("Show notes")
    }

    /// What a replica answers.
    pub async fn ask(
        &self,
        number: usize,
        person: &Person,
        workload: Workload,
        scopes: &[&str],
    ) -> Result<Outcome, Error> {
        self.all[number].client(workload).issue_grant(&self.request(person, workload, scopes)).await
    }

    /// The same where a grant is due.
    pub async fn grant(&self, number: usize, person: &Person, workload: Workload, scopes: &[&str]) -> Grant {
        granted(self.ask(number, person, workload, scopes).await)
    }

    /// The same where a consent is due.
    pub async fn consent(
        &self,
        number: usize,
        person: &Person,
        workload: Workload,
        scopes: &[&str],
    ) -> ConsentRequired {
        match self.ask(number, person, workload, scopes).await {
            Ok(Outcome::ConsentRequired(consent)) => consent,
            other => panic!("a consent was due for {}: {other:?}", person.sso.name),
        }
    }

    /// A browser without cookies.
    pub fn browser(&self) -> Browser {
        self.site.browser().expect("a browser")
    }

    /// Asks, does what the link says on the pages of the replica that the front points at, and asks again.
    pub async fn connect(
        &self,
        number: usize,
        person: &Person,
        workload: Workload,
        scopes: &[&str],
    ) -> Grant {
        let consent = self.consent(number, person, workload, scopes).await;
        let page = walk::connect(&self.browser(), consent.url.expose(), &person.sso, &person.notes).await;
        let page = page.expect("the pages lead through");
        assert_eq!(page.status, 200, "{}", page.text());
        self.grant(number, person, workload, scopes).await
    }

    /// An administrator who calls this replica.
    pub fn operator(&self, number: usize) -> Operator {
        Operator::at(self.all[number].grpc_url(), &self.site)
    }

    /// Ends them all.
    pub async fn stop(self) {
        for replica in self.all {
            replica.broker.stop(GRACE).await;
        }
    }
}

impl Replica {
    async fn on(site: &Site) -> Replica {
        let bind = || TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let sockets = Sockets { grpc: bind(), web: bind(), ops: bind() };
        let at = |socket: &TcpListener| socket.local_addr().expect("its address");
        let (grpc, web) = (at(&sockets.grpc), at(&sockets.web));
        let config = Config::load(&site.config_path()).expect("the configuration of all");
        let started = app::start(&config, Arc::clone(site.clock()), Arc::clone(site.rng()), sockets).await;
        let url = format!("http://{grpc}");
        let clients = [
            client(site, &url, Workload::TicketHelper, PATIENCE).await,
            client(site, &url, Workload::ReportWriter, PATIENCE).await,
        ];
        Replica { broker: started.expect("the replica starts"), grpc, web, clients }
    }

    /// The client of a tool server; sends every call once.
    pub fn client(&self, workload: Workload) -> &Client {
        &self.clients[usize::from(workload != Workload::TicketHelper)]
    }

    /// Where it takes calls.
    pub fn grpc_url(&self) -> String {
        format!("http://{}", self.grpc)
    }

    /// For calls on the raw contract.
    pub fn channel(&self) -> Channel {
        Endpoint::from_shared(self.grpc_url()).expect("an address").connect_lazy()
    }

    /// What is below its transports.
    pub fn rooms(&self) -> &Arc<Rooms> {
        self.broker.rooms()
    }
}
