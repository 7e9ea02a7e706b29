//! The contract of `syncline-connector`, sentence by sentence, as tests that every connector runs against a real system.
//!
//! A connector calls the suite from its integration tests, with an expression that makes a fresh, empty database:
//!
//! ```ignore
//! mod conformance {
//!     syncline_testkit::conformance!(syncline_testkit::conformance::on_postgres(syncline_postgres::connector()).await);
//! }
//! ```
//!
//! Each sentence is one function over a [`Harness`] and becomes one test. What a system cannot do it declares (in its `Capabilities`, or in
//! the harness where the system has no such thing as a password); the sentence then checks that it is refused as declared.

mod harness;
mod steps;

pub mod connecting;
pub mod deleting;
pub mod describing;
pub mod digesting;
pub mod golden;
pub mod losing;
pub mod reading;
pub mod transactions;
pub mod undoing;
pub mod writing;

pub use harness::{Harness, Refused, Words, on_mariadb, on_postgres, on_sqlite};

/// Makes one test of every sentence. `$harness` is an expression that may `await`; it must spell its paths in full.
#[macro_export]
macro_rules! conformance {
    ($harness:expr) => {
        $crate::conformance_sentences! { $harness;
            connecting:
                a_connection_that_cannot_work_is_refused_by_kind_and_code,
                no_error_and_no_finding_tells_the_password,
                the_capabilities_name_the_engine_and_its_version,
                the_identity_tells_databases_apart_and_stays_the_same,
                check_reports_a_missing_table_instead_of_failing,
                a_source_cannot_write;
            describing:
                discover_gives_tables_and_views_with_keys_and_constraints,
                discover_leaves_the_bookkeeping_out,
                a_column_fits_itself_exactly,
                the_ddl_of_a_discovered_table_makes_the_same_table,
                identifiers_are_quoted_however_strange_they_are;
            reading:
                rows_come_once_in_the_order_and_the_columns_asked_for,
                all_conditions_of_a_filter_hold,
                a_bound_value_is_never_sql,
                any_number_of_keys_can_be_asked_for,
                batches_are_cut_by_bytes_and_never_empty,
                a_dropped_stream_leaves_the_snapshot_usable,
                a_snapshot_shows_one_moment_of_all_tables,
                an_unknown_column_is_invalid,
                the_text_form_gives_text,
                a_cell_over_the_limit_comes_as_its_length,
                a_value_can_be_read_in_slices_as_declared,
                raw_rows_are_given_or_refused_as_declared,
                counts_and_key_ranges_respect_the_filter,
                ranges_of_keys_hold_every_row_once,
                query_values_gives_one_column;
            digesting:
                a_digest_counts_rows_and_leaves_empty_segments_out,
                a_range_segment_is_the_key_divided_toward_zero,
                own_hashes_come_in_the_buckets_of_the_canonical_key,
                the_digest_is_the_xor_of_the_row_hashes,
                any_change_of_a_cell_changes_its_segment_only,
                two_like_changes_do_not_cancel_out,
                row_hashes_come_only_for_the_segments_asked_for;
            golden:
                every_golden_cell_has_the_golden_hash_and_the_golden_bytes;
            writing:
                a_run_counts_what_it_created_updated_and_left_alone,
                of_rows_with_one_key_the_last_counts,
                a_load_fills_the_table_that_the_run_makes,
                a_load_without_a_key_takes_whole_rows,
                parents_go_in_before_children_whatever_the_order,
                only_compared_columns_make_an_update,
                the_stamp_is_set_on_changed_rows_only,
                unique_values_may_be_swapped,
                a_swap_without_a_placeholder_is_set_aside,
                large_runs_count_exactly_whatever_share_of_their_rows_differs,
                a_missing_value_is_rejected_and_the_rest_goes_on,
                a_missing_parent_is_rejected_and_the_rest_goes_on,
                a_taken_unique_value_is_rejected_and_the_rest_goes_on,
                a_value_that_does_not_fit_is_rejected_when_staged,
                a_row_that_comes_in_slices_is_staged_whole_or_not_at_all,
                too_many_rejects_stop_the_run,
                a_strict_run_fails_on_any_reject;
            deleting:
                removed_rows_are_counted_and_missing_keys_are_not,
                a_mark_is_set_once_and_cleared_when_the_record_comes_back,
                a_row_that_another_still_needs_is_not_removed,
                children_are_deleted_before_parents;
            transactions:
                nothing_is_visible_before_commit,
                abort_leaves_nothing,
                dropping_a_run_leaves_nothing,
                the_fate_of_a_run_can_be_looked_up,
                rows_that_changed_since_they_were_seen_are_a_conflict,
                prepare_can_be_repeated;
            losing:
                a_system_that_does_not_answer_is_a_timeout,
                a_cut_connection_is_an_error_and_never_the_end,
                a_lost_commit_answer_is_unknown_until_it_is_looked_up,
                a_run_that_lost_its_connection_is_rolled_back;
            undoing:
                undo_restores_created_updated_and_deleted_rows,
                undo_leaves_rows_that_changed_since;
        }
    };
}

/// Expands a list of sentences into tests. Not to be called by itself.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_sentences {
    ($harness:expr; $($room:ident: $($sentence:ident),+;)+) => {
        $(mod $room {
            $(#[tokio::test]
            async fn $sentence() {
                let harness = $harness;
                $crate::conformance::$room::$sentence(&*harness).await;
            })+
        })+
    };
}

#[cfg(test)]
mod tests {
    // A sentence that no connector runs proves nothing.
    #[test]
    fn every_sentence_is_in_the_list() {
        let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/conformance");
        let list = include_str!("conformance.rs");
        let mut sentences = 0;
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.ends_with("steps.rs") || path.ends_with("harness.rs") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for sentence in text.split("pub async fn ").skip(1).filter_map(|rest| rest.split('(').next()) {
                let in_list = [",", ";"].iter().any(|end| list.contains(&format!(" {sentence}{end}")));
                assert!(in_list, "{sentence} of {} is not in conformance!", path.display());
                sentences += 1;
            }
        }
        assert!(sentences > 50);
    }
}
