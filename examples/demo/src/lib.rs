//! The parts a newcomer needs around the broker to see it work: the company's SSO, two SaaS and a browser.
//!
//! - [`sso::Sso`]: an OpenID Connect provider with two users; also issues the workload tokens a cluster would.
//! - [`saas::Saas`]: an API behind its own OAuth 2.0 server, with a log of what truly happened and faults on order; as
//!   Notes and as Calendar.
//! - [`browser::Browser`]: walks pages as Chromium would: cookies, redirects, forms, Fetch Metadata.
//! - [`world::World`]: all of them and a real broker between them; [`walk`]: what people do on its pages.
//!
//! None of this is part of the broker and none of it is meant for production: these servers keep everything in
//! memory and listen on plain HTTP on the loopback interface. The integration tests use the same parts.

pub mod agent;
pub mod browser;
pub mod clock;
pub mod http;
pub mod oauth;
mod page;
mod random;
pub mod saas;
mod server;
mod sessions;
pub mod sso;
pub mod story;
pub mod tools;
pub mod walk;
pub mod world;
