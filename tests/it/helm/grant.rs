//! From the rendered release to a grant: the job migrates, the Deployment's command serves, and a pod's projected token speaks for its MCP server.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use broker::metrics::Metrics;
use broker::transport::http::{self, Patience};
use broker::transport::listener::{Accepted, Intake};
use broker::transport::tls::{self, TlsFiles};
use broker_client::{Client, Credential, GrantRequest, Outcome, Tls};
use broker_tests::pki::{Authority, KeyFiles};
use broker_tests::postgres::PgDatabase;
use broker_tests::process::{self, BrokerProcess};
use demo::walk;
use demo::world::{ALICE, Options, PROVIDER, Site, World};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::driver::{install, values};
use super::kubelet::{Cluster, mount};
use super::rendered::{Rendered, list, write};

/// What the cluster's tokens say of who made them: the chart's default.
const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
const ACCOUNT: &str = "system:serviceaccount:tools:notes-server";
const RESOURCE: &str = "https://notes-tools.example.com/mcp";
/// The token that is projected for the broker's own service account.
const OWN_TOKEN: &str = "projected-for-the-broker-alone";

/// An API server that publishes the cluster's keys to whoever shows a token, as Kubernetes does.
struct ApiServer {
    address: String,
    shown: Arc<Mutex<Vec<String>>>,
    _stop: DropGuard,
}

impl ApiServer {
    async fn start(site: &Site, files: &KeyFiles) -> ApiServer {
        let peers = demo::http::client(b"").expect("a client");
        let jwks =
            peers.get(format!("{}/jwks", site.sso().workload_issuer())).send().await.expect("the keys");
        let jwks = jwks.text().await.expect("a key set");
        let shown = Arc::new(Mutex::new(Vec::new()));
        let keys = move |State(shown): State<Arc<Mutex<Vec<String>>>>, headers: HeaderMap| {
            let jwks = jwks.clone();
            async move {
                let token =
                    headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
                shown.lock().expect("whole").push(token.to_owned());
                if token == format!("Bearer {OWN_TOKEN}") {
                    (StatusCode::OK, jwks)
                } else {
                    (StatusCode::UNAUTHORIZED, String::new())
                }
            }
        };
        let router = Router::new().route("/openid/v1/jwks", get(keys)).with_state(Arc::clone(&shown));
        let socket = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let address = socket.local_addr().expect("an address").to_string();
        let (certificate, key) = (files.certificate.clone(), files.key.clone());
        let tls = tls::source(TlsFiles { certificate, key, client_ca: None, alpn: &["h2", "http/1.1"] })
            .expect("TLS");
        let stop = CancellationToken::new();
        let accepted =
            Accepted::on(socket, Some(tls), Intake::of("api", 64, Metrics::default()), stop.clone());
        let patience = Patience::with_requests_of(Duration::from_secs(10));
        tokio::spawn(http::serve(accepted.expect("it listens"), router, patience, stop.clone()));
        ApiServer { address, shown, _stop: stop.drop_guard() }
    }

    fn shown(&self) -> Vec<String> {
        self.shown.lock().expect("whole").clone()
    }
}

/// A cluster on this machine: peers, database, API server, and the chart's release.
struct Scene {
    directory: TempDir,
    site: Site,
    database: PgDatabase,
    api: ApiServer,
    rendered: Rendered,
    cluster: Cluster,
}

/// The values of an installation, with this machine's peers for the company's.
fn amended(mut values: Value, site: &Site, api: &ApiServer) -> Value {
    let (sso, notes) = (site.sso().issuer(), site.notes().origin());
    values["certManager"] = json!({ "enabled": false });
    values["listeners"] = json!({
        "grpc": { "tls": { "existingSecret": "broker-tls" } },
        "web": { "tls": { "terminatedByMesh": true } },
    });
    values["database"]["postgresql"]["ca"] = json!({ "secret": "database-ca" });
    values["clusterIssuer"] = json!({
        "enabled": true,
        "jwksUri": format!("https://{}/openid/v1/jwks", api.address),
        "allowedNetworks": ["127.0.0.0/8"],
        "algorithms": ["ES256"],
    });
    let issuer = &mut values["config"]["issuers"][0];
    issuer["issuer"] = json!(sso);
    issuer["roles_claim"] = json!("roles");
    issuer["login"]["client_id"] = json!("broker-pages");
    issuer.as_object_mut().expect("an issuer").remove("ca_file");
    let provider = values["config"]["providers"][0].as_object_mut().expect("a provider");
    for (key, path) in [
        ("authorize_url", "/authorize"),
        ("token_url", "/token"),
        ("revocation_url", "/revoke"),
        ("issuer", ""),
    ] {
        provider.insert(key.to_owned(), json!(format!("{notes}{path}")));
    }
    provider["account"] =
        json!({ "url": format!("{notes}/userinfo"), "id_pointer": "/id", "label_pointer": "/label" });
    for (key, value) in
        [("iss_parameter", "required"), ("narrowing", "refresh_with_scope"), ("rotation", "single_use")]
    {
        provider.insert(key.to_owned(), json!(value));
    }
    provider.insert("allowed_networks".to_owned(), json!(["127.0.0.0/8"]));
    values
}

