//! `AuditService`. Answers are decoded from the bytes that were hashed, not from the columns.

use super::{convert, denied, gate::Principal, paging};
use crate::{
    domain::{
        EventId, Outcome, Position, ProviderId, RealmId, Refusal, StreamId, Subject, TenantId, WorkloadId,
    },
    keys::KeyRing,
    policy::RpcAction,
    storage::{AuditFilter, AuditRow},
    usecase::{Actor, Rooms, authorize, list_audit_events::list_audit_events},
};
use broker_proto::v1::{self, audit_service_server::AuditService};
use serde_json::Value;
use std::sync::Arc;
use tonic::{Request, Response, Status};

pub(super) struct Audit(pub(super) Arc<Rooms>);

#[tonic::async_trait]
impl AuditService for Audit {
    async fn list_audit_events(
        &self,
        request: Request<v1::ListAuditEventsRequest>,
    ) -> Result<Response<v1::ListAuditEventsResponse>, Status> {
        let principal = Principal::of(&request)?;
        let done = self.list(principal.clone(), request.into_inner()).await;
        denied::answer(&self.0, &principal, done).await.map(Response::new)
    }
}

impl Audit {
    async fn list(
        &self,
        principal: Principal,
        request: v1::ListAuditEventsRequest,
    ) -> Result<v1::ListAuditEventsResponse, Refusal> {
        let assertion = request.assertion.as_deref().filter(|text| !text.is_empty());
        // Who asks comes first: nothing is looked up or made for a stranger.
        let actor = authorize(
            &self.0,
            principal.workload,
            assertion,
            principal.call,
            RpcAction::AuditRead,
            principal.pace,
        )
        .await?;
        match self.list_for(&actor, &request).await {
            Ok(response) => Ok(response),
            Err(refusal) => Err(actor.denied(&self.0, RpcAction::AuditRead, refusal).await),
        }
    }

    async fn list_for(
        &self,
        actor: &Actor,
        request: &v1::ListAuditEventsRequest,
    ) -> Result<v1::ListAuditEventsResponse, Refusal> {
        let limit = paging::size(request.page_size)?;
        let filter = self.filter(actor, request).await?;
        let query = format!("audit {} {filter:?}", actor.name());
        let (after, page) = match request.page_token.as_str() {
            "" => (None, 0),
            token => read_token(&self.0.keys, &query, token)?,
        };
        let (rows, more) = list_audit_events(&self.0, actor, &filter, after.as_ref(), page, limit).await?;
        let next_page_token = match rows.last() {
            Some(last) if more => {
                let parts =
                    [last.stream.to_string(), last.seq.to_string(), page.saturating_add(1).to_string()];
                paging::token(&self.0.keys, &query, &[&parts[0], &parts[1], &parts[2]])
            }
            _ => String::new(),
        };
        let events = rows.into_iter().map(event).collect::<Result<_, _>>()?;
        Ok(v1::ListAuditEventsResponse { events, next_page_token })
    }

