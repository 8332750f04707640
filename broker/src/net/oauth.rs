//! The client in the shape that the oauth2 and openidconnect crates expect.

use super::{HttpClient, Limits, NetError, Request};
use oauth2::{AsyncHttpClient, HttpRequest, HttpResponse};
use std::{future::Future, pin::Pin};
use url::Url;

/// Hands the crates' requests to an [`HttpClient`], under the same limits each time.
#[derive(Clone, Debug)]
pub struct OAuthHttp {
    client: HttpClient,
    limits: Limits,
}

impl OAuthHttp {
    /// A client for one destination.
    pub fn new(client: HttpClient, limits: Limits) -> Self {
        Self { client, limits }
    }
}

impl<'c> AsyncHttpClient<'c> for OAuthHttp {
    type Error = NetError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, NetError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let url = Url::parse(&parts.uri.to_string()).map_err(|_| NetError::Malformed("not a URL"))?;
            let request = Request { method: parts.method, url, headers: parts.headers, body };
            let answer = self.client.send(request, self.limits).await?;
            let mut response = HttpResponse::new(answer.body);
            *response.status_mut() = answer.status;
            *response.headers_mut() = answer.headers;
            Ok(response)
        })
    }
}
