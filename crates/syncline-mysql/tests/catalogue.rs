//! Discovery, and the DDL of new tables.

use syncline_connector::{Connector as _, NewTable};
use syncline_model::schema::{ColumnDefault, Identity, OnDelete, TableKind};
use syncline_model::{Column, Engine, LogicalType, TableName, Value};
use syncline_mysql::Mysql;

use crate::world::{destination, fresh, rows, source, table, write};

// case: H21
#[tokio::test]
async fn strange_names_are_found_read_and_written() {
    let name = "we\"ird;drop table x--`?:x%s 😀".replace('😀', "é");
    let quoted = name.replace('`', "``");
    let ddl = format!("CREATE TABLE `{quoted}` (`a``b` INT PRIMARY KEY, `:x` VARCHAR(5), `select` INT, `q?` INT, `Ü %s'` INT)");
    let here = fresh(&format!("{ddl}; INSERT INTO `{quoted}` VALUES (1,'x',2,3,4)")).await;
    let there = fresh(&ddl).await;
    let found = table(&here, &name).await;
    assert_eq!(found.columns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["a`b", ":x", "select", "q?", "Ü %s'"]);
    let sent = rows(&here, &name).await;
    let (refused, applied) = write(&there, &name, &sent).await;
    assert_eq!((refused.len(), applied.outcomes[0].created), (0, 1));
    assert_eq!(rows(&there, &name).await, sent);
}

#[tokio::test]
async fn the_catalogue_tells_everything_that_makes_writing_special() {
    let db = fresh(
        "CREATE TABLE parent (id INT AUTO_INCREMENT PRIMARY KEY, code VARCHAR(10) COLLATE utf8mb4_nopad_bin NOT NULL UNIQUE) COMMENT='the parent';
         CREATE TABLE child (
           a INT, b INT, parent_id INT NULL COMMENT 'whose', price DECIMAL(8,2) DEFAULT 1.5, label VARCHAR(20) DEFAULT 'it''s' COLLATE utf8mb4_general_ci,
           changed TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, doc JSON,
           total DECIMAL(9,2) AS (price * 2) STORED, e ENUM('x','y,z'), st SET('a','b') DEFAULT 'a',
           PRIMARY KEY (b, a), KEY by_label (label(5)), KEY by_price (price), UNIQUE KEY u (parent_id, price),
           CONSTRAINT price_positive CHECK (price > 0),
           CONSTRAINT fk FOREIGN KEY (parent_id) REFERENCES parent (id) ON DELETE CASCADE);
         CREATE TRIGGER t_insert BEFORE INSERT ON parent FOR EACH ROW SET NEW.code = NEW.code;
         CREATE VIEW v AS SELECT id FROM parent;
         CREATE TABLE old (id INT PRIMARY KEY) ENGINE=MyISAM;
         CREATE TABLE parts (id INT PRIMARY KEY) PARTITION BY HASH (id) PARTITIONS 2",
    )
    .await;
    let parent = table(&db, "parent").await;
    assert_eq!((parent.columns[0].identity, parent.comment.as_deref()), (Identity::ByDefault, Some("the parent")));
    assert_eq!((parent.uniques.len(), parent.columns[1].loose_collation.as_deref()), (1, None));
    assert_eq!((parent.insert_triggers, parent.change_triggers, parent.non_transactional), (true, false, false));
    let child = table(&db, "child").await;
    assert_eq!(child.primary_key, ["b", "a"]);
    assert_eq!(child.uniques[0].columns, ["parent_id", "price"]);
    assert_eq!((child.checks[0].name.as_str(), child.checks[0].expression.as_str()), ("price_positive", "`price` > 0"));
    let fk = &child.foreign_keys[0];
    assert_eq!((fk.columns[0].as_str(), fk.parent.name.as_str(), fk.on_delete), ("parent_id", "parent", OnDelete::Cascade));
    let column = |n: &str| child.column(n).unwrap_or_else(|| panic!("{n}"));
    assert_eq!(column("price").default, ColumnDefault::Constant("1.50".into()));
    assert_eq!(column("label").default, ColumnDefault::Constant("it's".into()));
    assert_eq!(column("label").loose_collation.as_deref(), Some("utf8mb4_general_ci"));
    assert_eq!((column("changed").default.clone(), column("changed").auto_updated), (ColumnDefault::Now, true));
    assert_eq!(column("doc").logical, LogicalType::Json { normalised: false });
    assert!(column("total").generated && !column("price").generated);
    assert_eq!(column("e").logical, LogicalType::Enum { labels: vec!["x".into(), "y,z".into()] });
    assert_eq!(column("parent_id").comment.as_deref(), Some("whose"));
    let index = |n: &str| child.indexes.iter().find(|i| i.name == n).map(|i| i.plain);
    assert_eq!((index("by_label"), index("by_price")), (Some(false), Some(true)));
    assert_eq!(table(&db, "v").await.kind, TableKind::View);
    assert_eq!(table(&db, "parts").await.kind, TableKind::Partitioned);
    assert!(table(&db, "old").await.non_transactional);
}

