//! Loading: parse, check against the schema, check by each section's rules; every problem at once.

use super::{
    check::Check,
    consent::{self, ConsentSettings, RawConsent},
    document,
    grants::{self, GrantSettings, RawGrants},
    issuers::{self, Issuer, RawIssuer},
    keys::{self, Keys, RawKeys},
    limits::{self, Limits, RawLimits},
    listeners::{self, Listeners, RawListeners},
    log::{self, Log, RawLog},
    operators::{self, OperatorAccess, RawOperator},
    policy::{self, PolicyFiles, RawPolicy},
    problem::{Problem, Problems},
    provider_raw::RawProvider,
    providers,
    redis::{self, RawRedis, Redis},
    refreshing::{self, RawRefresh, RefreshAhead},
    spool::{self, RawSpool, SpoolSettings},
    storage::{self, RawStorage, Storage},
    telemetry::{self, RawTelemetry, Telemetry},
    tenants::{self, RawTenant, Tenant},
    workloads::{self, Known, RawWorkload, Workload},
};
use crate::domain::{ProviderSpec, sha256};
use schemars::JsonSchema;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};
use url::Url;

/// Reads an environment variable, for `${env:NAME}`.
pub type Environment = dyn Fn(&str) -> Option<String>;

/// The whole file.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the whole file to the schema; sections are read one by one")]
pub(super) struct RawConfig {
    /// Where the broker listens.
    listeners: RawListeners,
    /// Where people's browsers reach the `web` listener, such as `https://broker.example.com`. Must be https, except on
    /// loopback.
    public_url: String,
    /// Where the broker keeps its rows.
    storage: RawStorage,
    /// The root key.
    keys: RawKeys,
    /// Who is kept apart from whom.
    #[serde(default)]
    tenants: Vec<RawTenant>,
    /// Who vouches for people and for workloads.
    #[serde(default)]
    issuers: Vec<RawIssuer>,
    /// The MCP servers that may call.
    #[serde(default)]
    workloads: Vec<RawWorkload>,
    /// The downstream systems.
    #[serde(default)]
    providers: Vec<RawProvider>,
    /// The rules.
    policy: Option<RawPolicy>,
    /// Bounds on what is issued.
    grants: Option<RawGrants>,
    /// The links people are sent.
    consent: Option<RawConsent>,
    /// How much the broker takes on at once.
    limits: Option<RawLimits>,
    /// Where tokens that cannot be stored are kept until they can.
    spool: Option<RawSpool>,
    /// Which connections are refreshed before anybody asks.
    refresh: Option<RawRefresh>,
    /// What replicas tell each other through, to be quicker. Without it they look into the database.
    redis: Option<RawRedis>,
    /// What the broker says about itself.
    log: Option<RawLog>,
    /// Where traces go, and of which calls. Without it nothing is traced.
    telemetry: Option<RawTelemetry>,
    /// How auditors and administrators prove who they are when they call.
    #[serde(default)]
    operators: Vec<RawOperator>,
}

/// A configuration that was checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the broker listens.
    pub listeners: Listeners,
    /// Where browsers reach the pages: scheme, host and port, path `/`.
    pub public_url: Url,
    /// Where the broker keeps its rows.
    pub storage: Storage,
    /// The root key.
    pub keys: Keys,
    /// Who is kept apart from whom.
    pub tenants: Vec<Tenant>,
    /// Who vouches.
    pub issuers: Vec<Issuer>,
    /// Who may call.
    pub workloads: Vec<Workload>,
    /// The downstream systems.
    pub providers: Vec<ProviderSpec>,
    /// The rules.
    pub policy: PolicyFiles,
    /// Bounds on what is issued.
    pub grants: GrantSettings,
    /// The links people are sent.
    pub consent: ConsentSettings,
    /// How much the broker takes on at once.
    pub limits: Limits,
    /// Where tokens that cannot be stored are kept until they can.
    pub spool: SpoolSettings,
    /// Which connections are refreshed before anybody asks.
    pub refresh: RefreshAhead,
    /// What replicas tell each other through; `None` = the database alone.
    pub redis: Option<Redis>,
    /// What the broker says about itself.
    pub log: Log,
    /// Where traces go; `None` = nothing is traced.
    pub telemetry: Option<Telemetry>,
    /// How auditors and administrators prove who they are.
    pub operators: Vec<OperatorAccess>,
    /// Names the file's text: 16 hex digits of its SHA-256. What secrets and policy files hold is not part of it.
    pub hash: String,
    /// What is odd but not wrong.
    pub warnings: Vec<Problem>,
}

