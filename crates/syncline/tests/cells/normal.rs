//! The databases' own texts of a cell, and the little that is done to them so that two systems can be compared.

use crate::matrix::Kind;
use crate::rig::Side;

/// SQL of the value column as text: made by the database, from the type that the database says the column has.
fn text(side: &Side, native: &str, kind: Kind) -> String {
    match (side.kind(), kind) {
        ("postgres", Kind::Bytes) => "upper(encode(v, 'hex'))".to_owned(),
        ("postgres", Kind::Float) if native == "real" => "v::float8::text".to_owned(),
        ("postgres", Kind::Text) => "upper(encode(convert_to(v::text, 'UTF8'), 'hex'))".to_owned(),
        ("postgres", _) => "v::text".to_owned(),
        ("mysql", Kind::Bytes) => "hex(v)".to_owned(),
        ("mysql", Kind::Text) => "hex(convert(cast(v AS char) USING utf8mb4))".to_owned(),
        ("mysql", Kind::Float) if native.starts_with("float") => "cast(v AS double)".to_owned(),
        ("mysql", Kind::Bit) if native.starts_with("bit") => {
            format!("lpad(bin(v + 0), {}, '0')", native.trim_matches(|c: char| !c.is_ascii_digit()))
        }
        ("mysql", _) => "cast(v AS char)".to_owned(),
        // A value of another storage class than its type's is never the same as a text that looks like it.
        (_, Kind::Text) if native.starts_with("PADDED_TEXT") => {
            "CASE typeof(v) WHEN 'null' THEN NULL ELSE hex(rtrim(v, ' ')) END".to_owned()
        }
        (_, Kind::Bytes) => "CASE typeof(v) WHEN 'blob' THEN hex(v) ELSE typeof(v) || ':' || v END".to_owned(),
        (_, Kind::Text) => {
            "CASE typeof(v) WHEN 'null' THEN NULL WHEN 'blob' THEN 'blob:' || hex(v) ELSE hex(CAST(v AS TEXT)) END".to_owned()
        }
        (_, Kind::Float | Kind::Number) => {
            "CASE typeof(v) WHEN 'real' THEN printf('%!.17g', v) WHEN 'blob' THEN 'blob:' || hex(v) ELSE CAST(v AS TEXT) END".to_owned()
        }
        _ => "CASE typeof(v) WHEN 'blob' THEN 'blob:' || hex(v) ELSE CAST(v AS TEXT) END".to_owned(),
    }
}

/// The type of a table's value column, as the database spells it; `None` where there is no such column.
pub fn native(side: &Side, table: &str) -> Option<String> {
    let sql = match side.kind() {
        "postgres" => format!(
            "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = to_regclass('{table}') AND attname = 'v' AND NOT attisdropped"
        ),
        "mysql" => format!(
            "SELECT column_type FROM information_schema.columns WHERE table_schema = database() AND table_name = '{table}' AND column_name = 'v'"
        ),
        _ => format!("SELECT type FROM pragma_table_info('{table}') WHERE name = 'v'"),
    };
    side.query(&sql).into_iter().next().map(|row| row[0].clone().unwrap_or_default())
}

/// Cells of a table by key, as text; `alike` when both sides are of one system, whose own text then decides.
pub fn cells(side: &Side, table: &str, native: &str, kind: Kind, alike: bool) -> Vec<(usize, Option<String>)> {
    let cell = match (side.kind(), alike) {
        ("sqlite", true) => "typeof(v) || ' ' || quote(v)".to_owned(),
        ("mysql", true) if native.starts_with("enum") || native.starts_with("set") => "concat(hex(v), ' ', v + 0)".to_owned(),
        // A geometry has no text, and its bytes say all.
        ("mysql", true) if kind == Kind::Bytes => "hex(v)".to_owned(),
        ("mysql", true) => "concat(hex(v), ' ', hex(cast(v AS char)))".to_owned(),
        _ => text(side, native, kind),
    };
    let zone = if side.kind() == "mysql" { "SET time_zone = '+00:00'; " } else { "" };
    let rows = side.query(&format!("{zone}SELECT id, {cell} FROM {table} ORDER BY id"));
    let key = |id: &Option<String>| id.as_deref().and_then(|id| id.parse().ok()).expect("a key");
    rows.into_iter().map(|row| (key(&row[0]), row[1].as_deref().map(|t| if alike { t.to_owned() } else { normal(t, kind) }))).collect()
}

