//! Decides. Default deny; the only maker of permits.
//!
//! Rules are Cedar policies ([`PolicySet`]), checked strictly against [`SCHEMA`] when they are loaded. [`Policy`]
//! answers a [`Question`] with a [`Verdict`]; only a verdict becomes a `Permit<Issue>`. Background work asks too, with
//! the broker as actor.

mod access;
mod background;
mod beyond;
mod cache;
mod cedar;
mod decision;
mod denial;
mod engine;
mod explain;
mod issue;
mod mentions;
mod near;
mod outlook;
pub mod permit;
mod problem;
mod question;
mod rule;
mod set;
mod verdict;

#[cfg(test)]
mod tests;

pub use access::{Caller, RpcAction};
pub use background::Grounds;
pub use beyond::Beyond;
pub use denial::{DEFAULT_DENY, Denial};
pub use engine::{Policy, Settings};
pub use explain::{Explained, ExplainedScope, NearMiss, RuleShown, ScopeQuestion};
pub use issue::TtlLimits;
pub use permit::{ExchangeCode, Facts, Issue, Permit, Purpose, Refresh, RevokeAtProvider};
pub use problem::{PolicyProblem, PolicyProblems};
pub use question::Question;
pub use set::{PolicySet, Source};
pub use verdict::{DeniedScope, Verdict};

/// What rules can see, in Cedar's schema language, with comments for the people who write rules.
pub const SCHEMA: &str = include_str!("schema.cedarschema");

/// The rules a new installation begins with: commented, and allowing nothing until its example is adapted.
pub const STARTER: &str = include_str!("starter.cedar");
