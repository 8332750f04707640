//! Token families: what was issued from one code, how refresh tokens rotate, what is still alive. No I/O, no clock.

use std::collections::HashMap;

use super::product::Product;
use super::truth::{Event, RevokedKind};
use crate::random;

/// What happens to a refresh token when it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// It stays good and no new one is issued.
    None,
    /// It is replaced; using it again is refused, and that is all.
    SingleUse,
    /// It is replaced; using it again ends the whole family (RFC 9700 §4.14.2).
    FamilyRevoking,
    /// It is replaced, but the one just replaced is accepted for some more seconds.
    WithGrace {
        /// Seconds after the replacement.
        seconds: i64,
    },
}

/// What a token is, as the server itself sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenFacts {
    /// The family it belongs to.
    pub family: u64,
    /// The id of the account it speaks for.
    pub account: String,
    /// The client it was issued to.
    pub client: String,
    /// What it allows.
    pub scopes: Vec<String>,
    /// `None` for an access token, else the refresh token's generation, from 1.
    pub generation: Option<u32>,
    /// When an access token expires, in seconds since the Unix epoch; refresh tokens do not.
    pub expires_at: Option<i64>,
    /// Whether it would be accepted now.
    pub live: bool,
}

struct Family {
    client: String,
    account: String,
    scopes: Vec<String>,
    generation: u32,
    rotated_at: i64,
    dead: bool,
}

enum Token {
    Access { family: u64, scopes: Vec<String>, expires_at: i64, revoked: bool },
    Refresh { family: u64, generation: u32 },
}

/// What a token request gets.
pub(super) struct Issued {
    pub(super) family: u64,
    pub(super) access_token: String,
    pub(super) refresh_token: Option<String>,
    pub(super) scopes: Vec<String>,
}

/// How to answer one token request.
#[derive(Clone, Copy)]
pub(super) struct Terms {
    pub(super) now: i64,
    pub(super) access_lifetime: i64,
    pub(super) rotation: Rotation,
    pub(super) issue_refresh_token: bool,
}

/// Every token ever issued.
pub(super) struct Families {
    product: &'static Product,
    families: HashMap<u64, Family>,
    tokens: HashMap<String, Token>,
}

impl Families {
    pub(super) fn new(product: &'static Product) -> Families {
        Families { product, families: HashMap::new(), tokens: HashMap::new() }
    }

    /// Starts a family.
    pub(super) fn begin(&mut self, client: &str, account: &str, scopes: Vec<String>, terms: Terms) -> Issued {
        let id = self.families.len() as u64 + 1;
        let family = Family {
            client: client.to_owned(),
            account: account.to_owned(),
            scopes: scopes.clone(),
            generation: 1,
            rotated_at: terms.now,
            dead: false,
        };
        self.families.insert(id, family);
        let refresh_token = terms.issue_refresh_token.then(|| self.add_refresh(id, 1));
        Issued { family: id, access_token: self.add_access(id, &scopes, terms), refresh_token, scopes }
    }

    /// Uses a refresh token. `narrow` picks the new access token's scopes from the family's, or refuses.
    /// What happened comes back as events either way; `None` means `invalid_grant`.
    pub(super) fn refresh(
        &mut self,
        client: &str,
        token: &str,
        terms: Terms,
        narrow: impl FnOnce(&[String]) -> Vec<String>,
    ) -> (Option<Issued>, Vec<Event>) {
        let Some(&Token::Refresh { family: id, generation }) = self.tokens.get(token) else {
            return (None, vec![Event::RefreshRefused { family: None, generation: None }]);
        };
        let family = self.families.get_mut(&id).expect("a token has a family");
        if family.dead || family.client != client {
            let refused = Event::RefreshRefused { family: Some(id), generation: Some(generation) };
            return (None, vec![refused]);
        }
        let used = generation != family.generation && !within_grace(family, generation, terms);
        if used && terms.rotation == Rotation::SingleUse {
            return (None, vec![Event::RefreshRefused { family: Some(id), generation: Some(generation) }]);
        }
        if used {
            family.dead = true;
            let revoked = Event::Revoked { family: id, kind: RevokedKind::Reuse };
            return (None, vec![Event::ReuseDetected { family: id, generation }, revoked]);
        }
        let scopes = narrow(&family.scopes);
        let rotate = terms.rotation != Rotation::None && terms.issue_refresh_token;
        if rotate {
            family.generation += 1;
            family.rotated_at = terms.now;
        }
        let issued = family.generation;
        let refresh_token = rotate.then(|| self.add_refresh(id, issued));
        let access_token = self.add_access(id, &scopes, terms);
        let event = Event::Refreshed { family: id, generation, issued, scopes: scopes.clone() };
        (Some(Issued { family: id, access_token, refresh_token, scopes }), vec![event])
    }

    /// The scopes of the family a refresh token belongs to.
    pub(super) fn family_scopes(&self, refresh_token: &str) -> Option<Vec<String>> {
        match self.tokens.get(refresh_token)? {
            Token::Refresh { family, .. } => self.families.get(family).map(|family| family.scopes.clone()),
            Token::Access { .. } => None,
        }
    }

    /// What a token is.
    pub(super) fn facts(&self, token: &str, now: i64) -> Option<TokenFacts> {
        let (id, generation, expires_at, narrowed, live) = match self.tokens.get(token)? {
            Token::Access { family, scopes, expires_at, revoked } => {
                (*family, None, Some(*expires_at), Some(scopes), !revoked && now < *expires_at)
            }
            Token::Refresh { family, generation } => (*family, Some(*generation), None, None, true),
        };
        let family = self.families.get(&id)?;
        let current = generation.is_none_or(|generation| generation == family.generation);
        Some(TokenFacts {
            family: id,
            account: family.account.clone(),
            client: family.client.clone(),
            scopes: narrowed.unwrap_or(&family.scopes).clone(),
            generation,
            expires_at,
            live: live && current && !family.dead,
        })
    }

    /// Ends one access token.
    pub(super) fn kill_access(&mut self, token: &str) {
        if let Some(Token::Access { revoked, .. }) = self.tokens.get_mut(token) {
            *revoked = true;
        }
    }

    /// Ends a family; answers whether it was alive.
    pub(super) fn kill(&mut self, id: u64) -> bool {
        self.families.get_mut(&id).is_some_and(|family| !std::mem::replace(&mut family.dead, true))
    }

    /// The living families of an account.
    pub(super) fn of_account(&self, account: &str) -> Vec<u64> {
        let living = self.families.iter().filter(|(_, family)| family.account == account && !family.dead);
        living.map(|(id, _)| *id).collect()
    }

    fn add_access(&mut self, family: u64, scopes: &[String], terms: Terms) -> String {
        let token = random::token(self.product.access_prefix);
        let expires_at = terms.now.saturating_add(terms.access_lifetime);
        let access = Token::Access { family, scopes: scopes.to_vec(), expires_at, revoked: false };
        self.tokens.insert(token.clone(), access);
        token
    }

    fn add_refresh(&mut self, family: u64, generation: u32) -> String {
        let token = random::token(self.product.refresh_prefix);
        self.tokens.insert(token.clone(), Token::Refresh { family, generation });
        token
    }
}

fn within_grace(family: &Family, generation: u32, terms: Terms) -> bool {
    match terms.rotation {
        Rotation::WithGrace { seconds } => {
            generation + 1 == family.generation && terms.now < family.rotated_at.saturating_add(seconds)
        }
        Rotation::None | Rotation::SingleUse | Rotation::FamilyRevoking => false,
    }
}
