//! Columns: type, default, identity, what the server computes.

use mysql_async::Conn;
use syncline_connector::Result;
use syncline_model::schema::{ColumnDefault, Identity};
use syncline_model::{Column, LogicalType};

use super::Tables;
use crate::connect::{Site, texts};
use crate::flavour::Product;
use crate::native::{Native, is_loose};

/// Fills in the columns of all tables; `json` names those that a check makes JSON.
pub(super) async fn read(conn: &mut Conn, site: &Site, scope: &str, json: &[(String, String, String)], tables: &mut Tables) -> Result<()> {
    let sql = format!(
        "SELECT table_schema, table_name, column_name, column_type, is_nullable, column_default, extra, generation_expression, \
         character_set_name, collation_name, column_comment FROM information_schema.columns WHERE {scope} \
         ORDER BY table_schema, table_name, ordinal_position"
    );
    for mut row in texts(conn, &sql, "discover columns").await? {
        let default = row.get_mut(5).and_then(Option::take);
        let [schema, table, name, column_type, nullable, _, extra, generation, charset, collation, comment] = super::take(row);
        let is_json = json.iter().any(|(s, t, c)| *s == schema && *t == table && *c == name);
        let Some(t) = tables.get_mut(&(schema, table)) else { continue };
        let parts = Native::parse(&column_type);
        let logical = if is_json { LogicalType::Json { normalised: false } } else { parts.logical(site.flavour.rewrites_json()) };
        let extra = extra.to_ascii_lowercase();
        let textual = !charset.is_empty() && charset != "binary";
        let native = if textual { format!("{column_type} CHARACTER SET {charset} COLLATE {collation}") } else { column_type };
        let loose = textual && !is_json && is_loose(&collation, &parts.base);
        let constant_text = matches!(logical, LogicalType::Text { .. } | LogicalType::Enum { .. } | LogicalType::Set { .. });
        t.columns.push(Column {
            name,
            logical,
            native,
            nullable: nullable == "YES",
            default: column_default(site.flavour.product, default.as_deref(), &extra, constant_text),
            identity: if extra.contains("auto_increment") { Identity::ByDefault } else { Identity::No },
            generated: !generation.is_empty(),
            loose_collation: loose.then_some(collation),
            auto_updated: extra.contains("on update current_timestamp"),
            comment: Some(comment).filter(|c| !c.is_empty()),
        });
    }
    Ok(())
}

/// MariaDB prints the default as an expression (`'a'`, `NULL`, `current_timestamp()`), MySQL as the bare value and marks
/// expressions in `extra`.
fn column_default(product: Product, default: Option<&str>, extra: &str, text: bool) -> ColumnDefault {
    let Some(d) = default else { return ColumnDefault::None };
    let lower = d.to_ascii_lowercase();
    if lower.starts_with("current_timestamp") || lower.starts_with("now(") {
        return ColumnDefault::Now;
    }
    let number = d.parse::<f64>().is_ok();
    match product {
        Product::Mysql if extra.contains("default_generated") => ColumnDefault::Expression(d.to_owned()),
        Product::Mysql if text || !lower.starts_with("b'") => ColumnDefault::Constant(d.to_owned()),
        Product::Mysql => ColumnDefault::Expression(d.to_owned()),
        Product::Mariadb if lower == "null" => ColumnDefault::None,
        Product::Mariadb if number => ColumnDefault::Constant(d.to_owned()),
        Product::Mariadb => match d.strip_prefix('\'').and_then(|d| d.strip_suffix('\'')) {
            Some(inner) if !inner.replace("''", "").replace("\\'", "").contains('\'') => ColumnDefault::Constant(unescape(inner)),
            _ => ColumnDefault::Expression(d.to_owned()),
        },
    }
}

fn unescape(inner: &str) -> String {
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\'' => {
                chars.next();
                out.push('\'');
            }
            '\\' => match chars.next() {
                Some('n') => out.push('\n'),
                Some('r') => out.push('\r'),
                Some('0') => out.push('\0'),
                Some(other) => out.push(other),
                None => {}
            },
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_told_apart_from_expressions_on_both_products() {
        use ColumnDefault as D;
        let maria = |d| column_default(Product::Mariadb, Some(d), "", true);
        assert_eq!(maria("NULL"), D::None);
        assert_eq!(maria("'it''s'"), D::Constant("it's".to_owned()));
        assert_eq!(maria("current_timestamp(6)"), D::Now);
        assert_eq!(maria("5"), D::Constant("5".to_owned()));
        assert_eq!(maria("uuid()"), D::Expression("uuid()".to_owned()));
        let mysql = |d, extra| column_default(Product::Mysql, Some(d), extra, true);
        assert_eq!(mysql("NULL", ""), D::Constant("NULL".to_owned()));
        assert_eq!(mysql("uuid()", "default_generated"), D::Expression("uuid()".to_owned()));
        assert_eq!(mysql("CURRENT_TIMESTAMP", "default_generated"), D::Now);
    }
}
