//! A world with its own clock, and the short way to ask for grants in it.

use std::sync::Arc;

use broker::domain::{ManualClock, Timestamp};
use broker_client::{Client, ConsentRequired, Credential, Error, Grant, GrantRequest, Outcome};
use demo::browser::Page;
use demo::notes::TokenFacts;
use demo::walk;
use demo::world::{ClientClock, Options, PROVIDER, Person, Workload, World, WorldError};

use crate::database::Database;
use crate::postgres::PgDatabase;

/// Read notes.
pub const READ: &[&str] = &["notes.read"];
/// Read and write notes.
pub const READ_WRITE: &[&str] = &["notes.read", "notes.write"];

/// When every stage begins.
const OPENING: &str = "2026-03-02T09:00:00Z";

/// A running world whose clock stands still until it is moved.
pub struct Stage {
    pub world: World,
    pub clock: Arc<ManualClock>,
    clients: [Client; 2],
}

impl Stage {
    /// The demo's world.
    pub async fn start() -> Stage {
        Stage::with(Options::default()).await
    }

    /// A world with these options; the clock in them is replaced.
    pub async fn with(options: Options) -> Stage {
        let opening = Timestamp::parse_rfc3339(OPENING).expect("a time");
        let clock = Arc::new(ManualClock::at(opening));
        let options = Options { clock: clock.clone(), ..options };
        let world = World::start(options).await.expect("the world starts");
        Stage::around(world, clock).await
    }

    /// The demo's world with its rows in PostgreSQL.
    pub async fn on_postgres(database: &PgDatabase) -> Stage {
        let opening = Timestamp::parse_rfc3339(OPENING).expect("a time");
        let clock = Arc::new(ManualClock::at(opening));
        let options = database.options(Options { clock: clock.clone(), ..Options::default() });
        let site = World::prepare(options).await.expect("the world is prepared");
        database.migrate(&site).await;
        let world = World::run(site).await.expect("the world starts");
        Stage::around(world, clock).await
    }

    async fn around(world: World, clock: Arc<ManualClock>) -> Stage {
        let clients =
            [client(&world, Workload::TicketHelper).await, client(&world, Workload::ReportWriter).await];
        Stage { world, clock, clients }
    }

    /// Stops the broker, lets `between` work on its files, and starts it again.
    ///
    /// # Errors
    /// When the broker refuses to start.
    pub async fn restart(self, between: impl AsyncFnOnce(&mut Database)) -> Result<Stage, WorldError> {
        let Stage { world, clock, .. } = self;
        let site = world.stop().await;
        let mut database = Database::open(&site.database_path()).await;
        between(&mut database).await;
        database.close().await;
        let world = World::run(site).await?;
        Ok(Stage::around(world, clock).await)
    }

    /// Stops the broker and starts it again.
    pub async fn restart_broker(self) -> Stage {
        let Stage { world, clock, .. } = self;
        let world = World::run(world.stop().await).await.expect("it starts again");
        Stage::around(world, clock).await
    }

    /// Its broker stops.
    pub async fn stop(self) {
        self.world.stop().await;
    }

    /// The client of a tool server; sends every call once.
    pub fn client(&self, workload: Workload) -> &Client {
        match workload {
            Workload::TicketHelper => &self.clients[0],
            Workload::ReportWriter => &self.clients[1],
        }
    }

    /// A request of `workload` for `person`, with a fresh assertion.
    pub fn request(&self, person: &Person, workload: Workload, scopes: &[&str]) -> GrantRequest {
        let assertion = self.world.assertion(person, workload);
        GrantRequest::new(assertion, PROVIDER, scopes.iter().copied())
            .tool("list_notes")
            .purpose("Show notes")
    }

    /// What `workload` is answered when it asks for `person`.
    pub async fn ask(&self, person: &Person, workload: Workload, scopes: &[&str]) -> Result<Outcome, Error> {
        self.client(workload).issue_grant(&self.request(person, workload, scopes)).await
    }

    /// The same where a grant is due.
    pub async fn grant(&self, person: &Person, workload: Workload, scopes: &[&str]) -> Grant {
        granted(self.ask(person, workload, scopes).await)
    }

    /// The same where a consent is due.
    pub async fn consent(&self, person: &Person, workload: Workload, scopes: &[&str]) -> ConsentRequired {
        match self.ask(person, workload, scopes).await {
            Ok(Outcome::ConsentRequired(consent)) => consent,
            other => panic!("a consent was due for {}: {other:?}", person.sso.name),
        }
    }

    /// Does in a new browser what the link asks for; answers the last page.
    pub async fn walk(&self, person: &Person, consent: &ConsentRequired) -> Page {
        let browser = self.world.browser().expect("a browser");
        let page = walk::connect(&browser, consent.url.expose(), &person.sso, &person.notes).await;
        let page = page.expect("the pages lead through");
        assert_eq!(page.status, 200, "{}", page.text());
        page
    }

    /// Asks, walks through the consent that is due, and asks again.
    pub async fn connect(&self, person: &Person, workload: Workload, scopes: &[&str]) -> Grant {
        let consent = self.consent(person, workload, scopes).await;
        self.walk(person, &consent).await;
        self.grant(person, workload, scopes).await
    }

    /// What the SaaS knows about a grant's token.
    pub fn facts(&self, grant: &Grant) -> TokenFacts {
        self.world.notes().introspect(grant.access_token.expose()).expect("a token of the SaaS")
    }

    /// A second connection to the broker's database.
    pub async fn database(&self) -> Database {
        Database::open(&self.world.database_path()).await
    }
}

async fn client(world: &World, workload: Workload) -> Client {
    Client::builder(world.grpc_url())
        .credential(Credential::secret(world.secret(workload)))
        .clock(Arc::new(ClientClock(Arc::clone(world.clock()))))
        .attempts(1)
        .connect()
        .await
        .expect("a client")
}

/// The grant, where one is due.
pub fn granted(outcome: Result<Outcome, Error>) -> Grant {
    match outcome {
        Ok(Outcome::Grant(grant)) => grant,
        other => panic!("a grant was due: {other:?}"),
    }
}

/// The refusal's reason, where one is due.
pub fn refused(outcome: Result<Outcome, Error>) -> String {
    match outcome {
        Err(error) => error.reason().to_owned(),
        other => panic!("a refusal was due: {other:?}"),
    }
}

/// The account at the SaaS that belongs to a person.
pub fn account_of(person: &Person) -> &'static str {
    match person.sso.name {
        "alice" => "acct-1001",
        "bob" => "acct-1002",
        other => panic!("{other} has no account"),
    }
}

/// The person's subject claim at the SSO.
pub fn subject_of(person: &Person) -> String {
    match person.sso.name {
        "alice" => demo::sso::User::alice().sub,
        "bob" => demo::sso::User::bob().sub,
        other => panic!("{other} is not one of the two"),
    }
}
