//! How a call waits for what another replica is about to store (RF1): it looks again and again, less often where it is told when to.

use crate::{
    domain::ConnectionId,
    provider::WORST_CASE,
    relay::{Changed, Heard, Relay},
};
use std::{pin::Pin, time::Duration};
use tokio::time::Sleep;

/// Between two looks, whatever is heard: no word from anywhere makes a call look more often than this.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// The same where a word is expected and does not come.
const TOLD: Duration = Duration::from_secs(1);

/// One call's looks.
pub(super) struct Watch<'a> {
    relay: &'a Relay,
    heard: Heard,
    connection: Changed,
    /// As long as the other replica's call to the provider may take.
    over: Option<Pin<Box<Sleep>>>,
}

impl<'a> Watch<'a> {
    /// From now on: what is stored after this is either heard or seen at the next look.
    pub(super) fn of(relay: &'a Relay, connection: &ConnectionId) -> Self {
        Self { relay, heard: relay.hear(), connection: Changed::Connection(connection.clone()), over: None }
    }

    /// Waits until it is time to look again, at most for about what is `left`; `false` = it has waited long enough.
    pub(super) async fn again(&mut self, left: Duration) -> bool {
        let over = self.over.get_or_insert_with(|| Box::pin(tokio::time::sleep(WORST_CASE)));
        tokio::select! {
            () = tokio::time::sleep(LOOK_AGAIN) => {}
            () = over.as_mut() => return false,
        }
        if self.relay.works() {
            let told = tokio::time::timeout(left.min(TOLD - LOOK_AGAIN), self.heard.about(&self.connection));
            tokio::select! {
                _ = told => {}
                () = over.as_mut() => return false,
            }
        }
        true
    }
}
