//! Takes the user's token from MCP requests over HTTP.
//!
//! [`BearerLayer`] is a tower layer for whatever serves your MCP endpoint. A request with a bearer token (RFC 6750 section 2.1)
//! goes on with the token as an [`Assertion`](crate::Assertion) among its extensions and without the `authorization` header, so
//! that nothing behind it can log the token or pass it on. A request without one is answered 401 with the challenge of RFC 9728
//! section 5.1, from which MCP clients learn where to sign in.
//!
//! ```
//! use broker_client::Assertion;
//! use broker_client::bearer::{BearerLayer, ProtectedResource, SessionLayer};
//! # fn serve(client: broker_client::Client) -> Result<(), broker_client::Error> {
//! let resource = ProtectedResource::new("https://notes.example/mcp")?
//!     .authorization_server("https://sso.example")
//!     .scope("notes");
//! // The outer layer first: it tells the inner one who the user is.
//! let layers = (BearerLayer::new(&resource).verified_by(client), SessionLayer::new()?);
//! // Serve `resource.metadata()` at this path, outside the layer: nobody has signed in yet.
//! assert_eq!(resource.metadata_path(), "/.well-known/oauth-protected-resource/mcp");
//!
//! fn handler(request: http::Request<()>) -> Option<Assertion> {
//!     request.extensions().get().cloned()
//! }
//! # let _ = (layers, handler);
//! # Ok(())
//! # }
//! # fn main() {}
//! ```
//!
//! By itself the layer does not verify the token: the broker does, at the first grant, by the contract that its operator
//! configured for your server. With [`BearerLayer::verified_by`] it does so for every request, and a server that does something
//! for a user without asking for a grant needs that. [`SessionLayer`] inside of it keeps MCP sessions to their users.

mod check;
mod pace;
mod resource;
mod service;
mod session;
mod token;

pub use resource::ProtectedResource;
pub use service::{BearerLayer, BearerService};
pub use session::{SessionLayer, SessionService};
