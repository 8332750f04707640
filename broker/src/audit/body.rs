//! The canonical body of an event, version 1: compact JSON, fields in the fixed order below, absent ones left out.
//!
//! The bytes written first are what is hashed and stored; nothing ever encodes an event again to verify it.

use crate::domain::{EventDraft, PolicyTrace, ScopeSet, StreamId, Timestamp};
use base64::{Engine, engine::general_purpose::STANDARD};
use std::collections::BTreeMap;

/// Bytes most bodies fit into, so that they need not grow.
const ROOM: usize = 2048;
/// The body's format.
pub const VERSION: u8 = 1;

/// Personal fields under the subject's own key (AU14).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SealedPersonal {
    /// The subject key's id.
    pub key: String,
    /// Nonce, ciphertext, tag.
    pub sealed: Vec<u8>,
}

/// Where and when a body is written, and who it is about.
pub struct Place<'a> {
    /// The stream.
    pub stream: &'a StreamId,
    /// From 1.
    pub seq: i64,
    /// UTC.
    pub time: Timestamp,
    /// The person's pseudonym, `""` = none.
    pub subject: &'a str,
    /// Sealed personal fields.
    pub personal: Option<&'a SealedPersonal>,
}

#[derive(serde::Serialize)]
struct Personal<'a> {
    key: &'a str,
    sealed: String,
}

#[derive(serde::Serialize)]
struct Body<'a> {
    v: u8,
    stream: &'a str,
    seq: i64,
    time: String,
    id: &'a str,
    kind: &'static str,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    subject: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    personal: Option<Personal<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    workload: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    approval: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consent: Option<&'a str>,
    #[serde(skip_serializing_if = "ScopeSet::is_empty")]
    scopes_asked: &'a ScopeSet,
    #[serde(skip_serializing_if = "ScopeSet::is_empty")]
    scopes_granted: &'a ScopeSet,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl_seconds: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    assertion_sha256: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    tool: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    purpose: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<&'a PolicyTrace>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grant: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    detail: &'a BTreeMap<&'static str, serde_json::Value>,
}

/// The bytes of an event.
///
/// # Panics
/// Never for a draft made of the domain's types: every map in it has text keys.
pub fn encode(draft: &EventDraft, place: &Place<'_>) -> Vec<u8> {
    let body = Body {
        v: VERSION,
        stream: place.stream.as_str(),
        seq: place.seq,
        time: place.time.rfc3339(),
        id: draft.id.as_str(),
        kind: draft.kind.as_str(),
        outcome: draft.outcome.as_str(),
        reason: draft.reason.map(crate::domain::Reason::as_str),
        tenant: draft.tenant.as_ref().map(|t| t.as_str()),
        subject: place.subject,
        personal: place.personal.map(|p| Personal { key: &p.key, sealed: STANDARD.encode(&p.sealed) }),
        workload: draft.workload.as_ref().map(|w| w.as_str()),
        client_id: draft.client_id.as_deref(),
        provider: draft.provider.as_ref().map(|p| p.as_str()),
        connection: draft.connection.as_ref().map(|c| c.as_str()),
        approval: draft.approval.as_ref().map(|a| a.as_str()),
        consent: draft.consent.as_ref().map(|c| c.as_str()),
        scopes_asked: &draft.scopes_asked,
        scopes_granted: &draft.scopes_granted,
        ttl_seconds: draft.ttl_seconds,
        expires_at: draft.expires_at.map(Timestamp::rfc3339),
        assertion_sha256: draft.assertion_sha256.as_deref(),
        tool: &draft.tool,
        purpose: &draft.purpose,
        policy: draft.policy.as_deref(),
        grant: draft.grant.as_ref().map(|g| g.as_str()),
        trace_id: draft.trace_id.as_deref(),
        detail: &draft.detail,
    };
    let mut bytes = Vec::with_capacity(ROOM);
    serde_json::to_writer(&mut bytes, &body).expect("an event's maps have text keys");
    bytes
}