impl Scene {
    async fn set() -> Scene {
        let site = World::prepare(Options::default()).await.expect("the peers start");
        let directory = tempfile::tempdir().expect("a directory");
        let at = |name: &str| directory.path().join(name);
        let (authority, files) = (Authority::new(), KeyFiles::named(directory.path(), "server"));
        authority.issue(&files);
        authority.write(&at("ca.crt"));
        let database = PgDatabase::encrypted("127.0.0.1", &files, &at("ca.crt"));
        let api = ApiServer::start(&site, &files).await;
        let values = amended(values("helm/broker/ci/postgresql-values.yaml").await, &site, &api);
        let rendered = install(&values).await.rendered();
        let mut cluster = Cluster::with_token(OWN_TOKEN);
        let read =
            |path: &Path| std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        let url = database.url_at(&format!("127.0.0.1:{}", database.server().port()));
        let made: [(&str, &str, String); 8] = [
            ("broker-database", "url", url),
            ("broker-database-owner", "url", read(&database.owner_url_file())),
            ("database-ca", "ca.crt", read(&at("ca.crt"))),
            ("broker-tls", "tls.crt", read(&files.certificate)),
            ("broker-tls", "tls.key", read(&files.key)),
            ("broker-keys", "keys.json", read(&site.path("keys.json"))),
            ("broker-sso", "client-secret", read(&site.path("sso-client-secret"))),
            ("broker-notes", "client-secret", read(&site.path("notes-client-secret"))),
        ];
        for (secret, key, text) in &made {
            cluster.secret(secret, key, text);
        }
        cluster.config_map("kube-root-ca.crt", "ca.crt", &read(&at("ca.crt")));
        cluster.config_map("corp-ca", "ca.crt", &read(&at("ca.crt")));
        Scene { directory, site, database, api, rendered, cluster }
    }

    fn root(&self, pod: &str) -> PathBuf {
        self.directory.path().join(pod)
    }

    /// Lays out a pod's files below its own root; what they say of paths leads there.
    fn lay_out(&self, name: &str, pod: &Value) -> PathBuf {
        let root = self.root(name);
        mount(&root, &self.rendered, pod, &self.cluster);
        let config = root.join("etc/broker/config/broker.yaml");
        let text = std::fs::read_to_string(&config).expect("its configuration");
        let here = self.here(&root, &text);
        write(&root, "etc/broker/config/broker.yaml", &here);
        // No group lends it here: the file is the caller's.
        if let Ok(keys) = std::fs::metadata(root.join("etc/broker/keys/keys.json")) {
            let mut mode = keys.permissions();
            std::os::unix::fs::PermissionsExt::set_mode(&mut mode, 0o400);
            std::fs::set_permissions(root.join("etc/broker/keys/keys.json"), mode).expect("set");
        }
        root
    }

    /// The same text with this machine's paths and addresses.
    fn here(&self, root: &Path, text: &str) -> String {
        let addresses = self.site.addresses();
        text.replace("/etc/broker", &root.join("etc/broker").display().to_string())
            .replace("0.0.0.0:7443", &addresses.grpc.to_string())
            .replace("0.0.0.0:8443", &addresses.web.to_string())
            .replace("0.0.0.0:9443", &addresses.ops.to_string())
            .replace("https://broker.example.com", &self.site.web_url())
    }

