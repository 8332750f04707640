//! The bounds of a token source.

use super::TokenSource;
use crate::{Client, Error};
use std::time::Duration;

/// Longest `max_age` allowed: how long a revocation may take to reach a tool is a promise, not a matter of taste.
const MAX_AGE_LIMIT: Duration = Duration::from_secs(300);

#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) max_entries: usize,
    pub(super) max_age: Duration,
    pub(super) margin: Duration,
    pub(super) early_refresh: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_entries: 1024,
            max_age: Duration::from_secs(60),
            margin: Duration::from_secs(5),
            early_refresh: Duration::from_secs(15),
        }
    }
}

/// Describes a [`TokenSource`].
#[derive(Debug)]
pub struct TokenSourceBuilder {
    client: Client,
    settings: Settings,
}

impl TokenSourceBuilder {
    pub(super) fn new(client: Client) -> Self {
        Self { client, settings: Settings::default() }
    }

    /// How many grants are remembered at most; the oldest goes first. 1024 unless set; 0 remembers none.
    pub fn max_entries(mut self, entries: usize) -> Self {
        self.settings.max_entries = entries;
        self
    }

    /// How long a grant is handed out after it was fetched, at most 300 s. 60 s unless set. This is also how long a revocation
    /// may take to reach your tools.
    pub fn max_age(mut self, age: Duration) -> Self {
        self.settings.max_age = age;
        self
    }

    /// How long before its `expire_time` a grant is no longer handed out. 5 s unless set.
    pub fn margin(mut self, margin: Duration) -> Self {
        self.settings.margin = margin;
        self
    }

    /// How long before a remembered grant goes stale its successor is fetched in the background, when somebody asks for it;
    /// at most half of its time. 15 s unless set; zero: never, which spares the refusal that tells the source of a one-time issuer.
    pub fn early_refresh(mut self, before: Duration) -> Self {
        self.settings.early_refresh = before;
        self
    }

    /// Makes the source.
    ///
    /// # Errors
    /// [`Error::Configuration`] when `max_age` is over 300 s.
    pub fn build(self) -> Result<TokenSource, Error> {
        if self.settings.max_age > MAX_AGE_LIMIT {
            return Err(Error::configuration("max_age is 300 s at most"));
        }
        Ok(TokenSource::start(self.client, self.settings))
    }
}
