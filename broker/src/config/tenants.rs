//! `tenants`: who is kept apart from whom.

use super::check::Check;
use crate::domain::TenantId;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeSet;

/// One tenant.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTenant {
    /// Its id: 1 to 63 of a-z, 0-9, '-', '_' and '.'. Never change it: it is part of what is sealed.
    pub(super) id: String,
    /// Its name for people.
    display_name: String,
}

/// One tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// Its name for people.
    pub display_name: String,
}

pub(super) fn check(raw: &[RawTenant], check: &mut Check<'_>) -> Vec<Tenant> {
    let mut seen = BTreeSet::new();
    let mut tenants = Vec::new();
    for (n, tenant) in raw.iter().enumerate() {
        let path = format!("tenants[{n}]");
        let display_name = check.words(&format!("{path}.display_name"), &tenant.display_name);
        let id_path = format!("{path}.id");
        let Some(id) = check.parse(&id_path, TenantId::parse(&tenant.id)) else { continue };
        if !seen.insert(id.clone()) {
            check.problem(&id_path, "is used twice");
        }
        tenants.push(Tenant { id, display_name });
    }
    tenants
}
