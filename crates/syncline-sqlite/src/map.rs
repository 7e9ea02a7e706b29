//! Which column of ours holds what a column elsewhere holds, and how an existing one fits.

use syncline_connector::Fit;
use syncline_model::schema::{ColumnDefault, Identity};
use syncline_model::{Canon, Column, Engine, LogicalType as T};

use crate::affinity::Affinity;
use crate::native;

/// The column that holds every value of `column`.
pub(crate) fn map_column(column: &Column, from: Engine) -> (Column, Fit) {
    let mut mapped = column.clone();
    mapped.generated = false;
    mapped.auto_updated = false;
    mapped.comment = None;
    if from == Engine::Sqlite {
        return (mapped, Fit::Exact);
    }
    mapped.loose_collation = None;
    if let ColumnDefault::Expression(_) = column.default {
        mapped.default = ColumnDefault::None;
    }
    if column.identity != Identity::No && column.logical.is_integer() {
        mapped.identity = Identity::ByDefault;
        mapped.native = "INTEGER".into();
    } else {
        mapped.native = native::declare(&column.logical);
    }
    mapped.logical = native::logical(&mapped.native);
    let fit = fit(column, from, &mapped);
    (mapped, fit)
}

/// How the values of a source column fit an existing column.
pub(crate) fn fit(column: &Column, from: Engine, to: &Column) -> Fit {
    let unlike = || Fit::Never(format!("{} has no exact form in a column of type {}", column.native, spelled(to)));
    let affinity = Affinity::of(&to.native);
    if from == Engine::Sqlite && column.logical == to.logical && Affinity::of(&column.native) == affinity {
        return Fit::Exact;
    }
    if let T::Any = column.logical {
        return Fit::Checked(format!("values that a column of type {} would change are parked", spelled(to)));
    }
    let canon = Canon::for_pair((column, from), (to, Engine::Sqlite));
    match canon {
        Canon::Own => unlike_unless_same(column, to, unlike()),
        Canon::Number | Canon::DecimalScaled => number_fit(&column.logical, affinity, to),
        Canon::Float => float_fit(),
        Canon::Text | Canon::TextPadded | Canon::JsonText | Canon::JsonValue | Canon::Uuid if affinity != Affinity::Text => {
            Fit::Checked(format!("text that looks like a number is parked: a column of type {} would make a number of it", spelled(to)))
        }
        Canon::Text
        | Canon::TextPadded
        | Canon::JsonText
        | Canon::JsonValue
        | Canon::Uuid
        | Canon::Bytes
        | Canon::Date
        | Canon::Span
        | Canon::Timestamp
        | Canon::TimestampTz => Fit::Exact,
    }
}

fn unlike_unless_same(column: &Column, to: &Column, unlike: Fit) -> Fit {
    match (&column.logical, &to.logical) {
        (_, T::Any) if matches!(column.logical, T::Int { .. } | T::Bool | T::Year | T::Float { .. } | T::Text { .. } | T::Bytes { .. }) => {
            Fit::Checked("the column has no declared type: values that have no storage class of their own are parked".into())
        }
        _ => unlike,
    }
}

fn number_fit(from: &T, affinity: Affinity, to: &Column) -> Fit {
    let narrow = matches!(from, T::Bool | T::Year) || matches!(from, T::Int { bits, unsigned } if *bits < 64 || !unsigned);
    match (from, affinity, &to.logical) {
        (T::Float { .. }, _, _) => Fit::Checked("NaN, infinities and negative zero are parked".into()),
        (_, Affinity::Text, T::Decimal { .. }) => Fit::Exact,
        (_, Affinity::Integer | Affinity::Numeric | Affinity::Blob, _) if narrow => Fit::Exact,
        (T::Int { .. }, Affinity::Integer | Affinity::Numeric | Affinity::Blob, _) => {
            Fit::Checked("values over 9223372036854775807 are parked".into())
        }
        _ => Fit::Checked(format!("values with more digits than a column of type {} keeps are parked", spelled(to))),
    }
}

fn float_fit() -> Fit {
    Fit::Checked("NaN and negative zero are parked: sqlite keeps neither in a REAL column".into())
}

fn spelled(column: &Column) -> &str {
    if column.native.is_empty() { "(none declared)" } else { &column.native }
}
