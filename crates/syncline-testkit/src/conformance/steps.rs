//! What the sentences are put together from: a small table, a read to its end, a run from begin to commit.

use syncline_connector::write::{CommitFate, WritePath};
use syncline_connector::{
    Applied, Batch, DeleteAction, Destination, DigestColumn, DigestKind, DigestRequest, Marker, Predicate, ReadForm, ReadRequest, Result,
    RowStream, RunSpec, Segments, Snapshot, Source, StagedRun, StreamWrite,
};
use syncline_model::{Canon, Catalog, RowBatch, Table, Value};

use super::Harness;

/// The table most sentences use, in SQL that all systems understand.
pub(super) const ITEM: &str = "CREATE TABLE item (id bigint NOT NULL PRIMARY KEY, name varchar(200), n int)";
/// A table that refers to it.
pub(super) const PART: &str = "CREATE TABLE part (id bigint NOT NULL PRIMARY KEY, item_id bigint NOT NULL, \
     CONSTRAINT part_item FOREIGN KEY (item_id) REFERENCES item (id))";

/// Three rows: 1 to 3, the last without a name.
pub(super) async fn three_items(h: &dyn Harness) {
    h.execute(&format!("{ITEM}; INSERT INTO item VALUES (1, 'one', 10), (2, 'two', 20), (3, NULL, 30)")).await;
}

/// Rows `1..=count` named `row N`, inserted in slices that every system takes.
pub(super) async fn many_items(h: &dyn Harness, count: i64) {
    h.execute(ITEM).await;
    let rows: Vec<String> = (1..=count).map(|id| format!("({id}, 'row {id}', {})", id % 7)).collect();
    for slice in rows.chunks(1000) {
        h.execute(&format!("INSERT INTO item VALUES {}", slice.join(", "))).await;
    }
}

pub(super) async fn source(h: &dyn Harness) -> Box<dyn Source> {
    h.connector().source(&h.spec()).await.expect("open a source")
}

/// A destination whose bookkeeping tables are there.
pub(super) async fn destination(h: &dyn Harness) -> Box<dyn Destination> {
    let mut destination = h.connector().destination(&h.spec()).await.expect("open a destination");
    destination.prepare(&[]).await.expect("prepare the destination");
    destination
}

pub(super) fn table(catalog: &Catalog, name: &str) -> Table {
    let found = catalog.tables.iter().find(|table| table.name.name == name);
    found.unwrap_or_else(|| panic!("`{name}` among {:?}", catalog.tables.iter().map(|t| &t.name.name).collect::<Vec<_>>())).clone()
}

pub(super) async fn discovered(destination: &mut dyn Destination, name: &str) -> Table {
    table(&destination.discover().await.expect("discover"), name)
}

/// A snapshot of a fresh source session and the discovered table `name`. The session is returned so that it lives as long.
pub(super) async fn snapshot_of(h: &dyn Harness, name: &str) -> (Box<dyn Source>, Box<dyn Snapshot>, Table) {
    let mut source = source(h).await;
    let table = table(&source.discover().await.expect("discover"), name);
    let snapshot = source.snapshot().await.expect("open a snapshot");
    (source, snapshot, table)
}

/// Everything, ordered by the key, as values.
pub(super) fn request(table: &Table) -> ReadRequest {
    ReadRequest {
        table: table.clone(),
        columns: table.columns.iter().map(|column| column.name.clone()).collect(),
        filter: Vec::new(),
        order: table.primary_key.clone(),
        form: ReadForm::Values,
        batch_bytes: 64 * 1024,
        large_over: 1024 * 1024,
    }
}

/// Reads to the end.
pub(super) async fn rows(snapshot: &mut dyn Snapshot, request: ReadRequest) -> Vec<Vec<Value>> {
    let mut stream = snapshot.read(request).await.expect("open a read");
    drain(&mut *stream).await
}

/// The first column of the rows under `filter`, in key order.
pub(super) async fn ids(snapshot: &mut dyn Snapshot, table: &Table, filter: Vec<Predicate>) -> Vec<i64> {
    let rows = rows(snapshot, ReadRequest { filter, ..request(table) }).await;
    rows.iter().map(|row| int(&row[0])).collect()
}

pub(super) async fn drain(stream: &mut dyn RowStream) -> Vec<Vec<Value>> {
    let mut all = Vec::new();
    while let Some(batch) = stream.next().await.expect("the next batch") {
        let Batch::Rows(batch) = batch else { panic!("decoded rows were asked for") };
        assert!(!batch.is_empty(), "a batch is never empty");
        all.extend(batch.rows().map(|row| row.to_values()));
    }
    all
}

