//! The provider sends the browser back: check who, where and what, redeem the code, keep the tokens sealed (CO2–CO5, CO10).

use super::{
    Rooms, Visitor, expire, own, replaced,
    settle_consent::{self, Came, Next, seal_all, settle_kept, unwanted},
};
use crate::{
    audit::Deadline,
    connection::spool::Slot,
    consent::words,
    crash::crash_point,
    domain::{
        Consent, ConsentState, Entry, EventKind, Outcome, PkceVerifier, ProviderId, ProviderSpec, Reason,
        Refusal, Sealed, SecretString, Write,
        consent::{Leftover, Obtained},
        sha256,
    },
    policy::{ExchangeCode, Permit},
    provider::{ProviderError, TokenSet, WORST_CASE},
    vault::Sealer,
};
use std::{sync::Arc, time::Duration};

/// How long a code is being exchanged at most: two calls, and what the rest may take. Its process dead, a consent ends after
/// this, and its person can begin anew. Tokens that come later all the same are revoked.
const EXCHANGE: Duration = WORST_CASE.saturating_mul(2).saturating_add(Duration::from_secs(30));

/// The callback's parameters, unverified.
pub struct Callback {
    /// `state`.
    pub state: String,
    /// `code`.
    pub code: Option<SecretString>,
    /// `iss` (RFC 9207).
    pub iss: Option<String>,
    /// `error`.
    pub error: Option<String>,
}

/// What the visitor is shown next.
#[derive(Debug, PartialEq, Eq)]
pub enum Finished {
    /// The consent's own page says how it stands.
    SeeConsent(String),
    /// It is somebody else's consent: nothing is revealed, nothing stored.
    SomebodyElses,
    /// It began in another browser: nothing is stored, it can be begun again from the link (CO3).
    OtherBrowser,
}

/// Takes a callback.
///
/// # Errors
/// [`Reason::NotFound`] for a state nobody made; the store's and the audit log's.
pub async fn finish_consent(
    rooms: &Arc<Rooms>,
    visitor: &Visitor,
    provider: &ProviderId,
    callback: Callback,
) -> Result<Finished, Refusal> {
    let spec = rooms.provider(provider)?;
    let state_hash = sha256(callback.state.as_bytes());
    let found = rooms.store.consents.by_state(&state_hash).await?;
    let found = found.ok_or_else(|| Refusal::new(Reason::NotFound))?.check(&rooms.row_key())?;
    // One redirect URI per provider: a code of one provider never reaches another's token endpoint (mix-up).
    if found.provider != *provider {
        return Err(Refusal::new(Reason::NotFound));
    }
    let Some((consent, epoch)) = own(rooms, visitor, found).await? else {
        return Ok(Finished::SomebodyElses);
    };
    if consent.state.browser_hash().is_some_and(|hash| Some(*hash) != visitor.browser_hash) {
        return Ok(Finished::OtherBrowser);
    }
    let see = Finished::SeeConsent(rooms.keys.consent_handle(&consent.id));
    // A reload, a double click or a replay: the state is spent, the page shows the outcome.
    if !matches!(consent.state, ConsentState::Approved { .. }) {
        return Ok(see);
    }
    if crate::provider::check_iss(spec, callback.iss.as_deref()).is_err() {
        fail(rooms, visitor, consent, Reason::ConsentIssuerMismatch, None).await?;
        return Ok(see);
    }
    if let Some(error) = callback.error {
        let reason =
            if error == "access_denied" { Reason::ConsentDeclined } else { Reason::ProviderUnavailable };
        fail(rooms, visitor, consent, reason, Some(&error)).await?;
        return Ok(see);
    }
    let Some(code) = callback.code else {
        fail(rooms, visitor, consent, Reason::ProviderUnavailable, None).await?;
        return Ok(see);
    };
    // Detached: a browser that goes away must not lose what the provider gives for a single-use code.
    let detached = rooms.detached.clone();
    let (rooms, visitor, spec) = (Arc::clone(rooms), visitor.clone(), spec.clone());
    let task = detached.spawn(async move { redeem(&rooms, &visitor, &spec, consent, epoch, code).await });
    task.await.map_err(|e| Refusal::new(Reason::Internal).caused_by(e))??;
    Ok(see)
}

