//! Mappings from configuration text to destination rows.

use proptest::prelude::*;
use syncline_model::schema::TableKind;
use syncline_model::{Column, LogicalType, RowBatch, Table, TableName, Value, ValueRef};

use super::{FieldSource, FieldType, Refusal, Target, Transform, TransformError};

fn table() -> Table {
    let text = LogicalType::Text { chars_max: None, fixed: false };
    let columns = [
        ("id", LogicalType::Int { bits: 64, unsigned: true }),
        ("first", text.clone()),
        ("last", text),
        ("price", LogicalType::Decimal { limits: None }),
        ("born", LogicalType::Date),
        ("seen_at", LogicalType::TimestampTz { digits: 6 }),
        ("payload", LogicalType::Json { normalised: true }),
        ("score", LogicalType::Float { bits: 64 }),
        ("visits", LogicalType::Int { bits: 64, unsigned: false }),
    ];
    Table {
        name: TableName::bare("members"),
        kind: TableKind::Table,
        columns: columns.map(|(name, t)| Column::plain(name, t, "native")).into(),
        primary_key: vec!["id".to_owned()],
        uniques: Vec::new(),
        foreign_keys: Vec::new(),
        checks: Vec::new(),
        indexes: Vec::new(),
        insert_triggers: false,
        change_triggers: false,
        rows_estimate: None,
        non_transactional: false,
        incarnation: None,
        comment: None,
    }
}

fn all() -> Vec<String> {
    table().columns.into_iter().map(|c| c.name).collect()
}

