//! A file copied into a new file: tables, keys, foreign keys, values.

use syncline_model::Engine;

use crate::support::*;

const SHOP: &str = "
    CREATE TABLE artist (id INTEGER PRIMARY KEY, name NVARCHAR(120) NOT NULL UNIQUE);
    CREATE TABLE album (id INTEGER PRIMARY KEY, artist_id INT NOT NULL REFERENCES artist(id) ON DELETE CASCADE,
        price NUMERIC(10,2) DEFAULT 0.99, made DATETIME, cover BLOB, note TEXT COLLATE NOCASE CHECK (length(note) < 100));
    CREATE INDEX album_made ON album(made);
    INSERT INTO artist VALUES (1, 'AC/DC'), (2, 'Ätna');
    INSERT INTO album VALUES (1, 1, 0.99, '2009-01-01 00:00:00', x'00ff', 'Loud'), (2, 2, 5, NULL, NULL, NULL), (3, 2, '1.5', 'soon', 7, '');
";

#[tokio::test]
async fn a_copied_file_holds_the_same_values_in_the_same_storage_classes() {
    let files = Files::new();
    files.script("from.db", SHOP);
    let mut source = files.source("from.db").await;
    let mut destination = files.destination("to.db").await;
    destination.prepare(&[]).await.unwrap();
    let tables = [table(&mut *source, "album").await, table(&mut *source, "artist").await];
    let made: Vec<_> = tables.iter().map(|t| mapped(t, Engine::Sqlite)).collect();
    let streams = made.iter().map(|(t, ddl)| stream(t, Some(ddl.clone()))).collect();
    let mut run = destination.begin(spec("r1", streams)).await.unwrap();
    let mut snapshot = source.snapshot().await.unwrap();
    for (i, t) in tables.iter().enumerate() {
        let rows = read(&mut *snapshot, request(t)).await;
        assert_eq!(run.stage(i, &batch(&rows)).await.unwrap(), []);
    }
    let applied = run.apply().await.unwrap();
    run.commit().await.unwrap();
    assert_eq!(applied.outcomes.iter().map(|o| o.created).collect::<Vec<_>>(), [3, 2]);
    for sql in ["SELECT * FROM album ORDER BY id", "SELECT * FROM artist ORDER BY id"] {
        assert_eq!(files.cells("to.db", sql), files.cells("from.db", sql));
    }
    let mut again = files.source("to.db").await;
    let (old, new) = (&tables[0], table(&mut *again, "album").await);
    assert_eq!(old.columns, new.columns);
    assert_eq!(
        old.foreign_keys.iter().map(|f| (&f.columns, f.on_delete)).collect::<Vec<_>>(),
        new.foreign_keys.iter().map(|f| (&f.columns, f.on_delete)).collect::<Vec<_>>()
    );
    assert_eq!(new.indexes.len(), 1);
    assert_eq!(table(&mut *again, "artist").await.uniques.len(), 1);
}

// rule: R16, R17
#[tokio::test]
async fn a_second_run_writes_nothing_and_edits_are_counted_exactly() {
    let files = Files::new();
    files.script("from.db", SHOP);
    files.script("to.db", SHOP);
    let mut source = files.source("from.db").await;
    let mut destination = files.destination("to.db").await;
    let album = table(&mut *source, "album").await;
    let mut snapshot = source.snapshot().await.unwrap();
    let mut rows = read(&mut *snapshot, request(&album)).await;
    let (_, applied) = write(&mut *destination, "r1", stream(&album, None), &rows).await;
    assert_eq!((applied.outcomes[0].unchanged, applied.outcomes[0].updated), (3, 0));
    rows[0][5] = text("LOUD");
    let mut fresh = rows[1].clone();
    fresh[0] = syncline_model::Value::I64(9);
    rows.push(fresh);
    let (_, applied) = write(&mut *destination, "r2", stream(&album, None), &rows).await;
    let o = &applied.outcomes[0];
    assert_eq!((o.created, o.updated, o.unchanged), (1, 1, 2));
    assert_eq!(files.cells("to.db", "SELECT note FROM album WHERE id = 1"), [["Text([76, 79, 85, 68])"]]);
}

#[tokio::test]
async fn chinook_copied_into_a_new_file_is_the_same_cell_by_cell() {
    let files = Files::new();
    std::fs::copy(syncline_testkit::chinook_path(), files.path("from.db")).unwrap();
    let mut source = files.source("from.db").await;
    let mut destination = files.destination("to.db").await;
    destination.prepare(&[]).await.unwrap();
    let tables: Vec<_> = source.discover().await.unwrap().tables;
    let made: Vec<_> = tables.iter().map(|t| mapped(t, Engine::Sqlite)).collect();
    let mut snapshot = source.snapshot().await.unwrap();
    for (turn, loads) in [("first", true), ("second", false)] {
        let streams = made.iter().map(|(t, ddl)| stream(t, loads.then(|| ddl.clone()))).collect();
        let mut run = destination.begin(spec(turn, streams)).await.unwrap();
        for (i, t) in tables.iter().enumerate() {
            let rows = read(&mut *snapshot, request(t)).await;
            assert_eq!(run.stage(i, &batch(&rows)).await.unwrap(), []);
        }
        let applied = run.apply().await.unwrap();
        run.commit().await.unwrap();
        let written: u64 = applied.outcomes.iter().map(|o| o.created + o.updated + o.deleted).sum();
        assert_eq!(written == 0, !loads, "the second run writes nothing: {written}");
    }
    let conn = files.plain("to.db");
    conn.execute("ATTACH ?1 AS source", [files.path("from.db").to_str().unwrap()]).unwrap();
    for t in &tables {
        let q = format!("\"{}\"", t.name.name);
        let cells: Vec<String> = t.columns.iter().map(|c| format!("typeof(\"{0}\"), \"{0}\"", c.name)).collect();
        let list = cells.join(", ");
        for (a, b) in [("main", "source"), ("source", "main")] {
            let sql = format!("SELECT count(*) FROM (SELECT {list} FROM {a}.{q} EXCEPT SELECT {list} FROM {b}.{q})");
            assert_eq!(conn.query_row(&sql, [], |r| r.get::<_, i64>(0)).unwrap(), 0, "{q}");
        }
    }
    let broken: i64 = conn.query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |r| r.get(0)).unwrap();
    assert_eq!(broken, 0);
    assert!(tables.len() >= 11);
}
