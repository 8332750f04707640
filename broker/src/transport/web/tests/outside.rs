//! The world outside on one loopback port: an identity provider at `/sso` and a notes service at `/notes`.
//! Codes carry what their token endpoint needs, so neither keeps any state.

use crate::domain::{
    ProviderId, ProviderSpec, ScopeSet,
    provider::{
        AccountLookup, ClientAuth, Environment, Expiry, IssParameter, Narrowing, Pkce, ProviderClient,
        RevokeStyle, Rotation, ScopeAccess, ScopeSpec,
    },
};
use axum::{
    Form, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    digest,
    signature::{Ed25519KeyPair, KeyPair},
};
use serde_json::{Value, json};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::{net::TcpListener, task::JoinHandle};

type Fields = Form<HashMap<String, String>>;
type Answer = Result<Json, StatusCode>;

struct Json(Value);

impl IntoResponse for Json {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, "application/json")], self.0.to_string()).into_response()
    }
}

pub(super) struct Outside {
    pub(super) issuer: String,
    pub(super) jwks: String,
    base: String,
    server: JoinHandle<()>,
}

impl Drop for Outside {
    fn drop(&mut self) {
        self.server.abort();
    }
}

struct Sso {
    issuer: String,
    key: Ed25519KeyPair,
}

impl Outside {
    pub(super) async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let issuer = format!("{base}/sso");
        let key = key();
        let x = URL_SAFE_NO_PAD.encode(key.public_key());
        let jwks = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": "k", "x": x }] });
        let sso = Arc::new(Sso { issuer: issuer.clone(), key });
        let (metadata, keys) = (metadata(&issuer), jwks.clone());
        let router = Router::new()
            .route("/sso/.well-known/openid-configuration", get(async move || Json(metadata)))
            .route("/sso/jwks", get(async move || Json(keys)))
            .route("/sso/token", post(id_token))
            .route("/notes/token", post(notes_token))
            .route("/notes/me", get(async || Json(json!({ "id": "u-7", "login": "alice-w" }))))
            .route("/notes/revoke", post(async || StatusCode::OK))
            .with_state(sso);
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { issuer, jwks: jwks.to_string(), base, server }
    }

    /// The identity provider's logout token for the pages' client, with `changes`.
    pub(super) fn logout_token(&self, changes: &Value) -> String {
        let mut claims = json!({
            "iss": self.issuer, "aud": "broker-pages", "iat": 1_800_000_000, "jti": "j-1",
            "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
        });
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        signed(&key(), "logout+jwt", &claims)
    }

    pub(super) fn notes_spec(&self) -> ProviderSpec {
        let at = |path: &str| format!("{}/notes/{path}", self.base).parse().unwrap();
        ProviderSpec {
            id: ProviderId::parse("notes").unwrap(),
            display_name: "Acme Notes".into(),
            environment: Environment::Production,
            authorize_url: at("authorize"),
            authorize_params: Vec::new(),
            token_url: at("token"),
            revoke: RevokeStyle::Rfc7009(at("revoke")),
            revocation_ends: crate::domain::provider::RevocationEnds::EveryAuthorization,
            account: AccountLookup {
                url: at("me"),
                id_pointer: "/id".into(),
                label_pointer: "/login".into(),
            },
            iss: IssParameter::Unknown,
            pkce: Pkce::S256,
            client: ProviderClient {
                id: "broker".into(),
                secret: "notes-client-secret".to_owned().into(),
                auth: ClientAuth::Basic,
            },
            scopes: vec![ScopeSpec {
                scope: crate::domain::Scope::parse("notes.read").unwrap(),
                description: "Read your notes".into(),
                access: ScopeAccess::Read,
            }],
            technical_scopes: ScopeSet::default(),
            scope_separator: ' ',
            narrowing: Narrowing::None,
            rotation: Rotation::None,
            refresh_kills_access_token: false,
            expiry: Expiry::Never,
            refresh_margin: Duration::from_secs(60),
            refuses_early_refresh: false,
            idle_limit: None,
            absolute_limit: None,
            header_name: "authorization".into(),
            header_prefix: "Bearer ".into(),
            allowed_networks: vec!["127.0.0.0/8".into()],
            ca_file: None,
        }
    }
}

/// What the identity provider would put into the browser's way for `person`: the query of the callback.
pub(super) fn sso_answer(authorize: &url::Url, person: &str, iss: &str) -> String {
    let ask: HashMap<String, String> = authorize.query_pairs().into_owned().collect();
    assert_eq!(ask["response_type"], "code");
    assert_eq!(ask["code_challenge_method"], "S256");
    assert_eq!(ask["redirect_uri"], "https://broker.example/login/callback");
    assert!(ask["scope"].split(' ').any(|scope| scope == "openid"));
    let code = json!([person, ask["nonce"], ask["code_challenge"]]).to_string();
    query(&[("code", &URL_SAFE_NO_PAD.encode(code)), ("state", &ask["state"]), ("iss", iss)])
}

pub(super) fn query(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

fn metadata(issuer: &str) -> Value {
    json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/jwks"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["EdDSA"],
        "authorization_response_iss_parameter_supported": true,
    })
}

async fn id_token(State(sso): State<Arc<Sso>>, Form(form): Fields) -> Answer {
    let code = URL_SAFE_NO_PAD.decode(&form["code"]).map_err(|_| StatusCode::BAD_REQUEST)?;
    let [person, nonce, challenge]: [String; 3] =
        serde_json::from_slice(&code).map_err(|_| StatusCode::BAD_REQUEST)?;
    let proof = digest::digest(&digest::SHA256, form["code_verifier"].as_bytes());
    if URL_SAFE_NO_PAD.encode(proof) != challenge {
        return Err(StatusCode::BAD_REQUEST);
    }
    let id_token = signed(
        &sso.key,
        "JWT",
        &json!({
            "iss": sso.issuer, "sub": person, "aud": "broker-pages", "nonce": nonce, "name": person,
            "sid": format!("sid-of-{person}"), "iat": 1_800_000_000, "exp": 1_800_000_300,
        }),
    );
    Ok(Json(json!({
        "access_token": "sso-access", "token_type": "Bearer", "expires_in": 300,
        "id_token": id_token,
    })))
}

fn key() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap()
}

fn signed(key: &Ed25519KeyPair, typ: &str, claims: &Value) -> String {
    let part = |value: String| URL_SAFE_NO_PAD.encode(value);
    let head = json!({ "alg": "EdDSA", "kid": "k", "typ": typ });
    let signed = format!("{}.{}", part(head.to_string()), part(claims.to_string()));
    let signature = URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}

async fn notes_token(Form(form): Fields) -> Answer {
    if form.get("code").is_none_or(|code| code != "good-code") || !form.contains_key("code_verifier") {
        return Err(StatusCode::BAD_REQUEST);
    }
    Ok(Json(json!({
        "access_token": "notes-access", "token_type": "Bearer", "expires_in": 3600,
        "refresh_token": "notes-refresh", "scope": "notes.read",
    })))
}