impl Config {
    /// Reads and checks the file at `path`; secrets come from the files and environment variables it names. Relative
    /// paths in it start at its own directory.
    ///
    /// # Errors
    /// [`Problems`]: all of them, never with a value.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        let text = document::read(path)?;
        let base = path.parent().map_or_else(PathBuf::new, Path::to_owned);
        Self::parse(&text, &base, &|name| std::env::var(name).ok())
    }

    /// As [`Config::load`], for commands that need none of the secrets: they are not read, and empty. Nothing can be served by it.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn load_without_secrets(path: &Path) -> Result<Self, Problems> {
        let text = document::read(path)?;
        let base = path.parent().map_or_else(PathBuf::new, Path::to_owned);
        Self::checked(&text, Check::new(&base, &|_| None).without_secrets())
    }

    /// Checks `text`; relative paths in it start at `base`.
    ///
    /// # Errors
    /// [`Problems`]: all of them, never with a value.
    pub fn parse(text: &str, base: &Path, environment: &Environment) -> Result<Self, Problems> {
        Self::checked(text, Check::new(base, environment))
    }

    fn checked(text: &str, mut check: Check<'_>) -> Result<Self, Problems> {
        let document = document::parse(text)?;
        let misfits = document::misfits(&document);
        // A section that does not fit the schema is not looked at further; the others are.
        let unfit = misfits.iter().map(|problem| section_of(&problem.path).to_owned()).collect();
        check.extend(misfits);
        let mut sections = Sections { document: &document, unfit };
        let config = config(&mut sections, &mut check);
        let (mut config, warnings) = check.finish(config)?;
        config.warnings = warnings;
        config.hash = data_encoding::HEXLOWER.encode(&sha256(text.as_bytes())[..8]);
        Ok(config)
    }
}

fn section_of(path: &str) -> &str {
    path.split(['.', '[']).next().unwrap_or_default()
}

struct Sections<'a> {
    document: &'a Value,
    unfit: BTreeSet<String>,
}

impl Sections<'_> {
    /// The section, unless it is absent or does not fit.
    fn read<T: DeserializeOwned>(&self, name: &str, check: &mut Check<'_>) -> Option<T> {
        if self.unfit.contains(name) {
            return None;
        }
        let read = T::deserialize(self.document.get(name)?);
        // The message of a failed read may hold the value.
        read.map_err(|_| check.problem(name, "does not fit the schema")).ok()
    }

    fn read_or_default<T: DeserializeOwned + Default>(&self, name: &str, check: &mut Check<'_>) -> Option<T> {
        if self.document.get(name).is_none() { Some(T::default()) } else { self.read(name, check) }
    }
}

