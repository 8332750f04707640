//! gRPC byte by byte: HTTP/2 requests that no gRPC library would send.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use prost::Message;
use reqwest::{Method, header::HeaderMap};
use tonic_types::pb;

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub http: u16,
    /// `grpc-status`, when the answer is headers only.
    pub grpc: Option<i32>,
    /// `ErrorInfo.reason`.
    pub reason: Option<String>,
}

/// An HTTP/2 client without TLS, for one broker.
pub struct Wire {
    client: reqwest::Client,
    base: String,
}

impl Wire {
    /// For the broker at `base`.
    #[expect(
        clippy::disallowed_methods,
        reason = "the tests stand outside the broker, whose rule for outbound calls this is"
    )]
    pub fn to(base: String) -> Wire {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder =
            reqwest::Client::builder().http2_prior_knowledge().timeout(Duration::from_secs(5)).no_proxy();
        Wire { client: builder.build().expect("a client"), base }
    }

    /// One request; `Err` when the connection or stream was torn down instead of answered.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: impl Into<reqwest::Body>,
    ) -> Result<Answer, reqwest::Error> {
        let request = self.client.request(method, format!("{}{path}", self.base)).headers(headers).body(body);
        let response = request.send().await?;
        let headers = response.headers().clone();
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let answer = Answer {
            http: response.status().as_u16(),
            grpc: text("grpc-status").and_then(|code| code.parse().ok()),
            reason: text("grpc-status-details-bin").and_then(reason),
        };
        // To the end: a body that never ends is a hang.
        response.bytes().await?;
        Ok(answer)
    }
}

fn reason(details: &str) -> Option<String> {
    let bytes = STANDARD_NO_PAD.decode(details.trim_end_matches('=')).ok()?;
    let status = pb::Status::decode(&*bytes).ok()?;
    let info = status.details.iter().find(|any| any.type_url.ends_with("google.rpc.ErrorInfo"))?;
    pb::ErrorInfo::decode(&*info.value).ok().map(|info| info.reason)
}

/// A gRPC frame around a message.
pub fn frame(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("a small message");
    [&[0], &length.to_be_bytes()[..], message].concat()
}
