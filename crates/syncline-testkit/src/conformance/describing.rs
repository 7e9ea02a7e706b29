//! What a system holds, what fits where, and the DDL of new tables.

use syncline_connector::{Fit, NewTable};
use syncline_model::schema::{OnDelete, TableKind};
use syncline_model::{Table, TableName};

use super::Harness;
use super::steps::{ITEM, PART, destination, discovered, run, said, source, table, write_of};

/// Tables and views, with keys in their order, unique keys, foreign keys and nullability.
pub async fn discover_gives_tables_and_views_with_keys_and_constraints(h: &dyn Harness) {
    h.execute(ITEM).await;
    h.execute(PART).await;
    h.execute("CREATE TABLE pair (b bigint NOT NULL, a bigint NOT NULL, c varchar(20) NOT NULL, PRIMARY KEY (a, b), CONSTRAINT pair_c UNIQUE (c))")
        .await;
    h.execute("CREATE VIEW seen AS SELECT id, name FROM item").await;
    let catalog = source(h).await.discover().await.expect("discover");
    assert_eq!(catalog.tables.len(), 4, "{:?}", catalog.tables.iter().map(|t| &t.name).collect::<Vec<_>>());

    let item = table(&catalog, "item");
    assert_eq!((item.kind, item.primary_key.as_slice()), (TableKind::Table, &["id".to_owned()][..]));
    assert_eq!(
        item.columns.iter().map(|c| (c.name.as_str(), c.nullable)).collect::<Vec<_>>(),
        [("id", false), ("name", true), ("n", true)]
    );

    let pair = table(&catalog, "pair");
    assert_eq!(pair.primary_key, ["a", "b"], "the key's own order, not the table's");
    assert_eq!(pair.uniques.iter().map(|unique| unique.columns.clone()).collect::<Vec<_>>(), [["c"]]);

    let part = table(&catalog, "part");
    let [key] = part.foreign_keys.as_slice() else { panic!("one foreign key, not {:?}", part.foreign_keys) };
    assert_eq!((key.columns.as_slice(), key.parent_columns.as_slice()), (&["item_id".to_owned()][..], &["id".to_owned()][..]));
    assert_eq!((&key.parent, key.on_delete), (&item.name, OnDelete::Refuse));

    let view = table(&catalog, "seen");
    assert_eq!((view.kind, view.columns.len()), (TableKind::View, 2));
}

/// Our own tables are no streams.
pub async fn discover_leaves_the_bookkeeping_out(h: &dyn Harness) {
    h.execute(ITEM).await;
    let mut destination = destination(h).await;
    let item = discovered(&mut *destination, "item").await;
    run(&mut *destination, "r1", write_of(&item), &[super::steps::item(1, None, 1)], &[]).await;
    for catalog in [destination.discover().await, source(h).await.discover().await] {
        let names: Vec<String> = catalog.expect("discover").tables.into_iter().map(|table| table.name.name).collect();
        assert_eq!(names, ["item"]);
    }
}

/// `map_column` and `fit` agree that a system can hold its own columns.
pub async fn a_column_fits_itself_exactly(h: &dyn Harness) {
    h.execute(ITEM).await;
    let item = table(&source(h).await.discover().await.expect("discover"), "item");
    let engine = h.connector().engine();
    for column in &item.columns {
        assert_eq!(h.connector().fit(column, engine, column), Fit::Exact, "{}", column.native);
        let (mapped, fit) = h.connector().map_column(column, engine);
        assert_eq!((fit, &mapped.logical), (Fit::Exact, &column.logical), "{}", column.native);
    }
}