/// One spelling for what is the same value.
fn normal(text: &str, kind: Kind) -> String {
    match kind {
        Kind::Number => number(text),
        Kind::Float => text
            .parse::<f64>()
            .map_or_else(|_| text.to_owned(), |f| if f.is_nan() { "NaN".to_owned() } else { format!("{:016x}", f.to_bits()) }),
        Kind::Bool => match text {
            "t" | "true" => "1".to_owned(),
            "f" | "false" => "0".to_owned(),
            other => other.to_owned(),
        },
        Kind::Time => {
            if let Some((months, days, micros)) = span(text) {
                return format!("{months} months {days} days {micros} us");
            }
            let (plain, era) = text.strip_suffix(" BC").map_or((text, ""), |t| (t, " BC"));
            let plain = plain.replace('T', " ");
            format!("{}{era}", fraction(plain.trim_end_matches("+00").trim_end_matches('Z')))
        }
        Kind::Json => spaceless(text),
        Kind::Text | Kind::Bytes | Kind::Bit | Kind::Own => text.to_owned(),
    }
}

fn number(text: &str) -> String {
    let plain = if text.bytes().all(|b| b.is_ascii_digit() || b == b'-' || b == b'.') { fraction(text) } else { text.to_owned() };
    let (sign, digits) = plain.strip_prefix('-').map_or(("", plain.as_str()), |d| ("-", d));
    let digits = if digits.bytes().all(|b| b == b'0') { "0" } else { digits.trim_start_matches('0') };
    if digits == "0" { "0".to_owned() } else { format!("{sign}{digits}") }
}

fn fraction(text: &str) -> String {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text.to_owned() }
}

/// Without the space between tokens.
fn spaceless(json: &str) -> String {
    let (mut out, mut inside, mut escaped) = (String::new(), false, false);
    for c in json.chars() {
        if inside || !c.is_ascii_whitespace() {
            out.push(c);
        }
        inside = if c == '"' && !escaped { !inside } else { inside };
        escaped = inside && c == '\\' && !escaped;
    }
    out
}

/// Months, days and microseconds of a span of time: `P14M-3DT14706.7S`, or PostgreSQL's `1 year 2 mons -3 days +04:05:06.7`.
fn span(text: &str) -> Option<(i64, i64, i128)> {
    if text.starts_with('P') {
        return syncline_model::civil::parse_interval(text).map(|(m, d, us)| (m.into(), d.into(), us.into()));
    }
    let (mut months, mut days, mut micros) = (0, 0, 0);
    let mut words = text.split(' ');
    while let Some(word) = words.next() {
        if word.contains(':') {
            micros = clock(word)?;
            continue;
        }
        let n: i64 = word.parse().ok()?;
        match words.next()? {
            "year" | "years" => months += n * 12,
            "mon" | "mons" => months += n,
            "day" | "days" => days += n,
            _ => return None,
        }
    }
    Some((months, days, micros))
}

/// `-838:59:59.999999` in microseconds.
fn clock(text: &str) -> Option<i128> {
    let (sign, text) = text.strip_prefix('-').map_or((1, text.trim_start_matches('+')), |t| (-1, t));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = whole.split(':').map(|p| p.parse::<i128>().ok());
    let (h, m, s) = (parts.next()??, parts.next()??, parts.next()??);
    let fraction: i128 = format!("{fraction:0<6}").parse().ok()?;
    parts.next().is_none().then_some(sign * (((h * 60 + m) * 60 + s) * 1_000_000 + fraction))
}
