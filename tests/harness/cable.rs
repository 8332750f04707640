//! A cable between brokers and their PostgreSQL server, in the hands of a test: it can be slow, or silent.

use std::net::SocketAddr;
use std::path::PathBuf;
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

/// Carries until dropped.
pub struct Cable {
    address: SocketAddr,
    quality: watch::Sender<Quality>,
    /// Connections that began before this many losses carry nothing any more.
    losses: watch::Sender<u32>,
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
        let carrying = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                let (socket, told, lost) = (socket.clone(), told.clone(), lost.subscribe());
                connections.spawn(async move {
                    let Ok(far) = UnixStream::connect(socket).await else { return };
                    near.set_nodelay(true).ok();
                    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
                    tokio::select! {
                        () = carry(near_in, far_out, told.clone(), lost.clone()) => {}
                        () = carry(far_in, near_out, told.clone(), lost.clone()) => {}
                    }
                });
            }
        });
        Cable { address, quality, losses, carrying }
    }

    /// Where brokers plug in.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whatever is connected now stays so and is silent for good; who connects anew is served: a failover of which nobody is told.
    pub fn lose(&self) {
        self.losses.send_modify(|losses| *losses += 1);
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

async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut quality: watch::Receiver<Quality>,
    mut lost: watch::Receiver<u32>,
) {
    let born = *lost.borrow();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = tokio::select! {
            read = from.read(&mut buffer) => read,
            // Held open, and nobody reads: whoever sends is not told.
            () = loss(&mut lost, born) => std::future::pending().await,
        };
        let Ok(read) = read else { return };
        let now = *quality.borrow();
        if let Quality::Slow(by) = now {
            tokio::time::sleep(by).await;
        }
        if quality.wait_for(|now| *now != Quality::Silent).await.is_err() {
            return;
        }
        if read == 0 || to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

async fn loss(lost: &mut watch::Receiver<u32>, born: u32) {
    // Whether it was lost or the cable is gone: nothing more comes.
    let _ = lost.wait_for(|losses| *losses > born).await.is_ok();
}
