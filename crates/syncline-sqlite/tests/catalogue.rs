//! What `discover` sees.

use syncline_model::TableName;
use syncline_model::schema::{ColumnDefault, Identity, OnDelete, TableKind};

use crate::support::*;

#[tokio::test]
async fn keys_constraints_triggers_and_generated_columns_are_seen() {
    let files = Files::new();
    files.script(
        "s.db",
        "CREATE TABLE p (a TEXT, b INT, c TEXT DEFAULT 'it''s' COLLATE NOCASE, PRIMARY KEY (b, a)) WITHOUT ROWID;
         CREATE TABLE c (id INTEGER PRIMARY KEY AUTOINCREMENT, a TEXT, b INT, n INT NOT NULL DEFAULT -1 CHECK (n < 9),
           g INT GENERATED ALWAYS AS (n * 2) STORED, at DATETIME DEFAULT CURRENT_TIMESTAMP, e INT DEFAULT (1 + 1),
           q INT REFERENCES c ON DELETE SET NULL,
           CONSTRAINT up FOREIGN KEY (b, a) REFERENCES P (b, a) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED);
         CREATE UNIQUE INDEX u1 ON c(a, n); CREATE UNIQUE INDEX u2 ON c(n) WHERE n > 0; CREATE INDEX i3 ON c(lower(a));
         CREATE TRIGGER tr AFTER UPDATE OF n ON c BEGIN INSERT INTO p(a, b) VALUES ('x', 1); END;
         CREATE VIEW v AS SELECT id, n FROM c; CREATE VIEW broken AS SELECT * FROM gone;
         CREATE TABLE syncline_marker (x);",
    );
    let mut source = files.source("s.db").await;
    let catalog = source.discover().await.unwrap();
    let names: Vec<&str> = catalog.tables.iter().map(|t| t.name.name.as_str()).collect();
    assert_eq!(names, ["c", "p", "v"]);
    let (c, p, v) = (&catalog.tables[0], &catalog.tables[1], &catalog.tables[2]);
    assert_eq!((p.primary_key.as_slice(), p.columns[0].nullable), (["b".to_owned(), "a".to_owned()].as_slice(), false));
    assert_eq!(p.columns[2].loose_collation.as_deref(), Some("NOCASE"));
    assert_eq!(p.columns[2].default, ColumnDefault::Constant("it's".into()));
    assert_eq!((c.columns[0].identity, c.columns[0].nullable), (Identity::ByDefault, false));
    assert_eq!(c.columns[3].default, ColumnDefault::Constant("-1".into()));
    assert!(c.columns[4].generated);
    assert_eq!((&c.columns[5].default, &c.columns[6].default), (&ColumnDefault::Now, &ColumnDefault::Expression("1 + 1".into())));
    assert_eq!(c.checks[0].expression, "n < 9");
    assert_eq!((c.insert_triggers, c.change_triggers), (false, true));
    let [own, up] = c.foreign_keys.as_slice() else { panic!("{:?}", c.foreign_keys) };
    assert_eq!((own.parent_columns.as_slice(), own.on_delete, own.deferrable), (["id".to_owned()].as_slice(), OnDelete::Clear, false));
    assert_eq!((up.name.as_str(), &up.parent, up.on_delete, up.deferrable), ("up", &TableName::bare("p"), OnDelete::Cascade, true));
    assert_eq!(up.columns, ["b", "a"]);
    assert_eq!(c.uniques.iter().map(|u| u.name.as_str()).collect::<Vec<_>>(), ["u1"]);
    assert_eq!(
        c.indexes.iter().map(|i| (i.name.as_str(), i.unique, i.plain)).collect::<Vec<_>>(),
        [("u2", true, false), ("i3", false, false)]
    );
    assert_eq!((v.kind, v.columns.len()), (TableKind::View, 2));
}

// case: H21
#[tokio::test]
async fn names_however_strange_come_through_every_statement() {
    let names = ["we\"ird;drop table x--", "a`b", "?", ":x", "%s", "😀", "select", "Mixed Case", "it's", "[x]", "a.b", "$1"];
    for name in names {
        let files = Files::new();
        let q = format!("\"{}\"", name.replace('"', "\"\""));
        files.script("s.db", &format!("CREATE TABLE {q} ({q} INTEGER PRIMARY KEY, v TEXT); INSERT INTO {q} VALUES (1, 'a'), (2, 'b')"));
        let mut source = files.source("s.db").await;
        let t = table(&mut *source, name).await;
        let mut snapshot = source.snapshot().await.unwrap();
        let mut ask = request(&t);
        ask.order = vec![name.into()];
        let rows = read(&mut *snapshot, ask).await;
        let (made, ddl) = mapped(&t, syncline_model::Engine::Sqlite);
        let mut destination = files.destination("d.db").await;
        let (_, applied) = write(&mut *destination, "r1", stream(&made, Some(ddl)), &rows).await;
        assert_eq!(applied.outcomes[0].created, 2, "{name}");
        let mut edited = rows.clone();
        edited[0][1] = text("z");
        let (_, applied) = write(&mut *destination, "r2", stream(&made, None), &edited).await;
        assert_eq!((applied.outcomes[0].updated, applied.outcomes[0].unchanged), (1, 1), "{name}");
    }
}

#[tokio::test]
async fn how_many_rows_there_can_be_is_seen_without_a_scan_and_never_made_up() {
    let files = Files::new();
    files.script(
        "s.db",
        "CREATE TABLE a (id INTEGER PRIMARY KEY); INSERT INTO a VALUES (101), (102), (110);
         CREATE TABLE b (id TEXT PRIMARY KEY) WITHOUT ROWID; INSERT INTO b VALUES ('x');
         CREATE TABLE c (rowid TEXT, n INT); INSERT INTO c VALUES ('x', 1);
         CREATE TABLE d (n INT); CREATE VIEW e AS SELECT * FROM a;
         CREATE TABLE f (id INTEGER PRIMARY KEY); INSERT INTO f VALUES (-9223372036854775808), (9223372036854775807);",
    );
    let catalog = files.source("s.db").await.discover().await.unwrap();
    let seen: Vec<Option<u64>> = catalog.tables.iter().map(|t| t.rows_estimate).collect();
    assert_eq!(seen[..5], [Some(10), None, None, Some(0), None]);
    assert!(seen[5].is_some_and(|n| (2..100_000).contains(&n)), "no more than the file has room for: {seen:?}");
}
