//! The audit log as a test reads it: below the transports, so that reading writes nothing.

use broker::storage::AuditFilter;
use broker::usecase::Rooms;
use serde_json::Value;

/// The bodies of all events so far, in order.
pub async fn bodies(rooms: &Rooms) -> Vec<Value> {
    let rows = rooms.store.audit_log.list(&AuditFilter::default(), None, 100_000).await.expect("the log");
    rows.iter().map(|row| serde_json::from_slice(&row.body).expect("a JSON body")).collect()
}

/// Kind and reason (`""` = none) of all events so far, in order.
pub async fn events(rooms: &Rooms) -> Vec<(String, String)> {
    let text = |body: &Value, name: &str| body[name].as_str().unwrap_or_default().to_owned();
    bodies(rooms).await.iter().map(|body| (text(body, "kind"), text(body, "reason"))).collect()
}