    /// Runs the migration job's container to its end.
    async fn migrate(&self) -> String {
        let pod = &self.rendered.object("Job", "token-broker-migrate")["spec"]["template"]["spec"];
        let root = self.lay_out("job", pod);
        let container = list(pod, "/containers")[0];
        let mut command = Command::new(process::broker_binary());
        command.args(list(container, "/args").iter().map(|word| word.as_str().expect("text")));
        for (name, value) in environment(container) {
            command.env(name, self.here(&root, &value));
        }
        let ran = command.stdin(Stdio::null()).output().await.expect("it runs");
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).expect("text")
    }

    /// A client with this token in the file of its projected volume.
    async fn caller(&self, token: &str) -> Client {
        let file = self.directory.path().join("projected-token");
        std::fs::write(&file, token).expect("written");
        Client::builder(format!("https://{}", self.site.addresses().grpc))
            .tls(Tls::ca_file(self.directory.path().join("ca.crt")))
            .credential(Credential::file(file))
            .attempts(1)
            .connect()
            .await
            .expect("a client")
    }

    async fn ask(&self, token: &str) -> Result<Outcome, broker_client::Error> {
        let assertion = self.site.sso().mint_assertion(ALICE.sso.name, RESOURCE);
        let request = GrantRequest::new(assertion, PROVIDER, ["notes.read"]).tool("list_notes");
        self.caller(token).await.issue_grant(&request).await
    }

    /// The token that a cluster projects for an account, with other claims where a test wants them.
    fn token(&self, account: &str, audience: &str, issuer: &str) -> String {
        self.site.sso().mint_workload_with(account, audience, json!({ "iss": issuer }))
    }
}

fn environment(container: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    list(container, "/env").into_iter().map(|one| (text(&one["name"]), text(&one["value"]))).collect()
}

/// Proves: OP1, ID2
#[tokio::test]
async fn op1_a_projected_token_gets_a_grant_through_what_the_chart_renders() {
    let scene = Scene::set().await;
    let first = scene.migrate().await;
    assert!(first.contains("applied 0001"), "{first}");
    assert_eq!(scene.migrate().await, "The database is up to date.\n");

    let root = scene.lay_out("replica", scene.rendered.pod());
    assert_eq!(list(scene.rendered.container(), "/args"), [&json!("serve")]);
    assert_eq!(environment(scene.rendered.container())["BROKER_CONFIG"], "/etc/broker/config/broker.yaml");
    let config = root.join("etc/broker/config/broker.yaml").display().to_string();
    let mut broker = BrokerProcess::serve(scene.directory.path(), &config);
    broker.listening().await;

    // Another account of the cluster, a token for somebody else, a token of another cluster.
    for (account, audience, issuer) in [
        ("system:serviceaccount:tools:other-server", "token-broker", ISSUER),
        (ACCOUNT, "https://kubernetes.default.svc", ISSUER),
        (ACCOUNT, "token-broker", scene.site.sso().workload_issuer()),
    ] {
        let told = scene.ask(&scene.token(account, audience, issuer)).await.expect_err("refused");
        assert_eq!(told.reason(), "WORKLOAD_CREDENTIAL_INVALID", "{account} {audience} {issuer}");
    }
    let token = scene.token(ACCOUNT, "token-broker", ISSUER);
    let Ok(Outcome::ConsentRequired(consent)) = scene.ask(&token).await else {
        panic!("nobody is connected yet")
    };
    let browser = scene.site.browser().expect("a browser");
    let page = walk::connect(&browser, consent.url.expose(), &ALICE.sso, &ALICE.notes)
        .await
        .expect("it leads through");
    assert_eq!(page.status, 200, "{}", page.describe());
    let Ok(Outcome::Grant(grant)) = scene.ask(&token).await else { panic!("it is connected") };
    let truth = scene.site.notes().introspect(grant.access_token.expose()).expect("issued there");
    assert!(truth.live && truth.scopes == ["notes.read"], "{truth:?}");

    // The keys were fetched with the broker's own projected token, and the grant is on record.
    let shown = scene.api.shown();
    assert!(
        !shown.is_empty() && shown.iter().all(|token| token == &format!("Bearer {OWN_TOKEN}")),
        "{shown:?}"
    );
    let listed = process::run(scene.directory.path(), &["audit", "list", "--config", &config]).await;
    assert!(listed.code == 0 && listed.stdout.contains("grant.issue"), "{listed:?}");
    assert!(!broker.stderr().contains(OWN_TOKEN), "the token is in the log");
    broker.terminate().await;
    let (status, log) = broker.ended().await;
    assert!(status.success(), "{log}");
    drop(scene.database);
}
