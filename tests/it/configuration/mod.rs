//! The configuration through the real loader: wrong, huge, missing, duplicated and hostile values, one table per section;
//! each problem at its path, never with a value.

mod bounds;
mod document;
mod house;
mod issuers;
mod listeners;
mod property_paths;
mod providers;
mod workloads;
