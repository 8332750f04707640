//! What administrators do in the meantime: each deed with when it was sent and when it was acknowledged.

use std::sync::Arc;

use broker_proto::v1::admin_service_client::AdminServiceClient;
use broker_proto::v1::connection_service_client::ConnectionServiceClient;
use broker_proto::v1::{
    BlockRequest, BlockTarget, RevokeConnectionRequest, Subject, UnblockRequest, block_target::Target,
};
use broker_tests::history::{Act, Deed};
use demo::world::ADMIN;
use tonic::Status;

use super::load::Load;
use crate::crash::people::Crew;

impl Load {
    pub(super) async fn revoke(&self, connection: String) {
        let Some(channel) = self.channel().await else { return };
        let message = RevokeConnectionRequest {
            connection_id: connection.clone(),
            assertion: Some(self.site.operator_assertion(&ADMIN)),
            reason: "history".to_owned(),
        };
        let mut client = ConnectionServiceClient::new(channel);
        self.act(Deed::Revoke(connection), client.revoke_connection(self.request(message, None))).await;
    }

    /// Blocks one person after the other for a while.
    pub async fn block_on(self: Arc<Self>) {
        while !self.is_over() {
            let granted = self.progress.borrow().granted;
            self.until(|now| now.granted > granted + 40).await;
            let person = self.dice.below(self.crew.len());
            if !self.block(person).await {
                // Whether it is there is not known: lifted in any case.
                self.lift(person).await;
                continue;
            }
            let answered = self.progress.borrow().answered;
            self.until(|now| now.answered > answered + 30).await;
            self.lift(person).await;
        }
    }

    async fn block(&self, person: usize) -> bool {
        let Some(channel) = self.channel().await else { return false };
        let message = BlockRequest {
            assertion: Some(self.site.operator_assertion(&ADMIN)),
            target: Some(self.target(person)),
            reason: "history".to_owned(),
        };
        let deed = Deed::Block(self.crew[person].sso.name.to_owned());
        let mut client = AdminServiceClient::new(channel);
        self.act(deed, client.block(self.request(message, None))).await
    }

    /// Until it is acknowledged, or there is nothing to lift.
    pub async fn lift(&self, person: usize) {
        loop {
            let Some(channel) = self.channel().await else { return };
            let message = UnblockRequest {
                assertion: Some(self.site.operator_assertion(&ADMIN)),
                target: Some(self.target(person)),
                reason: "history".to_owned(),
            };
            let deed = Deed::Lift(self.crew[person].sso.name.to_owned());
            let mut client = AdminServiceClient::new(channel);
            let mut told = None;
            let call = async {
                let answer = client.unblock(self.request(message, None)).await;
                told = answer.as_ref().err().map(Status::code);
                answer
            };
            if self.act(deed, call).await || told == Some(tonic::Code::NotFound) {
                return;
            }
            // Nobody hammers what is down.
            let answered = self.progress.borrow().answered;
            self.until(|now| now.answered > answered).await;
        }
    }

    fn target(&self, person: usize) -> BlockTarget {
        BlockTarget { target: Some(subject(&self.crew[person])) }
    }

    /// Written down before it is sent, so that nothing it causes comes before it.
    async fn act<T>(&self, deed: Deed, call: impl Future<Output = Result<T, Status>>) -> bool {
        let acts = || self.acts.lock().expect("no holder panicked");
        let number = {
            let mut acts = acts();
            acts.push(Act { deed, sent: self.now(), acknowledged: None });
            acts.len() - 1
        };
        let done = call.await.is_ok();
        if done {
            acts()[number].acknowledged = Some(self.now());
        }
        done
    }
}

/// Names a person for a block.
pub fn subject(person: &Crew) -> Target {
    Target::Subject(Subject {
        tenant: "company".to_owned(),
        realm: "staff".to_owned(),
        subject: person.subject(),
    })
}
