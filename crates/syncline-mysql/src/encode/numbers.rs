//! Integers, decimals and floats.

use syncline_model::{ValueRef, decimal as text};

use super::{Refusal, mismatch, refuse};
use crate::literal::push_display;

/// Doubles hold every integer up to here.
const EXACT: f64 = 9_007_199_254_740_992.0;

fn whole(v: ValueRef<'_>) -> Result<i128, Refusal> {
    match v {
        ValueRef::Bool(b) => Ok(i128::from(b)),
        ValueRef::I64(n) => Ok(i128::from(n)),
        ValueRef::U64(n) => Ok(i128::from(n)),
        ValueRef::F64(x) if x.is_nan() || x.is_infinite() => refuse("nan", "NaN and infinity have no place in an integer column"),
        ValueRef::F64(x) if x.fract() != 0.0 => refuse("value_inexact", "the fraction would be rounded away"),
        ValueRef::F64(x) if x.abs() > EXACT => refuse("value_out_of_range", "the number is too large to be an exact integer"),
        #[allow(clippy::cast_possible_truncation, reason = "whole and within 2^53, checked above")]
        ValueRef::F64(x) => Ok(x as i128),
        ValueRef::Decimal(s) => match text::normal(s).as_deref() {
            Some("NaN" | "Infinity" | "-Infinity") => refuse("nan", "NaN and infinity have no place in an integer column"),
            Some(n) if n.contains('.') => refuse("value_inexact", "the fraction would be rounded away"),
            Some(n) => n.parse().or_else(|_| refuse("value_out_of_range", "the number is out of the column's range")),
            None => mismatch(v),
        },
        v => mismatch(v),
    }
}

pub(super) fn integer(out: &mut Vec<u8>, v: ValueRef<'_>, bits: u8, unsigned: bool) -> Result<(), Refusal> {
    let n = whole(v)?;
    let (low, high) = if unsigned { (0, (1_i128 << bits) - 1) } else { (-(1_i128 << (bits - 1)), (1_i128 << (bits - 1)) - 1) };
    if !(low..=high).contains(&n) {
        return refuse("value_out_of_range", format!("the number is outside {low} to {high}"));
    }
    push_display(out, n);
    Ok(())
}

pub(super) fn year(out: &mut Vec<u8>, v: ValueRef<'_>) -> Result<(), Refusal> {
    let n = whole(v)?;
    if n != 0 && !(1901..=2155).contains(&n) {
        return refuse("value_out_of_range", "a YEAR is 0 or 1901 to 2155");
    }
    // As text of four digits: the number 0 would become 2000 in some versions.
    push_display(out, format_args!("'{n:04}'"));
    Ok(())
}

pub(super) fn decimal(out: &mut Vec<u8>, v: ValueRef<'_>, limits: Option<(u32, i32)>, unsigned: bool) -> Result<(), Refusal> {
    let owned;
    let s = match v {
        ValueRef::Decimal(s) => s,
        ValueRef::F64(x) if x.is_finite() => {
            owned = x.to_string();
            &owned
        }
        ValueRef::F64(_) => "NaN",
        v => {
            owned = whole(v)?.to_string();
            &owned
        }
    };
    let Some(n) = text::normal(s) else { return mismatch(v) };
    if matches!(&*n, "NaN" | "Infinity" | "-Infinity") {
        return refuse("nan", "NaN and infinity have no place in a decimal column");
    }
    let (precision, scale) = limits.unwrap_or((65, 30));
    let fraction = n.split_once('.').map_or(0, |(_, f)| f.len());
    let scale = u32::try_from(scale).unwrap_or(0);
    if fraction > scale as usize {
        return refuse("value_inexact", format!("{fraction} fraction digits would be rounded to {scale}"));
    }
    if !text::fits(&n, precision, scale) || (unsigned && n.starts_with('-')) {
        return refuse("value_out_of_range", format!("the number does not fit decimal({precision},{scale})"));
    }
    out.extend_from_slice(n.as_bytes());
    Ok(())
}

pub(super) fn float(out: &mut Vec<u8>, v: ValueRef<'_>, bits: u8) -> Result<(), Refusal> {
    let inexact = || refuse("value_inexact", "the number would be rounded");
    let x = match v {
        ValueRef::F64(x) => x,
        ValueRef::Bool(_) | ValueRef::I64(_) | ValueRef::U64(_) => {
            let n = whole(v)?;
            #[allow(clippy::cast_precision_loss, reason = "only kept when it comes back as it was")]
            let x = n as f64;
            #[allow(clippy::cast_possible_truncation, reason = "compared with the original")]
            if x as i128 != n {
                return inexact();
            }
            x
        }
        ValueRef::Decimal(s) => match (text::normal(s), s.parse::<f64>()) {
            (Some(n), Ok(x)) if x.is_nan() || x.is_infinite() || text::normal(&x.to_string()).as_ref() == Some(&n) => x,
            (Some(_), _) => return inexact(),
            (None, _) => return mismatch(v),
        },
        v => return mismatch(v),
    };
    if !x.is_finite() {
        return refuse("nan", "the server holds neither NaN nor infinity");
    }
    if x == 0.0 && x.is_sign_negative() {
        return refuse("negative_zero", "the server would turn -0 into 0");
    }
    #[allow(clippy::cast_possible_truncation, reason = "compared with the original")]
    if bits == 32 && f64::from(x as f32).to_bits() != x.to_bits() {
        return inexact();
    }
    push_display(out, format_args!("{x:e}"));
    Ok(())
}
