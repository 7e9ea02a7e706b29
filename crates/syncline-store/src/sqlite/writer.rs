//! The thread that owns the connection, so that no async worker ever waits for a disk.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use rusqlite::Connection;

/// Work for the connection. Answers travel through channels that the work brings along.
pub(super) type Job = Box<dyn FnOnce(&Connection) + Send>;

/// Hands work to the thread; ends and awaits it when dropped, so that the file is closed by then.
pub(super) struct Writer {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(connection: Connection) -> io::Result<Self> {
        let (jobs, inbox) = channel();
        let thread = thread::Builder::new().name("syncline-state".to_owned()).spawn(move || serve(&connection, &inbox))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Queues work, done in the order of the calls. Work that cannot be queued is dropped, which its answer channel shows.
    pub(super) fn send(&self, job: Job) {
        if let Some(jobs) = &self.jobs {
            let _ = jobs.send(job);
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(connection: &Connection, inbox: &Receiver<Job>) {
    while let Ok(job) = inbox.recv() {
        // A panic costs the transaction it happened in, not the store (A22).
        if catch_unwind(AssertUnwindSafe(|| job(connection))).is_err() {
            roll_back(connection);
        }
    }
}

/// Ends the open transaction, if there is one, without a trace.
pub(super) fn roll_back(connection: &Connection) {
    if !connection.is_autocommit() {
        // Fails only when SQLite has rolled back on its own meanwhile, or when the file is gone: nothing is kept either way.
        let _ = connection.execute_batch("rollback");
    }
}
