//! The writer and its stream: settling, opening, rotating, ending, and showing that it lives.

use super::{Attempt, Standing, Writer};
use crate::{
    audit::{
        chain::{StreamState, head_mac},
        prepare::Prepared,
        refused::Refused,
        seal::{BatchSeal, Intended},
    },
    domain::{Entry, EventKind, Group, Rule, Rules, Timestamp, ledger::Head},
    storage::{LockMode, StoreError},
};
use std::{sync::Arc, time::Duration};
use tokio::time::{Interval, MissedTickBehavior};

/// How long a writer without a stream waits before it tries to open one again.
const REOPEN_AFTER: Duration = Duration::from_secs(1);

/// When to show a sign of life; never, where nobody looks for one.
pub(super) struct Heartbeat(Option<Interval>);

impl Heartbeat {
    pub(super) fn every(period: Option<Duration>) -> Self {
        Self(period.map(|period| {
            let mut interval = tokio::time::interval(period);
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            interval
        }))
    }

    pub(super) async fn due(&mut self) {
        match &mut self.0 {
            Some(interval) => drop(interval.tick().await),
            None => std::future::pending().await,
        }
    }
}

impl Writer {
    /// Reads the head to learn whether an unacknowledged commit was written (AU8).
    pub(super) async fn settle(&mut self, head: Head, intended: Option<Intended>, culprit: bool) -> Attempt {
        let context = self.context.clone();
        let Ok(streams) = self.within(context.ledger.streams()).await else {
            self.standing = Standing::Unsettled { head, intended };
            return Attempt::Unavailable;
        };
        let stored = streams.into_iter().find(|s| s.head.stream == head.stream && s.open).map(|s| s.head);
        match (stored, intended) {
            (Some(stored), _) if stored == head => {
                self.standing = Standing::Writing(head);
                Attempt::Failed { culprit }
            }
            (Some(stored), Some(intended)) if stored == intended.head => {
                if !self.learn_from_store().await {
                    self.standing = Standing::Unsettled { head, intended: Some(intended) };
                    return Attempt::Unavailable;
                }
                self.standing = Standing::Writing(stored.clone());
                Attempt::Committed(intended.applied, stored)
            }
            _ => {
                tracing::error!("the audit stream is not where its writer left it; the stream ends");
                self.end();
                Attempt::Unavailable
            }
        }
    }

    /// The head to write after, if there is one: settles what is open, and opens a new stream when the old one ended.
    pub(super) async fn ready(&mut self) -> Option<Head> {
        if let Standing::Unsettled { head, intended } = &self.standing {
            let (head, intended) = (head.clone(), intended.clone());
            self.settle(head, intended, false).await;
        }
        if let Standing::Ended { retry_at } = self.standing {
            if self.context.clock.monotonic() < retry_at {
                return None;
            }
            self.reopen().await;
        }
        if let Standing::Writing(head) = &self.standing
            && self.is_over(head)
        {
            let head = head.clone();
            self.rotate(head).await;
        }
        match &self.standing {
            Standing::Writing(head) => Some(head.clone()),
            Standing::Unsettled { .. } | Standing::Ended { .. } => None,
        }
    }

    /// Whether the stream is long enough, or its time window is over.
    fn is_over(&self, head: &Head) -> bool {
        let window = i64::try_from(self.config.stream_window.as_micros()).unwrap_or(i64::MAX).max(1);
        let number = |time: Timestamp| time.micros().div_euclid(window);
        head.seq >= self.config.stream_events || number(self.context.clock.now()) > number(self.opened_at)
    }

    /// Ends the stream and opens the next. What cannot be ended now is tried again at the next commit.
    async fn rotate(&mut self, head: Head) {
        if self.finish(head).await.is_ok() {
            self.end();
            self.reopen().await;
        }
    }

