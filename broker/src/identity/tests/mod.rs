//! The verifier against a test issuer: what it accepts, about fifty attacks, and a second opinion.

mod attacks_on_claims;
mod attacks_on_form;
mod attacks_on_keys;
mod attacks_on_logout;
mod audiences;
mod issuer;
mod issuers;
mod jwks;
mod mutations;
mod one_time;
mod second_opinion;
mod workloads;
mod world;
