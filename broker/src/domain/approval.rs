//! The standing permission of one workload to use one connection (CO8).

use super::{ApprovalId, Authority, Canonical, ConnectionId, ScopeSet, TenantId, Timestamp, WorkloadId};

/// Who gave an approval.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ApprovedBy {
    /// The connection's owner, on the consent page.
    User,
    /// A policy that stands in for the owner.
    Policy,
}

impl ApprovedBy {
    /// As stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Policy => "policy",
        }
    }
}

/// One workload may use one connection for some scopes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Approval {
    /// Its id.
    pub id: ApprovalId,
    /// The tenant of the connection.
    pub tenant: TenantId,
    /// Which connection.
    pub connection: ConnectionId,
    /// Which workload.
    pub workload: WorkloadId,
    /// What the workload may at most be granted.
    pub scopes: ScopeSet,
    /// Who approved.
    pub by: ApprovedBy,
    /// Whether this is the account the workload uses when it names none (GR11).
    pub default_account: bool,
    /// When it was withdrawn; `None` while it stands.
    pub withdrawn_at: Option<Timestamp>,
    /// Guards updates: every write of a covered column adds one.
    pub version: i64,
    /// The revocation epoch it was born at: only later rules hit it.
    pub born_epoch: i64,
    /// When it was given, UTC.
    pub created_at: Timestamp,
}

impl Approval {
    /// Whether it stands.
    pub fn is_active(&self) -> bool {
        self.withdrawn_at.is_none()
    }
}

impl Authority for Approval {
    const TABLE: &'static str = "approvals";

    fn covered(&self, to: &mut Canonical) {
        to.text(self.id.as_str())
            .text(self.tenant.as_str())
            .text(self.connection.as_str())
            .text(self.workload.as_str())
            .text(&self.scopes.canonical())
            .text(self.by.as_str())
            .number(i64::from(self.default_account))
            .number(self.withdrawn_at.map_or(-1, Timestamp::micros))
            .number(self.version)
            .number(self.born_epoch)
            .number(self.created_at.micros());
    }
}
