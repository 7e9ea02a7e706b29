//! Mappings as they are found, rows as they come out.

use proptest::prelude::*;
use syncline_model::{LogicalType, RowBatch, Value, ValueRef};

use super::idmap::NoId;
use super::{IdForm, IdMap, IdMapBuilder, IdMapError, Mint, Rewrite};

const PLENTY: usize = 1 << 20;

fn int() -> IdForm {
    IdForm::of(&LogicalType::Int { bits: 64, unsigned: false })
}

fn uuid() -> IdForm {
    IdForm::of(&LogicalType::Uuid)
}

fn id(n: u8) -> ValueRef<'static> {
    ValueRef::Uuid([n; 16])
}

fn map(pairs: &[(i64, u8)], mint: bool) -> Result<IdMap, IdMapError> {
    let mut b = IdMapBuilder::new(int(), uuid(), PLENTY);
    for (legacy, new) in pairs {
        b.add(ValueRef::I64(*legacy), id(*new)).unwrap();
    }
    b.finish(mint.then(|| Mint::new("s", "t", int(), uuid()).unwrap())).unwrap()
}

// req: FR-010
#[test]
fn mappings_are_found_both_ways_in_any_spelling() {
    let m = map(&[(1, 1), (2, 2), (1, 1)], false).unwrap();
    assert_eq!((m.len(), m.is_empty()), (2, false));
    assert_eq!(m.get(ValueRef::Text("2")).unwrap(), Some(id(2).to_owned()));
    assert_eq!(m.legacy_of(id(1)).unwrap(), Some(Value::I64(1)));
    let none = [m.get(ValueRef::I64(3)), m.legacy_of(id(3)), m.get(ValueRef::Null)].map(Result::unwrap);
    assert_eq!(none, [None, None, None]);
}

// req: FR-010
// case: D24
#[test]
fn doubled_mappings_stop_with_their_ids() {
    let two_new = map(&[(1, 1), (1, 2)], true).unwrap_err();
    assert_eq!(two_new.code(), "id_mapping_doubled");
    let both = "1 → 01010101-0101-0101-0101-010101010101, 1 → 02020202-0202-0202-0202-020202020202";
    assert!(two_new.to_string().ends_with(both), "{two_new}");
    let shared = map(&[(1, 1), (2, 1)], true).unwrap_err();
    assert_eq!(shared.code(), "id_mapping_doubled");
    assert!(shared.to_string().contains(": 1 → 01010101") && shared.to_string().contains(", 2 → 01010101"), "{shared}");
    let three = map(&[(1, 1), (1, 2), (1, 3)], true).unwrap_err();
    assert!(matches!(&three, IdMapError::Doubled(s) if s.total == 3 && s.shown.len() == 3), "{three}");
    let crossed = map(&[(1, 1), (2, 2), (1, 2)], true).unwrap_err();
    assert_eq!(crossed.code(), "id_mapping_doubled");
    let many: Vec<(i64, u8)> = (0..50).map(|n| (n, 1)).collect();
    let many = map(&many, true).unwrap_err();
    assert!(matches!(&many, IdMapError::Doubled(s) if s.total == 50 && s.shown.len() == 20));
    assert!(many.to_string().ends_with("and 30 more") && !many.hint().is_empty());
}

// req: FR-010
// case: D24
#[test]
fn a_mapping_without_a_side_stops_with_its_id_and_nothing_is_minted_for_it() {
    for (legacy, new) in [(ValueRef::I64(7), ValueRef::Null), (ValueRef::Null, id(7)), (ValueRef::I64(7), ValueRef::Text("7"))] {
        let mut b = IdMapBuilder::new(int(), uuid(), PLENTY);
        b.add(legacy, new).unwrap();
        let e = b.finish(Mint::new("s", "t", int(), uuid())).unwrap().unwrap_err();
        assert_eq!(e.code(), "id_mapping_unusable");
        assert!(e.to_string().contains('7'), "{e}");
    }
}

