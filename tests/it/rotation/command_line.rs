//! `broker keys rotate` and `broker keys rewrap` as operators run them, beside a broker that serves from one SQLite file.

use std::time::Duration;

use broker::domain::TenantId;
use broker_client::{Client, GrantRequest, Outcome};
use broker_tests::database::Database;
use broker_tests::process::{BrokerProcess, Ran, run};
use broker_tests::replicas::client;
use broker_tests::stage::READ;
use demo::walk;
use demo::world::{ALICE, Options, PROVIDER, Person, Site, Workload::TicketHelper, World};
use serde_json::Value;

use super::rotate_for;

const PATIENCE: Duration = Duration::from_secs(20);
/// A token that ends so soon is handed to nobody twice: every call needs a refresh.
const LIFE: i64 = 5;

struct Running {
    site: Site,
    process: BrokerProcess,
    client: Client,
}

impl Running {
    /// Alice is connected.
    async fn start() -> Running {
        let amend = |text: String| text.replace("level: warn", "level: info");
        let options = Options { amend_config: Some(Box::new(amend)), ..Options::default() };
        let site = World::prepare(options).await.expect("prepared");
        site.notes().set_access_lifetime(LIFE);
        let mut process = BrokerProcess::serve(site.directory(), "broker.yaml");
        process.listening().await;
        let client = client(&site, &site.grpc_url(), TicketHelper, PATIENCE).await;
        let running = Running { site, process, client };
        let Outcome::ConsentRequired(consent) = running.ask(&ALICE).await else { panic!("a link") };
        let browser = running.site.browser().expect("a browser");
        let page = walk::connect(&browser, consent.url.expose(), &ALICE.sso, &ALICE.notes).await;
        assert_eq!(page.expect("the pages lead through").status, 200);
        running.granted().await;
        running
    }

    async fn ask(&self, person: &Person) -> Outcome {
        let assertion = self.site.assertion(person, TicketHelper);
        let request = GrantRequest::new(assertion, PROVIDER, READ.iter().copied());
        self.client.issue_grant(&request).await.expect("an answer")
    }

    async fn granted(&self) {
        assert!(matches!(self.ask(&ALICE).await, Outcome::Grant(_)));
    }

    async fn keys(&self, args: &[&str]) -> Ran {
        run(self.site.directory(), &[&["keys"], args].concat()).await
    }

    async fn told(&self, args: &[&str], code: i32) -> Value {
        let ran = self.keys(&[args, &["--json"]].concat()).await;
        assert_eq!(ran.code, code, "{args:?}: {ran:?}");
        serde_json::from_str(&ran.stdout).expect("JSON")
    }

    /// The root key there is, and a fresh one.
    async fn another_root_key(&self) -> (Value, Value) {
        let made = run(self.site.directory(), &["init", "another"]).await;
        assert_eq!(made.code, 0, "{made:?}");
        let read = |name: &str| -> Value {
            serde_json::from_slice(&std::fs::read(self.site.path(name)).expect("a key file")).expect("JSON")
        };
        (read("keys.json")["keys"][0].clone(), read("another/keys.json")["keys"][0].clone())
    }

    fn write_root_keys(&self, keys: &[&Value]) {
        let text = serde_json::json!({ "keys": keys }).to_string();
        std::fs::write(self.site.path("keys.json"), text).expect("written");
    }

    async fn end(self) {
        self.process.terminate().await;
        let (status, log) = self.process.ended().await;
        assert!(status.success(), "{log}");
        let ran = run(self.site.directory(), &["audit", "verify"]).await;
        assert_eq!(ran.code, 0, "{ran:?}");
    }
}

/// Proves: VA5
#[tokio::test]
async fn va5_keys_are_rotated_and_rewrapped_beside_a_broker_that_serves() {
    let running = Running::start().await;
    for (args, code, word) in [
        (&["rotate"][..], 2, "--tenant"),
        (&["rotate", "--tenant", "company", "--all-tenants"], 2, "cannot be used with"),
        (&["rotate", "--tenant", "nobody"], 1, "nobody"),
        (&["rewrap", "--tenant", "nobody"], 1, "nobody"),
        (&["rewrap", "--rate", "0/s"], 2, "200/s"),
        (&["rewrap", "--rate", "fast"], 2, "200/s"),
    ] {
        let ran = running.keys(args).await;
        assert!(ran.code == code && ran.stderr.contains(word), "{args:?}: {ran:?}");
    }
    let nothing = running.told(&["rewrap"], 0).await;
    assert_eq!(nothing["tenants"][0]["left"], 0);
    let rotated = running.told(&["rotate", "--all-tenants"], 0).await;
    let (key, old) = (&rotated[0]["key"], &rotated[0]["previous"]);
    let listed = running.told(&["list"], 0).await;
    let state = |id: &Value| {
        let key = listed.as_array().expect("a list").iter().find(|key| key["id"] == *id);
        key.expect("it is listed")["state"].as_str().map(str::to_owned)
    };
    assert_eq!((state(key).as_deref(), state(old).as_deref()), (Some("wraps"), Some("opens")));

    let done = running.told(&["rewrap", "--tenant", "company", "--rate", "20/s"], 0).await;
    let of_company = &done["tenants"][0];
    assert_eq!(
        (&of_company["left"], &of_company["keys"][0]["key"], &of_company["keys"][1]["key"]),
        (&0.into(), key, old),
        "{done}"
    );
    assert!(of_company["rewrapped"]["tokens"].as_u64() >= Some(2), "{done}");
    running.granted().await;
    let table = running.keys(&["rewrap"]).await;
    assert!(table.code == 0 && table.stdout.contains("0 left with older keys"), "{table:?}");
    let log = run(running.site.directory(), &["audit", "list"]).await;
    for kind in ["key.created", "key.rewrapped"] {
        assert!(log.stdout.contains(kind), "{log:?}");
    }
    running.end().await;
}

