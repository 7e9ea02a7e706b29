//! MySQL's spelling of a column type, taken apart: `int(10) unsigned`, `varchar(45) CHARACTER SET latin1`, `enum('a','b')`.

use syncline_model::LogicalType;

/// A native type in parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Native {
    /// `varchar`, `int`, `double`, … in lower case.
    pub(crate) base: String,
    /// Numbers between the parentheses.
    pub(crate) args: Vec<u32>,
    /// Labels of ENUM and SET.
    pub(crate) labels: Vec<String>,
    pub(crate) unsigned: bool,
    /// Character set of a text type, lower case.
    pub(crate) charset: Option<String>,
}

impl Native {
    pub(crate) fn parse(text: &str) -> Self {
        let text = text.trim();
        let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
        let base = text[..end].to_ascii_lowercase();
        let mut rest = text[end..].trim_start();
        let (mut args, mut labels) = (Vec::new(), Vec::new());
        if let Some(inner) = rest.strip_prefix('(') {
            let (found, after) = arguments(inner);
            rest = after;
            if matches!(base.as_str(), "enum" | "set") {
                labels = found;
            } else {
                args = found.iter().filter_map(|a| a.trim().parse().ok()).collect();
            }
        }
        let words: Vec<String> = rest.split_whitespace().map(str::to_ascii_lowercase).collect();
        let after = |a: &str, b: &str| {
            let at = words.windows(2).position(|w| w[0] == a && w[1] == b)?;
            words.get(at + 2).cloned()
        };
        let charset = after("character", "set");
        Self { base, args, labels, unsigned: words.iter().any(|w| w == "unsigned"), charset }
    }

    fn arg(&self, i: usize) -> Option<u32> {
        self.args.get(i).copied()
    }

    fn digits(&self) -> u8 {
        self.arg(0).and_then(|d| u8::try_from(d).ok()).unwrap_or(0)
    }

    /// The logical type; `json` is said by the catalogue for MariaDB, where JSON is a checked `longtext`.
    pub(crate) fn logical(&self, rewrites_json: bool) -> LogicalType {
        use LogicalType as T;
        let int = |bits| T::Int { bits, unsigned: self.unsigned };
        let text = |fixed| T::Text { chars_max: self.chars_max(), fixed };
        let bytes = |fixed| T::Bytes { bytes_max: self.bytes_max(), fixed };
        match self.base.as_str() {
            "tinyint" | "bool" | "boolean" => int(8),
            "smallint" => int(16),
            "mediumint" => int(24),
            "int" | "integer" => int(32),
            "bigint" => int(64),
            "float" => T::Float { bits: 32 },
            "double" | "real" => T::Float { bits: 64 },
            "decimal" | "numeric" => {
                let scale = i32::try_from(self.arg(1).unwrap_or(0)).unwrap_or(0);
                T::Decimal { limits: Some((self.arg(0).unwrap_or(10), scale)) }
            }
            "bit" => T::Bit { len: Some(self.arg(0).unwrap_or(1)), varying: false },
            "year" => T::Year,
            "date" => T::Date,
            "time" => T::TimeSpan { digits: self.digits() },
            "datetime" => T::Timestamp { digits: self.digits() },
            "timestamp" => T::TimestampTz { digits: self.digits() },
            "char" => text(true),
            "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" => text(false),
            "binary" => bytes(true),
            "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => bytes(false),
            "enum" => T::Enum { labels: self.labels.clone() },
            "set" => T::Set { labels: self.labels.clone() },
            "json" => T::Json { normalised: rewrites_json },
            "uuid" => T::Uuid,
            "geometry" | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring" | "multipolygon" | "geometrycollection"
            | "geomcollection" => T::Geometry,
            _ => T::Other { name: self.base.clone() },
        }
    }

    /// Limit in characters, for the types that have one. TEXT types have a limit in bytes only.
    pub(crate) fn chars_max(&self) -> Option<u32> {
        match self.base.as_str() {
            "char" => Some(self.arg(0).unwrap_or(1)),
            "varchar" => self.arg(0),
            _ => None,
        }
    }

