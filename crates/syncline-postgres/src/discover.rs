//! The catalogue as tables: columns, keys, constraints, and whatever makes writing to a table special.
//!
//! One row per fact and no arrays in the answers, so that no name can be mistaken for syntax (H21).

use std::collections::{BTreeMap, HashMap};

use syncline_connector::Result;
use syncline_model::schema::{Check, ColumnDefault, Identity, Index, OnDelete, TableKind, UniqueKey};
use syncline_model::{Catalog, Column, ForeignKey, LogicalType, Table, TableName};
use tokio_postgres::SimpleQueryRow;

use crate::connect::Link;
use crate::native::{self, NativeType};
use crate::sql;

/// Syncline's own tables are no streams.
const BOOKKEEPING: &[&str] = &[syncline_sql::MARKER, syncline_sql::BEFORE];

type Tables = BTreeMap<u32, Table>;

/// Reads the catalogue: of one schema, or of all user schemas.
///
/// # Errors
/// `Unavailable` when the connection is lost.
pub async fn catalog(link: &Link, schema: Option<&str>) -> Result<Catalog> {
    let scope = Scope::new(schema);
    let mut tables = tables(&ask(link, &scope.tables()).await?);
    columns(&mut tables, &ask(link, &scope.columns()).await?, &labels(&ask(link, LABELS).await?));
    constraints(&mut tables, &ask(link, &scope.constraints()).await?);
    indexes(&mut tables, &ask(link, &scope.indexes()).await?);
    let ours = |t: &Table| BOOKKEEPING.contains(&t.name.name.as_str());
    let mut tables: Vec<Table> = tables.into_values().filter(|t| !ours(t)).collect();
    tables.sort_by(|a, b| a.name.cmp(&b.name));
    let outside = outside(&ask(link, &scope.outside()).await?);
    Ok(Catalog { tables, outside, ..Catalog::default() })
}

async fn ask(link: &Link, sql: &str) -> Result<Vec<SimpleQueryRow>> {
    link.catalog(sql, "discover tables").await
}

/// Which relations are looked at, as SQL over aliases `c` (pg_class) and `n` (pg_namespace).
struct Scope {
    relations: String,
}

impl Scope {
    fn new(schema: Option<&str>) -> Self {
        let schemas = match schema {
            Some(s) => format!("n.nspname = {}", sql::literal(s)),
            // `_` is a wildcard of LIKE; no user schema may begin with `pg_`.
            None => "n.nspname <> 'information_schema' AND NOT starts_with(n.nspname, 'pg_')".to_owned(),
        };
        // Extensions' own tables are no data of the user.
        let relations = format!(
            "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {schemas} AND c.relkind IN ('r','p','v','m','f') \
             AND NOT c.relispartition AND c.relpersistence <> 't' AND NOT EXISTS (SELECT FROM pg_depend e \
             WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')"
        );
        Self { relations }
    }

    fn tables(&self) -> String {
        // Triggers of rows and of statements, for INSERT (bit 2); DELETE (bit 3) or UPDATE (bit 4); those of partitions fire, too.
        let fires = |bits: u32| {
            format!(
                "EXISTS (SELECT FROM pg_trigger g WHERE (g.tgrelid = c.oid OR c.relkind = 'p' AND g.tgrelid IN \
                 (SELECT relid FROM pg_partition_tree(c.oid))) AND NOT g.tgisinternal AND g.tgenabled IN ('O','A') \
                 AND g.tgtype & {bits} <> 0)"
            )
        };
        // Rules rewrite the statement (2 UPDATE, 3 INSERT, 4 DELETE), and policies leave rows out of it.
        let others = |events: &str| {
            format!(
                "EXISTS (SELECT FROM pg_rewrite w WHERE w.ev_class = c.oid AND w.ev_enabled IN ('O','A') AND w.ev_type IN ({events})) \
                 OR row_security_active(c.oid)"
            )
        };
        // A partitioned parent has no estimate of its own unless ANALYZE ran on it.
        let estimate = "CASE WHEN c.relkind = 'p' THEN (SELECT sum(greatest(p.reltuples, 0)) FROM pg_partition_tree(c.oid) t \
                        JOIN pg_class p ON p.oid = t.relid WHERE t.isleaf) ELSE c.reltuples END::bigint";
        format!(
            "SELECT c.oid, n.nspname, c.relname, c.relkind, {estimate}, obj_description(c.oid, 'pg_class'), {} OR {}, {} OR {} {}",
            fires(4),
            others("'3'"),
            fires(8 | 16),
            others("'2','4'"),
            self.relations
        )
    }

