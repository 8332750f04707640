//! A fresh access token: resolve, single flight, lease, refresh.

mod flight;
mod pick;
mod refresh;
mod refusals;
mod resolve;
mod seats;
mod settlement;
mod tokens;

pub use resolve::{Need, Own, Resolved, Usable, Wanted, own_approval, own_connections, resolve};
pub use tokens::{Access, Parts, Tokens, Wanting};
