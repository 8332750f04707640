//! What an MCP server says about itself to clients that have no token yet (RFC 9728).

use crate::Error;
use serde_json::{Value, json};

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// An MCP server as a protected resource of OAuth.
#[derive(Clone, Debug)]
pub struct ProtectedResource {
    resource: String,
    origin: String,
    path: String,
    authorization_servers: Vec<String>,
    scopes: Vec<String>,
}

impl ProtectedResource {
    /// `resource` is the address of the MCP endpoint as clients know it, and the audience of their tokens (RFC 8707).
    ///
    /// # Errors
    /// [`Error::Configuration`] when it is not an absolute `http` or `https` address without query and fragment.
    pub fn new(resource: &str) -> Result<Self, Error> {
        let refuse = |what| Error::configuration(format!("{resource}: {what}"));
        let uri: http::Uri = resource.parse().map_err(|_| refuse("is not an address"))?;
        let (Some("http" | "https"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(refuse("is not an absolute http or https address"));
        };
        // `Uri` drops fragments instead of refusing them.
        if !resource.is_ascii() || resource.contains(['?', '#', '@', '"', '\\']) {
            return Err(refuse("must be ASCII without query, fragment and user"));
        }
        let origin = format!("{}://{authority}", uri.scheme_str().unwrap_or_default());
        let path = if uri.path() == "/" { String::new() } else { uri.path().to_owned() };
        let (authorization_servers, scopes) = (Vec::new(), Vec::new());
        Ok(Self { resource: resource.to_owned(), origin, path, authorization_servers, scopes })
    }

    /// An issuer whose tokens are taken. MCP clients need at least one.
    pub fn authorization_server(mut self, issuer: impl Into<String>) -> Self {
        self.authorization_servers.push(issuer.into());
        self
    }

    /// A scope that clients should ask for when they sign in (RFC 6749 section 3.3).
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scopes.push(scope.into());
        self
    }

    /// The path of the endpoint itself.
    pub fn path(&self) -> &str {
        if self.path.is_empty() { "/" } else { &self.path }
    }

    /// Host and port, as in the `host` header of requests to it.
    pub fn authority(&self) -> &str {
        self.origin.split_once("://").map_or("", |(_, authority)| authority)
    }

    /// Where the metadata is served: the well-known name before the resource's own path (RFC 9728 section 3.1).
    pub fn metadata_path(&self) -> String {
        format!("{WELL_KNOWN}{}", self.path)
    }

    /// The same as a whole address.
    pub fn metadata_url(&self) -> String {
        format!("{}{}", self.origin, self.metadata_path())
    }

    /// The metadata document (RFC 9728 section 2).
    pub fn metadata(&self) -> Value {
        let mut document = json!({
            "resource": self.resource,
            "authorization_servers": self.authorization_servers,
            "bearer_methods_supported": ["header"],
        });
        if !self.scopes.is_empty() {
            document["scopes_supported"] = json!(self.scopes);
        }
        document
    }

    /// The parameters of the challenge, without an error (RFC 6750 section 3).
    pub(super) fn challenge(&self) -> String {
        let mut challenge = format!("Bearer resource_metadata=\"{}\"", self.metadata_url());
        // Others cannot be part of a quoted string, and are no scopes.
        let sound = |scope: &&String| scope.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\');
        let scopes: Vec<&str> = self.scopes.iter().filter(sound).map(String::as_str).collect();
        if !scopes.is_empty() {
            challenge.push_str(&format!(", scope=\"{}\"", scopes.join(" ")));
        }
        challenge
    }
}
