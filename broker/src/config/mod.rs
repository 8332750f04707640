//! The configuration: one YAML file, one section per file here.

pub mod duration;
