//! The suite that every state store passes: one test per sentence of the contract, over any [`StateStore`].
//!
//! [`store_conformance!`](crate::store_conformance) turns it into tests; the store under test is empty at the start of each.

#![allow(missing_docs, reason = "the names are the sentences that are proved")]

pub mod records;
pub mod runs;
pub mod sample;
pub mod transactions;
pub mod upkeep;

/// Makes a `#[tokio::test]` of every sentence. The argument is an expression that gives an empty store and whatever must live
/// as long as it: `(StateStore, guard)`.
#[macro_export]
macro_rules! store_conformance {
    ($open:expr) => {
        $crate::store_conformance! { @tests $open;
            transactions: what_is_committed_is_there_afterwards,
            transactions: what_is_dropped_without_commit_leaves_nothing,
            transactions: a_step_that_fails_leaves_no_trace_and_the_transaction_goes_on,
            transactions: transactions_queue_behind_each_other_and_none_is_lost,
            transactions: a_caller_that_goes_away_while_waiting_holds_nobody_up,
            runs: a_run_is_recorded_at_its_start_and_ends_with_its_books,
            runs: runs_are_numbered_upwards_and_found_by_number_or_unique_beginning,
            runs: ending_a_run_that_is_not_running_is_refused,
            runs: an_intent_stays_with_a_running_run_until_it_ends,
            runs: the_last_word_on_the_books_of_a_stream_wins,
            runs: runs_are_listed_newest_first_and_by_filter,
            runs: deletions_of_a_run_are_listed_once_each,
            runs: lists_of_an_open_run_wait_in_order_until_they_are_forgotten,
            runs: an_undone_run_names_the_run_that_undid_it,
            runs: conflicts_are_listed_by_run_in_the_order_found,
            runs: what_belongs_to_a_run_needs_the_run,
            runs: only_the_latest_runs_keep_what_undo_needs,
            records: a_position_is_kept_per_sync_scope_and_stream,
            records: clearing_positions_forgets_all_scopes_of_one_sync,
            records: two_streams_of_a_scope_cannot_share_a_collection_key,
            records: the_last_64_observations_are_kept_oldest_first,
            records: a_note_is_kept_per_sync_and_name,
            records: parking_a_row_again_refreshes_its_open_entry,
            records: a_closed_entry_stays_and_the_key_can_be_parked_anew,
            records: parked_rows_are_listed_by_filter_and_counted_per_stream,
            records: bases_come_back_in_the_order_of_the_keys,
            records: waiting_bases_are_moved_or_forgotten,
            records: remembered_digests_are_empty_once_the_shape_changed,
            records: a_mapping_is_never_overwritten_in_either_direction,
            records: mappings_are_found_both_ways_listed_and_counted,
            upkeep: verify_reports_are_numbered_found_and_listed_newest_first,
            upkeep: audit_lines_are_listed_newest_first,
            upkeep: a_held_lock_is_refused_with_its_holder,
            upkeep: a_lock_is_taken_over_once_its_lease_ran_out_and_its_token_grows,
            upkeep: the_lock_of_a_process_that_is_gone_is_taken_over_before_its_lease_ends,
            upkeep: a_lock_is_held_by_the_run_that_took_it_last,
            upkeep: a_token_grows_over_unlocking_too,
            upkeep: a_lost_lock_cannot_be_renewed_or_given_back,
            upkeep: pruning_keeps_running_runs_the_newest_and_those_of_open_parked_rows,
        }
    };
    (@tests $open:expr; $($group:ident: $name:ident),+ $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let (store, _guard) = $open;
                $crate::conformance::$group::$name(&store).await;
            }
        )+
    };
}
