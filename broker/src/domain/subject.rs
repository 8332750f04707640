//! Whom a call acts for, and who owns a connection.

use super::{Canonical, RealmId, TenantId};
use std::fmt;

/// A user: the subject claim, as mapped by its issuer, inside a realm inside a tenant.
///
/// Compared byte for byte, never folded or normalised, never an e-mail address standing in for a subject.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject {
    /// The isolation boundary.
    pub tenant: TenantId,
    /// The operator-named set of issuers that name this person the same way.
    pub realm: RealmId,
    /// The mapped subject claim, 1 to 255 bytes.
    pub id: String,
}

impl Subject {
    /// Longest subject claim, in bytes (OpenID Connect Core §2 limits `sub` to 255 ASCII characters).
    pub const MAX_LENGTH: usize = 255;

    /// Appends this subject to an encoding.
    pub fn encode(&self, to: &mut Canonical) {
        to.text(self.tenant.as_str()).text(self.realm.as_str()).text(&self.id);
    }
}

/// Personal data: never printed, so that no log line names a person by accident.
impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subject({}/{}/…)", self.tenant, self.realm)
    }
}

/// Who owns a connection.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Owner {
    /// A person.
    Subject(Subject),
    /// Everyone in the tenant: a shared credential.
    Tenant(TenantId),
}

impl Owner {
    /// The tenant the connection lives in.
    pub fn tenant(&self) -> &TenantId {
        match self {
            Self::Subject(subject) => &subject.tenant,
            Self::Tenant(tenant) => tenant,
        }
    }

    /// `subject` or `tenant`, as stored.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Subject(_) => "subject",
            Self::Tenant(_) => "tenant",
        }
    }

    /// The realm, or `""` for a tenant's own.
    pub fn realm(&self) -> &str {
        match self {
            Self::Subject(subject) => subject.realm.as_str(),
            Self::Tenant(_) => "",
        }
    }

    /// The subject claim, or `""` for a tenant's own.
    pub fn subject_id(&self) -> &str {
        match self {
            Self::Subject(subject) => &subject.id,
            Self::Tenant(_) => "",
        }
    }

    /// Whether this is exactly that person.
    pub fn is(&self, subject: &Subject) -> bool {
        matches!(self, Self::Subject(owner) if owner == subject)
    }

    /// Appends this owner to an encoding.
    pub fn encode(&self, to: &mut Canonical) {
        to.text(self.kind()).text(self.tenant().as_str()).text(self.realm()).text(self.subject_id());
    }
}
