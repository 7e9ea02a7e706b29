//! What the tests share: a database seen through the connector.

use secrecy::SecretString;
use syncline_connector::write::{Applied, DeleteAction, Marker, RunSpec, StreamWrite, WritePath};
use syncline_connector::{
    Batch, ConnectionSpec, Connector as _, Destination, ReadForm, ReadRequest, Reject, Result, RowStream, Snapshot, Source,
};
use syncline_model::{RowBatch, Table, TableName, Value};
use syncline_mysql::Mysql;
use syncline_testkit::{Database, Mariadb};

pub async fn fresh(sql: &str) -> Database {
    let db = Mariadb::shared().database().await;
    if !sql.is_empty() {
        db.execute(sql).await;
    }
    db
}

pub fn spec(url: &str) -> ConnectionSpec {
    ConnectionSpec { name: "here".into(), url: SecretString::from(url.to_owned()), schema: None, flavor: None, memory: 64 << 20 }
}

pub async fn source(db: &Database) -> Box<dyn Source> {
    Mysql.source(&spec(&db.url())).await.expect("a source")
}

pub async fn destination(db: &Database) -> Box<dyn Destination> {
    Mysql.destination(&spec(&db.url())).await.expect("a destination")
}

/// The table as `discover` gives it.
pub async fn table(db: &Database, name: &str) -> Table {
    let catalog = source(db).await.discover().await.expect("discover");
    catalog.table(&TableName::within(db.name(), name)).unwrap_or_else(|| panic!("table {name}")).clone()
}

pub fn request(table: &Table) -> ReadRequest {
    ReadRequest {
        table: table.clone(),
        columns: table.columns.iter().map(|c| c.name.clone()).collect(),
        filter: vec![],
        order: table.primary_key.clone(),
        form: ReadForm::Values,
        batch_bytes: 1 << 20,
        large_over: 8 << 20,
    }
}

pub async fn collect(mut stream: Box<dyn RowStream + '_>) -> Result<Vec<Vec<Value>>> {
    let mut rows = Vec::new();
    while let Some(batch) = stream.next().await? {
        let Batch::Rows(batch) = batch else { panic!("rows, not raw") };
        assert!(!batch.is_empty(), "a batch is never empty");
        rows.extend(batch.rows().map(|r| r.to_values()));
    }
    Ok(rows)
}

pub async fn ask(db: &Database, request: ReadRequest) -> Vec<Vec<Value>> {
    let mut view = snapshot(db).await;
    let rows = collect(view.read(request).await.expect("read")).await.expect("rows");
    view.close().await.expect("close");
    rows
}

pub async fn snapshot(db: &Database) -> Box<dyn Snapshot> {
    source(db).await.snapshot().await.expect("a snapshot")
}

/// All rows by primary key.
pub async fn rows(db: &Database, name: &str) -> Vec<Vec<Value>> {
    ask(db, request(&table(db, name).await)).await
}

pub fn batch(rows: &[Vec<Value>]) -> RowBatch {
    let mut batch = RowBatch::new(rows.first().map_or(0, Vec::len));
    for row in rows {
        batch.push_row(row.iter().map(Value::view));
    }
    batch
}

pub fn marker(run: &str) -> Marker {
    Marker { sync: "sync".into(), scope: String::new(), stream: String::new(), run: run.into(), step: 1 }
}

/// A write of all plain columns of a table by its key.
pub fn stream(table: &Table) -> StreamWrite {
    let columns: Vec<String> = table.columns.iter().filter(|c| !c.generated).map(|c| c.name.clone()).collect();
    let key = table.best_key().expect("a key");
    StreamWrite {
        stream: table.name.name.clone(),
        table: table.clone(),
        create: None,
        path: WritePath::Stage,
        in_parts: syncline_connector::InParts::No,
        compare: columns.iter().filter(|c| !key.contains(c)).cloned().collect(),
        key,
        one_record_per_key: true,
        columns,
        deletes: DeleteAction::Remove,
        stamp: None,
        expects: false,
        rejects_max: 1000,
        strict: false,
        referenced_by: vec![],
    }
}

pub fn run(streams: Vec<StreamWrite>) -> RunSpec {
    RunSpec { marker: marker("run-1"), streams, undo_rows_max: 0, forget: Vec::new() }
}

/// Stages rows into one table, applies and commits.
pub async fn write(db: &Database, name: &str, rows: &[Vec<Value>]) -> (Vec<Reject>, Applied) {
    let table = table(db, name).await;
    let mut run = destination(db).await.begin(run(vec![stream(&table)])).await.expect("begin");
    let refused = run.stage(0, &batch(rows)).await.expect("stage");
    let applied = run.apply().await.expect("apply");
    run.commit().await.expect("commit");
    (refused, applied)
}