    fn columns(&self) -> String {
        format!(
            "WITH RECURSIVE dom AS (SELECT t.oid AS root, t.typbasetype AS base, t.typtypmod AS mod, t.typnotnull AS solid \
               FROM pg_type t WHERE t.typtype = 'd' \
             UNION ALL SELECT d.root, t.typbasetype, CASE WHEN d.mod >= 0 THEN d.mod ELSE t.typtypmod END, d.solid OR t.typnotnull \
               FROM dom d JOIN pg_type t ON t.oid = d.base AND t.typtype = 'd') \
             SELECT a.attrelid, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull OR coalesce(d.solid, false), \
               a.attidentity, a.attgenerated, pg_get_expr(f.adbin, f.adrelid), b.oid, b.typname, b.typnamespace = 'pg_catalog'::regnamespace, \
               coalesce(d.mod, a.atttypmod), format_type(b.oid, coalesce(d.mod, a.atttypmod)), \
               CASE WHEN NOT o.collisdeterministic THEN quote_ident(q.nspname) || '.' || quote_ident(o.collname) END, \
               col_description(a.attrelid, a.attnum), \
               EXISTS (SELECT FROM pg_depend s JOIN pg_class k ON k.oid = s.objid AND k.relkind = 'S' WHERE s.classid = 'pg_class'::regclass \
                 AND s.refclassid = 'pg_class'::regclass AND s.refobjid = a.attrelid AND s.refobjsubid = a.attnum AND s.deptype = 'a') \
             FROM pg_attribute a JOIN (SELECT c.oid {}) r ON r.oid = a.attrelid \
             LEFT JOIN LATERAL (SELECT x.base, x.mod, x.solid FROM dom x JOIN pg_type y ON y.oid = x.base AND y.typtype <> 'd' \
               WHERE x.root = a.atttypid) d ON true \
             JOIN pg_type b ON b.oid = coalesce(d.base, a.atttypid) \
             LEFT JOIN pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum \
             LEFT JOIN pg_collation o ON o.oid = a.attcollation LEFT JOIN pg_namespace q ON q.oid = o.collnamespace \
             WHERE a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attrelid, a.attnum",
            self.relations
        )
    }

    /// A foreign key to a partitioned table has a copy per partition, which `conparentid` tells apart.
    fn constraints(&self) -> String {
        format!(
            "SELECT k.conrelid, k.conname, k.contype, a.attname, fa.attname, fn.nspname, fc.relname, k.confdeltype, k.condeferrable, \
               pg_get_expr(k.conbin, k.conrelid) \
             FROM pg_constraint k JOIN (SELECT c.oid {}) r ON r.oid = k.conrelid \
             LEFT JOIN LATERAL unnest(k.conkey, k.confkey) WITH ORDINALITY AS u(col, fcol, at) ON k.contype IN ('p', 'f') \
             LEFT JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.col \
             LEFT JOIN pg_attribute fa ON fa.attrelid = k.confrelid AND fa.attnum = u.fcol \
             LEFT JOIN pg_class fc ON fc.oid = k.confrelid LEFT JOIN pg_namespace fn ON fn.oid = fc.relnamespace \
             WHERE k.contype IN ('p', 'f', 'c') AND k.conparentid = 0 ORDER BY k.conrelid, k.contype, k.conname, u.at",
            self.relations
        )
    }

    /// Keys by which tables elsewhere lose rows or values when a row here goes.
    fn outside(&self) -> String {
        format!(
            "SELECT cn.nspname, cc.relname, k.conname, a.attname, fa.attname, fn.nspname, fc.relname, k.confdeltype, k.condeferrable \
             FROM pg_constraint k JOIN (SELECT c.oid {0}) r ON r.oid = k.confrelid \
             JOIN pg_class cc ON cc.oid = k.conrelid JOIN pg_namespace cn ON cn.oid = cc.relnamespace \
             JOIN pg_class fc ON fc.oid = k.confrelid JOIN pg_namespace fn ON fn.oid = fc.relnamespace \
             JOIN LATERAL unnest(k.conkey, k.confkey) WITH ORDINALITY AS u(col, fcol, at) ON true \
             JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.col \
             JOIN pg_attribute fa ON fa.attrelid = k.confrelid AND fa.attnum = u.fcol \
             WHERE k.contype = 'f' AND k.conparentid = 0 AND k.confdeltype IN ('c', 'n', 'd') AND NOT cc.relispartition \
             AND k.conrelid NOT IN (SELECT c.oid {0}) ORDER BY k.conrelid, k.conname, u.at",
            self.relations
        )
    }

