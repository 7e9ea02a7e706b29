//! What every command has at hand: the two streams, the configuration's place, clock, ids, and the secrets never to print.

use std::path::PathBuf;
use std::sync::Arc;

use syncline::clock::{StopOnSignal, SystemClock, TimeOrderedIds};
use syncline_engine::report::{Progress, Silent};
use syncline_engine::{Clock, IdSource, Interrupt};

use super::Cli;
use crate::logs::Secrets;
use crate::render::out::{Form, Out};
use crate::render::progress::{Bars, Lines};

/// How much is told on stderr.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Telling {
    /// Only errors.
    Quiet,
    /// Progress.
    Normal,
    /// What is being done.
    Verbose,
}

/// What every command has at hand.
pub struct Context {
    /// The two streams.
    pub out: Out,
    /// `-c`.
    pub config: Option<PathBuf>,
    /// How much is told on stderr.
    pub telling: Telling,
    /// Never to be printed.
    pub secrets: Secrets,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Ids.
    pub ids: Arc<dyn IdSource>,
}

impl Context {
    /// The context of this process.
    pub fn of_process(cli: &Cli) -> Self {
        let telling = match (cli.quiet, cli.verbose) {
            (true, _) => Telling::Quiet,
            (_, true) => Telling::Verbose,
            _ => Telling::Normal,
        };
        Self {
            out: Out::of_process(if cli.json { Form::Json } else { Form::Text }),
            config: cli.config.clone(),
            telling,
            secrets: Secrets::default(),
            clock: Arc::new(SystemClock::new()),
            ids: Arc::new(TimeOrderedIds),
        }
    }

    /// The same, for another configuration file and for people.
    pub fn for_config(&self, config: PathBuf) -> Self {
        Self {
            out: Out { form: Form::Text, ..self.out },
            config: Some(config),
            telling: self.telling,
            secrets: self.secrets.clone(),
            clock: Arc::clone(&self.clock),
            ids: Arc::clone(&self.ids),
        }
    }

    /// Progress for long work: bars on a terminal, lines otherwise.
    pub fn progress(&self) -> Arc<dyn Progress> {
        use std::io::IsTerminal;
        match self.telling {
            Telling::Quiet => Arc::new(Silent),
            // Bars and log lines on one terminal would draw over each other.
            Telling::Normal if std::io::stderr().is_terminal() => Arc::new(Bars::new()),
            Telling::Normal | Telling::Verbose => Arc::new(Lines::new(Arc::clone(&self.clock))),
        }
    }

    /// Listens to Ctrl-C from now on.
    pub fn interrupt(&self) -> Arc<dyn Interrupt> {
        let out = self.out;
        Arc::new(StopOnSignal::listen(move || {
            out.note("stopping after the current batch; press Ctrl-C again to stop at once (the next run repairs what that leaves)");
        }))
    }

    /// Who acts, for locks and audit: `user@host pid 123`.
    pub fn actor(&self) -> String {
        let variable = |names: [&str; 2]| names.iter().find_map(|n| std::env::var(n).ok().filter(|v| !v.is_empty()));
        let user = variable(["USER", "LOGNAME"]).unwrap_or_else(|| "somebody".to_owned());
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").ok().map(|h| h.trim().to_owned()).filter(|h| !h.is_empty());
        let host = host.or_else(|| variable(["HOSTNAME", "COMPUTERNAME"])).unwrap_or_else(|| "localhost".to_owned());
        format!("{user}@{host} pid {}", std::process::id())
    }
}
