//! Every [`Write`] as one conditional statement that says whether it applied.

mod approvals;
pub(super) mod assertions;
mod connections;
mod consents;
mod parents;
mod provider_revocations;
mod refresh;
mod secrets;
mod sessions;
mod streams;
mod tenant_keys;

use super::error::{is_duplicate, unavailable};
use crate::{domain::Write, storage::StoreError};
use sqlx::{PgConnection, Postgres, postgres::PgArguments, query::Query};

pub(super) use consents::lock_needs;
pub(super) use streams::end as end_stream;

pub(super) type Bound = Query<'static, Postgres, PgArguments>;

/// Applies one write; `false` = its condition did not hold and nothing changed. Where the write [`may_collide`], the transaction
/// must then go back to a savepoint.
pub(super) async fn apply(connection: &mut PgConnection, write: &Write) -> Result<bool, StoreError> {
    let Some(statement) = statement(write) else {
        return Err(StoreError::Unavailable("a rule needs its epoch first".to_owned()));
    };
    match statement.query.execute(connection).await {
        Ok(done) => Ok(done.rows_affected() > 0 || statement.always_applies),
        Err(error) if may_collide(write) && is_duplicate(&error) => Ok(false),
        Err(error) => Err(unavailable(error)),
    }
}

/// Whether a unique key can refuse it. An UPDATE has no ON CONFLICT: it fails, and with it the transaction up to a savepoint.
pub(super) fn may_collide(write: &Write) -> bool {
    matches!(
        write,
        Write::UpdateConsent { .. }
            | Write::UpdateConnection { .. }
            | Write::PutApproval { expected_version: Some(_), .. }
    )
}

struct Statement {
    query: Bound,
    /// The wanted end is reached even where no row was touched.
    always_applies: bool,
}

fn statement(write: &Write) -> Option<Statement> {
    let query = match write {
        Write::InsertConsent { row, handle_hash } => consents::insert(row, handle_hash),
        Write::UpdateConsent { row, expected_version } => consents::update(row, *expected_version),
        Write::InsertParent { row, handle_hash } => parents::insert(row, handle_hash),
        Write::UpdateParent { row, expected_version } => parents::update(row, *expected_version),
        Write::SetAsideConsent(row) => consents::set_aside(row),
        Write::SetAsideConnection(row) => connections::set_aside(row),
        Write::InsertConnection(row) => connections::insert(row),
        Write::UpdateConnection { row, expected_version } => connections::update(row, *expected_version),
        Write::PutApproval { row, expected_version: None } => approvals::insert(row),
        Write::PutApproval { row, expected_version: Some(version) } => approvals::replace(row, *version),
        Write::PutSecret(row) => secrets::put(row),
        Write::DeleteSecrets(connection) => {
            return Some(Statement { query: secrets::delete(connection), always_applies: true });
        }
        Write::DeleteAccessTokens(connection) => {
            return Some(Statement { query: secrets::delete_access(connection), always_applies: true });
        }
        Write::TakeLease(taking) => refresh::take_lease(taking),
        Write::SettleLease(settling) => refresh::settle_lease(settling),
        Write::SupersedeLease { connection, owner, expected_epoch } => {
            refresh::supersede_lease(connection, owner, *expected_epoch)
        }
        Write::QueueProviderRevocation { holder, due_at } => provider_revocations::queue(holder, *due_at),
        Write::RescheduleProviderRevocation { holder, attempts, due_at: Some(due_at) } => {
            provider_revocations::reschedule(holder, *attempts, *due_at)
        }
        Write::RescheduleProviderRevocation { holder, attempts, due_at: None } => {
            provider_revocations::finish(holder, *attempts)
        }
        Write::HastenProviderRevocations { connection, due_at } => {
            return Some(Statement {
                query: provider_revocations::hasten(connection, *due_at),
                always_applies: true,
            });
        }
        Write::QueueIfRevoked { connection, due_at } => {
            return Some(Statement {
                query: provider_revocations::queue_if_revoked(connection, *due_at),
                always_applies: true,
            });
        }
        Write::InsertSession { row, begun_at } => sessions::insert(row, *begun_at),
        Write::InsertLogout { names, until, expires_at } => {
            return Some(Statement {
                query: sessions::log_out(names, *until, *expires_at),
                always_applies: true,
            });
        }
        Write::DropQueuedRevocation(row) => {
            return Some(Statement { query: provider_revocations::remove(row), always_applies: true });
        }
        Write::DeleteLeftovers(consent) => {
            return Some(Statement { query: consents::delete_leftovers(consent), always_applies: true });
        }
        Write::UpdateSession { row, expected_version } => sessions::update(row, *expected_version),
        Write::UseAssertion(used) => assertions::mark_used(&[used]),
        Write::InsertTenantKey(key) => tenant_keys::insert(key),
        Write::EndStream { head, mac } => streams::end(head, mac),
        // Not a plain statement: the commit gives it its epoch and its tag.
        Write::AddRule { .. } => return None,
    };
    Some(Statement { query, always_applies: false })
}
