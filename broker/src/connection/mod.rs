//! A fresh access token: resolve, single flight, lease, refresh.

mod ahead;
mod deadline;
mod failure;
mod flight;
mod late;
mod pick;
mod prepare;
mod refresh;
mod refusals;
mod resolve;
mod seats;
mod settlement;
pub mod spool;
mod tokens;
mod watch;

pub use ahead::{earliest, idle_margin};
pub use deadline::{ends_at, unkept};
pub use late::Kept;
pub use resolve::{Need, Own, Resolved, Usable, Wanted, own_approval, own_connections, resolve};
pub use tokens::{Access, Parts, Tokens, Wanting};
