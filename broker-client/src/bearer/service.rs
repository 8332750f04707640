//! The layer and its service.

use super::resource::ProtectedResource;
use super::token::{self, Refusal};
use http::header::{HeaderValue, WWW_AUTHENTICATE};
use http::{Request, Response};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower_layer::Layer;
use tower_service::Service;

/// Lets requests with a bearer token through, with the token among their extensions; answers the others itself.
#[derive(Clone, Debug)]
pub struct BearerLayer {
    challenge: Arc<str>,
}

/// What [`BearerLayer`] makes of a service.
#[derive(Clone, Debug)]
pub struct BearerService<S> {
    inner: S,
    challenge: Arc<str>,
}

impl BearerLayer {
    /// For this resource: its metadata is what the challenge points to.
    pub fn new(resource: &ProtectedResource) -> Self {
        Self { challenge: resource.challenge().into() }
    }
}

impl<S> Layer<S> for BearerLayer {
    type Service = BearerService<S>;

    fn layer(&self, inner: S) -> BearerService<S> {
        BearerService { inner, challenge: Arc::clone(&self.challenge) }
    }
}

impl<S, B, R> Service<Request<B>> for BearerService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    R: Default + Send + 'static,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<R>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        match token::take(request.headers_mut()) {
            Ok(assertion) => {
                request.extensions_mut().insert(assertion);
                Box::pin(self.inner.call(request))
            }
            Err(refusal) => {
                tracing::debug!(?refusal, "a request without a usable token");
                let response = refuse(&self.challenge, refusal);
                Box::pin(std::future::ready(Ok(response)))
            }
        }
    }
}

fn refuse<R: Default>(challenge: &str, refusal: Refusal) -> Response<R> {
    let challenge = match refusal.code() {
        Some(code) => format!("{challenge}, error=\"{code}\""),
        None => challenge.to_owned(),
    };
    let mut response = Response::new(R::default());
    *response.status_mut() = refusal.status();
    // It is made of an address and scopes that were checked.
    if let Ok(challenge) = HeaderValue::try_from(challenge) {
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    response
}
