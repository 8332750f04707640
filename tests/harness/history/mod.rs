//! Holds what clients were told, what the provider did and what the log says against each other: pure functions over a recorded
//! history. Each rule names what breaks it; none knows how the history came about.

mod asked;
mod assertions;
mod attempts;
mod authority;
mod ended;
mod excuse;
mod exercised;
mod explained;
mod faults;
mod leases;
mod once;
mod provider;
mod recorded;
mod rows;
mod search;
mod tokens;

pub use exercised::exercised;
pub use faults::{Faults, Jump, Life, Outage};
pub use recorded::{
    Act, Call, Connection, Deed, End, Facts, Happened, History, Item, Person, Presented, Probe,
    ProviderEvent, Received, Row,
};

/// One thing that must not have happened.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Broken {
    /// Which rule.
    pub rule: Rule,
    /// What happened.
    pub what: String,
}

/// What a history must keep to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// A received grant has exactly one allow row, which says the same.
    RowOfAGrant,
    /// Each further delivery of a grant has a row of its own.
    RowOfADelivery,
    /// A row whose grant nobody received belongs to a call whose answer was lost, or says itself that it was not delivered (AU17).
    RowWithoutAGrant,
    /// A grant carries what was asked for, and what was approved by then.
    Scopes,
    /// A grant is its person's: in the log, in the database and at the provider.
    Owner,
    /// A refresh token goes to the provider once, and once more if what came of it was lost before.
    OneCall,
    /// A refresh of a connection begins when the one before it was given back, or its lease is over; with the token of one that said
    /// nothing a while later.
    Lease,
    /// What the database holds is the last token that the provider issued, and works, or the connection says that it needs its owner.
    LastToken,
    /// Nothing is issued after a revoke or a block was acknowledged.
    Ended,
    /// Request ids, consents and codes are used at most once, and an event's id names one event.
    Once,
    /// An assertion that is good once brought one answer with grants, however often that was delivered.
    Assertion,
    /// Every stream counts from 1 without a gap.
    Contiguous,
}

impl Rule {
    /// All of them.
    pub const ALL: [Rule; 12] = [
        Rule::RowOfAGrant,
        Rule::RowOfADelivery,
        Rule::RowWithoutAGrant,
        Rule::Scopes,
        Rule::Owner,
        Rule::OneCall,
        Rule::Lease,
        Rule::LastToken,
        Rule::Ended,
        Rule::Once,
        Rule::Assertion,
        Rule::Contiguous,
    ];

    fn broken(self, what: impl Into<String>) -> Broken {
        Broken { rule: self, what: what.into() }
    }
}

/// Everything in `history` that must not be; nothing is left out after the first.
pub fn check(history: &History) -> Vec<Broken> {
    let mut broken = Vec::new();
    for rule in [
        rows::rows_of_grants,
        rows::deliveries,
        rows::rows_without_grants,
        authority::scopes,
        authority::owners,
        provider::one_call,
        leases::exclusive,
        tokens::last_tokens,
        ended::nothing_after,
        once::used_once,
        assertions::good_once,
        once::contiguous,
    ] {
        broken.extend(rule(history));
    }
    broken
}
