//! The run lock: one run per sync and scope, with a lease, so that a dead process never blocks (U18). One that died on this machine does
//! not even block until its lease ends.

use std::future::Future;

use syncline_store::StateTx;
use syncline_store::rows::{LockRequest, RunRow};

use crate::engine::{Engine, EngineError, Result};

/// A holder that has not renewed for this long is dead.
const LEASE_MS: i64 = 30_000;
/// Renewed this often: three renewals may fail before the lease runs out.
const RENEW_MS: u64 = 7_500;
/// Waiting for the lock looks again this often.
const WAIT_MS: u64 = 250;

impl Engine {
    /// Does `work` under the lock of (sync, scope); gives the work up when the lock is lost.
    pub(crate) async fn locked<T>(
        &self,
        sync: &str,
        scope: &str,
        run: &str,
        wait: bool,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let name = lock_name(sync, scope);
        let token = self.take_lock(&name, sync, run, wait).await?;
        let outcome = tokio::select! {
            done = work => done,
            lost = self.keep_lock(&name, token) => Err(lost),
        };
        let mut tx = self.store.begin().await?;
        tx.unlock(&name, token).await?;
        tx.commit().await?;
        outcome
    }

    async fn take_lock(&self, name: &str, sync: &str, run: &str, wait: bool) -> Result<u64> {
        let mut gone = None;
        loop {
            let now = self.clock.now();
            let request = LockRequest {
                name: name.to_owned(),
                holder: self.actor.clone(),
                run: run.to_owned(),
                now,
                until: now + LEASE_MS * 1000,
                process: self.processes.own(),
                gone: gone.take(),
            };
            let mut tx = self.store.begin().await?;
            let answer = tx.try_lock(&request).await?;
            tx.commit().await?;
            match answer {
                Ok(token) => return Ok(token),
                // Asked again only where another process than that one can have come between.
                Err(holder) if request.gone.is_none() && holder.process.as_deref().is_some_and(|p| self.processes.is_gone(p)) => {
                    tracing::warn!(run, holder = holder.holder, "taking over the lock `{name}` of a process that has ended");
                    gone = holder.process;
                }
                Err(_) if wait && !self.interrupt.asked() => tokio::time::sleep(std::time::Duration::from_millis(WAIT_MS)).await,
                Err(_) if wait => return Err(EngineError::Interrupted),
                Err(holder) => {
                    return Err(EngineError::Locked { sync: sync.to_owned(), holder: holder.holder, since: rfc3339(holder.since) });
                }
            }
        }
    }

    /// Refuses where another run has taken the lock since. Asked in the state transaction that writes down what is about to be committed at
    /// the destination: so whoever takes the lock afterwards finds that, and asks the destination what became of it before it goes on.
    pub(crate) async fn hold(&self, tx: &mut dyn StateTx, run: &RunRow) -> Result<()> {
        let name = lock_name(&run.sync, &run.scope);
        match tx.hold_lock(&name, &run.id, self.clock.now() + LEASE_MS * 1000).await? {
            true => Ok(()),
            false => Err(lost(&name)),
        }
    }

    /// Renews until the lock is lost; only ever answers with the loss.
    async fn keep_lock(&self, name: &str, token: u64) -> EngineError {
        loop {
            tokio::time::sleep(std::time::Duration::from_millis(RENEW_MS)).await;
            let renewed = async {
                let mut tx = self.store.begin().await?;
                let kept = tx.renew_lock(name, token, self.clock.now() + LEASE_MS * 1000).await?;
                tx.commit().await?;
                Ok::<bool, EngineError>(kept)
            };
            match renewed.await {
                Ok(true) => {}
                Ok(false) => return lost(name),
                Err(e) => return e,
            }
        }
    }
}

fn lock_name(sync: &str, scope: &str) -> String {
    format!("run/{sync}/{scope}")
}

fn lost(name: &str) -> EngineError {
    let e = syncline_connector::Error::new(
        syncline_connector::ErrorKind::Conflict,
        "lock_lost",
        format!("lock `{name}` was taken over; this run commits nothing more"),
    );
    e.hint("this process was stopped for longer than the lease; the other run goes on").into()
}

/// An instant as people and machines read it.
#[must_use]
pub fn rfc3339(micros: i64) -> String {
    format!("{}Z", syncline_model::civil::timestamp_text(micros).replace(' ', "T"))
}
