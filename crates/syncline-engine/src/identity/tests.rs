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
        b.add(ValueRef::I64(*legacy), id(*new))?;
    }
    b.finish(mint.then(|| Mint::new("s", "t", int(), uuid()).unwrap()))
}

// req: FR-010
#[test]
fn mappings_are_found_both_ways_in_any_spelling() {
    let m = map(&[(1, 1), (2, 2), (1, 1)], false).unwrap();
    assert_eq!((m.len(), m.is_empty()), (2, false));
    assert_eq!(m.get(ValueRef::Text("2")), Some(id(2)));
    assert_eq!(m.legacy_of(id(1)), Some(ValueRef::I64(1)));
    assert_eq!((m.get(ValueRef::I64(3)), m.legacy_of(id(3)), m.get(ValueRef::Null)), (None, None, None));
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
        let e = b.finish(Mint::new("s", "t", int(), uuid())).unwrap_err();
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
        b.finish(None).map(|m| m.len())
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
// case: D24
#[test]
fn a_mapping_learned_later_is_judged_like_the_first_ones() {
    let mut m = map(&[(1, 1)], true).unwrap();
    m.learn(ValueRef::I64(2), id(2)).unwrap();
    assert_eq!(m.own(ValueRef::I64(2)), Ok(id(2)));
    assert_eq!(m.learn(ValueRef::I64(2), id(3)).map_err(|e| e.code()), Err("id_mapping_doubled"));
    assert_eq!(m.learn(ValueRef::I64(3), ValueRef::Null).map_err(|e| e.code()), Err("id_mapping_unusable"));
    m.own(ValueRef::I64(4)).unwrap();
    let late = m.learn(ValueRef::I64(4), id(4)).unwrap_err();
    assert_eq!(late.code(), "id_mapping_doubled", "a mapping that turns up after its record was given another id is no secret");
}

// req: FR-010
#[test]
fn memory_for_mappings_is_bounded() {
    let mut b = IdMapBuilder::new(int(), uuid(), 1_000);
    let full = (0..100).find_map(|n| b.add(ValueRef::I64(i64::from(n)), id(n)).err());
    assert_eq!(full.map(|e| e.code()), Some("id_mapping_too_large"));
    let mut m = b.finish(Mint::new("s", "t", int(), uuid())).unwrap();
    assert!(m.bytes() <= 1_000);
    assert_eq!(m.own(ValueRef::I64(1_000)), Err(NoId::Full));
}

// req: FR-010
// case: D24
#[test]
fn a_record_gets_one_id_ever() {
    let mut m = map(&[(1, 1)], true).unwrap();
    assert_eq!(m.own(ValueRef::I64(1)), Ok(id(1)), "the mapping of the old migration stands");
    let first = m.own(ValueRef::I64(2)).unwrap().to_owned();
    assert_eq!(m.own(ValueRef::Text("2")).unwrap().to_owned(), first);
    let minted = m.take_minted();
    assert_eq!((minted.len(), &minted[0].new), (1, &first));
    assert!(m.take_minted().is_empty());
    assert_eq!(map(&[], true).unwrap().own(ValueRef::I64(2)).unwrap().to_owned(), first, "the same in another run");
    assert_eq!(map(&[], false).unwrap().own(ValueRef::I64(2)), Err(NoId::Unmapped));
    assert_eq!(m.own(ValueRef::Text("x")), Err(NoId::NotAnId));
}

// req: FR-010
// case: D24
#[test]
fn a_minted_id_that_another_record_holds_is_refused() {
    let taken = map(&[], true).unwrap().own(ValueRef::I64(2)).unwrap().to_owned();
    let mut b = IdMapBuilder::new(int(), uuid(), PLENTY);
    b.add(ValueRef::I64(1), taken.view()).unwrap();
    let mut m = b.finish(Mint::new("s", "t", int(), uuid())).unwrap();
    assert_eq!(m.own(ValueRef::I64(2)), Err(NoId::Taken));
}

// req: FR-010
#[test]
fn references_to_records_that_come_later_hold_their_id_and_those_that_never_come_are_listed() {
    let mut m = map(&[], true).unwrap();
    let later = m.refer(ValueRef::I64(5)).unwrap().to_owned();
    m.refer(ValueRef::I64(6)).unwrap();
    assert!(m.take_minted().is_empty(), "a reference alone writes no mapping");
    assert_eq!(m.own(ValueRef::I64(5)).unwrap().to_owned(), later);
    let minted = m.take_minted();
    assert_eq!((minted.len(), &minted[0].legacy), (1, &Value::I64(5)));
    assert_eq!(m.orphans().map(|o| o.legacy.clone()).collect::<Vec<_>>(), [Value::I64(6)]);
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
        rewrite().apply(rows.row(i), &mut maps, &mut out).unwrap();
    }
    assert_eq!(out.row(0).to_values(), [id(1).to_owned(), id(7).to_owned(), Value::Text("Ann".to_owned())]);
    assert_eq!(out.row(1).to_values(), [id(1).to_owned(), Value::Null, Value::Null]);
    let orphan = rewrite().apply(rows.row(2), &mut maps, &mut out).unwrap_err();
    assert_eq!((orphan.column.as_str(), orphan.code), ("doctor_id", "parent_unmapped"));
    assert!(orphan.detail.contains("record 8"), "{orphan}");
    let unmapped = rewrite().apply(rows.row(3), &mut maps, &mut out).unwrap_err();
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
    r.apply(rows.row(0), &mut maps, &mut out).unwrap();
    assert_eq!(out.row(0).to_values(), [id(7).to_owned()]);
}

proptest! {
    // req: FR-010
    #[test]
    fn minting_is_one_to_one_and_independent_of_order(mut ids in prop::collection::vec(any::<i64>(), 1..40)) {
        let give = |ids: &[i64]| {
            let mut m = map(&[], true).unwrap();
            ids.iter().map(|n| (*n, m.own(ValueRef::I64(*n)).unwrap().to_string())).collect::<std::collections::BTreeMap<_, _>>()
        };
        let there = give(&ids);
        ids.reverse();
        prop_assert_eq!(&give(&ids), &there);
        let distinct: std::collections::BTreeSet<_> = there.values().collect();
        prop_assert_eq!(distinct.len(), there.len());
    }
}
