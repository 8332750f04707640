//! Sequences that proptest makes up, and shrinks where the broker and the model disagree.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use broker::domain::{Clock, SystemClock, SystemRng};
use broker_proto::v1::ConsentReason;
use broker_tests::dialect::Dialect;
use broker_tests::dice::Dice;
use broker_tests::process;
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use proptest_state_machine::ReferenceStateMachine;
use tokio::runtime::Runtime;

use super::reference::{Answer, Ask, Lie, Model, State, Step};
use super::system::House;

/// How long sequences are tried, unless `MODEL_SECONDS` says otherwise.
const SHORT: Duration = Duration::from_secs(18);
/// So many steps on the slowest machine.
const LEAST: usize = 40;
/// Steps of one sequence.
const STEPS: std::ops::Range<usize> = 5..25;
/// A failing sequence is made smaller so often; each try takes a second or two.
const SMALLER: u32 = 60;

/// How often which answer was due.
type Tally = BTreeMap<String, usize>;

/// Whatever people, servers, administrators and the provider do in whatever order, with crashes in between: every call is answered as
/// the model says, and every connection is in the state it says.
///
/// Proves: CO1, CO8, CO9, GR5, RF11, RV2, RV3
#[test]
fn co9_gr5_rf11_a_broker_on_sqlite_does_what_its_model_says() {
    tried(Dialect::Sqlite);
}

/// Proves: CO1, CO8, CO9, GR5, RF11, RV2, RV3
#[test]
fn co9_gr5_rf11_a_broker_on_postgresql_does_what_its_model_says() {
    tried(Dialect::Postgres);
}

fn tried(dialect: Dialect) {
    let runtime = Runtime::new().expect("a runtime");
    let house = RefCell::new(runtime.block_on(House::start(dialect)));
    let seed = Dice::seed(&SystemRng::default());
    println!("TEST_SEED={seed}");
    let clock = SystemClock::default();
    let over = clock.monotonic() + length();
    let (sequences, steps, tally) = (Cell::new(0), Cell::new(0), RefCell::new(Tally::new()));
    let config = Config {
        max_shrink_iters: SMALLER,
        max_local_rejects: u32::MAX,
        failure_persistence: None,
        ..Config::default()
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let mut found = Ok(true);
    while found.is_ok() && (clock.monotonic() < over || steps.get() < LEAST) {
        let made_up = Model::sequential_strategy(STEPS).new_tree(&mut runner).expect("a sequence");
        found = runner.run_one(made_up, |(state, transitions, seen)| {
            sequences.set(sequences.get() + 1);
            let mark = || {
                steps.set(steps.get() + 1);
                // Tells the shrinking how far it came.
                if let Some(seen) = &seen {
                    seen.fetch_add(1, Ordering::SeqCst);
                }
            };
            let mut house = house.borrow_mut();
            let ran = runtime.block_on(sequence(&mut house, state, &transitions, &tally, mark));
            ran.map_err(TestCaseError::fail)
        });
    }
    println!("{} sequences, {} steps: {:?}", sequences.get(), steps.get(), tally.borrow());
    match found {
        Ok(_) => {}
        Err(TestError::Fail(why, (_, steps, _))) => panic!("TEST_SEED={seed}: {why}\n{steps:#?}"),
        Err(TestError::Abort(why)) => panic!("TEST_SEED={seed}: {why}"),
    }
    let mut house = house.into_inner();
    let ran = runtime.block_on(async {
        house.stop().await;
        process::run(house.site().directory(), &["audit", "verify"]).await
    });
    assert_eq!(ran.code, 0, "{ran:?}");
}

fn length() -> Duration {
    match std::env::var("MODEL_SECONDS") {
        Ok(seconds) => Duration::from_secs(seconds.parse().expect("MODEL_SECONDS is a number")),
        Err(_) => SHORT,
    }
}

/// Runs one sequence with people of its own.
async fn sequence(
    house: &mut House,
    mut state: State,
    steps: &[Step],
    tally: &RefCell<Tally>,
    mut mark: impl FnMut(),
) -> Result<(), String> {
    let mut cast = house.cast();
    let mut ran = Ok(());
    for step in steps {
        mark();
        let next = Model::apply(state.clone(), step);
        ran = async {
            let answers = house.take(&mut cast, step).await?;
            for answer in &next.expected {
                *tally.borrow_mut().entry(format!("{answer:?}")).or_default() += 1;
            }
            agree(&next.expected, &answers).map_err(|what| format!("{step:?}: {what}"))?;
            house.compare(&cast, &next).await.map_err(|what| format!("after {step:?}: {what}; {next:?}"))
        }
        .await;
        state = next;
        if ran.is_err() {
            break;
        }
    }
    house.clear(&cast, &state).await;
    ran
}

fn agree(expected: &[Answer], answers: &[Answer]) -> Result<(), String> {
    let same = |(expected, answer): (&Answer, &Answer)| {
        expected == answer
            || (*expected == Answer::SameOrStale
                && [Answer::SameGrant, Answer::Refused("REQUEST_ID_STALE")].contains(answer))
    };
    if expected.len() == answers.len() && expected.iter().zip(answers).all(same) {
        Ok(())
    } else {
        Err(format!("{answers:?}, the model says {expected:?}"))
    }
}

/// A model that is wrong is found out: the comparison compares.
#[test]
fn a_wrong_model_is_found_out() {
    let runtime = Runtime::new().expect("a runtime");
    let ask = Ask { person: 0, server: 1, scopes: 1 };
    let withdraw = [Step::Connect(ask), Step::Withdraw { person: 0, server: 1 }, Step::Ask(ask)];
    let crash = [Step::Connect(ask), Step::AskOnce(ask, 0), Step::Crash, Step::AskOnce(ask, 0)];
    runtime.block_on(async {
        let mut house = House::start(Dialect::Sqlite).await;
        for (steps, lie) in [(&withdraw[..], Lie::WithdrawnStands), (&crash[..], Lie::CrashForgets)] {
            for (told, right) in [(Lie::None, true), (lie, false)] {
                let ran = sequence(&mut house, State::new(told), steps, &RefCell::default(), || {}).await;
                assert_eq!(ran.is_ok(), right, "{told:?}: {ran:?}");
            }
        }
        // What the state says is compared too.
        let mut cast = house.cast();
        house.take(&mut cast, &Step::Connect(ask)).await.expect("connected");
        let nobody = State::new(Lie::None);
        let told = house.compare(&cast, &nobody).await;
        assert!(told.is_err_and(|told| told.contains("Active")), "a connection that the model does not have");
        let consent = Answer::Consent(ConsentReason::NotConnected);
        assert!(agree(&[consent], &[Answer::Grant]).is_err() && agree(&[], &[consent]).is_err());
    });
}
