//! A destination connection for the staged apply: statements, bulk loads, and a COMMIT whose answer is not taken on trust.

use std::pin::Pin;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::SinkExt as _;
use syncline_connector::write::CommitFate;
use syncline_connector::{Error, ErrorKind, Identity, LargeFields, Marker, RawChunk, Reject, Result};
use syncline_model::{Column, RowBatch};
use syncline_sql::{Dialect, LoadPlace, LoadTarget, SqlSession};
use tokio_postgres::{CopyInSink, SimpleQueryMessage};

use crate::connect::Link;
use crate::decode::{HEADER, TRAILER};
use crate::dialect::PgDialect;
use crate::encode::Target;
use crate::error::from_pg;
use crate::{identity, load, parse, sliced, sql};

/// Bytes gathered before they are handed to the connection: few messages, little memory.
const SEND_BYTES: usize = 256 << 10;

/// Bytes that are handed over at once: an ordinary raw chunk goes whole.
const WHOLE_MAX: usize = 2 << 20;

/// Hands bytes to a COPY a part at a time: the driver copies each into its own buffer, which grows to the largest.
///
/// # Errors
/// The driver's; the reason comes with the end of the statement.
pub async fn send_in_parts(sink: &mut Pin<Box<CopyInSink<Bytes>>>, mut bytes: Bytes) -> Result<(), tokio_postgres::Error> {
    while bytes.len() > WHOLE_MAX {
        sink.send(bytes.split_to(SEND_BYTES)).await?;
    }
    sink.send(bytes).await
}

/// A COPY that takes rows.
struct OpenLoad {
    table: String,
    raw: bool,
    targets: Vec<Target>,
    sink: Pin<Box<CopyInSink<Bytes>>>,
    buffer: Vec<u8>,
}

/// One connection in the role of destination.
pub struct PgSession {
    link: Link,
    dialect: PgDialect,
    load: Option<OpenLoad>,
    identity: Option<Identity>,
}

impl PgSession {
    /// A session over an open connection.
    #[must_use]
    pub fn new(link: Link) -> Self {
        let dialect = PgDialect::new(link.settings.schema.clone());
        Self { link, dialect, load: None, identity: None }
    }

    async fn messages(&mut self, sql: &str) -> Result<Vec<SimpleQueryMessage>> {
        self.finish_load().await?;
        self.link.client.simple_query(sql).await.map_err(|e| from_pg(e, &doing(sql)))
    }

    /// Makes `target` the table that rows go to.
    async fn open(&mut self, target: &LoadTarget, raw: bool) -> Result<&mut OpenLoad> {
        let same = self.load.as_ref().is_some_and(|l| l.table == target.table && l.raw == raw);
        if !same {
            self.finish_load().await?;
            let names = target.columns.iter().map(|c| sql::ident(&c.name)).collect::<Vec<_>>().join(", ");
            let freeze = if target.place == LoadPlace::New { ", FREEZE" } else { "" };
            let statement = format!("COPY {} ({names}) FROM STDIN WITH (FORMAT binary{freeze})", target.table);
            let sink = self.link.client.copy_in(statement.as_str()).await.map_err(|e| from_pg(e, &load_of(&target.table)))?;
            let mut buffer = Vec::with_capacity(SEND_BYTES + (SEND_BYTES >> 2));
            if !raw {
                buffer.extend_from_slice(HEADER);
            }
            let targets = target.columns.iter().map(Target::of).collect();
            self.load = Some(OpenLoad { table: target.table.clone(), raw, targets, sink: Box::pin(sink), buffer });
        }
        self.load.as_mut().ok_or_else(|| Error::internal("load rows: no statement is open"))
    }

    /// The reason behind a refused send: the server's error comes with the end of the statement.
    async fn load_error(&mut self, e: tokio_postgres::Error) -> Error {
        let Some(mut load) = self.load.take() else { return from_pg(e, "load rows") };
        let reason = if e.as_db_error().is_some() { e } else { load.sink.as_mut().finish().await.err().unwrap_or(e) };
        from_pg(reason, &load_of(&load.table))
    }

    async fn send(&mut self, bytes: Bytes) -> Result<()> {
        let Some(load) = &mut self.load else { return Err(Error::internal("load rows: no statement is open")) };
        match send_in_parts(&mut load.sink, bytes).await {
            Ok(()) => Ok(()),
            Err(e) => Err(self.load_error(e).await),
        }
    }

    async fn load_binary(&mut self, target: &LoadTarget, rows: &RowBatch) -> Result<Vec<Reject>> {
        let mut rejects = Vec::new();
        for row in rows.rows() {
            let load = self.open(target, false).await?;
            if let Some(reject) = load::binary_row(row, &load.targets, &target.columns, target.place.is_final(), &mut load.buffer) {
                rejects.push(reject);
            }
            if load.buffer.len() >= SEND_BYTES {
                let full = std::mem::replace(&mut load.buffer, Vec::with_capacity(SEND_BYTES + (SEND_BYTES >> 2)));
                self.send(full.into()).await?;
            }
        }
        Ok(rejects)
    }
}

