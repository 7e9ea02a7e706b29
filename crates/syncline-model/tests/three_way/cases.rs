//! Every row of the tables in `detect`, and every strategy, one case each.

use syncline_model::canonical::Canon;
use syncline_model::detect::{Conflict, ConflictCause, Field, FieldRule, Kept, KeptCause, NO_BASE, Times, base_hash, detect};
use syncline_model::normalise::Normaliser;
use syncline_model::resolve::{LastModifier, Side, Strategy, resolve};
use syncline_model::value::ValueRef;

const PLAIN: FieldRule = FieldRule { canon: Canon::Text, normaliser: None, clears: false };
const CLEARS: FieldRule = FieldRule { clears: true, ..PLAIN };
const TRIM: FieldRule = FieldRule { normaliser: Some(Normaliser::Trim), ..PLAIN };
const NO_TIMES: Times = Times { last_synced_at: None, source_modified_at: None, destination_modified_at: None };

fn text(s: &str) -> ValueRef<'_> {
    ValueRef::Text(s)
}

fn field<'a>(rule: FieldRule, source: Option<ValueRef<'a>>, destination: ValueRef<'a>) -> Field<'a> {
    Field { name: "email", rule, source, destination }
}

/// One letter for the verdict on one field: `c`hanged, `k`ept, `x` conflict, `-` nothing.
fn verdict(f: Field<'_>, base: Option<ValueRef<'_>>, times: Times) -> char {
    let base = base.map(|b| [base_hash(b, f.rule, &mut Vec::new())]);
    let s = detect(&[f], base.as_ref().map(|b| b.as_slice()), times);
    match (s.changed.len(), s.kept.len(), s.conflicts.len()) {
        (1, 0, 0) => 'c',
        (0, 1, 0) => 'k',
        (0, 0, 1) => 'x',
        (0, 0, 0) => '-',
        other => panic!("one field has one verdict, not {other:?}"),
    }
}

// req: S4-002
// rule: R6
#[test]
fn with_a_base_the_side_that_left_it_is_the_side_that_changed() {
    let judge = |s, d| verdict(field(PLAIN, Some(text(s)), text(d)), Some(text("base")), NO_TIMES);
    assert_eq!(judge("base", "base"), '-');
    assert_eq!(judge("new", "base"), 'c');
    assert_eq!(judge("base", "edited"), 'k');
    assert_eq!(judge("new", "edited"), 'x');
    assert_eq!(judge("both", "both"), '-');
}

// req: S4-002
#[test]
fn a_missing_source_field_never_erases() {
    for rule in [PLAIN, CLEARS, TRIM] {
        assert_eq!(verdict(field(rule, None, text("base")), Some(text("base")), NO_TIMES), '-');
        assert_eq!(verdict(field(rule, None, text("kept")), None, NO_TIMES), '-');
    }
}

// req: S4-002
// case: G17
#[test]
fn an_explicit_empty_source_value_erases_with_clears_and_only_then() {
    for empty in [ValueRef::Null, text("")] {
        assert_eq!(verdict(field(PLAIN, Some(empty), text("base")), Some(text("base")), NO_TIMES), 'k');
        assert_eq!(verdict(field(CLEARS, Some(empty), text("base")), Some(text("base")), NO_TIMES), 'c');
        assert_eq!(verdict(field(CLEARS, Some(empty), text("edited")), Some(text("base")), NO_TIMES), 'x');
    }
    let f = field(PLAIN, Some(ValueRef::Null), text("base"));
    assert_eq!(detect(&[f], None, NO_TIMES).kept, [Kept { field: 0, cause: KeptCause::SourceEmpty }]);
}

// req: S4-002
#[test]
fn null_and_blank_are_one_with_a_normaliser_and_two_without() {
    assert_eq!(verdict(field(TRIM, Some(ValueRef::Null), text("")), None, NO_TIMES), '-');
    assert_eq!(verdict(field(TRIM, Some(text("  ")), ValueRef::Null), None, NO_TIMES), '-');
    assert_eq!(verdict(field(PLAIN, Some(ValueRef::Null), text("")), Some(text("")), NO_TIMES), 'c');
}

// req: S4-002
// case: H26
#[test]
fn a_normalised_comparison_never_touches_the_stored_spelling() {
    let email = FieldRule { normaliser: Some(Normaliser::Email), ..PLAIN };
    let f = [field(email, Some(text("ann@example.org")), text(" Ann@Example.org "))];
    let summary = detect(&f, None, NO_TIMES);
    let r = resolve(&f, None, &summary, Strategy::SourceWins, LastModifier::Unknown);
    assert!(summary.is_settled() && r.written.is_empty());
    assert_eq!(r.values, [text(" Ann@Example.org ")]);

    let f = [field(email, Some(text(" New@Example.org")), text("old@example.org"))];
    let base = [base_hash(text("OLD@example.org"), email, &mut Vec::new())];
    let r = resolve(&f, Some(&base), &detect(&f, Some(&base), NO_TIMES), Strategy::SourceWins, LastModifier::Unknown);
    assert_eq!(r.values, [text(" New@Example.org")], "what is written is what the source spelled");
}

