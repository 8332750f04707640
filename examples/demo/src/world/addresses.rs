//! Where the broker listens.

use std::io;
use std::net::{SocketAddr, TcpListener};

use broker::app::Sockets;
use broker::domain::Rng;

/// The broker's three listeners, all on loopback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// gRPC.
    pub grpc: SocketAddr,
    /// Pages.
    pub web: SocketAddr,
    /// Operations.
    pub ops: SocketAddr,
}

/// Below the range from which Linux hands out ports by itself, so that nobody else is given one of ours while the
/// broker is down.
const FIRST: u16 = 20_000;
const COUNT: u16 = 10_000;

/// Held as long as a world lives: the same ports of another loopback address, so that no other world is given them while its broker is
/// down.
pub(super) struct Held(#[expect(dead_code, reason = "held, not used")] Vec<TcpListener>);

/// Binds three free ports that a restart finds free again.
pub(super) fn bind(rng: &dyn Rng) -> io::Result<(Sockets, Addresses, Held)> {
    let mut held = Vec::new();
    let sockets = Sockets {
        grpc: bind_one(rng, &mut held)?,
        web: bind_one(rng, &mut held)?,
        ops: bind_one(rng, &mut held)?,
    };
    let addresses = Addresses {
        grpc: sockets.grpc.local_addr()?,
        web: sockets.web.local_addr()?,
        ops: sockets.ops.local_addr()?,
    };
    Ok((sockets, addresses, Held(held)))
}

/// Finds three free ports that stay free while nobody listens on them.
pub(super) fn reserve(rng: &dyn Rng) -> io::Result<(Addresses, Held)> {
    let (_, addresses, held) = bind(rng)?;
    Ok((addresses, held))
}

fn bind_one(rng: &dyn Rng, held: &mut Vec<TcpListener>) -> io::Result<TcpListener> {
    loop {
        let mut bytes = [0; 2];
        rng.fill(&mut bytes);
        let port = FIRST + u16::from_be_bytes(bytes) % COUNT;
        match TcpListener::bind(("127.0.0.2", port)) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => continue,
            // Only Linux has more than one loopback address from the start.
            Err(_) => {}
            Ok(guard) => held.push(guard),
        }
        match TcpListener::bind(("127.0.0.1", port)) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            bound => return bound,
        }
    }
}
