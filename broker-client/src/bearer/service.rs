//! The layer and its service.

use super::check::TokenCheck;
use super::resource::ProtectedResource;
use super::token::{self, Refusal};
use crate::Client;
use http::header::{HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
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
    check: Option<Arc<TokenCheck>>,
}

/// What [`BearerLayer`] makes of a service.
#[derive(Clone, Debug)]
pub struct BearerService<S> {
    inner: S,
    layer: BearerLayer,
}

impl BearerLayer {
    /// For this resource: its metadata is what the challenge points to.
    pub fn new(resource: &ProtectedResource) -> Self {
        Self { challenge: resource.challenge().into(), check: None }
    }

    /// Lets nobody through whose token the broker does not take: a token that ran out is answered 401, upon which MCP clients
    /// fetch a fresh one. Each token is shown to the broker once a minute, and again after its own `exp`
    /// ([`Client::verify_user_token`]); while the broker cannot be reached, others are answered 503.
    ///
    /// Made-up tokens do not use up what the broker grants your workload: of those that were not good within the last hour, 50
    /// a second are shown to it, after a burst of 100, and the others answered 503 with `Retry-After`. That bound is shared by
    /// everybody who is new, so put a limit for each client in front of a server that strangers can reach.
    pub fn verified_by(self, client: Client) -> Self {
        Self { check: Some(Arc::new(TokenCheck::new(client))), ..self }
    }
}

impl<S> Layer<S> for BearerLayer {
    type Service = BearerService<S>;

    fn layer(&self, inner: S) -> BearerService<S> {
        BearerService { inner, layer: self.clone() }
    }
}

impl<S, B, R> Service<Request<B>> for BearerService<S>
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
        // The one that said it is ready is the one to call.
        let waiting = self.inner.clone();
        let mut ready = std::mem::replace(&mut self.inner, waiting);
        let BearerLayer { challenge, check } = self.layer.clone();
        Box::pin(async move {
            match admit(&mut request, check.as_deref()).await {
                Ok(()) => ready.call(request).await,
                Err(refusal) => {
                    tracing::debug!(?refusal, "a request without a usable token");
                    Ok(refuse(&challenge, refusal))
                }
            }
        })
    }
}

async fn admit<B>(request: &mut Request<B>, check: Option<&TokenCheck>) -> Result<(), Refusal> {
    let assertion = token::take(request.headers_mut())?;
    if let Some(check) = check {
        check.verify(&assertion).await?;
    }
    request.extensions_mut().insert(assertion);
    Ok(())
}

fn refuse<R: Default>(challenge: &str, refusal: Refusal) -> Response<R> {
    let mut response = Response::new(R::default());
    *response.status_mut() = refusal.status();
    // It is made of an address and scopes that were checked, so it is one.
    if let Some(Ok(challenge)) = refusal.challenge(challenge).map(HeaderValue::try_from) {
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    if let Some(seconds) = refusal.retry_after() {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}