fn config(sections: &mut Sections<'_>, check: &mut Check<'_>) -> Option<Config> {
    let raw_listeners = sections.read::<RawListeners>("listeners", check);
    let listeners = raw_listeners.and_then(|raw| listeners::check(&raw, check));
    let raw_url = sections.read::<String>("public_url", check);
    let public_url = raw_url.and_then(|raw| self::public_url(&raw, check));
    let raw_storage = sections.read::<RawStorage>("storage", check);
    let storage = raw_storage.and_then(|raw| storage::check(&raw, check));
    let raw_keys = sections.read::<RawKeys>("keys", check);
    let keys = raw_keys.and_then(|raw| keys::check(&raw, check));
    let parties = parties(sections, check);
    let policy = sections.read_or_default::<RawPolicy>("policy", check).map(|raw| policy::check(&raw, check));
    let grants = sections.read_or_default::<RawGrants>("grants", check).map(|raw| grants::check(&raw, check));
    let consent =
        sections.read_or_default::<RawConsent>("consent", check).map(|raw| consent::check(&raw, check));
    let limits = sections.read_or_default::<RawLimits>("limits", check).map(|raw| limits::check(&raw, check));
    let spool = spool(sections, check);
    let refresh =
        sections.read_or_default::<RawRefresh>("refresh", check).map(|raw| refreshing::check(&raw, check));
    let redis = sections.read::<RawRedis>("redis", check).and_then(|raw| redis::check(&raw, check));
    let log = sections.read_or_default::<RawLog>("log", check).map(|raw| log::check(&raw));
    let telemetry = sections.read::<RawTelemetry>("telemetry", check);
    let telemetry = telemetry.and_then(|raw| telemetry::check(&raw, check));
    let parties = parties?;
    Some(Config {
        listeners: listeners?,
        public_url: public_url?,
        storage: storage?,
        keys: keys?,
        tenants: parties.tenants,
        issuers: parties.issuers,
        workloads: parties.workloads,
        providers: parties.providers,
        policy: policy?,
        grants: grants?,
        consent: consent?,
        limits: limits?,
        spool: spool?,
        refresh: refresh?,
        redis,
        log: log?,
        telemetry,
        operators: parties.operators,
        hash: String::new(),
        warnings: Vec::new(),
    })
}

fn spool(sections: &Sections<'_>, check: &mut Check<'_>) -> Option<SpoolSettings> {
    match sections.document.get("spool") {
        None => Some(SpoolSettings::default()),
        Some(_) => sections.read::<RawSpool>("spool", check).map(|raw| spool::check(&raw, check)),
    }
}

/// The sections that refer to each other.
struct Parties {
    tenants: Vec<Tenant>,
    issuers: Vec<Issuer>,
    workloads: Vec<Workload>,
    providers: Vec<ProviderSpec>,
    operators: Vec<OperatorAccess>,
}

fn parties(sections: &Sections<'_>, check: &mut Check<'_>) -> Option<Parties> {
    let raw_tenants = sections.read_or_default::<Vec<RawTenant>>("tenants", check);
    let raw_issuers = sections.read_or_default::<Vec<RawIssuer>>("issuers", check);
    let raw_workloads = sections.read_or_default::<Vec<RawWorkload>>("workloads", check);
    let raw_providers = sections.read_or_default::<Vec<RawProvider>>("providers", check);
    let raw_operators = sections.read_or_default::<Vec<RawOperator>>("operators", check);
    let tenant_ids = raw_tenants.as_ref().map(|raw| raw.iter().map(|t| t.id.clone()).collect());
    let issuer_names = raw_issuers.as_ref().map(|raw| raw.iter().map(|i| i.name.clone()).collect());
    let provider_ids = raw_providers.as_ref().map(|raw| raw.iter().map(|p| p.id.clone()).collect());
    let known = Known {
        issuers: issuer_names.as_ref(),
        tenants: tenant_ids.as_ref(),
        providers: provider_ids.as_ref(),
    };
    let tenants = raw_tenants.as_ref().map(|raw| tenants::check(raw, check));
    let issuers = raw_issuers.as_ref().map(|raw| issuers::check(raw, known.tenants, check));
    let workloads = raw_workloads.as_ref().map(|raw| workloads::check(raw, &known, check));
    let providers = raw_providers.as_ref().map(|raw| providers::check(raw, check));
    let operators = raw_operators.as_ref().map(|raw| operators::check(raw, known.issuers, check));
    if let (Some(issuers), Some(raw)) = (&issuers, &raw_workloads) {
        let used = raw.iter().flat_map(|workload| &workload.accepts).map(|a| a.issuer.as_str()).collect();
        issuers::warn_without_login(issuers, &used, check);
    }
    Some(Parties {
        tenants: tenants?,
        issuers: issuers?,
        workloads: workloads?,
        providers: providers?,
        operators: operators?,
    })
}

fn public_url(text: &str, check: &mut Check<'_>) -> Option<Url> {
    let url = check.url("public_url", text)?;
    if url.path() != "/" || url.query().is_some() {
        check.problem("public_url", "has a path or query; it is scheme, host and port only");
    }
    Some(url)
}
