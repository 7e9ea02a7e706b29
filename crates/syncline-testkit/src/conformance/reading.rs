//! Rows out of a snapshot: each once, as asked for, of one moment, and complete or an error.

use syncline_connector::{Batch, ErrorKind, Piece, Predicate, ReadForm, ReadRequest, SliceRequest};
use syncline_model::{RowBatch, Value};

use super::Harness;
use super::steps::{PART, ids, int, item, items, many_items, request, rows, snapshot_of, source, text, three_items};

/// The columns of the request, in its order; rows in the order it names.
pub async fn rows_come_once_in_the_order_and_the_columns_asked_for(h: &dyn Harness) {
    three_items(h).await;
    let (_source, mut snapshot, table) = snapshot_of(h, "item").await;
    assert_eq!(rows(&mut *snapshot, request(&table)).await, [item(1, Some("one"), 10), item(2, Some("two"), 20), item(3, None, 30)]);
    let backwards = ReadRequest { columns: vec!["n".to_owned(), "id".to_owned()], order: vec!["n".to_owned()], ..request(&table) };
    let expected = [10, 20, 30].map(|n| vec![Value::I64(n), Value::I64(n / 10)]);
    assert_eq!(rows(&mut *snapshot, backwards).await, expected);
}

/// A filter is the conjunction of its conditions; NULL is only found by `IsNull` and `NotBefore`.
pub async fn all_conditions_of_a_filter_hold(h: &dyn Harness) {
    three_items(h).await;
    let (_source, mut snapshot, table) = snapshot_of(h, "item").await;
    let name = || "name".to_owned();
    let n = || "n".to_owned();
    for (filter, expected) in [
        (vec![Predicate::Equals(name(), text("two"))], vec![2]),
        (vec![Predicate::IsNull(name())], vec![3]),
        (vec![Predicate::NotNull(name())], vec![1, 2]),
        (vec![Predicate::AtLeast(n(), Value::I64(20))], vec![2, 3]),
        (vec![Predicate::NotBefore(n(), Value::I64(20))], vec![2, 3]),
        (vec![Predicate::NotBefore(name(), text("p"))], vec![2, 3]),
        (vec![Predicate::Below(n(), Value::I64(20))], vec![1]),
        (vec![Predicate::AtLeast(n(), Value::I64(10)), Predicate::Below(n(), Value::I64(30))], vec![1, 2]),
        (vec![Predicate::Sql(vec![Piece::Sql("n > 10 OR name = 'one'".to_owned())]), Predicate::Below(n(), Value::I64(30))], vec![1, 2]),
        (vec![Predicate::Sql(vec![Piece::Sql("name = ".to_owned()), Piece::Bound(text("two"))])], vec![2]),
        (vec![Predicate::Equals(name(), text("nobody"))], vec![]),
    ] {
        assert_eq!(ids(&mut *snapshot, &table, filter.clone()).await, expected, "{filter:?}");
    }
}

/// `{{ scope }}` is bound, never rendered.
pub async fn a_bound_value_is_never_sql(h: &dyn Harness) {
    three_items(h).await;
    let (_source, mut snapshot, table) = snapshot_of(h, "item").await;
    for evil in ["' OR 1=1 -- ", "\\' OR 1=1 -- ", "x'; DELETE FROM item; -- ", "$1", "?", "%s", "\u{2019} OR 1=1"] {
        let pieces = vec![Piece::Sql("name = ".to_owned()), Piece::Bound(text(evil)), Piece::Sql(" AND n > 0".to_owned())];
        for filter in [vec![Predicate::Sql(pieces)], vec![Predicate::Equals("name".to_owned(), text(evil))]] {
            assert_eq!(ids(&mut *snapshot, &table, filter).await, Vec::<i64>::new(), "{evil:?}");
        }
    }
    assert_eq!(items(h).await.len(), 3);
}

