//! What may differ from world to world.

use std::sync::Arc;

use broker::domain::{Clock, Rng, SystemClock, SystemRng};

/// Changes the text of a configuration.
pub type Amend = Box<dyn FnOnce(String) -> String + Send>;

/// What may differ from world to world. The default is the demo's.
pub struct Options {
    /// The time, for the broker, the SSO, the SaaS, the clients and the browsers alike.
    pub clock: Arc<dyn Clock>,
    /// The broker's randomness.
    pub rng: Arc<dyn Rng>,
    /// Cedar rules instead of the demo's.
    pub policy: Option<String>,
    /// Further Cedar rules.
    pub extra_policy: String,
    /// Further top-level sections of the configuration, such as `consent: { lifetime: 1m }`.
    pub extra_config: String,
    /// Changes the whole configuration's text, after everything else.
    pub amend_config: Option<Amend>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            clock: Arc::new(SystemClock::default()),
            rng: Arc::new(SystemRng::default()),
            policy: None,
            extra_policy: String::new(),
            extra_config: String::new(),
            amend_config: None,
        }
    }
}
