//! One suite for every dialect: what the traits promise, checked against a real database.
//!
//! [`conformance!`] turns each check into a test; a dialect gives it a function that opens a fresh [`Fixture`].

pub(crate) mod approvals;
pub(crate) mod audit;
pub(crate) mod cancelled;
pub(crate) mod claims;
pub(crate) mod connections;
pub(crate) mod consents;
pub(crate) mod groups;
pub(crate) mod keys;
pub(crate) mod leases;
pub(crate) mod malformed;
pub(crate) mod parents;
pub(crate) mod pen;
pub(crate) mod random_batches;
pub(crate) mod refresh;
pub(crate) mod rewraps;
pub(crate) mod rules;
pub(crate) mod samples;
pub(crate) mod seal;
pub(crate) mod secrets;
pub(crate) mod sessions;
pub(crate) mod used_assertions;

use super::{
    Approvals, AuditLog, Connections, Consents, Endings, Ledger, Parents, Requests, Rewraps, Sessions,
    Wakeups, WrappedKeys,
};
use async_trait::async_trait;
use std::sync::Arc;

/// A store under test, with a second way into its database.
pub(crate) struct Fixture {
    pub(crate) connections: Arc<dyn Connections>,
    pub(crate) endings: Arc<dyn Endings>,
    pub(crate) approvals: Arc<dyn Approvals>,
    pub(crate) consents: Arc<dyn Consents>,
    pub(crate) parents: Arc<dyn Parents>,
    pub(crate) sessions: Arc<dyn Sessions>,
    pub(crate) requests: Arc<dyn Requests>,
    pub(crate) wrapped_keys: Arc<dyn WrappedKeys>,
    pub(crate) rewraps: Arc<dyn Rewraps>,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) audit_log: Arc<dyn AuditLog>,
    pub(crate) wakeups: Arc<dyn Wakeups>,
    pub(crate) sql: Arc<dyn Sql>,
    /// Removed when the fixture goes.
    pub(crate) home: tempfile::TempDir,
}

impl Fixture {
    /// Lets go of the store and keeps its directory.
    pub(crate) fn into_home(self) -> tempfile::TempDir {
        self.home
    }
}

