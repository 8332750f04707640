//! Permits for the broker's own work: refreshing, redeeming a code, revoking at the provider.

use super::{
    cedar::{self, Held},
    decision::Ruling,
    denial::Denial,
    engine::Policy,
    permit::{ExchangeCode, Facts, Permit, Purpose, Refresh, RevokeAtProvider},
    verdict::Verdict,
};
use crate::domain::{
    AccessToken, Connection, ConnectionState, Consent, ConsentState, Input, Kind, PolicyTrace, Reason,
    RecordKey, RefreshToken, SecretKind, SecretRow,
};
use std::sync::Arc;

/// Why a connection is refreshed.
#[derive(Clone, Copy, Debug)]
pub enum Grounds<'a> {
    /// A grant that policy allows waits for a fresh access token.
    Issuance(&'a Verdict),
    /// The connection is in use and its token ends soon.
    KeepAlive,
}

impl Policy {
    /// The permit to obtain a fresh access token with the refresh token in `refresh_secret`.
    ///
    /// # Errors
    /// [`Denial`] when the connection is not active, the secret is not its refresh token, the verdict is about
    /// somebody else or allows nothing, or a rule forbids the broker's `keepAlive`.
    pub fn refresh(
        &self,
        connection: &Connection,
        refresh_secret: &SecretRow,
        grounds: Grounds<'_>,
    ) -> Result<Permit<Refresh>, Denial> {
        let trace = match grounds {
            Grounds::Issuance(verdict) => issuance(verdict, connection)?,
            Grounds::KeepAlive => self.work("keepAlive", Held::Connection(connection))?,
        };
        if connection.state != ConnectionState::Active {
            return Err(Denial::new(Reason::Revoked, "the connection is not active", &trace));
        }
        if refresh_secret.connection != connection.id || refresh_secret.kind != SecretKind::Refresh {
            return Err(Denial::new(Reason::NotFound, "there is no such refresh token", &trace));
        }
        Ok(permit(connection.refresh_key(refresh_secret.generation), trace))
    }

    /// The permit to redeem the authorization code of `consent` with its PKCE verifier.
    ///
    /// # Errors
    /// [`Denial`] when its user has not approved it or it is past that, or a rule forbids `exchangeCode`.
    pub fn exchange_code(&self, consent: &Consent) -> Result<Permit<ExchangeCode>, Denial> {
        let trace = self.work("exchangeCode", Held::Consent(consent))?;
        match consent.state {
            ConsentState::Approved { .. } | ConsentState::Exchanging { .. } => {
                Ok(permit(consent.record_key(), trace))
            }
            _ => Err(Denial::new(Reason::Conflict, "the consent is not waiting for a code", &trace)),
        }
    }

    /// The permit to revoke a connection's token at its provider, in whatever state the connection is.
    ///
    /// # Errors
    /// [`Denial`] when the secret is not this connection's or not of kind `K`, or a rule forbids `revoke`.
    pub fn revoke_at_provider<K: Kind>(
        &self,
        connection: &Connection,
        secret: &SecretRow,
    ) -> Result<Permit<RevokeAtProvider<K>>, Denial> {
        let trace = self.work("revoke", Held::Connection(connection))?;
        if secret.connection != connection.id || secret.column() != K::COLUMN {
            return Err(Denial::new(Reason::NotFound, "there is no such token", &trace));
        }
        let key = match secret.kind {
            SecretKind::Access => connection.access_key(&secret.scopes, secret.generation),
            SecretKind::Refresh => connection.refresh_key(secret.generation),
        };
        Ok(permit(key, trace))
    }

    /// The permit to revoke a token that was obtained for `consent` and will not become a connection's.
    ///
    /// # Errors
    /// [`Denial`] when the consent cannot hold one, `K` is not a token, or a rule forbids `revoke`.
    pub fn revoke_waiting<K: Kind>(&self, consent: &Consent) -> Result<Permit<RevokeAtProvider<K>>, Denial> {
        let trace = self.work("revoke", Held::Consent(consent))?;
        let is_token = K::COLUMN == AccessToken::COLUMN || K::COLUMN == RefreshToken::COLUMN;
        let holds_none = match consent.state {
            ConsentState::Pending | ConsentState::Approved { .. } => true,
            // What it obtained is the connection's; what it replaced is to end.
            ConsentState::Completed { .. } => consent.leftover.is_empty(),
            _ => false,
        };
        if holds_none || !is_token {
            return Err(Denial::new(Reason::NotFound, "the consent holds no such token", &trace));
        }
        Ok(permit(consent.record_key(), trace))
    }

    fn work(&self, action: &'static str, held: Held<'_>) -> Result<Arc<PolicyTrace>, Denial> {
        let set = self.set.load();
        let ruling = self.ruling(&set, cedar::work(action, held, &set.schema));
        let owner = held.owner();
        let inputs = [
            ("action", Input::Word(action)),
            ("actor", Input::Word("broker")),
            ("tenant", Input::Text(owner.tenant().shared())),
            ("owner", Input::Word(owner.kind())),
            ("provider", Input::Text(held.provider().into())),
            ("resource", Input::Text(held.id().into())),
        ];
        let trace = Arc::new(PolicyTrace {
            version: set.version().clone(),
            rules: Arc::new(ruling.rules().to_vec()),
            inputs: inputs.into_iter().collect(),
        });
        match ruling {
            Ruling::Allowed { .. } => Ok(trace),
            Ruling::Denied { rules, reason, message } => {
                Err(Denial::new(reason, message, &trace).by_rules(rules))
            }
        }
    }
}

fn issuance(verdict: &Verdict, connection: &Connection) -> Result<Arc<PolicyTrace>, Denial> {
    if let Some(denial) = verdict.denial() {
        return Err(denial);
    }
    if connection.provider != verdict.provider || !connection.owner.is(&verdict.subject) {
        return Err(Denial::new(Reason::NotFound, "there is no such connection", verdict.trace()));
    }
    Ok(Arc::clone(verdict.trace()))
}

fn permit<P: Purpose>(key: RecordKey, trace: Arc<PolicyTrace>) -> Permit<P> {
    Permit::new(key, Facts { policy: Some(trace), ..Facts::default() })
}
