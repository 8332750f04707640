//! Warm calls while a tenth of the connections is refreshed: whoever needs no refresh must not wait for those who do.
//!
//! The same calls arrive at the same fixed rate three times in turn: with every token good; with the tokens of a tenth of the people running
//! out one after the other, so that a caller finds each of them and waits for the provider; and with refresh-ahead at work on that tenth.

use crate::{
    Fault,
    bench::{Bench, progress},
    call::Deck,
    estate::Estate,
    finding::{Finding, Goal, Pair, Spread},
    load::{Line, Tally, open_by},
    provider::Provider,
    stand::call_all,
};
use broker::usecase::refresh_ahead;
use futures::{StreamExt, TryStreamExt};
use std::{sync::Arc, time::Duration};

/// So long does the provider take.
const DELAY: Duration = Duration::from_millis(100);
/// One in so many is refreshed.
const ONE_IN: u64 = 10;
/// How the capacity is found, of which a quarter is asked for: with the load generator, the database and the provider on the same cores,
/// half of it would keep them busy nine tenths of the time, since commits come in smaller groups then, and a tail would tell of queues.
const IN_FLIGHT: usize = 64;
const SHARE: f64 = 0.25;
/// So many spans of the bench are one of these.
const SPANS: u32 = 3;
/// A 99th percentile is that of so long, and the median of all of a run is judged: a machine that stands still for a tenth of a second would
/// be all there is to see in the 99th percentile of ten.
const SLICE: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(5);
/// Of tokens that callers find run out: too short for refresh-ahead to come before them.
const BRIEF: Duration = Duration::from_secs(60);
/// Of others. Refresh-ahead finds those that callers would refresh a little after the run.
const HOUR: Duration = Duration::from_secs(3600);
const AFTER: Duration = Duration::from_secs(5);

pub(super) async fn measure(bench: &Bench) -> Result<Vec<Finding>, Fault> {
    let provider = Provider::start(DELAY).await?;
    let people = bench.pace.people;
    progress(format!("connecting {people} people"));
    let estate = Estate::with(&bench.databases, provider.options(String::new())).await?;
    estate.settle(people).await?;
    let broker = estate.world.addresses().grpc;
    let field = Field {
        bench,
        tenth: people / ONE_IN,
        all: estate.deck(0..people)?,
        refreshed: estate.deck(0..people / ONE_IN)?,
        others: estate.deck(people / ONE_IN..people)?,
        line: bench.line(broker).await?,
        estate,
        provider,
    };
    for deck in [&field.all, &field.refreshed, &field.others] {
        call_all(&bench.clock, broker, deck).await?;
    }
    let mut seen = Seen::default();
    for run in 1..=bench.pace.runs {
        field.run(&mut seen, run).await?;
    }
    drop(field.estate.close().await);
    Ok(seen.findings())
}

struct Field<'a> {
    bench: &'a Bench,
    tenth: u64,
    all: Arc<Deck>,
    /// Calls for those whose tokens run out, and for everybody else.
    refreshed: Arc<Deck>,
    others: Arc<Deck>,
    line: Line,
    estate: Estate,
    provider: Provider,
}

/// One run of the load: 99th percentiles in microseconds.
struct Tails {
    others: f64,
    /// Of the whole run, not of a slice.
    others_whole: f64,
    all: f64,
    /// Provider calls meanwhile.
    refreshes: u64,
}

