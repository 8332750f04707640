//! The lower floor: one method per RPC that an MCP server needs, nothing remembered between calls.

use crate::builder::ClientBuilder;
use crate::call::{Caller, Repeat};
use crate::proto::connection_service_client::ConnectionServiceClient;
use crate::proto::consent_service_client::ConsentServiceClient;
use crate::proto::grant_service_client::GrantServiceClient;
use crate::proto::{
    Connection, Consent, GetConsentRequest, ListConnectionsRequest, WatchConsentRequest,
    WithdrawApprovalRequest,
};
use crate::request_id::RequestIds;
use crate::trace;
use crate::{Assertion, BatchOutcome, BatchRequest, Clock, ConsentWatch, Error, GrantRequest, Outcome};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tracing::Instrument as _;

/// A connection to the broker. Cheap to clone; clones share it.
///
/// Every call shows the workload's credential and carries its deadline. A call that failed with UNAVAILABLE, or with
/// RESOURCE_EXHAUSTED and a delay, is sent again after a jittered pause (and never before that delay) where a repeat is safe:
/// reads, and `issue_grant` because its request id makes repeats answer alike.
#[derive(Clone)]
pub struct Client {
    caller: Arc<Caller>,
    request_ids: RequestIds,
}

impl Client {
    /// Starts the description of a client. `address` is `https://host:port`, or `http://` for a loopback host.
    pub fn builder(address: impl Into<String>) -> ClientBuilder {
        ClientBuilder::new(address.into())
    }

    pub(crate) fn new(caller: Caller) -> Self {
        Self { caller: Arc::new(caller), request_ids: RequestIds::default() }
    }

    /// Asks for one grant (`GrantService.IssueGrant`).
    ///
    /// # Errors
    /// Everything in [`Error`]; a missing consent is not among them but an [`Outcome`].
    pub async fn issue_grant(&self, request: &GrantRequest) -> Result<Outcome, Error> {
        let id = match &request.request_id {
            Some(id) => id.clone(),
            None => self.request_ids.next()?,
        };
        let send =
            |channel, request| async move { GrantServiceClient::new(channel).issue_grant(request).await };
        Outcome::try_from(
            self.caller
                .unary("broker.v1.GrantService/IssueGrant", request.to_message(&id)?, Repeat::Safe, send)
                .await?,
        )
    }

    /// Asks for several grants, all of them or none (`GrantService.BatchIssueGrants`).
    ///
    /// # Errors
    /// As [`issue_grant`](Self::issue_grant): a refused item refuses the batch.
    pub async fn batch_issue_grants(&self, request: &BatchRequest) -> Result<BatchOutcome, Error> {
        let id = match &request.request_id {
            Some(id) => id.clone(),
            None => self.request_ids.next()?,
        };
        let send = |channel, request| async move {
            GrantServiceClient::new(channel).batch_issue_grants(request).await
        };
        request.outcome(
            self.caller
                .unary(
                    "broker.v1.GrantService/BatchIssueGrants",
                    request.to_message(&id)?,
                    Repeat::Safe,
                    send,
                )
                .await?,
        )
    }

    /// Reads a consent once (`ConsentService.GetConsent`). `assertion`: a person calling instead of the workload.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] with `NOT_FOUND` for a consent that this workload did not cause; others as [`Error`] says.
    pub async fn get_consent(
        &self,
        consent_id: &str,
        assertion: Option<&Assertion>,
    ) -> Result<Consent, Error> {
        let message = GetConsentRequest { consent_id: consent_id.to_owned(), assertion: exposed(assertion) };
        let send =
            |channel, request| async move { ConsentServiceClient::new(channel).get_consent(request).await };
        let response =
            self.caller.unary("broker.v1.ConsentService/GetConsent", message, Repeat::Safe, send).await?;
        response.consent.ok_or_else(|| Error::protocol("an answer without a consent"))
    }

