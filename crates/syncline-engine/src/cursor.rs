//! Where the next incremental read starts where the cursor is no instant (R5, E14): a date, a timestamp without a zone, a number, a text.
//!
//! A value that reads as a time steps back from the largest one by as much as the mark lies behind the source's clock, and never passes
//! that clock. Any other value says nothing of when it was taken: the read starts at what an earlier run saw, once nothing that was open
//! then is open any more. Of those one thing is taken for granted: that later values are not smaller.

use std::cmp::Ordering;

use syncline_connector::{LateCommitRule, Observation};
use syncline_model::civil::{self, DAY, SECOND};
use syncline_model::value::Days;
use syncline_model::{LogicalType, Value, ValueRef, decimal, json};
use syncline_store::rows::{CursorRow, ObservationRow, PositionRow};

use crate::horizon;

/// Without a zone nobody knows the clock that a time was written by: such cursors step back this far, s (R5.4).
const OVERLAP_S: u64 = 600;
/// And an hour more: where clocks are set back in autumn, the stamps of an hour come twice.
const CLOCK_SET_BACK_S: u64 = 3_600;
/// The clock furthest ahead of UTC, µs: a stamp beyond it is of no clock.
const ZONE_AHEAD: i64 = 14 * 3_600 * SECOND;
/// The clock furthest behind UTC, µs.
const ZONE_BEHIND: i64 = 12 * 3_600 * SECOND;
/// Values remembered that a read may not start from yet. With more runs than that in the time of an overlap, some are left out.
const SEEN_MAX: usize = 64;

/// Where the next read starts, and what it may start from later.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Next {
    pub start: Option<String>,
    pub seen: Vec<CursorRow>,
}

/// What a run leaves behind. `old` is the position it started from, `max` the largest value it saw, `before` what earlier runs observed,
/// `mark` the instant that no transaction still to be seen began before.
pub(crate) fn next(
    old: Option<&PositionRow>,
    max: Option<&Value>,
    now: &Observation,
    before: &[ObservationRow],
    mark: Option<i64>,
    overlap_s: Option<u64>,
) -> Next {
    let was = old.and_then(|p| p.cursor_json.as_deref()).and_then(value);
    let mut next = Next { start: old.and_then(|p| p.cursor_json.clone()), seen: old.map(|p| p.seen.clone()).unwrap_or_default() };
    let time = max.and_then(|m| Reading::of(m.view()));
    let new = match (time, was.as_ref().and_then(|w| Reading::of(w.view()))) {
        (Some(reading), _) => mark.map(|mark| reading.before(now.at, lag(now, mark, overlap_s))),
        // Among times a text that is none proves nothing.
        (None, Some(_)) => None,
        (None, None) => {
            next.see(now.at, max);
            horizon::settled(now, before, overlap_s).and_then(|at| next.take_before(at))
        }
    };
    if let Some(new) = new.filter(|new| was.as_ref().is_none_or(|was| is_after(new.view(), was.view()))) {
        next.start = Some(json::from_value(new.view()).to_string());
    }
    next
}

/// How far a time steps back, µs: never less than the mark lies behind.
fn lag(now: &Observation, mark: i64, overlap_s: Option<u64>) -> i64 {
    let default = match now.rule {
        LateCommitRule::Overlap { default_s } => u64::from(default_s),
        LateCommitRule::StartTimes | LateCommitRule::Observations => OVERLAP_S,
    };
    horizon::seconds(overlap_s.unwrap_or(default + CLOCK_SET_BACK_S)).max(now.at.saturating_sub(mark))
}

fn value(text: &str) -> Option<Value> {
    json::to_value(&serde_json::from_str(text).ok()?)
}

impl Next {
    fn see(&mut self, at: i64, max: Option<&Value>) {
        let Some(max) = max else { return };
        let cursor_json = json::from_value(max.view()).to_string();
        if self.seen.len() < SEEN_MAX && self.seen.last().is_none_or(|last| last.cursor_json != cursor_json) {
            self.seen.push(CursorRow { at, cursor_json });
        }
    }

    /// The newest value seen before `at`; it and older ones are of no more use.
    fn take_before(&mut self, at: i64) -> Option<Value> {
        let newest = self.seen.iter().rposition(|s| s.at < at)?;
        self.seen.drain(..=newest).next_back().and_then(|s| value(&s.cursor_json))
    }
}

/// How a value spells a time.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    Date,
    Timestamp,
    /// `2024-02-29`, or a spelling that does not sort with that of others within a day.
    DayText,
    /// `2024-02-29 13:04:05`.
    SecondText,
}

/// A value that reads as a time of some clock.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Reading {
    at: i64,
    form: Form,
}

