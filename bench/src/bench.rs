//! What every figure is given: how long to measure, on which database, and the servers side by side.

use crate::{
    Fault,
    dialect::{Databases, Dialect},
    load::{Line, Tally, Until, closed},
    stand::{CONNECTIONS, Stand},
};
use broker::domain::{Clock, SystemClock};
use std::{sync::Arc, time::Duration};

/// How long, how often, how many.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Measurements of each side.
    pub runs: usize,
    /// Before each, not counted.
    pub warm_up: Duration,
    /// Each.
    pub span: Duration,
    /// People on the stand.
    pub people: u64,
    /// Connections in the full database.
    pub stored: u64,
    /// Connections in use at once for the memory figure, and how long it looks.
    pub hot: u64,
    /// See `hot`.
    pub watch: Duration,
    /// How long the overload lasts.
    pub flood: Duration,
}

impl Pace {
    /// As published.
    pub fn full(runs: usize) -> Self {
        Self {
            runs,
            warm_up: Duration::from_millis(700),
            span: Duration::from_secs(4),
            people: 1_000,
            stored: 1_000_000,
            hot: 100_000,
            watch: Duration::from_secs(600),
            flood: Duration::from_secs(30),
        }
    }

    /// To see whether it works.
    pub fn quick(runs: usize) -> Self {
        Self {
            runs,
            warm_up: Duration::from_millis(200),
            span: Duration::from_millis(800),
            people: 100,
            stored: 5_000,
            hot: 2_000,
            watch: Duration::from_secs(10),
            flood: Duration::from_secs(3),
        }
    }
}

/// What every figure is given.
pub struct Bench {
    /// The database.
    pub dialect: Dialect,
    /// Where they come from.
    pub databases: Databases,
    /// How long.
    pub pace: Pace,
    /// The machine's clock.
    pub clock: Arc<dyn Clock>,
    stand: Option<Stand>,
}

impl Bench {
    /// Nothing runs yet.
    ///
    /// # Errors
    /// As [`Databases::of`].
    pub fn new(dialect: Dialect, pace: Pace) -> Result<Self, Fault> {
        let databases = Databases::of(dialect)?;
        Ok(Self { dialect, databases, pace, clock: Arc::new(SystemClock::default()), stand: None })
    }

    /// Sets up the broker and its rivals, at the first call.
    ///
    /// # Errors
    /// As [`Stand::set_up`].
    pub async fn prepare(&mut self) -> Result<(), Fault> {
        if self.stand.is_none() {
            let people = self.pace.people;
            progress(format!("connecting {people} people to a broker on {}", self.dialect.name()));
            self.stand = Some(Stand::set_up(&self.databases, people, &self.clock).await?);
        }
        Ok(())
    }

    /// The broker and its rivals, once [`Self::prepare`]d.
    ///
    /// # Errors
    /// When they were not.
    pub fn stand(&self) -> Result<&Stand, Fault> {
        self.stand.as_ref().ok_or_else(|| "the servers are not set up".into())
    }

    /// One closed-loop run against a server, every call granted.
    ///
    /// # Errors
    /// When a call is not granted.
    pub async fn run(
        &self,
        on: &Line,
        calls: &Arc<crate::call::Deck>,
        callers: usize,
    ) -> Result<Tally, Fault> {
        let until = Until::Over { warm_up: self.pace.warm_up, span: self.pace.span };
        closed(&self.clock, on, calls, callers, until).await?.all_granted()
    }

    /// The usual connections to one server.
    ///
    /// # Errors
    /// When they cannot be opened.
    pub async fn line(&self, server: std::net::SocketAddr) -> Result<Line, Fault> {
        Line::open(&[server], CONNECTIONS).await
    }

    /// Stops what runs.
    pub async fn close(self) {
        if let Some(stand) = self.stand {
            drop(stand.estate.close().await);
        }
    }
}

/// Tells on stderr how far it is.
pub fn progress(line: impl std::fmt::Display) {
    eprintln!("  {line}");
}