/// `KeyIn` has no limit of its own: the connector cuts the list. Keys that are not there are simply not found.
pub async fn any_number_of_keys_can_be_asked_for(h: &dyn Harness) {
    many_items(h, 2000).await;
    let (_source, mut snapshot, table) = snapshot_of(h, "item").await;
    let mut keys = RowBatch::new(1);
    (1..=70_000).rev().filter(|id| id % 2 == 0).for_each(|id| keys.push(Value::I64(id).view()));
    let filter = vec![Predicate::KeyIn { columns: vec!["id".to_owned()], keys }];
    let read = ReadRequest { filter, order: Vec::new(), ..request(&table) };
    let mut found: Vec<i64> = rows(&mut *snapshot, read).await.iter().map(|row| int(&row[0])).collect();
    found.sort_unstable();
    assert_eq!(found, (1..=2000).filter(|id| id % 2 == 0).collect::<Vec<_>>());
}

/// A batch is handed over once it holds `batch_bytes`.
pub async fn batches_are_cut_by_bytes_and_never_empty(h: &dyn Harness) {
    many_items(h, 2000).await;
    let (_source, mut snapshot, table) = snapshot_of(h, "item").await;
    let mut stream = snapshot.read(ReadRequest { batch_bytes: 4096, ..request(&table) }).await.expect("open a read");
    let (mut batches, mut read) = (0, 0);
    while let Some(Batch::Rows(batch)) = stream.next().await.expect("the next batch") {
        assert!(!batch.is_empty());
        assert!(batch.bytes() < 3 * 4096, "a batch of {} bytes where 4096 were asked for", batch.bytes());
        batches += 1;
        read += batch.len();
    }
    assert_eq!(read, 2000);
    assert!(batches > 5, "{batches} batches");
}

/// Dropping a stream early is allowed.
pub async fn a_dropped_stream_leaves_the_snapshot_usable(h: &dyn Harness) {
    many_items(h, 2000).await;
    let (_source, mut snapshot, table) = snapshot_of(h, "item").await;
    for _ in 0..3 {
        let mut stream = snapshot.read(ReadRequest { batch_bytes: 1024, ..request(&table) }).await.expect("open a read");
        assert!(stream.next().await.expect("the first batch").is_some());
        drop(stream);
    }
    drop(snapshot.read(request(&table)).await.expect("open a read"));
    assert_eq!(snapshot.count(&table, &[]).await.expect("count"), 2000);
    assert_eq!(rows(&mut *snapshot, request(&table)).await.len(), 2000);
}

// rule: R39
/// One consistent view over all tables: a commit after it opened is not seen, in no table and by no question; closing it ends it.
pub async fn a_snapshot_shows_one_moment_of_all_tables(h: &dyn Harness) {
    three_items(h).await;
    h.execute(PART).await;
    let (mut source, mut snapshot, table) = snapshot_of(h, "item").await;
    let part = super::steps::table(&source.discover().await.expect("discover beside an open snapshot"), "part");
    h.execute("INSERT INTO item VALUES (4, 'late', 40); INSERT INTO part VALUES (1, 4); UPDATE item SET name = 'changed' WHERE id = 1")
        .await;
    assert_eq!(ids(&mut *snapshot, &table, Vec::new()).await, [1, 2, 3]);
    assert_eq!(rows(&mut *snapshot, request(&table)).await[0], item(1, Some("one"), 10));
    assert_eq!(snapshot.count(&part, &[]).await.expect("count"), 0);
    assert_eq!(snapshot.key_range(&table, "id", &[]).await.expect("key range"), Some((1, 3)));
    let before = snapshot.observation().at;
    snapshot.close().await.expect("close");

    let mut later = source.snapshot().await.expect("open the next snapshot");
    assert_eq!(ids(&mut *later, &table, Vec::new()).await, [1, 2, 3, 4]);
    assert!(later.observation().at >= before, "the system's clock goes forward");
}

/// An unknown column is `Invalid`, and the snapshot survives the mistake or says that it is gone; it never gives other rows.
pub async fn an_unknown_column_is_invalid(h: &dyn Harness) {
    three_items(h).await;
    let (_source, mut snapshot, table) = snapshot_of(h, "item").await;
    let read = ReadRequest { columns: vec!["id".to_owned(), "no_such_column".to_owned()], ..request(&table) };
    let error = match snapshot.read(read).await {
        Err(error) => error,
        Ok(mut stream) => stream.next().await.expect_err("an unknown column gives no rows"),
    };
    assert_eq!(error.kind, ErrorKind::Invalid, "{error}");
    assert!(error.message.contains("no_such_column"), "{error}");
}

