//! What an entry says: everything that storing it takes, and nothing that opens a token. Tokens are sealed as in the database.

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

/// One entry.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// What a refresh brought.
    Refresh(Refreshed),
    /// What came for a code.
    Code(Exchanged),
}

/// A sealed token. Times are microseconds since 1970, UTC.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq)]
pub struct Token {
    /// What it can do, canonical.
    pub scopes: String,
    /// The envelope, base64.
    envelope: String,
    /// When the provider stops honouring it.
    pub expires_at: Option<i64>,
    /// When it was obtained.
    pub obtained_at: i64,
}

impl Token {
    /// Of an envelope.
    pub fn new(scopes: String, envelope: &[u8], expires_at: Option<i64>, obtained_at: i64) -> Self {
        Self { scopes, envelope: BASE64.encode(envelope), expires_at, obtained_at }
    }

    /// The envelope.
    pub fn envelope(&self) -> Option<Vec<u8>> {
        BASE64.decode(self.envelope.as_bytes()).ok()
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

/// What a refresh brought.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct Refreshed {
    /// Whose tenant.
    pub tenant: String,
    /// Which connection.
    pub connection: String,
    /// Who held the lease.
    pub lease_owner: String,
    /// Its fencing epoch.
    pub lease_epoch: i64,
    /// The generation of the refresh token that was sent.
    pub sent: i64,
    /// The generation of what came.
    pub generation: i64,
    /// The access token, where it can be used.
    pub access: Option<Token>,
    /// The refresh token, where a new one came.
    pub refresh: Option<Token>,
    /// Its person has connected anew meanwhile: these tokens are nobody's any more.
    #[serde(default)]
    pub outlived: bool,
}

/// What came for a code.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct Exchanged {
    /// Which consent.
    pub consent: String,
    /// For whom, and where: what came can be given back, whatever becomes of the consent's row.
    pub party: Party,
    /// SHA-256 of the `state` that was consumed, hex: another attempt of the same consent is not this one.
    pub state_hash: String,
    /// The access token.
    pub access: Option<Token>,
    /// The refresh token.
    pub refresh: Option<Token>,
    /// What becomes of the consent.
    pub ending: Ending,
}

/// Whose consent it was.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq)]
pub struct Party {
    /// The person's tenant,
    pub tenant: String,
    /// realm
    pub realm: String,
    /// and subject claim.
    pub subject: String,
    /// The server that asked.
    pub workload: String,
    /// The provider that gave.
    pub provider: String,
}

/// Personal data: not printed.
impl std::fmt::Debug for Party {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Party(…)")
    }
}

/// What becomes of a consent.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Nobody will own the tokens: they are revoked. With the reason's code.
    Fail(String),
    /// The person is asked whether this account is right.
    Confirm {
        /// The provider's id of the account.
        account_id: String,
        /// What people call it.
        account_label: String,
    },
}

/// Personal data: not printed.
impl std::fmt::Debug for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Fail(_) => "Fail",
            Self::Confirm { .. } => "Confirm",
        })
    }
}

impl Record {
    pub(super) fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and numbers")
    }

    /// `None` for what no broker wrote.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}
