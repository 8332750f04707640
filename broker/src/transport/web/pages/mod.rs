//! What people see. Pure: a view in, HTML out; maud escapes, [`fill`] isolates what others wrote.

mod connections;
mod consent;
mod fill;
mod layout;
mod leaving;
mod outcome;
mod parent;
mod scopes;
mod strangers;

pub(super) use connections::{Approved, Listing, ask_disconnect, connections, disconnected};
pub(super) use consent::{Forms, consent};
pub(super) use layout::{Frame, SignedIn, error};
pub(super) use leaving::{choose_realm, sign_in_failed, signed_out, to_provider, to_sign_in};
pub(super) use parent::parent;
pub(super) use strangers::{other_browser, wrong_person};
