//! What a verification will take, told beforehand: so that whoever stands before it can keep the dear ones apart.

use super::{Identity, SECRET_PREFIX, compact::UnverifiedToken, keys::Algorithm};
use crate::domain::sha256;

/// What the verification of a credential or token takes at most.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cost {
    /// Parsing and a hash: a static secret, a token whose verification is remembered, or nothing that could be right.
    Hash,
    /// A signature check with a key that is at hand.
    Signature,
    /// A wait for the issuer's keys, and then a signature check; which issuer, in the order of the configuration.
    Fetch(usize),
}

impl Identity {
    /// Of an `authorization` value.
    pub fn cost_of_credential(&self, authorization: Option<&str>) -> Cost {
        match authorization.and_then(|value| value.split_once(' ')) {
            Some((_, token)) if !token.starts_with(SECRET_PREFIX) => self.cost_of_token(token),
            _ => Cost::Hash,
        }
    }

    /// Of a signed token.
    pub fn cost_of_token(&self, token: &str) -> Cost {
        // First, for it is what nearly every call shows, and a hash costs less than parsing.
        if self.remembers(&sha256(token.as_bytes())) {
            return Cost::Hash;
        }
        let Ok(parsed) = UnverifiedToken::parse(token) else { return Cost::Hash };
        let Ok(iss) = parsed.claimed_issuer() else { return Cost::Hash };
        let Some(algorithm) = Algorithm::parse(&parsed.header.alg) else { return Cost::Hash };
        let kid = parsed.header.kid.as_deref();
        let mut cost = Cost::Hash;
        for index in self.by_iss.get(iss).into_iter().flatten() {
            if !self.issuers[*index].keys.has(kid, algorithm) {
                return Cost::Fetch(*index);
            }
            cost = Cost::Signature;
        }
        cost
    }
}
