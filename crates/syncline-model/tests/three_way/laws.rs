//! Laws that hold for every record, every base and every strategy.

use proptest::prelude::*;
use syncline_model::canonical::Canon;
use syncline_model::detect::{Field, FieldRule, NO_BASE, Times, base_hash, detect};
use syncline_model::normalise::Normaliser;
use syncline_model::resolve::{LastModifier, Resolution, Strategy as Decide, resolve};
use syncline_model::value::{Value, ValueRef};

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

#[derive(Clone, Debug)]
struct Case {
    rule: FieldRule,
    source: Option<Value>,
    destination: Value,
    /// `None`: the field has no base.
    base: Option<Value>,
}

/// Few values, so that equal ones, blank ones and differently spelled ones meet often.
fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        prop::sample::select(vec!["", " ", "a", "A ", "b", "(b)", "c"]).prop_map(|s| Value::Text(s.to_owned())),
        (0i64..3).prop_map(Value::I64),
    ]
}

fn rule() -> impl Strategy<Value = FieldRule> {
    let normaliser =
        prop::option::of(prop::sample::select(vec![Normaliser::Trim, Normaliser::Email, Normaliser::Phone, Normaliser::Lower]));
    let canon = prop::sample::select(vec![Canon::Text, Canon::TextPadded, Canon::Own, Canon::Number]);
    (canon, normaliser, any::<bool>()).prop_map(|(canon, normaliser, clears)| FieldRule { canon, normaliser, clears })
}

fn case() -> impl Strategy<Value = Case> {
    (rule(), prop::option::weighted(0.9, value()), value(), prop::option::weighted(0.8, value()))
        .prop_map(|(rule, source, destination, base)| Case { rule, source, destination, base })
}

fn cases() -> impl Strategy<Value = Vec<Case>> {
    prop::collection::vec(case(), 0..=NAMES.len())
}

fn times() -> impl Strategy<Value = Times> {
    let at = || prop::option::of(0i64..3);
    (at(), at(), at()).prop_map(|(last_synced_at, source_modified_at, destination_modified_at)| Times {
        last_synced_at,
        source_modified_at,
        destination_modified_at,
    })
}

fn decision() -> impl Strategy<Value = (Decide, LastModifier)> {
    (
        prop::sample::select(vec![Decide::SourceWins, Decide::DestinationWins, Decide::Merge]),
        prop::sample::select(vec![LastModifier::Sync, LastModifier::Other, LastModifier::Unknown]),
    )
}

fn fields(cases: &[Case]) -> Vec<Field<'_>> {
    let view = |(c, name): (_, &&'static str)| {
        let c: &Case = c;
        Field { name, rule: c.rule, source: c.source.as_ref().map(Value::view), destination: c.destination.view() }
    };
    cases.iter().zip(&NAMES).map(view).collect()
}

fn bases(cases: &[Case]) -> Vec<u64> {
    let hash = |c: &Case| c.base.as_ref().map_or(NO_BASE, |b| base_hash(b.view(), c.rule, &mut Vec::new()));
    cases.iter().map(hash).collect()
}

fn hash(v: ValueRef<'_>, rule: FieldRule) -> u64 {
    base_hash(v, rule, &mut Vec::new())
}

fn sync<'a>(fields: &[Field<'a>], base: &[u64], times: Times, (strategy, modifier): (Decide, LastModifier)) -> Resolution<'a> {
    resolve(fields, Some(base), &detect(fields, Some(base), times), strategy, modifier)
}

fn applied<'a>(fields: &[Field<'a>], r: &Resolution<'a>) -> Vec<Field<'a>> {
    fields.iter().zip(&r.values).map(|(f, v)| Field { destination: *v, ..*f }).collect()
}

