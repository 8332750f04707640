//! What this room needs of the network: one bounded GET. The outbound client implements it with the allowance of
//! the one issuer it serves; tests implement it over a map.

use async_trait::async_trait;
use url::Url;

/// Why a document could not be fetched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The body is longer than was allowed.
    #[error("the answer is too large")]
    TooLarge,
    /// The destination is not allowed (NE2, NE3).
    #[error("the destination is not allowed")]
    Refused,
    /// An HTTP status other than 200.
    #[error("the answer has status {0}")]
    Status(u16),
    /// No answer: the name did not resolve, no connection, TLS failed, or the time was over.
    #[error("no answer: {0}")]
    Unreachable(String),
}

/// Fetches the metadata of one issuer.
#[async_trait]
pub trait Fetch: Send + Sync {
    /// The body of a 200 answer to `GET url`, no redirects followed, at most `max_bytes` bytes.
    ///
    /// # Errors
    /// [`FetchError`] when there is none.
    async fn get_json(&self, url: &Url, max_bytes: usize) -> Result<Vec<u8>, FetchError>;
}
