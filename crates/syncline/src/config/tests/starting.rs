//! What `init` writes can be loaded, holds no secret, and says what it found.

use std::fs;

use syncline_engine::spec::DeletePolicy;
use syncline_model::schema::TableKind;
use syncline_model::{Catalog, Column, LogicalType, Table, TableName};

use super::load_in;
use crate::config::{Config, starter};

fn table(name: &str, columns: &[(&str, LogicalType)], key: &[&str]) -> Table {
    let native = |l: &LogicalType| if matches!(l, LogicalType::Timestamp { .. }) { "timestamp" } else { "text" };
    Table {
        name: TableName::within("sakila", name),
        kind: TableKind::Table,
        columns: columns.iter().map(|(n, l)| Column::plain(*n, l.clone(), native(l))).collect(),
        primary_key: key.iter().map(|k| (*k).to_owned()).collect(),
        uniques: Vec::new(),
        foreign_keys: Vec::new(),
        checks: Vec::new(),
        indexes: Vec::new(),
        insert_triggers: false,
        change_triggers: false,
        rows_estimate: Some(1000),
        non_transactional: false,
        incarnation: None,
        comment: None,
    }
}

fn catalog() -> Catalog {
    let id = LogicalType::Int { bits: 32, unsigned: false };
    let at = LogicalType::Timestamp { digits: 6 };
    let text = LogicalType::Text { chars_max: None, fixed: false };
    let view = Table { kind: TableKind::View, rows_estimate: None, ..table("film_list", &[("fid", id.clone())], &[]) };
    Catalog {
        tables: vec![
            table("film", &[("film_id", id.clone()), ("Last_Update", at.clone())], &["film_id"]),
            table("film_actor", &[("film_id", id.clone()), ("actor_id", id.clone())], &["film_id", "actor_id"]),
            table("note", &[("updated_at", text.clone())], &[]),
            table("no", &[("id", id.clone()), ("modified_at", at)], &["id"]),
            table("we\"ird: {x}\n#", &[("id\n", id)], &["id\n"]),
            view,
        ],
        ..Catalog::default()
    }
}

fn written(from: &str, to: &str, catalog: &Catalog) -> (String, Config) {
    let start = starter(from, to, catalog);
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join(".env"), &start.dotenv).expect("a file");
    let config = load_in(&directory, &start.yaml, &[]).unwrap_or_else(|e| panic!("{e}\n{}", start.yaml));
    (start.yaml, config)
}

#[test]
fn what_init_writes_is_as_recorded_and_loads() {
    let (yaml, config) = written("mysql://root:s3cret@h/sakila", "postgres://me:it's\"$x\\@h:5432/lake?sslmode=require", &catalog());
    insta::assert_snapshot!("starter", yaml);
    let sync = &config.syncs[0];
    assert_eq!((sync.options.deletes.clone(), sync.options.owns), (Some(DeletePolicy::Ignore), None));
    let names: Vec<_> = sync.streams.iter().map(|(p, o)| (p.as_str(), o.as_ref().and_then(|o| o.cursor.as_deref()), o.is_some())).collect();
    let want = [
        ("film", Some("Last_Update"), true),
        ("film_actor", None, true),
        ("note", None, false),
        ("no", Some("modified_at"), true),
        ("we\"ird: {x}\n#", None, true),
        ("film_list", None, false),
    ];
    assert_eq!(names, want);
}

// case: K10
#[test]
fn secrets_go_to_dotenv_and_come_back_exactly() {
    use secrecy::ExposeSecret;
    let (from, to) = ("mysql://root:s3cret@h/sakila", "postgres://me:it's\"$x\\${Y}@h:5432/lake");
    let (yaml, config) = written(from, to, &catalog());
    assert!(!yaml.contains("s3cret") && !yaml.contains("it's"));
    let url = |name: &str| config.connections[name].1.url.expose_secret().to_owned();
    assert_eq!((url("sakila"), url("lake")), (from.to_owned(), to.to_owned()));
}

#[test]
fn sqlite_needs_no_dotenv_and_names_that_clash_are_replaced() {
    let start = starter("sqlite:a/chinook.db", "sqlite:b/chinook.db", &Catalog::default());
    assert_eq!(start.dotenv, "");
    assert!(start.yaml.contains("source: { type: sqlite, url: \"sqlite:a/chinook.db\" }"), "{}", start.yaml);
    for (from, to) in [("sqlite:a.db", "postgres://h"), ("postgres://u@h/", "mysql://h/no"), ("sqlite:${x}.db", "sqlite:/t/b.sqlite3")] {
        written(from, to, &Catalog::default());
    }
}

#[test]
fn tables_of_one_name_in_two_schemas_are_named_in_full() {
    let mut catalog = catalog();
    catalog.tables.push(Table { name: TableName::within("other", "film"), ..catalog.tables[0].clone() });
    let (_, config) = written("mysql://h/a", "postgres://h/b", &catalog);
    let names: Vec<_> = config.syncs[0].streams.iter().map(|(p, _)| p.as_str()).collect();
    assert!(names.contains(&"sakila.film") && names.contains(&"other.film") && names.contains(&"note"));
}
