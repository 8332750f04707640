//! What a run writes down: the clients' calls and answers, the administrator's deeds, the provider's own record, the log, and what the
//! tokens in the database turned out to be.

use std::collections::BTreeMap;

pub use demo::saas::Event as ProviderEvent;

pub use super::faults::Faults;
pub use crate::database::Event as Row;

/// A run. Times are microseconds since 1970 on the one machine's clock, which the brokers read too.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// By the name the clients know them by.
    pub people: BTreeMap<String, Person>,
    pub calls: Vec<Call>,
    pub acts: Vec<Act>,
    /// In the order in which it happened.
    pub provider: Vec<Happened>,
    /// What was done to the brokers meanwhile.
    pub faults: Faults,
    /// Whether an assertion is good for one answer with grants; its issuer's configuration says so.
    pub one_time: bool,
    /// Each stream in order.
    pub log: Vec<Row>,
    /// By id, as they are in the database in the end.
    pub connections: BTreeMap<String, Connection>,
    /// Every connection's refresh token once more at the provider, after everything.
    pub probes: Vec<Probe>,
}

/// Something at the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happened {
    pub at: i64,
    pub event: ProviderEvent,
}

/// Who somebody is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// At the SSO.
    pub subject: String,
    /// In the log.
    pub pseudonym: String,
    /// At the provider.
    pub account: String,
}

/// One call for grants, and how it ended.
#[derive(Clone, Debug)]
pub struct Call {
    pub person: String,
    pub workload: String,
    /// Of one ask alone, which may be sent several times; recorded with every row.
    pub purpose: String,
    pub request_id: Option<String>,
    /// Of the assertion it was made with.
    pub jti: String,
    pub items: Vec<Item>,
    pub sent: i64,
    pub ended: i64,
    pub end: End,
}

/// The scopes of one grant asked for.
pub type Item = Vec<String>;

/// How a call ended.
#[derive(Clone, Debug)]
pub enum End {
    /// Grants, in the order of the items.
    Granted(Vec<Received>),
    Consent,
    /// The broker's own refusal, by its reason.
    Refused(String),
    /// No answer, or none of the broker's.
    Lost,
}

impl End {
    /// Whether the broker may have issued what the caller never saw.
    pub fn may_hide_a_row(&self) -> bool {
        match self {
            End::Lost => true,
            // The commit's answer was lost, or came too late.
            End::Refused(reason) => {
                ["DEADLINE_EXCEEDED", "AUDIT_UNAVAILABLE", "STORE_UNAVAILABLE"].contains(&reason.as_str())
            }
            End::Granted(_) | End::Consent => false,
        }
    }
}

/// A grant as its caller has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    pub id: String,
    pub connection: String,
    pub scopes: Vec<String>,
    /// What the provider says about its token; `None`: it never issued it.
    pub token: Option<Facts>,
}

/// What the provider knows about a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    pub family: u64,
    pub account: String,
    pub scopes: Vec<String>,
}

/// What an administrator did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    pub deed: Deed,
    pub sent: i64,
    /// When it was acknowledged; `None`: it was not.
    pub acknowledged: Option<i64>,
}

/// What is ended, stopped, or free to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// A connection.
    Revoke(String),
    /// A person.
    Block(String),
    /// A person.
    Lift(String),
}

/// A connection's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Its owner's subject claim.
    pub subject: String,
    pub state: String,
}

/// What came of refreshing one connection after the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    pub connection: String,
    /// How much of [`History::provider`] there was before.
    pub before: usize,
    /// What the provider was shown; `None`: it was not asked.
    pub presented: Option<Presented>,
}

/// A refresh token, as the provider counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Presented {
    pub family: u64,
    pub generation: u32,
}

impl History {
    /// Every received grant with its call and the scopes asked for.
    pub(super) fn received(&self) -> impl Iterator<Item = (&Call, &Item, &Received)> {
        self.calls.iter().flat_map(|call| {
            let grants: &[Received] = match &call.end {
                End::Granted(grants) => grants,
                _ => &[],
            };
            call.items.iter().zip(grants).map(move |(item, grant)| (call, item, grant))
        })
    }

    /// Rows of this kind that allow.
    pub(super) fn allowed(&self, kind: &'static str) -> impl Iterator<Item = &Row> {
        self.log.iter().filter(move |row| row.kind == kind && row.outcome == "allowed")
    }

    /// Rows by which a token left the broker.
    pub(super) fn issued(&self) -> impl Iterator<Item = &Row> {
        self.allowed("grant.issue").chain(self.allowed("grant.redelivered"))
    }
}

impl Row {
    /// When, in microseconds since 1970; rows without a readable time are before everything.
    pub(super) fn time(&self) -> i64 {
        broker::domain::Timestamp::parse_rfc3339(self.text("/time")).map_or(0, |time| time.micros())
    }
}
