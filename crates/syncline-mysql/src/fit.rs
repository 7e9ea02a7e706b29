//! Which column holds the values of another system's column, and how surely (pure).

use syncline_connector::Fit;
use syncline_model::schema::{ColumnDefault, Identity};
use syncline_model::{Canon, Column, Engine, LogicalType};

use crate::native::Native;

/// A collation under which keys are equal when their bytes are: both products execute only their own part.
pub(crate) const EXACT_COLLATION: &str = "CHARACTER SET utf8mb4 COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */";

/// The spelling of a column with a collation that MySQL and MariaDB both have, each in its part where they have none in common. Where there
/// is no twin, the stand-in tells more texts apart, save for trailing spaces outside utf8mb4: two keys of the source should not become one.
fn known_to_both(native: &str) -> String {
    let Some((spelling, collation)) = native.rsplit_once(" COLLATE ") else { return native.to_owned() };
    let twin = |mariadb: &str, mysql: &str| format!("{spelling} COLLATE /*M! {mariadb} */ /*!80017 {mysql} */");
    let lower = collation.to_ascii_lowercase();
    if lower.starts_with("utf8mb4_") && lower.contains("_0900_") {
        // Accents and case both ignored, nothing padded: the nearest that MariaDB has had since 10.2.
        let mariadb = if lower.ends_with("_ai_ci") { "utf8mb4_unicode_520_nopad_ci" } else { "utf8mb4_nopad_bin" };
        return twin(mariadb, collation);
    }
    if lower.contains("uca1400_") {
        let mysql = if lower.ends_with("_ai_ci") { "utf8mb4_0900_ai_ci" } else { "utf8mb4_0900_bin" };
        return if lower.starts_with("utf8mb3_") { twin(collation, "utf8mb3_bin") } else { twin(collation, mysql) };
    }
    match lower.split_once("_nopad_") {
        Some(("utf8mb4", "bin")) => twin(collation, "utf8mb4_0900_bin"),
        Some((start, _)) if start.starts_with("utf8mb4") => twin(collation, "utf8mb4_0900_as_cs"),
        Some((charset, _)) => twin(collation, &format!("{}_bin", charset.split('_').next().unwrap_or(charset))),
        None => native.to_owned(),
    }
}

/// Longest VARCHAR that a key of one column can hold: 3072 bytes of 4 per character.
pub(crate) const KEY_CHARS_MAX: u32 = 768;

/// The column that holds every value of `column`, or as nearly as this system can.
pub(crate) fn map_column(column: &Column, from: Engine) -> (Column, Fit) {
    let (native, logical) = native_for(column, from);
    let mut to = Column {
        native,
        logical,
        generated: false,
        loose_collation: if from == Engine::Mysql { column.loose_collation.clone() } else { None },
        auto_updated: false,
        ..column.clone()
    };
    if from != Engine::Mysql && matches!(to.default, ColumnDefault::Expression(_)) {
        to.default = ColumnDefault::None;
    }
    if to.identity == Identity::Always {
        to.identity = Identity::ByDefault;
    }
    let fit = fit(column, from, &to);
    (to, fit)
}

