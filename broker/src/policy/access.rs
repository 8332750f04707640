//! Who may call the methods for auditors and operators (PO7).

use super::{
    cedar::{self, Principal},
    decision::Ruling,
    denial::{DEFAULT_DENY, Denial},
    engine::Policy,
};
use crate::domain::{Input, Inputs, PolicyTrace, Reason, Subject, WorkloadId};
use std::{collections::BTreeSet, sync::Arc};

/// What a method for auditors and operators does, in policy's terms.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RpcAction {
    /// Read the audit log.
    AuditRead,
    /// Look at and revoke anyone's connections.
    ConnectionsAdmin,
    /// Block, unblock and administer.
    Admin,
}

impl RpcAction {
    /// Every action.
    pub const ALL: [Self; 3] = [Self::AuditRead, Self::ConnectionsAdmin, Self::Admin];

    /// Its name in rules.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AuditRead => "auditRead",
            Self::ConnectionsAdmin => "connectionsAdmin",
            Self::Admin => "admin",
        }
    }
}

/// Who calls such a method.
#[derive(Clone, Copy, Debug)]
pub enum Caller<'a> {
    /// A person, by a verified assertion.
    Person {
        /// Who.
        subject: &'a Subject,
        /// The assertion's `iss`.
        issuer: &'a str,
        /// Their roles or groups.
        roles: &'a Arc<BTreeSet<String>>,
    },
    /// A workload, by its own credential.
    Workload {
        /// Which.
        id: &'a WorkloadId,
        /// Its configured roles.
        roles: &'a Arc<BTreeSet<String>>,
    },
}

impl Policy {
    /// Whether `caller` may do `action`.
    ///
    /// # Errors
    /// [`Denial`]: `ROLE_MISSING` when no rule allows it, `POLICY_DENIED` when one forbids it, `POLICY_ERROR` when one
    /// cannot be evaluated.
    pub fn allows(&self, caller: &Caller<'_>, action: RpcAction) -> Result<Arc<PolicyTrace>, Denial> {
        let set = self.set.load();
        let principal = match *caller {
            Caller::Person { subject, issuer, roles } => Principal::Person { subject, issuer, roles },
            Caller::Workload { id, roles } => Principal::Workload { id, roles },
        };
        let ruling = self.ruling(&set, cedar::call(&principal, action.as_str(), &set.schema));
        let trace = Arc::new(PolicyTrace {
            version: set.version().clone(),
            rules: Arc::new(ruling.rules().to_vec()),
            inputs: inputs(caller, action),
        });
        match ruling {
            Ruling::Allowed { .. } => Ok(trace),
            Ruling::Denied { rules, reason: Reason::PolicyDenied, .. } if rules == [DEFAULT_DENY] => {
                let message = format!("no rule allows this caller {}", action.as_str());
                Err(Denial::new(Reason::RoleMissing, message, &trace).by_rules(rules))
            }
            Ruling::Denied { rules, reason, message } => {
                Err(Denial::new(reason, message, &trace).by_rules(rules))
            }
        }
    }
}

fn inputs(caller: &Caller<'_>, action: RpcAction) -> Inputs {
    let mut inputs = Inputs::from_iter([("action", Input::Word(action.as_str()))]);
    let mut add = |name: &'static str, value: Input| inputs.insert(name, value);
    match *caller {
        Caller::Person { subject, issuer, roles } => {
            add("tenant", Input::Text(subject.tenant.shared()));
            add("realm", Input::Text(subject.realm.shared()));
            add("issuer", Input::Text(issuer.into()));
            add("roles", Input::Texts(roles.clone()));
        }
        Caller::Workload { id, roles } => {
            add("workload", Input::Text(id.shared()));
            add("workload_roles", Input::Texts(roles.clone()));
        }
    }
    inputs
}
