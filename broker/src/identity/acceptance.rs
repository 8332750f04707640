//! For whom a token was minted, and through which client (ID4, ID10, ID17). Checked at every use, cached or not.

use super::{Acceptance, IssuerSpec, TokenError, claims::Claims};
use std::collections::BTreeSet;

/// An assertion presented by a workload that accepts `wanted` from this issuer.
pub(super) fn for_workload(
    claims: &Claims,
    spec: &IssuerSpec,
    wanted: &Acceptance,
) -> Result<(), TokenError> {
    let named =
        |names: &BTreeSet<String>, who: &Option<String>| who.as_ref().is_some_and(|who| names.contains(who));
    // The broker's own audience says nothing about which server it was minted for; the client or the actor must.
    let through_us = named(&wanted.client_ids, &claims.client_id) || named(&wanted.client_ids, &claims.actor);
    let mut accepted = false;
    for audience in &claims.audiences {
        let own = spec.broker_audience.as_ref() == Some(audience) && through_us;
        if wanted.audiences.contains(audience) || own {
            accepted = true;
        } else if !spec.further_audiences.contains(audience) {
            return Err(mismatch(&claims.audiences, |a| wanted.audiences.contains(a)));
        }
    }
    if !accepted {
        return Err(TokenError::AudienceNotAccepted);
    }
    let known = named(&wanted.client_ids, &claims.client_id) || named(&wanted.agents, &claims.client_id);
    let listed = !wanted.client_ids.is_empty() || !wanted.agents.is_empty();
    let must_name = claims.audiences.len() > 1 || !wanted.agents.is_empty();
    match &claims.client_id {
        None if must_name => Err(TokenError::ClientNotAccepted),
        Some(_) if listed && !known => Err(TokenError::ClientNotAccepted),
        _ => Ok(()),
    }
}

/// A token of a person who calls the broker themselves.
///
/// One obtained by a workload's client is refused: a workload that holds a user's assertion must not be able to act
/// as that user on the broker's own interfaces.
pub(super) fn for_broker(
    claims: &Claims,
    spec: &IssuerSpec,
    workload_clients: &BTreeSet<String>,
) -> Result<(), TokenError> {
    let own = spec.broker_audience.as_deref().ok_or(TokenError::AudienceNotAccepted)?;
    only(claims, spec, own)?;
    if claims.actor.is_some() {
        return Err(TokenError::ClientNotAccepted);
    }
    match &claims.client_id {
        None if claims.audiences.len() == 1 => Ok(()),
        Some(client)
            if !workload_clients.contains(client)
                && (client == own || spec.person_clients.contains(client)) =>
        {
            Ok(())
        }
        _ => Err(TokenError::ClientNotAccepted),
    }
}

/// An ID token of the pages' own login (OpenID Connect Core §3.1.3.7): for that client alone.
pub(super) fn for_login(claims: &Claims, client_id: &str) -> Result<(), TokenError> {
    for_client(&claims.audiences, claims.client_id.as_deref(), client_id)
}

/// For one client and nobody else; also what a logout token has to be (OpenID Connect Back-Channel Logout §2.6).
pub(super) fn for_client(
    audiences: &[String],
    named: Option<&str>,
    client_id: &str,
) -> Result<(), TokenError> {
    if audiences != [client_id] {
        return Err(mismatch(audiences, |a| a == client_id));
    }
    match named {
        Some(client) if client != client_id => Err(TokenError::ClientNotAccepted),
        _ => Ok(()),
    }
}

/// A workload's own token: for this audience, beside further ones only if the issuer's contract lists them.
pub(super) fn only(claims: &Claims, spec: &IssuerSpec, audience: &str) -> Result<(), TokenError> {
    let fits = |a: &str| a == audience;
    if !claims.audiences.iter().any(|a| fits(a)) {
        return Err(TokenError::AudienceNotAccepted);
    }
    let extra = claims.audiences.iter().any(|a| !fits(a) && !spec.further_audiences.contains(a));
    if extra { Err(TokenError::AudienceExtra) } else { Ok(()) }
}

fn mismatch(audiences: &[String], fits: impl Fn(&str) -> bool) -> TokenError {
    if audiences.iter().any(|a| fits(a)) {
        TokenError::AudienceExtra
    } else {
        TokenError::AudienceNotAccepted
    }
}
