//! Issuers whose assertions are good for one grant, as far as the broker's refusals told.

use crate::Assertion;
#[cfg(any(feature = "mcp", feature = "tower"))]
use crate::principal::issuer;
use std::collections::HashSet;

/// Most issuers remembered. A broker trusts a handful, and one too many costs a question to it and no more.
const MOST: usize = 64;

/// By their SHA-256: nothing of an assertion is kept.
#[derive(Default)]
pub(super) struct OneTime {
    issuers: HashSet<[u8; 32]>,
}

impl OneTime {
    /// The broker verified this assertion, and refused it because it was used before.
    pub(super) fn learn(&mut self, replayed: &Assertion) {
        if self.issuers.len() < MOST {
            self.issuers.extend(issuer(replayed));
        }
    }

    /// Whether a second request with this assertion is known to be refused.
    pub(super) fn knows(&self, assertion: &Assertion) -> bool {
        !self.issuers.is_empty() && issuer(assertion).is_some_and(|issuer| self.issuers.contains(&issuer))
    }
}

/// Reading a token takes a reader of JSON, which comes with those features. Without it each remembered grant learns by itself.
#[cfg(not(any(feature = "mcp", feature = "tower")))]
fn issuer(_: &Assertion) -> Option<[u8; 32]> {
    None
}
