//! The peers are what the other tests take them for: a provider that rotates, detects replay, and misbehaves to order.

use broker_tests::browser::Browser;
use broker_tests::oidc::{Fault, OidcClient, OidcConfig, OidcPeer, TokenError, Tokens};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::Value;

const CALLBACK: &str = "http://127.0.0.1:1/callback";
const SCOPES: &str = "openid offline_access profile notes.read notes.write";

async fn provider(id_token_alg: &'static str) -> (OidcPeer, OidcClient) {
    let client = OidcClient { id_token_alg, ..OidcClient::new("notes-client", CALLBACK) };
    let peer = OidcPeer::start(OidcConfig { clients: vec![client.clone()], ..OidcConfig::default() }).await;
    (peer, client)
}

async fn connect(peer: &OidcPeer, client: &OidcClient) -> Result<Tokens, TokenError> {
    let url = peer.authorize_url(client, SCOPES, &[("prompt", "consent"), ("state", "s-1")]);
    let redirect = peer.login_and_consent(&mut Browser::new(), &url, "alice").await;
    let query: Vec<_> = redirect.query_pairs().into_owned().collect();
    assert!(redirect.as_str().starts_with(CALLBACK), "{redirect}");
    assert!(query.contains(&("state".into(), "s-1".into())));
    assert!(query.contains(&("iss".into(), peer.issuer().into())), "RFC 9207: {redirect}");
    peer.redeem(client, &redirect).await
}

fn invalid_grant() -> TokenError {
    TokenError { error: "invalid_grant".into() }
}

#[tokio::test]
async fn a_refresh_rotates_and_a_replay_kills_the_family() {
    let (peer, client) = provider("ES256").await;
    let first = connect(&peer, &client).await.expect("tokens for the code");
    let old = first.refresh_token.expect("a refresh token");
    let second = peer.refresh(&client, &old, None).await.expect("the first refresh");
    let new = second.refresh_token.expect("a rotated refresh token");
    assert_ne!(old, new);
    assert!(peer.is_active(&client, &second.access_token).await);

    assert_eq!(peer.refresh(&client, &old, None).await.unwrap_err(), invalid_grant());
    assert_eq!(peer.refresh(&client, &new, None).await.unwrap_err(), invalid_grant());
    assert!(!peer.is_active(&client, &second.access_token).await);

    let calls = peer.token_calls("refresh_token").await;
    let outcomes: Vec<_> = calls.iter().map(|c| c.error.as_deref()).collect();
    assert_eq!(outcomes, [None, Some("invalid_grant"), Some("invalid_grant")]);
    assert_eq!(calls[0].presented, calls[1].presented);
    assert_eq!(calls[0].issued_refresh, calls[2].presented);
    assert!(calls.iter().all(|c| c.processed && c.client_id.as_deref() == Some("notes-client")));
}

#[tokio::test]
async fn a_refresh_can_narrow_and_keeps_the_wide_refresh_token() {
    let (peer, client) = provider("ES256").await;
    let wide = connect(&peer, &client).await.expect("tokens").refresh_token.expect("a refresh token");
    let narrow = peer.refresh(&client, &wide, Some("notes.read")).await.expect("a narrower token");
    assert_eq!(narrow.scope, "notes.read");
    let again = narrow.refresh_token.expect("a rotated refresh token");
    let wide_again = peer.refresh(&client, &again, None).await.expect("the full scopes");
    assert!(wide_again.scope.contains("notes.write"), "{}", wide_again.scope);
}

#[tokio::test]
async fn an_id_token_names_the_person_the_audience_and_the_strength_of_the_login() {
    for (alg, algorithm) in [("ES256", Algorithm::ES256), ("RS256", Algorithm::RS256)] {
        let (peer, client) = provider(alg).await;
        let token = peer.id_token(&client, "bob").await;
        let claims = verify(&peer, &token, algorithm, "notes-client").await.expect("a token that verifies");
        assert_eq!(claims["sub"], "bob");
        assert_eq!(claims["acr"], "pwd");
        assert_eq!(claims["roles"], serde_json::json!(["analyst"]));
        assert!(claims["auth_time"].is_u64(), "{claims}");
        assert!(verify(&peer, &token, algorithm, "another-client").await.is_none());
        peer.rotate_keys(true).await;
        assert!(
            verify(&peer, &token, algorithm, "notes-client").await.is_some(),
            "the old key is still published"
        );
        peer.rotate_keys(false).await;
        assert!(verify(&peer, &token, algorithm, "notes-client").await.is_none(), "the old key is gone");
    }
}

