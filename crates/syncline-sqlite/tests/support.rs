//! Files made by hand, and the connector used as the engine uses it.

use rusqlite::Connection;
use syncline_connector::{
    Applied, Batch, ConnectionSpec, Connector, DeleteAction, Destination, Marker, NewTable, ReadForm, ReadRequest, Reject, Result,
    RowStream, RunSpec, Snapshot, Source, StreamWrite, TableDdl, WritePath,
};
use syncline_model::schema::TableKind;
use syncline_model::{Engine, RowBatch, Table, TableName, Value};
use tempfile::TempDir;

/// A directory with database files in it.
pub struct Files(TempDir);

impl Files {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    /// A plain connection beside ours.
    pub fn plain(&self, name: &str) -> Connection {
        Connection::open(self.path(name)).unwrap()
    }

    /// Runs a script on a file.
    pub fn script(&self, name: &str, sql: &str) {
        self.plain(name).execute_batch(sql).unwrap();
    }

    pub fn spec(&self, name: &str) -> ConnectionSpec {
        ConnectionSpec {
            name: name.into(),
            url: format!("sqlite:{}", self.path(name).display()).into(),
            schema: None,
            flavor: None,
            memory: 16 << 20,
        }
    }

    pub async fn source(&self, name: &str) -> Box<dyn Source> {
        syncline_sqlite::connector().source(&self.spec(name)).await.unwrap()
    }

    pub async fn destination(&self, name: &str) -> Box<dyn Destination> {
        syncline_sqlite::connector().destination(&self.spec(name)).await.unwrap()
    }

    /// Every cell of a query as `typeof:quote`.
    pub fn cells(&self, name: &str, sql: &str) -> Vec<Vec<String>> {
        let conn = self.plain(name);
        let mut statement = conn.prepare(sql).unwrap();
        let n = statement.column_count();
        let row = |r: &rusqlite::Row<'_>| (0..n).map(|i| Ok(format!("{:?}", r.get_ref(i)?))).collect();
        statement.query_map([], row).unwrap().map(Result::unwrap).collect()
    }
}

pub async fn table(source: &mut dyn Source, name: &str) -> Table {
    source.discover().await.unwrap().table(&TableName::bare(name)).cloned().unwrap_or_else(|| panic!("table {name}"))
}

pub fn request(table: &Table) -> ReadRequest {
    ReadRequest {
        table: table.clone(),
        columns: table.columns.iter().map(|c| c.name.clone()).collect(),
        filter: Vec::new(),
        order: Vec::new(),
        form: ReadForm::Values,
        batch_bytes: 64 * 1024,
        large_over: 1 << 20,
    }
}

pub async fn drain(mut stream: Box<dyn RowStream + '_>) -> Result<Vec<Vec<Value>>> {
    let mut rows = Vec::new();
    while let Some(batch) = stream.next().await? {
        let Batch::Rows(batch) = batch else { panic!("raw rows") };
        assert!(!batch.is_empty(), "a batch is never empty");
        rows.extend(batch.rows().map(|r| r.to_values()));
    }
    Ok(rows)
}

pub async fn read(snapshot: &mut dyn Snapshot, request: ReadRequest) -> Vec<Vec<Value>> {
    drain(snapshot.read(request).await.unwrap()).await.unwrap()
}

pub fn batch(rows: &[Vec<Value>]) -> RowBatch {
    let mut batch = RowBatch::new(rows.first().map_or(0, Vec::len));
    for row in rows {
        batch.push_row(row.iter().map(Value::view));
    }
    batch
}

/// The destination table for a source table, and its DDL.
pub fn mapped(table: &Table, from: Engine) -> (Table, TableDdl) {
    let connector = syncline_sqlite::Sqlite;
    let new = NewTable {
        name: TableName::bare(table.name.name.clone()),
        columns: table.columns.iter().map(|c| connector.map_column(c, from).0).collect(),
        primary_key: table.primary_key.clone(),
        uniques: table.uniques.clone(),
        foreign_keys: table.foreign_keys.clone(),
        indexes: table.indexes.clone(),
        comment: None,
    };
    let ddl = connector.ddl(&new);
    let made = Table { name: new.name, kind: TableKind::Table, columns: new.columns, ..table.clone() };
    (made, ddl)
}

/// A stream of a run into `table`; `ddl` when the run makes it.
pub fn stream(table: &Table, ddl: Option<TableDdl>) -> StreamWrite {
    let columns: Vec<String> = table.columns.iter().filter(|c| !c.generated).map(|c| c.name.clone()).collect();
    StreamWrite {
        stream: table.name.name.clone(),
        table: table.clone(),
        path: if ddl.is_some() { WritePath::Load } else { WritePath::Stage },
        in_parts: syncline_connector::InParts::No,
        create: ddl,
        key: table.best_key().unwrap_or_default(),
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

pub fn marker(run: &str) -> Marker {
    Marker { sync: "s".into(), scope: String::new(), stream: String::new(), run: run.into(), step: 1 }
}

pub fn spec(run: &str, streams: Vec<StreamWrite>) -> RunSpec {
    RunSpec { marker: marker(run), streams, undo_rows_max: 1000, forget: Vec::new() }
}

/// Stages and applies rows of one stream and commits; the rejects of staging and what was applied.
pub async fn write(destination: &mut dyn Destination, run: &str, stream: StreamWrite, rows: &[Vec<Value>]) -> (Vec<Reject>, Applied) {
    destination.prepare(&[]).await.unwrap();
    let mut staged = destination.begin(spec(run, vec![stream])).await.unwrap();
    let rejects = if rows.is_empty() { Vec::new() } else { staged.stage(0, &batch(rows)).await.unwrap() };
    let applied = staged.apply().await.unwrap();
    staged.commit().await.unwrap();
    (rejects, applied)
}

pub fn text(s: &str) -> Value {
    Value::Text(s.into())
}
