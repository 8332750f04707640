//! `broker policy test|explain`: what the configured rules answer, and why.

use demo::world::{Options, Site, World};
use serde_json::{Value, json};

use super::{refused, works};

const EXTRA: &str = r#"
@id("no-writes-at-night")
@reason("Nobody writes at night.")
forbid (principal, action == Broker::Action::"issue", resource)
when { resource.access == "write" && context.now >= datetime("2026-11-21T22:00:00Z") };

@id("helper-may-hold")
@long_lived("allow")
permit (principal, action == Broker::Action::"holdWider", resource)
when { context.workload.name == "ticket-helper" && context has acr && context.acr == "mfa" };
"#;

async fn site() -> Site {
    let amend = |text: String| {
        text.replace("display_name: Report writer", "display_name: Report writer\n    providers: []")
    };
    let options =
        Options { extra_policy: EXTRA.to_owned(), amend_config: Some(Box::new(amend)), ..Options::default() };
    World::prepare(options).await.expect("prepared")
}

/// Cases that hold, each a wrong one when `expect` is turned around.
fn cases() -> Value {
    let alice = json!({ "id": "alice", "issuer": "sso", "roles": ["notes-users"] });
    let bob = json!({ "id": "bob", "issuer": "sso" });
    let ask = |subject: &Value, more: Value| {
        let mut ask = json!({ "subject": subject, "workload": "ticket-helper", "provider": "notes", "scopes": ["notes.read"] });
        ask.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ask
    };
    let night = json!({ "scopes": ["notes.read", "notes.write"], "now": "2026-11-21T23:00:00Z" });
    let auditor = json!({ "id": "a", "issuer": "sso", "tenant": "company", "roles": ["broker-auditor"] });
    json!([
        { "name": "staff", "ask": ask(&alice, json!({})), "expect": "allow", "rules": ["staff-use-notes"], "max_ttl": "15m" },
        { "name": "no role", "ask": ask(&bob, json!({})), "expect": "deny", "rules": ["default-deny"] },
        { "name": "night", "ask": ask(&alice, night), "expect": { "notes.read": "allow", "notes.write": "deny" },
          "rules": ["no-writes-at-night", "staff-use-notes"], "max_ttl": "900s" },
        { "name": "not its provider", "ask": ask(&alice, json!({ "workload": "report-writer" })), "expect": "deny", "rules": [] },
        { "name": "holds", "ask": ask(&bob, json!({ "action": "holdWider", "acr": "mfa" })), "expect": "allow", "max_ttl": "1h" },
        { "name": "holds not", "ask": ask(&bob, json!({ "action": "holdWider" })), "expect": "deny" },
        { "name": "auditor", "ask": { "subject": auditor, "action": "auditRead" }, "expect": "allow", "rules": ["auditors-read-the-log"] },
        { "name": "a server", "ask": { "workload": "ticket-helper", "action": "admin" }, "expect": "deny" },
    ])
}

fn write(site: &Site, cases: &Value) {
    std::fs::write(site.path("cases.json"), json!({ "cases": cases }).to_string()).expect("written");
}

/// Proves: PO6
#[tokio::test]
async fn po6_a_table_of_cases_holds_and_each_case_turned_around_fails() {
    let site = site().await;
    write(&site, &cases());
    let said = works(site.directory(), &["policy", "test", "cases.json"]).await;
    assert!(said.contains("8 of 8 as expected"), "{said}");

    let mut wrong = cases();
    for case in wrong.as_array_mut().expect("a list") {
        let text = case["expect"].to_string();
        let turned = text.replace("allow", "-").replace("deny", "allow").replace('-', "deny");
        case["expect"] = serde_json::from_str(&turned).expect("JSON");
    }
    write(&site, &wrong);
    let ran = refused(site.directory(), &["policy", "test", "cases.json", "--json"], 3, &[]).await;
    let said: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(said["failed"], 8, "{said}");
    for (key, other) in [
        ("rules", json!(["other"])),
        ("max_ttl", json!("16m")),
        ("expect", json!({ "notes.write": "allow" })),
    ] {
        let mut one = json!([cases()[0]]);
        one[0][key] = other;
        write(&site, &one);
        refused(site.directory(), &["policy", "test", "cases.json"], 3, &["FAIL staff", "0 of 1"]).await;
    }
}

/// Proves: PO6
#[tokio::test]
async fn po6_a_table_that_asks_what_cannot_be_asked_is_no_passed_one() {
    let site = site().await;
    for (change, words) in [
        (json!({ "workload": "nobody" }), "no entry of workloads"),
        (json!({ "provider": "nothing" }), "no entry of providers"),
        (json!({ "scopes": ["notes.delete"] }), "does not offer the scope"),
        (json!({ "scopes": [] }), "scopes are missing"),
        (json!({ "subject": { "id": "a", "issuer": "x" } }), "no entry of issuers"),
        (json!({ "subject": { "id": "a" } }), "not exactly one"),
        (json!({ "subject": { "id": "a", "issuer": "sso", "tenant": "other" } }), "another tenant"),
        (json!({ "login_age": "long" }), "login_age"),
        (json!({ "now": "noon" }), "now is a time"),
    ] {
        let mut one = json!([cases()[1]]);
        one[0]["ask"]
            .as_object_mut()
            .expect("a mapping")
            .extend(change.as_object().expect("a mapping").clone());
        write(&site, &one);
        refused(site.directory(), &["policy", "test", "cases.json"], 3, &[words]).await;
    }
    // A table that cannot be read was not put to the rules at all.
    let mut misspelt = cases();
    misspelt[1]["ask"]["tools"] = json!("x");
    write(&site, &misspelt);
    refused(site.directory(), &["policy", "test", "cases.json"], 1, &["unknown field"]).await;
    write(&site, &json!([]));
    refused(site.directory(), &["policy", "test", "cases.json"], 1, &["has no cases"]).await;
    refused(site.directory(), &["policy", "test", "nowhere.yaml"], 1, &["nowhere.yaml"]).await;
    std::fs::write(site.path("policy.cedar"), "permit (principal, action, resource);").expect("written");
    write(&site, &cases());
    refused(site.directory(), &["policy", "test", "cases.json"], 1, &["has no @id"]).await;
}