    /// Says that the stream ends, and ends it.
    async fn finish(&mut self, head: Head) -> Result<(), Refused> {
        let last = [Group { entries: vec![Entry::note(self.context.own_event(EventKind::StreamClosed))] }];
        let prepared = [vec![Prepared::default()]];
        let written = self.append(head, &last, &prepared, LockMode::Shared).await;
        let Attempt::Committed(applied, head) = written else {
            return Err(Refused::Unavailable);
        };
        self.context.count(&last, &applied);
        let mac = head_mac(&self.context.audit, &head, StreamState::Closed);
        match self.within(self.context.ledger.close_stream(&head, &mac)).await {
            Ok(true) => Ok(()),
            _ => {
                // It says that it is closed: nothing may follow. Left open, it is recovered by whoever comes next.
                self.end();
                Err(Refused::Unavailable)
            }
        }
    }

    /// Writes what still waits, then ends the stream.
    pub(super) async fn close(&mut self) -> Result<(), Refused> {
        self.drain().await;
        match self.ready().await {
            Some(head) => self.finish(head).await,
            None => Err(Refused::Unavailable),
        }
    }

    /// A sign of life, a look at what others revoked meanwhile, and the end of streams whose writers died.
    pub(super) async fn beat(&mut self) {
        let Some(head) = self.ready().await else { return };
        let context = self.context.clone();
        let now = context.clock.now();
        let seal = BatchSeal::new(&context.audit, &context.rows, now, &[]);
        let known = self.rules.load().epoch();
        let commit = context.ledger.commit(&head, known, &[], LockMode::Shared, now, &seal);
        match self.within(commit).await {
            Ok(done) => self.learn(&done.new_rules),
            Err(StoreError::HeadMoved) => {
                tracing::error!("the audit stream was ended under its writer, which was silent for too long");
                return self.end();
            }
            Err(error) => return tracing::warn!(%error, "the audit stream's heartbeat failed"),
        }
        self.bury_the_dead().await;
    }

    async fn bury_the_dead(&mut self) {
        let context = self.context.clone();
        let Ok(streams) = self.within(context.ledger.streams()).await else {
            return tracing::warn!("the audit streams cannot be read; dead ones are ended later");
        };
        for group in context.recoveries(&streams).while_running() {
            // One that does not apply was ended by another replica; one that fails is tried at the next beat.
            let (groups, prepared) = ([group], [vec![Prepared::default()]]);
            let attempt = self.attempt(&groups, &prepared, LockMode::Shared).await;
            if let Attempt::Committed(applied, _) = attempt {
                context.count(&groups, &applied);
            }
        }
    }

    async fn reopen(&mut self) {
        let context = self.context.clone();
        let known = self.rules.load().epoch();
        match self.within(context.succeed(known)).await {
            Ok(opened) => {
                self.learn(&opened.new_rules);
                self.opened_at = opened.opened_at;
                self.standing = Standing::Writing(opened.head);
            }
            Err(error) => {
                tracing::error!(%error, "no new audit stream could be opened");
                let retry_at = context.clock.monotonic().saturating_add(REOPEN_AFTER);
                self.standing = Standing::Ended { retry_at };
            }
        }
    }

    /// What the ledger answers, within the time of a commit. That it cannot be reached is remembered: its outage lasts (RF7).
    async fn within<T>(&self, asked: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let answer = match tokio::time::timeout(self.context.commit_timeout, asked).await {
            Ok(answer) => answer,
            Err(_elapsed) => Err(StoreError::Unavailable("it took too long".to_owned())),
        };
        if matches!(answer, Err(StoreError::Unavailable(_))) {
            self.weather.out_of_reach(self.context.clock.monotonic());
        }
        answer
    }

    pub(super) fn end(&mut self) {
        self.standing = Standing::Ended { retry_at: Duration::ZERO };
    }

    pub(super) fn learn(&self, new: &[Rule]) {
        if new.iter().any(|rule| rule.epoch > self.rules.load().epoch()) {
            let mut rules = Rules::clone(&self.rules.load());
            rules.apply(new);
            self.rules.store(Arc::new(rules));
        }
    }

    async fn learn_from_store(&self) -> bool {
        let known = self.rules.load().epoch();
        let Ok(tagged) = self.within(self.context.ledger.rules_since(known)).await else { return false };
        let checked: Option<Vec<Rule>> =
            tagged.into_iter().map(|rule| rule.check(&self.context.rows).ok()).collect();
        checked.inspect(|rules| self.learn(rules)).is_some()
    }
}
