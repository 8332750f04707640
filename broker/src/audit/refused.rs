//! Why something was not recorded as asked, and therefore may not happen.

use crate::domain::{Applied, Entry, Reason, RequestClaim, Rule, RuleKind};
use crate::trace::Failure;

/// Why a permit or note was refused. For `Hit`, `Duplicate`, `Replayed` and `NotApplied` a row says so.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Refused {
    /// A newer revocation or block names something it relies on.
    #[error("a {} names something this relies on", .0.kind.as_str())]
    Hit(Rule),
    /// Its request id was taken by an earlier request.
    #[error("the request id is taken")]
    Duplicate(Box<RequestClaim>),
    /// The assertion it relies on is good for one use and was used before (ID12).
    #[error("the assertion was used before")]
    Replayed,
    /// What it would change was changed by somebody else meanwhile.
    #[error("what it would change has changed meanwhile")]
    NotApplied,
    /// The log cannot be written, or it is not known whether it was: nothing may be issued.
    #[error("the audit log cannot be written")]
    Unavailable,
    /// The queue is full.
    #[error("too much is waiting to be recorded")]
    Overloaded,
    /// The deadline passed before it was begun: nothing was written.
    #[error("the deadline passed before it could be recorded")]
    DeadlineExceeded,
    /// The entry contradicts itself or its permit: a fault of the broker, not of the caller.
    #[error("the entry is inconsistent: {0}")]
    Inconsistent(&'static str),
}

impl Failure for Refused {
    fn error_type(&self) -> &'static str {
        self.reason().as_str()
    }
}

impl Refused {
    /// What a caller is told.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Hit(rule) => hit_reason(rule),
            Self::Duplicate(_) | Self::NotApplied => Reason::Conflict,
            Self::Replayed => Reason::AssertionReplayed,
            Self::Unavailable => Reason::AuditUnavailable,
            Self::Overloaded => Reason::Overloaded,
            Self::DeadlineExceeded => Reason::DeadlineExceeded,
            Self::Inconsistent(_) => Reason::Internal,
        }
    }

    /// Why a group whose entries fared like this was refused; `None` when all were applied.
    pub(super) fn of(entries: &[Entry], applied: &[Applied]) -> Option<Self> {
        let mut failed = false;
        for (entry, one) in entries.iter().zip(applied) {
            match one {
                Applied::Yes => {}
                Applied::Hit(rule) => return Some(Self::Hit(rule.clone())),
                Applied::Duplicate(claim) => return Some(Self::Duplicate(claim.clone())),
                Applied::NotApplied(write) if entry.replays(*write) => return Some(Self::Replayed),
                Applied::NotApplied(_) => return Some(Self::NotApplied),
                Applied::GroupFailed => failed = true,
            }
        }
        failed.then_some(Self::NotApplied)
    }
}

/// The reason code of an entry that `rule` hit.
pub(super) fn hit_reason(rule: &Rule) -> Reason {
    match rule.kind {
        RuleKind::Block => Reason::Blocked,
        RuleKind::Revoke | RuleKind::Lift => Reason::Revoked,
    }
}
