//! A new entry of `workloads`, as a value and as the lines that are written.

use crate::config::document;
use serde_json::{Map, Value, json};

/// How the new workload proves who it is.
#[derive(Clone, Debug)]
pub enum NewCredential {
    /// A static secret, by its hash.
    StaticSecret {
        /// SHA-256, 64 lower-case hex digits.
        sha256: String,
        /// RFC 3339 in UTC; `None` = no end.
        not_after: Option<String>,
    },
    /// A signed token.
    Jwt {
        /// The name of an entry of `issuers`.
        issuer: String,
        /// Its audience.
        audience: String,
        /// Its subject.
        subject: String,
    },
}

/// Whose assertions it may present.
#[derive(Clone, Debug, Default)]
pub struct NewAcceptance {
    /// The name of an entry of `issuers`.
    pub issuer: String,
    /// Audiences minted for it.
    pub audiences: Vec<String>,
    /// Its own client ids.
    pub client_ids: Vec<String>,
    /// AI clients that may obtain assertions for it.
    pub agents: Vec<String>,
}

/// A workload that is to be added.
#[derive(Clone, Debug)]
pub struct NewWorkload {
    /// Its id.
    pub id: String,
    /// Its name for people.
    pub display_name: String,
    /// How it proves who it is.
    pub credential: NewCredential,
    /// Whose assertions it may present.
    pub accepts: Option<NewAcceptance>,
    /// Its roles.
    pub roles: Vec<String>,
    /// The tenants it serves; none = all.
    pub tenants: Vec<String>,
    /// The providers it may ask for; none = all.
    pub providers: Vec<String>,
}

/// A JSON string is a YAML double-quoted scalar.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// As it is, where YAML reads it as this text: `null`, `12` and `1e3` are ids too, and it would read them as something else.
fn plain_or_quoted(id: &str) -> String {
    let plain = document::parse(&format!("id: {id}\n")).is_ok_and(|read| read["id"] == id);
    if plain { id.to_owned() } else { quoted(id) }
}

fn list(texts: &[String]) -> String {
    format!("[{}]", texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", "))
}

/// Keys and lists, leaving out those without members.
fn lists<'a>(pairs: [(&'static str, &'a [String]); 3]) -> impl Iterator<Item = (&'static str, &'a [String])> {
    pairs.into_iter().filter(|(_, texts)| !texts.is_empty())
}

impl NewCredential {
    pub(super) fn value(&self) -> Value {
        match self {
            Self::StaticSecret { sha256, not_after: None } => json!({ "static_secret_sha256": sha256 }),
            Self::StaticSecret { sha256, not_after: Some(end) } => {
                json!({ "static_secret_sha256": sha256, "not_after": end })
            }
            Self::Jwt { issuer, audience, subject } => {
                json!({ "jwt": { "issuer": issuer, "audience": audience, "subject": subject } })
            }
        }
    }

    /// Its lines, the first without the dash.
    pub(super) fn lines(&self) -> Vec<String> {
        match self {
            Self::StaticSecret { sha256, not_after } => {
                let end = not_after.iter().map(|end| format!("not_after: {}", quoted(end)));
                [format!("static_secret_sha256: {}", quoted(sha256))].into_iter().chain(end).collect()
            }
            Self::Jwt { issuer, audience, subject } => vec![
                "jwt:".to_owned(),
                format!("  issuer: {}", quoted(issuer)),
                format!("  audience: {}", quoted(audience)),
                format!("  subject: {}", quoted(subject)),
            ],
        }
    }
}

impl NewAcceptance {
    fn lists(&self) -> impl Iterator<Item = (&'static str, &[String])> {
        lists([("audiences", &self.audiences), ("client_ids", &self.client_ids), ("agents", &self.agents)])
    }
}

impl NewWorkload {
    fn lists(&self) -> impl Iterator<Item = (&'static str, &[String])> {
        lists([("roles", &self.roles), ("tenants", &self.tenants), ("providers", &self.providers)])
    }

    pub(super) fn value(&self) -> Value {
        let mut entry = Map::new();
        let mut put = |key: &str, value: Value| entry.insert(key.to_owned(), value);
        put("id", json!(self.id));
        put("display_name", json!(self.display_name));
        put("credentials", json!([self.credential.value()]));
        if let Some(accepts) = &self.accepts {
            let mut accepted = Map::from_iter([("issuer".to_owned(), json!(accepts.issuer))]);
            accepted.extend(accepts.lists().map(|(key, texts)| (key.to_owned(), json!(texts))));
            put("accepts", json!([accepted]));
        }
        for (key, texts) in self.lists() {
            put(key, json!(texts));
        }
        Value::Object(entry)
    }

    /// Its lines, the dash of the entry at column 0.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = vec![
            format!("- id: {}", plain_or_quoted(&self.id)),
            format!("  display_name: {}", quoted(&self.display_name)),
            "  credentials:".to_owned(),
        ];
        let dashed = |n: usize| if n == 0 { "    - " } else { "      " };
        let credential = self.credential.lines();
        lines.extend(credential.into_iter().enumerate().map(|(n, line)| format!("{}{line}", dashed(n))));
        if let Some(accepts) = &self.accepts {
            lines.push("  accepts:".to_owned());
            lines.push(format!("    - issuer: {}", quoted(&accepts.issuer)));
            lines.extend(accepts.lists().map(|(key, texts)| format!("      {key}: {}", list(texts))));
        }
        lines.extend(self.lists().map(|(key, texts)| format!("  {key}: {}", list(texts))));
        lines
    }
}
