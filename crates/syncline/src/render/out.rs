//! Where answers go: data to stdout, everything said about it to stderr.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

/// What a piece of text means; what that looks like is decided here alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// As it should be; things that are new.
    Good,
    /// Wrong; things that go away.
    Bad,
    /// Worth a look; things that change.
    Warn,
    /// Beside the point.
    Dim,
    /// Headings.
    Strong,
    /// No mark.
    Plain,
}

impl Tone {
    fn code(self) -> &'static str {
        match self {
            Self::Good => "\x1b[32m",
            Self::Bad => "\x1b[31m",
            Self::Warn => "\x1b[33m",
            Self::Dim => "\x1b[2m",
            Self::Strong => "\x1b[1m",
            Self::Plain => "",
        }
    }
}

/// Whether a stream shows colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// It does.
    On,
    /// It does not.
    Off,
}

impl Colour {
    /// Colours only on a terminal, and never with `NO_COLOR` set to anything (no-color.org).
    pub fn for_terminal(is_terminal: bool) -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty()) || std::env::var_os("TERM").is_some_and(|t| t == "dumb");
        if is_terminal && !refused { Self::On } else { Self::Off }
    }

    /// The text in its tone.
    pub fn paint(self, tone: Tone, text: &str) -> String {
        match (self, tone) {
            (Self::Off, _) | (_, Tone::Plain) => text.to_owned(),
            (Self::On, _) => format!("{}{text}\x1b[0m", tone.code()),
        }
    }
}

/// The form of the answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Text,
    /// One JSON document.
    Json,
}

/// The two streams of the command line.
#[derive(Clone, Copy, Debug)]
pub struct Out {
    /// The form of the answers.
    pub form: Form,
    /// Colours on stdout.
    pub colour: Colour,
    /// Colours on stderr.
    pub notes_colour: Colour,
    /// Columns of the terminal, for tables; `None` when stdout is no terminal.
    pub width: Option<u16>,
}

impl Out {
    /// The streams as they are.
    pub fn of_process(form: Form) -> Self {
        let to_terminal = io::stdout().is_terminal();
        Self {
            form,
            colour: Colour::for_terminal(to_terminal),
            notes_colour: Colour::for_terminal(io::stderr().is_terminal()),
            width: to_terminal.then(|| comfy_table::Table::new().width()).flatten(),
        }
    }

    /// The answer is wanted as JSON.
    pub fn json(&self) -> bool {
        self.form == Form::Json
    }

    /// One line of data.
    pub fn line(&self, text: impl AsRef<str>) {
        self.raw(&format!("{}\n", text.as_ref()));
    }

    /// Data as it is.
    pub fn raw(&self, text: &str) {
        let mut stdout = io::stdout().lock();
        if let Err(e) = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            leave_when_nobody_reads(&e);
        }
    }

    /// One JSON document.
    pub fn document(&self, value: &impl Serialize) {
        match serde_json::to_string_pretty(value) {
            Ok(text) => self.line(text),
            Err(e) => self.note(format!("cannot write the answer as JSON: {e}")),
        }
    }

    /// A line for the person, never for the pipe.
    pub fn note(&self, text: impl AsRef<str>) {
        // Nothing is left to do when even stderr is closed.
        let _ = writeln!(io::stderr().lock(), "{}", text.as_ref());
    }

    /// Text for stdout in its tone.
    pub fn paint(&self, tone: Tone, text: &str) -> String {
        self.colour.paint(tone, text)
    }
}

/// `syncline runs | head` is no error: the reader has what it wanted. 141 is what a shell shows for SIGPIPE.
fn leave_when_nobody_reads(e: &io::Error) {
    if e.kind() == io::ErrorKind::BrokenPipe {
        std::process::exit(141);
    }
}
