//! For whom somebody calls: assertions are verified in the same lines as credentials.

use super::{Call, Caller, Rooms, bucket::bucket_key, lines::Standing};
use crate::{
    domain::{Reason, Refusal},
    identity::{Cost, IdentityError, VerifiedAssertion},
};

impl Rooms {
    /// The person for whom `caller` acts.
    ///
    /// # Errors
    /// The verifier's; [`Reason::Overloaded`]: its turn did not come.
    pub async fn assertion(&self, token: &str, caller: &Caller) -> Result<VerifiedAssertion, Refusal> {
        let sender = || bucket_key("failed assertions", Some(caller.id().as_str()), None);
        let verified = self.identity.assertion(token, &caller.workload);
        self.in_turn(token, &caller.call, Standing::Sent, sender, verified).await
    }

    /// A person who calls the broker themselves.
    ///
    /// # Errors
    /// As [`Self::assertion`].
    pub async fn person(&self, token: &str, call: &Call) -> Result<VerifiedAssertion, Refusal> {
        let sender = || bucket_key("failed persons", None, call.client_address);
        self.in_turn(token, call, Standing::Unknown, sender, self.identity.person(token)).await
    }

    async fn in_turn(
        &self,
        token: &str,
        call: &Call,
        standing: Standing,
        sender: impl FnOnce() -> [u8; 32],
        verified: impl Future<Output = Result<VerifiedAssertion, IdentityError>>,
    ) -> Result<VerifiedAssertion, Refusal> {
        let cost = self.identity.cost_of_token(token);
        // Nearly every token has been seen before, and waits for nothing.
        let sender = (cost != Cost::Hash).then(sender);
        let turn = match sender {
            Some(sender) => {
                self.lines.turn(cost, standing, sender, call.deadline.remaining(&*self.clock)).await?
            }
            None => None,
        };
        verified.await.map_err(|error| {
            let refusal = Refusal::from(error);
            // What was too old or for somebody else was once good; what cost no signature costs nobody anything.
            if let (Some(_), Some(sender)) = (&turn, sender)
                && refusal.reason == Reason::AssertionInvalid
            {
                self.lines.failed(sender);
            }
            refusal
        })
    }
}
