//! The floor: what every broker that keeps "no row, no grant" must at least do. Know the assertion, commit a row, answer.
//!
//! An assertion that was not seen before costs one bare ring verification of its signature.

use super::Journal;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use broker_proto::v1::{
    AuditPosition, BatchIssueGrantsRequest, BatchIssueGrantsResponse, IssueGrantRequest, IssueGrantResponse,
    grant_service_server::GrantService, issue_grant_response::Outcome,
};
use ring::{
    digest::{SHA256, digest},
    signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey},
};
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// Assertions remembered: more than any figure uses.
const REMEMBERED: u64 = 2_000_000;

/// An issuer's P-256 key, ready to verify.
#[derive(Clone)]
pub struct IssuerKey(UnparsedPublicKey<Vec<u8>>);

impl IssuerKey {
    /// From an uncompressed point.
    pub fn new(point: Vec<u8>) -> Self {
        Self(UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point))
    }

    /// Whether the signature of a compact JWS is this key's. Looks at nothing else.
    pub fn verifies(&self, token: &str) -> bool {
        let Some((signed, signature)) = token.rsplit_once('.') else { return false };
        let signature = URL_SAFE_NO_PAD.decode(signature);
        signature.is_ok_and(|signature| self.0.verify(signed.as_bytes(), &signature).is_ok())
    }
}

/// A cache, a key and a group commit.
pub struct Floor {
    known: moka::sync::Cache<[u8; 32], Arc<IssueGrantResponse>>,
    answer: Arc<IssueGrantResponse>,
    key: IssuerKey,
    journal: Journal,
}

impl Floor {
    /// Answers `answer` to whoever shows an assertion that `key` signed, once `journal` has written it down.
    pub fn new(answer: IssueGrantResponse, key: IssuerKey, journal: Journal) -> Self {
        let known = moka::sync::Cache::new(REMEMBERED);
        Self { known, answer: Arc::new(answer), key, journal }
    }

    fn find(&self, assertion: &str) -> Result<Arc<IssueGrantResponse>, Status> {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, assertion.as_bytes()).as_ref());
        if let Some(answer) = self.known.get(&hash) {
            return Ok(answer);
        }
        if !self.key.verifies(assertion) {
            return Err(Status::unauthenticated("not signed by the SSO"));
        }
        self.known.insert(hash, Arc::clone(&self.answer));
        Ok(Arc::clone(&self.answer))
    }
}

#[tonic::async_trait]
impl GrantService for Floor {
    async fn issue_grant(
        &self,
        request: Request<IssueGrantRequest>,
    ) -> Result<Response<IssueGrantResponse>, Status> {
        let found = self.find(&request.get_ref().assertion)?;
        let position = self.journal.write().await?;
        let mut answer = (*found).clone();
        if let Some(Outcome::Grant(grant)) = &mut answer.outcome {
            let seq = u64::try_from(position.seq).unwrap_or_default();
            grant.audit_position = Some(AuditPosition { stream: position.stream.to_string(), seq });
        }
        Ok(Response::new(answer))
    }

    async fn batch_issue_grants(
        &self,
        _request: Request<BatchIssueGrantsRequest>,
    ) -> Result<Response<BatchIssueGrantsResponse>, Status> {
        Err(Status::unimplemented("only single grants are measured"))
    }
}