fn ann() -> Vec<Value> {
    vec![
        Value::U64(u64::MAX),
        Value::Text(" Ann ".to_owned()),
        Value::Null,
        Value::Decimal("12345678901234567890.1250".to_owned()),
        Value::Date(19_782),
        Value::TimestampTz(1_709_210_096_789_012),
        Value::Json(r#"{"n": 9007199254740993, "tags": ["a", "b"], "none": null}"#.to_owned()),
        Value::F64(1.5),
        Value::I64(7),
    ]
}

fn compile(text: &str) -> Result<Transform, TransformError> {
    Transform::compile(&table(), &all(), &[Target::new("out", FieldSource::from_text(text))])
}

fn run(t: &Transform, row: &[Value]) -> Result<Vec<Value>, Refusal> {
    let mut rows = RowBatch::new(row.len());
    rows.push_row(row.iter().map(Value::view));
    let mut out = RowBatch::new(t.columns().len());
    t.apply(rows.row(0), &mut out)?;
    Ok(out.row(0).to_values())
}

fn eval(text: &str) -> Result<Value, Refusal> {
    let t = compile(text).unwrap_or_else(|e| panic!("{text}: {e}"));
    run(&t, &ann()).map(|mut row| row.remove(0))
}

fn text(s: &str) -> Value {
    Value::Text(s.to_owned())
}

// rule: R31
#[test]
fn a_bare_word_is_a_column_an_expression_keeps_its_type_and_mixed_text_is_text() {
    assert_eq!(eval("price"), Ok(ann().remove(3)));
    assert_eq!(eval("{{ visits }}"), Ok(Value::I64(7)));
    assert_eq!(eval("{{ last }}"), Ok(Value::Null));
    assert_eq!(eval("no. {{ visits }}"), Ok(text("no. 7")));
    assert_eq!(eval("{{ visits }}{{ visits }}"), Ok(text("77")));
    assert_eq!(eval("{a} {{ first | trim }}"), Ok(text("{a} Ann")));
}

// rule: R31
#[test]
fn any_null_in_mixed_text_gives_null_never_the_word_none() {
    assert_eq!(eval("{{ first }} {{ last }}"), Ok(Value::Null));
    assert_eq!(eval("{{ first | trim }} {{ last | default('Lee') }}"), Ok(text("Ann Lee")));
    assert_eq!(eval("{{ last | upper }}"), Ok(Value::Null));
    for arithmetic in ["last + 1", "visits * last", "(last - last) * 2", "last // visits", "visits ** last"] {
        assert_eq!(eval(&format!("{{{{ {arithmetic} }}}}")), Ok(Value::Null), "{arithmetic}");
    }
    assert_eq!(eval("{{ last | trim | split(',') | first | int }}"), Ok(Value::Null));
}

// rule: R31
#[test]
fn a_constant_is_the_same_for_every_row() {
    let targets = [Target::new("kind", FieldSource::Constant(text("none"))), Target::new("n", FieldSource::Constant(Value::Null))];
    let t = Transform::compile(&table(), &all(), &targets).unwrap();
    assert_eq!(run(&t, &ann()), Ok(vec![text("none"), Value::Null]));
}

// rule: R31
#[test]
fn values_pass_through_expressions_exactly() {
    assert_eq!(eval("{{ id | default(0) }}"), Ok(Value::U64(u64::MAX)));
    for (i, name) in all().iter().enumerate() {
        let want = ann().remove(i);
        let other = if want == Value::Null { "none" } else { "'other'" };
        assert_eq!(eval(&format!("{{{{ {name} | default({other}) }}}}")), Ok(want.clone()), "{name}");
        assert_eq!(eval(&format!("{{{{ coalesce(none, {name}) }}}}")), Ok(want.clone()), "{name}");
        assert_eq!(eval(&format!("{{{{ {name} if visits > 3 else none }}}}")), Ok(want), "{name}");
    }
}

// rule: R31
#[test]
fn filters_convert_exactly_or_refuse_the_row() {
    for (expression, want) in [
        ("price | round(2)", Value::Decimal("12345678901234567890.13".to_owned())),
        ("price | string", text("12345678901234567890.1250")),
        ("price | round | int", Value::U64(12_345_678_901_234_567_890)),
        ("first | trim | lower", text("ann")),
        ("first | replace(' ', '') | upper", text("ANN")),
        ("' Ann@X.ie' | email", text("ann@x.ie")),
        ("'+353 (87) 1' | phone", text("+353871")),
        ("seen_at | date", Value::Date(19_782)),
        ("'2024-02-29' | date", Value::Date(19_782)),
        ("born | timestamp", Value::Timestamp(19_782 * 86_400_000_000)),
        ("'1e3' | decimal", Value::Decimal("1000".to_owned())),
        ("'7' | int + 1", Value::I64(8)),
        ("'yes' | bool", Value::Bool(true)),
        ("visits * 2", Value::I64(14)),
        ("payload.n", Value::I64(9_007_199_254_740_993)),
        ("payload.tags[1]", text("b")),
        ("payload.missing", Value::Null),
        ("payload.tags", Value::Json("[\"a\", \"b\"]".to_owned())),
        ("first | trim | split('n') | tojson", Value::Json("[\"A\",\"\",\"\"]".to_owned())),
        ("first | truncate(2)", text(" A")),
        ("first[:2]", text(" A")),
        ("first ~ price", text(" Ann 12345678901234567890.1250")),
        ("last is none", Value::Bool(true)),
        ("born | length", Value::I64(10)),
    ] {
        assert_eq!(eval(&format!("{{{{ {expression} }}}}")), Ok(want), "{expression}");
    }
    for (expression, code) in [
        ("price | int", "not_an_integer"),
        ("first | int", "not_an_integer"),
        ("first | decimal", "not_a_decimal"),
        ("first | date", "invalid_date"),
        ("first | uuid", "invalid_uuid"),
        ("first | json", "invalid_json"),
        ("first | bool", "not_a_boolean"),
        ("first | split(',')", "not_a_value"),
        ("first + visits", "expression_failed"),
        ("visits if score > 9", "expression_failed"),
    ] {
        let refusal = eval(&format!("{{{{ {expression} }}}}")).unwrap_err();
        assert_eq!((refusal.column.as_str(), refusal.code), ("out", code), "{expression}");
        assert!(!refusal.detail.contains("Ann"), "a refusal never shows a value: {refusal}");
    }
}

// rule: R31
#[test]
fn names_that_are_not_there_are_found_before_the_run_with_position_and_suggestion() {
    for (template, code, message) in [
        ("pirce", "unknown_column", "field `out`: unknown column `pirce` at character 1, did you mean `price`?"),
        ("é {{ frist | trim }}", "unknown_column", "field `out`: unknown column `frist` at character 6, did you mean `first`?"),
        ("{{ first | trmi }}", "unknown_filter", "field `out`: unknown filter `trmi` at character 12, did you mean `trim`?"),
        ("{{ now() }}", "unknown_filter", "field `out`: unknown function `now` at character 4"),
        ("{{ first is not nun }}", "unknown_filter", "field `out`: unknown test `nun` at character 17, did you mean `none`?"),
    ] {
        let e = compile(template).unwrap_err();
        assert_eq!((e.code(), e.to_string().as_str()), (code, message));
        assert!(!e.hint().is_empty());
    }
}

// rule: R31
#[test]
fn broken_templates_are_refused_before_the_run() {
    for (template, position) in [
        ("a {{ first", 5),
        ("{{ first + }}", 3),
        ("{{ 'open }}", 4),
        ("{{ first ) }}", 10),
        ("{% if x %}{{ first }}", 1),
        ("{{ first }}{# no #}", 12),
        ("{{- first }}", 3),
        ("{{ first.upper() }}", 10),
        ("{{ }}", 3),
    ] {
        match compile(template) {
            Err(TransformError::BadExpression { position: at, .. }) => assert_eq!(at, position, "{template}"),
            other => panic!("{template}: {other:?}"),
        }
    }
}

// rule: R31
#[test]
fn operators_that_would_treat_an_exact_value_wrongly_are_refused_before_the_run() {
    for template in [
        "{{ price > 10 }}",
        "{{ 10 < price }}",
        "{{ price * 2 }}",
        "{{ -price }}",
        "{{ 1 if price == 0 else 2 }}",
        "{{ (price if visits else 0) > 3 }}",
        "{{ price | round(1) >= 3 }}",
        "{{ first | decimal > 3 }}",
        "{{ '1' | decimal > 3 }}",
        "{{ coalesce(price, 0) > 3 }}",
        "{{ 3 > (visits | default(price)) }}",
        "{{ 3 in [price] }}",
        "{{ born == '2024-02-29' }}",
        "{{ born[:4] }}",
        "{{ first.x }}",
        "{{ payload.n > 3 }}",
    ] {
        let e = compile(template).err().unwrap_or_else(|| panic!("{template} should be refused"));
        assert_eq!(e.code(), "inexact_expression", "{template}: {e}");
    }
    for (template, want) in [
        ("{{ price | float > 10 }}", Value::Bool(true)),
        ("{{ born | string == '2024-02-29' }}", Value::Bool(true)),
        ("{{ (born | string)[:4] | int + 1 }}", Value::I64(2025)),
        ("{{ price if score > 1 and visits == 7 else none }}", ann().remove(3)),
        ("{{ price if (born | string)[:4] == '2024' else none }}", ann().remove(3)),
        ("{{ (payload.n | int) % 2 }}", Value::I64(1)),
    ] {
        assert_eq!(eval(template), Ok(want), "{template}");
    }
}

// rule: R31
#[test]
fn an_expression_without_end_is_refused_before_the_run() {
    for endless in ["visits + ".repeat(20_000), "(".repeat(20_000), "not ".repeat(300), "-".repeat(300), "[".repeat(300)] {
        let e = compile(&format!("{{{{ {endless} visits }}}}")).unwrap_err();
        assert_eq!(e.code(), "bad_expression", "{e}");
    }
    assert_eq!(eval(&format!("{{{{ {}visits }}}}", "visits + ".repeat(100))), Ok(Value::I64(707)));
}

#[test]
fn a_value_too_large_to_carry_is_copied_but_never_computed_with() {
    let mut row = ann();
    row[1] = Value::Large(1 << 30);
    assert_eq!(run(&compile("first").unwrap(), &row), Ok(vec![Value::Large(1 << 30)]));
    assert_eq!(run(&compile("{{ first | trim }}").unwrap(), &row).unwrap_err().code, "value_too_large");
}

#[test]
fn validation_refuses_the_row_and_names_the_field() {
    let target = Target { name: "email".to_owned(), source: FieldSource::from_text("first"), validate: Some(FieldType::Email) };
    let t = Transform::compile(&table(), &all(), &[target]).unwrap();
    let refusal = run(&t, &ann()).unwrap_err();
    assert_eq!((refusal.column.as_str(), refusal.code), ("email", "invalid_email"));
    assert_eq!(refusal.to_string(), "field `email`: not an e-mail address");
}

#[test]
fn a_refused_row_leaves_nothing_behind_and_the_next_one_is_whole() {
    let targets = [Target::new("a", FieldSource::from_text("first")), Target::new("b", FieldSource::from_text("{{ last | int }}"))];
    let t = Transform::compile(&table(), &all(), &targets).unwrap();
    let mut rows = RowBatch::new(9);
    for last in [text("x"), text("5")] {
        let mut row = ann();
        row[2] = last;
        rows.push_row(row.iter().map(Value::view));
    }
    let mut out = RowBatch::new(2);
    assert!(t.apply(rows.row(0), &mut out).is_err());
    t.apply(rows.row(1), &mut out).unwrap();
    assert_eq!(out.len(), 1);
    assert_eq!(out.row(0).to_values(), [text(" Ann "), Value::I64(5)]);
}

#[test]
fn identity_is_recognised_and_only_identity() {
    let copy = |names: &[&str]| {
        let targets: Vec<Target> = names.iter().map(|n| Target::new("x", FieldSource::from_text(n))).collect();
        Transform::compile(&table(), &["id".to_owned(), "first".to_owned()], &targets).unwrap()
    };
    assert!(copy(&["id", "{{ first }}"]).is_identity(), "renaming columns does not change rows");
    assert!(!copy(&["first", "id"]).is_identity());
    assert!(!copy(&["id"]).is_identity());
    assert!(!copy(&["id", "{{ first | trim }}"]).is_identity());
}

// rule: R31
#[test]
fn the_columns_read_and_the_types_made_are_known_before_the_run() {
    let targets = [
        Target::new("name", FieldSource::from_text("{{ last }}, {{ first }}")),
        Target::new("id", FieldSource::from_text("id")),
        Target::new("price", FieldSource::from_text("{{ price | round(2) | default('0') }}")),
        Target::new("day", FieldSource::from_text("{{ seen_at | date }}")),
        Target::new("odd", FieldSource::from_text("{{ visits % 2 }}")),
    ];
    assert_eq!(Transform::reads(&table(), &targets).unwrap(), ["id", "first", "last", "price", "seen_at", "visits"]);
    let t = Transform::compile(&table(), &all(), &targets).unwrap();
    let logical: Vec<_> = (0..targets.len()).map(|i| t.logical(i).cloned()).collect();
    let text = LogicalType::Text { chars_max: None, fixed: false };
    let id = LogicalType::Int { bits: 64, unsigned: true };
    assert_eq!(logical, [Some(text), Some(id), Some(LogicalType::Decimal { limits: None }), Some(LogicalType::Date), None]);
    assert_eq!(t.columns().collect::<Vec<_>>(), ["name", "id", "price", "day", "odd"]);
}

proptest! {
    // rule: R31
    #[test]
    fn text_comes_through_mixed_templates_as_it_is(first in "\\PC{0,20}", last in "\\PC{0,20}") {
        let t = compile("<{{ first }}|{{ last }}>").unwrap();
        let mut row = ann();
        (row[1], row[2]) = (text(&first), text(&last));
        prop_assert_eq!(run(&t, &row), Ok(vec![text(&format!("<{first}|{last}>"))]));
    }

    // rule: R31
    #[test]
    fn integers_come_through_arithmetic_exactly_or_as_exact_decimals(a: i64, b: u64) {
        let t = compile("{{ visits + id }}").unwrap();
        let mut row = ann();
        (row[0], row[8]) = (Value::U64(b), Value::I64(a));
        let sum = i128::from(a) + i128::from(b);
        prop_assert_eq!(run(&t, &row).unwrap()[0].view().to_string(), sum.to_string());
    }

    #[test]
    fn no_template_makes_the_compiler_panic(template in "[{}%#|.a-z0-9'\" ()\\[\\]+*<>=-]{0,30}") {
        let _ = compile(&template);
        let _ = compile(&format!("{{{{ first {template} }}}}"));
        let _ = compile(&format!("{{{{ {template} | trim }}}}"));
    }

    #[test]
    fn copied_cells_are_the_same_bytes(v in any::<f64>()) {
        let t = compile("score").unwrap();
        let mut row = ann();
        row[7] = Value::F64(v);
        let out = run(&t, &row).unwrap();
        prop_assert!(matches!(out[0].view(), ValueRef::F64(x) if x.to_bits() == v.to_bits()));
    }
}
