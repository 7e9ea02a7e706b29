//! NUMERIC of COPY BINARY, digit for digit: base-10000 groups with a weight and a display scale.
//!
//! The scale is part of the value here (`1.0` and `1.00` are two texts), because two PostgreSQL columns may tell them apart.

use syncline_model::decimal;

const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;
const PLUS_INFINITY: u16 = 0xD000;
const MINUS_INFINITY: u16 = 0xF000;

/// What the server's format can address: digits before and after the point.
const WHOLE_DIGITS_MAX: usize = 131_072;
const FRACTION_DIGITS_MAX: usize = 16_383;

/// Appends the exact text of a numeric. `None` when the bytes are no numeric.
pub fn decode(bytes: &[u8], out: &mut String) -> Option<()> {
    let word = |i: usize| Some(u16::from_be_bytes(bytes.get(2 * i..2 * i + 2)?.try_into().ok()?));
    let (count, sign, scale) = (usize::from(word(0)?), word(2)?, usize::from(word(3)?));
    let weight = i32::from(i16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?));
    match sign {
        NAN => out.push_str("NaN"),
        PLUS_INFINITY => out.push_str("Infinity"),
        MINUS_INFINITY => out.push_str("-Infinity"),
        _ => {
            if bytes.len() != 8 + 2 * count {
                return None;
            }
            if sign == NEGATIVE {
                out.push('-');
            }
            let group = |at: i32| usize::try_from(at).ok().filter(|i| *i < count).and_then(|i| word(4 + i)).unwrap_or(0);
            whole(out, weight, group);
            fraction(out, weight, scale, group);
        }
    }
    Some(())
}

fn whole(out: &mut String, weight: i32, group: impl Fn(i32) -> u16) {
    if weight < 0 {
        out.push('0');
        return;
    }
    let first = four(group(0));
    let skip = first.iter().position(|d| *d != b'0').unwrap_or(3);
    first[skip..].iter().for_each(|d| out.push(char::from(*d)));
    for at in 1..=weight {
        four(group(at)).iter().for_each(|d| out.push(char::from(*d)));
    }
}

fn fraction(out: &mut String, weight: i32, scale: usize, group: impl Fn(i32) -> u16) {
    if scale == 0 {
        return;
    }
    out.push('.');
    let (mut left, mut at) = (scale, weight + 1);
    // Groups between the point and the first stored one are zero.
    let mut leading = (-1 - weight).max(0);
    while left > 0 {
        let digits = if leading > 0 {
            leading -= 1;
            *b"0000"
        } else {
            let d = four(group(at.max(0)));
            at = at.max(0) + 1;
            d
        };
        for d in digits.iter().take(left) {
            out.push(char::from(*d));
        }
        left -= left.min(4);
    }
}

fn four(n: u16) -> [u8; 4] {
    let digit = |d: u16| b'0' + u8::try_from(d % 10).expect("invariant: a digit");
    [digit(n / 1000), digit(n / 100), digit(n / 10), digit(n)]
}

/// Appends the binary form of decimal text. `None` when it is no decimal or beyond what the format can hold.
pub fn encode(text: &str, out: &mut Vec<u8>) -> Option<()> {
    let special = match text {
        "NaN" => Some(NAN),
        "Infinity" => Some(PLUS_INFINITY),
        "-Infinity" => Some(MINUS_INFINITY),
        _ => None,
    };
    if let Some(sign) = special {
        header(out, 0, 0, sign, 0);
        return Some(());
    }
    let p = decimal::parts(text)?;
    if p.whole.len() > WHOLE_DIGITS_MAX || p.fraction.len() > FRACTION_DIGITS_MAX {
        return None;
    }
    let start = out.len();
    header(out, 0, 0, 0, u16::try_from(p.fraction.len()).ok()?);
    // The first group of the whole part is the short one, the last of the fraction is filled with zeros.
    let lead = p.whole.len() % 4;
    let (head, tail) = p.whole.as_bytes().split_at(lead);
    let mut groups = Groups { out, count: 0, weight: i16::try_from(p.whole.len().div_ceil(4)).ok()? - 1, last: 0 };
    if lead > 0 {
        groups.push(number(head));
    }
    tail.chunks(4).for_each(|c| groups.push(number(c)));
    for c in p.fraction.as_bytes().chunks(4) {
        let scale = 10u16.pow(4 - u32::try_from(c.len()).expect("invariant: at most 4"));
        groups.push(number(c) * scale);
    }
    let (count, weight) = groups.finish();
    let sign = if p.negative && count > 0 { NEGATIVE } else { 0 };
    let head = [count, u16::from_ne_bytes(weight.to_ne_bytes()), sign];
    for (i, word) in head.iter().enumerate() {
        out[start + 2 * i..start + 2 * i + 2].copy_from_slice(&word.to_be_bytes());
    }
    Some(())
}

