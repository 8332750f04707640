//! Calls made beforehand, so that nothing is minted while time is taken.

use broker_proto::v1::IssueGrantRequest;
use std::sync::atomic::{AtomicUsize, Ordering};
use tonic::{
    Request,
    metadata::{Ascii, MetadataValue},
};

/// One call: what is asked, and the workload's own credential.
#[derive(Clone)]
pub struct Call {
    /// What is asked.
    pub message: IssueGrantRequest,
    /// `Bearer …`.
    pub authorization: MetadataValue<Ascii>,
}

impl Call {
    /// As tonic sends it.
    pub fn request(&self) -> Request<IssueGrantRequest> {
        let mut request = Request::new(self.message.clone());
        request.metadata_mut().insert("authorization", self.authorization.clone());
        request
    }
}

/// Calls that senders take turns to draw from.
pub struct Deck {
    calls: Vec<Call>,
    next: AtomicUsize,
}

impl Deck {
    /// A deck in this order.
    pub fn of(calls: Vec<Call>) -> Self {
        Self { calls, next: AtomicUsize::new(0) }
    }

    /// The next call, beginning again after the last. An empty deck has none.
    pub fn draw(&self) -> Option<&Call> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        self.calls.get(turn.checked_rem(self.calls.len())?)
    }

    /// The next call that was never drawn.
    pub fn draw_once(&self) -> Option<&Call> {
        self.calls.get(self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// Begins again.
    pub fn begin_again(&self) {
        self.next.store(0, Ordering::Relaxed);
    }
}
