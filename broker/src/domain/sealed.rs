//! Ciphertext with its purpose in its type, and the key that names one stored value.

use super::{Canonical, Owner, ProviderId, TenantId};
use std::{fmt, marker::PhantomData, sync::Arc};

mod private {
    pub trait Closed {}
}

/// Which secret a column holds. Closed: the three below are all there are.
pub trait Kind: private::Closed + Send + Sync + 'static {
    /// The column's name, bound into the AAD.
    const COLUMN: &'static str;
}

/// A token that opens the provider's API.
pub enum AccessToken {}
/// A token that obtains access tokens (RFC 6749 §1.5).
pub enum RefreshToken {}
/// The secret half of PKCE (RFC 7636).
pub enum PkceVerifier {}

impl private::Closed for AccessToken {}
impl private::Closed for RefreshToken {}
impl private::Closed for PkceVerifier {}
impl Kind for AccessToken {
    const COLUMN: &'static str = "access_token";
}
impl Kind for RefreshToken {
    const COLUMN: &'static str = "refresh_token";
}
impl Kind for PkceVerifier {
    const COLUMN: &'static str = "pkce_verifier";
}

/// The kind of a stored secret, as a value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SecretKind {
    /// See [`AccessToken`].
    Access,
    /// See [`RefreshToken`].
    Refresh,
}

impl SecretKind {
    /// As stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Refresh => "refresh",
        }
    }
}

/// A sealed value of one kind. Only the vault makes and opens one; everybody may carry it.
pub struct Sealed<K: Kind> {
    envelope: Arc<[u8]>,
    kind: PhantomData<fn() -> K>,
}

impl<K: Kind> Sealed<K> {
    /// Wraps envelope bytes, from the vault or from storage. Whether they open is decided by the vault alone.
    pub fn from_envelope(envelope: impl Into<Arc<[u8]>>) -> Self {
        Self { envelope: envelope.into(), kind: PhantomData }
    }

    /// The envelope bytes, for storage.
    pub fn envelope(&self) -> &[u8] {
        &self.envelope
    }
}

/// Whether two envelopes hold the very same sealed value, whichever key wraps its data key: rotation replaces what comes before
/// the content and nothing else. An envelope that cannot be taken apart is the same as its equal alone.
pub fn same_value(one: &[u8], other: &[u8]) -> bool {
    one == other || content(one).is_some_and(|content_of_one| content(other) == Some(content_of_one))
}

/// Commitment, nonce and ciphertext: everything behind the wrapped data key of format 1.
fn content(envelope: &[u8]) -> Option<&[u8]> {
    let [1, length, rest @ ..] = envelope else { return None };
    rest.get(usize::from(*length) + 12 + 32 + 16..).filter(|content| !content.is_empty())
}

impl<K: Kind> Clone for Sealed<K> {
    fn clone(&self) -> Self {
        Self::from_envelope(Arc::clone(&self.envelope))
    }
}

impl<K: Kind> fmt::Debug for Sealed<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed<{}>({} bytes)", K::COLUMN, self.envelope.len())
    }
}

/// Names one stored value: what a permit names, and what the AAD binds (VA2).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct RecordKey {
    /// `connection_secrets` or `consents`.
    pub table: &'static str,
    /// The row's id, with the scope key for an access token: see [`RecordKey::row_of_secret`].
    pub row: String,
    /// Who owns the value; fixes the tenant.
    pub owner: Owner,
    /// The provider the value belongs to.
    pub provider: ProviderId,
    /// The value's own generation, counted from 1.
    pub generation: i64,
}

impl RecordKey {
    /// The tenant the value lives in.
    pub fn tenant(&self) -> &TenantId {
        self.owner.tenant()
    }

    /// The row part for a connection's secret: connection id and canonical scopes (empty for a refresh token).
    pub fn row_of_secret(connection: &super::ConnectionId, scope_key: &str) -> String {
        format!("{connection}\n{scope_key}")
    }

    /// The content AAD for column `column` in envelope format `format` (VA2).
    pub fn aad(&self, format: u8, column: &str) -> Canonical {
        let mut aad = Canonical::new("broker.v1 sealed value");
        aad.bytes(&[format]).text(self.table).text(&self.row).text(column);
        self.owner.encode(&mut aad);
        aad.text(self.provider.as_str()).number(self.generation);
        aad
    }
}
