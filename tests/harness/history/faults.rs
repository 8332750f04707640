//! What was done to the brokers in a run, and when: all times are microseconds since 1970, as in [`History`](super::History).

/// Everything that may have kept an answer from its broker.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    pub lives: Vec<Life>,
    pub jumps: Vec<Jump>,
    pub outages: Vec<Outage>,
}

/// One process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    /// Before it was started.
    pub from: i64,
    /// When it listened, and had the first row of its first stream.
    pub listening: i64,
    /// When its end was seen; `None`: it still runs.
    pub until: Option<i64>,
    /// With `kill -9`; all others end by themselves, when what they are at is done.
    pub killed: bool,
}

/// The database's clock was put ahead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jump {
    pub at: i64,
    /// Microseconds.
    pub by: i64,
}

/// The database was away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outage {
    pub from: i64,
    pub until: i64,
}

impl Life {
    /// Whether it opened this stream when it began.
    fn began_with(&self, stream: &Written) -> bool {
        self.from <= stream.opened && stream.opened <= self.listening
    }

    fn covers(&self, stream: &Written) -> bool {
        self.from <= stream.opened && self.until.is_none_or(|until| stream.last <= until)
    }
}

/// When a stream was written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written {
    pub(super) opened: i64,
    pub(super) last: i64,
}

impl Faults {
    /// Whoever may have written this stream: one, unless others ended its stream while it lived, and it began another.
    pub(super) fn writers(&self, stream: Written) -> Vec<&Life> {
        let first = self.lives.iter().find(|life| life.began_with(&stream));
        match first {
            Some(life) => vec![life],
            None => self.lives.iter().filter(|life| life.covers(&stream)).collect(),
        }
    }

    /// How far the database's clock was put ahead in this time.
    pub(super) fn jumped(&self, from: i64, until: i64) -> i64 {
        let jumps = self.jumps.iter().filter(|jump| (from..=until).contains(&jump.at));
        jumps.map(|jump| jump.by).sum()
    }

    /// Whether the database was away at any moment of this time.
    pub(super) fn was_away(&self, from: i64, until: i64) -> bool {
        self.outages.iter().any(|outage| outage.from <= until && from <= outage.until)
    }
}
