//! The bare echo: reads the request, answers a grant made beforehand. What transport and load generator cost.

use broker_proto::v1::{
    BatchIssueGrantsRequest, BatchIssueGrantsResponse, IssueGrantRequest, IssueGrantResponse,
    grant_service_server::GrantService,
};
use tonic::{Request, Response, Status};

/// Answers the same grant to everybody.
pub struct Echo(pub IssueGrantResponse);

#[tonic::async_trait]
impl GrantService for Echo {
    async fn issue_grant(
        &self,
        _request: Request<IssueGrantRequest>,
    ) -> Result<Response<IssueGrantResponse>, Status> {
        Ok(Response::new(self.0.clone()))
    }

    async fn batch_issue_grants(
        &self,
        _request: Request<BatchIssueGrantsRequest>,
    ) -> Result<Response<BatchIssueGrantsResponse>, Status> {
        Err(Status::unimplemented("only single grants are measured"))
    }
}
