//! One transaction: each call is a step that happens whole or not at all; dropping without `commit` rolls back.

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::Connection;
use tokio::sync::{OwnedMutexGuard, oneshot};

use super::fault::{self, Fault};
use super::writer::{Writer, roll_back};
use crate::contract::{Result, StateTx};

/// An open `BEGIN IMMEDIATE` on the writer's connection.
pub(super) struct SqliteTx {
    writer: Arc<Writer>,
    open: bool,
    /// Released after the rollback was queued: the next transaction begins behind it.
    _turn: OwnedMutexGuard<()>,
}

impl SqliteTx {
    pub(super) async fn begin(writer: Arc<Writer>, turn: OwnedMutexGuard<()>) -> Result<Self> {
        // Built before BEGIN is sent: a caller that goes away meanwhile drops it, and with it whatever BEGIN opened.
        let tx = Self { writer, open: true, _turn: turn };
        tx.on_writer("begin a transaction", |c| Ok(c.execute_batch("begin immediate")?)).await?;
        Ok(tx)
    }

    /// Runs one step of the transaction. A step that fails leaves no trace, and the transaction goes on.
    pub(super) async fn step<T, F>(&self, operation: &'static str, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    {
        self.on_writer(operation, move |c| {
            // SQLite ends a transaction by itself on some errors (disk full); what follows must not become durable one by one.
            if c.is_autocommit() {
                return Err(Fault::Ended);
            }
            c.execute_batch("savepoint step")?;
            let outcome = work(c);
            if outcome.is_err() && !c.is_autocommit() {
                c.execute_batch("rollback to step")?;
            }
            if !c.is_autocommit() {
                c.execute_batch("release step")?;
            }
            outcome
        })
        .await
    }

    async fn on_writer<T, F>(&self, operation: &'static str, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        self.writer.send(Box::new(move |c| {
            let _ = answer.send(work(c));
        }));
        let outcome = answered.await.map_err(|_| fault::writer_gone(operation))?;
        outcome.map_err(|e| e.into_error(operation))
    }
}

#[async_trait]
impl StateTx for SqliteTx {
    async fn commit(mut self: Box<Self>) -> Result<()> {
        self.on_writer("commit", |c| if c.is_autocommit() { Err(Fault::Ended) } else { Ok(c.execute_batch("commit")?) }).await?;
        self.open = false;
        Ok(())
    }
}

impl Drop for SqliteTx {
    fn drop(&mut self) {
        if self.open {
            self.writer.send(Box::new(roll_back));
        }
    }
}