/// Somebody with the database's own shell.
#[async_trait]
pub(crate) trait Sql: Send + Sync {
    /// Runs a statement as it is; the error is the database's own text.
    async fn run(&self, statement: &'static str) -> Result<u64, String>;
}

/// One test per check. `$open` is an async function that returns a fresh [`Fixture`].
macro_rules! conformance {
    ($open:path) => {
        use crate::storage::conformance as suite;

        /// Proves: CO1
        #[tokio::test]
        async fn co1_an_equal_open_need_has_one_consent() {
            suite::consents::equal_need(&$open().await).await;
        }

        #[tokio::test]
        async fn a_consent_advances_only_from_the_version_it_was_read_at() {
            suite::consents::advance(&$open().await).await;
        }

        #[tokio::test]
        async fn every_state_of_a_consent_comes_back_as_it_was() {
            suite::consents::states(&$open().await).await;
        }

        #[tokio::test]
        async fn changed_consents_wake_their_waiters_after_the_commit() {
            suite::consents::wakeups(&$open().await).await;
        }

        /// Proves: GR6, CO2
        #[tokio::test]
        async fn gr6_a_parent_page_comes_back_as_it_was_until_its_time_is_over() {
            suite::parents::writes(&$open().await).await;
        }

        #[tokio::test]
        async fn a_connection_is_inserted_once_and_updated_by_version() {
            suite::connections::writes(&$open().await).await;
        }

        #[tokio::test]
        async fn connections_of_others_are_never_found() {
            suite::connections::isolation(&$open().await).await;
        }

        #[tokio::test]
        async fn issuing_marks_a_connection_used_to_the_minute() {
            suite::connections::last_used(&$open().await).await;
        }

        #[tokio::test]
        async fn an_approval_is_replaced_only_by_its_version() {
            suite::approvals::writes(&$open().await).await;
        }

        #[tokio::test]
        async fn a_token_is_replaced_only_by_a_later_generation() {
            suite::secrets::writes(&$open().await).await;
        }

        #[tokio::test]
        async fn a_lease_is_taken_by_one_and_settled_under_its_epoch() {
            suite::leases::lease(&$open().await).await;
        }

        /// Proves: RF7
        #[tokio::test]
        async fn rf7_a_refresh_token_that_may_be_on_its_way_is_known_until_its_holder_says_how_it_ended() {
            suite::leases::attempts(&$open().await).await;
        }

        /// Proves: RF2
        #[tokio::test]
        async fn rf2_a_lease_that_is_superseded_stores_nothing_more() {
            suite::leases::superseded(&$open().await).await;
        }

        /// Proves: RF10
        #[tokio::test]
        async fn rf10_tokens_that_end_soon_are_found_where_their_connection_is_in_use() {
            suite::leases::ending(&$open().await).await;
        }

        #[tokio::test]
        async fn revocations_at_the_provider_wait_in_a_durable_queue() {
            suite::refresh::provider_queue(&$open().await).await;
        }

        /// Proves: RF4
        #[tokio::test]
        async fn rf4_tokens_that_come_after_a_revoke_are_queued_for_the_provider() {
            suite::refresh::late_tokens(&$open().await).await;
        }

        /// Proves: RV1
        #[tokio::test]
        async fn rv1_no_provider_keeps_another_from_its_turn_in_the_queue() {
            suite::refresh::provider_turns(&$open().await).await;
        }

        #[tokio::test]
        async fn web_sessions_are_written_by_version_and_purged_when_over() {
            suite::sessions::writes(&$open().await).await;
        }

        #[tokio::test]
        async fn web_sessions_are_found_by_what_their_issuer_calls_them() {
            suite::sessions::logouts(&$open().await).await;
        }

        /// Proves: CO16
        #[tokio::test]
        async fn co16_a_logout_keeps_the_sign_ins_under_way_out_and_no_others() {
            suite::sessions::logouts_under_way(&$open().await).await;
        }

        #[tokio::test]
        async fn a_group_is_applied_whole_or_not_at_all() {
            suite::groups::atomic(&$open().await).await;
        }

        /// Proves: RV2
        #[tokio::test]
        async fn rv2_a_newer_rule_hits_an_older_one_does_not() {
            suite::rules::newer_and_older(&$open().await).await;
        }

        #[tokio::test]
        async fn a_rule_hits_later_groups_of_its_own_batch() {
            suite::rules::same_batch(&$open().await).await;
        }

        #[tokio::test]
        async fn a_settlement_is_stored_whatever_was_revoked() {
            suite::rules::settlement(&$open().await).await;
        }

        /// Proves: VA11
        #[tokio::test]
        async fn va11_an_edited_rule_stops_issuing() {
            suite::rules::edited(&$open().await).await;
        }

        #[tokio::test]
        async fn a_removed_rule_stops_issuing() {
            suite::rules::removed(&$open().await).await;
        }

        /// Proves: GR5
        #[tokio::test]
        async fn gr5_a_request_id_is_taken_at_most_once() {
            suite::claims::taken_once(&$open().await).await;
        }

        /// Proves: GR5, GR6
        #[tokio::test]
        async fn gr5_gr6_the_request_ids_of_a_group_are_taken_together_or_not_at_all() {
            suite::claims::together(&$open().await).await;
        }

        #[tokio::test]
        async fn a_request_id_that_is_over_may_be_taken_again() {
            suite::claims::over(&$open().await).await;
        }

        /// Proves: ID12
        #[tokio::test]
        async fn id12_an_assertion_is_used_at_most_once_until_it_is_forgotten() {
            suite::used_assertions::used_once(&$open().await).await;
        }

        /// Proves: ID12, GR5, GR6
        #[tokio::test]
        async fn id12_gr5_gr6_an_assertion_and_the_request_ids_of_a_group_are_taken_together_or_not_at_all() {
            suite::used_assertions::together(&$open().await).await;
        }

        /// Proves: AU8
        #[tokio::test]
        async fn au8_a_head_moves_by_compare_and_set_alone() {
            suite::audit::heads(&$open().await).await;
        }

        /// Proves: AU3
        #[tokio::test]
        async fn au3_an_event_that_exists_is_told_apart_from_a_store_that_is_down() {
            suite::audit::written_once(&$open().await).await;
        }

        #[tokio::test]
        async fn the_log_and_the_rules_refuse_everything_but_inserts() {
            suite::audit::insert_only(&$open().await).await;
        }

        #[tokio::test]
        async fn the_log_is_read_in_order_by_filter_and_page() {
            suite::audit::reading(&$open().await).await;
        }

        #[tokio::test]
        async fn wrapped_keys_are_made_once_and_wrapped_anew() {
            suite::keys::writes(&$open().await).await;
        }

        /// Proves: VA5, RF4
        #[tokio::test]
        async fn va5_rf4_a_token_wrapped_anew_takes_the_place_of_what_was_read_and_of_nothing_newer() {
            suite::rewraps::tokens(&$open().await).await;
        }

        /// Proves: VA5, VA11
        #[tokio::test]
        async fn va5_va11_a_consent_wrapped_anew_is_the_same_one_under_its_version() {
            suite::rewraps::consents(&$open().await).await;
        }

        /// Proves: VA5
        #[tokio::test]
        async fn va5_what_a_key_wraps_is_counted_and_found() {
            suite::rewraps::subject_keys(&$open().await).await;
        }

        /// Proves: AU2
        #[tokio::test]
        async fn au2_a_tenants_further_key_comes_with_its_row() {
            suite::rewraps::further_key(&$open().await).await;
        }

        #[tokio::test]
        async fn a_malformed_value_is_an_error_never_absent() {
            suite::malformed::every_table(&$open().await).await;
        }

        /// Proves: VA9
        #[tokio::test]
        async fn va9_a_row_that_cannot_be_read_is_set_aside_for_as_long_as_it_is_what_was_read() {
            suite::malformed::set_aside(&$open().await).await;
        }

        #[tokio::test]
        async fn a_commit_nobody_waits_for_leaves_no_transaction_behind() {
            suite::cancelled::dropped(&$open().await).await;
        }

        #[tokio::test]
        async fn random_batches_keep_numbers_contiguous_and_heads_matching() {
            suite::random_batches::run(&$open().await).await;
        }
    };
}
pub(crate) use conformance;
