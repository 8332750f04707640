//! The identity room's fetches over the one outbound client.

use crate::{
    identity::{Fetch, FetchError},
    net::{HttpClient, Limits, NetError, Request},
};
use async_trait::async_trait;
use http::{
    HeaderMap, HeaderValue, Method, StatusCode,
    header::{ACCEPT, AUTHORIZATION},
};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use url::Url;
use zeroize::Zeroizing;

/// Longest fetch of metadata or keys.
const DEADLINE: Duration = Duration::from_secs(5);
/// Largest token shown with a fetch, in bytes.
const LARGEST_TOKEN: u64 = 64 * 1024;

/// One issuer's metadata, with that issuer's allowance.
pub(super) struct IssuerFetch {
    pub(super) client: HttpClient,
    /// The file with the token that a fetch shows; the platform renews it.
    pub(super) token_file: Option<PathBuf>,
}

#[async_trait]
impl Fetch for IssuerFetch {
    async fn get_json(&self, url: &Url, max_bytes: usize) -> Result<Vec<u8>, FetchError> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(file) = &self.token_file {
            headers.insert(AUTHORIZATION, bearer(file).await?);
        }
        let request = Request { method: Method::GET, url: url.clone(), headers, body: Vec::new() };
        let response = self.client.send(request, Limits { max_bytes, total_deadline: DEADLINE }).await;
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

/// The token as it is now. What is wrong with its file is said without any of it.
async fn bearer(file: &Path) -> Result<HeaderValue, FetchError> {
    let fault = |what: &str| FetchError::Unreachable(format!("keys_token_file {}: {what}", file.display()));
    let opened = tokio::fs::File::open(file).await.map_err(|error| fault(&error.kind().to_string()))?;
    let mut text = Zeroizing::new(String::new());
    let mut bounded = tokio::io::AsyncReadExt::take(opened, LARGEST_TOKEN + 1);
    let read = tokio::io::AsyncReadExt::read_to_string(&mut bounded, &mut text).await;
    read.map_err(|_| fault("cannot be read as text"))?;
    if text.len() as u64 > LARGEST_TOKEN {
        return Err(fault("is larger than 64 KiB"));
    }
    let token = text.trim_ascii_end();
    if token.is_empty() {
        return Err(fault("is empty"));
    }
    let value = Zeroizing::new(format!("Bearer {token}"));
    let mut value = HeaderValue::from_str(&value).map_err(|_| fault("holds no token"))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn shown(text: &str) -> Result<HeaderValue, FetchError> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("token");
        std::fs::write(&file, text).unwrap();
        bearer(&file).await
    }

    /// Proves: ID2
    #[tokio::test]
    async fn id2_the_token_for_an_issuers_keys_is_read_each_time_and_never_printed() {
        let header = shown("ey.token\n").await.unwrap();
        assert_eq!(header.as_bytes(), b"Bearer ey.token");
        assert!(!format!("{header:?}").contains("token"));
        for text in ["", "\n", "ey.secret\nmore", "ey.secret\u{7}", &"ey.secret".repeat(8000)] {
            let refused = format!("{:?}", shown(text).await.unwrap_err());
            assert!(refused.contains("keys_token_file") && !refused.contains("secret"), "{refused}");
        }
        assert!(bearer(Path::new("/nowhere/token")).await.is_err());
    }
}
