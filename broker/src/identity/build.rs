//! From declarations to a working verifier: everything that cannot be told apart at run time is refused here.

use super::{
    CredentialSpec, Fetch, IdentityConfigError as Bad, IssuerSpec, KeySource, WorkloadSpec,
    issuer::Issuer,
    jwk::KeySetError,
    jwks::{IssuerKeys, Origin, discovery_url, secure},
    keys::KeySet,
};
use crate::domain::{Clock, WorkloadId};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

const MAX_SKEW: Duration = Duration::from_secs(60);

/// Builds every issuer.
pub(super) fn issuers(
    specs: Vec<IssuerSpec>,
    workloads: &[WorkloadSpec],
    fetchers: &BTreeMap<String, Arc<dyn Fetch>>,
    clock: &Arc<dyn Clock>,
) -> Result<Vec<Issuer>, Bad> {
    let mut built: Vec<Issuer> = Vec::with_capacity(specs.len());
    for spec in specs {
        if built.iter().any(|other| other.spec.name == spec.name) {
            return Err(Bad::IssuerNameTwice(spec.name));
        }
        let issuer = issuer(spec, workloads, fetchers, clock)?;
        let alike = |other: &&Issuer| other.iss == issuer.iss && other.resembles(&issuer);
        if let Some(other) = built.iter().find(alike) {
            return Err(Bad::IssuersAlike(other.spec.name.clone(), issuer.spec.name));
        }
        built.push(issuer);
    }
    Ok(built)
}

fn issuer(
    spec: IssuerSpec,
    workloads: &[WorkloadSpec],
    fetchers: &BTreeMap<String, Arc<dyn Fetch>>,
    clock: &Arc<dyn Clock>,
) -> Result<Issuer, Bad> {
    if let Some(problem) = problem(&spec) {
        return Err(Bad::Issuer { issuer: spec.name, problem });
    }
    let keys = keys(&spec, fetchers, clock)?;
    let mut issuer = Issuer {
        iss: spec.issuer.as_str().into(),
        name: spec.name.as_str().into(),
        keys,
        audiences: spec.broker_audience.iter().cloned().collect(),
        workload_clients: Default::default(),
        workload_subjects: Default::default(),
        spec,
    };
    for workload in workloads {
        if let Some(accepted) = workload.accepts.get(&issuer.spec.name) {
            issuer.audiences.extend(accepted.audiences.iter().cloned());
            issuer.workload_clients.extend(accepted.client_ids.iter().cloned());
        }
        for credential in &workload.credentials {
            match credential {
                CredentialSpec::Jwt { issuer: name, audience, subject } if *name == issuer.spec.name => {
                    issuer.audiences.insert(audience.clone());
                    issuer.workload_subjects.insert(subject.clone());
                }
                _ => {}
            }
        }
    }
    Ok(issuer)
}

fn problem(spec: &IssuerSpec) -> Option<&'static str> {
    let times = &spec.key_times;
    let rules = [
        (spec.name.is_empty() || spec.issuer.is_empty(), "name and iss must not be empty"),
        (spec.algorithms.is_empty(), "no algorithm is allowed"),
        (spec.skew > MAX_SKEW, "the skew is above 60 s"),
        (spec.max_lifetime.is_zero(), "the maximum lifetime is zero"),
        (spec.subject.0.is_empty(), "no subject claim is named"),
        (spec.typ.allowed.is_empty() && !spec.typ.absent, "no typ is allowed"),
        (times.max_age.is_zero() || times.refresh_after > times.max_age, "refresh_after is above max_age"),
        (times.min_interval.is_zero() || times.retry_interval.is_zero(), "a fetch interval is zero"),
        (
            matches!(spec.keys, KeySource::Discovery) && discovery_url(&spec.issuer).is_none(),
            "iss is not an https URL, so its keys cannot be discovered",
        ),
        (
            matches!(&spec.keys, KeySource::JwksUri(url) if !secure(url)),
            "the jwks_uri is neither https nor http to this machine",
        ),
    ];
    rules.into_iter().find_map(|(broken, problem)| broken.then_some(problem))
}

