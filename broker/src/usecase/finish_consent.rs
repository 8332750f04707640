//! The provider sends the browser back: check who, where and what, redeem the code, keep the tokens sealed (CO2–CO5, CO10).

use super::{Rooms, Visitor, expire, own, request::sha256};
use crate::{
    audit::Deadline,
    consent::words,
    domain::{
        AccessToken, Consent, ConsentState, Entry, EventDraft, EventId, EventKind, Kind, Outcome,
        PkceVerifier, ProviderId, ProviderSpec, Reason, RecordKey, RefreshToken, Refusal, Sealed,
        SecretString, Write, consent::Obtained,
    },
    policy::{ExchangeCode, Permit},
    provider::TokenSet,
};
use std::{sync::Arc, time::Duration};

/// How long storing what a provider gave is tried.
const PATIENCE: Duration = Duration::from_secs(60);

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
    let permit: Permit<ExchangeCode> = rooms.policy.exchange_code(&consent)?;
    let names = visitor.names(&consent);
    let draft = visitor.draft_about(rooms, EventKind::ConsentExchange, Outcome::Allowed, &consent);
    let expected_version = consent.version;
    let (exchanging, verifier) = consent.exchange()?;
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
    let outcome = exchange(rooms, spec, &exchanging, proof, &verifier, code).await;
    match outcome {
        Ok(set) => keep(rooms, visitor, spec, exchanging, set).await,
        Err(refusal) => {
            tracing::warn!(provider = %spec.id, error = ?refusal, "a code could not be exchanged");
            fail(rooms, visitor, exchanging, refusal.reason, None).await
        }
    }
}

async fn exchange(
    rooms: &Rooms,
    spec: &ProviderSpec,
    consent: &Consent,
    proof: crate::audit::Audited<Permit<ExchangeCode>>,
    verifier: &Sealed<PkceVerifier>,
    code: SecretString,
) -> Result<TokenSet, Refusal> {
    let verifier = rooms.vault.open(proof, verifier).await?;
    let redirect_uri = rooms.redirect_uri(&spec.id);
    Ok(rooms.engine.exchange_code(spec, code, &redirect_uri, verifier, &consent.provider_scopes).await?)
}

/// Seals what was obtained before looking at anything else, then asks the provider whose it is.
async fn keep(
    rooms: &Rooms,
    visitor: &Visitor,
    spec: &ProviderSpec,
    consent: Consent,
    set: TokenSet,
) -> Result<(), Refusal> {
    let key = consent.record_key();
    let granted = set.scopes.minus(&spec.technical_scopes);
    let access = seal::<AccessToken>(rooms, &key, set.access.clone()).await?;
    let refresh = match set.refresh {
        Some(token) => Some(seal::<RefreshToken>(rooms, &key, token).await?),
        None => None,
    };
    let account = match rooms.engine.account(spec, &set.access).await {
        Ok(account) => account,
        Err(error) => {
            let refusal = Refusal::from(error);
            super::revoke_sealed(rooms, &visitor.call, &consent, refresh.as_ref(), &access).await;
            return fail(rooms, visitor, consent, refusal.reason, None).await;
        }
    };
    let useful = consent.scopes.intersection(&granted);
    if useful.is_empty() {
        super::revoke_sealed(rooms, &visitor.call, &consent, refresh.as_ref(), &access).await;
        return fail(rooms, visitor, consent, Reason::ConsentScopesReduced, None).await;
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
    settle(rooms, visitor, consent, obtained, draft).await
}

/// Seals what came for a code that is spent: a key that cannot be had right now is waited for.
async fn seal<K: Kind>(rooms: &Rooms, key: &RecordKey, token: SecretString) -> Result<Sealed<K>, Refusal> {
    let until = rooms.clock.now().plus(PATIENCE);
    loop {
        let refusal = match rooms.vault.seal::<K>(key, token.clone()).await {
            Ok(sealed) => return Ok(sealed),
            Err(error) => Refusal::from(error),
        };
        let passing = matches!(refusal.reason, Reason::KeyUnavailable | Reason::StoreUnavailable);
        if !passing || rooms.clock.now() >= until {
            return Err(refusal);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Stores what was obtained. Whatever else happens to the consent meanwhile, the tokens are either kept or revoked.
async fn settle(
    rooms: &Rooms,
    visitor: &Visitor,
    consent: Consent,
    obtained: Obtained,
    mut draft: EventDraft,
) -> Result<(), Refusal> {
    let until = rooms.clock.now().plus(PATIENCE);
    let mut pause = Duration::from_millis(50);
    loop {
        let now = expire::reread(rooms, &consent.id).await;
        let refusal = match now {
            Ok(now) if now.state.state_hash() == consent.state.state_hash() && is_exchanging(&now) => {
                let expected_version = now.version;
                let next = now.obtained(obtained.clone())?;
                let effect = vec![Write::UpdateConsent { row: rooms.row_key().tag(next), expected_version }];
                let entry = Entry { effect, settlement: true, ..Entry::note(draft.clone()) };
                match rooms.audit.note(entry, Deadline::none()).await {
                    Ok(_) => return Ok(()),
                    Err(refused) => Refusal::from(refused),
                }
            }
            // An earlier try whose answer was lost was committed after all, and the person may have confirmed already.
            Ok(now)
                if matches!(
                    now.state,
                    ConsentState::AwaitingConfirmation { .. } | ConsentState::Completed { .. }
                ) =>
            {
                return Ok(());
            }
            Ok(_) => {
                let Obtained { refresh, access, .. } = obtained;
                super::revoke_sealed(rooms, &visitor.call, &consent, refresh.as_ref(), &access).await;
                return Ok(());
            }
            Err(refusal) => refusal,
        };
        if rooms.clock.now() >= until {
            tracing::error!(reason = refusal.reason.as_str(), "what a provider gave could not be stored");
            return Err(refusal);
        }
        draft.id = EventId::random(&*rooms.rng);
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(2));
    }
}

fn is_exchanging(consent: &Consent) -> bool {
    matches!(consent.state, ConsentState::Exchanging { .. })
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
