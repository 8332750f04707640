//! How the broker proves itself at a token or revocation endpoint: in exactly one way (RFC 6749 §2.3.1).

use crate::{
    domain::{
        ExposeSecret,
        provider::{ClientAuth, ProviderClient},
    },
    net::Request,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{
    HeaderMap, HeaderValue, Method,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE},
};
use url::{Url, form_urlencoded};
use zeroize::Zeroizing;

/// A form POST to one of the provider's own endpoints, authenticated.
pub(super) fn post(client: &ProviderClient, url: &Url, params: &[(&str, &str)]) -> Request {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(params);
    match client.auth {
        ClientAuth::Basic => {
            headers.insert(AUTHORIZATION, basic(client));
        }
        ClientAuth::Post => {
            form.append_pair("client_id", &client.id);
            if !client.secret.expose_secret().is_empty() {
                form.append_pair("client_secret", client.secret.expose_secret());
            }
        }
    }
    Request { method: Method::POST, url: url.clone(), headers, body: form.finish().into_bytes() }
}

/// Both halves are form-encoded before they are joined, so that a colon in the id cannot shift the border.
fn basic(client: &ProviderClient) -> HeaderValue {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = Zeroizing::new(format!("{}:{}", encode(&client.id), encode(client.secret.expose_secret())));
    let mut value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(pair.as_bytes())))
        .expect("base64 is made of header characters");
    value.set_sensitive(true);
    value
}
