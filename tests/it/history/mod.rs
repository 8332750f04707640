//! A recorded history is checked: forged ones are rejected, and one of three replicas that are killed is accepted.

mod forged;
mod story;
