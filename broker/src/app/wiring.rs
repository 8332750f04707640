//! From configuration to the specifications the rooms work with.

use super::StartError;
use crate::{
    config::{self, Config},
    identity::{
        Acceptance, Algorithm, CredentialSpec, IssuerSpec, KeySource, SubjectClaims, TenantRule, TypRule,
        WorkloadSpec,
    },
    net::{Cidr, Destination},
    relay::{self, Changed, Relay},
    storage::Forget,
    usecase::Settings,
};
use std::{path::PathBuf, str::FromStr};
use url::Url;

pub(super) fn issuer(
    issuer: &config::Issuer,
    operators: &[config::OperatorAccess],
) -> Result<IssuerSpec, StartError> {
    let tenant = match &issuer.tenant {
        config::TenantRule::Fixed(tenant) => TenantRule::Fixed(tenant.clone()),
        config::TenantRule::Claim { name, tenants } => {
            TenantRule::Claim { name: name.clone(), tenants: tenants.clone() }
        }
    };
    let keys = match &issuer.keys {
        config::IssuerKeys::Discovery => KeySource::Discovery,
        config::IssuerKeys::JwksUri(url) => KeySource::JwksUri(url.clone()),
    };
    let algorithms: Option<Vec<_>> = issuer.algorithms.iter().map(|name| Algorithm::parse(name)).collect();
    let algorithms = algorithms.ok_or_else(|| StartError::Config("issuers: unknown algorithm".to_owned()))?;
    let mut spec =
        IssuerSpec::new(&issuer.name, &issuer.issuer, issuer.realm.clone(), tenant, algorithms, keys);
    spec.subject = SubjectClaims(issuer.subject_claims.clone());
    spec.roles_claim.clone_from(&issuer.roles_claim);
    spec.label_claims.clone_from(&issuer.label_claims);
    spec.typ = TypRule { allowed: issuer.types.clone(), absent: issuer.type_may_be_absent };
    spec.max_lifetime = issuer.max_token_lifetime;
    spec.skew = issuer.clock_skew;
    spec.further_audiences = issuer.further_audiences.iter().cloned().collect();
    spec.one_time_assertions = issuer.one_time_assertions;
    if let Some(access) = operators.iter().find(|access| access.issuer == issuer.name) {
        spec.broker_audience = Some(access.audience.clone());
        spec.person_clients = access.client_ids.iter().cloned().collect();
    }
    Ok(spec)
}

pub(super) fn workload(workload: &config::Workload) -> WorkloadSpec {
    let credentials = workload.credentials.iter().map(|credential| match credential {
        config::Credential::StaticSecret { sha256, not_after } => {
            CredentialSpec::StaticSecret { sha256: *sha256, not_after: *not_after }
        }
        config::Credential::Jwt { issuer, audience, subject } => CredentialSpec::Jwt {
            issuer: issuer.clone(),
            audience: audience.clone(),
            subject: subject.clone(),
        },
    });
    let accepts = workload.accepts.iter().map(|(issuer, accepted)| {
        let config::Acceptance { audiences, client_ids, agents } = accepted.clone();
        (issuer.clone(), Acceptance { audiences, client_ids, agents })
    });
    WorkloadSpec {
        id: workload.id.clone(),
        display_name: workload.display_name.clone(),
        credentials: credentials.collect(),
        accepts: accepts.collect(),
        roles: workload.roles.clone(),
        tenants: workload.tenants.clone(),
    }
}

/// What a named place may be reached at. Plain HTTP counts for loopback URLs only, which the configuration checked.
pub(super) fn destination(
    name: &str,
    url: &Url,
    networks: &[String],
    ca_file: Option<&PathBuf>,
) -> Result<Destination, StartError> {
    let networks = networks.iter().map(|text| Cidr::from_str(text)).collect::<Result<Vec<_>, _>>();
    Ok(Destination {
        name: name.to_owned(),
        allowed_networks: networks
            .map_err(|_| StartError::Config(format!("{name}: a malformed address range")))?,
        ca_file: ca_file.cloned(),
        loopback_http: url.scheme() == "http",
    })
}

pub(super) fn settings(config: &Config) -> Settings {
    Settings {
        public_url: config.public_url.clone(),
        consent_lifetime: config.consent.lifetime,
        max_open_consents: config.consent.max_open_per_subject,
        limits: config.limits,
        refresh_ahead: config.refresh,
        tenants: config.tenants.iter().map(|tenant| tenant.id.clone()).collect(),
        workload_names: config.workloads.iter().map(|w| (w.id.clone(), w.display_name.clone())).collect(),
        workload_roles: config.workloads.iter().map(|w| (w.id.clone(), w.roles.clone())).collect(),
        workload_providers: config
            .workloads
            .iter()
            .filter_map(|w| w.providers.clone().map(|providers| (w.id.clone(), providers)))
            .collect(),
    }
}

/// What replicas tell each other through, if anything.
pub(super) fn relay(
    settings: Option<&config::Redis>,
    parts: relay::Parts,
    forget: Forget,
) -> Result<Relay, StartError> {
    let Some(settings) = settings else { return Ok(Relay::none()) };
    let heard = move |changed: &Changed| {
        if let Changed::Connection(id) = changed {
            forget.tokens_of(id);
        }
    };
    Ok(Relay::start(settings, parts, heard)?)
}
