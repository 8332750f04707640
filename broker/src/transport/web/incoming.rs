//! One request, read once: bounded, with each part checked before a page looks at it.

use super::{
    Web,
    cookies::{self, Cookies},
    csrf::{self, Action},
    failure::Failure,
    guard::TraceId,
    params::{MAX_BYTES, Params},
    texts,
};
use crate::{
    audit::Deadline,
    domain::{Reason, Refusal, WebSession},
    transport::listener::Peer,
    usecase::{Call, Visitor, session::find_session},
};
use axum::{
    RequestExt,
    extract::{ConnectInfo, FromRequest, RawPathParams, Request},
    http::{Method, StatusCode, header},
};
use ring::digest;
use std::{net::IpAddr, sync::Arc, time::Duration};

/// A form that takes longer to arrive is given up.
const BODY_DEADLINE: Duration = Duration::from_secs(10);

/// A request as pages see it.
pub(super) struct Incoming {
    path: Vec<(String, String)>,
    /// Query parameters.
    pub(super) query: Params,
    /// Form fields of a POST.
    pub(super) form: Params,
    /// Cookies.
    pub(super) cookies: Cookies,
    /// For events this request causes.
    pub(super) call: Call,
}

impl FromRequest<Arc<Web>> for Incoming {
    type Rejection = Failure;

    async fn from_request(mut request: Request, web: &Arc<Web>) -> Result<Self, Failure> {
        let path = request.extract_parts::<RawPathParams>().await.map_err(|_| Failure::not_found())?;
        let path = path.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let address = client_address(&request);
        let trace_id = request.extensions().get::<TraceId>().map(|trace| trace.0.clone());
        let call = Call { client_address: address, trace_id, deadline: Deadline::none() };
        let query = Params::parse(request.uri().query().unwrap_or_default().as_bytes())?;
        let headers = request.headers().clone();
        let mut form = Params::default();
        if request.method() == Method::POST {
            csrf::same_origin(&headers, &web.origin)?;
            form = Params::parse(&body(request).await?)?;
        }
        Ok(Self { path, query, form, cookies: Cookies::read(&headers), call })
    }
}

/// Who is at the other end of the connection, if the server was told to note it. Forwarding headers are not believed.
pub(super) fn client_address(request: &Request) -> Option<IpAddr> {
    request.extensions().get::<ConnectInfo<Peer>>().map(|info| info.0.address.ip())
}

/// A form's bytes, within [`MAX_BYTES`] and in time.
///
/// # Errors
/// Of another type, too large, or too slow.
pub(super) async fn body(request: Request) -> Result<Vec<u8>, Failure> {
    let kind = request.headers().get(header::CONTENT_TYPE).map(|value| value.as_bytes().to_vec());
    let kind = kind.as_deref().and_then(|kind| kind.split(|b| *b == b';').next()).unwrap_or_default();
    if !kind.trim_ascii().eq_ignore_ascii_case(b"application/x-www-form-urlencoded") {
        return Err(Failure::told(StatusCode::UNSUPPORTED_MEDIA_TYPE, texts::BAD_REQUEST));
    }
    let read = axum::body::to_bytes(request.into_body(), MAX_BYTES);
    match tokio::time::timeout(BODY_DEADLINE, read).await {
        Ok(Ok(bytes)) => Ok(bytes.to_vec()),
        Ok(Err(_)) => Err(Failure::told(StatusCode::PAYLOAD_TOO_LARGE, texts::BAD_REQUEST)),
        Err(_) => Err(Failure::told(StatusCode::REQUEST_TIMEOUT, texts::BAD_REQUEST)),
    }
}

impl Incoming {
    /// A part of the path.
    pub(super) fn path(&self, name: &str) -> &str {
        self.path.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
    }

    /// The signed-in session, if there is one.
    ///
    /// # Errors
    /// The store's; [`Reason::Blocked`].
    pub(super) async fn session(&self, web: &Web) -> Result<Option<WebSession>, Refusal> {
        match self.cookies.get(cookies::SESSION) {
            Some(cookie) => find_session(&web.rooms, cookie).await,
            None => Ok(None),
        }
    }

    /// The visitor of this session, in this browser.
    pub(super) fn visitor(&self, session: WebSession) -> Visitor {
        let binding = self.cookies.get(cookies::BROWSER).filter(|cookie| cookies::is_token(cookie));
        Visitor { session, browser_hash: binding.map(sha256), call: self.call.clone() }
    }

    /// Who sends this form: signed in, and shown the form in this very session.
    ///
    /// # Errors
    /// Without a session, or with a token that was made for something else.
    pub(super) async fn sender(&self, web: &Web, action: Action, about: &str) -> Result<Visitor, Failure> {
        let Some(session) = self.session(web).await? else {
            return Err(Failure::told(StatusCode::FORBIDDEN, texts::SESSION_OVER));
        };
        let token = self.form.get("csrf", csrf::MAX_TOKEN)?.unwrap_or_default();
        if !csrf::is_ours(web.rooms.keys.cookies(), &session, action, about, token) {
            return Err(Failure::told(StatusCode::FORBIDDEN, texts::FOREIGN_FORM));
        }
        Ok(self.visitor(session))
    }
}

/// What the broker keeps of a cookie's value.
pub(super) fn sha256(text: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
    hash
}

impl From<Reason> for Failure {
    fn from(reason: Reason) -> Self {
        Refusal::new(reason).into()
    }
}
