//! The engine: what callers use.

use super::{
    ProviderError, Revocation, TokenSet, account, authorize, client_auth,
    pacing::{self, Health, Pacing},
    revoke, token_response,
};
use crate::{
    domain::{
        Account, Clock, ExposeSecret, Kind, ProviderId, ProviderSpec, ScopeSet, SecretString, TenantId,
        Timestamp,
        provider::{Narrowing, Pkce, RevokeStyle},
    },
    metrics::Metrics,
    net::{Cidr, Destination, HttpClient, Limits, NetError, Outbound, Request, Response},
    policy::{ExchangeCode, Refresh, RevokeAtProvider},
    vault::Opened,
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use url::Url;

/// Of one provider call.
const LIMITS: Limits = Limits { max_bytes: 256 * 1024, total_deadline: Duration::from_secs(10) };

/// Longest that any call of the engine takes, in waiting for its turn and on the wire. A refresh lease outlives it.
pub const WORST_CASE: Duration = LIMITS.total_deadline.saturating_add(pacing::TURN);

/// Speaks OAuth 2.0 to every provider.
pub struct Engine {
    outbound: Arc<Outbound>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    limits: Limits,
    pacing: Pacing,
    clients: Mutex<HashMap<ProviderId, (Destination, HttpClient)>>,
}

impl Engine {
    /// An engine on `outbound`; expiry and `Retry-After` dates are counted on `clock`.
    pub fn new(outbound: Arc<Outbound>, clock: Arc<dyn Clock>) -> Self {
        Self::with_limits(outbound, clock, LIMITS)
    }

    pub(super) fn with_limits(outbound: Arc<Outbound>, clock: Arc<dyn Clock>, limits: Limits) -> Self {
        let pacing = Pacing::new(clock.clone());
        let metrics = Metrics::default();
        Self { outbound, clock, metrics, limits, pacing, clients: Mutex::default() }
    }

    /// Times its calls in these metrics.
    #[must_use]
    pub fn metered(self, metrics: Metrics) -> Self {
        Self { metrics, ..self }
    }

    async fn timed<T>(
        &self,
        spec: &ProviderSpec,
        call: &'static str,
        answer: impl Future<Output = Result<T, ProviderError>>,
    ) -> Result<T, ProviderError> {
        let began = self.clock.monotonic();
        let answer = answer.await;
        let took = self.clock.monotonic().saturating_sub(began);
        self.metrics.provider_call(spec.id.as_str(), call, answer.is_ok(), took);
        answer
    }

    /// The URL at which the user grants `scopes`, with the PKCE challenge of `verifier` (RFC 6749 §4.1.1, RFC 7636).
    ///
    /// # Errors
    /// [`ProviderError::Misconfigured`].
    pub fn authorize_url(
        &self,
        spec: &ProviderSpec,
        redirect_uri: &Url,
        state: &str,
        verifier: &SecretString,
        scopes: &ScopeSet,
    ) -> Result<Url, ProviderError> {
        authorize::url(spec, redirect_uri, state, verifier, scopes)
    }

    /// Redeems an authorization code (RFC 6749 §4.1.3). [`super::check_iss`] comes first.
    ///
    /// # Errors
    /// [`ProviderError`]; a code is single use, so only an error that was not received can be retried.
    pub async fn exchange_code(
        &self,
        spec: &ProviderSpec,
        code: SecretString,
        redirect_uri: &Url,
        verifier: Opened<ExchangeCode>,
        requested: &ScopeSet,
    ) -> Result<TokenSet, ProviderError> {
        let tenant = verifier.tenant().clone();
        let verifier = verifier.spend();
        let mut params = vec![
            ("grant_type", "authorization_code"),
            ("code", code.expose_secret()),
            ("redirect_uri", redirect_uri.as_str()),
        ];
        if spec.pkce == Pkce::S256 {
            params.push(("code_verifier", verifier.expose_secret()));
        }
        self.timed(spec, "code", self.token(spec, &tenant, &params, requested)).await
    }

    /// Obtains a fresh access token (RFC 6749 §6). `scopes` is sent only where the provider narrows; `held` is what
    /// the connection holds, and what an answer without `scope` then means.
    ///
    /// # Errors
    /// [`ProviderError`]; see [`ProviderError::Protocol`] for a refresh token that must be stored all the same.
    pub async fn refresh(
        &self,
        spec: &ProviderSpec,
        token: Opened<Refresh>,
        scopes: Option<&ScopeSet>,
        held: &ScopeSet,
    ) -> Result<TokenSet, ProviderError> {
        let tenant = token.tenant().clone();
        let token = token.spend();
        let narrowed =
            scopes.filter(|scopes| spec.narrowing == Narrowing::RefreshWithScope && *scopes != held);
        // Technical scopes stay: without `offline_access` some would answer without a refresh token.
        let scope = narrowed
            .map(|scopes| scopes.union(&spec.technical_scopes).join(&spec.scope_separator.to_string()));
        let mut params = vec![("grant_type", "refresh_token"), ("refresh_token", token.expose_secret())];
        if let Some(scope) = scope.as_deref().filter(|scope| !scope.is_empty()) {
            params.push(("scope", scope));
        }
        self.timed(spec, "refresh", self.token(spec, &tenant, &params, narrowed.unwrap_or(held))).await
    }

    /// Ends a token at the provider (RFC 7009 §2.1).
    ///
    /// # Errors
    /// [`ProviderError`]: not revoked, as far as is known.
    pub async fn revoke<K: Kind>(
        &self,
        spec: &ProviderSpec,
        token: Opened<RevokeAtProvider<K>>,
    ) -> Result<Revocation, ProviderError> {
        let (RevokeStyle::Rfc7009(url), Some(hint)) = (&spec.revoke, revoke::hint::<K>()) else {
            return Ok(Revocation::Unsupported);
        };
        let tenant = token.tenant().clone();
        let token = token.spend();
        let params = [("token", token.expose_secret()), ("token_type_hint", hint)];
        let ended = async {
            let (response, sent_at) =
                self.call(spec, &tenant, client_auth::post(&spec.client, url, &params)).await?;
            revoke::read(&response, sent_at)
        };
        self.timed(spec, "revoke", ended).await
    }

    /// Asks whose account the access token of somebody in `tenant` belongs to (CO11).
    ///
    /// # Errors
    /// [`ProviderError`], also when the answer holds no usable id.
    pub async fn account(
        &self,
        spec: &ProviderSpec,
        tenant: &TenantId,
        access_token: &SecretString,
    ) -> Result<Account, ProviderError> {
        let (response, sent_at) = self.call(spec, tenant, account::request(spec, access_token)?).await?;
        account::read(&spec.account, &response, sent_at)
    }

    async fn token(
        &self,
        spec: &ProviderSpec,
        tenant: &TenantId,
        params: &[(&str, &str)],
        asked: &ScopeSet,
    ) -> Result<TokenSet, ProviderError> {
        let request = client_auth::post(&spec.client, &spec.token_url, params);
        let (response, sent_at) = self.call(spec, tenant, request).await?;
        token_response::read(spec, &response, asked, sent_at)
    }

    async fn call(
        &self,
        spec: &ProviderSpec,
        tenant: &TenantId,
        request: Request,
    ) -> Result<(Response, Timestamp), ProviderError> {
        let client = self.client(spec)?;
        let host = request.url.host_str().unwrap_or_default().to_owned();
        let sent_at = self.clock.now();
        let call = client.send(request, self.limits);
        let response = self.pacing.run(tenant, &spec.client.id, &host, call, health).await?;
        Ok((response, sent_at))
    }

    /// The provider's HTTP client, made anew when its allowances were changed by a reload.
    fn client(&self, spec: &ProviderSpec) -> Result<HttpClient, ProviderError> {
        let destination = destination(spec)?;
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, client)) = clients.get(&spec.id).filter(|(known, _)| *known == destination) {
            return Ok(client.clone());
        }
        let client = self.outbound.client(&destination)?;
        clients.insert(spec.id.clone(), (destination, client.clone()));
        Ok(client)
    }
}

/// What is allowed on the way to the provider. An operator who allows a loopback range has a peer on this machine in
/// mind, so plain HTTP to it comes with that.
fn destination(spec: &ProviderSpec) -> Result<Destination, ProviderError> {
    let networks: Result<Vec<Cidr>, _> = spec.allowed_networks.iter().map(|text| text.parse()).collect();
    let allowed_networks =
        networks.map_err(|_| ProviderError::Misconfigured("an allowed network is not an address range"))?;
    Ok(Destination {
        name: spec.id.as_str().to_owned(),
        loopback_http: allowed_networks.iter().any(Cidr::is_loopback),
        allowed_networks,
        ca_file: spec.ca_file.clone(),
    })
}

/// Only transport errors and 5xx open the breaker.
fn health(result: &Result<Response, NetError>) -> Health {
    match result {
        Ok(response) if response.status.is_server_error() => Health::Bad,
        Ok(_) | Err(NetError::TooBig { .. }) => Health::Good,
        Err(NetError::Connect | NetError::Tls | NetError::Timeout | NetError::Broken) => Health::Bad,
        Err(_) => Health::Unknown,
    }
}
