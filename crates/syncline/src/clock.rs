//! The real clock, the real ids and the real Ctrl-C: the one place where they enter the program.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use syncline_engine::{Clock, IdSource, Interrupt};

/// The machine's clocks.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A clock whose monotonic side starts now.
    #[must_use]
    #[allow(clippy::disallowed_methods, reason = "this is the clock that everybody else is handed")]
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "this is the clock that everybody else is handed")]
    fn now(&self) -> i64 {
        jiff::Timestamp::now().as_microsecond()
    }

    fn monotonic_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// UUIDs of version 7: unique anywhere, and in the order of their making.
#[derive(Clone, Copy, Debug, Default)]
pub struct TimeOrderedIds;

impl IdSource for TimeOrderedIds {
    #[allow(clippy::disallowed_methods, reason = "this is the source of ids that everybody else is handed")]
    fn next_id(&self) -> String {
        uuid::Uuid::now_v7().to_string()
    }
}

/// Ctrl-C (and SIGTERM): the first asks for a clean stop after the current batch, the second ends the process at once with 130.
#[derive(Clone, Debug, Default)]
pub struct StopOnSignal {
    asked: Arc<AtomicBool>,
}

impl StopOnSignal {
    /// Starts to listen; `on_first` is called when the first signal comes, to tell the user what happens now.
    ///
    /// A thread of its own, so that the second signal ends even a process whose every worker is busy.
    pub fn listen(on_first: impl FnOnce() + Send + 'static) -> Self {
        let stop = Self::default();
        let asked = Arc::clone(&stop.asked);
        let (ready, listening) = std::sync::mpsc::channel();
        let listener = std::thread::Builder::new().name("signals".to_owned());
        // Without the thread, Ctrl-C simply keeps its ordinary meaning.
        if listener.spawn(move || wait_for_signals(&asked, ready, on_first)).is_ok() {
            // An error means that the thread could not listen and has ended.
            let _ = listening.recv();
        }
        stop
    }
}

impl Interrupt for StopOnSignal {
    fn asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }
}

fn wait_for_signals(asked: &AtomicBool, ready: std::sync::mpsc::Sender<()>, on_first: impl FnOnce()) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() else { return };
    runtime.block_on(async {
        let Ok(mut signals) = Signals::new() else { return };
        let _ = ready.send(());
        signals.next().await;
        asked.store(true, Ordering::Relaxed);
        on_first();
        signals.next().await;
        std::process::exit(130);
    });
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        let _ = tokio::signal::ctrl_c().await;
    }
}
