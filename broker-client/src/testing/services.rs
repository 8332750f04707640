//! The broker's services over the state.

use super::FakeBroker;
use super::batch;
use super::calls::{Answered, Call};
use super::clock::ManualClock;
use super::reasons::Refusal;
use super::state::{Decision, State};
use crate::Clock as _;
use crate::proto::connection_service_server::ConnectionService;
use crate::proto::consent_service_server::ConsentService;
use crate::proto::grant_service_server::GrantService;
use crate::proto::*;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;
use tokio::sync::{mpsc, watch};
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

/// How many states of one consent wait to be read.
const BACKLOG: usize = 16;

#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) clock: ManualClock,
    state: Mutex<State>,
    /// Counts changes of the state.
    pub(super) changes: watch::Sender<u64>,
    /// How many hold answers back.
    pub(super) held: watch::Sender<usize>,
}

impl Shared {
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State, SystemTime) -> T) -> T {
        let changed =
            change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner), self.clock.now());
        self.changes.send_modify(|count| *count += 1);
        changed
    }

    /// Looks without waking whoever waits for changes.
    fn look<T>(&self, look: impl FnOnce(&mut State, SystemTime) -> T) -> T {
        look(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner), self.clock.now())
    }

    /// Runs a call under the workload's credential and writes it down.
    fn answer<M, T>(
        &self,
        request: &Request<M>,
        mut call: Call,
        answer: impl FnOnce(&mut State, SystemTime, &mut Call) -> Result<T, Refusal>,
    ) -> Result<Response<T>, Status> {
        let refused = refuse_credential(request);
        self.change(|state, now| {
            let person = call.assertion.as_ref().map(|assertion| assertion.expose().to_owned());
            let refused = refused.or_else(|| state.refused.get(&person?).cloned());
            let answered = match refused {
                Some(refusal) => Err(refusal),
                None => answer(state, now, &mut call),
            };
            if let Err(refusal) = &answered {
                call.answered = Answered::Refused(refusal.reason.to_owned());
            }
            state.calls.push(call);
            answered.map(Response::new).map_err(|refusal| refusal.to_status())
        })
    }
}

fn refuse_credential<M>(request: &Request<M>) -> Option<Refusal> {
    let shown = request.metadata().get("authorization");
    let shown = shown.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    match shown {
        Some(FakeBroker::CREDENTIAL) => None,
        Some(_) => Some(Refusal::new("WORKLOAD_CREDENTIAL_INVALID", None)),
        None => Some(Refusal::new("WORKLOAD_CREDENTIAL_MISSING", None)),
    }
}

fn refuse(reason: &str) -> Refusal {
    Refusal::new(reason, None)
}

#[tonic::async_trait]
impl GrantService for Shared {
    async fn issue_grant(
        &self,
        request: Request<IssueGrantRequest>,
    ) -> Result<Response<IssueGrantResponse>, Status> {
        // Its sender is part of `self`.
        let _ = self.held.subscribe().wait_for(|held| *held == 0).await;
        let asked = request.get_ref();
        let call = Call {
            provider: asked.provider.clone(),
            scopes: asked.scopes.clone(),
            tool: asked.tool.clone(),
            purpose: asked.purpose.clone(),
            request_id: asked.request_id.clone(),
            id: asked.connection.clone(),
            ..Call::new("IssueGrant", Some(asked.assertion.as_str()))
        };
        self.answer(&request, call, |state, now, call| {
            if let Some(refusal) = state.refusals.pop_front() {
                return Err(refusal);
            }
            if asked.assertion.is_empty() {
                return Err(refuse("ASSERTION_MISSING"));
            }
            if asked.provider.is_empty() || asked.scopes.is_empty() {
                return Err(refuse("INVALID_ARGUMENT"));
            }
            use issue_grant_response::Outcome;
            let outcome = match state.decide(asked, now) {
                Decision::Grant(grant) => {
                    call.answered = Answered::Granted(grant.id.clone());
                    Outcome::Grant(grant)
                }
                Decision::Consent(consent) => {
                    call.answered = Answered::ConsentRequired(consent.consent_id.clone());
                    Outcome::ConsentRequired(consent)
                }
            };
            Ok(IssueGrantResponse { outcome: Some(outcome) })
        })
    }

    async fn batch_issue_grants(
        &self,
        request: Request<BatchIssueGrantsRequest>,
    ) -> Result<Response<BatchIssueGrantsResponse>, Status> {
        // Its sender is part of `self`.
        let _ = self.held.subscribe().wait_for(|held| *held == 0).await;
        let asked = request.get_ref();
        self.answer(&request, batch::call(asked), |state, now, call| batch::answer(asked, state, now, call))
    }
}

