//! Reading an event back from its canonical bytes: answers are decoded from them, never from the columns (AU8).

use super::{
    body::{SealedPersonal, VERSION},
    prepare::personal_aad,
};
use crate::{
    domain::{EventId, TenantId, Timestamp},
    keys::SubjectKey,
    storage::AuditRow,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use std::collections::BTreeMap;

/// An event as it was written.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    /// The body's format.
    pub v: u8,
    /// The stream.
    pub stream: String,
    /// From 1.
    pub seq: i64,
    /// RFC 3339, microseconds, UTC.
    pub time: String,
    /// The event's id.
    pub id: String,
    /// What happened.
    pub kind: String,
    /// How it ended.
    pub outcome: String,
    /// Reason code, `""` = none.
    #[serde(default)]
    pub reason: String,
    /// Tenant, `""` = the broker's own event.
    #[serde(default)]
    pub tenant: String,
    /// The person's pseudonym, `""` = none.
    #[serde(default)]
    pub subject: String,
    /// Sealed personal fields.
    #[serde(default)]
    pub personal: Option<RecordedPersonal>,
    /// Workload, `""` = none.
    #[serde(default)]
    pub workload: String,
    /// The agent's client id.
    #[serde(default)]
    pub client_id: Option<String>,
    /// Provider, `""` = none.
    #[serde(default)]
    pub provider: String,
    /// Connection.
    #[serde(default)]
    pub connection: Option<String>,
    /// Approval.
    #[serde(default)]
    pub approval: Option<String>,
    /// Consent.
    #[serde(default)]
    pub consent: Option<String>,
    /// Scopes asked for.
    #[serde(default)]
    pub scopes_asked: Vec<String>,
    /// Scopes granted.
    #[serde(default)]
    pub scopes_granted: Vec<String>,
    /// The grant's life in seconds.
    #[serde(default)]
    pub ttl_seconds: Option<i64>,
    /// When the grant ends, RFC 3339.
    #[serde(default)]
    pub expires_at: Option<String>,
    /// SHA-256 of the assertion, hex.
    #[serde(default)]
    pub assertion_sha256: Option<String>,
    /// The tool, in the server's words.
    #[serde(default)]
    pub tool: String,
    /// The purpose, in the server's words.
    #[serde(default)]
    pub purpose: String,
    /// What policy saw and decided.
    #[serde(default)]
    pub policy: Option<serde_json::Value>,
    /// The grant it is about.
    #[serde(default)]
    pub grant: Option<String>,
    /// W3C trace id.
    #[serde(default)]
    pub trace_id: Option<String>,
    /// Further facts.
    #[serde(default)]
    pub detail: BTreeMap<String, serde_json::Value>,
}

/// Personal fields as written.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedPersonal {
    /// The subject key's id.
    pub key: String,
    /// Base64.
    pub sealed: String,
}

impl Recorded {
    /// Reads canonical bytes; `None` when they are not an event of a known version.
    pub fn read(body: &[u8]) -> Option<Self> {
        serde_json::from_slice::<Self>(body).ok().filter(|event| event.v == VERSION)
    }

    /// A text among the further facts.
    pub fn detail(&self, name: &str) -> Option<&str> {
        self.detail.get(name)?.as_str()
    }

    /// The first column of `row` that does not say what these bytes say.
    pub fn differs(&self, row: &AuditRow) -> Option<&'static str> {
        let columns = &row.columns;
        [
            ("stream", self.stream == row.stream.as_str()),
            ("seq", self.seq == row.seq),
            ("time", Timestamp::parse_rfc3339(&self.time) == Some(columns.time)),
            ("id", self.id == columns.id.as_str()),
            ("kind", self.kind == columns.kind),
            ("outcome", self.outcome == columns.outcome),
            ("reason", self.reason == columns.reason),
            ("tenant", self.tenant == columns.tenant),
            ("subject", self.subject == columns.subject),
            ("workload", self.workload == columns.workload),
            ("provider", self.provider == columns.provider),
        ]
        .into_iter()
        .find_map(|(name, same)| (!same).then_some(name))
    }

    /// The personal fields, readable with the subject's key; `None` when there are none or the key is another.
    pub fn open_personal(&self, key: &SubjectKey) -> Option<serde_json::Value> {
        let personal = self.personal.as_ref().filter(|p| p.key == key.id())?;
        let sealed =
            SealedPersonal { key: personal.key.clone(), sealed: STANDARD.decode(&personal.sealed).ok()? };
        let tenant = TenantId::parse(&self.tenant).ok()?;
        let event = EventId::parse(&self.id).ok()?;
        let plain = key.open(&personal_aad(&tenant, &self.subject, &event), &sealed.sealed)?;
        serde_json::from_slice(&plain).ok()
    }

    /// Whether this recovery record names that end.
    pub(super) fn names_end(&self, seq: i64, hash: &[u8; 32]) -> bool {
        self.detail.get("last_seq").and_then(serde_json::Value::as_i64) == Some(seq)
            && self.detail("head_hash") == Some(data_encoding::HEXLOWER.encode(hash).as_str())
    }
}
