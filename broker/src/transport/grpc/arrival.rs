//! Waits until a call's message is there, so that one which never comes keeps none of the places of those that did (AV1, AV2).

use super::super::slots::Slots;
use crate::domain::{Reason, Refusal};
use hyper::body::{Body as _, Bytes, Frame, SizeHint};
use std::{
    convert::Infallible,
    future::poll_fn,
    net::{IpAddr, Ipv4Addr},
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};
use tonic::body::Body;

/// What is before a message, in bytes: whether it is compressed, and its length (gRPC over HTTP/2, "Length-Prefixed-Message").
const PREFIX: usize = 5;
/// Longest for a message to arrive after its head.
const LONGEST: Duration = Duration::from_secs(5);
/// The same when too many are on their way already: enough for one that follows its head at once.
const AT_ONCE: Duration = Duration::from_millis(100);
/// Which part of the unfinished messages may come from one address.
const SHARE: usize = 8;
/// Fewest unfinished messages there is room for.
const FEWEST: usize = 64;

/// Messages on their way.
pub(super) struct Arrivals {
    unfinished: Slots,
    /// Bytes of a message with its prefix.
    largest: usize,
}

impl Arrivals {
    /// For a listener that serves `calls` at once, with messages of at most `largest` bytes.
    pub(super) fn new(calls: usize, largest: usize) -> Self {
        let most = calls.saturating_mul(2).max(FEWEST);
        Self { unfinished: Slots::shared(most, SHARE), largest: largest.saturating_add(PREFIX) }
    }

    /// The whole message, within `left`. One that is too large is cut off, which whoever reads its length sees at once.
    ///
    /// # Errors
    /// [`Reason::DeadlineExceeded`]: it did not come in time. [`Reason::Overloaded`]: nor did others from this address or
    /// altogether, and it did not come at once. [`Reason::InvalidArgument`]: its client gave up.
    pub(super) async fn whole(
        &self,
        body: Body,
        peer: Option<IpAddr>,
        left: Duration,
    ) -> Result<Body, Refusal> {
        let mut message = pin!(read(body, self.largest));
        // Most come with their head, and need no slot.
        if let Poll::Ready(message) = futures::poll!(&mut message) {
            return message;
        }
        let (slot, time) = match self.unfinished.take(peer.unwrap_or(Ipv4Addr::UNSPECIFIED.into())) {
            Some(slot) => (Some(slot), LONGEST),
            None => (None, AT_ONCE),
        };
        match tokio::time::timeout(time.min(left), message).await {
            Ok(message) => message,
            Err(_) if slot.is_none() => {
                Err(Refusal::new(Reason::Overloaded).retry_after(Duration::from_millis(100)))
            }
            Err(_) => Err(Refusal::because(Reason::DeadlineExceeded, "The message did not arrive in time.")),
        }
    }
}

async fn read(mut body: Body, largest: usize) -> Result<Body, Refusal> {
    let mut message = Bytes::new();
    let mut pieces = Vec::new();
    while !body.is_end_stream()
        && let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await
    {
        let gave_up = |_| Refusal::because(Reason::InvalidArgument, "The message cannot be read.");
        // Trailers of a request mean nothing.
        let Ok(data) = frame.map_err(gave_up)?.into_data() else { continue };
        if message.is_empty() && pieces.is_empty() {
            message = data;
        } else {
            if pieces.is_empty() {
                pieces.extend_from_slice(&message);
            }
            pieces.extend_from_slice(&data);
        }
        if message.len().max(pieces.len()) > largest {
            break;
        }
    }
    let message = if pieces.is_empty() { message } else { pieces.into() };
    Ok(Body::new(Whole(Some(message))))
}

/// A message that is there, in one piece.
struct Whole(Option<Bytes>);

impl hyper::body::Body for Whole {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(
            self.0.take().filter(|message| !message.is_empty()).map(|message| Ok(Frame::data(message))),
        )
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |message| message.len() as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{FutureExt, StreamExt, channel::mpsc, stream};

    const LONG: Duration = Duration::from_secs(3600);
    const SOON: Duration = Duration::from_millis(1);

    fn ip(last: u8) -> Option<IpAddr> {
        Some(Ipv4Addr::new(192, 0, 2, last).into())
    }

    fn sent(pieces: &[&'static str]) -> Body {
        let pieces: Vec<_> = pieces.iter().map(|piece| Ok::<_, Infallible>(Bytes::from(*piece))).collect();
        Body::new(axum::body::Body::from_stream(stream::iter(pieces)))
    }

    fn unfinished() -> Body {
        let first = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"first"))]);
        Body::new(axum::body::Body::from_stream(first.chain(stream::pending())))
    }

    async fn bytes(body: Body) -> Bytes {
        axum::body::to_bytes(axum::body::Body::new(body), usize::MAX).await.unwrap()
    }

    #[tokio::test]
    async fn messages_arrive_whole_and_those_too_large_are_cut_off() {
        let arrivals = Arrivals::new(4, 3);
        for (pieces, wanted) in [
            (&["abc"][..], "abc"),
            (&[], ""),
            (&["ab", "cd", "ef"], "abcdef"),
            (&["abcdefg", "hi", "j"], "abcdefghi"),
        ] {
            let whole =
                arrivals.whole(sent(pieces), ip(1), LONG).now_or_never().expect("it is there").unwrap();
            assert_eq!(bytes(whole).await, wanted);
        }
        let (sender, receiver) = mpsc::unbounded::<Result<Bytes, Infallible>>();
        let late = Body::new(axum::body::Body::from_stream(receiver));
        let mut whole = pin!(arrivals.whole(late, ip(1), LONG));
        assert!(futures::poll!(&mut whole).is_pending());
        sender.unbounded_send(Ok(Bytes::from_static(b"later"))).unwrap();
        assert!(futures::poll!(&mut whole).is_pending(), "more may come");
        drop(sender);
        assert_eq!(bytes(whole.await.unwrap()).await, "later");
    }

    /// Proves: AV1, AV2
    #[tokio::test]
    async fn av2_a_message_that_does_not_come_is_refused_in_time_and_one_address_has_its_share_of_them() {
        let arrivals = Arrivals::new(4, 100);
        let late = arrivals.whole(unfinished(), ip(1), SOON).await.unwrap_err();
        assert_eq!(late.reason, Reason::DeadlineExceeded);

        let mut held: Vec<_> =
            (0..FEWEST / SHARE).map(|_| Box::pin(arrivals.whole(unfinished(), ip(1), LONG))).collect();
        for whole in &mut held {
            assert!(futures::poll!(whole).is_pending());
        }
        let shed = arrivals.whole(unfinished(), ip(1), SOON).await.unwrap_err();
        assert_eq!(shed.reason, Reason::Overloaded);
        assert!(arrivals.whole(sent(&["prompt"]), ip(1), SOON).await.is_ok(), "from the same address");
        let other = arrivals.whole(unfinished(), ip(2), SOON).await.unwrap_err();
        assert_eq!(other.reason, Reason::DeadlineExceeded, "another address has a share of its own");
        drop(held);
        let late = arrivals.whole(unfinished(), ip(1), SOON).await.unwrap_err();
        assert_eq!(late.reason, Reason::DeadlineExceeded, "the slots came back");
    }
}