// req: S4-002
#[test]
fn without_a_base_the_times_of_the_record_decide() {
    let judge = |d, source_modified_at, destination_modified_at| {
        let times = Times { last_synced_at: Some(10), source_modified_at, destination_modified_at };
        verdict(field(PLAIN, Some(text("new")), d), None, times)
    };
    let stored = text("stored");
    assert_eq!(judge(stored, None, Some(9)), 'c');
    assert_eq!(judge(stored, None, Some(10)), 'c', "stamped by the sync itself");
    assert_eq!(judge(stored, None, Some(11)), 'x');
    assert_eq!(judge(stored, Some(11), Some(11)), 'x');
    assert_eq!(judge(stored, Some(9), Some(11)), 'k');
    assert_eq!(judge(stored, Some(11), None), 'x');
    assert_eq!(judge(ValueRef::Null, None, Some(11)), 'c', "filling an empty field loses nothing");
    assert_eq!(judge(ValueRef::Null, Some(9), Some(11)), 'k', "the destination emptied it");
}

// req: S4-002
#[test]
fn a_first_meeting_of_different_values_is_a_conflict_never_a_silent_overwrite() {
    let f = field(PLAIN, Some(text("theirs")), text("ours"));
    let s = detect(&[f], Some(&[NO_BASE]), NO_TIMES);
    assert_eq!(s.conflicts, [Conflict { field: 0, source: text("theirs"), destination: text("ours"), cause: ConflictCause::NeverSynced }]);
    assert_eq!(verdict(field(PLAIN, Some(text("theirs")), ValueRef::Null), None, NO_TIMES), 'c');
}

// rule: R9
#[test]
fn values_too_large_to_compare_are_never_called_equal() {
    let f = field(PLAIN, Some(ValueRef::Large(9)), ValueRef::Large(9));
    assert_eq!(verdict(f, None, NO_TIMES), 'x');
}

// req: S4-003
#[test]
fn each_strategy_decides_a_conflict_its_own_way_and_says_so() {
    let f = [field(PLAIN, Some(text("new")), text("edited"))];
    let base = [base_hash(text("base"), PLAIN, &mut Vec::new())];
    let summary = detect(&f, Some(&base), NO_TIMES);
    for (strategy, modifier, winner, said) in [
        (Strategy::SourceWins, LastModifier::Other, Side::Source, "decided by source_wins"),
        (Strategy::DestinationWins, LastModifier::Sync, Side::Destination, "decided by destination_wins"),
        (Strategy::Merge, LastModifier::Sync, Side::Source, "decided by merge: the sync itself modified the record last"),
        (Strategy::Merge, LastModifier::Other, Side::Destination, "decided by merge: somebody else modified the record last"),
        (Strategy::Merge, LastModifier::Unknown, Side::Destination, "decided by merge: who modified the record last is not known"),
    ] {
        let r = resolve(&f, Some(&base), &summary, strategy, modifier);
        let want = if winner == Side::Source { text("new") } else { text("edited") };
        assert_eq!((r.values.as_slice(), r.notes.len(), r.notes[0].winner), ([want].as_slice(), 1, winner));
        let note = r.notes[0].to_string();
        assert!(note.starts_with("`email`: ") && note.ends_with(said), "{note}");
        assert!(!note.contains("new") && !note.contains("edited"), "a note holds no values: {note}");
    }
}

// req: S4-003
#[test]
fn strategies_are_known_by_both_names_and_a_slip_is_an_error_with_a_suggestion() {
    for (name, want) in [
        ("source_wins", Strategy::SourceWins),
        ("federation_wins", Strategy::SourceWins),
        ("destination_wins", Strategy::DestinationWins),
        ("local_wins", Strategy::DestinationWins),
        ("merge", Strategy::Merge),
    ] {
        assert_eq!(name.parse(), Ok(want));
        assert_eq!(serde_json::from_value::<Strategy>(name.into()).unwrap(), want);
    }
    let e = "sorce_wins".parse::<Strategy>().unwrap_err();
    assert_eq!(e.suggestion, Some("source_wins"));
    assert_eq!(
        e.to_string(),
        "unknown conflict strategy `sorce_wins`, did you mean `source_wins`?; one of source_wins, destination_wins, merge"
    );
    assert!(Strategy::Merge.needs_last_modified_by() && !Strategy::default().needs_last_modified_by());
}

// req: S4-003
#[test]
fn a_decided_conflict_stays_decided_until_the_source_speaks_again() {
    let f = [field(PLAIN, Some(text("new")), text("edited"))];
    let base = [base_hash(text("base"), PLAIN, &mut Vec::new())];
    let won = resolve(&f, Some(&base), &detect(&f, Some(&base), NO_TIMES), Strategy::DestinationWins, LastModifier::Other);
    assert_eq!(detect(&f, Some(&won.base), NO_TIMES).kept, [Kept { field: 0, cause: KeptCause::DestinationEdited }]);
    let later = [field(PLAIN, Some(text("newer")), text("edited"))];
    assert_eq!(detect(&later, Some(&won.base), NO_TIMES).conflicts.len(), 1);
}
