//! The one outbound HTTP client: address filter after DNS, pinned, no redirects, size and time limits (NE1–NE3).
//!
//! An [`Outbound`] makes one [`HttpClient`] per named [`Destination`]; nothing else in the broker opens an outbound
//! connection. Endpoints come from operator configuration or validated metadata, never from a caller.

pub mod address;
pub mod cidr;
pub mod client;
pub mod destination;
pub mod error;
pub mod oauth;
pub mod outbound;
pub mod resolver;
pub mod tls;

pub use cidr::{BadCidr, Cidr};
pub use client::{HttpClient, Limits, Request, Response};
pub use destination::Destination;
pub use error::NetError;
pub use oauth::OAuthHttp;
pub use outbound::Outbound;

#[cfg(test)]
mod tests;
