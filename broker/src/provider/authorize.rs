//! The authorization request (RFC 6749 §4.1.1) with PKCE S256 (RFC 7636).

use super::ProviderError;
use crate::domain::{ExposeSecret, ProviderSpec, Rng, ScopeSet, SecretString, provider::Pkce};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use oauth2::{
    AuthUrl, ClientId, CsrfToken, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, basic::BasicClient,
};
use url::Url;

/// Parameters that the engine sets; a fixed extra parameter may not shadow one (RFC 6749 §3.1: none twice).
const OURS: [&str; 7] = [
    "response_type",
    "client_id",
    "redirect_uri",
    "state",
    "scope",
    "code_challenge",
    "code_challenge_method",
];

/// A fresh PKCE verifier: 256 random bits as 43 characters (RFC 7636 §4.1).
pub fn new_verifier(rng: &dyn Rng) -> SecretString {
    let mut bytes = [0; 32];
    rng.fill(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes).into()
}

/// Where the user's browser is sent. The challenge is derived here from the verifier, unless the spec's visible
/// opt-out says otherwise (CO4). Scopes are joined by the spec's separator, technical ones included.
///
/// # Errors
/// [`ProviderError::Misconfigured`] when the spec's extra parameters or its URL's own shadow the engine's.
pub(super) fn url(
    spec: &ProviderSpec,
    redirect_uri: &Url,
    state: &str,
    verifier: &SecretString,
    scopes: &ScopeSet,
) -> Result<Url, ProviderError> {
    let extra = spec.authorize_params.iter().map(|(name, _)| name.clone());
    let own = spec.authorize_url.query_pairs().map(|(name, _)| name.into_owned());
    if extra.chain(own).any(|name| OURS.contains(&name.as_str())) {
        return Err(ProviderError::Misconfigured(
            "an extra authorization parameter shadows one of the engine's",
        ));
    }
    let client = BasicClient::new(ClientId::new(spec.client.id.clone()))
        .set_auth_uri(AuthUrl::from_url(spec.authorize_url.clone()))
        .set_redirect_uri(RedirectUrl::from_url(redirect_uri.clone()));
    let mut request = client.authorize_url(|| CsrfToken::new(state.to_owned()));
    let scope = scopes.union(&spec.technical_scopes).join(&spec.scope_separator.to_string());
    if !scope.is_empty() {
        request = request.add_extra_param("scope", scope);
    }
    if spec.pkce == Pkce::S256 {
        let verifier = PkceCodeVerifier::new(verifier.expose_secret().to_owned());
        request = request.set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier));
    }
    for (name, value) in &spec.authorize_params {
        request = request.add_extra_param(name, value);
    }
    Ok(request.url().0)
}
