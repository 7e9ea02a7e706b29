//! Calendar and clock text without loss: the proleptic Gregorian calendar over the whole range of PostgreSQL
//! (4713 BC to 294276 AD), which no date library we use covers. Algorithms: H. Hinnant, "chrono-compatible low-level date algorithms".

use crate::value::{Days, Micros};

/// Microseconds of a second.
pub const SECOND: Micros = 1_000_000;
/// Microseconds of a day.
pub const DAY: Micros = 86_400 * SECOND;

/// Year (0 is 1 BC), month and day of a day number.
#[must_use]
pub fn civil_from_days(days: Days) -> (i32, u32, u32) {
    let z = i64::from(days) + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + i64::from(month <= 2);
    let small = |n: i64| u32::try_from(n).expect("invariant: month and day are small");
    (i32::try_from(year).expect("invariant: i32 days span less than i32 years"), small(month), small(day))
}

/// The day number of a civil date; `None` when there is no such day or it is outside `Days`.
#[must_use]
pub fn days_from_civil(year: i32, month: u32, day: u32) -> Option<Days> {
    if !(1..=12).contains(&month) || day == 0 || day > days_in_month(year, month) {
        return None;
    }
    let y = i64::from(year) - i64::from(month <= 2);
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let m = i64::from(month);
    let doy = (153 * (if m > 2 { m - 3 } else { m + 9 }) + 2) / 5 + i64::from(day) - 1;
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    Days::try_from(era * 146_097 + doe - 719_468).ok()
}