/// Consumes the state and records the intent in one commit; then, and only then, opens the verifier and calls.
async fn redeem(
    rooms: &Rooms,
    visitor: &Visitor,
    spec: &ProviderSpec,
    consent: Consent,
    epoch: i64,
    code: SecretString,
) -> Result<(), Refusal> {
    // What is needed to keep what comes is at hand before the code is spent (RF5).
    let sealer = rooms.vault.sealer(&consent.subject.tenant).await?;
    let slot = rooms.tokens.spool().reserve().await?;
    let permit: Permit<ExchangeCode> = rooms.policy.exchange_code(&consent)?;
    let names = visitor.names(&consent);
    let draft = visitor.draft_about(rooms, EventKind::ConsentExchange, Outcome::Allowed, &consent);
    let expected_version = consent.version;
    let (exchanging, verifier) = consent.exchange(rooms.clock.now().plus(EXCHANGE))?;
    let effect =
        vec![Write::UpdateConsent { row: rooms.row_key().tag(exchanging.clone()), expected_version }];
    let entry = Entry { names, epoch, effect, ..Entry::note(draft) };
    let proof = match rooms.audit.record(permit, entry, visitor.call.deadline).await {
        Ok(proof) => proof,
        // The same callback twice at once: the other one goes on. A stranger's visit at this very moment: again.
        Err(crate::audit::Refused::NotApplied) => {
            let now = expire::reread(rooms, &exchanging.id).await?;
            let still = matches!(now.state, ConsentState::Approved { .. })
                && now.state.state_hash() == exchanging.state.state_hash();
            return if still {
                Box::pin(redeem(rooms, visitor, spec, now, epoch, code)).await
            } else {
                Ok(())
            };
        }
        Err(refused) => return Err(refused.into()),
    };
    crash_point!(rooms.points, "code.after_intent");
    // Between the answer and the spool the tokens exist in this process alone: where it dies in between, nobody knows them, and they end
    // by themselves at the provider. Nothing can be written down before there is something to write.
    let answer = exchange(rooms, spec, &exchanging, proof, &verifier, code).await;
    crash_point!(rooms.points, "code.response_read");
    match answer {
        Ok(set) => keep(rooms, visitor, spec, exchanging, set, &sealer, slot).await,
        Err(Unexchanged { refusal, refresh, access }) => {
            tracing::warn!(provider = %spec.id, error = ?refusal, "a code could not be exchanged");
            if refresh.is_none() && access.is_none() {
                return fail(rooms, visitor, exchanging, refusal.reason, None).await;
            }
            let leftover = seal_all(&sealer, &exchanging, refresh.as_ref(), access.as_ref())?;
            unwanted(rooms, visitor, exchanging, leftover, refusal.reason, slot).await
        }
    }
}

/// Why there is no token set, and the tokens that came all the same.
struct Unexchanged {
    refusal: Refusal,
    refresh: Option<SecretString>,
    access: Option<SecretString>,
}

impl<E: Into<Refusal>> From<E> for Unexchanged {
    fn from(error: E) -> Self {
        Self { refusal: error.into(), refresh: None, access: None }
    }
}

async fn exchange(
    rooms: &Rooms,
    spec: &ProviderSpec,
    consent: &Consent,
    proof: crate::audit::Audited<Permit<ExchangeCode>>,
    verifier: &Sealed<PkceVerifier>,
    code: SecretString,
) -> Result<TokenSet, Unexchanged> {
    let verifier = rooms.vault.open(proof, verifier).await?;
    let redirect_uri = rooms.redirect_uri(&spec.id);
    let answer =
        rooms.engine.exchange_code(spec, code, &redirect_uri, verifier, &consent.provider_scopes).await;
    answer.map_err(|error| {
        let (refresh, access) = match &error {
            ProviderError::Protocol { rescued, unusable, .. } => (rescued.clone(), unusable.clone()),
            _ => (None, None),
        };
        Unexchanged { refusal: error.into(), refresh, access }
    })
}

