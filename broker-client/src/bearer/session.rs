//! MCP sessions that are one user's.

use crate::random::Random;
use crate::{Assertion, Error, principal};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{HeaderName, HeaderValue};
use http::{Request, Response, StatusCode};
use ring::hmac;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tower_layer::Layer;
use tower_service::Service;

/// Carries the session's id, both ways (MCP 2025-11-25, streamable HTTP, "Session Management").
const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
/// Stands between a session's id and whose it is.
const OF: char = '.';

/// Binds MCP sessions to their users: whoever shows a session's id beside another user's token is answered 404, as for a session
/// that is not there.
///
/// Put it inside a [`BearerLayer`](super::BearerLayer) that is [verified](super::BearerLayer::verified_by), around whatever
/// serves your MCP endpoint. The ids that clients see are the server's own and a tag that is made of the id and its user; nothing
/// is remembered, and the server inside sees its own ids alone. The tags are made under a key that ends with the process, as
/// sessions in its memory do. A user's token may be renewed in the course of a session, where it is a JWT with `iss` and `sub`.
#[derive(Clone)]
pub struct SessionLayer {
    key: hmac::Key,
}

/// What [`SessionLayer`] makes of a service.
#[derive(Clone)]
pub struct SessionService<S> {
    inner: S,
    layer: SessionLayer,
}

impl SessionLayer {
    /// With a key of its own.
    ///
    /// # Errors
    /// [`Error::Configuration`] when the system gives no randomness.
    pub fn new() -> Result<Self, Error> {
        let secret: [u8; 32] = Random::default().bytes()?;
        Ok(Self { key: hmac::Key::new(hmac::HMAC_SHA256, &secret) })
    }

    /// As the client sees it.
    fn outside(&self, id: &str, assertion: &Assertion) -> String {
        let tag = hmac::sign(&self.key, &named(id, assertion));
        format!("{id}{OF}{}", URL_SAFE_NO_PAD.encode(tag))
    }

    /// As the server inside does; `None` where it is not this user's.
    fn inside<'a>(&self, shown: &'a str, assertion: &Assertion) -> Option<&'a str> {
        let (id, tag) = shown.rsplit_once(OF)?;
        let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
        hmac::verify(&self.key, &named(id, assertion), &tag).ok()?;
        Some(id)
    }

    /// Gives the server inside its own id; `None` where this user has no such session.
    fn enter<B>(&self, request: &mut Request<B>) -> Option<()> {
        let mut shown = request.headers().get_all(&SESSION).iter();
        let Some(first) = shown.next() else { return Some(()) };
        if shown.next().is_some() {
            return None;
        }
        let assertion = request.extensions().get::<Assertion>()?;
        let id = HeaderValue::from_str(self.inside(first.to_str().ok()?, assertion)?).ok()?;
        request.headers_mut().insert(SESSION, id);
        Some(())
    }

    /// Gives the client an id that is its user's. One without a user is not given out.
    fn leave<R>(&self, response: &mut Response<R>, assertion: Option<&Assertion>) {
        let Some(id) = response.headers_mut().remove(&SESSION) else { return };
        if assertion.is_none() {
            tracing::warn!(
                "a session without a user was not given out: put SessionLayer inside a BearerLayer"
            );
        }
        let outside = id.to_str().ok().zip(assertion).map(|(id, assertion)| self.outside(id, assertion));
        if let Some(Ok(id)) = outside.map(HeaderValue::try_from) {
            response.headers_mut().insert(SESSION, id);
        }
    }
}

fn named(id: &str, assertion: &Assertion) -> Vec<u8> {
    [&principal::of(assertion)[..], id.as_bytes()].concat()
}

impl<S> Layer<S> for SessionLayer {
    type Service = SessionService<S>;

    fn layer(&self, inner: S) -> SessionService<S> {
        SessionService { inner, layer: self.clone() }
    }
}

impl<S, B, R> Service<Request<B>> for SessionService<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    B: Send + 'static,
    R: Default + Send + 'static,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<R>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        if self.layer.enter(&mut request).is_none() {
            tracing::debug!("a session that is not this user's");
            let mut missing = Response::new(R::default());
            *missing.status_mut() = StatusCode::NOT_FOUND;
            return Box::pin(async move { Ok(missing) });
        }
        let assertion = request.extensions().get::<Assertion>().cloned();
        let layer = self.layer.clone();
        let answer = self.inner.call(request);
        Box::pin(async move {
            let mut response = answer.await?;
            layer.leave(&mut response, assertion.as_ref());
            Ok(response)
        })
    }
}

impl fmt::Debug for SessionLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionLayer").finish_non_exhaustive()
    }
}

impl<S> fmt::Debug for SessionService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionService").finish_non_exhaustive()
    }
}
