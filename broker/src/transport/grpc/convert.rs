//! Between the contract's messages and the domain.

use crate::{
    domain::{
        ConnectionId, ConnectionState, Consent, ConsentId, ConsentReason, ConsentState, Position, ProviderId,
        RealmId, Refusal, Scope, ScopeSet, Subject, TenantId, Timestamp,
    },
    usecase::list_connections::Listed,
};
use broker_proto::v1;

/// UTC.
pub fn timestamp(time: Timestamp) -> prost_types::Timestamp {
    let micros = time.micros();
    prost_types::Timestamp {
        seconds: micros.div_euclid(1_000_000),
        nanos: i32::try_from(micros.rem_euclid(1_000_000) * 1_000).unwrap_or(0),
    }
}

/// Reads a timestamp of a request.
///
/// # Errors
/// A refusal naming `field`.
pub fn read_timestamp(field: &'static str, time: prost_types::Timestamp) -> Result<Timestamp, Refusal> {
    let in_range = (-62_135_596_800..=253_402_300_799).contains(&time.seconds)
        && (0..1_000_000_000).contains(&time.nanos);
    if !in_range {
        return Err(Refusal::invalid(field, "Not a valid timestamp."));
    }
    Ok(Timestamp::from_micros(time.seconds * 1_000_000 + i64::from(time.nanos) / 1_000))
}

/// Scopes in order.
pub fn scopes(set: &ScopeSet) -> Vec<String> {
    set.iter().map(Scope::to_string).collect()
}

/// Where an event stands.
pub fn position(position: &Position) -> v1::AuditPosition {
    v1::AuditPosition { stream: position.stream.to_string(), seq: u64::try_from(position.seq).unwrap_or(0) }
}

/// Reads a connection id.
///
/// # Errors
/// A refusal naming `field`.
pub fn connection_id(field: &'static str, text: &str) -> Result<ConnectionId, Refusal> {
    ConnectionId::parse(text).map_err(|error| Refusal::invalid(field, sentence(&error)))
}

/// Reads a consent id.
///
/// # Errors
/// A refusal naming the field.
pub fn consent_id(text: &str) -> Result<ConsentId, Refusal> {
    ConsentId::parse(text).map_err(|error| Refusal::invalid("consent_id", sentence(&error)))
}

/// Reads a provider's name.
///
/// # Errors
/// A refusal naming the field.
pub fn provider_id(text: &str) -> Result<ProviderId, Refusal> {
    ProviderId::parse(text).map_err(|error| Refusal::invalid("provider", sentence(&error)))
}

/// Reads a person.
///
/// # Errors
/// A refusal naming the field.
pub fn subject(field: &'static str, message: &v1::Subject) -> Result<Subject, Refusal> {
    let tenant = TenantId::parse(&message.tenant).map_err(|e| Refusal::invalid(field, sentence(&e)))?;
    let realm = RealmId::parse(&message.realm).map_err(|e| Refusal::invalid(field, sentence(&e)))?;
    if !(1..=Subject::MAX_LENGTH).contains(&message.subject.len()) {
        return Err(Refusal::invalid(field, "A subject has 1 to 255 bytes."));
    }
    Ok(Subject { tenant, realm, id: message.subject.clone() })
}

/// An error's text as a sentence.
pub fn sentence(error: &dyn std::fmt::Display) -> String {
    let text = error.to_string();
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), chars.as_str()),
        None => text,
    }
}

/// Why a consent is needed.
pub fn consent_reason(reason: ConsentReason) -> v1::ConsentReason {
    match reason {
        ConsentReason::NotConnected => v1::ConsentReason::NotConnected,
        ConsentReason::ScopesMissing => v1::ConsentReason::ScopesMissing,
        ConsentReason::NotApproved => v1::ConsentReason::NotApproved,
        ConsentReason::WiderThanApproved => v1::ConsentReason::WiderThanApproved,
        ConsentReason::ChooseAccount => v1::ConsentReason::ChooseAccount,
        ConsentReason::ReauthRequired => v1::ConsentReason::ReauthRequired,
    }
}

/// A consent; `url` only while it can be used.
pub fn consent(consent: &Consent, url: String) -> v1::Consent {
    let state = match consent.state {
        ConsentState::Pending => v1::ConsentState::Pending,
        ConsentState::Approved { .. } | ConsentState::Exchanging { .. } => v1::ConsentState::Approved,
        ConsentState::AwaitingConfirmation { .. } => v1::ConsentState::AwaitingConfirmation,
        ConsentState::Completed { .. } => v1::ConsentState::Completed,
        ConsentState::Declined { .. } => v1::ConsentState::Declined,
        ConsentState::Expired { .. } => v1::ConsentState::Expired,
        ConsentState::Failed { .. } => v1::ConsentState::Failed,
    };
    let reason = match &consent.state {
        ConsentState::Failed { reason, .. } => reason.as_str(),
        ConsentState::Declined { .. } => crate::domain::Reason::ConsentDeclined.as_str(),
        ConsentState::Expired { .. } => crate::domain::Reason::ConsentExpired.as_str(),
        _ => "",
    };
    v1::Consent {
        id: consent.id.to_string(),
        state: state.into(),
        provider: consent.provider.to_string(),
        scopes: scopes(&consent.scopes),
        missing_scopes: Vec::new(),
        url: if consent.state.is_terminal() { String::new() } else { url },
        expire_time: Some(timestamp(consent.expires_at)),
        reason: reason.to_owned(),
    }
}

/// A connection: never any secret material.
pub fn connection(listed: &Listed) -> v1::Connection {
    let connection = &listed.connection;
    let state = match connection.state {
        ConnectionState::Active => v1::ConnectionState::Active,
        ConnectionState::ReauthRequired => v1::ConnectionState::ReauthRequired,
        ConnectionState::Suspended => v1::ConnectionState::Suspended,
        ConnectionState::Revoked => v1::ConnectionState::Revoked,
    };
    let approvals = listed.approvals.iter().map(|approval| v1::Approval {
        workload: approval.workload.to_string(),
        scopes: scopes(&approval.scopes),
        source: match approval.by {
            crate::domain::ApprovedBy::User => v1::ApprovalSource::User,
            crate::domain::ApprovedBy::Policy => v1::ApprovalSource::Policy,
        }
        .into(),
        create_time: Some(timestamp(approval.created_at)),
        default_account: approval.default_account,
    });
    v1::Connection {
        id: connection.id.to_string(),
        provider: connection.provider.to_string(),
        account_label: connection.account.label.clone(),
        state: state.into(),
        scopes: scopes(&connection.scopes),
        create_time: Some(timestamp(connection.created_at)),
        last_use_time: listed.last_used_at.map(timestamp),
        approvals: approvals.collect(),
        expire_time: listed.ends_at.map(timestamp),
    }
}
