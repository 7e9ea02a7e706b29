//! Booleans and numbers: the same value, or a refusal.

use std::borrow::Cow;

use syncline_model::{LogicalType, ValueRef, decimal};

use super::{Refusal, Target, refuse};
use crate::numeric;

impl Target {
    pub(super) fn boolean(&self, v: ValueRef<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let b = match v {
            ValueRef::Bool(b) => b,
            ValueRef::I64(0) | ValueRef::U64(0) => false,
            ValueRef::I64(1) | ValueRef::U64(1) => true,
            ValueRef::I64(_) | ValueRef::U64(_) => return refuse("value_out_of_range", "only 0 and 1 are booleans"),
            _ => return self.mismatch(v),
        };
        out.push(u8::from(b));
        Ok(())
    }

    pub(super) fn integer(&self, v: ValueRef<'_>, width: u8, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let n = match v {
            ValueRef::I64(n) => Some(n),
            ValueRef::U64(n) => i64::try_from(n).ok(),
            ValueRef::Bool(b) => Some(i64::from(b)),
            ValueRef::Decimal(s) => match decimal::normal(s) {
                Some(n) if n.contains('.') => return refuse("value_inexact", format!("a fraction does not fit {}", self.native)),
                Some(n) => n.parse().ok(),
                None => return self.mismatch(v),
            },
            ValueRef::F64(x) if x.is_finite() && x.fract() != 0.0 => {
                return refuse("value_inexact", format!("a fraction does not fit {}", self.native));
            }
            // Rust's text of a whole double has all its digits and no exponent.
            ValueRef::F64(x) if x.is_finite() => x.to_string().parse().ok(),
            _ => return self.mismatch(v),
        };
        let fits = match (n, width) {
            (Some(n), 2) => i16::try_from(n).map(|n| out.extend_from_slice(&n.to_be_bytes())).is_ok(),
            (Some(n), 4) => i32::try_from(n).map(|n| out.extend_from_slice(&n.to_be_bytes())).is_ok(),
            (Some(n), _) => {
                out.extend_from_slice(&n.to_be_bytes());
                true
            }
            (None, _) => false,
        };
        if fits { Ok(()) } else { refuse("value_out_of_range", format!("the number is outside {}", self.native)) }
    }

    pub(super) fn float(&self, v: ValueRef<'_>, width: u8, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let inexact = || refuse("value_inexact", format!("{} would round the number", self.native));
        let x = match v {
            ValueRef::F64(x) => x,
            ValueRef::Bool(b) => f64::from(u8::from(b)),
            ValueRef::I64(_) | ValueRef::U64(_) | ValueRef::Decimal(_) => match exact_double(v) {
                Some(x) => x,
                None => return inexact(),
            },
            _ => return self.mismatch(v),
        };
        if width == 8 {
            out.extend_from_slice(&x.to_bits().to_be_bytes());
            return Ok(());
        }
        #[allow(clippy::cast_possible_truncation, reason = "the next line proves that nothing was lost")]
        let narrow = x as f32;
        if f64::from(narrow).to_bits() != x.to_bits() && !x.is_nan() {
            return inexact();
        }
        out.extend_from_slice(&narrow.to_bits().to_be_bytes());
        Ok(())
    }

    pub(super) fn numeric(&self, v: ValueRef<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let text: Cow<'_, str> = match v {
            ValueRef::Decimal(s) => Cow::Borrowed(s),
            ValueRef::I64(n) => Cow::Owned(n.to_string()),
            ValueRef::U64(n) => Cow::Owned(n.to_string()),
            ValueRef::Bool(b) => Cow::Borrowed(if b { "1" } else { "0" }),
            ValueRef::F64(x) if x.is_nan() => Cow::Borrowed("NaN"),
            ValueRef::F64(x) if x.is_infinite() => Cow::Borrowed(if x > 0.0 { "Infinity" } else { "-Infinity" }),
            ValueRef::F64(x) => Cow::Owned(x.to_string()),
            _ => return self.mismatch(v),
        };
        if let LogicalType::Decimal { limits: Some((precision, scale)) } = self.logical {
            if text.ends_with("Infinity") {
                return refuse("value_out_of_range", format!("{} has no infinity", self.native));
            }
            if &*text != "NaN" && !numeric::fits(&text, precision, scale) {
                let too_fine = decimal::parts(&text)
                    .is_some_and(|p| i64::try_from(p.fraction.trim_end_matches('0').len()).is_ok_and(|n| n > i64::from(scale.max(0))));
                let code = if too_fine { "value_inexact" } else { "value_out_of_range" };
                return refuse(code, format!("the number does not fit {}", self.native));
            }
        }
        match numeric::encode(&text, out) {
            Some(()) => Ok(()),
            None => refuse("value_out_of_range", format!("the number is beyond what {} can hold", self.native)),
        }
    }
}

/// The double whose shortest text is this number.
fn exact_double(v: ValueRef<'_>) -> Option<f64> {
    let text = match v {
        ValueRef::I64(n) => n.to_string(),
        ValueRef::U64(n) => n.to_string(),
        ValueRef::Decimal("NaN") => return Some(f64::NAN),
        ValueRef::Decimal("Infinity") => return Some(f64::INFINITY),
        ValueRef::Decimal("-Infinity") => return Some(f64::NEG_INFINITY),
        ValueRef::Decimal(s) => s.to_owned(),
        _ => return None,
    };
    let x: f64 = text.parse().ok()?;
    (decimal::normal(&x.to_string())? == decimal::normal(&text)?).then_some(x)
}
