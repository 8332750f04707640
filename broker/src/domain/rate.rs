//! How often something may happen.

/// So many calls a second on average, so many at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// Calls per second.
    pub per_second: u32,
    /// Calls at once.
    pub burst: u32,
}
