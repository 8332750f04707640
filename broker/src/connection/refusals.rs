//! What the rooms above refuse, as the refusals callers see: one sentence each, the cause kept for the log.

use super::spool::SpoolError;
use crate::{
    audit::Refused,
    domain::{Quarantined, Reason, Refusal, consent::InvalidTransition},
    identity::IdentityError,
    keys::KeyError,
    policy::Denial,
    provider::ProviderError,
    storage::StoreError,
    vault::VaultError,
};
use std::time::Duration;

const NO_ROOM: &str = "The broker could not keep what the provider would give, so it was not asked; an operator must look at the spool.";
/// When a caller should come back then.
const NO_ROOM_FOR: Duration = Duration::from_secs(10);

/// When a caller should come back after a fault of storage or the log.
const SHORTLY: Duration = Duration::from_secs(1);

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        let refusal = match error {
            StoreError::Malformed { .. } | StoreError::RuleTampered => Self::new(Reason::RecordQuarantined),
            StoreError::KeyUnknown { .. } => Self::new(Reason::KeyUnavailable).retry_after(SHORTLY),
            StoreError::Exists => Self::new(Reason::Conflict),
            StoreError::Unavailable(_) | StoreError::HeadMoved => {
                Self::new(Reason::StoreUnavailable).retry_after(SHORTLY)
            }
        };
        refusal.caused_by(error)
    }
}

/// Where nothing can be kept nothing is asked for (RF5): a fault of storage like the database's.
impl From<SpoolError> for Refusal {
    fn from(error: SpoolError) -> Self {
        tracing::error!(%error, "nothing can be kept in the spool: no provider that replaces tokens is asked");
        Self::because(Reason::StoreUnavailable, NO_ROOM).retry_after(NO_ROOM_FOR).caused_by(error)
    }
}

impl From<Quarantined> for Refusal {
    fn from(error: Quarantined) -> Self {
        tracing::error!(table = error.table, "a row failed its integrity check");
        Self::new(Reason::RecordQuarantined).caused_by(error)
    }
}

impl From<KeyError> for Refusal {
    fn from(error: KeyError) -> Self {
        Self::new(error.reason()).caused_by(error)
    }
}

impl From<VaultError> for Refusal {
    fn from(error: VaultError) -> Self {
        Self::new(error.reason()).caused_by(error)
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        let refusal = Self::new(refused.reason());
        match refused {
            Refused::Unavailable | Refused::Overloaded => refusal.retry_after(SHORTLY),
            Refused::Hit(ref rule) => {
                let named = rule.target.kind();
                refusal.with("named", named).recorded()
            }
            Refused::Duplicate(_) | Refused::Replayed | Refused::NotApplied => refusal.recorded(),
            _ => refusal,
        }
        .caused_by(refused)
    }
}

impl From<ProviderError> for Refusal {
    fn from(error: ProviderError) -> Self {
        let mut refusal = Self::new(error.reason());
        refusal.retry_after = error.retry_after();
        refusal.caused_by(error)
    }
}

impl From<Denial> for Refusal {
    fn from(denial: Denial) -> Self {
        let mut sentence = denial.message.clone();
        if let Some(first) = sentence.get(..1).map(str::to_uppercase) {
            sentence.replace_range(..1, &first);
        }
        if !sentence.ends_with('.') {
            sentence.push('.');
        }
        let refusal = Self::because(denial.reason, sentence);
        let refusal =
            if denial.rules.is_empty() { refusal } else { refusal.with("rules", denial.rules.join(" ")) };
        refusal.caused_by(denial)
    }
}

impl From<IdentityError> for Refusal {
    fn from(error: IdentityError) -> Self {
        let reason = error.reason();
        let refusal = Self::new(reason);
        let refusal = if reason == Reason::IssuerUnavailable {
            refusal.retry_after(Duration::from_secs(5))
        } else {
            refusal
        };
        refusal.caused_by(error)
    }
}

impl From<InvalidTransition> for Refusal {
    fn from(error: InvalidTransition) -> Self {
        Self::because(Reason::Conflict, "This request is not open any more.").caused_by(error)
    }
}
