//! Redis makes replicas quicker and is trusted with nothing (AV3).

mod encrypted;
mod hostile;
mod limits;
mod loss;
mod waiters;

use broker_testkit::Redis;
use broker_tests::redis::{speaking_through, works};
use broker_tests::replicas::Replicas;
use demo::world::Options;

/// So many replicas that hear each other.
async fn replicas(redis: &Redis, count: usize, options: Options) -> Replicas {
    let replicas = Replicas::with(count, speaking_through(redis, options)).await;
    for replica in replicas.all() {
        works(&replica.rooms().relay, true).await;
    }
    replicas
}
