//! Tokens that a consent obtained and nobody will own, or that it replaced.

use super::ConsentState;
use crate::domain::{AccessToken, RefreshToken, Sealed, sealed::same_value};

/// Tokens that a consent obtained and nobody will own, or that it replaced: sealed under the consent's key until their provider has been told, or
/// that was given up; then they are removed.
#[derive(Clone, Debug, Default)]
pub struct Leftover {
    /// The refresh token.
    pub refresh: Option<Sealed<RefreshToken>>,
    /// The access token.
    pub access: Option<Sealed<AccessToken>>,
}

impl Leftover {
    /// What ending a consent in `state` leaves behind.
    pub fn of(state: &ConsentState) -> Self {
        match state {
            ConsentState::AwaitingConfirmation { obtained, .. } => {
                Self { refresh: obtained.refresh.clone(), access: Some(obtained.access.clone()) }
            }
            _ => Self::default(),
        }
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.refresh.is_none() && self.access.is_none()
    }

    /// Whether it is the very same sealed values, whichever keys wrap them.
    pub fn is(&self, other: &Self) -> bool {
        self.envelopes().into_iter().zip(other.envelopes()).all(|both| match both {
            (Some(one), Some(other)) => same_value(one, other),
            (one, other) => one == other,
        })
    }

    /// The envelopes: of the refresh token, of the access token.
    pub fn envelopes(&self) -> [Option<&[u8]>; 2] {
        [self.refresh.as_ref().map(Sealed::envelope), self.access.as_ref().map(Sealed::envelope)]
    }
}
