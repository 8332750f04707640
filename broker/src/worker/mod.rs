//! Driven by the clock.
