//! The client against a broker in this process that does as it is told.

mod batches;
mod bearer;
mod call;
mod clock;
mod consent;
mod credential;
mod error;
mod fake;
mod mcp;
mod one_time;
mod redaction;
mod session;
mod source;
mod testing;
mod tls;

use crate::{Client, Credential, Error, Grant, GrantRequest, Outcome};
use clock::TestClock;
use fake::Fake;
use std::sync::Arc;

/// A fake broker, a client of it, and the clock of both.
struct Bench {
    fake: Fake,
    clock: Arc<TestClock>,
    client: Client,
}

impl Bench {
    async fn new() -> Self {
        let clock = Arc::new(TestClock::default());
        let fake = Fake::start(Arc::clone(&clock)).await;
        let client = Client::builder(fake.address())
            .credential(Credential::secret("workload-secret"))
            .clock(clock.clone())
            .connect()
            .await
            .expect("client");
        Self { fake, clock, client }
    }
}

fn request() -> GrantRequest {
    GrantRequest::new("assertion-of-alice", "notes", ["notes.read", "notes.write"])
        .tool("list")
        .purpose("Show notes")
}

fn granted(outcome: Result<Outcome, Error>) -> Grant {
    match outcome {
        Ok(Outcome::Grant(grant)) => grant,
        other => panic!("no grant but {other:?}"),
    }
}
