//! The catalogue as it is, however strange.

use syncline_model::schema::{ColumnDefault, Identity, OnDelete, TableKind};
use syncline_model::{LogicalType, TableName};

use crate::steps::{database, request, source, table};

// case: H21, H23
#[tokio::test]
async fn strange_names_come_back_as_they_are_and_can_be_read() {
    let db = database().await;
    let names = ["we\"ird;drop table x--", "Mixed Case", "select", "a`b", "?", ":x", "%s", "😀"];
    for name in names {
        let quoted = format!("\"{}\"", name.replace('"', "\"\""));
        db.execute(&format!("CREATE TABLE {quoted} ({quoted} int PRIMARY KEY); INSERT INTO {quoted} VALUES (7)")).await;
    }
    db.execute("CREATE SCHEMA \"a.b\"; CREATE SCHEMA a; CREATE TABLE \"a.b\".c (x int); CREATE TABLE a.\"b.c\" (y int)").await;
    let mut source = source(db.url()).await;
    let catalog = source.discover().await.unwrap();
    let mut snapshot = source.snapshot().await.unwrap();
    for name in names {
        let t = table(&catalog, name);
        assert_eq!((t.columns[0].name.as_str(), t.primary_key.as_slice()), (name, &[name.to_owned()][..]));
        let rows = crate::steps::read(&mut *snapshot, request(&t, syncline_connector::ReadForm::Values)).await;
        assert_eq!(rows, [[syncline_model::Value::I64(7)]]);
    }
    assert_eq!(catalog.table(&TableName::within("a.b", "c")).unwrap().columns[0].name, "x");
    assert_eq!(catalog.table(&TableName::within("a", "b.c")).unwrap().columns[0].name, "y");
}

const RICH: &str = "
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE DOMAIN short AS varchar(3) NOT NULL;
CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE parent (a int, b int, PRIMARY KEY (b, a));
CREATE TABLE rich (
  id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, s serial, m mood DEFAULT 'sad', k short, c text COLLATE ci,
  n numeric(10,3) DEFAULT 1.5, at timestamptz DEFAULT now(), tags text[], pb int, pa int, double_n numeric GENERATED ALWAYS AS (n * 2) STORED,
  CONSTRAINT n_positive CHECK (n > 0), CONSTRAINT rich_mk UNIQUE (m, k),
  CONSTRAINT rich_parent FOREIGN KEY (pb, pa) REFERENCES parent (b, a) ON DELETE CASCADE DEFERRABLE);
COMMENT ON TABLE rich IS 'all of it'; COMMENT ON COLUMN rich.n IS 'a number';
CREATE INDEX rich_n ON rich (n, at); CREATE INDEX rich_lower ON rich (lower(c)); CREATE UNIQUE INDEX rich_part ON rich (n) WHERE n > 5;
CREATE FUNCTION noop() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER on_insert BEFORE INSERT ON rich FOR EACH ROW EXECUTE FUNCTION noop();
CREATE TABLE parted (id int PRIMARY KEY) PARTITION BY RANGE (id); CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
CREATE VIEW seen AS SELECT id, m FROM rich; CREATE MATERIALIZED VIEW kept AS SELECT 1 AS one;";

#[tokio::test]
async fn a_rich_table_is_described_in_full() {
    let db = database().await;
    db.execute(RICH).await;
    let catalog = source(db.url()).await.discover().await.unwrap();
    let names: Vec<&str> = catalog.tables.iter().map(|t| t.name.name.as_str()).collect();
    assert_eq!(names, ["kept", "parent", "parted", "rich", "seen"], "child partitions are left out");
    assert_eq!(table(&catalog, "parent").primary_key, ["b", "a"]);
    assert_eq!((table(&catalog, "parted").kind, table(&catalog, "seen").kind), (TableKind::Partitioned, TableKind::View));

    let t = table(&catalog, "rich");
    let column = |name: &str| t.column(name).unwrap().clone();
    assert_eq!((column("id").identity, column("s").identity), (Identity::Always, Identity::ByDefault));
    assert_eq!(column("m").logical, LogicalType::Enum { labels: vec!["sad".into(), "happy".into()] });
    assert_eq!(column("m").default, ColumnDefault::Constant("sad".into()));
    assert_eq!(column("k").logical, LogicalType::Text { chars_max: Some(3), fixed: false });
    assert_eq!((column("k").native.as_str(), column("k").nullable), ("public.short", false));
    assert_eq!(column("c").loose_collation.as_deref(), Some("public.ci"));
    assert_eq!(column("n").logical, LogicalType::Decimal { limits: Some((10, 3)) });
    assert_eq!((column("n").default, column("at").default), (ColumnDefault::Constant("1.5".into()), ColumnDefault::Now));
    assert_eq!(column("tags").logical, LogicalType::Other { name: "text[]".into() });
    assert!(column("double_n").generated && column("n").comment.as_deref() == Some("a number"));
    assert_eq!((t.insert_triggers, t.change_triggers), (true, false));
    assert_eq!(t.comment.as_deref(), Some("all of it"));

    assert_eq!(t.checks.iter().map(|c| c.expression.as_str()).collect::<Vec<_>>(), ["(n > (0)::numeric)"]);
    assert_eq!(t.uniques.iter().map(|u| (u.name.as_str(), u.columns.join(","))).collect::<Vec<_>>(), [("rich_mk", "m,k".to_owned())]);
    let indexes: Vec<(&str, bool, bool)> = t.indexes.iter().map(|i| (i.name.as_str(), i.unique, i.plain)).collect();
    assert_eq!(indexes, [("rich_lower", false, false), ("rich_n", false, true), ("rich_part", true, false)]);
    let [key] = t.foreign_keys.as_slice() else { panic!("{:?}", t.foreign_keys) };
    assert_eq!((key.columns.join(","), key.parent_columns.join(",")), ("pb,pa".to_owned(), "b,a".to_owned()));
    assert_eq!((key.on_delete, key.deferrable), (OnDelete::Cascade, true));
    assert!(t.incarnation.is_some());
}

#[tokio::test]
async fn a_table_is_made_again_in_a_database_that_has_none_of_its_types() {
    let (from, to) = (database().await, database().await);
    from.execute(
        "CREATE SCHEMA shop; CREATE TYPE shop.mood AS ENUM ('sad', 'it''s \"fine\"'); CREATE DOMAIN shop.positive AS int CHECK (VALUE > 0);
         CREATE TABLE shop.t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, m shop.mood DEFAULT 'sad', p shop.positive,
         twice int GENERATED ALWAYS AS (p * 2) STORED, u uuid DEFAULT gen_random_uuid(), note text DEFAULT 'a\\b')",
    )
    .await;
    let connector = syncline_postgres::connector();
    let original = table(&source(from.url()).await.discover().await.unwrap(), "t");
    let columns = original.columns.iter().map(|c| connector.map_column(c, syncline_model::Engine::Postgres).0).collect();
    let new = syncline_connector::NewTable {
        name: original.name.clone(),
        columns,
        primary_key: original.primary_key.clone(),
        uniques: vec![],
        foreign_keys: vec![],
        indexes: vec![],
        comment: None,
    };
    let ddl = connector.ddl(&new);
    let mut destination = crate::steps::destination(to.url()).await;
    destination.prepare(&[ddl.create, ddl.keys, ddl.sequences].concat()).await.unwrap();
    let made = table(&destination.discover().await.unwrap(), "t");
    assert_eq!(made.columns, new.columns);
    assert_eq!(ddl.left_out, Vec::<String>::new());
}