/// Proves: PO6
#[tokio::test]
async fn po6_explain_says_which_rules_decide_and_what_is_missing() {
    let site = site().await;
    let question =
        ["policy", "explain", "--workload", "ticket-helper", "--provider", "notes", "--issuer", "sso"];
    let scopes = ["--subject", "alice", "--scope", "notes.read", "--scope", "notes.write"];
    let night = ["--role", "notes-users", "--at", "2026-11-21T23:00:00Z"];
    let said = works(site.directory(), &[&question[..], &scopes[..], &night[..]].concat()).await;
    for words in [
        "notes.read: allowed\n  by the permit staff-use-notes (",
        "policy.cedar:4)",
        "for at most 900 seconds",
        "notes.write: denied\n  because Nobody writes at night.\n  by the forbid no-writes-at-night (",
    ] {
        assert!(said.contains(words), "{words:?} in\n{said}");
    }
    let said =
        works(site.directory(), &[&question[..], &scopes[..2], &["--scope", "notes.read"]].concat()).await;
    assert!(
        said.contains("the permit staff-use-notes does not allow it, because this does not hold:"),
        "{said}"
    );
    assert!(
        said.contains("principal.roles.contains(\"notes-users\")") || said.contains("\"notes-users\""),
        "{said}"
    );
    assert!(!said.contains("resource.provider == \"notes\""), "what holds is not listed:\n{said}");

    let held = [&question[..], &scopes[..4], &["--action", "holdWider", "--json"]].concat();
    let said: Value = serde_json::from_str(&works(site.directory(), &held).await).expect("JSON");
    let [near] = &said["answers"][0]["near"].as_array().expect("a list")[..] else { panic!("{said}") };
    assert_eq!((&near["rule"], near["unmet"].as_array().map(Vec::len)), (&json!("helper-may-hold"), Some(2)));
    refused(site.directory(), &question, 2, &["--subject"]).await;
    refused(site.directory(), &question[..6], 1, &["a subject is missing"]).await;
}

/// What a call is refused for before and after the rules are asked; and no secret of the configuration is read for it.
///
/// Proves: PO6
#[tokio::test]
async fn po6_explain_refuses_what_a_call_would_be_refused_for_and_needs_no_secret() {
    let amend = |text: String| {
        let agents = "audiences: [\"https://ticket-helper.company.example/mcp\"]";
        let clients = "audiences: [\"https://report-writer.company.example/mcp\"]";
        text.replacen(
            "    rotation: family_revoking\n",
            "    rotation: family_revoking\n    tokens_never_expire: true\n",
            1,
        )
        .replace(agents, &format!("{agents}, agents: [desktop]"))
        .replace(clients, &format!("{clients}, client_ids: [report-app]"))
        .replace("${file:calendar-client-secret}", "${env:NOBODY_HAS_SET_THIS}")
    };
    let old = r#"
@id("old-tools") @long_lived("allow")
permit (principal, action == Broker::Action::"issue", resource) when { principal.roles.contains("old-tools") };
"#;
    let amend_config: Option<demo::world::Amend> = Some(Box::new(amend));
    let options = Options { amend_config, extra_policy: old.to_owned(), ..Options::default() };
    let site = World::prepare(options).await.expect("prepared");
    std::fs::remove_file(site.path("notes-client-secret")).expect("it was there");
    std::fs::remove_file(site.path("sso-client-secret")).expect("it was there");
    let ask = async |workload: &str, provider: &str, more: &[&str]| {
        let scope = format!("{provider}.read");
        let question =
            ["policy", "explain", "--subject", "alice", "--issuer", "sso", "--role", "notes-users"];
        let about = ["--workload", workload, "--provider", provider, "--scope", &scope, "--json"];
        let said = works(site.directory(), &[&question[..], &about, more].concat()).await;
        let said: Value = serde_json::from_str(&said).expect("JSON");
        let answer = &said["answers"][0];
        let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        (answer["allowed"].as_bool().expect("yes or no"), text("reason"), text("message"))
    };
    let denied = |(allowed, _, message): (bool, String, String), words: &str| {
        assert!(!allowed && message.contains(words), "{words:?} in {message:?}");
    };
    let (desktop, other) = (["--client-id", "desktop"], ["--client-id", "other"]);
    denied(ask("ticket-helper", "calendar", &[]).await, "which AI client");
    denied(ask("ticket-helper", "calendar", &other).await, "this AI client");
    assert_eq!(ask("ticket-helper", "calendar", &desktop).await, (true, String::new(), String::new()));
    denied(ask("report-writer", "notes", &other).await, "this AI client");

    let never = ask("report-writer", "notes", &["--client-id", "report-app"]).await;
    assert_eq!(never.1, "TOKEN_OUTLIVES_GRANT");
    denied(never, "never expire");
    assert!(ask("report-writer", "notes", &["--role", "old-tools"]).await.0, "a rule says that they may");
    works(site.directory(), &["provider", "list"]).await;
    refused(site.directory(), &["config", "check"], 3, &["client.secret"]).await;
}