    /// Follows a consent for at most `timeout` (`ConsentService.WatchConsent`).
    ///
    /// # Errors
    /// As [`get_consent`](Self::get_consent). A watch that broke is opened again by calling this again.
    pub async fn watch_consent(
        &self,
        consent_id: &str,
        assertion: Option<&Assertion>,
        timeout: Duration,
    ) -> Result<ConsentWatch, Error> {
        let caller = &self.caller;
        let until = caller.clock.monotonic().saturating_add(timeout);
        let message =
            WatchConsentRequest { consent_id: consent_id.to_owned(), assertion: exposed(assertion) };
        let open = async {
            let request = caller.request(message, timeout).await?;
            let channel = caller.link.channel(caller.clock.as_ref()).await;
            let answer = ConsentServiceClient::new(channel).watch_consent(request).await;
            trace::answered(&answer);
            Ok(answer?.into_inner())
        };
        let open = open.instrument(trace::span("broker.v1.ConsentService/WatchConsent"));
        let stream = tokio::time::timeout(timeout, open).await.unwrap_or_else(|_| Err(Error::deadline()))?;
        Ok(ConsentWatch { stream, clock: Arc::clone(&caller.clock), until, ended: false })
    }

    /// Lists all connections of the user on which this workload holds an approval (`ConnectionService.ListConnections`),
    /// page by page, each page under its own deadline.
    ///
    /// # Errors
    /// Everything in [`Error`]; [`Error::Protocol`] when the pages do not end.
    pub async fn list_connections(&self, assertion: &Assertion) -> Result<Vec<Connection>, Error> {
        const MOST_PAGES: usize = 1000;
        let mut connections = Vec::new();
        let mut page_token = String::new();
        for _ in 0..MOST_PAGES {
            let message = ListConnectionsRequest {
                assertion: exposed(Some(assertion)),
                page_token,
                ..Default::default()
            };
            let send = |channel, request| async move {
                ConnectionServiceClient::new(channel).list_connections(request).await
            };
            let page = self
                .caller
                .unary("broker.v1.ConnectionService/ListConnections", message, Repeat::Safe, send)
                .await?;
            connections.extend(page.connections);
            if page.next_page_token.is_empty() {
                return Ok(connections);
            }
            page_token = page.next_page_token;
        }
        Err(Error::protocol("the list of connections does not end"))
    }

    /// Has the broker verify a user's token by the contract that it applies to this workload's grants: issuer, signature,
    /// audience, times, required claims, and that nobody involved is blocked. Nothing is issued.
    ///
    /// # Errors
    /// [`Error::Assertion`] when it is not accepted; others as [`Error`] says.
    pub async fn verify_user_token(&self, assertion: &Assertion) -> Result<(), Error> {
        self.verify(assertion, Repeat::Safe).await
    }

    pub(crate) async fn verify(&self, assertion: &Assertion, repeat: Repeat) -> Result<(), Error> {
        // The lightest call whose answer depends on a valid assertion.
        let message = ListConnectionsRequest {
            assertion: exposed(Some(assertion)),
            page_size: 1,
            ..Default::default()
        };
        let send = |channel, request| async move {
            ConnectionServiceClient::new(channel).list_connections(request).await
        };
        self.caller
            .unary("broker.v1.ConnectionService/ListConnections", message, repeat, send)
            .await
            .map(drop)
    }

    /// Gives up this workload's approval on a connection of the user (`ConnectionService.WithdrawApproval`); the next grant
    /// asks the user again. Never repeated by itself. Returns the revocation's epoch.
    ///
    /// A [`TokenSource`](crate::TokenSource) does not learn of it: it hands out what it remembers for up to its
    /// [`max_age`](crate::TokenSourceBuilder::max_age), unless you call [`clear`](crate::TokenSource::clear).
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] with `NOT_FOUND` when there is no such approval; others as [`Error`] says.
    pub async fn withdraw_approval(&self, connection_id: &str, assertion: &Assertion) -> Result<u64, Error> {
        let message = WithdrawApprovalRequest {
            connection_id: connection_id.to_owned(),
            assertion: exposed(Some(assertion)),
        };
        let send = |channel, request| async move {
            ConnectionServiceClient::new(channel).withdraw_approval(request).await
        };
        Ok(self
            .caller
            .unary("broker.v1.ConnectionService/WithdrawApproval", message, Repeat::Never, send)
            .await?
            .revocation_epoch)
    }

    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.caller.clock)
    }
}

fn exposed(assertion: Option<&Assertion>) -> Option<String> {
    assertion.map(|assertion| assertion.expose().to_owned())
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("credential", &self.caller.credential).finish_non_exhaustive()
    }
}
