//! What the encoder takes exactly and what it refuses, value by value.

use super::*;
use syncline_model::RowBatch;

fn write(native: &str, logical: LogicalType, v: ValueRef<'_>) -> Result<String, &'static str> {
    let encoder = Encoder::new(&[Column::plain("c", logical, native)], 1 << 24);
    let mut batch = RowBatch::new(1);
    batch.push(v);
    let mut out = Vec::new();
    encoder.row(&mut out, batch.row(0)).map_err(|r| r.code)?;
    Ok(String::from_utf8(out[1..].to_vec()).unwrap())
}

fn native(native: &str, v: ValueRef<'_>) -> Result<String, &'static str> {
    write(native, Native::parse(native).logical(false), v)
}

// case: H7
#[test]
fn decimals_that_would_be_rounded_are_refused() {
    assert_eq!(native("decimal(10,2)", ValueRef::Decimal("1.239")), Err("value_inexact"));
    assert_eq!(native("decimal(10,2)", ValueRef::Decimal("1.230")), Ok("1.23".to_owned()));
    assert_eq!(native("decimal(10,2)", ValueRef::Decimal("123456789")), Err("value_out_of_range"));
    assert_eq!(native("decimal(10,2)", ValueRef::Decimal("NaN")), Err("nan"));
    assert_eq!(native("decimal(10,2) unsigned", ValueRef::Decimal("-1")), Err("value_out_of_range"));
}

// case: H3, H2
#[test]
fn fractions_and_dates_without_a_place_are_refused() {
    assert_eq!(native("datetime", ValueRef::Timestamp(1)), Err("value_inexact"));
    assert_eq!(native("datetime(6)", ValueRef::Timestamp(1)), Ok("'1970-01-01 00:00:00.000001'".to_owned()));
    assert_eq!(native("date", ValueRef::Date(-800_000)), Err("invalid_date"));
    assert_eq!(native("date", ValueRef::Other { type_name: "date", text: "infinity" }), Err("invalid_date"));
    assert_eq!(native("timestamp", ValueRef::TimestampTz(0)), Err("value_out_of_range"));
    assert_eq!(native("datetime", ValueRef::Timestamp(9_000_000_000_000_000_000)), Err("invalid_date"));
}

// case: H1
#[test]
fn zero_dates_of_another_mysql_pass_and_impossible_ones_do_not() {
    let other = |text| ValueRef::Other { type_name: "date", text };
    assert_eq!(native("date", other("2024-00-10")), Ok("'2024-00-10'".to_owned()));
    for bad in ["2024-02-30", "0000-13-00", "0000-00-00'", "24-00-00"] {
        assert_eq!(native("date", other(bad)), Err("invalid_date"), "{bad}");
    }
}

// case: H8
#[test]
fn floats_keep_their_bits_or_are_refused() {
    assert_eq!(native("float", ValueRef::F64(16_777_216.0)), Ok("1.6777216e7".to_owned()));
    assert_eq!(native("float", ValueRef::F64(0.1)), Err("value_inexact"));
    assert_eq!(native("double", ValueRef::F64(-0.0)), Err("negative_zero"));
    assert_eq!(native("double", ValueRef::F64(f64::INFINITY)), Err("nan"));
}

// case: H11
#[test]
fn characters_outside_the_column_s_set_are_refused() {
    let utf8mb3 = "varchar(10) CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci";
    assert_eq!(native(utf8mb3, ValueRef::Text("😀")), Err("charset_unrepresentable"));
    let latin1 = "varchar(10) CHARACTER SET latin1 COLLATE latin1_swedish_ci";
    assert_eq!(native(latin1, ValueRef::Text("é€")), Ok("'é€'".to_owned()));
    assert_eq!(native(latin1, ValueRef::Text("ł")), Err("charset_unrepresentable"));
}

// case: H14
#[test]
fn labels_and_members_must_be_declared_and_in_order() {
    assert_eq!(native("enum('a','b')", ValueRef::Text("")), Err("enum_label_unknown"));
    assert_eq!(native("enum('a','b')", ValueRef::Text("A")), Err("enum_label_unknown"));
    assert_eq!(native("set('a','b')", ValueRef::Text("b,a")), Err("value_inexact"));
    assert_eq!(native("set('a','b')", ValueRef::Text("a,b")), Ok("'a,b'".to_owned()));
    assert_eq!(native("set('a','b')", ValueRef::Text("")), Ok("''".to_owned()));
}

#[test]
fn lengths_count_in_the_unit_of_the_type() {
    assert_eq!(native("varchar(2)", ValueRef::Text("éé")), Ok("'éé'".to_owned()));
    assert_eq!(native("varchar(2)", ValueRef::Text("éée")), Err("value_too_long"));
    assert_eq!(native("tinytext", ValueRef::Text(&"é".repeat(128))), Err("value_too_long"));
    assert_eq!(native("binary(2)", ValueRef::Bytes(b"a")), Err("value_inexact"));
    assert_eq!(native("bit(3)", ValueRef::Text("101")), Ok("b'101'".to_owned()));
    assert_eq!(native("bigint unsigned", ValueRef::U64(u64::MAX)), Ok(u64::MAX.to_string()));
    assert_eq!(native("int", ValueRef::I64(1 << 31)), Err("value_out_of_range"));
}

// case: I1
#[test]
fn a_row_over_the_packet_limit_is_set_aside() {
    let big = "x".repeat(1 << 24);
    assert_eq!(native("longtext", ValueRef::Text(&big)), Err("value_too_large"));
    assert_eq!(native("longtext", ValueRef::Large(1 << 30)), Err("value_too_large"));
}
