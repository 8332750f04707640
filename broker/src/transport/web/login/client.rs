//! The broker as a client of one identity provider.

use super::{
    metadata::{Cache, Metadata},
    pending::PendingLogin,
};
use crate::{
    domain::{Clock, ExposeSecret, RealmId, Reason, Refusal, SecretString},
    net::OAuthHttp,
};
use oauth2::{
    AuthType, AuthorizationCode, Client, ClientId, ClientSecret, CsrfToken, EndpointNotSet, EndpointSet,
    ExtraTokenFields, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope, StandardRevocableToken,
    StandardTokenResponse,
    basic::{
        BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse, BasicTokenType,
    },
};
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};
use url::Url;

/// For redeeming a code.
const DEADLINE: Duration = Duration::from_secs(10);
/// When to try again after the identity provider did not answer.
const RETRY: Duration = Duration::from_secs(10);

/// How people of one realm sign in.
#[derive(Clone, Debug)]
pub struct LoginSpec {
    /// The issuer's configured name; [`crate::identity`] verifies its ID tokens.
    pub issuer_name: String,
    /// The `iss` value, compared byte for byte.
    pub issuer: String,
    /// The realm whose people sign in here.
    pub realm: RealmId,
    /// The broker's client id there.
    pub client_id: String,
    /// The client secret; `None` = a public client.
    pub client_secret: Option<SecretString>,
    /// Scopes beside `openid`, e.g. `profile`.
    pub scopes: Vec<String>,
    /// The way there.
    pub http: OAuthHttp,
}

/// Why nobody was signed in. Holds nothing that the identity provider sent.
#[derive(Debug, Clone, Copy, thiserror::Error, PartialEq, Eq)]
pub(in crate::transport::web) enum LoginError {
    /// The metadata cannot be had.
    #[error("the identity provider's metadata cannot be had: {0}")]
    Discovery(&'static str),
    /// The code could not be redeemed now.
    #[error("the identity provider's token endpoint gave no usable answer")]
    Unavailable,
    /// The code was refused, or the broker as a client.
    #[error("the identity provider refused the code or the broker's client credentials")]
    Refused,
    /// The answer has no ID token: the client lacks the scope `openid`, or it is no OpenID provider.
    #[error("the identity provider's answer has no ID token")]
    NoIdToken,
    /// RFC 9207: the answer comes from somebody else.
    #[error("the answer's issuer is missing or another one")]
    WrongIssuer,
}

impl From<LoginError> for Refusal {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::Discovery(_) | LoginError::Unavailable => {
                Self::new(Reason::IssuerUnavailable).retry_after(RETRY)
            }
            LoginError::Refused | LoginError::NoIdToken => Self::new(Reason::AssertionInvalid),
            LoginError::WrongIssuer => Self::new(Reason::AssertionInvalid),
        }
        .caused_by(error)
    }
}

/// The ID token as text: nothing of it is believed before [`crate::identity`] has looked at it.
#[derive(Deserialize, Serialize)]
struct IdTokenText {
    id_token: Option<String>,
}

impl ExtraTokenFields for IdTokenText {}

/// A token: not printed.
impl std::fmt::Debug for IdTokenText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IdTokenText(…)")
    }
}

type OAuthClient = Client<
    BasicErrorResponse,
    StandardTokenResponse<IdTokenText, BasicTokenType>,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

/// One login client.
pub(in crate::transport::web) struct LoginClient {
    /// How it was configured.
    pub(in crate::transport::web) spec: LoginSpec,
    metadata: Cache,
}

impl LoginClient {
    pub(super) fn new(spec: LoginSpec, clock: Arc<dyn Clock>) -> Self {
        let metadata = Cache::new(spec.issuer.clone(), spec.http.clone(), clock);
        Self { spec, metadata }
    }

    /// Where the browser goes to sign in. `again` asks for the credentials even of somebody who is signed in there.
    ///
    /// # Errors
    /// [`LoginError::Discovery`].
    pub(in crate::transport::web) async fn authorize_url(
        &self,
        pending: &PendingLogin,
        redirect_uri: Url,
        again: bool,
    ) -> Result<Url, LoginError> {
        let metadata = self.metadata.get().await?;
        let client = self.client(&metadata, redirect_uri);
        let verifier = PkceCodeVerifier::new(pending.verifier.clone());
        let mut request = client
            .authorize_url(|| CsrfToken::new(pending.state.clone()))
            .add_scope(Scope::new("openid".into()))
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
            .add_extra_param("nonce", pending.nonce.clone());
        for scope in self.spec.scopes.iter().filter(|scope| *scope != "openid") {
            request = request.add_scope(Scope::new(scope.clone()));
        }
        if again {
            request = request.add_extra_param("prompt", "login");
        }
        Ok(request.url().0)
    }

    /// RFC 9207 §2.4: an `iss` that is there must be the issuer's; one that was promised must be there.
    ///
    /// # Errors
    /// [`LoginError::WrongIssuer`]; [`LoginError::Discovery`].
    pub(in crate::transport::web) async fn check_iss(&self, iss: Option<&str>) -> Result<(), LoginError> {
        let good = match iss {
            Some(iss) => iss == self.spec.issuer,
            None => !self.metadata.get().await?.sends_iss,
        };
        if good { Ok(()) } else { Err(LoginError::WrongIssuer) }
    }

    /// Redeems the code for an ID token, unverified.
    ///
    /// # Errors
    /// [`LoginError`].
    pub(in crate::transport::web) async fn redeem(
        &self,
        code: SecretString,
        pending: &PendingLogin,
        redirect_uri: Url,
    ) -> Result<SecretString, LoginError> {
        let metadata = self.metadata.get().await?;
        let client = self.client(&metadata, redirect_uri);
        let asked = client
            .exchange_code(AuthorizationCode::new(code.expose_secret().to_owned()))
            .set_pkce_verifier(PkceCodeVerifier::new(pending.verifier.clone()))
            .request_async(&self.spec.http);
        let answer = match tokio::time::timeout(DEADLINE, asked).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(oauth2::RequestTokenError::ServerResponse(_))) => return Err(LoginError::Refused),
            Ok(Err(_)) | Err(_) => return Err(LoginError::Unavailable),
        };
        answer.extra_fields().id_token.clone().map(Into::into).ok_or(LoginError::NoIdToken)
    }

    fn client(&self, metadata: &Metadata, redirect_uri: Url) -> OAuthClient {
        let client = Client::new(ClientId::new(self.spec.client_id.clone()))
            .set_auth_uri(metadata.authorize.clone())
            .set_token_uri(metadata.token.clone())
            .set_redirect_uri(RedirectUrl::from_url(redirect_uri));
        let client = match &self.spec.client_secret {
            Some(secret) => client.set_client_secret(ClientSecret::new(secret.expose_secret().to_owned())),
            None => client,
        };
        let auth = if metadata.secret_in_body { AuthType::RequestBody } else { AuthType::BasicAuth };
        client.set_auth_type(auth)
    }
}