#[async_trait]
impl SqlSession for PgSession {
    fn dialect(&self) -> &dyn Dialect {
        &self.dialect
    }

    async fn execute(&mut self, sql: &str) -> Result<u64> {
        let messages = self.messages(sql).await?;
        let affected = messages.iter().rev().find_map(|m| if let SimpleQueryMessage::CommandComplete(n) = m { Some(*n) } else { None });
        Ok(affected.unwrap_or(0))
    }

    async fn query(&mut self, sql: &str, columns: &[Column]) -> Result<RowBatch> {
        let mut batch = RowBatch::new(columns.len());
        for message in &self.messages(sql).await? {
            if let SimpleQueryMessage::Row(row) = message {
                parse::row(row, columns, &mut batch)?;
            }
        }
        Ok(batch)
    }

    async fn load(&mut self, target: &LoadTarget, rows: &RowBatch) -> Result<Vec<Reject>> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        if target.columns.iter().all(|c| !Target::of(c).as_text()) {
            return self.load_binary(target, rows).await;
        }
        self.finish_load().await?;
        load::text(&self.link, target, rows).await
    }

    async fn load_large(&mut self, target: &LoadTarget, row: &RowBatch, fields: &mut dyn LargeFields) -> Result<Option<Reject>> {
        self.finish_load().await?;
        sliced::load(&self.link, target, row, fields).await
    }

    async fn load_raw(&mut self, target: &LoadTarget, chunk: RawChunk) -> Result<()> {
        self.open(target, true).await?;
        self.send(chunk.bytes.into()).await
    }

    async fn finish_load(&mut self) -> Result<()> {
        let Some(load) = &mut self.load else { return Ok(()) };
        if !load.raw {
            load.buffer.extend_from_slice(&TRAILER);
            let rest = std::mem::take(&mut load.buffer);
            self.send(rest.into()).await?;
        }
        let Some(mut load) = self.load.take() else { return Ok(()) };
        load.sink.as_mut().finish().await.map(drop).map_err(|e| from_pg(e, &load_of(&load.table)))
    }

    async fn begin(&mut self) -> Result<()> {
        // Asked here, because a missing right would abort the transaction later.
        if self.identity.is_none() {
            self.identity = Some(identity::identity(&self.link).await?);
        }
        let begin = self.link.begin_text("ISOLATION LEVEL READ COMMITTED READ WRITE");
        self.link.run(&begin, "begin").await
    }

    async fn commit(&mut self) -> Result<()> {
        self.finish_load().await?;
        // COMMIT of an aborted transaction answers ROLLBACK without an error, and the driver does not show the tag. The
        // statement before it cannot succeed in an aborted transaction, and nothing aborts one between the two (C14).
        let answer = self.link.client.simple_query("SELECT 1; COMMIT").await;
        let Err(e) = answer else { return Ok(()) };
        let lost = match e.as_db_error() {
            None => true,
            // A session ended by the server may have committed before it could say so.
            Some(db) => db.code().code().starts_with("57P") || db.code().code().starts_with("08"),
        };
        if lost {
            return Err(Error::new(ErrorKind::Unavailable, "commit_unknown", "commit: the answer was lost").because(e));
        }
        let error = from_pg(e, "commit");
        self.rollback().await?;
        Err(error)
    }

    async fn rollback(&mut self) -> Result<()> {
        // An unfinished COPY is cancelled by dropping it.
        self.load = None;
        match self.link.client.batch_execute("ROLLBACK").await {
            Err(e) if e.as_db_error().is_some() => Err(from_pg(e, "roll back")),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    async fn token(&mut self) -> Result<Option<String>> {
        self.finish_load().await?;
        let rows = self.link.rows("SELECT pg_current_xact_id()", "ask for the transaction id").await?;
        let xid = rows.first().and_then(|r| r.get(0)).unwrap_or_default();
        Ok(self.identity.as_ref().map(|i| identity::token(xid, i)))
    }

    async fn fate(&mut self, _marker: &Marker, token: Option<&str>) -> Result<CommitFate> {
        match token {
            Some(token) => identity::fate(&self.link, token).await,
            None => Ok(CommitFate::Unknown),
        }
    }

    async fn sever(&mut self) {
        self.link.sever().await;
    }
}

fn load_of(table: &str) -> String {
    format!("load rows into {table}")
}

/// The operation for messages: a statement's verb, never its text.
fn doing(sql: &str) -> String {
    let verb: String = sql.trim_start().chars().take_while(char::is_ascii_alphabetic).collect();
    format!("run {}", verb.to_ascii_uppercase())
}
