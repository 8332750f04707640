//! What came for a code, as the spool keeps it, and back.

use super::{
    Rooms, expire,
    settle_consent::{Came, Next},
};
use crate::{
    connection::spool::{Ending, Exchanged, Record, Token},
    domain::{
        Account, Consent, ConsentId, Kind, Reason, Refusal, ScopeSet, Sealed, Timestamp,
        consent::{Leftover, Obtained},
    },
};
use data_encoding::HEXLOWER;

/// As an entry of the spool.
pub(super) fn record(consent: &Consent, came: &Came) -> Record {
    let (scopes, ends, ending) = match &came.next {
        Next::Fail(reason) => (String::new(), None, Ending::Fail(reason.as_str().to_owned())),
        Next::Confirm(obtained) => {
            let Account { id, label } = obtained.account.clone();
            let ending = Ending::Confirm { account_id: id, account_label: label };
            (obtained.scopes.canonical(), obtained.access_expires_at.map(Timestamp::micros), ending)
        }
    };
    let [refresh, access] = came.leftover.envelopes();
    let token = |envelope: &[u8], ends| Token::new(scopes.clone(), envelope, ends, 0);
    Record::Code(Exchanged {
        consent: consent.id.as_str().to_owned(),
        state_hash: state_hash(consent),
        access: access.map(|envelope| token(envelope, ends)),
        refresh: refresh.map(|envelope| token(envelope, None)),
        ending,
    })
}

fn state_hash(consent: &Consent) -> String {
    consent.state.state_hash().map(|hash| HEXLOWER.encode(hash)).unwrap_or_default()
}

/// Back from an entry, and the consent as it is now.
///
/// # Errors
/// The store's; [`Reason::RecordQuarantined`] when the consent's row or the entry is not what a broker wrote.
pub(super) async fn came(rooms: &Rooms, kept: &Exchanged) -> Result<(Consent, Came), Refusal> {
    let broken = || Refusal::new(Reason::RecordQuarantined);
    let id = ConsentId::parse(&kept.consent).map_err(|_| broken())?;
    let consent = expire::reread(rooms, &id).await?;
    // A state that is consumed is never another's: what came for it belongs to this very attempt.
    if state_hash(&consent) != kept.state_hash {
        return Err(broken());
    }
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

fn sealed<K: Kind>(token: Option<&Token>) -> Result<Option<Sealed<K>>, Refusal> {
    let Some(token) = token else { return Ok(None) };
    let envelope = token.envelope().ok_or_else(|| Refusal::new(Reason::RecordQuarantined))?;
    Ok(Some(Sealed::from_envelope(envelope)))
}
