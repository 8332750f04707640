//! The verifier as others use it.

use super::{
    CredentialKind, CredentialSpec, Fetch, IdentityConfigError, IdentityError, IssuerSpec, MAX_TOKEN_BYTES,
    SECRET_PREFIX, TokenError, VerifiedAssertion, VerifiedLogin, VerifiedWorkload, WorkloadSpec, acceptance,
    build,
    claims::Claims,
    compact::UnverifiedToken,
    credential::equal,
    issuer::Issuer,
    logout::{self, VerifiedLogout},
    one_time,
};
use crate::{
    domain::{AssertionUse, Clock, Timestamp, sha256},
    metrics::Metrics,
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// Remembered verifications hold at most this many bytes of tokens' worth.
const REMEMBERED_BYTES: u64 = 32 * 1024 * 1024;

/// Verifies workloads, assertions and logins against the declared issuers. Replaced whole when those change, and its
/// memory with it; a remembered verification therefore belongs to the issuer contracts it was made under.
pub struct Identity {
    pub(super) issuers: Vec<Issuer>,
    pub(super) by_iss: HashMap<Arc<str>, Vec<usize>>,
    workloads: Vec<Arc<WorkloadSpec>>,
    remembered: moka::sync::Cache<[u8; 32], Arc<Checked>>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
}

/// "This signature verified under key generation K", and what the token says. Nothing about time or audience.
struct Checked {
    issuer: usize,
    generation: u64,
    sha256: [u8; 32],
    bytes: u32,
    claims: Arc<Claims>,
}

impl Identity {
    /// How many issuers there are.
    pub fn issuers(&self) -> usize {
        self.issuers.len()
    }

    /// Builds the verifier. `fetchers` holds, by issuer name, what fetches that issuer's keys; issuers with static
    /// keys need none.
    ///
    /// # Errors
    /// [`IdentityConfigError`] when declarations contradict each other or could be taken for one another.
    pub fn new(
        issuers: Vec<IssuerSpec>,
        workloads: Vec<WorkloadSpec>,
        fetchers: &BTreeMap<String, Arc<dyn Fetch>>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, IdentityConfigError> {
        let issuers = build::issuers(issuers, &workloads, fetchers, &clock)?;
        build::check_workloads(&workloads, &issuers)?;
        let mut by_iss: HashMap<Arc<str>, Vec<usize>> = HashMap::new();
        for (index, issuer) in issuers.iter().enumerate() {
            by_iss.entry(Arc::clone(&issuer.iss)).or_default().push(index);
        }
        let remembered = moka::sync::Cache::builder()
            .weigher(|_, checked: &Arc<Checked>| checked.bytes)
            .max_capacity(REMEMBERED_BYTES)
            .build();
        let workloads = workloads.into_iter().map(Arc::new).collect();
        Ok(Self { issuers, by_iss, workloads, remembered, clock, metrics: Metrics::default() })
    }

    /// Counts fetches of keys and remembered verifications in these metrics.
    #[must_use]
    pub fn metered(self, metrics: Metrics) -> Self {
        for issuer in &self.issuers {
            issuer.keys.metered(&metrics);
        }
        Self { metrics, ..self }
    }

    /// Fetches every issuer's keys, so that the first caller does not wait for them. The names of the issuers whose
    /// keys are not available; they are fetched again when they are needed.
    pub async fn warm(&self) -> Vec<&str> {
        let fetches = self.issuers.iter().map(|issuer| async move {
            issuer.keys.current().await.err().map(|_| issuer.spec.name.as_str())
        });
        futures::future::join_all(fetches).await.into_iter().flatten().collect()
    }

    /// The workload behind an `authorization` value: `Bearer` and a static secret or a signed token (RFC 6750 §2.1).
    ///
    /// # Errors
    /// [`IdentityError`]; a missing credential is its own.
    pub async fn workload(&self, authorization: Option<&str>) -> Result<VerifiedWorkload, IdentityError> {
        let token = bearer(authorization.ok_or(IdentityError::CredentialMissing)?)?;
        if token.starts_with(SECRET_PREFIX) {
            return self.by_secret(token);
        }
        self.by_token(token).await.map_err(IdentityError::Credential)
    }

    /// The person for whom `workload` acts.
    ///
    /// # Errors
    /// [`IdentityError::AssertionMissing`] for an empty token, else [`IdentityError::Assertion`]. Nothing falls back
    /// to anything (ID15).
    pub async fn assertion(
        &self,
        token: &str,
        workload: &VerifiedWorkload,
    ) -> Result<VerifiedAssertion, IdentityError> {
        self.assert(token, |issuer, claims| {
            let accepted =
                workload.spec.accepts.get(&issuer.spec.name).ok_or(TokenError::AudienceNotAccepted)?;
            acceptance::for_workload(claims, &issuer.spec, accepted)?;
            let served = workload.serves(&claims.subject.tenant);
            if served { one_time::use_of(claims, &issuer.spec) } else { Err(TokenError::TenantNotServed) }
        })
        .await
    }

    /// A person who calls the broker themselves: an operator or an auditor.
    ///
    /// # Errors
    /// As [`Self::assertion`]; a token that a workload's client obtained is refused.
    pub async fn person(&self, token: &str) -> Result<VerifiedAssertion, IdentityError> {
        self.assert(token, |issuer, claims| {
            acceptance::for_broker(claims, &issuer.spec, &issuer.workload_clients).map(|()| None)
        })
        .await
    }

    /// The person who signed in on the pages: the ID token of the issuer named, for that client alone and with the
    /// `nonce` that was sent (OpenID Connect Core §3.1.3.7).
    ///
    /// # Errors
    /// [`IdentityError::Assertion`].
    pub async fn login(
        &self,
        issuer_name: &str,
        id_token: &str,
        client_id: &str,
        nonce: &str,
    ) -> Result<VerifiedLogin, IdentityError> {
        let verified = async {
            let checked = self.checked(id_token, Some(self.named(issuer_name)?)).await?;
            acceptance::for_login(&checked.claims, client_id)?;
            let same = |given: &str| equal(&sha256(given.as_bytes()), &sha256(nonce.as_bytes()));
            match &checked.claims.nonce {
                Some(given) if !nonce.is_empty() && same(given) => {
                    self.person_in(&checked).map(VerifiedLogin)
                }
                _ => Err(TokenError::NonceMismatch),
            }
        };
        verified.await.map_err(IdentityError::Assertion)
    }

    /// Whose sessions the issuer named has ended: its logout token for that client alone (OpenID Connect Back-Channel
    /// Logout 1.0 §2.6). Not remembered: it costs a signature every time, and proves nobody's identity.
    ///
    /// # Errors
    /// [`IdentityError::LogoutToken`].
    pub async fn logout(
        &self,
        issuer_name: &str,
        logout_token: &str,
        client_id: &str,
    ) -> Result<VerifiedLogout, IdentityError> {
        let verified = async {
            let wanted = self.named(issuer_name)?;
            let token = UnverifiedToken::parse(logout_token)?;
            let issuer = &self.issuers[self.choose(&token, Some(wanted))?];
            issuer.signed(&token, &logout::typ()).await?;
            logout::read(&token.claims, &issuer.spec, client_id, self.clock.now())
        };
        verified.await.map_err(IdentityError::LogoutToken)
    }

    /// The issuer by the operator's name for it.
    fn named(&self, issuer_name: &str) -> Result<usize, TokenError> {
        let found = self.issuers.iter().position(|issuer| issuer.spec.name == issuer_name);
        found.ok_or(TokenError::IssuerUnknown)
    }

    async fn assert(
        &self,
        token: &str,
        accept: impl Fn(&Issuer, &Claims) -> Result<Option<AssertionUse>, TokenError>,
    ) -> Result<VerifiedAssertion, IdentityError> {
        if token.is_empty() {
            return Err(IdentityError::AssertionMissing);
        }
        let verified = async {
            let checked = self.checked(token, None).await?;
            let one_time = accept(&self.issuers[checked.issuer], &checked.claims)?;
            Ok(VerifiedAssertion { one_time, ..self.person_in(&checked)? })
        };
        verified.await.map_err(IdentityError::Assertion)
    }

    fn person_in(&self, checked: &Checked) -> Result<VerifiedAssertion, TokenError> {
        let issuer = &self.issuers[checked.issuer];
        if issuer.workload_subjects.contains(&checked.claims.subject.id) {
            return Err(TokenError::NotAPerson);
        }
        Ok(VerifiedAssertion {
            claims: Arc::clone(&checked.claims),
            issuer: Arc::clone(&issuer.iss),
            issuer_name: Arc::clone(&issuer.name),
            sha256: checked.sha256,
            one_time: None,
        })
    }

    /// A token whose signature, contract and times are right now. `wanted` fixes the issuer.
    async fn checked(&self, token: &str, wanted: Option<usize>) -> Result<Arc<Checked>, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::TooLarge);
        }
        let sha256 = sha256(token.as_bytes());
        let known = self.recall(&sha256, wanted).await?;
        self.metrics.lookup("token", known.is_some());
        let checked = match known {
            Some(checked) => checked,
            None => Box::pin(self.verify(token, sha256, wanted)).await?,
        };
        checked.claims.times.check(&self.issuers[checked.issuer].spec, self.clock.now())?;
        Ok(checked)
    }

    /// A remembered verification, if the issuer's keys are still those it was made under and may still be believed.
    async fn recall(
        &self,
        sha256: &[u8; 32],
        wanted: Option<usize>,
    ) -> Result<Option<Arc<Checked>>, TokenError> {
        let Some(checked) = self.remembered.get(sha256) else { return Ok(None) };
        if wanted.is_some_and(|wanted| wanted != checked.issuer) {
            return Ok(None);
        }
        let keys = self.issuers[checked.issuer].keys.current().await?;
        Ok((keys.generation == checked.generation).then_some(checked))
    }

    /// Whether a verification under the issuer's present keys is remembered.
    pub(super) fn remembers(&self, sha256: &[u8; 32]) -> bool {
        let remembered = self.remembered.get(sha256);
        remembered
            .is_some_and(|checked| self.issuers[checked.issuer].keys.generation() == Some(checked.generation))
    }

    async fn verify(
        &self,
        token: &str,
        sha256: [u8; 32],
        wanted: Option<usize>,
    ) -> Result<Arc<Checked>, TokenError> {
        let bytes = u32::try_from(token.len()).unwrap_or(u32::MAX);
        let token = UnverifiedToken::parse(token)?;
        let index = self.choose(&token, wanted)?;
        let (claims, generation) = self.issuers[index].verify(&token).await?;
        let checked =
            Arc::new(Checked { issuer: index, generation, sha256, bytes, claims: Arc::new(claims) });
        self.remembered.insert(sha256, Arc::clone(&checked));
        Ok(checked)
    }

    /// The issuer by `iss`, byte for byte; among several by tenant and audience. An unknown one causes no fetch.
    fn choose(&self, token: &UnverifiedToken<'_>, wanted: Option<usize>) -> Result<usize, TokenError> {
        let named = self.by_iss.get(token.claimed_issuer()?).ok_or(TokenError::IssuerUnknown)?;
        if let Some(wanted) = wanted {
            return if named.contains(&wanted) { Ok(wanted) } else { Err(TokenError::IssuerUnknown) };
        }
        if let [only] = named.as_slice() {
            return Ok(*only);
        }
        let mut meant = named.iter().filter(|index| self.issuers[**index].is_meant_by(&token.claims));
        match (meant.next(), meant.next()) {
            (Some(index), None) => Ok(*index),
            (Some(_), Some(_)) => Err(TokenError::IssuerAmbiguous),
            (None, _) => {
                let tenant = named.iter().any(|index| self.issuers[*index].has_tenant_of(&token.claims));
                Err(if tenant { TokenError::AudienceNotAccepted } else { TokenError::TenantUnknown })
            }
        }
    }

    fn by_secret(&self, secret: &str) -> Result<VerifiedWorkload, IdentityError> {
        let hash = sha256(secret.as_bytes());
        let mut found = None;
        // Every hash is compared, so the time taken does not say whose secret was nearly right.
        for workload in &self.workloads {
            for credential in &workload.credentials {
                match credential {
                    CredentialSpec::StaticSecret { sha256, not_after } if equal(sha256, &hash) => {
                        found = Some((workload, *not_after));
                    }
                    _ => {}
                }
            }
        }
        let (workload, not_after) = found.ok_or(IdentityError::CredentialUnknown)?;
        if not_after.is_some_and(|end| self.clock.now() >= end) {
            return Err(IdentityError::CredentialExpired);
        }
        Ok(proved(workload, CredentialKind::StaticSecret, not_after))
    }

    async fn by_token(&self, token: &str) -> Result<VerifiedWorkload, TokenError> {
        let checked = self.checked(token, None).await?;
        let spec = &self.issuers[checked.issuer].spec;
        let mut refused = TokenError::WorkloadUnknown;
        for workload in &self.workloads {
            for credential in &workload.credentials {
                let CredentialSpec::Jwt { issuer, audience, subject } = credential else { continue };
                if *issuer != spec.name || *subject != checked.claims.subject.id {
                    continue;
                }
                match acceptance::only(&checked.claims, spec, audience) {
                    Ok(()) => {
                        let end = checked.claims.times.expires_at;
                        return Ok(proved(workload, CredentialKind::Jwt, Some(end)));
                    }
                    Err(error) => refused = error,
                }
            }
        }
        Err(refused)
    }
}

fn proved(spec: &Arc<WorkloadSpec>, kind: CredentialKind, expires_at: Option<Timestamp>) -> VerifiedWorkload {
    VerifiedWorkload { spec: Arc::clone(spec), kind, expires_at }
}

/// The token of `Bearer <token>`; the scheme's case does not matter (RFC 9110 §11.1), everything else does.
fn bearer(authorization: &str) -> Result<&str, IdentityError> {
    match authorization.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
            let plain = !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic());
            if plain { Ok(token) } else { Err(IdentityError::CredentialMalformed) }
        }
        _ => Err(IdentityError::CredentialMalformed),
    }
}
