//! Who we are: secrets and files.

use super::{Bench, granted, request};
use crate::{Client, Credential, Error};
use std::time::Duration;

/// Proves: CL2
#[tokio::test]
async fn cl2_a_rotated_credential_file_is_used_after_a_second() {
    let bench = Bench::new().await;
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().join("token");
    std::fs::write(&path, "first\n").expect("write");
    let client = Client::builder(bench.fake.address())
        .credential(Credential::file(&path))
        .clock(bench.clock.clone())
        .connect()
        .await
        .expect("client");
    let mut expected = Vec::new();
    let mut call = async |credential: &str| {
        granted(client.issue_grant(&request()).await);
        expected.push(Some(format!("Bearer {credential}")));
        let seen: Vec<_> = bench.fake.seen().into_iter().map(|seen| seen.authorization).collect();
        assert_eq!(seen, expected);
    };
    call("first").await;
    std::fs::write(&path, "second").expect("write");
    bench.clock.advance(Duration::from_millis(999));
    call("first").await;
    bench.clock.advance(Duration::from_millis(1));
    call("second").await;
    // Gone for a moment, while somebody replaces it: the last one is used.
    std::fs::remove_file(&path).expect("remove");
    bench.clock.advance(Duration::from_secs(1));
    call("second").await;
    std::fs::write(&path, "third").expect("write");
    bench.clock.advance(Duration::from_secs(1));
    call("third").await;
}

/// Proves: CL2
#[tokio::test]
async fn cl2_a_credential_that_cannot_be_used_is_refused_at_the_start() {
    let directory = tempfile::tempdir().expect("directory");
    let file = |name: &str, content: &[u8]| {
        let path = directory.path().join(name);
        std::fs::write(&path, content).expect("write");
        Credential::file(path)
    };
    let refused = [
        Credential::file(directory.path().join("missing")),
        Credential::file(directory.path()),
        file("empty", b""),
        file("blank", b" \n"),
        file("lines", b"one\ntwo"),
        file("binary", &[0xff, 0xfe]),
        file("huge", &[b'a'; 16 * 1024 + 1]),
        Credential::secret(""),
        Credential::secret("line\r\nbreak"),
    ];
    for credential in refused {
        let name = format!("{credential:?}");
        let error =
            Client::builder("http://127.0.0.1:1").credential(credential).connect().await.expect_err(&name);
        assert!(matches!(error, Error::Configuration(_)), "{name}: {error:?}");
        assert!(!error.to_string().contains("break"), "{error}");
    }
    let fits = file("fits", &[b'a'; 16 * 1024]);
    Client::builder("http://127.0.0.1:1").credential(fits).connect().await.expect("fits");
    Client::builder("http://127.0.0.1:1").connect().await.expect_err("no credential at all");
}

/// Proves: CL2
#[tokio::test]
async fn cl2_plain_connections_stay_on_this_machine() {
    for address in ["http://127.0.0.1:1", "http://[::1]:1", "http://localhost:1"] {
        Client::builder(address).credential(Credential::secret("s")).connect().await.expect(address);
    }
    for address in [
        "http://broker.example",
        "http://10.0.0.1:1",
        "https://127.0.0.1:1",
        "ftp://127.0.0.1",
        "",
        "http://u:p@127.0.0.1:1",
    ] {
        let error =
            Client::builder(address).credential(Credential::secret("s")).connect().await.expect_err(address);
        assert!(matches!(error, Error::Configuration(_)), "{address}: {error:?}");
        assert!(!format!("{error:?}").contains("u:p"), "{error:?}");
    }
}
