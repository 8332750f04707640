//! What came for a code, as the spool keeps it, and back.

use super::settle_consent::{Came, Next};
use crate::{
    connection::spool::{Ending, Exchanged, Party, Record, Token},
    domain::{
        Account, Consent, ConsentId, ConsentReason, ConsentState, Kind, ProviderId, RealmId, Reason, Refusal,
        ScopeSet, Sealed, Subject, TenantId, Timestamp, WorkloadId,
        consent::{Leftover, Obtained},
    },
};
use data_encoding::HEXLOWER;

/// As an entry of the spool.
pub(super) fn record(consent: &Consent, came: &Came, now: Timestamp) -> Record {
    let (scopes, ends, ending) = match &came.next {
        Next::Fail(reason) => (String::new(), None, Ending::Fail(reason.as_str().to_owned())),
        Next::Confirm(obtained) => {
            let Account { id, label } = obtained.account.clone();
            let ending = Ending::Confirm { account_id: id, account_label: label };
            (obtained.scopes.canonical(), obtained.access_expires_at.map(Timestamp::micros), ending)
        }
    };
    let [refresh, access] = came.leftover.envelopes();
    let token = |envelope: &[u8], ends| Token::new(scopes.clone(), envelope, ends, now.micros());
    let Subject { tenant, realm, id } = &consent.subject;
    let party = Party {
        tenant: tenant.as_str().to_owned(),
        realm: realm.as_str().to_owned(),
        subject: id.clone(),
        workload: consent.workload.as_str().to_owned(),
        provider: consent.provider.as_str().to_owned(),
    };
    Record::Code(Exchanged {
        consent: consent.id.as_str().to_owned(),
        party,
        state_hash: consent.state.state_hash().map(|hash| HEXLOWER.encode(hash)).unwrap_or_default(),
        access: access.map(|envelope| token(envelope, ends)),
        refresh: refresh.map(|envelope| token(envelope, None)),
        ending,
    })
}

/// When it came.
pub(super) fn since(kept: &Exchanged) -> Timestamp {
    let token = kept.refresh.as_ref().or(kept.access.as_ref());
    Timestamp::from_micros(token.map_or(0, |token| token.obtained_at))
}

/// Back from an entry, which nobody but a broker wrote: the consent as it was exchanged, as far as it takes to store what came, or to give
/// it back where its row cannot hold it.
///
/// # Errors
/// [`Reason::RecordQuarantined`] when the entry is not what a broker wrote.
pub(super) fn came(kept: &Exchanged) -> Result<(Consent, Came), Refusal> {
    let broken = || Refusal::new(Reason::RecordQuarantined);
    let consent = exchanging(kept).ok_or_else(broken)?;
    let leftover =
        Leftover { refresh: sealed(kept.refresh.as_ref())?, access: sealed(kept.access.as_ref())? };
    let next = match &kept.ending {
        Ending::Fail(reason) => Next::Fail(Reason::parse(reason).ok_or_else(broken)?),
        Ending::Confirm { account_id, account_label } => {
            let (token, access) = kept.access.as_ref().zip(leftover.access.clone()).ok_or_else(broken)?;
            Next::Confirm(Box::new(Obtained {
                account: Account { id: account_id.clone(), label: account_label.clone() },
                scopes: ScopeSet::from_stored(&token.scopes).map_err(|_| broken())?,
                refresh: leftover.refresh.clone(),
                access,
                access_expires_at: token.expires_at.map(Timestamp::from_micros),
            }))
        }
    };
    Ok((consent, Came { leftover, next }))
}

fn exchanging(kept: &Exchanged) -> Option<Consent> {
    let (party, since) = (&kept.party, since(kept));
    let state_hash = HEXLOWER.decode(kept.state_hash.as_bytes()).ok()?.try_into().ok()?;
    Some(Consent {
        id: ConsentId::parse(&kept.consent).ok()?,
        subject: Subject {
            tenant: TenantId::parse(&party.tenant).ok()?,
            realm: RealmId::parse(&party.realm).ok()?,
            id: party.subject.clone(),
        },
        workload: WorkloadId::parse(&party.workload).ok()?,
        provider: ProviderId::parse(&party.provider).ok()?,
        connection: None,
        reason: ConsentReason::NotConnected,
        scopes: ScopeSet::default(),
        provider_scopes: ScopeSet::default(),
        tool: String::new(),
        purpose: String::new(),
        created_at: since,
        expires_at: since,
        version: 0,
        born_epoch: 0,
        mismatches: 0,
        state: ConsentState::Exchanging { state_hash, browser_hash: [0; 32] },
        leftover: Leftover::default(),
    })
}

fn sealed<K: Kind>(token: Option<&Token>) -> Result<Option<Sealed<K>>, Refusal> {
    let Some(token) = token else { return Ok(None) };
    let envelope = token.envelope().ok_or_else(|| Refusal::new(Reason::RecordQuarantined))?;
    Ok(Some(Sealed::from_envelope(envelope)))
}
