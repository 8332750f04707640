//! `ConnectionService`.

use super::{convert, denied, gate::Principal, paging};
use crate::{
    domain::{ConnectionId, Entry, EventKind, Outcome, ProviderId, Reason, Refusal},
    policy::RpcAction,
    usecase::{
        Actor, AtProvider, Rooms, authorize,
        list_connections::{self, Listed},
        revoke_connection, withdraw_approval,
    },
};
use broker_proto::v1::{self, connection_service_server::ConnectionService};
use std::sync::Arc;
use tonic::{Request, Response, Status};

pub(super) struct Connections(pub(super) Arc<Rooms>);

#[tonic::async_trait]
impl ConnectionService for Connections {
    async fn list_connections(
        &self,
        request: Request<v1::ListConnectionsRequest>,
    ) -> Result<Response<v1::ListConnectionsResponse>, Status> {
        let principal = Principal::of(&request)?;
        let done = self.list(principal.clone(), request.into_inner()).await;
        denied::answer(&self.0, &principal, done).await.map(Response::new)
    }

    async fn get_connection(
        &self,
        request: Request<v1::GetConnectionRequest>,
    ) -> Result<Response<v1::GetConnectionResponse>, Status> {
        let principal = Principal::of(&request)?;
        let done = self.get(principal.clone(), request.into_inner()).await;
        let listed = denied::answer(&self.0, &principal, done).await?;
        Ok(Response::new(v1::GetConnectionResponse { connection: Some(convert::connection(&listed)) }))
    }

    async fn revoke_connection(
        &self,
        request: Request<v1::RevokeConnectionRequest>,
    ) -> Result<Response<v1::RevokeConnectionResponse>, Status> {
        let principal = Principal::of(&request)?;
        let done = self.revoke(principal.clone(), request.into_inner()).await;
        denied::answer(&self.0, &principal, done).await.map(Response::new)
    }

    async fn withdraw_approval(
        &self,
        request: Request<v1::WithdrawApprovalRequest>,
    ) -> Result<Response<v1::WithdrawApprovalResponse>, Status> {
        let principal = Principal::of(&request)?;
        let done = self.withdraw(principal.clone(), request.into_inner()).await;
        denied::answer(&self.0, &principal, done).await.map(Response::new)
    }
}

impl Connections {
    async fn list(
        &self,
        principal: Principal,
        request: v1::ListConnectionsRequest,
    ) -> Result<v1::ListConnectionsResponse, Refusal> {
        let assertion = request.assertion.as_deref().filter(|text| !text.is_empty());
        match (principal.workload.is_some(), &request.subject, assertion) {
            // A workload with its user's assertion sees what it may use.
            (true, None, Some(assertion)) => {
                let page = Page::read(&self.0, &request)?;
                let caller = principal.caller()?;
                let provider = page.provider.as_ref();
                let own = list_connections::of_workload(&self.0, &caller, assertion, provider).await?;
                Ok(page.of_all(&self.0, own))
            }
            (_, _, assertion) => {
                let actor = self.admin(principal, assertion).await?;
                let done = self.list_for(&actor, &request).await;
                self.recorded(&actor, done).await
            }
        }
    }

    async fn list_for(
        &self,
        actor: &Actor,
        request: &v1::ListConnectionsRequest,
    ) -> Result<v1::ListConnectionsResponse, Refusal> {
        let page = Page::read(&self.0, request)?;
        let provider = page.provider.as_ref();
        if let Some(subject) = &request.subject {
            let subject = convert::subject("subject", subject)?;
            actor.reaches(&self.0, &subject.tenant)?;
            return Ok(page.of_all(&self.0, list_connections::of_subject(&self.0, &subject, provider).await?));
        }
        let tenants = actor.tenants(&self.0);
        let [tenant] = &tenants[..] else {
            return Err(Refusal::invalid("subject", "There are several tenants: name a subject."));
        };
        let after = page.after.as_ref();
        let (listed, next) =
            list_connections::of_tenant(&self.0, tenant, provider, after, page.limit).await?;
        Ok(page.answer(&self.0, &listed, next.as_ref()))
    }

    /// An administrator's look at connections is in the log, whether it succeeded or not (AU2).
    async fn recorded<T>(&self, actor: &Actor, done: Result<T, Refusal>) -> Result<T, Refusal> {
        match done {
            Ok(seen) => {
                let draft = actor.draft(&self.0, EventKind::ConnectionsRead, Outcome::Allowed);
                self.0.audit.note(Entry::note(draft), actor.call().deadline).await?;
                Ok(seen)
            }
            Err(refusal) => Err(actor.denied(&self.0, RpcAction::ConnectionsAdmin, refusal).await),
        }
    }

    async fn get(&self, principal: Principal, request: v1::GetConnectionRequest) -> Result<Listed, Refusal> {
        let id = || convert::connection_id("connection_id", &request.connection_id);
        let assertion = request.assertion.as_deref().filter(|text| !text.is_empty());
        if let (Some(_), Some(assertion)) = (&principal.workload, assertion) {
            let id = id()?;
            let own = list_connections::of_workload(&self.0, &principal.caller()?, assertion, None).await?;
            let found = own.into_iter().find(|one| one.connection.id == id);
            return found.ok_or_else(|| Refusal::new(Reason::NotFound));
        }
        let actor = self.admin(principal, assertion).await?;
        let found = async { list_connections::by_id(&self.0, &actor.tenants(&self.0), &id()?).await };
        self.recorded(&actor, found.await).await
    }

