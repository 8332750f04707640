//! The figures, one file each.

mod idle;
mod memory;
mod overload;
mod redis;
mod refreshing;
mod replicas;
mod stored;
mod storm;
mod unseen;
mod verify;
mod warm;

use crate::{Fault, bench::Bench, finding::Finding};

/// A figure.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Figure {
    /// IssueGrant, assertion seen before, token fresh, against the floor.
    Warm,
    /// IssueGrant with an assertion never seen, against the floor plus one bare verification.
    Unseen,
    /// Verifying one assertion on one core, against bare ring.
    Verify,
    /// One caller on an idle server, against an echo plus one commit.
    Idle,
    /// Two replicas on one database against one.
    Replicas,
    /// Warm calls while Redis is killed, against the same with Redis there.
    Redis,
    /// A million stored connections against a thousand.
    Stored,
    /// Twice the capacity in an open loop, against that capacity.
    Overload,
    /// Five hundred callers at one connection whose token ran out, against one provider call and one lone refresh.
    Storm,
    /// Warm calls while a tenth of the connections is refreshed, against the same load without.
    Refreshing,
    /// Memory with a hundred thousand hot connections, against 256 MiB. In a process of its own.
    Memory,
}

/// What came of a figure.
pub enum Measured {
    /// Lines of the table.
    Findings(Vec<Finding>),
    /// It makes no sense here.
    DoesNotApply(&'static str),
}

impl Figure {
    /// In the order of the table.
    pub const ALL: [Self; 11] = [
        Self::Warm,
        Self::Unseen,
        Self::Verify,
        Self::Idle,
        Self::Replicas,
        Self::Redis,
        Self::Stored,
        Self::Overload,
        Self::Storm,
        Self::Refreshing,
        Self::Memory,
    ];

    /// Measures it.
    ///
    /// # Errors
    /// When it could not be measured. A goal that was missed is no error.
    pub async fn measure(self, bench: &mut Bench) -> Result<Measured, Fault> {
        if matches!(self, Self::Replicas | Self::Redis) && !bench.dialect.has_replicas() {
            return Ok(Measured::DoesNotApply("one process serves a file"));
        }
        // The other figures have brokers of their own.
        if !matches!(self, Self::Stored | Self::Storm | Self::Refreshing | Self::Memory) {
            bench.prepare().await?;
        }
        let bench = &*bench;
        let findings = match self {
            Self::Warm => warm::measure(bench).await?,
            Self::Unseen => unseen::measure(bench).await?,
            Self::Verify => verify::measure(bench).await?,
            Self::Idle => idle::measure(bench).await?,
            Self::Replicas => replicas::measure(bench).await?,
            Self::Redis => redis::measure(bench).await?,
            Self::Stored => stored::measure(bench).await?,
            Self::Overload => overload::measure(bench).await?,
            Self::Storm => storm::measure(bench).await?,
            Self::Refreshing => refreshing::measure(bench).await?,
            Self::Memory => memory::measure(bench).await?,
        };
        Ok(Measured::Findings(findings))
    }
}
