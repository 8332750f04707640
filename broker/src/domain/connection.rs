//! A stored credential at a provider, and the state of its refreshing.

use super::{
    AccessToken, Authority, Canonical, ConnectionId, Kind, Owner, ProviderId, RecordKey, RefreshToken,
    ScopeSet, SecretKind, Tagged, Timestamp, sha256,
};
use std::{sync::Arc, time::Duration};

/// The account at the provider that granted (CO11).
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// The provider's stable id for the account.
    pub id: String,
    /// What people call it, e.g. a login name.
    pub label: String,
}

/// Personal data: not printed.
impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Account(…)")
    }
}

/// Whether a connection can be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConnectionState {
    /// In use.
    Active,
    /// The provider refused the refresh token for good: the owner must connect again.
    ReauthRequired,
    /// Switched off by an administrator.
    Suspended,
    /// Ended. Its tokens are being revoked at the provider, or were.
    Revoked,
}

impl ConnectionState {
    /// As stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::ReauthRequired => "reauth_required",
            Self::Suspended => "suspended",
            Self::Revoked => "revoked",
        }
    }

    /// Reads what [`Self::as_str`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Active, Self::ReauthRequired, Self::Suspended, Self::Revoked]
            .into_iter()
            .find(|s| s.as_str() == text)
    }
}

/// One stored credential, owned by one subject or one tenant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Connection {
    /// Its id.
    pub id: ConnectionId,
    /// Who owns it.
    pub owner: Owner,
    /// The provider.
    pub provider: ProviderId,
    /// The OAuth client id that minted its tokens; only that client refreshes them (PR7).
    pub client_id: String,
    /// The account at the provider.
    pub account: Account,
    /// Whether it can be used.
    pub state: ConnectionState,
    /// What the provider really granted.
    pub scopes: ScopeSet,
    /// Guards updates: every write of a covered column adds one.
    pub version: i64,
    /// The revocation epoch it was born at: only later rules hit it.
    pub born_epoch: i64,
    /// When it was made, UTC.
    pub created_at: Timestamp,
    /// After this the provider's grant is over whatever is refreshed; `None` = no such limit.
    pub expires_at: Option<Timestamp>,
}

impl Connection {
    /// Names its refresh token of `generation`.
    pub fn refresh_key(&self, generation: i64) -> RecordKey {
        self.secret_key("", generation)
    }

    /// Names its access token for `scopes` of `generation`.
    pub fn access_key(&self, scopes: &ScopeSet, generation: i64) -> RecordKey {
        self.secret_key(&scopes.canonical(), generation)
    }

    fn secret_key(&self, scope_key: &str, generation: i64) -> RecordKey {
        RecordKey {
            table: SecretRow::TABLE,
            row: RecordKey::row_of_secret(&self.id, scope_key),
            owner: self.owner.clone(),
            provider: self.provider.clone(),
            generation,
        }
    }
}

impl Authority for Connection {
    const TABLE: &'static str = "connections";

    fn covered(&self, to: &mut Canonical) {
        to.text(self.id.as_str());
        self.owner.encode(to);
        to.text(self.provider.as_str())
            .text(&self.client_id)
            .text(&self.account.id)
            .text(&self.account.label)
            .text(self.state.as_str())
            .text(&self.scopes.canonical())
            .number(self.version)
            .number(self.born_epoch)
            .number(self.created_at.micros())
            .number(self.expires_at.map_or(-1, Timestamp::micros));
    }
}

/// How refreshing stands. Not covered by the row MAC: it confers no authority.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct RefreshState {
    /// Who holds the lease; `""` = nobody.
    pub lease_owner: String,
    /// The fencing epoch: each taken lease adds one.
    pub lease_epoch: i64,
    /// Until when the lease holds.
    pub lease_until: Option<Timestamp>,
    /// Not to be refreshed before this (RF9).
    pub cooldown_until: Option<Timestamp>,
    /// The last failure's reason code, `""` = none.
    pub last_error: String,
    /// The generation of a refresh token that was about to be sent when its holder died, as far as anybody knows.
    pub attempt_generation: Option<i64>,
    /// How many holders died so, or are still at it.
    pub attempts: i64,
    /// When this was read, on the clock that leases are counted on; `None` where that is the broker's own.
    pub read_at: Option<Timestamp>,
    /// How long the database has been up then; `None` where this process alone may write.
    pub up_for: Option<Duration>,
}

/// A connection as storage holds it.
#[derive(Clone, Debug)]
pub struct StoredConnection {
    /// The covered row.
    pub row: Tagged<Connection>,
    /// How refreshing stands.
    pub refresh: RefreshState,
    /// When a grant was last issued from it.
    pub last_used_at: Option<Timestamp>,
}

/// One sealed token of a connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SecretRow {
    /// Whose token.
    pub connection: ConnectionId,
    /// Which kind.
    pub kind: SecretKind,
    /// What the token can do. Its canonical form is the row's scope key for an access token; a refresh token has scope key "".
    pub scopes: ScopeSet,
    /// The value's own generation, counted from 1; part of its AAD.
    pub generation: i64,
    /// The envelope; clones share it.
    pub envelope: Arc<[u8]>,
    /// When the provider stops honouring it; `None` = it does not say or never does.
    pub expires_at: Option<Timestamp>,
    /// When it was obtained, UTC.
    pub obtained_at: Timestamp,
}

impl SecretRow {
    /// The scope key under which it is stored.
    pub fn scope_key(&self) -> String {
        match self.kind {
            SecretKind::Access => self.scopes.canonical(),
            SecretKind::Refresh => String::new(),
        }
    }

    /// The column its AAD names.
    pub fn column(&self) -> &'static str {
        match self.kind {
            SecretKind::Access => AccessToken::COLUMN,
            SecretKind::Refresh => RefreshToken::COLUMN,
        }
    }
}

impl Authority for SecretRow {
    const TABLE: &'static str = "connection_secrets";

    fn covered(&self, to: &mut Canonical) {
        to.text(self.connection.as_str())
            .text(self.kind.as_str())
            .text(&self.scopes.canonical())
            .number(self.generation)
            .bytes(&sha256(&self.envelope))
            .number(self.expires_at.map_or(-1, Timestamp::micros))
            .number(self.obtained_at.micros());
    }
}
