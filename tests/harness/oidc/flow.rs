//! The provider's flows as a person and a client go through them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::{OidcClient, OidcPeer};
use crate::browser::{Browser, same_origin};

/// A driver keeps no secret from itself: one verifier serves every test (RFC 7636 §4.1).
const VERIFIER: &str = "the-verifier-of-a-driver-that-keeps-no-secret-0123456789";

/// A token response (RFC 6749 §5.1).
#[derive(Clone, Debug, Deserialize)]
pub struct Tokens {
    pub access_token: String,
    pub expires_in: u64,
    pub scope: String,
    pub refresh_token: Option<String>,
    pub id_token: Option<String>,
}

/// A token error response (RFC 6749 §5.2).
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct TokenError {
    pub error: String,
}

impl OidcPeer {
    /// Opens `url` at this provider, signs in as `account` and consents wherever asked; returns the address outside
    /// the provider that it finally redirects to (the client's redirect URI), not visited.
    pub async fn login_and_consent(&self, browser: &mut Browser, url: &Url, account: &str) -> Url {
        let mut page = browser.get(url).await;
        for _ in 0..6 {
            let (here, outside) = browser.follow(page, |next| same_origin(next, &self.issuer)).await;
            if let Some(outside) = outside {
                return outside;
            }
            page = if let Some(form) = here.form_with("prompt", "login") {
                browser.submit(&here, &form, &[("login", account), ("password", "any")]).await
            } else if let Some(form) = here.form_with("prompt", "consent") {
                browser.submit(&here, &form, &[]).await
            } else {
                panic!("neither login nor consent at {} ({}): {}", here.url.path(), here.status, here.body);
            };
        }
        panic!("login and consent do not end");
    }

    /// The authorization request of `client` (code, PKCE S256), for [`Self::redeem`].
    pub fn authorize_url(&self, client: &OidcClient, scope: &str, extra: &[(&str, &str)]) -> Url {
        let digest = ring::digest::digest(&ring::digest::SHA256, VERIFIER.as_bytes());
        let mut url = self.endpoint("/auth");
        url.query_pairs_mut()
            .append_pair("client_id", &client.id)
            .append_pair("redirect_uri", &client.redirect_uri)
            .append_pair("response_type", "code")
            .append_pair("scope", scope)
            .append_pair("code_challenge", &URL_SAFE_NO_PAD.encode(digest))
            .append_pair("code_challenge_method", "S256")
            .extend_pairs(extra);
        url
    }

    /// Exchanges the code in a redirect that answered [`Self::authorize_url`].
    pub async fn redeem(&self, client: &OidcClient, redirect: &Url) -> Result<Tokens, TokenError> {
        let code = redirect.query_pairs().find(|(name, _)| name == "code").map(|(_, code)| code.into_owned());
        let code = code.unwrap_or_else(|| panic!("no code in the redirect: {redirect}"));
        let form = [("grant_type", "authorization_code"), ("code", &code), ("code_verifier", VERIFIER)];
        self.token(client, &[&form[..], &[("redirect_uri", client.redirect_uri.as_str())]].concat()).await
    }

    /// Refreshes, narrowed to `scope` if one is given (RFC 6749 §6).
    pub async fn refresh(
        &self,
        client: &OidcClient,
        token: &str,
        scope: Option<&str>,
    ) -> Result<Tokens, TokenError> {
        let mut form = vec![("grant_type", "refresh_token"), ("refresh_token", token)];
        form.extend(scope.map(|scope| ("scope", scope)));
        self.token(client, &form).await
    }

    /// Whether the provider honours `token` (RFC 7662).
    pub async fn is_active(&self, client: &OidcClient, token: &str) -> bool {
        self.introspect(client, token).await["active"] == true
    }

    /// What the provider says of `token` (RFC 7662 §2.2).
    pub async fn introspect(&self, client: &OidcClient, token: &str) -> Value {
        let answer = self.post(client, "/token/introspection", &[("token", token)]).await;
        answer.json().await.expect("an introspection response")
    }

    /// The account that `token` acts for (OpenID Connect Core §5.3), `null` when it is not honoured.
    pub async fn account_of(&self, token: &str) -> Value {
        let answer = self.http.get(self.endpoint("/me")).bearer_auth(token).send().await;
        answer.expect("the provider answers").json::<Value>().await.expect("JSON")["sub"].take()
    }

    /// An ID token for `account` whose audience is `client`, from a whole login in a browser of its own.
    pub async fn id_token(&self, client: &OidcClient, account: &str) -> String {
        let url = self.authorize_url(client, "openid", &[]);
        let redirect = self.login_and_consent(&mut Browser::new(), &url, account).await;
        self.redeem(client, &redirect).await.expect("a token response").id_token.expect("an ID token")
    }

    async fn token(&self, client: &OidcClient, form: &[(&str, &str)]) -> Result<Tokens, TokenError> {
        let response = self.post(client, "/token", form).await;
        if response.status().is_success() {
            Ok(response.json().await.expect("a token response"))
        } else {
            Err(response.json().await.expect("a token error response"))
        }
    }

    async fn post(&self, client: &OidcClient, path: &str, form: &[(&str, &str)]) -> reqwest::Response {
        let request =
            self.http.post(self.endpoint(path)).basic_auth(&client.id, Some(&client.secret)).form(form);
        request.send().await.expect("the provider answers")
    }
}