    async fn filter(
        &self,
        actor: &Actor,
        request: &v1::ListAuditEventsRequest,
    ) -> Result<AuditFilter, Refusal> {
        let name = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let bad = |field| move |e: crate::domain::ids::BadId| Refusal::invalid(field, convert::sentence(&e));
        let mut filter = AuditFilter {
            from: request.start_time.map(|t| convert::read_timestamp("start_time", t)).transpose()?,
            until: request.end_time.map(|t| convert::read_timestamp("end_time", t)).transpose()?,
            tenant: name(&request.tenant),
            workload: name(&request.workload),
            provider: name(&request.provider),
            ..AuditFilter::default()
        };
        match &filter.tenant {
            Some(tenant) => {
                actor.reaches(&self.0, &TenantId::parse(tenant).map_err(bad("tenant"))?)?;
            }
            None if actor.reaches_everything(&self.0).is_ok() => {}
            // One's own tenant, when one's own is not all there is (PO9).
            None => match &actor.tenants(&self.0)[..] {
                [only] => filter.tenant = Some(only.to_string()),
                _ => return Err(Refusal::invalid("tenant", "There are several tenants: name one.")),
            },
        }
        if let Some(workload) = &filter.workload {
            WorkloadId::parse(workload).map_err(bad("workload"))?;
        }
        if let Some(provider) = &filter.provider {
            ProviderId::parse(provider).map_err(bad("provider"))?;
        }
        if let Some(subject) = &request.subject {
            let tenant = filter.tenant.as_deref().unwrap_or_default();
            let tenant = TenantId::parse(tenant).map_err(|_| {
                Refusal::invalid("tenant", "A subject is looked up inside a tenant: name it.")
            })?;
            let realm = RealmId::parse(&subject.realm).map_err(bad("subject"))?;
            if !(1..=Subject::MAX_LENGTH).contains(&subject.subject.len()) {
                return Err(Refusal::invalid("subject", "A subject has 1 to 255 bytes."));
            }
            let subject = Subject { tenant, realm, id: subject.subject.clone() };
            filter.subject = Some(self.0.keys.pseudonym(&subject).await?);
        }
        filter.outcome = match v1::AuditOutcome::try_from(request.outcome) {
            Ok(v1::AuditOutcome::Unspecified) => None,
            Ok(v1::AuditOutcome::Allowed) => Some(Outcome::Allowed),
            Ok(v1::AuditOutcome::Denied) => Some(Outcome::Denied),
            Ok(v1::AuditOutcome::ConsentRequired) => Some(Outcome::ConsentRequired),
            Ok(v1::AuditOutcome::Failed) => Some(Outcome::Failed),
            Err(_) => return Err(Refusal::invalid("outcome", "No such outcome.")),
        }
        .map(|outcome| outcome.as_str().to_owned());
        Ok(filter)
    }
}

fn read_token(keys: &KeyRing, query: &str, token: &str) -> Result<(Option<Position>, u32), Refusal> {
    let bad = || Refusal::invalid("page_token", "This page token does not continue this query.");
    let parts = paging::read_token(keys, query, token, 3)?;
    let stream = StreamId::parse(&parts[0]).map_err(|_| bad())?;
    let seq = parts[1].parse().map_err(|_| bad())?;
    let page = parts[2].parse().map_err(|_| bad())?;
    Ok((Some(Position { stream, seq }), page))
}

/// A row whose body cannot be read is an error for the whole page: it is never left out.
fn event(row: AuditRow) -> Result<v1::AuditEvent, Refusal> {
    let malformed = |_| Refusal::new(crate::domain::Reason::RecordQuarantined);
    let body: Value = serde_json::from_slice(&row.body).map_err(malformed)?;
    let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
    let texts = |value: &Value| -> Vec<String> {
        value
            .as_array()
            .map(|a| a.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect())
            .unwrap_or_default()
    };
    let outcome = match Outcome::parse(&text("outcome")) {
        Some(Outcome::Allowed) => v1::AuditOutcome::Allowed,
        Some(Outcome::Denied) => v1::AuditOutcome::Denied,
        Some(Outcome::ConsentRequired) => v1::AuditOutcome::ConsentRequired,
        Some(Outcome::Failed) => v1::AuditOutcome::Failed,
        None => v1::AuditOutcome::Unspecified,
    };
    let time = crate::domain::Timestamp::parse_rfc3339(&text("time"));
    let id = text("id");
    EventId::parse(&id).map_err(|_| Refusal::new(crate::domain::Reason::RecordQuarantined))?;
    Ok(v1::AuditEvent {
        id,
        stream: row.stream.to_string(),
        seq: u64::try_from(row.seq).unwrap_or(0),
        time: time.map(convert::timestamp),
        kind: text("kind"),
        outcome: outcome.into(),
        reason: text("reason"),
        tenant: text("tenant"),
        subject_pseudonym: text("subject"),
        workload: text("workload"),
        provider: text("provider"),
        connection: text("connection"),
        requested_scopes: texts(&body["scopes_asked"]),
        granted_scopes: texts(&body["scopes_granted"]),
        tool: text("tool"),
        purpose: text("purpose"),
        policy_version: body["policy"]["version"].as_str().unwrap_or_default().to_owned(),
        policy_rules: texts(&body["policy"]["rules"]),
        grant_id: text("grant"),
        body: row.body,
    })
}
