//! A stranger's view of two tables: every cell as text made by the databases themselves, in a spelling that both can write.

use crate::rig::Side;

/// Columns of a table with what each system says about their types, in the table's order.
fn columns(side: &Side, table: &str) -> Vec<(String, String)> {
    let sql = match side.kind() {
        "postgres" => format!(
            "SELECT column_name, udt_name FROM information_schema.columns WHERE table_schema = 'public' AND table_name = '{table}' ORDER BY ordinal_position"
        ),
        "mysql" => format!(
            "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = database() AND table_name = '{table}' ORDER BY ordinal_position"
        ),
        _ => format!("SELECT name, lower(type) FROM pragma_table_info('{table}') ORDER BY cid"),
    };
    let rows = side.query(&sql);
    assert!(!rows.is_empty(), "no table {table}");
    rows.into_iter().map(|row| (row[0].clone().expect("a name"), row[1].clone().expect("a type"))).collect()
}

fn quoted(side: &Side, name: &str) -> String {
    if side.kind() == "mysql" { format!("`{name}`") } else { format!("\"{name}\"") }
}

/// The text of a column in this system's SQL.
fn text(side: &Side, column: &str, kind: &str) -> String {
    let c = quoted(side, column);
    match side.kind() {
        "postgres" => match kind {
            "bool" => format!("{c}::int::text"),
            "timestamp" => format!("to_char({c}, 'YYYY-MM-DD HH24:MI:SS')"),
            "timestamptz" => format!("to_char({c} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')"),
            "bytea" => format!("upper(encode({c}, 'hex'))"),
            "_text" => format!("array_to_string({c}, ',')"),
            _ => format!("{c}::text"),
        },
        "mysql" => match kind {
            "datetime" | "timestamp" => format!("date_format({c}, '%Y-%m-%d %H:%i:%s')"),
            "blob" | "longblob" | "varbinary" => format!("hex({c})"),
            _ => format!("cast({c} AS char)"),
        },
        // Chinook's decimals have two digits, and its moments no fraction.
        _ if kind.starts_with("numeric") || kind.starts_with("decimal") => format!("printf('%.2f', {c})"),
        _ if kind.starts_with("datetime") || kind.starts_with("timestamp") => format!("strftime('%Y-%m-%d %H:%M:%S', {c})"),
        _ => format!("CAST({c} AS TEXT)"),
    }
}

/// All rows, in order of the first `key` columns.
pub fn rows(side: &Side, table: &str, key: usize) -> Vec<Vec<Option<String>>> {
    let columns = columns(side, table);
    let cells: Vec<String> = columns.iter().map(|(name, kind)| text(side, name, kind)).collect();
    let order: Vec<String> = columns.iter().take(key).map(|(name, _)| format!("{}.{}", quoted(side, table), quoted(side, name))).collect();
    let zone = if side.kind() == "mysql" { "SET time_zone = '+00:00'; " } else { "" };
    side.query(&format!("{zone}SELECT {} FROM {} ORDER BY {}", cells.join(", "), quoted(side, table), order.join(", ")))
}

/// Both sides hold the same rows with the same values; gives their number.
#[track_caller]
pub fn assert_same(from: &Side, to: &Side, table: &str, key: usize) -> usize {
    let (theirs, ours) = (rows(from, table, key), rows(to, table, key));
    assert_eq!(theirs.len(), ours.len(), "rows of {table}");
    for (a, b) in theirs.iter().zip(&ours) {
        assert_eq!(a, b, "{table}");
    }
    theirs.len()
}
