//! Two people, two tool servers, and a table of edits tried one by one on them.
//!
//! alice's connection carries read and write: the ticket helper may use both, the report writer may read. bob's
//! carries read, for the ticket helper alone. Whatever is edited, nobody may get more than that, or another's token.

use broker_client::proto::ConsentReason;
use broker_client::{Narrowing, Outcome};
use broker_tests::database::Database;
use broker_tests::stage::{READ, READ_WRITE, Stage, account_of, subject_of};
use demo::saas::Rotation;
use demo::world::{ALICE, BOB, Options, Person, Workload};

pub use Workload::{ReportWriter, TicketHelper};

/// Who asks, through which server, for what.
pub type Ask = (&'static Person, Workload, &'static [&'static str]);

/// alice reads and writes through the ticket helper.
pub const ALICE_WRITES: Ask = (&ALICE, TicketHelper, READ_WRITE);
/// alice reads through the ticket helper.
pub const ALICE_READS: Ask = (&ALICE, TicketHelper, READ);
/// alice reads through the report writer.
pub const ALICE_REPORTS: Ask = (&ALICE, ReportWriter, READ);
/// bob reads through the ticket helper.
pub const BOB_READS: Ask = (&BOB, TicketHelper, READ);
/// Nothing allows these.
pub const NEVER: [Ask; 4] = [
    (&ALICE, ReportWriter, READ_WRITE),
    (&BOB, TicketHelper, READ_WRITE),
    (&BOB, ReportWriter, READ),
    (&BOB, ReportWriter, READ_WRITE),
];
const ALLOWED: [Ask; 4] = [ALICE_WRITES, ALICE_READS, ALICE_REPORTS, BOB_READS];

/// What an edit leads to.
#[derive(Clone, Copy, Debug)]
pub enum Answer {
    /// The row is quarantined: the person is asked again, and the log says why.
    Quarantine(ConsentReason),
    /// The row counts as not there: the person is asked again.
    Consent(ConsentReason),
}

/// One edit. `{alice}` and `{bob}` stand for their connections, `{alice_sub}` and `{bob_sub}` for their subjects.
pub struct Edit {
    pub sql: &'static str,
    pub ask: Ask,
    pub answer: Answer,
}

/// The stage, set.
pub struct Scene {
    pub stage: Stage,
    pub database: Database,
    pub alice: String,
    pub bob: String,
}

impl Scene {
    pub async fn start() -> Scene {
        // Every row from the database each time: what is in memory was never edited.
        Scene::with(Options {
            extra_config: "limits: { hot_rows_mebibytes: 0 }".to_owned(),
            ..Options::default()
        })
        .await
    }

    pub async fn with(options: Options) -> Scene {
        let stage = Stage::with(options).await;
        // Putting rows back must not look like the reuse of a rotated token.
        stage.world.notes().set_rotation(Rotation::None);
        let alice = stage.connect(&ALICE, TicketHelper, READ_WRITE).await.connection_id;
        stage.connect(&ALICE, ReportWriter, READ).await;
        stage.grant(&ALICE, TicketHelper, READ).await;
        let bob = stage.connect(&BOB, TicketHelper, READ).await.connection_id;
        let mut database = stage.database().await;
        database.save().await;
        Scene { stage, database, alice, bob }
    }

    /// Fills in the names of an edit.
    pub fn sql(&self, sql: &str) -> String {
        sql.replace("{alice}", &self.alice)
            .replace("{bob}", &self.bob)
            .replace("{alice_sub}", &subject_of(&ALICE))
            .replace("{bob_sub}", &subject_of(&BOB))
    }

    /// Tries every edit on the rows as they were at first, and heals what can be healed.
    pub async fn try_each(&mut self, edits: &[Edit]) {
        for edit in edits {
            let sql = self.sql(edit.sql);
            self.database.edit(&sql).await;
            self.answers(edit).await;
            self.nobody_gets_more(edit.sql).await;
            self.heals(edit).await;
            self.nobody_gets_another_account(edit.sql).await;
            self.database.restore().await;
            self.put_right(edit.sql).await;
        }
    }

    async fn answers(&mut self, edit: &Edit) {
        let (person, workload, scopes) = edit.ask;
        let outcome = self.stage.ask(person, workload, scopes).await;
        let event = self.database.last_event().await;
        match (edit.answer, outcome) {
            (Answer::Quarantine(reason), Ok(Outcome::ConsentRequired(consent))) => {
                assert_eq!(consent.reason, reason, "{}", edit.sql);
                let logged = (event.outcome.as_str(), event.reason.as_str());
                assert_eq!(logged, ("consent_required", "RECORD_QUARANTINED"), "{}", edit.sql);
            }
            (Answer::Consent(reason), Ok(Outcome::ConsentRequired(consent))) => {
                assert_eq!(consent.reason, reason, "{}", edit.sql);
                assert_eq!(event.outcome, "consent_required", "{}", edit.sql);
            }
            (due, got) => panic!("{}: {due:?} was due: {got:?}", edit.sql),
        }
    }

    /// Asks for everything; who is granted something is granted their own, and no more than was approved.
    pub async fn nobody_gets_more(&self, edit: &str) {
        for ask in ALLOWED {
            self.own_or_nothing(ask, edit).await;
        }
        for (person, workload, scopes) in NEVER {
            let outcome = self.stage.ask(person, workload, scopes).await;
            assert!(!matches!(outcome, Ok(Outcome::Grant(_))), "{edit}: {} got {scopes:?}", person.sso.name);
        }
    }

    async fn nobody_gets_another_account(&self, edit: &str) {
        for ask in ALLOWED.into_iter().chain(NEVER) {
            self.own_or_nothing(ask, edit).await;
        }
    }

    /// Whether a grant came; if so, its token is the person's own and exactly as narrow as asked.
    async fn own_or_nothing(&self, (person, workload, scopes): Ask, edit: &str) -> bool {
        let Ok(Outcome::Grant(grant)) = self.stage.ask(person, workload, scopes).await else { return false };
        let facts = self.stage.facts(&grant);
        assert_eq!(facts.account, account_of(person), "{edit}: another account's token");
        assert_eq!(
            (&facts.scopes[..], &grant.scopes[..]),
            (&owned(scopes)[..], &owned(scopes)[..]),
            "{edit}"
        );
        assert_eq!(grant.narrowing, Narrowing::Exact, "{edit}");
        assert!(facts.live, "{edit}");
        true
    }

    /// VA9: the person answers once more, and is served again.
    async fn heals(&self, edit: &Edit) {
        let (person, workload, scopes) = edit.ask;
        let consent = self.stage.consent(person, workload, scopes).await;
        self.stage.walk(person, &consent).await;
        assert!(self.own_or_nothing(edit.ask, edit.sql).await, "not healed: {}", edit.sql);
    }

    /// Who healed has a new connection, and the old row is over for good: the next edit is tried on the new one.
    async fn put_right(&mut self, edit: &str) {
        for (person, workload, scopes) in ALLOWED {
            let outcome = self.stage.ask(person, workload, scopes).await;
            let grant = match outcome.unwrap_or_else(|error| panic!("not put back: {edit}: {error}")) {
                Outcome::Grant(grant) => grant,
                Outcome::ConsentRequired(consent) => {
                    self.stage.walk(person, &consent).await;
                    self.stage.grant(person, workload, scopes).await
                }
            };
            let own = if person.sso.name == "alice" { &mut self.alice } else { &mut self.bob };
            *own = grant.connection_id;
        }
        self.database.save().await;
    }
}

fn owned(scopes: &[&str]) -> Vec<String> {
    scopes.iter().map(|scope| (*scope).to_owned()).collect()
}