/// Proves: VA5
#[tokio::test]
async fn va5_what_cannot_be_rewrapped_is_told_and_nothing_else_waits_for_it() {
    let running = Running::start().await;
    running.told(&["rotate", "--tenant", "company"], 0).await;
    let mut database = Database::open(&running.site.database_path()).await;
    database.edit("UPDATE connection_secrets SET mac = x'00' WHERE kind = 'access'").await;
    let done = running.told(&["rewrap"], 3).await;
    let of_company = &done["tenants"][0];
    assert_eq!((&of_company["left"], &of_company["unusable"]), (&1.into(), &1.into()), "{done}");
    assert_eq!(of_company["rewrapped"]["tokens"], 1);
    let said = running.keys(&["rewrap"]).await;
    assert!(said.code == 3 && said.stdout.contains("cannot be wrapped anew"), "{said:?}");
    running.end().await;
}

/// Killed with everything read and nothing written, and with some of it written; then it is run again.
///
/// Proves: VA5
#[tokio::test]
async fn va5_a_rewrap_that_is_killed_loses_nothing_and_goes_on_where_it_was() {
    let running = Running::start().await;
    for point in ["rewrap.before_commit", "rewrap.committed"] {
        running.told(&["rotate", "--tenant", "company"], 0).await;
        let args = ["keys", "rewrap", "--rate", "1/s"];
        BrokerProcess::command_to(running.site.directory(), &args, point).died().await;
        running.granted().await;
        let done = running.told(&["rewrap"], 0).await;
        assert_eq!(done["tenants"][0]["left"], 0, "{point}: {done}");
        running.granted().await;
    }
    running.end().await;
}

/// Another root key: first it may open, then it wraps, then the older one goes.
///
/// Proves: VA5, VA1
#[tokio::test]
async fn va5_another_root_key_takes_over_and_the_older_one_is_needed_no_more() {
    let running = Running::start().await;
    let (old, new) = running.another_root_key().await;
    running.write_root_keys(&[&new, &old]);
    let done = running.told(&["rewrap"], 0).await;
    assert_eq!((&done["system_keys"], &done["tenants"][0]["tenant_keys"]), (&1.into(), &1.into()), "{done}");
    running.write_root_keys(&[&new]);
    let listed = running.keys(&["list"]).await;
    assert!(!listed.stdout.contains("ROOT KEY MISSING"), "{listed:?}");
    let Running { site, process, client } = running;
    process.terminate().await;
    assert!(process.ended().await.0.success());
    let mut process = BrokerProcess::serve(site.directory(), "broker.yaml");
    process.listening().await;
    let running = Running { site, process, client };
    running.granted().await;
    running.end().await;
}

/// The keys of a tenant that is no more in the configuration need a root key like all others.
///
/// Proves: VA5, VA1
#[tokio::test]
async fn va5_nothing_is_called_done_while_a_former_tenants_keys_need_the_older_root_key() {
    let running = Running::start().await;
    let former = TenantId::parse("former").expect("a name");
    let key = rotate_for(&running.site, &former).await.key.id;
    let (old, new) = running.another_root_key().await;
    running.write_root_keys(&[&new]);
    let listed = running.told(&["list"], 0).await;
    let listed = listed.as_array().expect("a list").iter().filter(|key| key["tenant"] == "former");
    assert_eq!(listed.map(|key| &key["state"]).collect::<Vec<_>>(), ["ROOT KEY MISSING"; 2]);
    running.write_root_keys(&[&new, &old]);

    let done = running.told(&["rewrap", "--tenant", "company"], 3).await;
    let left = done["by_other_root_keys"].as_array().expect("a list");
    assert_eq!(left.iter().filter(|key| key["tenant"] == "former").count(), 2, "{done}");
    assert!(left.iter().all(|key| key["tenant"] != "company" && key["wrapped_by"] == old["id"]), "{done}");
    // One of them that does not unwrap: the others do not wait for it, and it is not called done.
    let mut database = Database::open(&running.site.database_path()).await;
    let bent = |how: &str| format!("UPDATE tenant_keys SET wrapped_by = '{how}' WHERE id = '{key}'");
    database.edit(&bent("gone")).await;
    let said = running.keys(&["rewrap"]).await;
    let names_it = format!("former: {key} is still wrapped by the root key gone");
    assert!(said.code == 3 && said.stdout.contains(&names_it) && said.stderr.contains("former"), "{said:?}");
    database.edit(&bent(old["id"].as_str().expect("an id"))).await;

    let done = running.told(&["rewrap"], 0).await;
    assert_eq!(done["by_other_root_keys"], serde_json::json!([]));
    let of_former = &done["tenants"].as_array().expect("a list")[1];
    assert_eq!((&of_former["tenant"], &of_former["left"]), (&"former".into(), &0.into()), "{done}");
    assert!(of_former["tenant_keys"].as_u64() >= Some(1), "{done}");
    running.write_root_keys(&[&new]);
    let listed = running.keys(&["list"]).await;
    assert!(listed.stdout.contains(&key) && !listed.stdout.contains("ROOT KEY MISSING"), "{listed:?}");
    running.end().await;
}
