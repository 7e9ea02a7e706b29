//! Where a read starts, after every kind of value.

use super::*;

const NOW: i64 = 20_000 * DAY + 12 * 3_600 * SECOND;

fn observed(rule: LateCommitRule, open: &[&str]) -> Observation {
    Observation { at: NOW, open: open.iter().map(|o| (*o).to_owned()).collect(), mark: None, rule }
}

fn at(cursor_json: Option<&Value>, seen: &[(i64, i64)]) -> PositionRow {
    let seen = seen.iter().map(|&(at, v)| CursorRow { at, cursor_json: v.to_string() }).collect();
    PositionRow {
        sync: String::new(),
        scope: String::new(),
        stream: String::new(),
        collection_key: String::new(),
        last_synced_at: None,
        mark: None,
        cursor_json: cursor_json.map(|v| json::from_value(v.view()).to_string()),
        run: String::new(),
        shape: String::new(),
        seen,
    }
}

fn text(s: &str) -> Value {
    Value::Text(s.to_owned())
}

fn moment(s: &str) -> Value {
    Value::Timestamp(civil::parse_timestamp(s).unwrap())
}

/// NOW is 2024-10-04 12:00:00.
fn start(max: &Value, overlap_s: Option<u64>) -> Value {
    let now = observed(LateCommitRule::Observations, &[]);
    value(&next(None, Some(max), &now, &[], Some(NOW - 5 * SECOND), overlap_s).start.unwrap()).unwrap()
}

// rule: R5
#[test]
fn times_without_a_zone_step_back_by_the_overlap_in_every_spelling() {
    assert_eq!(start(&moment("2024-10-04 11:00:00"), Some(600)), moment("2024-10-04 10:50:00"));
    assert_eq!(start(&moment("2024-10-04 11:00:00"), None), moment("2024-10-04 09:50:00"));
    assert_eq!(start(&text("2024-10-04 11:00:00.25"), Some(600)), text("2024-10-04 10:50:00"));
    assert_eq!(start(&text("2024-10-04 11:00"), Some(600)), text("2024-10-04 10:50:00"));
    assert_eq!(start(&text("2024-10-04T11:00:00.000Z"), Some(600)), text("2024-10-04"), "` ` sorts before every `T`");
    assert_eq!(start(&text("2024-10-04T00:05:00Z"), Some(600)), text("2024-10-03"));
    assert_eq!(start(&text("2024-10-03"), Some(600)), text("2024-10-02"));
    assert_eq!(start(&text("2024-10-04T11:00:00+02:00"), Some(600)), text("2024-10-03"), "a clock elsewhere may show yesterday");
    assert_eq!(start(&text("2024-10-04 11:00:00+00:00"), Some(600)), text("2024-10-04 10:50:00"));
    let day = |s| Value::Date(civil::parse_date(s).unwrap());
    assert_eq!(start(&day("2024-10-03"), Some(600)), day("2024-10-02"));
    assert_eq!(start(&day("2024-10-03"), Some(2 * 86_400)), day("2024-10-01"));
}

// case: E14
#[test]
fn no_time_carries_the_start_past_the_sources_clock() {
    assert_eq!(start(&moment("2099-01-01 00:00:00"), Some(600)), moment("2024-10-03 23:50:00"), "whatever the zone");
    assert_eq!(start(&moment("2024-10-04 14:00:00"), Some(600)), moment("2024-10-04 11:50:00"), "two hours ahead of UTC");
    assert_eq!(start(&text("2099-01-01 00:00:00"), Some(600)), text("2024-10-03 23:50:00"));
    assert_eq!(start(&text("2099-01-01"), Some(600)), text("2024-10-03"));
    assert_eq!(start(&Value::Date(Days::MAX), Some(600)), Value::Date(civil::parse_date("2024-10-03").unwrap()));
    assert_eq!(start(&Value::Timestamp(i64::MAX), Some(600)), moment("2024-10-03 23:50:00"));
}

