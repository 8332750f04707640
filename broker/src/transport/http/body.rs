//! A request's body that is known to have arrived, or not.

use axum::body::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

/// A body on its way.
pub(super) struct Arriving {
    body: Incoming,
    arrived: Arrived,
}

/// Whether it is all here.
#[derive(Clone)]
pub(super) struct Arrived(Arc<AtomicBool>);

impl Arrived {
    pub(super) fn yet(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Arriving {
    pub(super) fn new(body: Incoming) -> (Self, Arrived) {
        let arrived = Arrived(Arc::new(AtomicBool::new(body.is_end_stream())));
        (Self { body, arrived: arrived.clone() }, arrived)
    }
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let Self { body, arrived } = self.get_mut();
        let frame = Pin::new(&mut *body).poll_frame(cx);
        if body.is_end_stream() || matches!(frame, Poll::Ready(None)) {
            arrived.0.store(true, Ordering::Relaxed);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