/// `ReadForm::Text` renders every cell in the system itself.
pub async fn the_text_form_gives_text(h: &dyn Harness) {
    three_items(h).await;
    let (_source, mut snapshot, table) = snapshot_of(h, "item").await;
    let found = rows(&mut *snapshot, ReadRequest { form: ReadForm::Text, ..request(&table) }).await;
    assert_eq!(found, [[text("1"), text("one"), text("10")], [text("2"), text("two"), text("20")], [text("3"), Value::Null, text("30")]]);
}

// rule: R25
/// A cell above `large_over` comes as its length, the others whole.
pub async fn a_cell_over_the_limit_comes_as_its_length(h: &dyn Harness) {
    h.execute("CREATE TABLE wide (id bigint NOT NULL PRIMARY KEY, body text)").await;
    let (short, long) = ("s".repeat(100), "l".repeat(5000));
    h.execute(&format!("INSERT INTO wide VALUES (1, '{short}'), (2, '{long}')")).await;
    let (_source, mut snapshot, table) = snapshot_of(h, "wide").await;
    let mut found = rows(&mut *snapshot, ReadRequest { large_over: 1000, ..request(&table) }).await;
    found.sort_by_key(|row| int(&row[0]));
    assert_eq!(found, [[Value::I64(1), text(&short)], [Value::I64(2), Value::Large(5000)]]);
}

// rule: R25
/// A value comes in slices of its bytes, text as UTF-8 cut anywhere; by the key of one row, or not at all.
pub async fn a_value_can_be_read_in_slices_as_declared(h: &dyn Harness) {
    h.execute("CREATE TABLE wide (id bigint NOT NULL PRIMARY KEY, body text)").await;
    let body = "aü€😀".repeat(500);
    h.execute(&format!("INSERT INTO wide VALUES (1, 'other'), (2, '{body}')")).await;
    let (source, mut snapshot, table) = snapshot_of(h, "wide").await;
    let ask = |filter: Vec<Predicate>, offset: u64, max: u64| SliceRequest {
        table: table.clone(),
        filter,
        column: "body".to_owned(),
        offset,
        max,
    };
    let second = || vec![Predicate::Equals("id".to_owned(), Value::I64(2))];
    if !source.capabilities().reads_slices {
        let error = snapshot.slice(&ask(second(), 0, 10)).await.expect_err("slices without the capability");
        assert_eq!((error.kind, error.code), (ErrorKind::Invalid, "slices_unsupported"), "{error}");
        return;
    }
    let mut all = Vec::new();
    loop {
        let slice = snapshot.slice(&ask(second(), all.len() as u64, 1777)).await.expect("a slice");
        if slice.is_empty() {
            break;
        }
        assert!(slice.len() == 1777 || all.len() + slice.len() == body.len(), "short only at the end");
        all.extend(slice);
    }
    assert_eq!(all, body.as_bytes());
    for nobody in [Vec::new(), vec![Predicate::Equals("id".to_owned(), Value::I64(3))]] {
        let error = snapshot.slice(&ask(nobody, 0, 10)).await.expect_err("not one row");
        assert_eq!((error.kind, error.code), (ErrorKind::BadRecord, "value_too_large"), "{error}");
    }
    assert_eq!(snapshot.count(&table, &[]).await.expect("the snapshot goes on"), 2);
}

/// The `raw` capability is the truth.
pub async fn raw_rows_are_given_or_refused_as_declared(h: &dyn Harness) {
    three_items(h).await;
    let (source, mut snapshot, table) = snapshot_of(h, "item").await;
    let raw = source.capabilities().raw;
    let same_column = h.connector().raw_safe(&table.columns[0], &table.columns[0]);
    assert_eq!(raw, same_column, "a column may enter itself undecoded exactly where raw rows exist");
    match snapshot.read(ReadRequest { form: ReadForm::Raw, order: Vec::new(), ..request(&table) }).await {
        Err(error) => assert!(!raw && error.kind == ErrorKind::Invalid, "{error}"),
        Ok(mut stream) => {
            let mut seen = 0;
            while let Some(batch) = stream.next().await.expect("the next chunk") {
                let Batch::Raw(chunk) = batch else { panic!("raw chunks were asked for") };
                seen += chunk.rows;
            }
            assert!(raw, "raw rows without the capability");
            assert_eq!(seen, 3);
        }
    }
}

