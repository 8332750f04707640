//! `AdminService`.

use super::{convert, denied, gate::Principal};
use crate::{
    domain::{ProviderId, Refusal, RuleKind, Target, TenantId, WorkloadId},
    policy::RpcAction,
    usecase::{Rooms, authorize, block},
};
use broker_proto::v1::{self, admin_service_server::AdminService, block_target};
use std::sync::Arc;
use tonic::{Request, Response, Status};

pub(super) struct Admin(pub(super) Arc<Rooms>);

#[tonic::async_trait]
impl AdminService for Admin {
    async fn block(&self, request: Request<v1::BlockRequest>) -> Result<Response<v1::BlockResponse>, Status> {
        let principal = Principal::of(&request)?;
        let request = request.into_inner();
        let epoch =
            self.rule(principal, request.assertion, RuleKind::Block, request.target, &request.reason).await?;
        Ok(Response::new(v1::BlockResponse { revocation_epoch: epoch }))
    }

    async fn unblock(
        &self,
        request: Request<v1::UnblockRequest>,
    ) -> Result<Response<v1::UnblockResponse>, Status> {
        let principal = Principal::of(&request)?;
        let request = request.into_inner();
        let epoch =
            self.rule(principal, request.assertion, RuleKind::Lift, request.target, &request.reason).await?;
        Ok(Response::new(v1::UnblockResponse { revocation_epoch: epoch }))
    }
}

impl Admin {
    async fn rule(
        &self,
        principal: Principal,
        assertion: Option<String>,
        kind: RuleKind,
        named: Option<v1::BlockTarget>,
        reason: &str,
    ) -> Result<u64, Status> {
        let asking = principal.clone();
        let done = async {
            let assertion = assertion.as_deref().filter(|text| !text.is_empty());
            let actor = authorize(
                &self.0,
                principal.workload,
                assertion,
                principal.call,
                RpcAction::Admin,
                principal.pace,
            )
            .await?;
            let ruled = async {
                let target = target(&self.0.settings.tenants, named)?;
                if reason.trim().is_empty() {
                    return Err(Refusal::invalid("reason", "Say why: it is recorded."));
                }
                block(&self.0, &actor, kind, target, &why(reason)?).await
            };
            match ruled.await {
                Ok(epoch) => Ok(epoch),
                Err(refusal) => Err(actor.denied(&self.0, RpcAction::Admin, refusal).await),
            }
        };
        let epoch = denied::answer(&self.0, &asking, done.await).await?;
        Ok(u64::try_from(epoch).unwrap_or(0))
    }
}

/// An administrator's reason: plain text for the log.
pub(super) fn why(reason: &str) -> Result<String, Refusal> {
    crate::consent::words::check(reason).map_err(|e| Refusal::invalid("reason", convert::sentence(&e)))?;
    Ok(reason.to_owned())
}

fn target(tenants: &[TenantId], named: Option<v1::BlockTarget>) -> Result<Target, Refusal> {
    let bad = |error: crate::domain::ids::BadId| Refusal::invalid("target", convert::sentence(&error));
    Ok(match named.and_then(|named| named.target) {
        None => return Err(Refusal::invalid("target", "Name who or what is blocked.")),
        Some(block_target::Target::Subject(subject)) => {
            let subject = convert::subject("target", &subject)?;
            // Recording it needs the tenant's key, which is made on first use: not for a tenant that nobody configured.
            if !tenants.contains(&subject.tenant) {
                return Err(Refusal::invalid("target", "No such tenant."));
            }
            Target::Subject(subject)
        }
        Some(block_target::Target::Workload(name)) => {
            Target::Workload(WorkloadId::parse(&name).map_err(bad)?)
        }
        Some(block_target::Target::Provider(name)) => {
            Target::Provider(ProviderId::parse(&name).map_err(bad)?)
        }
        Some(block_target::Target::Tenant(name)) => Target::Tenant(TenantId::parse(&name).map_err(bad)?),
        Some(block_target::Target::Issuer(issuer)) => {
            if !(1..=2048).contains(&issuer.len()) || issuer.chars().any(char::is_control) {
                return Err(Refusal::invalid("target", "An issuer is its `iss`, at most 2048 bytes."));
            }
            Target::Issuer(issuer)
        }
    })
}
