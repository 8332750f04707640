//! Tenants get further keys and everything stored is wrapped by them, while brokers serve.

mod command_line;
mod replicas;
mod stored;

use broker::app::KeyDesk;
use broker::config::Config;
use broker::crash::CrashPoints;
use broker::domain::TenantId;
use broker::storage::Uses;
use broker::usecase::Rotated;
use broker::vault::Rewrapped;
use demo::world::Site;
use std::num::NonZeroU32;
use std::sync::Arc;

fn tenant() -> TenantId {
    TenantId::parse("company").expect("a name")
}

/// What `broker keys` works with, by the clock of the site.
async fn desk(site: &Site) -> KeyDesk {
    let config = Config::load(&site.config_path()).expect("a sound configuration");
    let (clock, rng) = (Arc::clone(site.clock()), Arc::clone(site.rng()));
    KeyDesk::open(&config, clock, rng, CrashPoints::none()).await.expect("opens")
}

/// `broker keys rotate`.
pub async fn rotate(site: &Site) -> Rotated {
    rotate_for(site, &tenant()).await
}

/// The same for another tenant, which need not be in the configuration.
async fn rotate_for(site: &Site, tenant: &TenantId) -> Rotated {
    let desk = desk(site).await;
    let log = desk.log().await.expect("a stream");
    let rotated = log.rotate(tenant).await.expect("rotated");
    log.close().await.expect("closed");
    rotated
}

/// `broker keys rewrap`, as fast as it can; and what is left with older keys.
async fn rewrap(site: &Site) -> (Rewrapped, u64) {
    let desk = desk(site).await;
    let work = desk.rewrap();
    let mut pace = desk.pace(NonZeroU32::MAX);
    let done = work.tenant(&tenant(), &mut pace, &mut |_| {}).await.expect("wrapped anew");
    let uses: Vec<(String, Uses)> = work.uses(&tenant()).await.expect("counted");
    let left = uses.iter().skip(1).map(|(_, uses)| uses.sum()).sum();
    (done, left)
}