/// Shared with the task behind each watch.
pub(super) struct Consents(pub(super) Arc<Shared>);

#[tonic::async_trait]
impl ConsentService for Consents {
    async fn get_consent(
        &self,
        request: Request<GetConsentRequest>,
    ) -> Result<Response<GetConsentResponse>, Status> {
        let GetConsentRequest { consent_id, assertion } = request.get_ref();
        let call = Call::new("GetConsent", assertion.as_deref()).about(consent_id);
        self.0.answer(&request, call, |state, now, _| {
            let found =
                state.find(consent_id, assertion.as_deref(), now).ok_or_else(|| refuse("NOT_FOUND"))?;
            Ok(GetConsentResponse { consent: Some(found) })
        })
    }

    type WatchConsentStream = Pin<Box<dyn Stream<Item = Result<WatchConsentResponse, Status>> + Send>>;

    async fn watch_consent(
        &self,
        request: Request<WatchConsentRequest>,
    ) -> Result<Response<Self::WatchConsentStream>, Status> {
        let WatchConsentRequest { consent_id, assertion } = request.get_ref().clone();
        let call = Call::new("WatchConsent", assertion.as_deref()).about(&consent_id);
        // Before the first look, so that no change falls between.
        let mut changes = self.0.changes.subscribe();
        let first = self.0.answer(&request, call, |state, now, _| {
            state.find(&consent_id, assertion.as_deref(), now).ok_or_else(|| refuse("NOT_FOUND"))
        })?;
        let (sender, receiver) = mpsc::channel(BACKLOG);
        let shared = Arc::clone(&self.0);
        tokio::spawn(async move {
            let mut current = first.into_inner();
            loop {
                let over = current.state() != ConsentState::Pending;
                let told = sender.send(Ok(WatchConsentResponse { consent: Some(current.clone()) })).await;
                if over || told.is_err() {
                    return;
                }
                let mut next = current.clone();
                while next == current {
                    tokio::select! {
                        changed = changes.changed() => if changed.is_err() { return },
                        () = sender.closed() => return,
                    }
                    next = shared.look(|state, now| state.find(&consent_id, None, now)).unwrap_or(next);
                }
                current = next;
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}

#[tonic::async_trait]
impl ConnectionService for Shared {
    async fn list_connections(
        &self,
        request: Request<ListConnectionsRequest>,
    ) -> Result<Response<ListConnectionsResponse>, Status> {
        let assertion = request.get_ref().assertion.as_deref();
        self.answer(&request, Call::new("ListConnections", assertion), |state, _, _| {
            let person = assertion.ok_or_else(|| refuse("ASSERTION_MISSING"))?;
            let connections = state.connections_of(person);
            Ok(ListConnectionsResponse { connections, next_page_token: String::new() })
        })
    }

    async fn get_connection(
        &self,
        request: Request<GetConnectionRequest>,
    ) -> Result<Response<GetConnectionResponse>, Status> {
        let GetConnectionRequest { connection_id, assertion } = request.get_ref();
        let call = Call::new("GetConnection", assertion.as_deref()).about(connection_id);
        self.answer(&request, call, |state, _, _| {
            let person = assertion.as_deref().ok_or_else(|| refuse("ASSERTION_MISSING"))?;
            let mut theirs = state.connections_of(person).into_iter();
            let found = theirs.find(|connection| connection.id == *connection_id);
            Ok(GetConnectionResponse { connection: Some(found.ok_or_else(|| refuse("NOT_FOUND"))?) })
        })
    }

    /// Not for workloads.
    async fn revoke_connection(
        &self,
        request: Request<RevokeConnectionRequest>,
    ) -> Result<Response<RevokeConnectionResponse>, Status> {
        let RevokeConnectionRequest { connection_id, assertion, .. } = request.get_ref();
        let call = Call::new("RevokeConnection", assertion.as_deref()).about(connection_id);
        self.answer(&request, call, |_, _, _| Err(refuse("ROLE_MISSING")))
    }

    async fn withdraw_approval(
        &self,
        request: Request<WithdrawApprovalRequest>,
    ) -> Result<Response<WithdrawApprovalResponse>, Status> {
        let WithdrawApprovalRequest { connection_id, assertion } = request.get_ref();
        let call = Call::new("WithdrawApproval", assertion.as_deref()).about(connection_id);
        self.answer(&request, call, |state, _, _| {
            let person = assertion.as_deref().ok_or_else(|| refuse("ASSERTION_MISSING"))?;
            if !state.withdraw(connection_id, person) {
                return Err(refuse("NOT_FOUND"));
            }
            Ok(WithdrawApprovalResponse { revocation_epoch: state.calls.len() as u64 + 1 })
        })
    }
}