    fn indexes(&self) -> String {
        // to_jsonb reads indnullsnotdistinct where there is one (PostgreSQL 15).
        format!(
            "SELECT i.indrelid, x.relname, i.indisunique, i.indpred IS NULL AND i.indexprs IS NULL, \
               coalesce((to_jsonb(i)->>'indnullsnotdistinct')::boolean, false), m.amname = 'btree' AND NOT EXISTS \
               (SELECT FROM unnest(i.indclass) k JOIN pg_opclass p ON p.oid = k WHERE NOT p.opcdefault), \
               pg_get_indexdef(i.indexrelid), a.attname \
             FROM pg_index i JOIN (SELECT c.oid {}) r ON r.oid = i.indrelid JOIN pg_class x ON x.oid = i.indexrelid \
             JOIN pg_am m ON m.oid = x.relam \
             LEFT JOIN LATERAL generate_series(0, i.indnkeyatts - 1) AS u(at) ON true \
             LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[u.at] AND a.attnum > 0 \
             WHERE NOT i.indisprimary AND NOT i.indisexclusion AND i.indisvalid AND i.indisready \
             ORDER BY i.indrelid, x.relname, u.at",
            self.relations
        )
    }
}

const LABELS: &str = "SELECT enumtypid, enumlabel FROM pg_enum ORDER BY enumtypid, enumsortorder";

fn text(row: &SimpleQueryRow, at: usize) -> String {
    row.get(at).unwrap_or_default().to_owned()
}

fn yes(row: &SimpleQueryRow, at: usize) -> bool {
    row.get(at) == Some("t")
}

fn oid(row: &SimpleQueryRow, at: usize) -> u32 {
    row.get(at).and_then(|t| t.parse().ok()).unwrap_or(0)
}

fn tables(rows: &[SimpleQueryRow]) -> Tables {
    let one = |r: &SimpleQueryRow| {
        let kind = match r.get(3) {
            Some("r") => TableKind::Table,
            Some("p") => TableKind::Partitioned,
            // Foreign tables and materialised views are read like views.
            _ => TableKind::View,
        };
        let table = Table {
            name: TableName::within(text(r, 1), text(r, 2)),
            kind,
            columns: Vec::new(),
            primary_key: Vec::new(),
            uniques: Vec::new(),
            foreign_keys: Vec::new(),
            checks: Vec::new(),
            indexes: Vec::new(),
            insert_triggers: yes(r, 6),
            change_triggers: yes(r, 7),
            // −1: never analysed.
            rows_estimate: r.get(4).and_then(|n| n.parse().ok()),
            non_transactional: false,
            incarnation: Some(text(r, 0)),
            comment: r.get(5).map(str::to_owned),
        };
        (oid(r, 0), table)
    };
    rows.iter().map(one).collect()
}

fn labels(rows: &[SimpleQueryRow]) -> HashMap<u32, Vec<String>> {
    let mut all: HashMap<u32, Vec<String>> = HashMap::new();
    for r in rows {
        all.entry(oid(r, 0)).or_default().push(text(r, 1));
    }
    all
}

fn columns(tables: &mut Tables, rows: &[SimpleQueryRow], labels: &HashMap<u32, Vec<String>>) {
    for r in rows {
        let Some(table) = tables.get_mut(&oid(r, 0)) else { continue };
        let (base, spelled) = (text(r, 8), text(r, 11));
        let kind = NativeType {
            base: &base,
            builtin: yes(r, 9),
            modifier: r.get(10).and_then(|m| m.parse().ok()).unwrap_or(-1),
            labels: labels.get(&oid(r, 7)).map(Vec::as_slice),
            spelled: &spelled,
        };
        let logical = native::logical(&kind);
        let citext = base == "citext" && matches!(logical, LogicalType::Text { .. });
        let identity = match (r.get(4), yes(r, 14)) {
            (Some("a"), _) => Identity::Always,
            (Some("d"), _) | (_, true) => Identity::ByDefault,
            _ => Identity::No,
        };
        let generated = r.get(5).is_some_and(|g| !g.is_empty());
        let default = match r.get(6) {
            Some(e) if !generated && identity == Identity::No => default(e),
            _ => ColumnDefault::None,
        };
        table.columns.push(Column {
            name: text(r, 1),
            logical,
            native: text(r, 2),
            nullable: !yes(r, 3),
            default,
            identity,
            generated,
            loose_collation: if citext { Some("citext".to_owned()) } else { r.get(12).map(str::to_owned) },
            auto_updated: false,
            comment: r.get(13).map(str::to_owned),
        });
    }
}

/// A default's expression as `pg_get_expr` prints it: `'open'::text`, `0`, `now()`.
fn default(expression: &str) -> ColumnDefault {
    const NOW: &[&str] =
        &["now()", "CURRENT_TIMESTAMP", "transaction_timestamp()", "statement_timestamp()", "clock_timestamp()", "LOCALTIMESTAMP"];
    if NOW.contains(&expression) {
        return ColumnDefault::Now;
    }
    if expression.starts_with("NULL::") {
        return ColumnDefault::None;
    }
    if matches!(expression, "true" | "false") || syncline_model::decimal::parts(expression).is_some() {
        return ColumnDefault::Constant(expression.to_owned());
    }
    match quoted_constant(expression) {
        Some(text) => ColumnDefault::Constant(text),
        None => ColumnDefault::Expression(expression.to_owned()),
    }
}

