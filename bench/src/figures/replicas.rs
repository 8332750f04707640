//! Two replicas on one database against one: they must not make each other wait.

use crate::{
    Fault,
    bench::{Bench, progress},
    finding::{Finding, Goal, Pair},
    load::Line,
    stand::{CONNECTIONS, call_all},
};
use broker::{
    app::{self, Sockets},
    config::Config,
};
use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

const IN_FLIGHT: usize = 256;

pub(super) async fn measure(bench: &Bench) -> Result<Vec<Finding>, Fault> {
    let stand = bench.stand()?;
    let world = &stand.estate.world;
    let config = Config::load(&world.config_path())?;
    let (sockets, second) = loopback()?;
    let replica = app::start(&config, Arc::clone(world.clock()), Arc::clone(world.rng()), sockets).await?;
    call_all(&bench.clock, second, &stand.warm).await?;
    let one = bench.line(stand.broker()).await?;
    let both = Line::open(&[stand.broker(), second], CONNECTIONS / 2).await?;
    let mut pairs = Vec::new();
    for run in 1..=bench.pace.runs {
        let single = bench.run(&one, &stand.warm, IN_FLIGHT).await?;
        let total = bench.run(&both, &stand.warm, IN_FLIGHT).await?;
        progress(format!("replicas, run {run}: one {:.0}/s, two {:.0}/s", single.rate(), total.rate()));
        pairs.push(Pair { limit: single.rate(), broker: total.rate() });
    }
    replica.stop(Duration::from_secs(10)).await;
    Ok(vec![Finding {
        name: format!("two replicas on one database, {IN_FLIGHT} in flight, total throughput"),
        unit: "grants/s",
        limit: "one replica",
        goal: Goal::AtLeast(0.95),
        pairs,
        notes: vec![],
    }])
}

pub(super) fn loopback() -> Result<(Sockets, SocketAddr), Fault> {
    let bind = || TcpListener::bind("127.0.0.1:0");
    let sockets = Sockets { grpc: bind()?, web: bind()?, ops: bind()? };
    let address = sockets.grpc.local_addr()?;
    Ok((sockets, address))
}