impl Field<'_> {
    async fn run(&self, seen: &mut Seen, run: usize) -> Result<(), Fault> {
        let span = self.bench.pace.span * SPANS;
        let rate = self.bench.run(&self.line, &self.all, IN_FLIGHT).await?.rate() * SHARE;
        self.due(|_| HOUR / 2, HOUR).await?;
        let quiet = self.measured(self.load(rate)).await?;
        if quiet.refreshes > 0 {
            return Err("something was refreshed where nothing should have been".into());
        }
        // Not up to the end of the run, so that each is called for again afterwards.
        self.due(|share| span.mul_f64(0.9 * share), BRIEF).await?;
        let found = self.measured(self.load(rate)).await?;
        self.due(|_| span + AFTER, HOUR).await?;
        let ahead = async {
            let (load, refreshed) = tokio::join!(self.load(rate), refresh_ahead(self.estate.rooms()));
            refreshed?;
            load
        };
        let ahead = self.measured(ahead).await?;
        // A few of either are due only after the run.
        if found.refreshes.min(ahead.refreshes) * 4 < self.tenth * 3 {
            let (found, ahead) = (found.refreshes, ahead.refreshes);
            return Err(format!("{found} refreshes by callers and {ahead} ahead, of {}", self.tenth).into());
        }
        progress(format!(
            "refreshing, run {run}, {rate:.0}/s: p99 of the others {:.0} µs without, {:.0} µs with {} refreshes by callers, {:.0} µs with {} ahead; of all {:.0}, {:.0}, {:.0} µs",
            quiet.others,
            found.others,
            found.refreshes,
            ahead.others,
            ahead.refreshes,
            quiet.all,
            found.all,
            ahead.all,
        ));
        seen.by_callers.push(Pair { limit: quiet.others, broker: found.others });
        seen.by_callers_whole.push(Pair { limit: quiet.others_whole, broker: found.others_whole });
        seen.by_callers_all.push(Pair { limit: quiet.all, broker: found.all });
        seen.ahead_all.push(Pair { limit: quiet.all, broker: ahead.all });
        seen.refreshes.push((found.refreshes as f64, ahead.refreshes as f64));
        seen.rates.push(rate);
        Ok(())
    }

    /// Gives the tenth new tokens. Each is due after what `when` says of its share, 0 to 1, of them all.
    async fn due(&self, when: impl Fn(f64) -> Duration, life: Duration) -> Result<(), Fault> {
        let now = self.bench.clock.now();
        let each = (0..self.tenth).map(|person| {
            let after = when(person as f64 / self.tenth as f64);
            self.estate.let_run_out(person, now.plus(after), life)
        });
        futures::stream::iter(each).buffer_unordered(IN_FLIGHT).try_collect().await
    }

    /// Everybody's calls at one rate, those for the tenth apart from the others.
    async fn load(&self, rate: f64) -> Result<Vec<(Tally, Tally)>, Fault> {
        let (clock, span) = (&self.bench.clock, self.bench.pace.span * SPANS);
        let share = 1.0 / ONE_IN as f64;
        let others = open_by(SLICE, clock, &self.line, &self.others, rate * (1.0 - share), span, PATIENCE);
        let refreshed = open_by(SLICE, clock, &self.line, &self.refreshed, rate * share, span, PATIENCE);
        let (others, refreshed) = tokio::join!(others, refreshed);
        let slices = others.into_iter().zip(refreshed);
        slices
            .map(|(others, refreshed)| {
                Ok((others.shed_is_slow(PATIENCE)?, refreshed.shed_is_slow(PATIENCE)?))
            })
            .collect()
    }

    async fn measured(
        &self,
        load: impl Future<Output = Result<Vec<(Tally, Tally)>, Fault>>,
    ) -> Result<Tails, Fault> {
        let before = self.provider.calls().await?;
        let slices = load.await?;
        let after = self.provider.calls().await?;
        if after.refused > before.refused {
            return Err("a refresh token was sent twice".into());
        }
        let (mut whole, mut of_others, mut of_all) = (Tally::default(), Vec::new(), Vec::new());
        for (mut others, refreshed) in slices {
            of_others.push(others.quantile(0.99));
            whole.add(others.clone());
            others.add(refreshed);
            of_all.push(others.quantile(0.99));
        }
        Ok(Tails {
            others: Spread::of(of_others).median,
            others_whole: whole.quantile(0.99),
            all: Spread::of(of_all).median,
            refreshes: after.granted - before.granted,
        })
    }
}

#[derive(Default)]
struct Seen {
    by_callers: Vec<Pair>,
    by_callers_whole: Vec<Pair>,
    by_callers_all: Vec<Pair>,
    ahead_all: Vec<Pair>,
    refreshes: Vec<(f64, f64)>,
    rates: Vec<f64>,
}

impl Seen {
    fn findings(self) -> Vec<Finding> {
        let name = |what: &str| format!("IssueGrant warm at a quarter of capacity, {what}");
        let finding = |what: &str, goal, pairs, notes| Finding {
            name: name(what),
            unit: "µs",
            limit: "the same load, nothing refreshed",
            goal,
            pairs,
            notes,
        };
        let rate = Spread::of(self.rates).median;
        let (found, ahead): (Vec<f64>, Vec<f64>) = self.refreshes.into_iter().unzip();
        let (found, ahead) = (Spread::of(found).median, Spread::of(ahead).median);
        let took = DELAY.as_millis();
        let goal = Goal::AtMost(1.3);
        vec![
            finding(
                "1 in 10 connections refreshed by callers, p99 of the others",
                goal,
                self.by_callers,
                vec![format!(
                    "{rate:.0} calls/s; {found:.0} refreshes in a run, the provider takes {took} ms"
                )],
            ),
            finding(
                "1 in 10 connections refreshed by callers, p99 of the others over the whole run",
                Goal::None,
                self.by_callers_whole,
                vec!["shows every moment in which the machine stood still, on either side".to_owned()],
            ),
            finding(
                "1 in 10 connections refreshed by callers, p99 of all",
                Goal::None,
                self.by_callers_all,
                vec!["says how many of a hundred calls waited for the provider, and no more".to_owned()],
            ),
            finding(
                "1 in 10 connections refreshed ahead, p99 of all",
                goal,
                self.ahead_all,
                vec![format!("{ahead:.0} refreshes in a run")],
            ),
        ]
    }
}
