//! A world whose gRPC and pages listeners speak TLS.

use std::path::PathBuf;
use std::sync::Arc;

use broker_client::{Client, Credential, Error, GrantRequest, Outcome, Tls};
use broker_tests::pki::{Authority, KeyFiles};
use broker_tests::stage::Stage;
use demo::world::{ALICE, ClientClock, Options, PROVIDER, Workload};
use tempfile::TempDir;

pub struct Scene {
    pub stage: Stage,
    /// Who signed the broker's first certificate.
    pub authority: Authority,
    /// Who signs the clients' certificates.
    pub clients: Authority,
    /// The broker's.
    pub server: KeyFiles,
    directory: TempDir,
}

impl Scene {
    /// `mutual`: gRPC clients have to show a certificate.
    pub async fn start(mutual: bool) -> Scene {
        let directory = tempfile::tempdir().expect("a directory");
        let (authority, clients) = (Authority::new(), Authority::new());
        let server = KeyFiles::named(directory.path(), "server");
        authority.issue(&server);
        let client_ca = directory.path().join("clients.pem");
        clients.write(&client_ca);
        let files = format!("certificate_file: {:?}, key_file: {:?}", server.certificate, server.key);
        let client_ca = if mutual { format!(", client_ca_file: {client_ca:?}") } else { String::new() };
        let amend = move |text: String| {
            let lines = text.lines().map(|line| match line.trim_start().split(':').next() {
                Some("grpc") => line.replace(" }", &format!(", tls: {{ {files}{client_ca} }} }}")),
                Some("web") => line.replace(" }", &format!(", tls: {{ {files} }} }}")),
                Some("public_url") => line.replace("http://", "https://"),
                _ => line.to_owned(),
            });
            lines.collect::<Vec<_>>().join("\n")
        };
        let stage = Stage::with(Options { amend_config: Some(Box::new(amend)), ..Options::default() }).await;
        Scene { stage, authority, clients, server, directory }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn files(&self, name: &str) -> KeyFiles {
        KeyFiles::named(self.directory.path(), name)
    }

    /// The CA file `name`, holding this authority.
    pub fn ca_file(&self, name: &str, authority: &Authority) -> PathBuf {
        let path = self.path(name);
        authority.write(&path);
        path
    }

    /// A client with one attempt for each call; nothing is dialled yet.
    pub async fn client(&self, tls: Tls) -> Client {
        let world = &self.stage.world;
        Client::builder(format!("https://{}", world.addresses().grpc))
            .tls(tls)
            .credential(Credential::secret(world.secret(Workload::TicketHelper)))
            .clock(Arc::new(ClientClock(Arc::clone(world.clock()))))
            .attempts(1)
            .connect()
            .await
            .expect("a client")
    }

    /// What the client is answered; a consent, for nobody is connected.
    pub async fn ask(&self, client: &Client) -> Result<(), Error> {
        let assertion = self.stage.world.assertion(&ALICE, Workload::TicketHelper);
        match client.issue_grant(&GrantRequest::new(assertion, PROVIDER, ["notes.read"])).await? {
            Outcome::ConsentRequired(_) => Ok(()),
            Outcome::Grant(_) => panic!("nobody is connected"),
        }
    }
}
