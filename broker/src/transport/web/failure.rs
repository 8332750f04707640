//! The one place where a refusal becomes a page.

use super::{
    guard::TraceId,
    pages,
    texts::{self, Explained},
};
use crate::domain::{Reason, Refusal};
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use maud::Markup;
use std::{sync::Arc, time::Duration};

/// When to come back if nothing better is known.
const LATER: Duration = Duration::from_secs(30);

/// Why a page cannot be shown. Travels to [`super::guard`], which knows the trace id.
#[derive(Clone)]
pub(super) struct Failure {
    refusal: Arc<Refusal>,
    told: Option<(StatusCode, Explained)>,
    /// Where the person may go on.
    link: Option<String>,
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self { refusal: Arc::new(refusal), told: None, link: None }
    }
}

impl Failure {
    /// Something that has words of its own.
    pub(super) fn told(status: StatusCode, words: Explained) -> Self {
        Self { told: Some((status, words)), ..Refusal::new(Reason::InvalidArgument).into() }
    }

    /// Nothing is here.
    pub(super) fn not_found() -> Self {
        Refusal::new(Reason::NotFound).into()
    }

    /// Something is here, but not for this method.
    pub(super) fn wrong_method() -> Self {
        Self::told(StatusCode::METHOD_NOT_ALLOWED, texts::BAD_REQUEST)
    }

    /// The same with a page of ours to go on to.
    #[must_use]
    pub(super) fn then(mut self, path: impl Into<String>) -> Self {
        self.link = Some(path.into());
        self
    }

    /// The reason.
    pub(super) fn reason(&self) -> Reason {
        self.refusal.reason
    }

    /// Its status.
    pub(super) fn status(&self) -> StatusCode {
        self.told.map_or_else(|| status(self.refusal.reason), |(status, _)| status)
    }

    /// The page, under the headers that `response` has already.
    pub(super) fn page(&self, trace: &TraceId, response: Response) -> Response {
        let (status, markup) = match self.told {
            Some((status, words)) => (status, pages::error(words, self.link.as_deref(), &trace.0)),
            None => page_error(&self.refusal, self.link.as_deref(), &trace.0),
        };
        if status.is_server_error() {
            let reason = self.refusal.reason.as_str();
            tracing::warn!(trace_id = trace.0, reason, error = ?self.refusal, "a page failed");
        }
        let (mut parts, _) = response.into_parts();
        parts.status = status;
        let mut page = (parts.headers.clone(), Html(markup.into_string())).into_response();
        *page.status_mut() = status;
        let kind = HeaderValue::from_static("text/html; charset=utf-8");
        page.headers_mut().insert(header::CONTENT_TYPE, kind);
        page.headers_mut().remove(header::CONTENT_LENGTH);
        let retry = self.refusal.retry_after.or((status == StatusCode::SERVICE_UNAVAILABLE).then_some(LATER));
        if let Some(delay) = retry {
            page.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(delay.as_secs().max(1)));
        }
        page
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        // A status for the case that no guard stands around the page.
        let mut response = StatusCode::INTERNAL_SERVER_ERROR.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// A refusal as a page for a person: what happened and what to do, never the log's details.
pub(super) fn page_error(refusal: &Refusal, link: Option<&str>, trace: &str) -> (StatusCode, Markup) {
    (status(refusal.reason), pages::error(texts::explain(refusal.reason), link, trace))
}

/// Same reason ⇔ same status.
pub(super) const fn status(reason: Reason) -> StatusCode {
    match reason {
        Reason::InvalidArgument | Reason::ScopeUnknown => StatusCode::BAD_REQUEST,
        Reason::NotFound | Reason::ProviderUnknown => StatusCode::NOT_FOUND,
        Reason::Conflict
        | Reason::RequestIdReused
        | Reason::RequestIdStale
        | Reason::Revoked
        | Reason::ConsentDeclined
        | Reason::ConsentScopesReduced
        | Reason::ConsentAccountChanged => StatusCode::CONFLICT,
        Reason::ConsentExpired => StatusCode::GONE,
        Reason::WorkloadCredentialMissing
        | Reason::WorkloadCredentialInvalid
        | Reason::AssertionMissing
        | Reason::AssertionInvalid
        | Reason::AssertionExpired
        | Reason::AssertionReplayed
        | Reason::AssertionAudience
        | Reason::PolicyDenied
        | Reason::PolicyError
        | Reason::RoleMissing
        | Reason::MethodNotAllowed
        | Reason::Blocked
        | Reason::TokenOutlivesGrant
        | Reason::ConsentUserMismatch
        | Reason::ConsentOtherBrowser
        | Reason::ConsentIssuerMismatch => StatusCode::FORBIDDEN,
        Reason::RateLimited | Reason::TooManyConsents => StatusCode::TOO_MANY_REQUESTS,
        Reason::IssuerUnavailable
        | Reason::AuditUnavailable
        | Reason::StoreUnavailable
        | Reason::KeyUnavailable
        | Reason::ProviderUnavailable
        | Reason::ProviderRateLimited
        | Reason::Overloaded
        | Reason::DeadlineExceeded => StatusCode::SERVICE_UNAVAILABLE,
        Reason::IssuerUnknown
        | Reason::RecordQuarantined
        | Reason::ProviderClientRejected
        | Reason::ProviderGrantRejected
        | Reason::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