/// A table made from `ddl` is found again as it was described: columns, key, unique key, foreign key.
pub async fn the_ddl_of_a_discovered_table_makes_the_same_table(h: &dyn Harness) {
    h.execute(ITEM).await;
    h.execute(
        "CREATE TABLE leaf (id bigint NOT NULL PRIMARY KEY, item_id bigint NOT NULL, code varchar(20) NOT NULL, \
         CONSTRAINT leaf_code UNIQUE (code), CONSTRAINT leaf_item FOREIGN KEY (item_id) REFERENCES item (id))",
    )
    .await;
    let mut destination = destination(h).await;
    let leaf = discovered(&mut *destination, "leaf").await;
    let ddl = h.connector().ddl(&renamed(h, &leaf, "copied"));
    assert_eq!(ddl.left_out, Vec::<String>::new());
    let statements = [ddl.create, ddl.keys, ddl.foreign_keys, ddl.sequences].concat();
    destination.prepare(&statements).await.expect("make the table");

    let copied = discovered(&mut *destination, "copied").await;
    assert_eq!(copied.primary_key, leaf.primary_key);
    let shape = |table: &Table| table.columns.iter().map(|c| (c.name.clone(), c.logical.clone(), c.nullable)).collect::<Vec<_>>();
    assert_eq!(shape(&copied), shape(&leaf));
    assert_eq!(copied.uniques.iter().map(|u| &u.columns).collect::<Vec<_>>(), leaf.uniques.iter().map(|u| &u.columns).collect::<Vec<_>>());
    assert_eq!(
        copied.foreign_keys.iter().map(|f| &f.parent).collect::<Vec<_>>(),
        leaf.foreign_keys.iter().map(|f| &f.parent).collect::<Vec<_>>()
    );
}

/// Names with every kind of quote, spaces, dots, keywords and letters beyond ASCII survive reading and writing.
pub async fn identifiers_are_quoted_however_strange_they_are(h: &dyn Harness) {
    let (name, column) = (r#"or"der `x` 'y'.z %s ü"#, r#"sel"ect `a` 'b' ; -- ?"#);
    let (quoted_name, quoted_column) = (h.words().quoted(name), h.words().quoted(column));
    h.execute(&format!("CREATE TABLE {quoted_name} (id bigint NOT NULL PRIMARY KEY, {quoted_column} varchar(20))")).await;
    let mut destination = destination(h).await;
    let strange = discovered(&mut *destination, name).await;
    let row = vec![syncline_model::Value::I64(1), super::steps::text("kept")];
    run(&mut *destination, "r1", write_of(&strange), &[row], &[]).await;
    assert_eq!(said(h, &format!("SELECT id, {quoted_column} FROM {quoted_name}")).await, ["1|kept"]);

    let (source, mut snapshot, strange) = super::steps::snapshot_of(h, name).await;
    assert_eq!(super::steps::rows(&mut *snapshot, super::steps::request(&strange)).await.len(), 1);
    snapshot.close().await.expect("close");
    drop(source);
    let ddl = h.connector().ddl(&renamed(h, &strange, &format!("{name} 2")));
    destination.prepare(&[ddl.create, ddl.keys].concat()).await.expect("make the table");
    assert_eq!(discovered(&mut *destination, &format!("{name} 2")).await.columns[1].name, column);
}

/// `table` as a new one called `name`, its constraints renamed along: names are unique per schema in some systems.
pub(super) fn renamed(h: &dyn Harness, table: &Table, name: &str) -> NewTable {
    let engine = h.connector().engine();
    let another = |constraint: &str| format!("{constraint}_2");
    NewTable {
        name: TableName { schema: table.name.schema.clone(), name: name.to_owned() },
        columns: table.columns.iter().map(|column| h.connector().map_column(column, engine).0).collect(),
        primary_key: table.primary_key.clone(),
        uniques: table
            .uniques
            .iter()
            .cloned()
            .map(|mut unique| {
                unique.name = another(&unique.name);
                unique
            })
            .collect(),
        foreign_keys: table
            .foreign_keys
            .iter()
            .cloned()
            .map(|mut key| {
                key.name = another(&key.name);
                key
            })
            .collect(),
        indexes: Vec::new(),
        comment: None,
    }
}
