//! The shapes of `expires_in` that real providers send, at the code exchange and at the refresh.

use std::sync::Arc;
use std::time::Duration;

use broker::domain::{Clock, ManualClock, SystemClock};
use broker_client::{Client, GrantRequest, Outcome};
use demo::saas::{Event, ExpiresIn, Fault};
use demo::walk::connect;
use demo::world::{ALICE, Options, PROVIDER, Workload, World};

/// The default for a provider that does not say: one hour.
const UNSAID: u64 = 3600;
/// What is asked to be believed at most: ten years.
const LONGEST: u64 = 10 * 366 * 24 * 3600;

/// Whatever a token's life is believed to be, it is issued.
const POLICY: &str = r#"
@id("everybody")
@long_lived("allow")
permit (principal is Broker::Subject, action == Broker::Action::"issue", resource is Broker::Scope);
"#;

struct Case {
    world: World,
    clock: Arc<ManualClock>,
    client: Client,
}

impl Case {
    async fn start() -> Self {
        let clock = Arc::new(ManualClock::at(SystemClock::default().now()));
        let policy = Some(POLICY.to_owned());
        let options = Options { clock: clock.clone(), policy, ..Options::default() };
        let world = World::start(options).await.expect("a world");
        let client = world.client(Workload::TicketHelper).await.expect("a client");
        Self { world, clock, client }
    }

    async fn ask(&self) -> Outcome {
        let assertion = self.world.assertion(&ALICE, Workload::TicketHelper);
        let request = GrantRequest::new(assertion, PROVIDER, ["notes.read"]);
        self.client.issue_grant(&request).await.expect("an outcome")
    }

    /// How long the provider's token is believed to live, in seconds.
    async fn believed(&self) -> u64 {
        match self.ask().await {
            Outcome::Grant(grant) => {
                let end = grant.token_expire_time.expect("an end").duration_since(std::time::UNIX_EPOCH);
                end.expect("after 1970").as_secs()
                    - u64::try_from(self.clock.now().unix_seconds()).expect("after 1970")
            }
            Outcome::ConsentRequired(needed) => panic!("a consent: {:?}", needed.reason),
        }
    }

    fn refreshes(&self) -> usize {
        self.world.notes().truth().iter().filter(|event| matches!(event, Event::Refreshed { .. })).count()
    }
}

/// Proves: RF8
#[tokio::test]
async fn rf8_every_shape_of_expires_in_has_a_meaning() {
    let case = Case::start().await;
    let shapes = [
        (None, 600),
        (Some(ExpiresIn::String), 600),
        (Some(ExpiresIn::Null), UNSAID),
        (Some(ExpiresIn::Absent), UNSAID),
        (Some(ExpiresIn::Zero), UNSAID),
        (Some(ExpiresIn::Negative), UNSAID),
        (Some(ExpiresIn::Huge), LONGEST),
    ];
    let mut connected = false;
    for (shape, seconds) in shapes {
        if let Some(shape) = shape {
            case.world.notes().script(Fault::ExpiresIn(shape), 1);
        }
        if !connected {
            let Outcome::ConsentRequired(needed) = case.ask().await else { panic!("not connected yet") };
            let browser = case.world.browser().expect("a browser");
            let page =
                connect(&browser, needed.url.expose(), &ALICE.sso, &ALICE.notes).await.expect("walked");
            assert_eq!(page.title(), "Done · Token broker", "{}", page.describe());
            connected = true;
        }
        assert_eq!(case.believed().await, seconds, "{shape:?}");
        // Over by our reckoning, so that the next round refreshes.
        if seconds < LONGEST {
            case.clock.advance(Duration::from_secs(seconds));
        }
    }
    assert_eq!(case.refreshes(), shapes.len() - 1);
    case.world.stop().await;
}

/// A provider that keeps its refresh token says so by leaving it out; the old one goes on working.
/// Proves: RF7
#[tokio::test]
async fn rf7_no_refresh_token_in_an_answer_keeps_the_old_one() {
    let case = Case::start().await;
    case.world.notes().set_rotation(demo::saas::Rotation::None);
    let Outcome::ConsentRequired(needed) = case.ask().await else { panic!("not connected yet") };
    let browser = case.world.browser().expect("a browser");
    connect(&browser, needed.url.expose(), &ALICE.sso, &ALICE.notes).await.expect("walked");
    for round in 1..=3 {
        case.clock.advance(Duration::from_secs(600));
        case.world.notes().script(Fault::NoRefreshToken, 1);
        assert_eq!(case.believed().await, 600);
        assert_eq!(case.refreshes(), round);
    }
    case.world.stop().await;
}