    async fn revoke(
        &self,
        principal: Principal,
        request: v1::RevokeConnectionRequest,
    ) -> Result<v1::RevokeConnectionResponse, Refusal> {
        let actor = self.admin(principal, request.assertion.as_deref()).await?;
        match self.revoke_for(&actor, &request).await {
            Ok(response) => Ok(response),
            Err(refusal) => Err(actor.denied(&self.0, RpcAction::ConnectionsAdmin, refusal).await),
        }
    }

    async fn revoke_for(
        &self,
        actor: &Actor,
        request: &v1::RevokeConnectionRequest,
    ) -> Result<v1::RevokeConnectionResponse, Refusal> {
        let id = convert::connection_id("connection_id", &request.connection_id)?;
        let why = super::admin::why(&request.reason)?;
        let tenants = actor.tenants(&self.0);
        let listed = list_connections::by_id(&self.0, &tenants, &id).await?;
        let mut draft = actor.draft(&self.0, EventKind::ConnectionRevoked, Outcome::Allowed);
        draft.purpose = why.into();
        let done = revoke_connection(&self.0, actor.call(), listed.connection, draft).await?;
        let listed = list_connections::by_id(&self.0, &tenants, &id).await?;
        let epoch = self.0.audit.rules().epoch();
        Ok(v1::RevokeConnectionResponse {
            connection: Some(convert::connection(&listed)),
            provider_revocation: provider_revocation(done.at_provider).into(),
            outstanding_grants_expire_time: done.outstanding_until.map(convert::timestamp),
            outstanding_grants_never_expire: done.never_ends,
            revocation_epoch: u64::try_from(epoch).unwrap_or(0),
        })
    }

    async fn withdraw(
        &self,
        principal: Principal,
        request: v1::WithdrawApprovalRequest,
    ) -> Result<v1::WithdrawApprovalResponse, Refusal> {
        let id = convert::connection_id("connection_id", &request.connection_id)?;
        let caller = principal.caller()?;
        let assertion = request.assertion.ok_or_else(|| Refusal::new(Reason::AssertionMissing))?;
        let own = list_connections::of_workload(&self.0, &caller, &assertion, None).await?;
        let found = own.into_iter().find(|one| one.connection.id == id);
        let connection = found.ok_or_else(|| Refusal::new(Reason::NotFound))?.connection;
        let mut draft = caller.draft(&*self.0.rng, EventKind::ApprovalWithdrawn, Outcome::Allowed);
        if let crate::domain::Owner::Subject(subject) = &connection.owner {
            draft = caller.call.about(draft, subject, None);
        }
        withdraw_approval(&self.0, &caller.call, &connection, caller.id(), draft).await?;
        let epoch = self.0.audit.rules().epoch();
        Ok(v1::WithdrawApprovalResponse { revocation_epoch: u64::try_from(epoch).unwrap_or(0) })
    }

    async fn admin(&self, principal: Principal, assertion: Option<&str>) -> Result<Actor, Refusal> {
        let assertion = assertion.filter(|text| !text.is_empty());
        authorize(
            &self.0,
            principal.workload,
            assertion,
            principal.call,
            RpcAction::ConnectionsAdmin,
            principal.pace,
        )
        .await
    }
}

/// What a list is about, and where in it the caller is.
struct Page {
    limit: u32,
    provider: Option<ProviderId>,
    /// What page tokens are bound to.
    query: String,
    after: Option<ConnectionId>,
}

impl Page {
    fn read(rooms: &Rooms, request: &v1::ListConnectionsRequest) -> Result<Self, Refusal> {
        let limit = paging::size(request.page_size)?;
        let provider = match request.provider.as_str() {
            "" => None,
            text => Some(convert::provider_id(text)?),
        };
        let query = format!("connections {:?} {:?}", request.subject.as_ref().map(key), request.provider);
        let after = match request.page_token.as_str() {
            "" => None,
            token => {
                let parts = paging::read_token(&rooms.keys, &query, token, 1)?;
                Some(convert::connection_id("page_token", &parts[0])?)
            }
        };
        Ok(Self { limit, provider, query, after })
    }

    /// From everything there is.
    fn of_all(&self, rooms: &Rooms, mut all: Vec<Listed>) -> v1::ListConnectionsResponse {
        all.sort_by(|a, b| a.connection.id.cmp(&b.connection.id));
        all.retain(|one| self.after.as_ref().is_none_or(|after| one.connection.id > *after));
        let more = all.len() > self.limit as usize;
        all.truncate(self.limit as usize);
        let next = all.last().filter(|_| more).map(|last| last.connection.id.clone());
        self.answer(rooms, &all, next.as_ref())
    }

    fn answer(
        &self,
        rooms: &Rooms,
        listed: &[Listed],
        next: Option<&ConnectionId>,
    ) -> v1::ListConnectionsResponse {
        let next_page_token =
            next.map_or_else(String::new, |id| paging::token(&rooms.keys, &self.query, &[id.as_str()]));
        v1::ListConnectionsResponse {
            connections: listed.iter().map(convert::connection).collect(),
            next_page_token,
        }
    }
}

fn key(subject: &v1::Subject) -> [&str; 3] {
    [&subject.tenant, &subject.realm, &subject.subject]
}

fn provider_revocation(at_provider: AtProvider) -> v1::ProviderRevocation {
    match at_provider {
        AtProvider::Revoked => v1::ProviderRevocation::Revoked,
        AtProvider::Unsupported => v1::ProviderRevocation::Unsupported,
        AtProvider::FailedWillRetry => v1::ProviderRevocation::FailedWillRetry,
    }
}
