//! Dates and times between the wire's parts, SQL text and the model's numbers.

use mysql_async::Value as Wire;
use syncline_model::ValueRef;
use syncline_model::civil::{self, DAY, SECOND};

/// 0001-01-01: below are only zero dates, which are no days.
pub(crate) const FIRST_DAY: i32 = -719_162;
/// 9999-12-31.
pub(crate) const LAST_DAY: i32 = 2_932_896;

/// The day number of a date that exists; `None` for zero and partial dates and for 30 February.
pub(crate) fn day(year: u16, month: u8, day: u8) -> Option<i32> {
    if year == 0 {
        return None;
    }
    civil::days_from_civil(i32::from(year), u32::from(month), u32::from(day))
}

/// µs of a time of day.
pub(crate) fn clock(hour: u8, minute: u8, second: u8, micros: u32) -> i64 {
    ((i64::from(hour) * 60 + i64::from(minute)) * 60 + i64::from(second)) * SECOND + i64::from(micros)
}

/// A TIME: within a day a `Time`, outside or negative an `Interval` (H4).
pub(crate) fn span(negative: bool, days: u32, of_day: i64) -> ValueRef<'static> {
    let micros = i64::from(days) * DAY + of_day;
    match (negative && micros != 0, micros < DAY) {
        (false, true) => ValueRef::Time(micros),
        (negative, _) => ValueRef::Interval { months: 0, days: 0, micros: if negative { -micros } else { micros } },
    }
}

/// The DATE or DATETIME parameter of an instant; `None` outside the years 1 to 9999.
pub(crate) fn wire_timestamp(micros: i64) -> Option<Wire> {
    let days = i32::try_from(micros.div_euclid(DAY)).ok()?;
    let Wire::Date(y, m, d, ..) = wire_date(days)? else { return None };
    let t = micros.rem_euclid(DAY);
    let small = |n: i64| u8::try_from(n).ok();
    let (s, us) = (t / SECOND, u32::try_from(t % SECOND).ok()?);
    Some(Wire::Date(y, m, d, small(s / 3600)?, small(s / 60 % 60)?, small(s % 60)?, us))
}

/// The DATE parameter of a day; `None` outside the years 1 to 9999.
pub(crate) fn wire_date(days: i32) -> Option<Wire> {
    if !(FIRST_DAY..=LAST_DAY).contains(&days) {
        return None;
    }
    let (y, m, d) = civil::civil_from_days(days);
    Some(Wire::Date(u16::try_from(y).ok()?, u8::try_from(m).ok()?, u8::try_from(d).ok()?, 0, 0, 0, 0))
}
