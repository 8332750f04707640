//! A further broker on the same database: same configuration, keys and policy, listeners of its own.

use crate::Fault;
use broker::{
    app::{self, Running, Sockets},
    config::Config,
    relay::Relay,
};
use demo::world::Site;
use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

/// Longest that calls under way may take at its end.
const GRACE: Duration = Duration::from_secs(10);

/// A further broker. Ends with [`Replica::stop`].
pub struct Replica {
    /// Where it takes calls.
    pub address: SocketAddr,
    running: Running,
}

impl Replica {
    /// Starts one on a site's configuration.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn beside(site: &Site) -> Result<Self, Fault> {
        Self::with(&Config::load(&site.config_path())?, site).await
    }

    /// The same with another configuration.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn with(config: &Config, site: &Site) -> Result<Self, Fault> {
        let bind = || TcpListener::bind("127.0.0.1:0");
        let sockets = Sockets { grpc: bind()?, web: bind()?, ops: bind()? };
        let address = sockets.grpc.local_addr()?;
        let running = app::start(config, Arc::clone(site.clock()), Arc::clone(site.rng()), sockets).await?;
        Ok(Self { address, running })
    }

    /// What it tells others through.
    pub fn relay(&self) -> Relay {
        self.running.rooms().relay.clone()
    }

    /// Lets it finish what runs.
    pub async fn stop(self) {
        self.running.stop(GRACE).await;
    }
}
