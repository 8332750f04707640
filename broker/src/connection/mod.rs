//! A fresh access token: resolve, single flight, lease, refresh.

mod flight;
mod pick;
mod refresh;
mod resolve;
mod tokens;

pub use resolve::{Need, Resolved, Usable, Wanted, own_approval, own_connections, resolve};
pub use tokens::{Access, Tokens, Wanting};

#[cfg(test)]
mod tests;
