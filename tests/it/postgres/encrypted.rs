//! TLS to the server: its certificate must be for the host of the URL, and somebody who is trusted must vouch for it.

use broker::config::{Config, Postgres, Storage};
use broker::domain::SecretString;
use broker::storage::PostgresStore;
use broker_tests::cable::Cable;
use broker_tests::pki::{Authority, KeyFiles};
use broker_tests::postgres::PgDatabase;
use broker_tests::stage::{READ, Stage};
use demo::world::{ALICE, Workload::TicketHelper};

/// How every session of the broker's role reached the server.
const ENCRYPTED: &str = "SELECT count(*) > 0 AND bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
    WHERE usename = 'broker_app'";

/// Why a store with this configuration does not open; empty when it does.
async fn refusal(config: &Postgres) -> String {
    PostgresStore::open(config).await.err().map(|error| error.to_string()).unwrap_or_default()
}

#[tokio::test]
async fn a_certificate_that_fits_serves_and_any_other_is_refused_in_words() {
    let directory = tempfile::tempdir().expect("a directory");
    let [ca, stranger] = ["ca.pem", "stranger.pem"].map(|name| directory.path().join(name));
    let (authority, files) = (Authority::new(), KeyFiles::named(directory.path(), "server"));
    authority.issue(&files);
    authority.write(&ca);
    Authority::new().write(&stranger);
    let database = PgDatabase::encrypted("127.0.0.1", &files, &ca);
    let stage = Stage::on_postgres(&database).await;
    stage.connect(&ALICE, TicketHelper, READ).await;
    assert_eq!(database.sql(ENCRYPTED), "t");

    let Storage::Postgres(sound) = Config::load(&stage.world.config_path()).expect("sound").storage else {
        panic!("it is on PostgreSQL");
    };
    assert_eq!(refusal(&sound).await, "");
    let told = refusal(&Postgres { ca_file: Some(stranger), ..sound.clone() }).await;
    assert!(told.contains("nobody who is trusted vouches for the server's certificate"), "{told}");
    let told = refusal(&Postgres { ca_file: None, ..sound.clone() }).await;
    assert!(told.contains("nobody who is trusted vouches for the server's certificate"), "{told}");
    // The certificate is for the address alone.
    let at = |address: &str| Postgres { url: SecretString::from(database.url_at(address)), ..sound.clone() };
    let told = refusal(&at(&format!("localhost:{}", database.server().port()))).await;
    assert!(told.contains("is not for the host that the URL names"), "{told}");

    // A server without TLS is not talked to in the clear: on its socket it has none, and the cable leads there.
    let cable = Cable::to(database.server().socket()).await;
    let told = refusal(&at(&cable.address().to_string())).await;
    assert!(told.contains("it offers none"), "{told}");
    stage.stop().await;
}
