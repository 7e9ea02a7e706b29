//! What the tests are put together from.

use syncline_connector::write::WritePath;
use syncline_connector::{
    Applied, Batch, ConnectionSpec, DeleteAction, Destination, DigestColumn, Marker, NewTable, RawChunk, ReadForm, ReadRequest, RowStream,
    RunSpec, Snapshot, Source, StagedRun, StreamWrite,
};
use syncline_model::{Canon, Catalog, Engine, RowBatch, Table, Value};
use syncline_testkit::{Database, Postgres};

pub async fn database() -> Database {
    Postgres::shared().database().await
}

pub fn spec(url: String) -> ConnectionSpec {
    ConnectionSpec { name: "test".into(), url: url.into(), schema: None, flavor: None, memory: 8 << 20 }
}

pub async fn source(url: String) -> Box<dyn Source> {
    syncline_postgres::connector().source(&spec(url)).await.expect("open a source")
}

pub async fn destination(url: String) -> Box<dyn Destination> {
    syncline_postgres::connector().destination(&spec(url)).await.expect("open a destination")
}

pub fn table(catalog: &Catalog, name: &str) -> Table {
    catalog.tables.iter().find(|t| t.name.name == name).unwrap_or_else(|| panic!("`{name}` in {catalog:?}")).clone()
}

pub async fn discovered(db: &Database, name: &str) -> Table {
    table(&source(db.url()).await.discover().await.expect("discover"), name)
}

pub fn request(table: &Table, form: ReadForm) -> ReadRequest {
    ReadRequest {
        table: table.clone(),
        columns: table.columns.iter().map(|c| c.name.clone()).collect(),
        filter: Vec::new(),
        order: table.primary_key.clone(),
        form,
        batch_bytes: 64 << 10,
        large_over: 4 << 20,
    }
}

pub async fn drain(stream: &mut dyn RowStream) -> Vec<Vec<Value>> {
    let mut all = Vec::new();
    while let Some(batch) = stream.next().await.expect("the next batch") {
        let Batch::Rows(batch) = batch else { panic!("decoded rows were asked for") };
        all.extend(batch.rows().map(|r| r.to_values()));
    }
    all
}

pub async fn read(snapshot: &mut dyn Snapshot, request: ReadRequest) -> Vec<Vec<Value>> {
    drain(&mut *snapshot.read(request).await.expect("read")).await
}

pub async fn values(db: &Database, name: &str) -> Vec<Vec<Value>> {
    let table = discovered(db, name).await;
    let mut snapshot = source(db.url()).await.snapshot().await.expect("open a snapshot");
    read(&mut *snapshot, request(&table, ReadForm::Values)).await
}

pub async fn raw(snapshot: &mut dyn Snapshot, request: ReadRequest) -> Vec<RawChunk> {
    let mut stream = snapshot.read(request).await.expect("read");
    let mut all = Vec::new();
    while let Some(batch) = stream.next().await.expect("the next batch") {
        let Batch::Raw(chunk) = batch else { panic!("raw chunks were asked for") };
        all.push(chunk);
    }
    all
}

pub fn batch(rows: &[Vec<Value>]) -> RowBatch {
    let mut batch = RowBatch::new(rows.first().map_or(1, Vec::len));
    rows.iter().for_each(|r| batch.push_row(r.iter().map(Value::view)));
    batch
}

pub fn write_of(table: &Table) -> StreamWrite {
    let columns: Vec<String> = table.columns.iter().filter(|c| !c.generated).map(|c| c.name.clone()).collect();
    StreamWrite {
        stream: table.name.name.clone(),
        table: table.clone(),
        create: None,
        path: WritePath::Stage,
        in_parts: syncline_connector::InParts::No,
        key: table.primary_key.clone(),
        compare: columns.iter().filter(|c| !table.primary_key.contains(c)).cloned().collect(),
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

pub fn run_spec(stream: StreamWrite) -> RunSpec {
    let marker = Marker { sync: "s".into(), scope: String::new(), stream: String::new(), run: "r1".into(), step: 1 };
    RunSpec { marker, streams: vec![stream], undo_rows_max: 0, forget: Vec::new() }
}

pub async fn begin(db: &Database, stream: StreamWrite) -> Box<dyn StagedRun> {
    destination(db.url()).await.begin(run_spec(stream)).await.expect("begin")
}

/// Stages rows into a table of the same name, applies and commits.
pub async fn copy_into(db: &Database, table: &Table, rows: &[Vec<Value>]) -> Applied {
    let mut run = begin(db, write_of(table)).await;
    let rejects = run.stage(0, &batch(rows)).await.expect("stage");
    assert_eq!(rejects, [], "every row fits");
    let applied = run.apply().await.expect("apply");
    run.commit().await.expect("commit");
    applied
}

pub fn digest_columns(table: &Table) -> Vec<DigestColumn> {
    let one = |c: &syncline_model::Column| {
        let canon = Canon::for_pair((c, Engine::Postgres), (c, Engine::Postgres));
        DigestColumn { name: c.name.clone(), canon, hashed: matches!(canon, Canon::Bytes | Canon::JsonText) }
    };
    table.columns.iter().map(one).collect()
}

/// Loads raw chunks into a new table that is made like `table`.
pub async fn load_raw(db: &Database, table: &Table, name: &str, chunks: Vec<RawChunk>) -> Applied {
    let mut copy = table.clone();
    copy.name.name = name.into();
    let new = NewTable {
        name: copy.name.clone(),
        columns: copy.columns.clone(),
        primary_key: copy.primary_key.clone(),
        uniques: vec![],
        foreign_keys: vec![],
        indexes: vec![],
        comment: None,
    };
    let mut write = write_of(&copy);
    write.create = Some(syncline_postgres::connector().ddl(&new));
    write.path = WritePath::Load;
    let mut run = begin(db, write).await;
    for chunk in chunks {
        run.stage_raw(0, chunk).await.expect("stage raw");
    }
    let applied = run.apply().await.expect("apply");
    run.commit().await.expect("commit");
    applied
}