proptest! {
    // req: S4-002, S4-003
    #[test]
    fn after_applying_there_is_nothing_to_do(cases in cases(), times in times(), decision in decision()) {
        let fields = fields(&cases);
        let r = sync(&fields, &bases(&cases), times, decision);
        let again = detect(&applied(&fields, &r), Some(&r.base), times);
        prop_assert!(again.is_settled(), "{again:?} after {r:?}");
    }

    // req: S4-003
    #[test]
    fn resolving_twice_is_resolving_once(cases in cases(), times in times(), decision in decision()) {
        let fields = fields(&cases);
        let once = sync(&fields, &bases(&cases), times, decision);
        let after = applied(&fields, &once);
        let twice = sync(&after, &once.base, times, decision);
        prop_assert_eq!(&twice.values, &once.values);
        prop_assert_eq!(&twice.base, &once.base);
        prop_assert!(twice.written.is_empty());
    }

    // req: S4-003
    #[test]
    fn changes_of_either_side_alone_survive_every_strategy(cases in cases(), times in times(), decision in decision()) {
        let fields = fields(&cases);
        let base = bases(&cases);
        let r = sync(&fields, &base, times, decision);
        for (i, f) in fields.iter().enumerate() {
            let Some(source) = f.source else {
                prop_assert_eq!(r.values[i], f.destination, "a missing field never erases");
                continue;
            };
            if base[i] == NO_BASE {
                continue;
            }
            let (s, d) = (hash(source, f.rule), hash(f.destination, f.rule));
            if s == base[i] && d != base[i] {
                prop_assert_eq!(r.values[i], f.destination, "an edit at the destination is lost");
            }
            if d == base[i] && s != base[i] && (f.rule.clears || !blank(source, f.rule)) {
                prop_assert_eq!(r.values[i], source, "a change of the source is lost");
            }
        }
    }

    // req: S4-003
    #[test]
    fn no_field_is_lost_and_no_value_invented(cases in cases(), times in times(), decision in decision()) {
        let fields = fields(&cases);
        let r = sync(&fields, &bases(&cases), times, decision);
        prop_assert_eq!((r.values.len(), r.base.len()), (fields.len(), fields.len()));
        for (i, f) in fields.iter().enumerate() {
            let taken = r.written.contains(&i);
            prop_assert_eq!(r.values[i], if taken { f.source.unwrap() } else { f.destination });
        }
    }

    // req: S4-002
    #[test]
    fn every_field_that_differs_has_exactly_one_verdict_and_one_note(cases in cases(), times in times(), decision in decision()) {
        let fields = fields(&cases);
        let base = bases(&cases);
        let s = detect(&fields, Some(&base), times);
        let mut judged: Vec<usize> = s.changed.iter().map(|c| c.field).collect();
        judged.extend(s.conflicts.iter().map(|c| c.field));
        judged.extend(s.kept.iter().map(|k| k.field));
        judged.sort_unstable();
        let differs = |f: &Field<'_>| f.source.is_some_and(|s| hash(s, f.rule) != hash(f.destination, f.rule));
        let want: Vec<usize> = (0..fields.len()).filter(|i| differs(&fields[*i])).collect();
        prop_assert_eq!(&judged, &want);
        let noted: Vec<usize> = resolve(&fields, Some(&base), &s, decision.0, decision.1).notes.iter().map(|n| n.field).collect();
        prop_assert_eq!(noted, want);
    }

    // req: S4-002
    #[test]
    fn equal_sides_change_nothing_whatever_the_base(cases in cases(), times in times()) {
        let mut fields = fields(&cases);
        for f in &mut fields {
            f.source = Some(f.destination);
        }
        let s = detect(&fields, Some(&bases(&cases)), times);
        prop_assert!(s.is_settled() && s.kept.is_empty());
    }

    // req: S4-003
    #[test]
    fn with_everything_cleared_the_two_sides_are_symmetric(cases in cases()) {
        let mut fields = fields(&cases);
        fields.iter_mut().for_each(|f| f.rule.clears = true);
        let swapped: Vec<Field<'_>> = fields
            .iter()
            .map(|f| Field { source: f.source.map(|_| f.destination), destination: f.source.unwrap_or(f.destination), ..*f })
            .collect();
        let base: Vec<u64> = cases.iter().map(|c| hash(c.base.as_ref().map_or(ValueRef::Null, Value::view), c.rule)).collect();
        let (there, back) = (detect(&fields, Some(&base), Times::default()), detect(&swapped, Some(&base), Times::default()));
        let indexes = |c: &[syncline_model::detect::Conflict<'_>]| c.iter().map(|c| c.field).collect::<Vec<_>>();
        prop_assert_eq!(indexes(&there.conflicts), indexes(&back.conflicts));
        let changed: Vec<usize> = there.changed.iter().map(|c| c.field).collect();
        let kept: Vec<usize> = back.kept.iter().map(|k| k.field).collect();
        prop_assert_eq!(changed, kept);
    }
}

fn blank(v: ValueRef<'_>, rule: FieldRule) -> bool {
    match v {
        ValueRef::Null => true,
        ValueRef::Text(t) => rule.normaliser.map_or(t.is_empty(), |n| n.apply(t).is_empty()),
        _ => false,
    }
}
