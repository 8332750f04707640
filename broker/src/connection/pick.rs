//! Which stored access token answers a request, if any: a pure choice (GR1, GR4).

use crate::domain::{ProviderSpec, ScopeSet, SecretKind, SecretRow, Timestamp};
use std::time::Duration;

/// What to do for the scopes asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pick {
    /// This token answers.
    Serve(Box<SecretRow>),
    /// None does: refresh, asking for fewer scopes where the provider can.
    Refresh {
        /// `scope` of the refresh request; `None` = everything granted.
        narrow_to: Option<ScopeSet>,
        /// A token that would still do until then, if the refresh fails for a passing reason.
        fallback: Option<Box<SecretRow>>,
    },
    /// Whatever token there is or will be can do this, which is more than this workload may hold.
    Wider(ScopeSet),
    /// None does, and there is no refresh token to get another one.
    Exhausted,
}

/// The facts a choice is made from.
pub(super) struct Choice<'a> {
    pub(super) spec: &'a ProviderSpec,
    /// Every checked token of the connection.
    pub(super) rows: &'a [SecretRow],
    /// What the connection carries.
    pub(super) held: &'a ScopeSet,
    /// What the approval allows.
    pub(super) approved: &'a ScopeSet,
    /// Whether rules let this workload hold a token with these scopes all the same.
    pub(super) may_hold: &'a (dyn Fn(&ScopeSet) -> bool + Sync),
    /// What is asked for: a subset of both.
    pub(super) wanted: &'a ScopeSet,
    /// What the provider really gave when it was last asked for exactly `wanted`.
    pub(super) given_for_wanted: Option<&'a ScopeSet>,
    pub(super) now: Timestamp,
}

impl Choice<'_> {
    pub(super) fn pick(&self) -> Pick {
        let can_refresh = self.rows.iter().any(|row| row.kind == SecretKind::Refresh);
        if self.spec.can_narrow() && can_refresh && self.wanted != self.held {
            return self.pick_narrow();
        }
        self.pick_wide(can_refresh)
    }

    /// The provider can narrow: only a token for exactly these scopes will do, or what it gave when asked for them.
    fn pick_narrow(&self) -> Pick {
        let given = self.given_for_wanted.filter(|given| self.wanted.is_subset(given));
        let will_do = |row: &&SecretRow| row.scopes == *self.wanted || Some(&row.scopes) == given;
        let valid: Vec<&SecretRow> = self.usable().filter(will_do).collect();
        if let Some(row) = valid.iter().find(|row| self.is_fresh(row)) {
            return self.serve(row);
        }
        Pick::Refresh {
            narrow_to: Some(self.wanted.clone()),
            fallback: valid
                .iter()
                .find(|row| self.is_within(&row.scopes))
                .map(|row| Box::new((*row).clone())),
        }
    }

    /// The token carries what it carries: the smallest that covers the request and may be held, within the approval
    /// first.
    fn pick_wide(&self, can_refresh: bool) -> Pick {
        let mut valid: Vec<&SecretRow> =
            self.usable().filter(|row| self.wanted.is_subset(&row.scopes)).collect();
        valid.sort_by_key(|row| (!row.scopes.is_subset(self.approved), row.scopes.len()));
        let within = |row: &&&SecretRow| self.is_within(&row.scopes);
        if let Some(row) = valid.iter().filter(within).find(|row| self.is_fresh(row)) {
            return self.serve(row);
        }
        if !self.is_within(self.held) {
            return Pick::Wider(self.held.clone());
        }
        let fallback = valid.iter().find(within).map(|row| Box::new((*row).clone()));
        match fallback {
            Some(row) if !can_refresh => Pick::Serve(row),
            fallback if can_refresh => Pick::Refresh { narrow_to: None, fallback },
            _ => Pick::Exhausted,
        }
    }

    fn serve(&self, row: &SecretRow) -> Pick {
        if self.is_within(&row.scopes) {
            Pick::Serve(Box::new(row.clone()))
        } else {
            Pick::Wider(row.scopes.clone())
        }
    }

    fn is_within(&self, scopes: &ScopeSet) -> bool {
        scopes.is_subset(self.approved) || (self.may_hold)(scopes)
    }

    /// Access tokens the provider still honours for a moment.
    fn usable(&self) -> impl Iterator<Item = &SecretRow> {
        let soon = self.now.plus(MOMENT);
        self.rows
            .iter()
            .filter(move |row| row.kind == SecretKind::Access && row.expires_at.is_none_or(|end| end > soon))
    }

    /// Not within the provider's margin, which is at most half the token's life.
    fn is_fresh(&self, row: &SecretRow) -> bool {
        row.expires_at.is_none_or(|end| end.minus(self.spec.margin(end.since(row.obtained_at))) > self.now)
    }
}

/// A token that ends sooner than this is not handed out: it would be dead on arrival (GR2).
const MOMENT: Duration = Duration::from_secs(5);