/// The text within `'…'::type`, when the expression is that and nothing more.
fn quoted_constant(expression: &str) -> Option<String> {
    let mut rest = expression.strip_prefix('\'')?;
    let mut text = String::new();
    loop {
        let at = rest.find('\'')?;
        text.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        match rest.strip_prefix('\'') {
            Some(more) => {
                text.push('\'');
                rest = more;
            }
            None => break,
        }
    }
    let type_name = rest.strip_prefix("::")?;
    let plain = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '_' | '.' | '(' | ')' | ',' | '"' | '[' | ']');
    (type_name.chars().all(plain) && !type_name.contains("reg")).then_some(text)
}

fn constraints(tables: &mut Tables, rows: &[SimpleQueryRow]) {
    for r in rows {
        let Some(table) = tables.get_mut(&oid(r, 0)) else { continue };
        let name = text(r, 1);
        match r.get(2) {
            Some("p") => table.primary_key.push(text(r, 3)),
            Some("c") => table.checks.push(Check { name, expression: text(r, 9) }),
            _ => foreign_key(table, name, r),
        }
    }
}

fn on_delete(letter: Option<&str>) -> OnDelete {
    match letter {
        Some("c") => OnDelete::Cascade,
        Some("n" | "d") => OnDelete::Clear,
        _ => OnDelete::Refuse,
    }
}

fn outside(rows: &[SimpleQueryRow]) -> Vec<(TableName, ForeignKey)> {
    let mut keys: Vec<(TableName, ForeignKey)> = Vec::new();
    for r in rows {
        let (table, name) = (TableName::within(text(r, 0), text(r, 1)), text(r, 2));
        if keys.last().is_none_or(|(t, k)| *t != table || k.name != name) {
            let parent = TableName::within(text(r, 5), text(r, 6));
            let (on_delete, deferrable) = (on_delete(r.get(7)), yes(r, 8));
            keys.push((table, ForeignKey { name, columns: Vec::new(), parent, parent_columns: Vec::new(), on_delete, deferrable }));
        }
        let (_, key) = keys.last_mut().expect("invariant: pushed above");
        key.columns.push(text(r, 3));
        key.parent_columns.push(text(r, 4));
    }
    keys
}

fn foreign_key(table: &mut Table, name: String, r: &SimpleQueryRow) {
    if table.foreign_keys.last().is_none_or(|f| f.name != name) {
        let on_delete = on_delete(r.get(7));
        table.foreign_keys.push(ForeignKey {
            name,
            columns: Vec::new(),
            parent: TableName::within(text(r, 5), text(r, 6)),
            parent_columns: Vec::new(),
            on_delete,
            deferrable: yes(r, 8),
        });
    }
    let key = table.foreign_keys.last_mut().expect("invariant: pushed above");
    key.columns.push(text(r, 3));
    key.parent_columns.push(text(r, 4));
}

fn indexes(tables: &mut Tables, rows: &[SimpleQueryRow]) {
    for group in rows.chunk_by(|a, b| a.get(0) == b.get(0) && a.get(1) == b.get(1)) {
        let r = &group[0];
        let Some(table) = tables.get_mut(&oid(r, 0)) else { continue };
        let columns: Vec<String> = group.iter().filter_map(|r| r.get(7).map(str::to_owned)).collect();
        let (name, unique, whole, ordinary) = (text(r, 1), yes(r, 2), yes(r, 3), yes(r, 5));
        if unique && whole {
            table.uniques.push(UniqueKey { name, columns, nulls_equal: yes(r, 4) });
        } else {
            let columns = if columns.len() == group.len() { columns } else { Vec::new() };
            table.indexes.push(Index { name, columns, unique, plain: whole && ordinary, definition: text(r, 6) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_told_apart() {
        for (expression, want) in [
            ("now()", ColumnDefault::Now),
            ("'it''s'::text", ColumnDefault::Constant("it's".into())),
            ("'-1'::integer", ColumnDefault::Constant("-1".into())),
            ("1.50", ColumnDefault::Constant("1.50".into())),
            ("true", ColumnDefault::Constant("true".into())),
            ("NULL::character varying", ColumnDefault::None),
            ("nextval('s'::regclass)", ColumnDefault::Expression("nextval('s'::regclass)".into())),
            ("('a'::text || 'b'::text)", ColumnDefault::Expression("('a'::text || 'b'::text)".into())),
            ("'a'::text || 'b'::text", ColumnDefault::Expression("'a'::text || 'b'::text".into())),
        ] {
            assert_eq!(default(expression), want, "{expression}");
        }
    }
}