/// `count` and `key_range` are exact, under the filter.
pub async fn counts_and_key_ranges_respect_the_filter(h: &dyn Harness) {
    three_items(h).await;
    h.execute("INSERT INTO item VALUES (-9223372036854775808, 'low', 1), (9223372036854775807, 'high', 2)").await;
    let (_source, mut snapshot, table) = snapshot_of(h, "item").await;
    assert_eq!(snapshot.count(&table, &[]).await.expect("count"), 5);
    let whole = snapshot.key_range(&table, "id", &[]).await.expect("key range");
    assert_eq!(whole, Some((i128::from(i64::MIN), i128::from(i64::MAX))));
    let some = [Predicate::AtLeast("n".to_owned(), Value::I64(20))];
    assert_eq!(snapshot.count(&table, &some).await.expect("count"), 2);
    assert_eq!(snapshot.key_range(&table, "id", &some).await.expect("key range"), Some((2, 3)));
    let none = [Predicate::AtLeast("n".to_owned(), Value::I64(99))];
    assert_eq!(snapshot.key_range(&table, "id", &none).await.expect("key range"), None);
}

/// Walked key by key with `key_after`, the ranges between `After` and `UpTo` hold every row once, whatever the collation thinks of
/// the order.
pub async fn ranges_of_keys_hold_every_row_once(h: &dyn Harness) {
    h.execute("CREATE TABLE word (lang VARCHAR(20) NOT NULL, n INT NOT NULL, PRIMARY KEY (lang, n))").await;
    let words = ["", "a", "B", "b2", "ü", "z", "zz", "it''s", "€", "10", "9"];
    let all: Vec<String> = words.iter().flat_map(|w| (-1..=1).map(move |n| format!("('{w}', {n})"))).collect();
    h.execute(&format!("INSERT INTO word VALUES {}", all.join(", "))).await;
    let (_source, mut snapshot, table) = snapshot_of(h, "word").await;
    let columns = || vec!["lang".to_owned(), "n".to_owned()];
    let (mut seen, mut after) = (Vec::new(), Vec::new());
    while let Some(key) = snapshot.key_after(&table, &columns(), &after, 4).await.expect("a key") {
        let upto = Predicate::UpTo { columns: columns(), key: key.clone() };
        let filter = after.drain(..).chain([upto]).collect();
        let part = rows(&mut *snapshot, ReadRequest { filter, columns: columns(), order: columns(), ..request(&table) }).await;
        assert_eq!(part.last(), Some(&key), "a part ends with the key it was asked up to");
        assert!(part.len() <= 4 && !part.is_empty(), "{part:?}");
        seen.extend(part);
        after = vec![Predicate::After { columns: columns(), key }];
    }
    let whole = rows(&mut *snapshot, ReadRequest { columns: columns(), order: columns(), ..request(&table) }).await;
    assert_eq!(seen, whole);
    assert_eq!(whole.len(), all.len());
    let (n, zero) = (|| vec!["n".to_owned()], || vec![Value::I64(0)]);
    let count = all.len() as u64 / 3;
    let after = [Predicate::After { columns: n(), key: zero() }];
    let upto = [Predicate::UpTo { columns: n(), key: zero() }];
    assert_eq!(snapshot.count(&table, &after).await.expect("count"), count);
    assert_eq!(snapshot.count(&table, &upto).await.expect("count"), 2 * count);
    let none = [Predicate::After { columns: columns(), key: whole.last().expect("rows").clone() }];
    assert_eq!(snapshot.key_after(&table, &columns(), &none, 4).await.expect("no key"), None);
}

/// One column of a user's query.
pub async fn query_values_gives_one_column(h: &dyn Harness) {
    three_items(h).await;
    let names = source(h).await.query_values("SELECT name FROM item ORDER BY id").await.expect("query");
    assert_eq!(names, [text("one"), text("two"), Value::Null]);
}