// rule: R5
// case: D3
#[test]
fn a_time_stays_as_far_behind_as_the_oldest_transaction_that_may_still_commit() {
    let now = observed(LateCommitRule::Observations, &["a"]);
    let max = moment("2024-10-04 12:00:00");
    let held = next(None, Some(&max), &now, &[], Some(NOW - 3 * 3_600 * SECOND), Some(0));
    assert_eq!(value(&held.start.unwrap()), Some(moment("2024-10-04 09:00:00")));
    assert_eq!(next(None, Some(&max), &now, &[], None, Some(0)).start, None, "nothing is proved");
    let old = at(Some(&moment("2024-10-04 10:00:00")), &[]);
    let stays = next(Some(&old), Some(&max), &now, &[], Some(NOW - 3 * 3_600 * SECOND), Some(0));
    assert_eq!(stays.start, old.cursor_json, "never back");
}

// rule: R5
// case: D3
#[test]
fn a_number_is_started_from_once_nothing_is_open_that_was_open_when_it_was_seen() {
    let quiet = observed(LateCommitRule::Observations, &[]);
    let first = next(None, Some(&Value::I64(10)), &quiet, &[], None, None);
    assert_eq!((first.start, first.seen.len()), (None, 1), "a smaller number may have been taken before the snapshot");
    let old = at(None, &[(NOW - 60 * SECOND, 10)]);
    let second = next(Some(&old), Some(&Value::I64(20)), &quiet, &[], None, None);
    assert_eq!((second.start.as_deref(), second.seen.len()), (Some("10"), 1));
    let busy = observed(LateCommitRule::Observations, &["a"]);
    let open = |at: i64, list: &[&str]| ObservationRow { at, open: list.iter().map(|o| (*o).to_owned()).collect() };
    let before = [open(NOW - 60 * SECOND, &["a"]), open(NOW - 30 * SECOND, &["a", "b"])];
    assert_eq!(next(Some(&old), Some(&Value::I64(20)), &busy, &before, None, None).start, None, "`a` was open then");
    let before = [open(NOW - 60 * SECOND, &[]), open(NOW - 30 * SECOND, &["b"])];
    assert_eq!(next(Some(&old), Some(&Value::I64(20)), &busy, &before, None, None).start.as_deref(), Some("10"));
}

// rule: R5
// users: T1
#[test]
fn where_nothing_is_proved_a_number_is_as_old_as_the_overlap() {
    let now = observed(LateCommitRule::Overlap { default_s: 600 }, &[]);
    let old = at(Some(&Value::I64(1)), &[(NOW - 700 * SECOND, 10), (NOW - 500 * SECOND, 20)]);
    let default = next(Some(&old), Some(&Value::I64(30)), &now, &[], None, None);
    assert_eq!((default.start.as_deref(), default.seen.len()), (Some("10"), 2));
    assert_eq!(next(Some(&old), Some(&Value::I64(30)), &now, &[], None, Some(400)).start.as_deref(), Some("20"));
    assert_eq!(next(Some(&old), Some(&Value::I64(30)), &now, &[], None, Some(900)).start.as_deref(), Some("1"));
}

// case: E14
#[test]
fn numbers_are_ordered_by_value_and_what_is_beyond_all_numbers_comes_first() {
    let after = |a: Value, b: Value| is_after(a.view(), b.view());
    let decimal = |s: &str| Value::Decimal(s.to_owned());
    assert!(after(decimal("100"), decimal("99.5")) && !after(decimal("NaN"), decimal("1")) && after(decimal("1"), decimal("Infinity")));
    assert!(
        after(Value::U64(u64::MAX), Value::I64(1)) && after(Value::I64(2), Value::U64(1)) && !after(Value::I64(2), Value::U64(u64::MAX))
    );
    assert!(!after(Value::F64(f64::INFINITY), Value::F64(1.0)) && after(Value::F64(1.0), Value::F64(f64::NAN)));
}

#[test]
fn a_word_among_times_carries_nothing_away() {
    assert!(is_after(text("2024-01-01").view(), text("pending").view()));
    assert!(!is_after(text("pending").view(), text("2024-01-01").view()));
    let now = observed(LateCommitRule::Observations, &[]);
    let old = at(Some(&text("2024-10-01 00:00:00")), &[]);
    let next = next(Some(&old), Some(&text("pending")), &now, &[], Some(NOW), None);
    assert_eq!((next.start, next.seen), (old.cursor_json, Vec::new()));
}
