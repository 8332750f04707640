use super::{alice, policy};
use crate::{
    domain::{Reason, WorkloadId},
    policy::{Caller, RpcAction, STARTER},
};
use std::{collections::BTreeSet, sync::Arc};

/// Proves: PO7
#[test]
fn po7_methods_for_auditors_and_operators_need_a_role_that_a_rule_names() {
    let policy = policy(STARTER);
    let subject = alice();
    let allowed = |role: &str, action| {
        let roles = BTreeSet::from([role.to_owned()]).into();
        let caller = Caller::Person { subject: &subject, issuer: "https://sso.example", roles: &roles };
        policy.allows(&caller, action).is_ok()
    };
    for action in RpcAction::ALL {
        assert!(allowed("broker-admin", action), "{action:?}");
        assert_eq!(allowed("broker-auditor", action), action == RpcAction::AuditRead, "{action:?}");
        assert!(!allowed("engineering", action), "{action:?}");
    }
    let id = WorkloadId::parse("notes-server").unwrap();
    let roles = BTreeSet::from(["broker-admin".to_owned()]).into();
    let denial = policy.allows(&Caller::Workload { id: &id, roles: &roles }, RpcAction::Admin).unwrap_err();
    assert_eq!(denial.reason, Reason::RoleMissing);
}

#[test]
fn a_forbid_on_a_method_is_policy_denied_and_a_workload_can_be_allowed() {
    let policy = policy(
        "@id(\"scraper\") permit (principal == Broker::Workload::\"siem\", action == Broker::Action::\"auditRead\", resource);
         @id(\"nobody\") @reason(\"Frozen.\") forbid (principal, action == Broker::Action::\"admin\", resource);",
    );
    let (id, roles) = (WorkloadId::parse("siem").unwrap(), Arc::default());
    let caller = Caller::Workload { id: &id, roles: &roles };
    let trace = policy.allows(&caller, RpcAction::AuditRead).unwrap();
    assert_eq!(*trace.rules, ["scraper"]);
    assert_eq!(*trace.version, policy.version());
    let denial = policy.allows(&caller, RpcAction::Admin).unwrap_err();
    assert_eq!((denial.reason, denial.message.as_str()), (Reason::PolicyDenied, "Frozen."));
}