fn days_in_month(year: i32, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// `2024-02-29`; years beyond 9999 have more digits, years before 1 AD end in ` BC`, as PostgreSQL writes them.
#[must_use]
pub fn date_text(days: Days) -> String {
    let (y, m, d) = civil_from_days(days);
    if y > 0 { format!("{y:04}-{m:02}-{d:02}") } else { format!("{:04}-{m:02}-{d:02} BC", 1 - y) }
}

/// `13:04:05` with as many fraction digits as needed, none when whole.
#[must_use]
pub fn time_text(micros: Micros) -> String {
    let (sign, t) = if micros < 0 { ("-", -i128::from(micros)) } else { ("", i128::from(micros)) };
    let (secs, frac) = (t / 1_000_000, t % 1_000_000);
    let head = format!("{sign}{:02}:{:02}:{:02}", secs / 3600, secs / 60 % 60, secs % 60);
    if frac == 0 {
        return head;
    }
    let digits = format!("{frac:06}");
    format!("{head}.{}", digits.trim_end_matches('0'))
}

/// `2024-02-29 13:04:05.5`, with ` BC` at the end where it applies.
#[must_use]
pub fn timestamp_text(micros: Micros) -> String {
    let days = Days::try_from(micros.div_euclid(DAY)).expect("invariant: i64 microseconds span i32 days");
    let date = date_text(days);
    let time = time_text(micros.rem_euclid(DAY));
    match date.strip_suffix(" BC") {
        Some(d) => format!("{d} {time} BC"),
        None => format!("{date} {time}"),
    }
}

/// ISO 8601 duration with the three parts kept apart: `P14M3DT4.5S`; zero is `PT0S`.
#[must_use]
pub fn interval_text(months: i32, days: i32, micros: i64) -> String {
    let mut s = String::from("P");
    if months != 0 {
        s.push_str(&format!("{months}M"));
    }
    if days != 0 {
        s.push_str(&format!("{days}D"));
    }
    if micros != 0 || (months == 0 && days == 0) {
        let (sign, m) = if micros < 0 { ("-", -i128::from(micros)) } else { ("", i128::from(micros)) };
        let frac = format!("{:06}", m % 1_000_000);
        let frac = frac.trim_end_matches('0');
        let dot = if frac.is_empty() { "" } else { "." };
        s.push_str(&format!("T{sign}{}{dot}{frac}S", m / 1_000_000));
    }
    s
}

/// The interval of [`interval_text`] back.
#[must_use]
pub fn parse_interval(text: &str) -> Option<(i32, i32, i64)> {
    let rest = text.strip_prefix('P')?;
    let (date, time) = rest.split_once('T').map_or((rest, None), |(d, t)| (d, Some(t)));
    let (months, date) = match date.split_once('M') {
        Some((m, rest)) => (m.parse().ok()?, rest),
        None => (0, date),
    };
    let days = if date.is_empty() { 0 } else { date.strip_suffix('D')?.parse().ok()? };
    let Some(time) = time else { return Some((months, days, 0)) };
    let secs = time.strip_suffix('S')?;
    let (negative, secs) = secs.strip_prefix('-').map_or((false, secs), |s| (true, s));
    let (whole, frac) = secs.split_once('.').unwrap_or((secs, ""));
    let micros = whole.parse::<i128>().ok()? * 1_000_000 + i128::from(fraction_micros(frac)?);
    i64::try_from(if negative { -micros } else { micros }).ok().map(|m| (months, days, m))
}

/// A date as `YYYY-MM-DD`, optionally ` BC`. Nothing else: `None` for `2024-02-30`, `2024-00-10`, `0000-00-00`.
#[must_use]
pub fn parse_date(text: &str) -> Option<Days> {
    let (text, bc) = text.strip_suffix(" BC").map_or((text, false), |t| (t, true));
    let mut parts = text.splitn(3, '-');
    let (y, m, d) = (parts.next()?, parts.next()?, parts.next()?);
    if y.len() < 4 || m.len() != 2 || d.len() != 2 {
        return None;
    }
    let year: i32 = digits(y)?;
    if year == 0 {
        return None;
    }
    days_from_civil(if bc { 1 - year } else { year }, digits(m)?, digits(d)?)
}

/// A time of day as `HH:MM[:SS[.ffffff]]`, up to and including `24:00:00`. More than six fraction digits is `None`, never a rounding.
#[must_use]
pub fn parse_time(text: &str) -> Option<Micros> {
    let mut parts = text.splitn(3, ':');
    let (h, m, s) = (parts.next()?, parts.next()?, parts.next().unwrap_or("00"));
    let (s, frac) = s.split_once('.').unwrap_or((s, ""));
    if h.len() != 2 || m.len() != 2 || s.len() != 2 {
        return None;
    }
    let (h, m, s): (i64, i64, i64) = (digits(h)?, digits(m)?, digits(s)?);
    if m > 59 || s > 59 {
        return None;
    }
    let micros = ((h * 60 + m) * 60 + s) * SECOND + fraction_micros(frac)?;
    (micros <= DAY).then_some(micros)
}

/// A timestamp as `YYYY-MM-DD[ T]HH:MM[:SS[.ffffff]]`, optionally ` BC`, without offset.
#[must_use]
pub fn parse_timestamp(text: &str) -> Option<Micros> {
    let (text, bc) = text.strip_suffix(" BC").map_or((text, ""), |t| (t, " BC"));
    let at = text.find([' ', 'T'])?;
    let days = parse_date(&format!("{}{bc}", &text[..at]))?;
    let time = parse_time(&text[at + 1..])?;
    (time < DAY).then_some(())?;
    i64::from(days).checked_mul(DAY)?.checked_add(time)
}

/// A timestamp followed by `Z`, `±HH`, `±HHMM` or `±HH:MM[:SS]`.
#[must_use]
pub fn parse_timestamptz(text: &str) -> Option<Micros> {
    let (text, bc) = text.strip_suffix(" BC").map_or((text, ""), |t| (t, " BC"));
    if let Some(t) = text.strip_suffix(['Z', 'z']) {
        return parse_timestamp(&format!("{t}{bc}"));
    }
    let at = text.rfind(['+', '-']).filter(|&at| at > 10)?;
    let sign = if text.as_bytes()[at] == b'-' { -1 } else { 1 };
    let plain: String = text[at + 1..].chars().filter(|c| *c != ':').collect();
    if !matches!(plain.len(), 2 | 4 | 6) {
        return None;
    }
    let part = |i: usize| plain.get(i..i + 2).map_or(Some(0), digits::<i64>);
    let offset = (part(0)? * 60 + part(2)?) * 60 + part(4)?;
    parse_timestamp(&format!("{}{bc}", text[..at].trim_end()))?.checked_sub(sign * offset * SECOND)
}

/// A UUID as 8-4-4-4-12 lower hex.
#[must_use]
pub fn uuid_text(u: &[u8; 16]) -> String {
    let mut s = String::with_capacity(36);
    for (i, b) in u.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            s.push('-');
        }
        s.push_str(&format!("{b:02x}"));
    }
    s
}

