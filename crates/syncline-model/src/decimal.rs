//! Exact decimals as text. `NaN`, `Infinity` and `-Infinity` are the only words.

use std::borrow::Cow;
use std::cmp::Ordering;

/// The parts of a finite decimal: sign, digits before and after the point, leading zeros cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts<'a> {
    /// True for values below zero, and for `-0`.
    pub negative: bool,
    /// Integer digits without leading zeros; empty for values below one.
    pub whole: &'a str,
    /// Fraction digits as written.
    pub fraction: &'a str,
}

/// Splits finite decimal text; `None` for the words, exponents and anything that is not a decimal.
#[must_use]
pub fn parts(text: &str) -> Option<Parts<'_>> {
    let (negative, rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (whole, fraction) = rest.split_once('.').unwrap_or((rest, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !digits(whole) || !digits(fraction) {
        return None;
    }
    Some(Parts { negative, whole: whole.trim_start_matches('0'), fraction })
}

/// The number's value in one spelling: no leading or trailing zeros, `0` for every zero. Words pass through.
/// `None` for text that is no decimal.
#[must_use]
pub fn normal(text: &str) -> Option<Cow<'_, str>> {
    if matches!(text, "NaN" | "Infinity" | "-Infinity") {
        return Some(Cow::Borrowed(text));
    }
    let p = parts(text)?;
    let fraction = p.fraction.trim_end_matches('0');
    if p.whole.is_empty() && fraction.is_empty() {
        return Some(Cow::Borrowed("0"));
    }
    let whole = if p.whole.is_empty() { "0" } else { p.whole };
    let sign = if p.negative { "-" } else { "" };
    let dot = if fraction.is_empty() { "" } else { "." };
    let out = format!("{sign}{whole}{dot}{fraction}");
    Some(if out == text { Cow::Borrowed(text) } else { Cow::Owned(out) })
}

/// Plain decimal text of `1.5e3`-style text, exactly; plain text passes. `None` when it is no number or the
/// exponent is absurd (over 20,000 digits would come out).
#[must_use]
pub fn expand_exponent(text: &str) -> Option<Cow<'_, str>> {
    let Some(at) = text.find(['e', 'E']) else {
        return parts(text).map(|_| Cow::Borrowed(text));
    };
    let exp: i32 = text[at + 1..].parse().ok()?;
    if exp.unsigned_abs() > 20_000 {
        return None;
    }
    let p = parts(&text[..at])?;
    let digits = format!("{}{}", p.whole, p.fraction);
    let point = i64::try_from(p.whole.len()).ok()? + i64::from(exp);
    let sign = if p.negative { "-" } else { "" };
    let len = i64::try_from(digits.len()).ok()?;
    let body = if point <= 0 {
        format!("0.{}{digits}", "0".repeat(usize::try_from(-point).ok()?))
    } else if point >= len {
        format!("{digits}{}", "0".repeat(usize::try_from(point - len).ok()?))
    } else {
        let (a, b) = digits.split_at(usize::try_from(point).ok()?);
        format!("{a}.{b}")
    };
    Some(Cow::Owned(format!("{sign}{body}")))
}

/// Whether the value fits `decimal(precision, scale)` without rounding.
#[must_use]
pub fn fits(text: &str, precision: u32, scale: u32) -> bool {
    let Some(p) = parts(text) else { return false };
    let fraction = p.fraction.trim_end_matches('0');
    let whole_max = precision.saturating_sub(scale) as usize;
    fraction.len() <= scale as usize && p.whole.len() <= whole_max
}

/// Which of two decimals is the greater by value, whatever their spelling: `-Infinity` before all others, `NaN` behind them. `None` for what
/// is no decimal.
#[must_use]
pub fn compare(a: &str, b: &str) -> Option<Ordering> {
    let (a, b) = (normal(a)?, normal(b)?);
    let rank = |s: &str| -> i8 {
        match s {
            "-Infinity" => -2,
            "Infinity" => 2,
            "NaN" => 3,
            "0" => 0,
            s if s.starts_with('-') => -1,
            _ => 1,
        }
    };
    let by_rank = rank(&a).cmp(&rank(&b));
    if by_rank != Ordering::Equal || rank(&a).abs() != 1 {
        return Some(by_rank);
    }
    let (x, y) = (parts(&a)?, parts(&b)?);
    let size = x.whole.len().cmp(&y.whole.len()).then(x.whole.cmp(y.whole)).then(x.fraction.cmp(y.fraction));
    Some(if x.negative { size.reverse() } else { size })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_value_has_one_spelling() {
        for (text, want) in
            [("1.10", "1.1"), ("-0.00", "0"), ("007", "7"), (".5", "0.5"), ("5.", "5"), ("-0.10", "-0.1"), ("NaN", "NaN"), ("100", "100")]
        {
            assert_eq!(normal(text).as_deref(), Some(want));
        }
        for bad in ["", "-", ".", "1e5", "1.2.3", "abc", "١"] {
            assert_eq!(normal(bad), None, "{bad}");
        }
    }

    // case: H7
    #[test]
    fn a_value_that_would_be_rounded_does_not_fit() {
        assert!(!fits("1.239", 10, 2));
        assert!(fits("1.230", 10, 2));
        assert!(fits("99999999.99", 10, 2));
        assert!(!fits("100000000", 10, 2));
        assert!(!fits("NaN", 10, 2));
    }

    #[test]
    fn exponents_expand_exactly() {
        for (text, want) in [("1.5e3", "1500"), ("1e-3", "0.001"), ("-12.34E1", "-123.4"), ("0e0", "0."), ("7", "7")] {
            assert_eq!(normal(&expand_exponent(text).unwrap()), normal(want).map(|c| Cow::Owned(c.into_owned())));
        }
        assert_eq!(expand_exponent("1e400000"), None);
    }

    proptest! {
        #[test]
        fn normal_is_idempotent(text in "-?[0-9]{0,40}(\\.[0-9]{0,40})?") {
            if let Some(n) = normal(&text) {
                let again = normal(&n).map(|c| c.into_owned());
                prop_assert_eq!(again.as_deref(), Some(&*n));
            }
        }
    }

    #[test]
    fn the_words_lie_at_the_ends() {
        let sorted = ["-Infinity", "-10", "-9.5", "-0.1", "0", "0.05", "0.5", "9", "10", "Infinity", "NaN"];
        for (i, a) in sorted.iter().enumerate() {
            for (j, b) in sorted.iter().enumerate() {
                assert_eq!(compare(a, b), Some(i.cmp(&j)), "{a} {b}");
            }
        }
    }

    proptest! {
        #[test]
        fn decimals_order_as_numbers_do(a in -100_000i64..100_000, b in -100_000i64..100_000, scale in 0u32..4) {
            let text = |n: i64| format!("{}{}.{:03}", if n < 0 { "-" } else { "" }, n.abs() / 1000, n.abs() % 1000) + &"0".repeat(scale as usize);
            prop_assert_eq!(compare(&text(a), &text(b)), Some(a.cmp(&b)));
        }
    }
}
