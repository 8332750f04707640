//! An identity provider's metadata (OpenID Connect Discovery), fetched when first needed and kept for a while.

use super::LoginError;
use crate::{domain::Clock, net::OAuthHttp};
use openidconnect::{
    AdditionalProviderMetadata, AuthUrl, IssuerUrl, ProviderMetadata, TokenUrl,
    core::{
        CoreAuthDisplay, CoreClaimName, CoreClaimType, CoreClientAuthMethod, CoreGrantType, CoreJsonWebKey,
        CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm, CoreResponseMode, CoreResponseType,
        CoreSubjectIdentifierType,
    },
};
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};
use tokio::sync::Mutex;

/// Older metadata is fetched anew.
const FRESH: Duration = Duration::from_secs(600);
/// Metadata that cannot be fetched anew serves at most this long.
const MAX_AGE: Duration = Duration::from_secs(6 * 3600);
/// After a failure nobody asks again for this long.
const PAUSE: Duration = Duration::from_secs(5);
/// For discovery as a whole.
const DEADLINE: Duration = Duration::from_secs(10);

/// What discovery adds to the crate's own list.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Rfc9207 {
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

impl AdditionalProviderMetadata for Rfc9207 {}

type Discovered = ProviderMetadata<
    Rfc9207,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

/// What the login needs of it.
#[derive(Clone, Debug)]
pub(super) struct Metadata {
    pub(super) authorize: AuthUrl,
    pub(super) token: TokenUrl,
    /// The client secret goes into the body: the issuer takes it there and does not take it in a header.
    pub(super) secret_in_body: bool,
    /// Every answer carries `iss` (RFC 9207 §3).
    pub(super) sends_iss: bool,
}

#[derive(Default)]
struct Kept {
    metadata: Option<(Arc<Metadata>, Duration)>,
    failed_at: Option<Duration>,
}

/// One issuer's metadata. Waiting callers share one fetch.
pub(super) struct Cache {
    issuer: String,
    http: OAuthHttp,
    clock: Arc<dyn Clock>,
    kept: Mutex<Kept>,
}

impl Cache {
    pub(super) fn new(issuer: String, http: OAuthHttp, clock: Arc<dyn Clock>) -> Self {
        Self { issuer, http, clock, kept: Mutex::default() }
    }

    /// The metadata; ages are counted on the monotonic clock.
    ///
    /// # Errors
    /// [`LoginError::Discovery`].
    pub(super) async fn get(&self) -> Result<Arc<Metadata>, LoginError> {
        let mut kept = self.kept.lock().await;
        let now = self.clock.monotonic();
        let young = |at: &Duration, limit| now.saturating_sub(*at) < limit;
        if let Some((metadata, at)) = &kept.metadata
            && young(at, FRESH)
        {
            return Ok(metadata.clone());
        }
        let paused = kept.failed_at.is_some_and(|at| young(&at, PAUSE));
        let failed = if paused {
            LoginError::Discovery("it failed a moment ago")
        } else {
            match self.fetch().await {
                Ok(metadata) => {
                    let metadata = Arc::new(metadata);
                    *kept = Kept { metadata: Some((metadata.clone(), now)), failed_at: None };
                    return Ok(metadata);
                }
                Err(error) => {
                    tracing::warn!(issuer = self.issuer, %error, "discovery for the pages' login failed");
                    kept.failed_at = Some(self.clock.monotonic());
                    error
                }
            }
        };
        match &kept.metadata {
            Some((metadata, at)) if young(at, MAX_AGE) => Ok(metadata.clone()),
            _ => Err(failed),
        }
    }

    async fn fetch(&self) -> Result<Metadata, LoginError> {
        let issuer = IssuerUrl::new(self.issuer.clone())
            .map_err(|_| LoginError::Discovery("the configured issuer is not a URL"))?;
        let asked = tokio::time::timeout(DEADLINE, Discovered::discover_async(issuer, &self.http)).await;
        let found = asked
            .map_err(|_| LoginError::Discovery("no answer in time"))?
            .map_err(|_| LoginError::Discovery("no answer, or one that is not this issuer's metadata"))?;
        if found.issuer().as_str() != self.issuer {
            return Err(LoginError::Discovery("the metadata is another issuer's"));
        }
        // A browser is sent there: no `javascript:` or the like, whoever wrote the metadata.
        if !matches!(found.authorization_endpoint().url().scheme(), "https" | "http") {
            return Err(LoginError::Discovery("the authorization endpoint is no web address"));
        }
        let token = found.token_endpoint().cloned();
        let methods = found.token_endpoint_auth_methods_supported();
        let takes = |wanted| methods.is_some_and(|methods| methods.contains(&wanted));
        Ok(Metadata {
            authorize: found.authorization_endpoint().clone(),
            token: token.ok_or(LoginError::Discovery("the metadata has no token endpoint"))?,
            secret_in_body: takes(CoreClientAuthMethod::ClientSecretPost)
                && !takes(CoreClientAuthMethod::ClientSecretBasic),
            sends_iss: found.additional_metadata().authorization_response_iss_parameter_supported,
        })
    }
}