fn native_for(column: &Column, from: Engine) -> (String, LogicalType) {
    use LogicalType as T;
    if from == Engine::Mysql && !matches!(column.logical, T::Json { .. }) {
        return (known_to_both(&column.native), column.logical.clone());
    }
    let plain = |spelling: String| {
        let logical = Native::parse(&spelling).logical(false);
        (spelling, logical)
    };
    let text = |spelling: &str| plain(format!("{spelling} {EXACT_COLLATION}"));
    match &column.logical {
        T::Bool => ("tinyint(1)".to_owned(), T::Int { bits: 8, unsigned: false }),
        T::Int { bits, unsigned } => {
            let base = match bits {
                0..=8 => "tinyint",
                9..=16 => "smallint",
                17..=24 => "mediumint",
                25..=32 => "int",
                _ => "bigint",
            };
            plain(format!("{base}{}", if *unsigned { " unsigned" } else { "" }))
        }
        T::Year => plain("year".to_owned()),
        T::Float { bits: 32 } => plain("float".to_owned()),
        T::Float { .. } => plain("double".to_owned()),
        T::Decimal { limits } => plain(decimal(*limits)),
        T::Text { chars_max: Some(n), fixed: true } if (1..=255).contains(n) => text(&format!("char({n})")),
        T::Text { chars_max: Some(n), .. } if *n <= KEY_CHARS_MAX => text(&format!("varchar({n})")),
        T::Bytes { bytes_max: Some(n), fixed: true } if (1..=255).contains(n) => plain(format!("binary({n})")),
        T::Bytes { bytes_max: Some(n), .. } if *n <= 1024 => plain(format!("varbinary({n})")),
        T::Bytes { .. } | T::Geometry => plain("longblob".to_owned()),
        T::Bit { len: Some(n), varying: false } if (1..=64).contains(n) => plain(format!("bit({n})")),
        T::Uuid => plain("char(36) CHARACTER SET ascii COLLATE ascii_bin".to_owned()),
        T::Date => plain("date".to_owned()),
        T::Time { digits } | T::TimeSpan { digits } => plain(format!("time({})", digits.min(&6))),
        T::Interval => plain("time(6)".to_owned()),
        T::Timestamp { digits } => plain(format!("datetime({})", digits.min(&6))),
        T::TimestampTz { digits } => plain(format!("timestamp({})", digits.min(&6))),
        T::Json { .. } => ("json".to_owned(), T::Json { normalised: false }),
        T::Enum { labels } if labels.iter().all(|l| enumerable(l)) => text(&labelled("enum", labels)),
        T::Set { labels } if labels.iter().all(|l| enumerable(l)) => text(&labelled("set", labels)),
        T::Text { .. } | T::Bit { .. } | T::Enum { .. } | T::Set { .. } | T::Other { .. } | T::Any => text("longtext"),
    }
}

/// Trailing spaces of labels are cut by the server, and a label has at most 255 characters.
fn enumerable(label: &str) -> bool {
    !label.ends_with(' ') && label.chars().count() <= 255
}

fn labelled(word: &str, labels: &[String]) -> String {
    let quoted: Vec<String> = labels.iter().map(|l| crate::quote::text(l)).collect();
    format!("{word}({})", quoted.join(","))
}

fn decimal(limits: Option<(u32, i32)>) -> String {
    let Some((precision, scale)) = limits else { return "decimal(65,30)".to_owned() };
    // A negative scale means trailing zeros before the point.
    let precision = if scale < 0 { precision.saturating_add(scale.unsigned_abs()) } else { precision };
    let scale = u32::try_from(scale).unwrap_or(0).min(30);
    format!("decimal({},{scale})", precision.max(scale).clamp(1, 65))
}

/// How the values of `column` fit an existing column.
pub(crate) fn fit(column: &Column, from: Engine, to: &Column) -> Fit {
    let own = Canon::for_pair((column, from), (to, Engine::Mysql)) == Canon::Own;
    if own && column.logical != LogicalType::Any {
        return Fit::Never(format!("no value of type {} has an exact form in {}", column.native, to.native));
    }
    match doubt(column, from, to) {
        None => Fit::Exact,
        Some(why) => Fit::Checked(why),
    }
}

