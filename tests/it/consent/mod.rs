//! Consent, refresh and sign-in, against certified providers and against one that misbehaves to order.

mod ahead;
mod answers;
mod backchannel;
mod beside;
mod callbacks;
mod expiry;
mod forms;
mod issuer;
mod journey;
mod races;
mod refresh;
mod sessions;
mod step_up;
mod strangers;
