//! Dates, times of day, timestamps and instants.

use syncline_model::ValueRef;
use syncline_model::civil::{self, DAY, SECOND};

use super::{Refusal, mismatch, refuse};
use crate::civil::{FIRST_DAY, LAST_DAY};
use crate::literal::push_display;

/// TIME goes to 838:59:59 on both sides, without fraction at its ends.
const SPAN_MAX: i64 = (838 * 3600 + 59 * 60 + 59) * SECOND;
/// TIMESTAMP: 1970-01-01 00:00:01 to 2038-01-19 03:14:07.999999.
const INSTANTS: std::ops::Range<i64> = SECOND..(1_i64 << 31) * SECOND;

pub(super) fn date(out: &mut Vec<u8>, v: ValueRef<'_>) -> Result<(), Refusal> {
    match v {
        ValueRef::Date(d) if (FIRST_DAY..=LAST_DAY).contains(&d) => push_display(out, format_args!("'{}'", civil::date_text(d))),
        ValueRef::Date(_) => return invalid(),
        ValueRef::Other { text, .. } => zero(out, text, 10)?,
        v => return mismatch(v),
    }
    Ok(())
}

pub(super) fn timestamp(out: &mut Vec<u8>, v: ValueRef<'_>, digits: u8) -> Result<(), Refusal> {
    match v {
        ValueRef::Timestamp(t) => moment(out, t, digits),
        ValueRef::Other { text, .. } => zero(out, text, 19),
        v => mismatch(v),
    }
}

pub(super) fn instant(out: &mut Vec<u8>, v: ValueRef<'_>, digits: u8) -> Result<(), Refusal> {
    match v {
        ValueRef::TimestampTz(t) if INSTANTS.contains(&t) => moment(out, t, digits),
        ValueRef::TimestampTz(_) => refuse("value_out_of_range", "a TIMESTAMP is within 1970 to 2038"),
        ValueRef::Other { text, .. } if text.starts_with("0000-00-00") => zero(out, text, 19),
        ValueRef::Other { .. } => invalid(),
        v => mismatch(v),
    }
}

fn moment(out: &mut Vec<u8>, t: i64, digits: u8) -> Result<(), Refusal> {
    let in_range = i32::try_from(t.div_euclid(DAY)).is_ok_and(|d| (FIRST_DAY..=LAST_DAY).contains(&d));
    if !in_range {
        return invalid();
    }
    whole_digits(t, digits)?;
    push_display(out, format_args!("'{}'", civil::timestamp_text(t)));
    Ok(())
}

pub(super) fn span(out: &mut Vec<u8>, v: ValueRef<'_>, digits: u8) -> Result<(), Refusal> {
    let micros = match v {
        ValueRef::Time(t) => t,
        ValueRef::Interval { months: 0, days: 0, micros } => micros,
        ValueRef::Interval { .. } => return refuse("value_inexact", "a TIME holds no months or days"),
        v => return mismatch(v),
    };
    if !(-SPAN_MAX..=SPAN_MAX).contains(&micros) {
        return refuse("value_out_of_range", "a TIME is within 838:59:59 on both sides");
    }
    whole_digits(micros, digits)?;
    push_display(out, format_args!("'{}'", civil::time_text(micros)));
    Ok(())
}

/// Digits beyond the column's would be cut without a word (H3).
fn whole_digits(micros: i64, digits: u8) -> Result<(), Refusal> {
    let unit = 10_i64.pow(6 - u32::from(digits.min(6)));
    if micros % unit == 0 {
        return Ok(());
    }
    refuse("value_inexact", format!("the column keeps {digits} fraction digits of a second"))
}

fn invalid<T>() -> Result<T, Refusal> {
    refuse("invalid_date", "the date is infinite, before the year 1 or after 9999")
}

/// Zero and partial dates of another MySQL (H1), as their own text; nothing else travels as `Other` that fits here.
fn zero(out: &mut Vec<u8>, text: &str, length: usize) -> Result<(), Refusal> {
    let b = text.as_bytes();
    let shape = text.len() >= length && b.iter().all(|c| c.is_ascii_digit() || b"-: .".contains(c)) && b.get(4) == Some(&b'-');
    let part = |r: std::ops::Range<usize>| text.get(r).and_then(|t| t.parse::<u8>().ok());
    let (month, day) = (part(5..7), part(8..10));
    let has_zero = text.starts_with("0000-") || month == Some(0) || day == Some(0);
    if !(shape && has_zero && month.is_some_and(|m| m <= 12) && day.is_some_and(|d| d <= 31)) {
        return invalid();
    }
    push_display(out, format_args!("'{text}'"));
    Ok(())
}