impl Reading {
    fn of(v: ValueRef<'_>) -> Option<Self> {
        let day = |d: Days| i64::from(d).saturating_mul(DAY);
        match v {
            ValueRef::Date(d) => Some(Self { at: day(d), form: Form::Date }),
            ValueRef::Timestamp(t) => Some(Self { at: t, form: Form::Timestamp }),
            ValueRef::Text(text) => {
                let date = day(civil::parse_date(text.get(..10)?)?);
                let Some(separator) = text[10..].chars().next() else { return Some(Self { at: date, form: Form::DayText }) };
                let time = |end| text.get(11..end).and_then(civil::parse_time);
                let at = date.saturating_add(time(19).or_else(|| time(16))?);
                // Texts of several zones sort by their clocks: another one may be as far behind as zones lie apart.
                let zone = text[16..].find(['+', '-']).is_some_and(|z| !matches!(&text[16 + z..], "+00:00" | "+00" | "+0000"));
                let at = if zone { at.saturating_sub(ZONE_AHEAD + ZONE_BEHIND) } else { at };
                match separator {
                    ' ' => Some(Self { at, form: Form::SecondText }),
                    // The same column may hold `2024-02-29 13:04:05` as well, which is before every `T` of its day.
                    'T' | 't' => Some(Self { at, form: Form::DayText }),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// The value to start from, `lag` before this one and before the source's clock, whichever was earlier.
    fn before(self, now: i64, lag: i64) -> Value {
        let of_no_clock = self.at > now.saturating_add(ZONE_AHEAD);
        let at = if of_no_clock { now - ZONE_BEHIND } else { self.at.min(now) };
        let days = |t: i64| Days::try_from(t.div_euclid(DAY)).unwrap_or(Days::MIN);
        let moment = at.saturating_sub(lag);
        match self.form {
            // A date says a whole day: late ones may be of the day before.
            Form::Date => Value::Date(days(days_back(at, lag))),
            Form::DayText if self.at.rem_euclid(DAY) == 0 => Value::Text(civil::date_text(days(days_back(at, lag)))),
            Form::DayText => Value::Text(civil::date_text(days(moment))),
            Form::Timestamp => Value::Timestamp(moment),
            Form::SecondText => Value::Text(civil::timestamp_text(moment.div_euclid(SECOND) * SECOND)),
        }
    }
}

/// Midnight, as many whole days earlier as `lag` begins.
fn days_back(at: i64, lag: i64) -> i64 {
    let days = lag.div_euclid(DAY) + i64::from(lag.rem_euclid(DAY) > 0);
    at.div_euclid(DAY).saturating_sub(days).saturating_mul(DAY)
}

/// Whether a later value of the type can be known by being greater. Anything else as a cursor would lose rows at once.
pub(crate) fn can_order(logical: &LogicalType) -> bool {
    use LogicalType as T;
    match logical {
        T::Int { .. }
        | T::Float { .. }
        | T::Decimal { .. }
        | T::Date
        | T::Timestamp { .. }
        | T::TimestampTz { .. }
        | T::Text { .. }
        | T::Any => true,
        T::Bool | T::Year | T::Bytes { .. } | T::Bit { .. } | T::Uuid | T::Time { .. } | T::TimeSpan { .. } | T::Interval => false,
        T::Json { .. } | T::Enum { .. } | T::Set { .. } | T::Geometry | T::Other { .. } => false,
    }
}

/// Order of cursor values of one column. A time is after whatever is none: one word that sorts behind them all would carry the cursor away.
/// Other values of different kinds have no order: the first one stays.
pub(crate) fn is_after(a: ValueRef<'_>, b: ValueRef<'_>) -> bool {
    if let (now, was) = (Reading::of(a).is_some(), Reading::of(b).is_some())
        && now != was
    {
        return now;
    }
    match (a, b) {
        (ValueRef::I64(a), ValueRef::I64(b)) => a > b,
        (ValueRef::U64(a), ValueRef::U64(b)) => a > b,
        (ValueRef::I64(_), ValueRef::U64(b)) if i64::try_from(b).is_err() => false,
        (ValueRef::U64(a), ValueRef::I64(_)) if i64::try_from(a).is_err() => true,
        (ValueRef::I64(a), ValueRef::U64(b)) => a > b.cast_signed(),
        (ValueRef::U64(a), ValueRef::I64(b)) => a.cast_signed() > b,
        // What is beyond all numbers would hide every later one.
        (ValueRef::F64(a), ValueRef::F64(b)) => a.is_finite() && (a > b || !b.is_finite()),
        (ValueRef::Decimal(a), ValueRef::Decimal(b)) => {
            decimal::parts(a).is_some() && (decimal::parts(b).is_none() || decimal::compare(a, b) == Some(Ordering::Greater))
        }
        (ValueRef::Date(a), ValueRef::Date(b)) => a > b,
        (ValueRef::Timestamp(a), ValueRef::Timestamp(b)) | (ValueRef::TimestampTz(a), ValueRef::TimestampTz(b)) => a > b,
        (ValueRef::Text(a), ValueRef::Text(b)) => a > b,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
