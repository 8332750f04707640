//! TLS, and certificates that rotate.

use super::clock::TestClock;
use super::fake::Fake;
use super::{granted, request};
use crate::{Client, Credential, Error, Tls};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tonic::transport::{Certificate, Identity, ServerTlsConfig};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).expect("params");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("key")).expect("authority")
}

/// Certificate and key, PEM.
fn leaf(authority: &Authority, name: &str) -> (String, String, Vec<u8>) {
    let key = KeyPair::generate().expect("key");
    let params = CertificateParams::new(vec![name.to_owned()]).expect("params");
    let certificate = params.signed_by(&key, authority).expect("leaf");
    (certificate.pem(), key.serialize_pem(), certificate.der().to_vec())
}

async fn server(authority: &Authority, clock: &Arc<TestClock>) -> Fake {
    let (certificate, key, _) = leaf(authority, "localhost");
    let tls = ServerTlsConfig::new()
        .identity(Identity::from_pem(certificate, key))
        .client_ca_root(Certificate::from_pem(authority.pem()));
    Fake::start_tls(Arc::clone(clock), tls).await
}

async fn client(fake: &Fake, directory: &Path, clock: &Arc<TestClock>) -> Result<Client, Error> {
    let tls = Tls::ca_file(directory.join("ca.pem"))
        .client_certificate(directory.join("tls.crt"), directory.join("tls.key"))
        .server_name("localhost");
    Client::builder(format!("https://127.0.0.1:{}", fake.port()))
        .tls(tls)
        .credential(Credential::client_certificate())
        .clock(clock.clone())
        .connect()
        .await
}

/// Proves: CL2
#[tokio::test]
async fn cl2_a_rotated_client_certificate_is_used_and_half_a_rotation_is_not() {
    let clock = Arc::new(TestClock::default());
    let authority = authority();
    let fake = server(&authority, &clock).await;
    let directory = tempfile::tempdir().expect("directory");
    let write = |name: &str, pem: &str| std::fs::write(directory.path().join(name), pem).expect("write");
    let (first, second) = (leaf(&authority, "workload"), leaf(&authority, "workload"));
    write("ca.pem", &authority.pem());
    write("tls.crt", &first.0);
    write("tls.key", &first.1);
    let client = client(&fake, directory.path(), &clock).await.expect("client");
    let shown = async || {
        granted(client.issue_grant(&request()).await);
        fake.seen().pop().and_then(|seen| seen.client_certificate).expect("client certificate")
    };
    assert!(shown().await == first.2);
    write("tls.crt", &second.0);
    clock.advance(Duration::from_secs(1));
    assert!(shown().await == first.2, "the certificate without its key");
    write("tls.key", &second.1);
    clock.advance(Duration::from_secs(1));
    assert!(shown().await == second.2, "both");
    assert!(fake.seen().iter().all(|seen| seen.authorization.is_none()));
}

/// Proves: CL2
#[tokio::test]
async fn cl2_a_broker_of_another_authority_is_not_trusted() {
    let clock = Arc::new(TestClock::default());
    let (ours, theirs) = (authority(), authority());
    let fake = server(&theirs, &clock).await;
    let directory = tempfile::tempdir().expect("directory");
    let (certificate, key, _) = leaf(&theirs, "workload");
    for (name, pem) in [("ca.pem", ours.pem()), ("tls.crt", certificate), ("tls.key", key)] {
        std::fs::write(directory.path().join(name), pem).expect("write");
    }
    let client = client(&fake, directory.path(), &clock).await.expect("client");
    let error = client.issue_grant(&request()).await.expect_err("not trusted");
    assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
    assert!(fake.seen().is_empty());
}

/// Proves: CL2
#[tokio::test]
async fn cl2_tls_files_that_cannot_be_used_are_refused_at_the_start() {
    let clock = Arc::new(TestClock::default());
    let authority = authority();
    let fake = server(&authority, &clock).await;
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let (certificate, key, _) = leaf(&authority, "workload");
    let good = [("ca.pem", authority.pem()), ("tls.crt", certificate), ("tls.key", key)];
    for spoiled in 0..good.len() {
        for content in ["no PEM", "", garbage, &"x".repeat(256 * 1024 + 1)] {
            let directory = tempfile::tempdir().expect("directory");
            for (index, (name, pem)) in good.iter().enumerate() {
                let content = if index == spoiled { content } else { pem };
                std::fs::write(directory.path().join(name), content).expect("write");
            }
            let start: String = content.chars().take(30).collect();
            let error = client(&fake, directory.path(), &clock).await.expect_err(&start);
            assert!(matches!(error, Error::Configuration(_)), "{start}: {error:?}");
        }
    }
}
