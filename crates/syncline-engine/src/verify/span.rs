//! Spans of time as the systems write them: PostgreSQL's ISO 8601 durations, MySQL's `-838:59:59`, clock times.

use syncline_model::civil::SECOND;

/// Months, days and microseconds, kept apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    months: i64,
    days: i64,
    micros: i64,
}

impl Span {
    /// The parts as bytes.
    #[must_use]
    pub fn bytes(self) -> [u8; 24] {
        let mut b = [0; 24];
        b[..8].copy_from_slice(&self.months.to_le_bytes());
        b[8..16].copy_from_slice(&self.days.to_le_bytes());
        b[16..].copy_from_slice(&self.micros.to_le_bytes());
        b
    }
}

/// Reads a span; `None` for anything else, and for more than six fraction digits.
#[must_use]
pub fn parse(text: &str) -> Option<Span> {
    match text.strip_prefix('P') {
        Some(parts) => duration(parts),
        None => clock(text).map(|micros| Span { micros, ..Span::default() }),
    }
}

/// `1Y2M-3DT4H5M-6.5S`: every part has its own sign.
fn duration(parts: &str) -> Option<Span> {
    let mut span = Span::default();
    let (mut rest, mut in_time) = (parts, false);
    while !rest.is_empty() {
        if let Some(tail) = rest.strip_prefix('T') {
            (rest, in_time) = (tail, true);
            continue;
        }
        let at = rest.find(|c: char| c.is_ascii_alphabetic())?;
        let (number, unit) = (&rest[..at], rest.as_bytes()[at]);
        rest = &rest[at + 1..];
        let whole = || number.parse::<i64>().ok();
        let part = match (unit, in_time) {
            (b'Y', false) => (&mut span.months, whole()?.checked_mul(12)?),
            (b'M', false) => (&mut span.months, whole()?),
            (b'D', false) => (&mut span.days, whole()?),
            (b'H', true) => (&mut span.micros, whole()?.checked_mul(3600 * SECOND)?),
            (b'M', true) => (&mut span.micros, whole()?.checked_mul(60 * SECOND)?),
            (b'S', true) => (&mut span.micros, seconds(number)?),
            _ => return None,
        };
        *part.0 = part.0.checked_add(part.1)?;
    }
    Some(span)
}

/// `[-]HH[H]:MM[:SS[.ffffff]]`.
fn clock(text: &str) -> Option<i64> {
    let (sign, rest) = text.strip_prefix('-').map_or((1, text), |t| (-1, t));
    let mut parts = rest.splitn(3, ':');
    let (h, m, s) = (parts.next()?, parts.next()?, parts.next().unwrap_or("00"));
    let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit()).then(|| t.parse::<i64>().ok()).flatten();
    if h.len() < 2 || m.len() != 2 || s.starts_with(['-', '+']) {
        return None;
    }
    let micros = (digits(h)?.checked_mul(60)? + digits(m)?).checked_mul(60 * SECOND)?;
    Some(sign * micros.checked_add(seconds(s)?)?)
}

fn seconds(text: &str) -> Option<i64> {
    let (sign, rest) = text.strip_prefix('-').map_or((1, text), |t| (-1, t));
    let (whole, fraction) = rest.split_once('.').unwrap_or((rest, ""));
    let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    if fraction.len() > 6 || whole.is_empty() || !digits(whole) || !digits(fraction) {
        return None;
    }
    let micros: i64 = format!("{fraction:0<6}").parse().ok()?;
    Some(sign * whole.parse::<i64>().ok()?.checked_mul(SECOND)?.checked_add(micros)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use syncline_model::civil;

    // case: H4
    #[test]
    fn spans_of_all_systems_are_read() {
        let span = |months, days, micros| Some(Span { months, days, micros });
        for (text, want) in [
            ("P1Y2M3DT4H5M6.5S", span(14, 3, 4 * 3600 * SECOND + 306_500_000)),
            ("P-1Y2M-3DT-4H-0.000001S", span(-10, -3, -4 * 3600 * SECOND - 1)),
            ("PT0S", span(0, 0, 0)),
            ("-838:59:59.000000", span(0, 0, -(838 * 3600 + 59 * 60 + 59) * SECOND)),
            ("00:00:00.25", span(0, 0, 250_000)),
            ("24:00:00", span(0, 0, 86_400 * SECOND)),
            ("12:00", span(0, 0, 43_200 * SECOND)),
            ("12", None),
            ("P1W", None),
            ("PT1.1234567S", None),
            ("", None),
        ] {
            assert_eq!(parse(text), want, "{text}");
        }
        for (months, days, micros) in [(14, -3, 4_500_000), (0, 0, -3_600_000_001), (-1, 2, 0)] {
            let ours = civil::interval_text(months, days, micros);
            assert_eq!(parse(&ours), span(i64::from(months), i64::from(days), micros), "{ours}");
        }
    }
}
