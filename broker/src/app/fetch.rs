//! The identity room's fetches over the one outbound client.

use crate::{
    identity::{Fetch, FetchError},
    net::{HttpClient, Limits, NetError, Request},
};
use async_trait::async_trait;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header::ACCEPT};
use std::time::Duration;
use url::Url;

/// Longest fetch of metadata or keys.
const DEADLINE: Duration = Duration::from_secs(5);

/// One issuer's metadata, with that issuer's allowance.
pub(super) struct IssuerFetch(pub(super) HttpClient);

#[async_trait]
impl Fetch for IssuerFetch {
    async fn get_json(&self, url: &Url, max_bytes: usize) -> Result<Vec<u8>, FetchError> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let request = Request { method: Method::GET, url: url.clone(), headers, body: Vec::new() };
        let response = self.0.send(request, Limits { max_bytes, total_deadline: DEADLINE }).await;
        let response = response.map_err(|error| match error {
            NetError::TooBig { .. } => FetchError::TooLarge,
            NetError::Refused { .. } | NetError::Insecure => FetchError::Refused,
            other => FetchError::Unreachable(other.to_string()),
        })?;
        if response.status != StatusCode::OK {
            return Err(FetchError::Status(response.status.as_u16()));
        }
        Ok(response.body)
    }
}
