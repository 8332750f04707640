//! Configuration: one section per file, unknown keys refused, secrets only as references.
