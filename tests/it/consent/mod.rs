//! Consent, refresh and sign-in, against certified providers and against one that misbehaves to order.

mod answers;
mod callbacks;
mod journey;
mod races;
mod refresh;
mod strangers;
