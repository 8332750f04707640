//! `operators`: how auditors and administrators prove who they are when they call.

use super::check::Check;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeSet;

/// Assertions with which people may call the methods for auditors and operators.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawOperator {
    /// The name of an entry of `issuers`.
    issuer: String,
    /// The broker's own audience at this issuer; no workload's.
    audience: String,
    /// The OAuth clients, such as a command line tool, through which people sign in for this. Empty = any.
    #[serde(default)]
    client_ids: Vec<String>,
}

/// People of one issuer who may call; what they may do is policy's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorAccess {
    /// The issuer's configured name.
    pub issuer: String,
    /// The broker's own audience there.
    pub audience: String,
    /// The clients; empty = any.
    pub client_ids: Vec<String>,
}

pub(super) fn check(
    raw: &[RawOperator],
    issuers: Option<&BTreeSet<String>>,
    check: &mut Check<'_>,
) -> Vec<OperatorAccess> {
    let mut seen = BTreeSet::new();
    let mut result = Vec::new();
    for (n, operator) in raw.iter().enumerate() {
        let path = format!("operators[{n}]");
        let issuer_path = format!("{path}.issuer");
        if issuers.is_some_and(|known| !known.contains(&operator.issuer)) {
            check.problem(&issuer_path, "names no entry of issuers");
        }
        if !seen.insert(operator.issuer.clone()) {
            check.problem(&issuer_path, "is used twice");
        }
        let audience = check.text(&format!("{path}.audience"), &operator.audience, 512);
        let client_ids = operator.client_ids.iter().enumerate();
        let client_ids =
            client_ids.map(|(m, id)| check.text(&format!("{path}.client_ids[{m}]"), id, 512)).collect();
        result.push(OperatorAccess { issuer: operator.issuer.clone(), audience, client_ids });
    }
    result
}
