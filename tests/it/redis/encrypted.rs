//! TLS to Redis: somebody who is trusted must vouch for it, and its password is in a file.

use std::time::Duration;

use broker_testkit::Redis;
use broker_tests::pki::{Authority, KeyFiles};
use broker_tests::redis::works;
use broker_tests::replicas::Replicas;
use demo::world::Options;

/// Several tries of a broker's.
const TRIED: Duration = Duration::from_secs(3);
const PASSWORD: &str = "a-password-of-the-tests/with+signs";

/// Proves: AV3, NE2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn av3_ne2_a_server_is_spoken_to_over_tls_where_somebody_trusted_vouches_for_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let [ca, stranger, url, wrong] =
        ["ca.pem", "stranger.pem", "url", "wrong-url"].map(|name| directory.path().join(name));
    let (authority, files) = (Authority::new(), KeyFiles::named(directory.path(), "server"));
    authority.issue(&files);
    authority.write(&ca);
    Authority::new().write(&stranger);
    let redis = Redis::encrypted(&files.certificate, &files.key, PASSWORD);
    let password: String = url::form_urlencoded::byte_serialize(PASSWORD.as_bytes()).collect();
    std::fs::write(&url, format!("rediss://:{password}@{}", redis.address())).expect("written");
    std::fs::write(&wrong, format!("rediss://:other@{}", redis.address())).expect("written");
    for (url, ca, fits) in [(&url, &ca, true), (&url, &stranger, false), (&wrong, &ca, false)] {
        let extra_config = format!(
            "\nredis:\n  url: \"${{file:{}}}\"\n  ca_file: {}\n  prefix: company\n",
            url.display(),
            ca.display()
        );
        let replicas = Replicas::with(1, Options { extra_config, ..Options::default() }).await;
        let relay = replicas.at(0).rooms().relay.clone();
        let there = tokio::time::timeout(TRIED, works(&relay, true)).await;
        assert_eq!(there.is_ok(), fits, "{} {}", url.display(), ca.display());
        replicas.stop().await;
    }
}