// req: FR-010
// case: D24
#[test]
fn circles_stop_with_their_ids_and_chains_and_kept_ids_do_not() {
    let judge = |pairs: &[(i64, i64)]| {
        let mut b = IdMapBuilder::new(int(), int(), PLENTY);
        for (legacy, new) in pairs {
            b.add(ValueRef::I64(*legacy), ValueRef::I64(*new)).unwrap();
        }
        b.finish(None).unwrap().map(|m| m.len())
    };
    assert_eq!(judge(&[(1, 2), (2, 3), (5, 5), (9, 1)]), Ok(4));
    for circle in [&[(1, 2), (2, 1)][..], &[(1, 2), (2, 3), (3, 1), (8, 9)]] {
        let e = judge(circle).unwrap_err();
        let IdMapError::Cyclic(found) = &e else { panic!("{e}") };
        assert_eq!((e.code(), found.total), ("id_mapping_cyclic", if circle.len() == 2 { 2 } else { 3 }));
        assert!(found.shown.iter().all(|m| matches!(m.legacy, Value::I64(1..=3))));
    }
}

// req: FR-010
// rule: R25
#[test]
fn mappings_beyond_their_memory_are_found_on_disk_and_judged_there() {
    let many = |last: (i64, i64)| {
        let mut b = IdMapBuilder::new(int(), uuid(), 1_000);
        for n in (0..5_000_i64).map(|n| (n, n)).chain([last]) {
            b.add(ValueRef::I64(n.0), ValueRef::Uuid((n.1 as u128 + 1).to_be_bytes())).unwrap();
        }
        b.finish(Mint::new("s", "t", int(), uuid())).unwrap()
    };
    let mut m = many((7, 7)).unwrap();
    assert_eq!(m.len(), 5_000);
    for n in [0, 1, 2_500, 4_999] {
        let new = Value::Uuid((n as u128 + 1).to_be_bytes());
        assert_eq!(m.get(ValueRef::I64(n)).unwrap().as_ref(), Some(&new));
        assert_eq!(m.legacy_of(new.view()).unwrap(), Some(Value::I64(n)));
        assert_eq!(m.own(ValueRef::I64(n)).unwrap(), Ok(new));
    }
    let minted =
        (5_000..9_000_i64).map(|n| m.own(ValueRef::I64(n)).unwrap().unwrap().to_string()).collect::<std::collections::BTreeSet<_>>();
    assert_eq!((minted.len(), m.take_minted().len(), m.len()), (4_000, 4_000, 9_000));
    let (same, other) = (many((7, 7)).unwrap().fingerprint().unwrap(), many((5_000, 5_000)).unwrap().fingerprint().unwrap());
    assert_eq!(same, m.fingerprint().unwrap(), "what is minted changes no reference");
    assert_ne!(same, other);
    let doubled = many((7, 9_999)).unwrap_err();
    assert!(matches!(&doubled, IdMapError::Doubled(s) if s.total == 2 && s.shown.len() == 2), "{doubled}");
}

// req: FR-010
// case: D24
#[test]
fn a_record_gets_one_id_ever() {
    let mut m = map(&[(1, 1)], true).unwrap();
    assert_eq!(m.own(ValueRef::I64(1)).unwrap(), Ok(id(1).to_owned()), "the mapping of the old migration stands");
    let first = m.own(ValueRef::I64(2)).unwrap().unwrap();
    assert_eq!(m.own(ValueRef::Text("2")).unwrap().unwrap(), first);
    let minted = m.take_minted();
    assert_eq!((minted.len(), minted.first(1).unwrap().row(0).get(1)), (1, first.view()));
    assert!(m.take_minted().is_empty());
    assert_eq!(map(&[], true).unwrap().own(ValueRef::I64(2)).unwrap().unwrap(), first, "the same in another run");
    assert_eq!(map(&[], false).unwrap().own(ValueRef::I64(2)).unwrap(), Err(NoId::Unmapped));
    assert_eq!(m.own(ValueRef::Text("x")).unwrap(), Err(NoId::NotAnId));
}

// req: FR-010
// case: D24
#[test]
fn a_minted_id_that_another_record_holds_is_refused() {
    let taken = map(&[], true).unwrap().own(ValueRef::I64(2)).unwrap().unwrap();
    let mut b = IdMapBuilder::new(int(), uuid(), PLENTY);
    b.add(ValueRef::I64(1), taken.view()).unwrap();
    let mut m = b.finish(Mint::new("s", "t", int(), uuid())).unwrap().unwrap();
    assert_eq!(m.own(ValueRef::I64(2)).unwrap(), Err(NoId::Taken));
}

