//! Ended spans wait here for their batch. Nobody waits for them: what finds no room is dropped, and counted.

use super::collector::{Collector, Unsent};
use crate::metrics::Metrics;
use opentelemetry::Context;
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{Span, SpanData, SpanProcessor},
};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Most ended spans that wait; about 1 KB each.
const MOST: usize = 4096;
/// Most spans sent at once.
const BATCH: usize = 512;
/// How long the first of a batch waits for others.
const GATHER: Duration = Duration::from_secs(1);
/// Between two tries, and how many.
const PAUSE: Duration = Duration::from_millis(500);
const TRIES: u32 = 3;

/// The near end.
#[derive(Debug)]
pub(super) struct Queue {
    sender: mpsc::Sender<SpanData>,
    metrics: Metrics,
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if self.sender.try_send(span).is_err() {
            self.metrics.spans("dropped", 1);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// The far end: sends until it is told to end.
pub(super) struct Sender {
    receiver: mpsc::Receiver<SpanData>,
    collector: Collector,
    metrics: Metrics,
    /// Of one batch, tries and pauses included.
    patience: Duration,
    /// Whether the last batch was lost, so that a collector that is down is told of once.
    down: bool,
}

pub(super) fn queue(collector: Collector, metrics: Metrics, patience: Duration) -> (Queue, Sender) {
    let (sender, receiver) = mpsc::channel(MOST);
    (
        Queue { sender, metrics: metrics.clone() },
        Sender { receiver, collector, metrics, patience, down: false },
    )
}

impl Sender {
    /// Sends batch by batch. Once `end` is told or gone, what waits is sent, and nothing new is taken.
    pub(super) async fn run(mut self, mut end: oneshot::Receiver<()>) {
        let mut ending = false;
        loop {
            let mut batch = Vec::new();
            if !ending {
                tokio::select! {
                    biased;
                    // What was gathered so far is in `batch`.
                    _ = &mut end => {
                        ending = true;
                        self.receiver.close();
                    }
                    () = gather(&mut self.receiver, &mut batch) => {}
                }
            }
            while batch.len() < BATCH
                && let Ok(span) = self.receiver.try_recv()
            {
                batch.push(span);
            }
            if batch.is_empty() {
                return;
            }
            self.send(batch).await;
        }
    }

    async fn send(&mut self, batch: Vec<SpanData>) {
        let spans = batch.len() as u64;
        let sent = tokio::time::timeout(self.patience, tries(&self.collector, batch)).await;
        match sent {
            Ok(Ok(rejected)) => {
                self.metrics.spans("rejected", rejected.min(spans));
                self.metrics.spans("sent", spans.saturating_sub(rejected));
                if std::mem::take(&mut self.down) {
                    tracing::info!("the collector takes traces again");
                }
            }
            lost => {
                self.metrics.spans("failed", spans);
                if !std::mem::replace(&mut self.down, true) {
                    let error = match lost {
                        Ok(Err(unsent)) => unsent.to_string(),
                        _ => "it took too long".to_owned(),
                    };
                    tracing::warn!(error, "traces could not be sent; they are dropped until they can");
                }
            }
        }
    }
}

/// Returns when a batch is full, or its first span has waited long enough.
async fn gather(receiver: &mut mpsc::Receiver<SpanData>, batch: &mut Vec<SpanData>) {
    if receiver.recv_many(batch, BATCH).await == 0 {
        return;
    }
    let more =
        async { while batch.len() < BATCH && receiver.recv_many(batch, BATCH - batch.len()).await > 0 {} };
    let _ = tokio::time::timeout(GATHER, more).await;
}

async fn tries(collector: &Collector, batch: Vec<SpanData>) -> Result<u64, Unsent> {
    let request = collector.request(batch);
    let mut left = TRIES;
    loop {
        left -= 1;
        match collector.send(request.clone()).await {
            Err(unsent) if unsent.passes() && left > 0 => tokio::time::sleep(PAUSE).await,
            done => return done,
        }
    }
}