async fn verify(peer: &OidcPeer, token: &str, algorithm: Algorithm, audience: &str) -> Option<Value> {
    let url = peer.issuer.join("/jwks").expect("the JWKS address");
    let http = broker_tests::browser::http_client();
    let keys: JwkSet = http.get(url).send().await.expect("the JWKS").json().await.expect("a key set");
    let header = jsonwebtoken::decode_header(token).expect("a JWT");
    let key = DecodingKey::from_jwk(keys.find(&header.kid?)?).expect("a public key");
    let mut validation = Validation::new(algorithm);
    validation.set_audience(&[audience]);
    validation.set_issuer(&[peer.issuer()]);
    jsonwebtoken::decode::<Value>(token, &key, &validation).ok().map(|data| data.claims)
}

#[tokio::test]
async fn faults_strike_once_and_the_log_tells_them_from_work_done() {
    let (peer, client) = provider("ES256").await;
    peer.inject([Fault::fewer_scopes("notes.read").on_grant("authorization_code")]).await;
    let tokens = connect(&peer, &client).await.expect("tokens");
    assert_eq!(tokens.scope, "notes.read");
    let refresh = tokens.refresh_token.expect("a refresh token");

    let page = raw_refresh(&peer, &client, &refresh, Fault::html()).await.expect("an answer");
    assert!(page.status().is_success() && page.text().await.expect("a body").contains("Maintenance"));
    let busy = raw_refresh(&peer, &client, &refresh, Fault::too_many_requests(7)).await.expect("an answer");
    assert_eq!(
        (busy.status().as_u16(), &busy.headers()["retry-after"]),
        (429, &"7".parse().expect("a header"))
    );
    let broken = raw_refresh(&peer, &client, &refresh, Fault::server_error()).await.expect("an answer");
    assert_eq!(broken.status().as_u16(), 500);
    let odd =
        raw_refresh(&peer, &client, &refresh, Fault::error_with_200("ratelimited")).await.expect("an answer");
    assert_eq!(odd.status().as_u16(), 200);
    let bare =
        raw_refresh(&peer, &client, &refresh, Fault::without(&["refresh_token"])).await.expect("an answer");
    assert!(bare.json::<Value>().await.expect("JSON").get("refresh_token").is_none());

    // The request before this one was processed, so its rotated token is lost and the old one is a replay.
    assert_eq!(peer.refresh(&client, &refresh, None).await.unwrap_err(), invalid_grant());
    let calls = peer.token_calls("refresh_token").await;
    let processed: Vec<_> = calls.iter().map(|c| c.processed).collect();
    assert_eq!(processed, [false, false, false, false, true, true]);
}

#[tokio::test]
async fn a_lost_reply_was_processed_and_a_held_request_waits() {
    let (peer, client) = provider("ES256").await;
    let refresh = connect(&peer, &client).await.expect("tokens").refresh_token.expect("a refresh token");
    peer.inject([Fault::hold()]).await;
    let held = async { peer.refresh(&client, &refresh, None).await };
    let release = async {
        peer.held(1).await;
        let calls = peer.token_calls("refresh_token").await;
        peer.release().await;
        calls
    };
    let (tokens, while_held) = tokio::join!(held, release);
    assert!(while_held[0].finished.is_none() && !while_held[0].processed);

    let next = tokens.expect("tokens after the wait").refresh_token.expect("a refresh token");
    assert!(raw_refresh(&peer, &client, &next, Fault::lose_reply()).await.is_err());
    assert!(peer.token_calls("refresh_token").await[1].processed);
    assert_eq!(peer.refresh(&client, &next, None).await.unwrap_err(), invalid_grant());
}

async fn raw_refresh(
    peer: &OidcPeer,
    client: &OidcClient,
    token: &str,
    fault: Fault,
) -> Result<reqwest::Response, reqwest::Error> {
    peer.inject([fault]).await;
    let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
    let url = peer.issuer.join("/token").expect("the token endpoint");
    let http = broker_tests::browser::http_client();
    http.post(url).basic_auth(&client.id, Some(&client.secret)).form(&form).send().await
}

#[tokio::test]
async fn a_provider_that_is_dropped_is_gone() {
    let (peer, _) = provider("ES256").await;
    let address = peer.issuer.join("/jwks").expect("an address");
    let http = broker_tests::browser::http_client();
    assert!(http.get(address.clone()).send().await.is_ok());
    let pid = peer.pid();
    drop(peer);
    // The kill is sent on drop; the runtime reaps the child in its own time.
    let gone = async {
        while http.get(address.clone()).send().await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    assert!(
        tokio::time::timeout(std::time::Duration::from_secs(10), gone).await.is_ok(),
        "{pid:?} still listens"
    );
}
