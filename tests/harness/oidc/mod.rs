//! A certified OpenID provider as the company's identity provider or as a downstream authorization server.

mod control;
mod flow;

use std::process::Stdio;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use url::Url;

pub use control::{Call, Fault};
pub use flow::{TokenError, Tokens};

use crate::browser::http_client;
use crate::npm;

/// One client registered at the provider.
#[derive(Clone, Debug)]
pub struct OidcClient {
    pub id: String,
    pub secret: String,
    pub redirect_uri: String,
    /// `ES256` or `RS256`.
    pub id_token_alg: &'static str,
    /// Where the provider tells that a session is over; then it puts `sid` into ID tokens.
    pub backchannel_logout_uri: Option<String>,
}

impl OidcClient {
    /// A confidential client (`client_secret_basic`) for code and refresh, ES256 ID tokens.
    pub fn new(id: &str, redirect_uri: &str) -> Self {
        let secret = format!("{id}-secret-of-the-test-client");
        Self {
            id: id.to_owned(),
            secret,
            redirect_uri: redirect_uri.to_owned(),
            id_token_alg: "ES256",
            backchannel_logout_uri: None,
        }
    }

    fn metadata(&self) -> Value {
        let mut metadata = json!({
            "client_id": self.id,
            "client_secret": self.secret,
            "redirect_uris": [self.redirect_uri],
            "response_types": ["code"],
            "grant_types": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_method": "client_secret_basic",
            "id_token_signed_response_alg": self.id_token_alg,
            // The tests' redirect targets are plain loopback addresses.
            "application_type": if self.redirect_uri.starts_with("https:") { "web" } else { "native" },
        });
        if let Some(uri) = &self.backchannel_logout_uri {
            metadata["backchannel_logout_uri"] = uri.as_str().into();
            metadata["backchannel_logout_session_required"] = true.into();
        }
        metadata
    }
}

/// What the provider starts with. `raw` fields win over everything (see `tests/peers/oidc.mjs` for their names).
#[derive(Clone, Debug, Default)]
pub struct OidcConfig {
    pub clients: Vec<OidcClient>,
    /// Lifetimes in seconds by oidc-provider's model name, such as `("AccessToken", 60)`.
    pub ttl: Vec<(&'static str, u32)>,
    pub raw: serde_json::Map<String, Value>,
}

impl OidcConfig {
    fn to_json(&self) -> Value {
        let clients: Vec<Value> = self.clients.iter().map(OidcClient::metadata).collect();
        let ttl: serde_json::Map<_, _> = self.ttl.iter().map(|(k, v)| ((*k).to_owned(), json!(v))).collect();
        let mut config =
            serde_json::Map::from_iter([("clients".into(), json!(clients)), ("ttl".into(), json!(ttl))]);
        config.extend(self.raw.clone());
        Value::Object(config)
    }
}

/// A running provider. It ends when this is dropped: its standard input closes, and the process is killed.
pub struct OidcPeer {
    pub issuer: Url,
    control: Url,
    http: reqwest::Client,
    child: Child,
    _stdin: ChildStdin,
}

#[derive(Deserialize)]
struct Ready {
    issuer: Url,
    control: Url,
}

impl OidcPeer {
    /// Starts the provider and waits until it listens. Panics with the remedy when `tests/peers` is not installed.
    pub async fn start(config: OidcConfig) -> Self {
        let node = npm::node().unwrap_or_else(|e| panic!("{e}"));
        npm::installed("node_modules/oidc-provider/package.json").unwrap_or_else(|e| panic!("{e}"));
        let mut child = Command::new(node)
            .arg("oidc.mjs")
            .current_dir(npm::peers_dir())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the OpenID provider starts");
        let mut stdin = child.stdin.take().expect("its standard input");
        stdin
            .write_all(format!("{}\n", config.to_json()).as_bytes())
            .await
            .expect("it reads its configuration");
        let mut lines = BufReader::new(child.stdout.take().expect("its standard output")).lines();
        let line =
            lines.next_line().await.expect("a line").expect("the OpenID provider ended: see its error above");
        let ready: Ready = serde_json::from_str(&line).expect("its first line is JSON");
        Self { issuer: ready.issuer, control: ready.control, http: http_client(), child, _stdin: stdin }
    }

    /// The issuer exactly as it appears in `iss`: without the slash that a parsed URL ends in.
    pub fn issuer(&self) -> &str {
        self.issuer.as_str().trim_end_matches('/')
    }

    /// The process id of the provider, for tests that end it the hard way.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Ends the provider now; its port is closed when this returns.
    pub async fn kill(&mut self) {
        self.child.kill().await.expect("the provider ends");
    }

    fn endpoint(&self, path: &str) -> Url {
        self.issuer.join(path).expect("an endpoint of the provider")
    }
}
