//! Days, times, instants and intervals: within the type's range and without cutting a fraction.

use syncline_model::{ValueRef, civil};

use super::{Refusal, Target, refuse};
use crate::decode::{EPOCH_DAYS, EPOCH_MICROS};
use crate::native::Wire;

/// 4714-11-24 BC, the first day PostgreSQL knows, in days since 1970.
const FIRST_DAY: i32 = -2_440_588;
/// 5874897-12-31, the last.
const LAST_DAY: i32 = 2_145_042_905;

impl Target {
    pub(super) fn date(&self, v: ValueRef<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let days = match v {
            ValueRef::Date(d) if (FIRST_DAY..=LAST_DAY).contains(&d) => d - EPOCH_DAYS,
            ValueRef::Date(_) => return refuse("value_out_of_range", "PostgreSQL has days from 4714 BC to 5874897"),
            ValueRef::Other { text: "infinity", .. } => i32::MAX,
            ValueRef::Other { text: "-infinity", .. } => i32::MIN,
            ValueRef::Other { .. } => return refuse("invalid_date", "there is no such day"),
            _ => return self.mismatch(v),
        };
        out.extend_from_slice(&days.to_be_bytes());
        Ok(())
    }

    pub(super) fn time(&self, v: ValueRef<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let micros = match v {
            ValueRef::Time(t) => t,
            ValueRef::Interval { months: 0, days: 0, micros } => micros,
            ValueRef::Interval { .. } => return refuse("value_out_of_range", "the span is no time of day"),
            _ => return self.mismatch(v),
        };
        if !(0..=civil::DAY).contains(&micros) {
            return refuse("value_out_of_range", "the span is no time of day");
        }
        self.fraction(micros)?;
        out.extend_from_slice(&micros.to_be_bytes());
        Ok(())
    }

    pub(super) fn instant(&self, v: ValueRef<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let micros = match (v, self.wire) {
            (ValueRef::Timestamp(t), Wire::Timestamp) | (ValueRef::TimestampTz(t), Wire::TimestampTz) => {
                t.checked_sub(EPOCH_MICROS).filter(|t| *t >= (i64::from(FIRST_DAY) - i64::from(EPOCH_DAYS)) * civil::DAY)
            }
            (ValueRef::Other { text: "infinity", .. }, _) => Some(i64::MAX),
            (ValueRef::Other { text: "-infinity", .. }, _) => Some(i64::MIN),
            (ValueRef::Other { text, .. }, _) => match far_instant(text) {
                Some(t) => Some(t),
                None => return refuse("invalid_date", "there is no such moment"),
            },
            _ => return self.mismatch(v),
        };
        let Some(micros) = micros else { return refuse("value_out_of_range", "PostgreSQL has moments from 4714 BC to 294276") };
        if !matches!(micros, i64::MIN | i64::MAX) {
            self.fraction(micros)?;
        }
        out.extend_from_slice(&micros.to_be_bytes());
        Ok(())
    }

    pub(super) fn interval(&self, v: ValueRef<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let (months, days, micros) = match v {
            ValueRef::Interval { months, days, micros } => (months, days, micros),
            ValueRef::Time(micros) => (0, 0, micros),
            _ => return self.mismatch(v),
        };
        if !fits_fields(&self.native, months, days, micros) {
            return refuse("value_inexact", format!("{} would cut parts of the interval", self.native));
        }
        self.fraction(micros)?;
        out.extend_from_slice(&micros.to_be_bytes());
        out.extend_from_slice(&days.to_be_bytes());
        out.extend_from_slice(&months.to_be_bytes());
        Ok(())
    }

    fn fraction(&self, micros: i64) -> Result<(), Refusal> {
        if micros % self.step == 0 {
            return Ok(());
        }
        refuse("value_inexact", format!("{} would round the fraction of a second", self.native))
    }
}

/// A timestamp beyond 64 bits of microseconds since 1970, in PostgreSQL's own count from 2000.
fn far_instant(text: &str) -> Option<i64> {
    let text = text.strip_suffix("+00").unwrap_or(text);
    let (date, time) = text.split_once(' ')?;
    let days = i64::from(civil::parse_date(date)?) - i64::from(EPOCH_DAYS);
    days.checked_mul(civil::DAY)?.checked_add(civil::parse_time(time)?).filter(|t| *t < i64::MAX)
}

/// Whether an interval type with fields (`interval year to month`) keeps all of the value: the server cuts without a word.
fn fits_fields(native: &str, months: i32, days: i32, micros: i64) -> bool {
    let multiple = |of_seconds: i64| micros % (of_seconds * civil::SECOND) == 0;
    match native.strip_prefix("interval ").unwrap_or("") {
        "year" => months % 12 == 0 && days == 0 && micros == 0,
        "month" | "year to month" => days == 0 && micros == 0,
        "day" => micros == 0,
        "hour" | "day to hour" => multiple(3600),
        "minute" | "day to minute" | "hour to minute" => multiple(60),
        _ => true,
    }
}

/// Fraction digits of `interval(3)`, `interval second(0)`.
pub(super) fn interval_digits(native: &str) -> u8 {
    native.split_once('(').and_then(|(_, n)| n.trim_end_matches(')').parse().ok()).unwrap_or(6)
}