/// A UUID from 32 hex digits, with or without dashes and braces, any case.
#[must_use]
pub fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let text = text.strip_prefix('{').and_then(|t| t.strip_suffix('}')).unwrap_or(text);
    let mut out = [0u8; 16];
    let mut n = 0;
    for c in text.chars().filter(|c| *c != '-') {
        let d = u8::try_from(c.to_digit(16)?).ok()?;
        let slot = out.get_mut(n / 2)?;
        *slot = *slot << 4 | d;
        n += 1;
    }
    (n == 32).then_some(out)
}

fn fraction_micros(frac: &str) -> Option<i64> {
    let frac = if frac.len() > 6 { frac[..].strip_suffix(&"0".repeat(frac.len() - 6))? } else { frac };
    if frac.is_empty() {
        return Some(0);
    }
    let n: i64 = digits(frac)?;
    Some(n * 10i64.pow(6 - u32::try_from(frac.len()).ok()?))
}

fn digits<T: std::str::FromStr>(s: &str) -> Option<T> {
    (!s.is_empty() && s.bytes().all(|b| b.is_ascii_digit())).then(|| s.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_days_have_their_known_text() {
        for (days, text) in [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (19_782, "2024-02-29"),
            (-719_162, "0001-01-01"),
            (-719_163, "0001-12-31 BC"),
            (2_145_042_905, "5874897-12-31"),
        ] {
            assert_eq!(date_text(days), text);
            assert_eq!(parse_date(text), Some(days));
        }
    }

    // case: H1
    #[test]
    fn impossible_days_are_refused_and_year_nine_survives() {
        for bad in ["0000-00-00", "2024-00-10", "2024-02-30", "2023-02-29", "24-01-01", "2024-1-1", ""] {
            assert_eq!(parse_date(bad), None, "{bad}");
        }
        assert_eq!(parse_date("0009-12-04").map(date_text).as_deref(), Some("0009-12-04"));
    }

    #[test]
    fn offsets_move_the_instant_and_seven_digits_are_never_rounded() {
        let noon = parse_timestamp("2024-06-01 12:00:00").unwrap();
        assert_eq!(parse_timestamptz("2024-06-01 14:00:00+02"), Some(noon));
        assert_eq!(parse_timestamptz("2024-06-01T08:30:00-03:30"), Some(noon));
        assert_eq!(parse_timestamptz("2024-06-01T12:00:00Z"), Some(noon));
        assert_eq!(parse_timestamp("2024-06-01 12:00:00.1234567"), None);
        assert_eq!(parse_timestamp("2024-06-01 12:00:00.1234560"), Some(noon + 123_456));
    }

    proptest! {
        #[test]
        fn dates_round_trip(days in -2_440_588i32..=2_145_042_905) {
            prop_assert_eq!(parse_date(&date_text(days)), Some(days));
        }
        #[test]
        fn timestamps_round_trip(micros in -210_866_803_200_000_000i64..9_223_372_036_854_775_807) {
            prop_assert_eq!(parse_timestamp(&timestamp_text(micros)), Some(micros));
        }
        #[test]
        fn intervals_round_trip(months: i32, days: i32, micros: i64) {
            prop_assert_eq!(parse_interval(&interval_text(months, days, micros)), Some((months, days, micros)));
        }
        #[test]
        fn parsers_never_panic(s in "\\PC{0,40}") {
            let _ = (parse_date(&s), parse_time(&s), parse_timestamp(&s), parse_timestamptz(&s), parse_uuid(&s), parse_interval(&s));
        }
        #[test]
        fn uuids_round_trip(u: [u8; 16]) {
            prop_assert_eq!(parse_uuid(&uuid_text(&u)), Some(u));
        }
    }
}