fn header(out: &mut Vec<u8>, count: u16, weight: u16, sign: u16, scale: u16) {
    for word in [count, weight, sign, scale] {
        out.extend_from_slice(&word.to_be_bytes());
    }
}

fn number(digits: &[u8]) -> u16 {
    digits.iter().fold(0, |n, d| n * 10 + u16::from(d - b'0'))
}

/// Groups as they are written, leading and trailing zero groups left out.
struct Groups<'o> {
    out: &'o mut Vec<u8>,
    count: u16,
    weight: i16,
    /// Groups up to the last that is not zero.
    last: u16,
}

impl Groups<'_> {
    fn push(&mut self, group: u16) {
        if self.count == 0 && group == 0 {
            self.weight -= 1;
            return;
        }
        self.out.extend_from_slice(&group.to_be_bytes());
        self.count += 1;
        if group != 0 {
            self.last = self.count;
        }
    }

    fn finish(self) -> (u16, i16) {
        self.out.truncate(self.out.len() - 2 * usize::from(self.count - self.last));
        if self.last == 0 { (0, 0) } else { (self.last, self.weight) }
    }
}

/// Whether a finite decimal fits `numeric(precision, scale)` without rounding; the scale may be negative or above the precision.
#[must_use]
pub fn fits(text: &str, precision: u32, scale: i32) -> bool {
    let Some(p) = decimal::parts(text) else { return false };
    let digits = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    let fraction = p.fraction.trim_end_matches('0');
    let (precision, scale) = (i64::from(precision), i64::from(scale));
    if p.whole.is_empty() && fraction.is_empty() {
        return true;
    }
    if digits(fraction.len()) > scale.max(0) {
        return false;
    }
    if scale < 0 && digits(p.whole.len() - p.whole.trim_end_matches('0').len()) < -scale {
        return false;
    }
    // The most significant digit has to stay below 10^(precision − scale).
    let magnitude =
        if p.whole.is_empty() { -digits(fraction.len() - fraction.trim_start_matches('0').len()) } else { digits(p.whole.len()) };
    magnitude <= precision - scale
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round(text: &str) -> String {
        let (mut bytes, mut back) = (Vec::new(), String::new());
        encode(text, &mut bytes).expect("a decimal");
        decode(&bytes, &mut back).expect("a numeric");
        back
    }

    #[test]
    fn scale_and_sign_survive() {
        for text in
            ["0", "0.00", "1.0", "1.00", "-0.0001", "10000", "100000000", "12345678901234567890.12", "0.00000001", "NaN", "-Infinity"]
        {
            assert_eq!(round(text), text);
        }
        assert_eq!(round("-0.0"), "0.0", "PostgreSQL has no negative zero");
    }

    #[test]
    fn a_known_value_has_its_known_bytes() {
        let mut bytes = Vec::new();
        encode("-12345.678", &mut bytes).unwrap();
        assert_eq!(bytes, [0, 3, 0, 1, 0x40, 0, 0, 3, 0, 1, 0x09, 0x29, 0x1a, 0x7c]);
    }

    // case: H7
    #[test]
    fn what_would_be_rounded_does_not_fit() {
        assert!(fits("99999999.99", 10, 2) && fits("1.2300", 10, 2));
        assert!(!fits("1.239", 10, 2) && !fits("100000000", 10, 2));
        assert!(fits("12000", 2, -3) && !fits("12345", 2, -3));
        assert!(fits("0.00012", 2, 5) && !fits("0.001", 2, 5));
    }

    proptest! {
        #[test]
        fn decimals_round_trip(whole in "[1-9][0-9]{0,40}|0", fraction in "[0-9]{0,40}", negative: bool) {
            let dot = if fraction.is_empty() { "" } else { "." };
            let zero = whole == "0" && fraction.bytes().all(|b| b == b'0');
            let sign = if negative && !zero { "-" } else { "" };
            let text = format!("{sign}{whole}{dot}{fraction}");
            prop_assert_eq!(round(&text), text);
        }

        #[test]
        fn decoding_never_panics(bytes: Vec<u8>) {
            let mut out = String::new();
            let _ = decode(&bytes, &mut out);
        }
    }
}