/// Why some values may not fit; `None` when all do.
fn doubt(column: &Column, from: Engine, to: &Column) -> Option<String> {
    use LogicalType as T;
    let foreign = from != Engine::Mysql;
    let native = Native::parse(&to.native);
    let when = |doubtful: bool, why: &str| doubtful.then(|| why.to_owned());
    match (&column.logical, &to.logical) {
        (T::Any, _) => Some(format!("values whose kind has no exact form in {}", to.native)),
        (T::Bool, T::Int { .. }) => None,
        (T::Int { bits: a, unsigned: x }, T::Int { bits: b, unsigned: y }) => {
            when(!(if x == y { a <= b } else { *x && a < b }), "numbers outside the column's range")
        }
        (T::Int { bits, .. }, T::Decimal { limits: Some((p, s)) }) => {
            let digits = if *bits <= 32 { 10 } else { 20 };
            when(i64::from(*p) - i64::from(*s) < digits || native.unsigned, "numbers outside the column's range")
        }
        (T::Float { bits: a }, T::Float { bits: b }) => {
            when(a > b || foreign, "NaN, infinity, -0 and numbers with more digits than the column keeps")
        }
        (T::Decimal { limits }, T::Decimal { limits: Some((p, s)) }) => {
            let fits = limits.is_some_and(|(a, b)| b <= *s && i64::from(a) - i64::from(b.max(0)) <= i64::from(*p) - i64::from(*s));
            when(!fits || foreign, "NaN, infinity and numbers with more digits than the column holds")
        }
        (T::Year, T::Year) => None,
        (T::Date, T::Date) => when(foreign, "infinity and dates outside the years 1 to 9999"),
        (T::Timestamp { digits: a }, T::Timestamp { digits: b }) => {
            when(foreign || a > b, "infinity, years outside 1 to 9999 and fractions finer than the column's")
        }
        (T::TimestampTz { digits: a }, T::TimestampTz { digits: b }) => {
            when(foreign || a > b, "infinity, instants outside 1970 to 2038 and fractions finer than the column's")
        }
        (T::Time { digits: a }, T::Time { digits: b } | T::TimeSpan { digits: b })
        | (T::TimeSpan { digits: a }, T::Time { digits: b } | T::TimeSpan { digits: b }) => {
            when(a > b, "fractions of a second finer than the column's")
        }
        (T::Interval, _) => Some("intervals with months or days, or beyond 838:59:59".to_owned()),
        (T::Json { normalised }, T::Json { normalised: to }) => {
            when(!normalised && *to, "documents that the server would rewrite: a key twice, numbers that no double holds")
        }
        (T::Enum { labels }, T::Enum { labels: known }) | (T::Set { labels }, T::Set { labels: known }) => {
            when(labels != known, "labels that the column does not have")
        }
        (T::Bytes { bytes_max: a, fixed: x }, T::Bytes { bytes_max: b, fixed: y }) => {
            let fits = a.is_some_and(|a| b.is_none_or(|b| a <= b)) && (!y || (*x && a == b));
            when(
                !(fits || (!y && b.is_some_and(|b| b >= u64::from(u32::MAX)))),
                "values longer than the column, or shorter than a fixed one",
            )
        }
        (T::Bit { len: a, varying: x }, T::Bit { len: b, .. }) => when(*x || a != b, "bit strings of another length"),
        (T::Uuid, T::Uuid) => None,
        (T::Uuid, T::Text { .. }) => when(native.chars_max().is_some_and(|n| n < 36), "all of them: the column is shorter than a UUID"),
        (T::Uuid, T::Bytes { bytes_max, .. }) => when(*bytes_max != Some(16), "the column does not hold 16 bytes"),
        (T::Geometry, _) => None,
        (from, T::Text { .. }) => text_doubt(from, &native),
        _ => Some(format!("values that {} cannot hold exactly", to.native)),
    }
}