    /// Limit in bytes, for the types that have one of their own.
    pub(crate) fn bytes_max(&self) -> Option<u64> {
        Some(match self.base.as_str() {
            "binary" => u64::from(self.arg(0).unwrap_or(1)),
            "varbinary" => u64::from(self.arg(0)?),
            "tinyblob" | "tinytext" => 255,
            "blob" | "text" => 65_535,
            "mediumblob" | "mediumtext" => 16_777_215,
            "longblob" | "longtext" | "json" => 4_294_967_295,
            _ => return None,
        })
    }

    /// Whether a cell may be longer than `limit` bytes, by its type.
    pub(crate) fn may_exceed(&self, limit: u64) -> bool {
        let geometry = matches!(self.logical(false), LogicalType::Geometry);
        // Four bytes for each character of utf8mb4.
        let most = self.bytes_max().or_else(|| self.chars_max().map(|n| u64::from(n) * 4));
        most.map_or(geometry, |m| m > limit)
    }
}

/// Splits `'a','b''c')…` or `10,2)…` at the closing parenthesis. Labels are unescaped: the catalogue doubles quotes and
/// escapes backslash, newline, carriage return and NUL.
fn arguments(text: &str) -> (Vec<String>, &str) {
    let (mut found, mut current, mut quoted) = (Vec::new(), String::new(), false);
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match (quoted, c) {
            (true, '\'') if chars.peek().is_some_and(|(_, n)| *n == '\'') => {
                chars.next();
                current.push('\'');
            }
            (true, '\\') => match chars.next() {
                Some((_, 'n')) => current.push('\n'),
                Some((_, 'r')) => current.push('\r'),
                Some((_, '0')) => current.push('\0'),
                Some((_, other)) => current.push(other),
                None => {}
            },
            (_, '\'') => quoted = !quoted,
            (false, ',') => found.push(std::mem::take(&mut current)),
            (false, ')') => {
                found.push(current);
                return (found, &text[at + 1..]);
            }
            (_, c) => current.push(c),
        }
    }
    found.push(current);
    (found, "")
}

/// Whether equality under `collation` is coarser than bytes. `utf8mb4_bin` pads: `'a' = 'a '` (H12); only the NO PAD binaries do not.
pub(crate) fn is_loose(collation: &str, base: &str) -> bool {
    let c = collation.to_ascii_lowercase();
    let exact = c == "binary" || c.ends_with("_nopad_bin") || c.ends_with("_0900_bin");
    // CHAR is stored without its trailing spaces, ENUM and SET as numbers: padding cannot make two of them equal.
    let unpadded = matches!(base, "char" | "enum" | "set") && c.ends_with("_bin");
    !(exact || unpadded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_come_apart() {
        let n = Native::parse("decimal(65,30) unsigned zerofill");
        assert_eq!((n.base.as_str(), n.args.as_slice(), n.unsigned), ("decimal", &[65, 30][..], true));
        let n = Native::parse("varchar(45) CHARACTER SET latin1 COLLATE latin1_swedish_ci");
        assert_eq!((n.chars_max(), n.charset.as_deref()), (Some(45), Some("latin1")));
        assert_eq!(Native::parse("double").logical(false), LogicalType::Float { bits: 64 });
        assert_eq!(Native::parse("timestamp(6)").logical(false), LogicalType::TimestampTz { digits: 6 });
    }

    #[test]
    fn labels_keep_their_quotes_commas_and_backslashes() {
        let n = Native::parse(r"enum('a','b''c','d,)','e\\f','') CHARACTER SET utf8mb4");
        assert_eq!(n.labels, ["a", "b'c", "d,)", "e\\f", ""]);
        assert_eq!(n.charset.as_deref(), Some("utf8mb4"));
    }

    #[test]
    fn only_collations_that_compare_bytes_without_padding_are_strict() {
        for strict in ["binary", "utf8mb4_0900_bin", "utf8mb4_nopad_bin"] {
            assert!(!is_loose(strict, "varchar"), "{strict}");
        }
        for loose in ["utf8mb4_general_ci", "latin1_swedish_ci", "utf8mb4_bin", "utf8mb4_0900_as_cs"] {
            assert!(is_loose(loose, "varchar"), "{loose}");
        }
        assert!(!is_loose("utf8mb4_bin", "char"));
    }
}
