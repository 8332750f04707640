//! Group commit and nothing else: what waits is written in one commit, and everybody is answered.

use super::Pen;
use broker::{audit::AuditConfig, domain::Position};
use tokio::sync::{mpsc, oneshot};
use tonic::Status;

/// Hands rows to a writer task of its own; the broker's own limits on queue and batch.
pub struct Journal(mpsc::Sender<oneshot::Sender<Position>>);

impl Journal {
    /// Starts the writer.
    pub fn start(pen: Pen) -> Self {
        let limits = AuditConfig::default();
        let (sender, waiting) = mpsc::channel(limits.queue);
        tokio::spawn(write(pen, waiting, limits.batch));
        Self(sender)
    }

    /// Returns once a row is committed.
    ///
    /// # Errors
    /// When the queue is full or the writer gave up.
    pub async fn write(&self) -> Result<Position, Status> {
        let (sender, answer) = oneshot::channel();
        self.0.try_send(sender).map_err(|_| Status::resource_exhausted("the floor's queue is full"))?;
        answer.await.map_err(|_| Status::unavailable("the floor's writer gave up"))
    }
}

async fn write(mut pen: Pen, mut waiting: mpsc::Receiver<oneshot::Sender<Position>>, most: usize) {
    while let Some(first) = waiting.recv().await {
        let mut callers = vec![first];
        while callers.len() < most
            && let Ok(next) = waiting.try_recv()
        {
            callers.push(next);
        }
        let head = match pen.commit(callers.len()).await {
            Ok((_, head)) => head,
            Err(error) => {
                eprintln!("the floor cannot write: {error}");
                return;
            }
        };
        let first = head.seq + 1 - i64::try_from(callers.len()).unwrap_or(0);
        for (caller, seq) in callers.into_iter().zip(first..) {
            let _ = caller.send(Position { stream: head.stream.clone(), seq });
        }
    }
}