fn text_doubt(from: &LogicalType, to: &Native) -> Option<String> {
    use LogicalType as T;
    let wide = to.charset.as_deref().is_none_or(|c| matches!(c, "utf8mb4" | "utf16" | "utf16le" | "utf32"));
    let longest = match from {
        T::Text { chars_max, .. } => chars_max.map(u64::from),
        T::Enum { labels } => labels.iter().map(|l| l.chars().count() as u64).max(),
        T::Bit { len, .. } => len.map(u64::from),
        _ => None,
    };
    let room = to.chars_max().map(u64::from).or_else(|| to.bytes_max().map(|b| b / 4));
    let endless = to.bytes_max().is_some_and(|b| b >= u64::from(u32::MAX));
    let fits = endless || longest.is_some_and(|l| room.is_some_and(|r| l <= r));
    match (fits, wide) {
        (true, true) => None,
        (false, true) => Some("texts longer than the column".to_owned()),
        (true, false) => Some("characters outside the column's character set".to_owned()),
        (false, false) => Some("texts longer than the column, characters outside its character set".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use LogicalType as T;

    fn mapped(logical: T) -> (String, Fit) {
        let (c, fit) = map_column(&Column::plain("c", logical, "source type"), Engine::Postgres);
        (c.native, fit)
    }

    #[test]
    fn a_collation_of_one_product_has_a_stand_in_at_the_other() {
        let both = |collation: &str| known_to_both(&format!("varchar(9) CHARACTER SET utf8mb4 COLLATE {collation}"));
        for (collation, mariadb, mysql) in [
            ("utf8mb4_0900_ai_ci", "utf8mb4_unicode_520_nopad_ci", "utf8mb4_0900_ai_ci"),
            ("utf8mb4_de_pb_0900_as_cs", "utf8mb4_nopad_bin", "utf8mb4_de_pb_0900_as_cs"),
            ("utf8mb4_0900_bin", "utf8mb4_nopad_bin", "utf8mb4_0900_bin"),
            ("utf8mb4_nopad_bin", "utf8mb4_nopad_bin", "utf8mb4_0900_bin"),
            ("utf8mb4_uca1400_ai_ci", "utf8mb4_uca1400_ai_ci", "utf8mb4_0900_ai_ci"),
            ("uca1400_as_cs", "uca1400_as_cs", "utf8mb4_0900_bin"),
            ("utf8mb4_general_nopad_ci", "utf8mb4_general_nopad_ci", "utf8mb4_0900_as_cs"),
            ("latin1_swedish_nopad_ci", "latin1_swedish_nopad_ci", "latin1_bin"),
        ] {
            let expected = format!("varchar(9) CHARACTER SET utf8mb4 COLLATE /*M! {mariadb} */ /*!80017 {mysql} */");
            assert_eq!(both(collation), expected);
        }
        assert_eq!(both("utf8mb4_unicode_ci"), "varchar(9) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci");
        assert_eq!(known_to_both("decimal(5,2)"), "decimal(5,2)");
    }

    #[test]
    fn types_of_postgres_find_their_place() {
        assert_eq!(mapped(T::Int { bits: 64, unsigned: false }), ("bigint".to_owned(), Fit::Exact));
        assert_eq!(mapped(T::Bool), ("tinyint(1)".to_owned(), Fit::Exact));
        assert_eq!(mapped(T::Uuid).1, Fit::Exact);
        assert!(matches!(mapped(T::Decimal { limits: None }), (n, Fit::Checked(_)) if n == "decimal(65,30)"));
        assert!(matches!(mapped(T::TimestampTz { digits: 6 }), (n, Fit::Checked(_)) if n == "timestamp(6)"));
        assert_eq!(mapped(T::Text { chars_max: None, fixed: false }).1, Fit::Exact);
        assert_eq!(mapped(T::Other { name: "int4[]".to_owned() }).1, Fit::Exact);
    }

    // case: H3
    #[test]
    fn a_coarser_column_is_checked_and_a_foreign_kind_is_refused() {
        let column = |logical, native| Column::plain("c", logical, native);
        let fine = column(T::Timestamp { digits: 6 }, "datetime(6)");
        let coarse = column(T::Timestamp { digits: 0 }, "datetime");
        assert!(matches!(fit(&fine, Engine::Mysql, &coarse), Fit::Checked(_)));
        assert_eq!(fit(&coarse, Engine::Mysql, &fine), Fit::Exact);
        assert!(matches!(fit(&fine, Engine::Mysql, &column(T::Date, "date")), Fit::Never(_)));
    }

    // case: H5
    #[test]
    fn unsigned_numbers_need_the_wider_signed_column() {
        let int = |bits, unsigned| Column::plain("c", T::Int { bits, unsigned }, "int");
        assert!(matches!(fit(&int(64, true), Engine::Mysql, &int(64, false)), Fit::Checked(_)));
        assert_eq!(fit(&int(32, true), Engine::Mysql, &int(64, false)), Fit::Exact);
        assert!(matches!(fit(&int(32, false), Engine::Mysql, &int(64, true)), Fit::Checked(_)));
    }
}