#[tokio::test]
async fn bookkeeping_tables_are_made_once_and_are_not_the_user_s() {
    let db = fresh("CREATE TABLE t (id INT PRIMARY KEY)").await;
    let mut there = destination(&db).await;
    for _ in 0..2 {
        there.prepare(&[]).await.expect("prepare");
    }
    assert_eq!(db.scalar("SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE()").await, "3");
    assert_eq!(there.discover().await.expect("discover").tables.len(), 1);
    assert_eq!(source(&db).await.discover().await.expect("discover").tables.len(), 1);
}

// case: H12
#[tokio::test]
async fn a_new_table_from_postgres_keeps_text_keys_distinct() {
    let db = fresh("").await;
    let column = |name: &str, logical, nullable| Column { nullable, ..Column::plain(name, logical, "pg") };
    let source = [
        column("k", LogicalType::Text { chars_max: None, fixed: false }, false),
        column("b", LogicalType::Bool, false),
        column("n", LogicalType::Decimal { limits: None }, true),
        column("at", LogicalType::TimestampTz { digits: 6 }, false),
        column("u", LogicalType::Uuid, true),
        column("j", LogicalType::Json { normalised: true }, true),
        column("arr", LogicalType::Other { name: "int4[]".into() }, true),
        column("e", LogicalType::Enum { labels: vec!["it's".into(), "B".into(), "b".into()] }, true),
    ];
    let columns: Vec<Column> = source.iter().map(|c| Mysql.map_column(c, Engine::Postgres).0).collect();
    let new = NewTable {
        name: TableName::within(db.name(), "made"),
        columns,
        primary_key: vec!["k".into()],
        uniques: vec![],
        foreign_keys: vec![],
        indexes: vec![],
        comment: Some("it's new".into()),
    };
    let ddl = Mysql.ddl(&new);
    for sql in ddl.create.iter().chain(&ddl.keys) {
        db.execute(sql).await;
    }
    assert_eq!(ddl.left_out.len(), 1, "{:?}", ddl.left_out);
    let made = table(&db, "made").await;
    assert!(made.columns.iter().all(|c| c.loose_collation.is_none()), "{:?}", made.columns);
    assert!(!made.columns[3].auto_updated);
    let row = |k: &str| {
        vec![
            Value::Text(k.into()),
            Value::Bool(true),
            Value::Decimal("1.10".into()),
            Value::TimestampTz(1_000_000),
            Value::Uuid([7; 16]),
            Value::Json("{\"a\":1}".into()),
            Value::Other { type_name: "int4[]".into(), text: "{1,NULL}".into() },
            Value::Text("b".into()),
        ]
    };
    let (refused, applied) = write(&db, "made", &[row("abc"), row("ABC"), row("abc "), row("e\u{301}"), row("é")]).await;
    assert_eq!(refused, []);
    assert_eq!((applied.outcomes[0].created, applied.outcomes[0].rejects.len()), (5, 0));
}
