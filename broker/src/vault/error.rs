//! Why the vault gave nothing.

use super::envelope::BadEnvelope;
use crate::{domain::Reason, keys::KeyError, trace::Failure};

/// Why a value was not sealed or did not open. Never means "absent" (VA9), and never shows a value.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The proof was older than 5 seconds: record anew (VA4).
    #[error("the proof is void: more than 5 seconds passed since it was recorded")]
    ProofVoid,
    /// The envelope is not one.
    #[error(transparent)]
    Envelope(#[from] BadEnvelope),
    /// A byte was changed, or the value belongs to another row, owner, provider, column, tenant or generation.
    #[error("the sealed value does not open here: it was changed or moved")]
    Tampered,
    /// The plaintext is over the limit.
    #[error("a secret is limited to {limit} bytes")]
    TooBig {
        /// The limit in bytes.
        limit: usize,
    },
    /// A value can be resealed only for the same owner at the same provider.
    #[error("a sealed value never changes its owner or provider")]
    OwnerDiffers,
    /// The tenant's key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl Failure for VaultError {
    fn error_type(&self) -> &'static str {
        match self {
            Self::ProofVoid => "proof_void",
            Self::Envelope(_) => "envelope",
            Self::Tampered => "tampered",
            Self::TooBig { .. } => "too_big",
            Self::OwnerDiffers => "owner_differs",
            Self::Key(_) => "key",
        }
    }
}

impl VaultError {
    /// What a caller is told.
    pub fn reason(&self) -> Reason {
        match self {
            Self::ProofVoid => Reason::DeadlineExceeded,
            Self::Envelope(_) | Self::Tampered => Reason::RecordQuarantined,
            Self::TooBig { .. } => Reason::InvalidArgument,
            Self::OwnerDiffers => Reason::Internal,
            // A wrapped data key that was edited is an edited row, not a missing key.
            Self::Key(KeyError::Tampered { .. } | KeyError::Unknown { .. }) => Reason::RecordQuarantined,
            Self::Key(error @ (KeyError::Unavailable(_) | KeyError::SystemKeyGone)) => error.reason(),
        }
    }
}
