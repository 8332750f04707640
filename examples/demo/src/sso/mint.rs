//! Makes tokens: ID tokens for people, service-account tokens for workloads.

use serde_json::{Map, Value, json};

use super::{Shared, Sso, User};
use crate::random;

/// How long a workload token lives, in seconds: what a cluster projects by default.
const WORKLOAD_TOKEN_LIFETIME: i64 = 3600;

/// The login an ID token speaks of.
pub(super) struct Login<'a> {
    pub(super) sid: &'a str,
    pub(super) auth_time: i64,
    pub(super) nonce: Option<&'a str>,
}

impl Sso {
    /// What an MCP client holds after its user signed in: an ID token of `username` for `audience`.
    ///
    /// # Panics
    /// When there is no such user.
    pub fn mint_assertion(&self, username: &str, audience: &str) -> String {
        self.mint_with(username, audience, json!({}))
    }

    /// Like [`Sso::mint_assertion`], with claims replaced or added; a claim set to `null` is left out.
    ///
    /// # Panics
    /// When there is no such user or `overrides` is not an object.
    pub fn mint_with(&self, username: &str, audience: &str, overrides: Value) -> String {
        let user = self.shared.user(username).expect("the user exists");
        let sid = random::token("sid_");
        let login = Login { sid: &sid, auth_time: self.shared.now(), nonce: None };
        let mut claims = self.shared.id_token_claims(&user, audience, &login);
        override_claims(&mut claims, overrides);
        self.shared.sign(&Value::Object(claims))
    }

    /// A token signed with the current key over exactly these claims. `header` replaces or adds header
    /// parameters (`alg`, `kid`, `typ`) the way overrides do.
    ///
    /// # Panics
    /// When `header` is not an object.
    pub fn mint_raw(&self, header: Value, claims: &Value) -> String {
        let keys = self.shared.keys.lock().expect("no holder panicked");
        let key = keys.last().expect("there is always a key");
        let mut full = as_object(json!({ "alg": "ES256", "typ": "JWT", "kid": key.id() }));
        override_claims(&mut full, header);
        key.sign(&Value::Object(full), claims)
    }

    /// The token a cluster projects into a pod: `sub` such as `system:serviceaccount:tools:notes-tool`, for `audience`.
    pub fn mint_workload_token(&self, sub: &str, audience: &str) -> String {
        self.mint_workload_with(sub, audience, json!({}))
    }

    /// Like [`Sso::mint_workload_token`], with claims replaced, added or (by `null`) left out.
    ///
    /// # Panics
    /// When `overrides` is not an object.
    pub fn mint_workload_with(&self, sub: &str, audience: &str, overrides: Value) -> String {
        let now = self.shared.now();
        let mut names = sub.rsplit(':');
        let (account, namespace) = (names.next().unwrap_or(sub), names.next().unwrap_or("default"));
        let mut claims = as_object(json!({
            "iss": self.shared.workload_issuer,
            "sub": sub,
            "aud": [audience],
            "exp": now.saturating_add(WORKLOAD_TOKEN_LIFETIME),
            "nbf": now,
            "iat": now,
            "jti": random::token(""),
            "kubernetes.io": { "namespace": namespace, "serviceaccount": { "name": account } },
        }));
        override_claims(&mut claims, overrides);
        let key = &self.shared.workload_key;
        key.sign(&json!({ "alg": "ES256", "kid": key.id() }), &Value::Object(claims))
    }
}

impl Shared {
    /// Signs claims with the current key.
    pub(super) fn sign(&self, claims: &Value) -> String {
        let keys = self.keys.lock().expect("no holder panicked");
        let key = keys.last().expect("there is always a key");
        key.sign(&json!({ "alg": "ES256", "typ": "JWT", "kid": key.id() }), claims)
    }

    /// The claims of an ID token (OpenID Connect Core 1.0 §2).
    pub(super) fn id_token_claims(
        &self,
        user: &User,
        audience: &str,
        login: &Login<'_>,
    ) -> Map<String, Value> {
        let now = self.now();
        let lifetime = *self.id_token_lifetime.lock().expect("no holder panicked");
        let mut claims = as_object(json!({
            "iss": self.issuer,
            "sub": user.sub,
            "aud": audience,
            "azp": audience,
            "exp": now.saturating_add(lifetime),
            "iat": now,
            "jti": random::token(""),
            "auth_time": login.auth_time,
            "acr": user.acr,
            "name": user.name,
            "email": user.email,
            "roles": user.roles,
            "sid": login.sid,
        }));
        if let Some(nonce) = login.nonce {
            claims.insert("nonce".to_owned(), json!(nonce));
        }
        claims
    }
}

fn override_claims(claims: &mut Map<String, Value>, overrides: Value) {
    for (name, value) in as_object(overrides) {
        match value {
            Value::Null => claims.remove(&name),
            value => claims.insert(name, value),
        };
    }
}

fn as_object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("claims are an object, not {other}"),
    }
}