pub(super) fn int(value: &Value) -> i64 {
    match value {
        Value::I64(n) => *n,
        other => panic!("an integer, not {other:?}"),
    }
}

pub(super) fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

/// A row of `item`.
pub(super) fn item(id: i64, name: Option<&str>, n: i64) -> Vec<Value> {
    vec![Value::I64(id), name.map_or(Value::Null, text), Value::I64(n)]
}

pub(super) fn batch(rows: &[Vec<Value>]) -> RowBatch {
    let mut batch = RowBatch::new(rows.first().map_or(1, Vec::len));
    rows.iter().for_each(|row| batch.push_row(row.iter().map(Value::view)));
    batch
}

pub(super) fn keys(ids: &[i64]) -> RowBatch {
    batch(&ids.iter().map(|id| vec![Value::I64(*id)]).collect::<Vec<_>>())
}

/// A digest of all columns of `item`.
pub(super) fn digest_request(table: &Table, kind: DigestKind, segments: Segments) -> DigestRequest {
    let column = |name: &str, canon| DigestColumn { name: name.to_owned(), canon, hashed: false };
    DigestRequest {
        table: table.clone(),
        key: vec![column("id", Canon::Number)],
        columns: vec![column("id", Canon::Number), column("name", Canon::Text), column("n", Canon::Number)],
        kind,
        segments,
        filter: Vec::new(),
    }
}

pub(super) fn ranges(size: u64) -> Segments {
    Segments::Ranges { column: "id".to_owned(), size }
}

/// The staged write of every column of `table`, all compared, deletions removing.
pub(super) fn write_of(table: &Table) -> StreamWrite {
    let columns: Vec<String> = table.columns.iter().filter(|column| !column.generated).map(|column| column.name.clone()).collect();
    StreamWrite {
        stream: table.name.name.clone(),
        table: table.clone(),
        create: None,
        path: WritePath::Stage,
        in_parts: syncline_connector::InParts::No,
        key: table.primary_key.clone(),
        compare: columns.iter().filter(|column| !table.primary_key.contains(column)).cloned().collect(),
        one_record_per_key: true,
        columns,
        deletes: DeleteAction::Remove,
        stamp: None,
        expects: false,
        rejects_max: 1000,
        strict: false,
        referenced_by: Vec::new(),
    }
}

pub(super) fn marker(run: &str) -> Marker {
    Marker { sync: "conformance".to_owned(), scope: String::new(), stream: String::new(), run: run.to_owned(), step: 1 }
}

pub(super) fn run_of(run: &str, streams: Vec<StreamWrite>) -> RunSpec {
    RunSpec { marker: marker(run), streams, undo_rows_max: 1000, forget: Vec::new() }
}

/// Applies and commits.
pub(super) async fn finish(mut run: Box<dyn StagedRun>) -> Applied {
    let applied = run.apply().await.expect("apply");
    run.commit().await.expect("commit");
    for outcome in &applied.outcomes {
        let placed = outcome.created + outcome.updated + outcome.unchanged + outcome.merged + outcome.rejects.len() as u64;
        assert_eq!(outcome.staged, placed, "every staged row is accounted for: {outcome:?}");
    }
    applied
}

/// One run of one stream: stages rows and deletions, applies, commits.
pub(super) async fn run(destination: &mut dyn Destination, name: &str, write: StreamWrite, new: &[Vec<Value>], gone: &[i64]) -> Applied {
    let mut run = destination.begin(run_of(name, vec![write])).await.expect("begin a run");
    if !new.is_empty() {
        let refused = run.stage(0, &batch(new)).await.expect("stage rows");
        assert_eq!(refused, [], "these rows fit");
    }
    if !gone.is_empty() {
        run.stage_deletes(0, &keys(gone)).await.expect("stage deletions");
    }
    finish(run).await
}

/// The fate of run `name`, asked on a fresh session as after a crash.
pub(super) async fn fate(h: &dyn Harness, name: &str, token: Option<&str>) -> Result<CommitFate> {
    destination(h).await.fate(&marker(name), token).await
}

/// What a query says, as text rows joined by `|`, NULL as `-`.
pub(super) async fn said(h: &dyn Harness, sql: &str) -> Vec<String> {
    let line = |row: Vec<Option<String>>| row.into_iter().map(|cell| cell.unwrap_or_else(|| "-".to_owned())).collect::<Vec<_>>().join("|");
    h.query(sql).await.into_iter().map(line).collect()
}

pub(super) async fn items(h: &dyn Harness) -> Vec<String> {
    said(h, "SELECT id, name, n FROM item ORDER BY id").await
}
