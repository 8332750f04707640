//! What the operations listener says, and that it says so when others are crowded.

mod crowd;
mod fairness;
mod metrics;
mod probes;
