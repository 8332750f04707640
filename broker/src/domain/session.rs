//! A person's signed-in session on the pages (CO16).

use super::{Authority, Canonical, RealmId, Subject, TenantId, Timestamp};

/// One signed-in browser.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WebSession {
    /// SHA-256 of the session cookie's value; the value itself is only in the browser.
    pub id_hash: [u8; 32],
    /// Who signed in.
    pub subject: Subject,
    /// What the pages call them.
    pub label: String,
    /// The issuer that vouched.
    pub issuer: String,
    /// The IdP's session id (`sid`), `""` = none given.
    pub sid: String,
    /// When they signed in, UTC.
    pub created_at: Timestamp,
    /// Over at this time whatever happens (absolute limit), UTC.
    pub expires_at: Timestamp,
    /// Guards updates.
    pub version: i64,
    /// Ended by sign-out or logout.
    pub ended: bool,
    /// Last request, UTC. Not covered: it only shortens a session's life.
    pub last_seen_at: Timestamp,
}

impl Authority for WebSession {
    const TABLE: &'static str = "web_sessions";

    fn covered(&self, to: &mut Canonical) {
        to.bytes(&self.id_hash);
        self.subject.encode(to);
        to.text(&self.label)
            .text(&self.issuer)
            .text(&self.sid)
            .number(self.created_at.micros())
            .number(self.expires_at.micros())
            .number(self.version)
            .number(i64::from(self.ended));
    }
}

/// Which sessions an identity provider has ended (OpenID Connect Back-Channel Logout 1.0).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogoutNames {
    /// Of this tenant alone.
    pub tenant: TenantId,
    /// Of this realm alone.
    pub realm: RealmId,
    /// Those that this issuer vouched for (`iss`).
    pub issuer: String,
    /// Whose.
    pub who: LoggedOut,
}

/// Whose session, or which.
#[derive(Clone, PartialEq, Eq)]
pub enum LoggedOut {
    /// The sessions that began from one session at the identity provider.
    Session {
        /// Its id there, not empty.
        sid: String,
        /// Only where it is this person's.
        subject: Option<String>,
    },
    /// Every session of a person.
    Person {
        /// The subject id.
        subject: String,
    },
}

/// Personal data: not printed.
impl std::fmt::Debug for LoggedOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Session { .. } => "Session(…)",
            Self::Person { .. } => "Person(…)",
        })
    }
}
