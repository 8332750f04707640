//! Everything at once on this machine: the company's SSO, two SaaS, and a real broker between them.
//!
//! ```no_run
//! # async fn walk() -> Result<(), Box<dyn std::error::Error>> {
//! use demo::world::{ALICE, Options, Workload, World};
//! let world = World::start(Options::default()).await?;
//! let client = world.client(Workload::TicketHelper).await?;
//! let assertion = world.assertion(&ALICE, Workload::TicketHelper);
//! # let _ = (client, assertion);
//! world.stop().await;
//! # Ok(()) }
//! ```
//!
//! [`World::start`] runs the broker inside this process; [`World::prepare`] only writes its files and starts the
//! peers, for whoever wants to run the `broker` binary against them.

mod addresses;
mod cast;
mod clock;
mod error;
mod options;
mod site;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use broker::app::{self, Running, Sockets};
use broker::config::Config;
use broker::usecase::Rooms;

pub use addresses::Addresses;
pub use cast::{
    ADMIN, ALICE, AUDITOR, Account, BOB, CALENDAR, OPERATORS_AUDIENCE, PROVIDER, Person, Workload,
};
pub use clock::ClientClock;
pub use error::WorldError;
pub use options::{Amend, Options};
pub use site::Site;

/// Longest that calls under way may take when the broker stops.
const GRACE: Duration = Duration::from_secs(10);

/// A running broker and everything around it; also a [`Site`]. Ends with [`World::stop`].
pub struct World {
    site: Site,
    broker: Running,
}

impl World {
    /// Starts the SSO, both SaaS and a broker with fresh keys on free loopback ports.
    ///
    /// # Errors
    /// [`WorldError`] when a file cannot be written, a port not bound, or the broker refuses its configuration.
    pub async fn start(options: Options) -> Result<World, WorldError> {
        // Bound before the configuration is written: pages and redirect URIs name the port.
        let (sockets, addresses, held) = addresses::bind(&*options.rng)?;
        let site = Site::set_up(options, addresses, held).await?;
        let broker = run(&site, Some(sockets)).await?;
        Ok(World { site, broker })
    }

    /// Writes the broker's files for fixed free ports and starts the peers, but no broker.
    ///
    /// # Errors
    /// As [`World::start`].
    pub async fn prepare(options: Options) -> Result<Site, WorldError> {
        let (addresses, held) = addresses::reserve(&*options.rng)?;
        Site::set_up(options, addresses, held).await
    }

    /// Starts a broker, inside this process, on files that [`World::prepare`] wrote or that an earlier one left.
    ///
    /// # Errors
    /// As [`World::start`].
    pub async fn run(site: Site) -> Result<World, WorldError> {
        let broker = run(&site, None).await?;
        Ok(World { site, broker })
    }

    /// What is below the broker's transports: stores, keys, audit log.
    pub fn rooms(&self) -> &Arc<Rooms> {
        self.broker.rooms()
    }

    /// Stops the broker: what runs is finished, its audit stream is closed. The rest of the world goes on.
    pub async fn stop(self) -> Site {
        self.broker.stop(GRACE).await;
        self.site
    }
}

impl Deref for World {
    type Target = Site;

    fn deref(&self) -> &Site {
        &self.site
    }
}

async fn run(site: &Site, sockets: Option<Sockets>) -> Result<Running, WorldError> {
    let config = Config::load(&site.config_path())?;
    let sockets = match sockets {
        Some(sockets) => sockets,
        None => Sockets::bind(&config)?,
    };
    Ok(app::start(&config, Arc::clone(site.clock()), Arc::clone(site.rng()), sockets).await?)
}

#[cfg(test)]
mod tests;
