//! An issuer at work: its contract, its keys, and what tells it apart from another with the same `iss`.

use super::{
    IssuerSpec, TenantRule, TokenError, TypRule,
    claims::{Claims, audiences, tenant},
    compact::UnverifiedToken,
    json::Object,
    jwks::IssuerKeys,
    keys::Algorithm,
};
use std::{collections::BTreeSet, sync::Arc};

/// One configured issuer.
pub(super) struct Issuer {
    pub spec: IssuerSpec,
    pub iss: Arc<str>,
    pub name: Arc<str>,
    pub keys: Arc<IssuerKeys>,
    /// Every audience that a token of this issuer may be accepted for.
    pub audiences: BTreeSet<String>,
    /// The client ids of every workload at this issuer.
    pub workload_clients: BTreeSet<String>,
    /// The subjects that are workloads: their tokens speak for no person.
    pub workload_subjects: BTreeSet<String>,
}

impl Issuer {
    /// Checks header, signature and the claims that depend on nothing but the contract. Also the key generation.
    pub async fn verify(&self, token: &UnverifiedToken<'_>) -> Result<(Claims, u64), TokenError> {
        let generation = self.signed(token, &self.spec.typ).await?;
        Ok((Claims::read(&token.claims, &self.spec)?, generation))
    }

    /// Checks header and signature: a key of this issuer by its configuration. The key generation.
    pub(super) async fn signed(&self, token: &UnverifiedToken<'_>, typ: &TypRule) -> Result<u64, TokenError> {
        let header = &token.header;
        if !type_allowed(typ, header.typ.as_deref()) {
            return Err(TokenError::TypeNotAllowed);
        }
        let algorithm = Algorithm::parse(&header.alg)
            .filter(|algorithm| self.spec.algorithms.contains(algorithm))
            .ok_or(TokenError::AlgorithmNotAllowed)?;
        let (key, generation) = self.keys.key(header.kid.as_deref(), algorithm).await?;
        key.verify(token.signing_input, &token.signature)?;
        Ok(generation)
    }

    /// Whether unverified claims name a tenant of this one.
    pub fn has_tenant_of(&self, claims: &Object) -> bool {
        tenant(claims, &self.spec.tenant).is_ok()
    }

    /// Whether unverified claims point at this one rather than at another with the same `iss`.
    pub fn is_meant_by(&self, claims: &Object) -> bool {
        let for_us = || audiences(claims).is_ok_and(|list| list.iter().any(|a| self.audiences.contains(a)));
        self.has_tenant_of(claims) && (self.audiences.is_empty() || for_us())
    }

    /// Whether a token can be meant for this one and for `other` too.
    pub fn resembles(&self, other: &Self) -> bool {
        let by_tenant = match (&self.spec.tenant, &other.spec.tenant) {
            (TenantRule::Claim { name: a, tenants: x }, TenantRule::Claim { name: b, tenants: y }) => {
                a == b && x.keys().all(|value| !y.contains_key(value))
            }
            _ => false,
        };
        let by_audience = !self.audiences.is_empty()
            && !other.audiences.is_empty()
            && self.audiences.is_disjoint(&other.audiences);
        !by_tenant && !by_audience
    }
}

fn type_allowed(rule: &TypRule, typ: Option<&str>) -> bool {
    match typ {
        None => rule.absent,
        Some(typ) => rule.allowed.iter().any(|allowed| bare(allowed).eq_ignore_ascii_case(bare(typ))),
    }
}

/// RFC 7515 §4.1.9: `application/` may be left out.
fn bare(typ: &str) -> &str {
    const PREFIX: &str = "application/";
    match typ.split_at_checked(PREFIX.len()) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case(PREFIX) => rest,
        _ => typ,
    }
}