// req: FR-010
#[test]
fn references_to_records_that_come_later_hold_their_id_and_those_that_never_come_are_listed() {
    let mut m = map(&[], true).unwrap();
    let later = m.refer(ValueRef::I64(5)).unwrap().unwrap();
    m.refer(ValueRef::I64(6)).unwrap().unwrap();
    assert!(m.take_minted().is_empty(), "a reference alone writes no mapping");
    assert_eq!(m.own(ValueRef::I64(5)).unwrap().unwrap(), later);
    let minted = m.take_minted();
    assert_eq!((minted.len(), minted.first(1).unwrap().row(0).get(0)), (1, ValueRef::I64(5)));
    assert_eq!(m.orphans(9).unwrap(), (1, vec![Value::I64(6)]));
}

fn rewrite() -> Rewrite {
    let columns = ["id", "doctor_id", "name"].map(str::to_owned).into();
    Rewrite { key: Some((0, 0)), foreign: vec![(1, 1)], columns }
}

// req: FR-010
#[test]
fn keys_and_foreign_keys_are_rewritten_and_the_rest_is_left_alone() {
    let mut maps = [map(&[(1, 1)], false).unwrap(), map(&[(7, 7)], false).unwrap()];
    let (mut rows, mut out) = (RowBatch::new(3), RowBatch::new(3));
    rows.push_row([ValueRef::I64(1), ValueRef::I64(7), ValueRef::Text("Ann")]);
    rows.push_row([ValueRef::I64(1), ValueRef::Null, ValueRef::Null]);
    rows.push_row([ValueRef::I64(1), ValueRef::I64(8), ValueRef::Null]);
    rows.push_row([ValueRef::I64(2), ValueRef::I64(7), ValueRef::Null]);
    for i in 0..2 {
        rewrite().apply(rows.row(i), &mut maps, &mut out).unwrap().unwrap();
    }
    assert_eq!(out.row(0).to_values(), [id(1).to_owned(), id(7).to_owned(), Value::Text("Ann".to_owned())]);
    assert_eq!(out.row(1).to_values(), [id(1).to_owned(), Value::Null, Value::Null]);
    let orphan = rewrite().apply(rows.row(2), &mut maps, &mut out).unwrap().unwrap_err();
    assert_eq!((orphan.column.as_str(), orphan.code), ("doctor_id", "parent_unmapped"));
    assert!(orphan.detail.contains("record 8"), "{orphan}");
    let unmapped = rewrite().apply(rows.row(3), &mut maps, &mut out).unwrap().unwrap_err();
    assert_eq!((unmapped.column.as_str(), unmapped.code), ("id", "id_unmapped"));
    assert_eq!(out.len(), 2);
}

// req: FR-010
#[test]
fn a_table_that_extends_another_takes_the_id_of_the_record_it_extends() {
    let mut maps = [map(&[], true).unwrap(), map(&[(7, 7)], false).unwrap()];
    let (mut rows, mut out) = (RowBatch::new(1), RowBatch::new(1));
    rows.push(ValueRef::I64(7));
    let r = Rewrite { key: Some((0, 0)), foreign: vec![(0, 1)], columns: vec!["user_id".to_owned()] };
    r.apply(rows.row(0), &mut maps, &mut out).unwrap().unwrap();
    assert_eq!(out.row(0).to_values(), [id(7).to_owned()]);
}

proptest! {
    // req: FR-010
    #[test]
    fn minting_is_one_to_one_and_independent_of_order(mut ids in prop::collection::vec(any::<i64>(), 1..40)) {
        let give = |ids: &[i64]| {
            let mut m = map(&[], true).unwrap();
            ids.iter().map(|n| (*n, m.own(ValueRef::I64(*n)).unwrap().unwrap().to_string())).collect::<std::collections::BTreeMap<_, _>>()
        };
        let there = give(&ids);
        ids.reverse();
        prop_assert_eq!(&give(&ids), &there);
        let distinct: std::collections::BTreeSet<_> = there.values().collect();
        prop_assert_eq!(distinct.len(), there.len());
    }
}
