//! `ConnectionService`.

use super::{convert, denied, gate::Principal, paging};
use crate::{
    domain::{ConnectionId, EventKind, Outcome, ProviderId, Reason, Refusal},
    policy::RpcAction,
    usecase::{
        Actor, AtProvider, Disconnected, Rooms, authorize,
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
        match (principal.workload.is_some(), &request.subject, &request.assertion) {
            // A workload with its user's assertion sees what it may use.
            (true, None, Some(assertion)) => {
                let query = Query::read(&self.0, &request)?;
                let caller = principal.caller()?;
                let provider = query.provider.as_ref();
                let listed = list_connections::of_workload(&self.0, &caller, assertion, provider).await?;
                Ok(query.page(&self.0, listed))
            }
            (_, _, assertion) => {
                let actor = self.admin(principal, assertion.as_deref()).await?;
                let page = self.list_for_admin(&actor, &request).await;
                self.of_actor(&actor, page).await
            }
        }
    }

    async fn list_for_admin(
        &self,
        actor: &Actor,
        request: &v1::ListConnectionsRequest,
    ) -> Result<v1::ListConnectionsResponse, Refusal> {
        let query = Query::read(&self.0, request)?;
        let subject = request.subject.as_ref().map(|s| convert::subject("subject", s)).transpose()?;
        let listed = match subject {
            Some(subject) => list_connections::of_subject(&self.0, &subject, query.provider.as_ref()).await?,
            None => self.of_actors_tenant(actor, &query).await?,
        };
        Ok(query.page(&self.0, listed))
    }

    /// An administrator without a subject filter sees their own tenant; a workload administrator the only one, or names a subject.
    async fn of_actors_tenant(&self, actor: &Actor, query: &Query) -> Result<Vec<Listed>, Refusal> {
        let tenant = match actor {
            Actor::Person(person, _) => person.subject().tenant.clone(),
            Actor::Workload(_) => match &self.0.settings.tenants[..] {
                [only] => only.clone(),
                _ => return Err(Refusal::invalid("subject", "There are several tenants: name a subject.")),
            },
        };
        let (provider, after) = (query.provider.as_ref(), query.after.as_ref());
        list_connections::of_tenant(&self.0, &tenant, provider, after, query.limit + 1).await
    }

    async fn get(&self, principal: Principal, request: v1::GetConnectionRequest) -> Result<Listed, Refusal> {
        let id = || convert::connection_id("connection_id", &request.connection_id);
        if let (Some(_), Some(assertion)) = (&principal.workload, &request.assertion) {
            let id = id()?;
            let assertion = assertion.clone();
            let own = list_connections::of_workload(&self.0, &principal.caller()?, &assertion, None).await?;
            let found = own.into_iter().find(|one| one.connection.id == id);
            return found.ok_or_else(|| Refusal::new(Reason::NotFound));
        }
        let actor = self.admin(principal, request.assertion.as_deref()).await?;
        let found = async { list_connections::by_id(&self.0, &id()?).await };
        self.of_actor(&actor, found.await).await
    }

    async fn revoke(
        &self,
        principal: Principal,
        request: v1::RevokeConnectionRequest,
    ) -> Result<v1::RevokeConnectionResponse, Refusal> {
        let actor = self.admin(principal, request.assertion.as_deref()).await?;
        let done = self.revoke_for_admin(&actor, &request).await;
        self.of_actor(&actor, done).await
    }

    async fn revoke_for_admin(
        &self,
        actor: &Actor,
        request: &v1::RevokeConnectionRequest,
    ) -> Result<v1::RevokeConnectionResponse, Refusal> {
        let id = convert::connection_id("connection_id", &request.connection_id)?;
        let why = super::admin::why(&request.reason)?;
        let listed = list_connections::by_id(&self.0, &id).await?;
        let mut draft = actor.draft(&self.0, EventKind::ConnectionRevoked, Outcome::Allowed);
        draft.purpose = why;
        let done = revoke_connection(&self.0, actor.call(), listed.connection, draft).await?;
        let listed = list_connections::by_id(&self.0, &id).await?;
        let epoch = self.0.audit.rules().epoch();
        Ok(v1::RevokeConnectionResponse {
            connection: Some(convert::connection(&listed)),
            provider_revocation: provider_revocation(done.at_provider).into(),
            outstanding_grants_expire_time: done.outstanding_until.map(convert::timestamp),
            outstanding_grants_never_expire: never_end(&done),
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

    async fn of_actor<T>(&self, actor: &Actor, done: Result<T, Refusal>) -> Result<T, Refusal> {
        match done {
            Ok(done) => Ok(done),
            Err(refusal) => Err(actor.denied(&self.0, RpcAction::ConnectionsAdmin, refusal).await),
        }
    }

    async fn admin(&self, principal: Principal, assertion: Option<&str>) -> Result<Actor, Refusal> {
        let assertion = assertion.filter(|text| !text.is_empty());
        authorize(&self.0, principal.workload, assertion, principal.call, RpcAction::ConnectionsAdmin).await
    }
}

/// What a list is about, and where in it the caller is.
struct Query {
    limit: u32,
    provider: Option<ProviderId>,
    /// What page tokens are bound to.
    binding: String,
    after: Option<ConnectionId>,
}

impl Query {
    fn read(rooms: &Rooms, request: &v1::ListConnectionsRequest) -> Result<Self, Refusal> {
        let limit = paging::size(request.page_size)?;
        let provider = match request.provider.as_str() {
            "" => None,
            text => Some(convert::provider_id(text)?),
        };
        let binding = format!("connections {:?} {:?}", request.subject.as_ref().map(key), request.provider);
        let after = match request.page_token.as_str() {
            "" => None,
            token => {
                let parts = paging::read_token(&rooms.keys, &binding, token, 1)?;
                Some(convert::connection_id("page_token", &parts[0])?)
            }
        };
        Ok(Self { limit, provider, binding, after })
    }

    fn page(&self, rooms: &Rooms, mut listed: Vec<Listed>) -> v1::ListConnectionsResponse {
        listed.sort_by(|a, b| a.connection.id.cmp(&b.connection.id));
        listed.retain(|one| self.after.as_ref().is_none_or(|after| one.connection.id > *after));
        let more = listed.len() > self.limit as usize;
        listed.truncate(self.limit as usize);
        let next_page_token = match listed.last() {
            Some(last) if more => paging::token(&rooms.keys, &self.binding, &[last.connection.id.as_str()]),
            _ => String::new(),
        };
        let connections = listed.iter().map(convert::connection).collect();
        v1::ListConnectionsResponse { connections, next_page_token }
    }
}

fn key(subject: &v1::Subject) -> [&str; 3] {
    [&subject.tenant, &subject.realm, &subject.subject]
}

fn never_end(done: &Disconnected) -> bool {
    done.at_provider != AtProvider::Revoked && done.outstanding_until.is_none()
}

fn provider_revocation(at_provider: AtProvider) -> v1::ProviderRevocation {
    match at_provider {
        AtProvider::Revoked => v1::ProviderRevocation::Revoked,
        AtProvider::Unsupported => v1::ProviderRevocation::Unsupported,
        AtProvider::FailedWillRetry => v1::ProviderRevocation::FailedWillRetry,
    }
}
