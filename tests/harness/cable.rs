//! A cable between brokers and their PostgreSQL server, in the hands of a test: it can be slow, or silent.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// How it treats what is sent over it, in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quality {
    /// At once.
    Good,
    /// So much later.
    Slow(Duration),
    /// Not until it is better: as when a machine or a network is gone, no connection is closed.
    Silent,
}

/// `COMMIT` as a simple query (PostgreSQL's manual, "Message Formats": Query).
const COMMIT: &[u8] = b"Q\0\0\0\x0bCOMMIT\0";

/// Carries until dropped.
pub struct Cable {
    address: SocketAddr,
    quality: watch::Sender<Quality>,
    /// Connections that began before this many losses carry nothing any more.
    losses: watch::Sender<u32>,
    /// Whether the next `COMMIT` is the last that its connection sends.
    swallows: Arc<AtomicBool>,
    /// After these bytes the answer to their connection's `COMMIT` does not come, and nothing after it.
    keeps: Arc<Mutex<Option<&'static str>>>,
    carrying: JoinHandle<()>,
}

impl Cable {
    /// To the server that listens on this Unix socket.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn to(socket: PathBuf) -> Cable {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let quality = watch::Sender::new(Quality::Good);
        let told = quality.subscribe();
        let losses = watch::Sender::new(0);
        let lost = losses.clone();
        let (swallows, keeps) = (Arc::<AtomicBool>::default(), Arc::<Mutex<Option<&'static str>>>::default());
        let (swallowing, keeping, silencing) = (Arc::clone(&swallows), Arc::clone(&keeps), quality.clone());
        let carrying = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                let (socket, told, lost) = (socket.clone(), told.clone(), lost.subscribe());
                let (swallowing, keeping) = (Arc::clone(&swallowing), Arc::clone(&keeping));
                let silencing = silencing.clone();
                connections.spawn(async move {
                    let Ok(far) = UnixStream::connect(socket).await else { return };
                    near.set_nodelay(true).ok();
                    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
                    // Of this connection alone.
                    let silenced = watch::Sender::new(0);
                    let fate =
                        || Fate { told: told.clone(), lost: lost.clone(), silenced: silenced.subscribe() };
                    let (awaited, watched) = (AtomicBool::new(false), Mutex::new(Watched::default()));
                    let swallow = |sent: &[u8]| {
                        let commits = sent.windows(COMMIT.len()).any(|window| window == COMMIT);
                        if commits && swallowing.swap(false, Ordering::SeqCst) {
                            silenced.send_replace(1);
                        }
                        let (mut watched, mut kept) = (locked(&watched), locked(&keeping));
                        if kept.is_some_and(|bytes| watched.has_seen(bytes, sent)) && commits {
                            *kept = None;
                            awaited.store(true, Ordering::SeqCst);
                        }
                    };
                    let keep = |_: &[u8]| {
                        if awaited.swap(false, Ordering::SeqCst) {
                            silenced.send_replace(1);
                            silencing.send_replace(Quality::Silent);
                        }
                    };
                    tokio::select! {
                        () = carry(near_in, far_out, fate(), swallow) => {}
                        () = carry(far_in, near_out, fate(), keep) => {}
                    }
                });
            }
        });
        Cable { address, quality, losses, swallows, keeps, carrying }
    }

    /// Where brokers plug in.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whatever is connected now stays so and is silent for good; who connects anew is served: a failover of which nobody is told.
    pub fn lose(&self) {
        self.losses.send_modify(|losses| *losses += 1);
    }

    /// The next `COMMIT` does not arrive, and its connection stays open and silent for good; every other one is carried.
    pub fn swallow_a_commit(&self) {
        self.swallows.store(true, Ordering::SeqCst);
    }

    /// The `COMMIT` that follows `bytes`, such as an event's kind, on their connection arrives, and its answer does not; from then on the
    /// cable is silent. Other commits, such as a writer's sign of life, are carried.
    pub fn keep_the_acknowledgement_of(&self, bytes: &'static str) {
        *locked(&self.keeps) = Some(bytes);
    }

    /// Waits until it is silent.
    pub async fn silent(&self) {
        let mut told = self.quality.subscribe();
        told.wait_for(|now| *now == Quality::Silent).await.expect("the cable is there");
    }

    /// Whether one is still to come.
    pub fn waits_for_a_commit(&self) -> bool {
        self.swallows.load(Ordering::SeqCst)
    }

    /// From now on.
    pub fn is(&self, quality: Quality) {
        self.quality.send_replace(quality);
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.carrying.abort();
    }
}

/// What a connection was seen to send.
#[derive(Default)]
struct Watched {
    /// As many of the last bytes as may be the beginning of what is looked for.
    tail: Vec<u8>,
    seen: bool,
}

impl Watched {
    /// Whether these bytes were sent, by now.
    fn has_seen(&mut self, bytes: &str, sent: &[u8]) -> bool {
        self.tail.extend_from_slice(sent);
        self.seen |= self.tail.windows(bytes.len()).any(|window| window == bytes.as_bytes());
        let surplus = self.tail.len().saturating_sub(bytes.len() - 1);
        self.tail.drain(..surplus);
        self.seen
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no holder panicked")
}

/// What may become of a connection.
struct Fate {
    told: watch::Receiver<Quality>,
    lost: watch::Receiver<u32>,
    silenced: watch::Receiver<u32>,
}

async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut fate: Fate,
    looks: impl Fn(&[u8]),
) {
    let born = *fate.lost.borrow();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = tokio::select! {
            biased;
            // Held open, and nobody reads: whoever sends is not told.
            () = more(&mut fate.lost, born) => std::future::pending().await,
            () = more(&mut fate.silenced, 0) => std::future::pending().await,
            read = from.read(&mut buffer) => read,
        };
        let Ok(read) = read else { return };
        looks(&buffer[..read]);
        if *fate.silenced.borrow() > 0 {
            continue;
        }
        let now = *fate.told.borrow();
        if let Quality::Slow(by) = now {
            tokio::time::sleep(by).await;
        }
        if fate.told.wait_for(|now| *now != Quality::Silent).await.is_err() {
            return;
        }
        if read == 0 || to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

async fn more(counted: &mut watch::Receiver<u32>, than: u32) {
    // Whether it happened or the cable is gone: nothing more comes.
    let _ = counted.wait_for(|count| *count > than).await.is_ok();
}
