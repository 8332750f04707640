//! Decides. Default deny; the only maker of permits.

pub mod permit;

pub use permit::{ExchangeCode, Facts, Issue, Permit, Purpose, Refresh, RevokeAtProvider};
