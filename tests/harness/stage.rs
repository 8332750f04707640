//! A world with its own clock, and the short way to ask for grants in it.

use std::sync::Arc;
use std::time::Duration;

use broker::domain::{Clock, ManualClock, Timestamp};
use broker_client::{Client, ConsentRequired, Credential, Error, Grant, GrantRequest, Outcome};
use demo::browser::Page;
use demo::saas::TokenFacts;
use demo::walk;
use demo::world::{ClientClock, Options, PROVIDER, Person, Site, Workload, World, WorldError};

use crate::database::Database;
use crate::dialect::Dialect;
use crate::postgres::PgDatabase;

/// Read notes.
pub const READ: &[&str] = &["notes.read"];
/// Read and write notes.
pub const READ_WRITE: &[&str] = &["notes.read", "notes.write"];

/// When every stage begins.
const OPENING: &str = "2026-03-02T09:00:00Z";

/// A world whose single sign-on gives assertions that are good for one grant each.
pub fn one_time() -> Options {
    let amend = |config: String| {
        let amended =
            config.replacen("roles_claim: roles\n", "roles_claim: roles\n    one_time_assertions: true\n", 1);
        assert_ne!(amended, config, "the configuration has such a line");
        amended
    };
    Options { amend_config: Some(Box::new(amend)), ..Options::default() }
}

/// A running world whose clock stands still until it is moved.
pub struct Stage {
    pub world: World,
    pub clock: StageClock,
    clients: [Client; 2],
}

/// Everybody's clock, the database's too.
#[derive(Clone)]
pub struct StageClock {
    held: Arc<ManualClock>,
    database: Option<PgDatabase>,
}

impl StageClock {
    /// A clock that stands at the opening; with a database's in step once that is migrated.
    pub fn opening(database: Option<PgDatabase>) -> StageClock {
        let opening = Timestamp::parse_rfc3339(OPENING).expect("a time");
        StageClock { held: Arc::new(ManualClock::at(opening)), database }
    }

    /// Moves it forward.
    pub fn advance(&self, by: Duration) {
        self.held.advance(by);
        if let Some(database) = &self.database {
            database.follow(&*self.held);
        }
    }

    /// Sets the wall clock alone, as an operator might; the database's stays.
    pub fn jump(&self, seconds: i64) {
        let now = self.held.now();
        let by = Duration::from_secs(seconds.unsigned_abs());
        self.held.set_wall(if seconds < 0 { now.minus(by) } else { now.plus(by) });
    }

    /// In the shape that worlds take.
    pub fn shared(&self) -> Arc<dyn Clock> {
        self.held.clone()
    }

    /// A connection of one's own to the database of a site that runs by this clock.
    async fn open(&self, site: &Site) -> Database {
        match &self.database {
            Some(database) => database.connect().await,
            None => Database::open(&site.database_path()).await,
        }
    }
}

impl Stage {
    /// The demo's world, on the database of this run.
    pub async fn start() -> Stage {
        Stage::with(Options::default()).await
    }

    /// A world with these options, on the database of this run; the clock in them is replaced.
    pub async fn with(options: Options) -> Stage {
        match Dialect::of_this_run() {
            Dialect::Sqlite => Stage::raise(options, None).await,
            Dialect::Postgres => Stage::raise(options, Some(PgDatabase::create())).await,
        }
    }

    /// The demo's world with its rows in PostgreSQL.
    pub async fn on_postgres(database: &PgDatabase) -> Stage {
        Stage::with_rows_in(database, Options::default()).await
    }

    /// A world with these options and its rows in PostgreSQL; the clock in them is replaced.
    pub async fn with_rows_in(database: &PgDatabase, options: Options) -> Stage {
        Stage::raise(options, Some(database.clone())).await
    }

    async fn raise(options: Options, database: Option<PgDatabase>) -> Stage {
        let clock = StageClock::opening(database.clone());
        let options = Options { clock: clock.shared(), ..options };
        let world = match database {
            None => World::start(options).await,
            Some(database) => {
                let site = World::prepare(database.options(options)).await.expect("the world is prepared");
                database.migrate(&site).await;
                World::run(site).await
            }
        };
        Stage::around(world.expect("the world starts"), clock).await
    }

    async fn around(world: World, clock: StageClock) -> Stage {
        let clients =
            [client(&world, Workload::TicketHelper).await, client(&world, Workload::ReportWriter).await];
        Stage { world, clock, clients }
    }

    /// Stops the broker, lets `between` work on its database, and starts it again.
    ///
    /// # Errors
    /// When the broker refuses to start.
    pub async fn restart(self, between: impl AsyncFnOnce(&mut Database)) -> Result<Stage, WorldError> {
        let Stage { world, clock, .. } = self;
        let site = world.stop().await;
        let mut database = clock.open(&site).await;
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
        self.clock.open(&self.world).await
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
