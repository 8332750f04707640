use super::{full, load, parse_in};
use crate::{
    config::{
        Config, Credential, IssuerKeys, LogFormat, LogLevel, Starter, StarterSso, Storage, TenantRule,
        starter,
    },
    domain::{
        ExposeSecret, Timestamp,
        provider::{ClientAuth, Expiry, IssParameter, Narrowing, RevokeStyle, Rotation},
    },
};
use std::time::Duration;

#[test]
fn every_section_arrives_as_it_was_meant() {
    let config = load(&full()).unwrap();
    assert_eq!(config.warnings, []);
    assert!(config.listeners.web.tls.as_ref().unwrap().certificate_file.is_absolute());
    assert_eq!(config.listeners.web.tls.unwrap().key_file, std::path::Path::new("/etc/web.key"));
    assert!(config.listeners.ops.terminated_by_mesh);
    assert_eq!(config.public_url.as_str(), "https://broker.example.com/");
    let Storage::Sqlite { path } = config.storage else { panic!("it is SQLite") };
    assert!(path.is_absolute() && path.ends_with("broker.db"));
    let [sso, cluster] = &config.issuers[..] else { panic!() };
    assert_eq!(sso.login.as_ref().unwrap().client_secret.as_ref().unwrap().expose_secret(), "from-variable");
    assert_eq!(
        (sso.keys.clone(), sso.subject_claims.clone()),
        (IssuerKeys::Discovery, vec!["sub".to_owned()])
    );
    assert!(
        matches!(&cluster.tenant, TenantRule::Claim { tenants, .. } if tenants["o-1"].as_str() == "acme")
    );
    assert_eq!(cluster.clock_skew, Duration::from_secs(5));
    assert_eq!([sso, cluster].map(|issuer| issuer.one_time_assertions), [true, false]);
    let workload = &config.workloads[0];
    let end = Timestamp::parse_rfc3339("2027-01-31T00:00:00Z");
    assert_eq!(workload.credentials[0], Credential::StaticSecret { sha256: [0x1f; 32], not_after: end });
    assert!(workload.accepts["sso"].agents.contains("desktop"));
    let provider = &config.providers[0];
    assert_eq!(provider.client.secret.expose_secret(), "from-file", "without the newline that ends the file");
    assert_eq!(provider.client.auth, ClientAuth::Post);
    assert_eq!(provider.rotation, Rotation::WithGrace(Duration::from_secs(30)));
    assert_eq!(provider.narrowing, Narrowing::None);
    assert_eq!(provider.expiry, Expiry::GivenOr(Duration::from_secs(3600)));
    assert_eq!(provider.iss, IssParameter::Required("https://notes.example.com".to_owned()));
    assert!(matches!(&provider.revoke, RevokeStyle::Rfc7009(url) if url.path() == "/revoke"));
    assert_eq!(
        (provider.header_name.as_str(), provider.header_prefix.as_str()),
        ("authorization", "Bearer ")
    );
    assert_eq!(config.grants.default_max_ttl, Duration::from_secs(1800));
    assert_eq!((config.consent.lifetime, config.consent.max_open_per_subject), (Duration::from_secs(300), 3));
    assert_eq!((config.limits.max_concurrent_requests, config.limits.max_request_bytes), (7, 131_072));
    assert_eq!((config.log.level, config.log.format), (LogLevel::Warn, LogFormat::Json));
    assert_eq!(config.operators[0].client_ids, ["cli"]);
}

/// Proves: ID6
#[test]
fn id6_an_assertion_issuer_without_a_login_is_a_warning() {
    let mut document = full();
    document["issuers"][0].as_object_mut().unwrap().remove("login");
    let warnings: Vec<_> = load(&document).unwrap().warnings.iter().map(ToString::to_string).collect();
    assert!(
        matches!(&warnings[..], [one] if one.starts_with("issuers[0].login: has no login")),
        "{warnings:?}"
    );
    let mut other = full()["issuers"][0].clone();
    other["name"] = "pages".into();
    other["issuer"] = "https://pages.example.com".into();
    document["issuers"].as_array_mut().unwrap().push(other);
    assert_eq!(load(&document).unwrap().warnings, [], "another issuer of the realm has one");
}

fn starter_text() -> String {
    starter(&starter_names(None))
}

fn starter_names(sso: Option<StarterSso<'_>>) -> Starter<'_> {
    Starter { database: "broker.db", key_file: "it's \"here\".keys", policy_file: "policy.cedar", sso }
}

#[test]
fn a_starter_that_knows_the_single_sign_on_has_it_and_the_other_examples_stay() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.yaml");
    std::fs::write(dir.path().join("the secret"), "s\n").unwrap();
    for secret_file in [Some("the secret"), None] {
        let sso =
            StarterSso { issuer: "https://login.example.org/x: y", client_id: "it's \"me\"", secret_file };
        let text = starter(&starter_names(Some(sso)));
        std::fs::write(&file, &text).unwrap();
        let config = Config::load(&file).unwrap_or_else(|problems| panic!("{problems}\n{text}"));
        let [issuer] = &config.issuers[..] else { panic!("{text}") };
        let login = issuer.login.as_ref().unwrap();
        assert_eq!(
            (issuer.issuer.as_str(), login.client_id.as_str()),
            ("https://login.example.org/x: y", "it's \"me\"")
        );
        assert_eq!(
            login.client_secret.as_ref().map(|s| s.expose_secret().to_owned()),
            secret_file.map(|_| "s".to_owned())
        );
        assert_eq!(issuer.roles_claim.as_deref(), Some("groups"));
        let plain = starter_text();
        let examples = |text: &str| text.lines().filter(|line| line.starts_with('#')).count();
        assert_eq!(examples(&plain) - examples(&text), 11, "only the example of issuers is one no longer");
        assert_eq!(plain.lines().count() - text.lines().count(), usize::from(secret_file.is_none()));
    }
}

#[test]
fn the_starter_loads_as_it_is_and_with_its_examples() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.yaml");
    std::fs::write(&file, starter_text()).unwrap();
    let config = Config::load(&file).unwrap();
    assert_eq!(config.warnings, []);
    assert_eq!(config.keys.file, dir.path().join("it's \"here\".keys"));
    assert!(config.issuers.is_empty() && config.workloads.is_empty() && config.providers.is_empty());

    for secret in ["sso-client-secret", "notes-client-secret"] {
        std::fs::write(dir.path().join(secret), "s").unwrap();
    }
    let example = |line: &str| match line.strip_prefix('#') {
        Some(rest)
            if !rest.is_empty() && !rest.starts_with(' ')
                || line.starts_with("#  ") && !line.contains("openssl") =>
        {
            line[1..].to_owned() + "\n"
        }
        _ => line.to_owned() + "\n",
    };
    let text: String = starter_text().lines().map(example).collect();
    let text = text
        .replace("<64 hex digits>", &"ab".repeat(32))
        .replace("\n   1. ", "\n# ")
        .replace("\n   2. ", "\n# ");
    let text = text.replace("\n   3. ", "\n# ").replace("\n   4. ", "\n# ");
    let config = parse_in(&text, dir.path()).unwrap_or_else(|problems| panic!("{problems}\n{text}"));
    assert_eq!((config.issuers.len(), config.workloads.len(), config.providers.len()), (1, 1, 1));
    assert_eq!(config.warnings, []);
}
