//! Every question to the database is a span of the call that asks it (semantic conventions, "Database"). Only names of tables and
//! verbs are told: never a statement with its values.

mod accounts;
mod ledger;
mod log;
mod people;

use super::{Store, StoreError};
use crate::trace::{self, Failure, step};
use std::sync::Arc;
use tracing::Span;

/// The same store, whose questions are spans. For a process that traces calls: elsewhere it would only cost.
pub fn with_spans(store: Store, system: &'static str) -> Store {
    Store {
        connections: Arc::new(Traced::new(store.connections, system)),
        endings: Arc::new(Traced::new(store.endings, system)),
        approvals: Arc::new(Traced::new(store.approvals, system)),
        consents: Arc::new(Traced::new(store.consents, system)),
        parents: Arc::new(Traced::new(store.parents, system)),
        sessions: Arc::new(Traced::new(store.sessions, system)),
        requests: Arc::new(Traced::new(store.requests, system)),
        wrapped_keys: Arc::new(Traced::new(store.wrapped_keys, system)),
        rewraps: store.rewraps,
        ledger: Arc::new(Traced::new(store.ledger, system)),
        audit_log: Arc::new(Traced::new(store.audit_log, system)),
        wakeups: store.wakeups,
        pools: store.pools,
    }
}

/// One table group.
struct Traced<T: ?Sized> {
    inner: Arc<T>,
    /// `db.system.name`.
    system: &'static str,
}

impl<T: ?Sized> Traced<T> {
    fn new(inner: Arc<T>, system: &'static str) -> Self {
        Self { inner, system }
    }

    async fn traced<R>(
        &self,
        operation: &'static str,
        table: &'static str,
        question: impl Future<Output = Result<R, StoreError>>,
    ) -> Result<R, StoreError> {
        trace::within(statement(self.system, operation, table), question).await
    }
}

fn statement(system: &'static str, operation: &'static str, table: &'static str) -> Span {
    step!(
        "db",
        otel.name = %format_args!("{operation} {table}"),
        otel.kind = "client",
        db.system.name = system,
        db.operation.name = operation,
        db.collection.name = table,
    )
}

impl Failure for StoreError {
    fn error_type(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "unavailable",
            Self::Malformed { .. } => "malformed_row",
            Self::KeyUnknown { .. } => "key_unknown",
            Self::HeadMoved => "head_moved",
            Self::RuleTampered => "rule_tampered",
            Self::Exists => "exists",
        }
    }
}