fn keys(
    spec: &IssuerSpec,
    fetchers: &BTreeMap<String, Arc<dyn Fetch>>,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<IssuerKeys>, Bad> {
    let origin = match &spec.keys {
        KeySource::Static(bytes) => {
            let wrong = |problem: KeySetError| Bad::StaticKeys { issuer: spec.name.clone(), problem };
            let keys = KeySet::parse(bytes, &spec.algorithms).map_err(wrong)?;
            if keys.0.is_empty() {
                return Err(wrong(KeySetError::Empty));
            }
            return Ok(IssuerKeys::fixed(keys));
        }
        KeySource::Discovery => Origin::Issuer(spec.issuer.clone()),
        KeySource::JwksUri(url) => Origin::Jwks(url.clone()),
    };
    let fetch = fetchers
        .get(&spec.name)
        .ok_or_else(|| Bad::Issuer { issuer: spec.name.clone(), problem: "nothing can fetch its keys" })?;
    let algorithms = spec.algorithms.clone();
    Ok(IssuerKeys::remote(
        &spec.name,
        origin,
        algorithms,
        spec.key_times,
        Arc::clone(fetch),
        Arc::clone(clock),
    ))
}

/// Refuses workloads that could be taken for one another, for the broker or for a person.
pub(super) fn check_workloads(workloads: &[WorkloadSpec], issuers: &[Issuer]) -> Result<(), Bad> {
    let mut owners: HashMap<Mark<'_>, &WorkloadId> = HashMap::new();
    for workload in workloads {
        if let Some(problem) = own_problem(workload, issuers)? {
            return Err(Bad::Workload { workload: workload.id.clone(), problem });
        }
        for mark in marks(workload) {
            match owners.insert(mark, &workload.id) {
                Some(first) if *first != workload.id => {
                    let (first, second) = (first.clone(), workload.id.clone());
                    return Err(Bad::Shared { first, second, what: mark.what() });
                }
                Some(_) if matches!(mark, Mark::Name(_)) => {
                    return Err(Bad::WorkloadTwice(workload.id.clone()));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// What belongs to one workload alone.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Mark<'a> {
    Name(&'a WorkloadId),
    Secret(&'a [u8; 32]),
    Token(&'a str, &'a str, &'a str),
    Audience(&'a str, &'a str),
    Client(&'a str, &'a str),
}

impl Mark<'_> {
    fn what(self) -> &'static str {
        match self {
            Self::Name(_) => "a name",
            Self::Secret(_) => "a static secret",
            Self::Token(..) => "a token identity",
            Self::Audience(..) => "an audience",
            Self::Client(..) => "a client id",
        }
    }
}

fn marks(workload: &WorkloadSpec) -> impl Iterator<Item = Mark<'_>> {
    let credentials = workload.credentials.iter().map(|credential| match credential {
        CredentialSpec::StaticSecret { sha256, .. } => Mark::Secret(sha256),
        CredentialSpec::Jwt { issuer, audience, subject } => Mark::Token(issuer, audience, subject),
    });
    let accepted = workload.accepts.iter().flat_map(|(issuer, accepts)| {
        let audiences = accepts.audiences.iter().map(move |a| Mark::Audience(issuer, a));
        audiences.chain(accepts.client_ids.iter().map(move |c| Mark::Client(issuer, c)))
    });
    std::iter::once(Mark::Name(&workload.id)).chain(credentials).chain(accepted)
}

fn own_problem(workload: &WorkloadSpec, issuers: &[Issuer]) -> Result<Option<&'static str>, Bad> {
    let find = |name: &str| {
        issuers
            .iter()
            .find(|issuer| issuer.spec.name == *name)
            .ok_or_else(|| Bad::NoSuchIssuer { workload: workload.id.clone(), issuer: name.to_owned() })
    };
    for credential in &workload.credentials {
        if let CredentialSpec::Jwt { issuer, .. } = credential {
            find(issuer)?;
        }
    }
    for (name, accepts) in &workload.accepts {
        let spec = &find(name)?.spec;
        if spec.broker_audience.as_ref().is_some_and(|own| accepts.audiences.contains(own)) {
            return Ok(Some("the broker's own audience is not a workload's"));
        }
        if !accepts.audiences.is_disjoint(&spec.further_audiences) {
            return Ok(Some("an audience is also among the issuer's further audiences"));
        }
        let own = spec.broker_audience.as_ref().is_some_and(|own| accepts.client_ids.contains(own));
        if own || !accepts.client_ids.is_disjoint(&spec.person_clients) {
            return Ok(Some("a client id is also a person's client"));
        }
    }
    Ok(None)
}
