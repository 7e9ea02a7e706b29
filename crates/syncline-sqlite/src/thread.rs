//! One thread per connection. SQLite calls block, so the thread owns the connection and the async side sends it jobs.
//!
//! Dropping the handle ends the thread after its current job, which closes the connection: an open transaction rolls back.

use std::sync::mpsc as jobs;

use rusqlite::{Connection, InterruptHandle};
use syncline_connector::{Batch, Error, Result};
use tokio::sync::{mpsc, oneshot};

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// Batches in flight between a reading thread and its consumer: one being used, one ready.
const BATCHES_AHEAD: usize = 1;

/// A connection on its own thread.
pub(crate) struct Thread {
    jobs: jobs::Sender<Job>,
    interrupt: std::sync::Arc<InterruptHandle>,
}

impl Thread {
    /// Starts a thread and opens a connection on it.
    pub(crate) async fn open(open: impl FnOnce() -> Result<Connection> + Send + 'static) -> Result<Self> {
        let (jobs, inbox) = jobs::channel::<Job>();
        let (opened, answer) = oneshot::channel();
        let body = move || {
            let mut conn = match open() {
                Ok(conn) => conn,
                Err(e) => {
                    let _ = opened.send(Err(e));
                    return;
                }
            };
            if opened.send(Ok(conn.get_interrupt_handle())).is_err() {
                return;
            }
            while let Ok(job) = inbox.recv() {
                job(&mut conn);
            }
        };
        std::thread::Builder::new()
            .name("sqlite".into())
            .spawn(body)
            .map_err(|e| Error::internal("start a thread for a sqlite connection").because(e))?;
        let interrupt = answer.await.map_err(|_| ended())??;
        Ok(Self { jobs, interrupt: interrupt.into() })
    }

    /// Runs a job on the connection and gives back its answer.
    pub(crate) async fn call<T: Send + 'static>(&self, job: impl FnOnce(&mut Connection) -> Result<T> + Send + 'static) -> Result<T> {
        let (done, answer) = oneshot::channel();
        let job: Job = Box::new(move |conn| {
            let _ = done.send(job(conn));
        });
        self.jobs.send(job).map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }

    /// Runs a job that hands over batches as it goes.
    pub(crate) fn stream(&self, job: impl FnOnce(&mut Connection, &Outlet) -> Result<()> + Send + 'static) -> Stream {
        let (batches, inbox) = mpsc::channel(BATCHES_AHEAD);
        let job: Job = Box::new(move |conn| {
            let outlet = Outlet(batches);
            let ended = job(conn, &outlet).map(|()| None).transpose();
            let _ = outlet.0.blocking_send(ended.unwrap_or(Ok(None)));
        });
        let lost = self.jobs.send(job).is_err();
        Stream { inbox, interrupt: self.interrupt.clone(), state: if lost { State::Lost } else { State::Running } }
    }
}

fn ended() -> Error {
    Error::internal("the thread of a sqlite connection has ended")
}

/// Where a streaming job puts its batches.
pub(crate) struct Outlet(mpsc::Sender<Result<Option<Batch>>>);

impl Outlet {
    /// Hands a batch over, waiting for room. False when nobody listens any more: the job should return.
    pub(crate) fn put(&self, batch: Batch) -> bool {
        self.0.blocking_send(Ok(Some(batch))).is_ok()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Batches may come.
    Running,
    /// The end or an error has been handed over.
    Ended,
    /// The thread was gone before the job started.
    Lost,
}

/// Batches of a streaming job. Dropping it stops the job.
pub(crate) struct Stream {
    inbox: mpsc::Receiver<Result<Option<Batch>>>,
    interrupt: std::sync::Arc<InterruptHandle>,
    state: State,
}

impl Stream {
    /// The next batch; `None` only after the job said that it is complete.
    pub(crate) async fn next(&mut self) -> Result<Option<Batch>> {
        match self.state {
            State::Ended => return Ok(None),
            State::Lost => return Err(ended()),
            State::Running => {}
        }
        let answer = self.inbox.recv().await.unwrap_or_else(|| Err(ended()));
        if !matches!(answer, Ok(Some(_))) {
            self.state = State::Ended;
        }
        answer
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.inbox.close();
        // A scan that finds no rows for long would not notice that nobody listens.
        if self.state == State::Running {
            self.interrupt.interrupt();
        }
    }
}

#[async_trait::async_trait]
impl syncline_connector::RowStream for Stream {
    async fn next(&mut self) -> Result<Option<Batch>> {
        Stream::next(self).await
    }
}
