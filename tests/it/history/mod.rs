//! A recorded history is checked: forged ones are rejected, and one of three replicas that are killed is accepted.

mod acts;
mod faults;
mod forged;
mod forged_calls;
mod forged_leases;
pub mod load;
pub mod record;
mod run;
mod story;
mod twice;