/// Seals what was obtained before looking at anything else, then asks the provider whose it is.
async fn keep(
    rooms: &Rooms,
    visitor: &Visitor,
    spec: &ProviderSpec,
    consent: Consent,
    set: TokenSet,
    sealer: &Sealer,
    mut slot: Slot,
) -> Result<(), Refusal> {
    let granted = set.scopes.minus(&spec.technical_scopes);
    let leftover = seal_all(sealer, &consent, set.refresh.as_ref(), Some(&set.access))?;
    // Should this process die before the account is known, what came is revoked.
    let nobodys = Came { leftover: leftover.clone(), next: Next::Fail(Reason::ProviderUnavailable) };
    settle_consent::keep(rooms, &mut slot, &consent, &nobodys).await;
    crash_point!(rooms.points, "code.spooled");
    let account = match rooms.engine.account(spec, &consent.subject.tenant, &set.access).await {
        Ok(account) => account,
        Err(error) => {
            return unwanted(rooms, visitor, consent, leftover, Refusal::from(error).reason, slot).await;
        }
    };
    let Leftover { refresh, access: Some(access) } = leftover.clone() else {
        return Err(Refusal::new(Reason::Internal));
    };
    // Where this cannot be read, what came is still kept: the tokens are nowhere else, and the confirmation looks again.
    let holds_more = replaced::holds_more(rooms, &consent, &account, &granted).await.unwrap_or(false);
    if holds_more || consent.scopes.intersection(&granted).is_empty() {
        return unwanted(rooms, visitor, consent, leftover, Reason::ConsentScopesReduced, slot).await;
    }
    let mut draft = visitor.draft_about(rooms, EventKind::ConsentObtained, Outcome::Allowed, &consent);
    draft.scopes_granted = granted.clone();
    draft.personal.account_label = Some(account.label.clone());
    draft.personal.account_id = Some(account.id.clone());
    draft.detail.insert("refresh_token", refresh.is_some().into());
    draft.detail.insert("fewer_scopes", (!consent.scopes.is_subset(&granted)).into());
    draft.detail.insert("wider_scopes", (!granted.is_subset(&consent.provider_scopes)).into());
    let obtained =
        Obtained { account, scopes: granted, refresh, access, access_expires_at: set.access_expires_at };
    let came = Came { leftover, next: Next::Confirm(Box::new(obtained)) };
    settle_kept(rooms, consent, came, draft, slot).await
}

async fn fail(
    rooms: &Rooms,
    visitor: &Visitor,
    consent: Consent,
    reason: Reason,
    provider_error: Option<&str>,
) -> Result<(), Refusal> {
    let declined = reason == Reason::ConsentDeclined;
    let kind = if declined { EventKind::ConsentDeclined } else { EventKind::ConsentFailed };
    let mut draft = visitor.draft_about(rooms, kind, Outcome::Failed, &consent);
    draft.reason = Some(reason);
    if let Some(error) = provider_error {
        draft.detail.insert("provider_error", words::tamed(error).into());
    }
    let expected_version = consent.version;
    let next = if declined { consent.decline()? } else { consent.fail(reason)? };
    let effect = vec![Write::UpdateConsent { row: rooms.row_key().tag(next), expected_version }];
    match rooms.audit.note(Entry { effect, ..Entry::note(draft) }, Deadline::none()).await {
        // Moved on by somebody else meanwhile (expired, declined): that outcome stands.
        Ok(_) | Err(crate::audit::Refused::NotApplied) => Ok(()),
        Err(refused) => Err(refused.into()),
    }
}
