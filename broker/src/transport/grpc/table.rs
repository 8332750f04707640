//! The gate table: one row per RPC. A method without a row is refused, and a test compares the rows with the contract.

use crate::usecase::{Pace, bucket::Rate};

/// Who may call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Who {
    /// Anybody who reaches the listener.
    Anyone,
    /// A declared workload, by its own credential.
    Workload,
    /// A declared workload, or a person by an assertion in the message; policy decides about the role.
    WorkloadOrPerson,
}

/// How often one caller may call. Counted by credential, before any signature is checked; a person by who they are, after it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Limit {
    /// No limit of its own.
    None,
    /// A token bucket per caller.
    PerCaller(Rate),
}

/// One RPC.
#[derive(Clone, Copy, Debug)]
pub struct GateRow {
    /// The HTTP/2 path.
    pub method: &'static str,
    /// Its name for policy and the log.
    pub action: &'static str,
    /// Who may call.
    pub who: Who,
    /// How often.
    pub limit: Limit,
}

const fn row(method: &'static str, action: &'static str, who: Who, limit: Limit) -> GateRow {
    GateRow { method, action, who, limit }
}

/// The hot path is bounded by the audit writer's queue, not by a rate of its own.
const GRANTS: Limit = Limit::None;
const READS: Limit = Limit::PerCaller(Rate { per_second: 200, burst: 400 });
const CHANGES: Limit = Limit::PerCaller(Rate { per_second: 20, burst: 40 });

/// Those without a credential at an address, at one method: behind a NAT that is everybody, and a stranger among them must not slow a
/// person down who blocks somebody. A bad assertion costs its turn at the signatures and no row.
pub const STRANGERS: Rate = Rate { per_second: 1000, burst: 2000 };

/// Every RPC that is served.
pub const GATE: &[GateRow] = &[
    row("/broker.v1.GrantService/IssueGrant", "grant.issue", Who::Workload, GRANTS),
    row("/broker.v1.GrantService/BatchIssueGrants", "grant.batch_issue", Who::Workload, GRANTS),
    row("/broker.v1.ConsentService/GetConsent", "consent.get", Who::Workload, READS),
    row("/broker.v1.ConsentService/WatchConsent", "consent.watch", Who::Workload, CHANGES),
    row("/broker.v1.ConnectionService/ListConnections", "connection.list", Who::WorkloadOrPerson, READS),
    row("/broker.v1.ConnectionService/GetConnection", "connection.get", Who::WorkloadOrPerson, READS),
    row("/broker.v1.ConnectionService/RevokeConnection", "connection.revoke", Who::WorkloadOrPerson, CHANGES),
    row("/broker.v1.ConnectionService/WithdrawApproval", "approval.withdraw", Who::Workload, CHANGES),
    row("/broker.v1.AuditService/ListAuditEvents", "audit.list", Who::WorkloadOrPerson, READS),
    row("/broker.v1.AdminService/Block", "admin.block", Who::WorkloadOrPerson, CHANGES),
    row("/broker.v1.AdminService/Unblock", "admin.unblock", Who::WorkloadOrPerson, CHANGES),
    row("/grpc.health.v1.Health/Check", "health.check", Who::Anyone, Limit::None),
    row("/grpc.health.v1.Health/Watch", "health.watch", Who::Anyone, Limit::None),
    row(
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "reflection.info",
        Who::Anyone,
        Limit::None,
    ),
];

impl GateRow {
    /// How often one person may call.
    pub fn pace(&self) -> Option<Pace> {
        match self.limit {
            Limit::PerCaller(rate) => Some(Pace { of: self.method, rate }),
            Limit::None => None,
        }
    }

    /// Whether the caller sends a stream of messages, which begins to be answered before it is whole.
    pub fn is_streamed(&self) -> bool {
        self.action == "reflection.info"
    }
}

/// The row of a method.
pub fn find(method: &str) -> Option<&'static GateRow> {
    GATE.iter().find(|row| row.method == method)
}
