//! What the user is told when something does not work: code, what, where, why, what to do. And the exit codes.

use std::error::Error as StdError;
use std::fmt::Write as _;

use syncline_engine::EngineError;
use syncline_store::StoreError;

use super::out::{Colour, Tone};
use super::text::harmless;
use crate::logs::Secrets;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// As asked.
    Good = 0,
    /// Failed.
    Failed = 1,
    /// The command line or the configuration is wrong; nothing was tried.
    Usage = 2,
    /// Something was parked or held back.
    Partial = 3,
    /// Differences were found (`verify`, `plan --exit-code`).
    Differences = 4,
    /// Stopped by the user.
    Interrupted = 130,
}

/// An error on its way to stderr.
#[derive(Debug)]
pub struct Failure {
    /// Stable code; `syncline explain CODE` has its page.
    pub code: Box<str>,
    /// Operation and thing.
    pub message: Box<str>,
    /// Which sync, file, line.
    pub place: Option<Box<str>>,
    /// The causes, outermost first.
    pub causes: Vec<String>,
    /// What to do.
    pub hint: Option<Box<str>>,
    /// How the program ends.
    pub exit: Exit,
    /// What else is wrong, where several things are told at once.
    pub others: Vec<Failure>,
}

impl Failure {
    /// The request makes no sense: exit code 2.
    pub fn usage(code: &str, message: impl Into<String>) -> Self {
        Self::new(code, message, Exit::Usage)
    }

    /// It did not work: exit code 1.
    pub fn failed(code: &str, message: impl Into<String>) -> Self {
        Self::new(code, message, Exit::Failed)
    }

    fn new(code: &str, message: impl Into<String>, exit: Exit) -> Self {
        Self { code: code.into(), message: message.into().into(), place: None, causes: Vec::new(), hint: None, exit, others: Vec::new() }
    }

    /// Adds what to do.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into().into());
        self
    }

    /// Adds where.
    pub fn at(mut self, place: impl Into<String>) -> Self {
        self.place.get_or_insert(place.into().into());
        self
    }

    /// Adds the causes.
    pub fn because(mut self, error: &(dyn StdError + 'static)) -> Self {
        self.causes.push(error.to_string());
        self.causes.extend(causes(error));
        self
    }

    /// The text for stderr, secrets taken out.
    pub fn text(&self, colour: Colour, secrets: &Secrets) -> String {
        let head = colour.paint(Tone::Bad, &format!("error[{}]", self.code));
        let mut text = format!("{head}: {}", harmless(&self.message));
        let mut part = |label: &str, body: &str| {
            let label = colour.paint(Tone::Strong, &format!("{label:>7}:"));
            let _ = write!(text, "\n{label} {}", body.replace('\n', "\n         "));
        };
        if let Some(place) = &self.place {
            part("where", &harmless(place));
        }
        if !self.causes.is_empty() {
            let causes: Vec<String> = self.causes.iter().map(|c| harmless(c)).collect();
            part("why", &causes.join("\nbecause "));
        }
        if let Some(hint) = &self.hint {
            part("do", hint);
        }
        if syncline::explain::page(&self.code).is_some() {
            part("more", &format!("syncline explain {}", self.code));
        }
        let others = self.others.iter().map(|o| format!("\n{}", o.text(colour, secrets)));
        secrets.redact(&(text + &others.collect::<String>()))
    }
}

/// The causes below an error, outermost first; a cause that only repeats what was said is left out.
fn causes(error: &(dyn StdError + 'static)) -> Vec<String> {
    let mut said = error.to_string();
    let mut found = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !said.contains(&text) {
            said.push_str(&text);
            found.push(text);
        }
        next = cause.source();
    }
    found
}

impl From<EngineError> for Failure {
    fn from(e: EngineError) -> Self {
        let exit = match &e {
            EngineError::Interrupted => Exit::Interrupted,
            _ if e.is_usage() => Exit::Usage,
            EngineError::Connector(_) | EngineError::Store(_) | EngineError::Config { .. } | EngineError::Locked { .. } => Exit::Failed,
        };
        let mut failure = Self::new(e.code(), e.to_string(), exit);
        failure.hint = e.hint().map(Into::into);
        failure.causes = causes(&e);
        failure
    }
}

impl From<StoreError> for Failure {
    fn from(e: StoreError) -> Self {
        EngineError::from(e).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use syncline_connector::{Error, ErrorKind};

    fn refused() -> Failure {
        let cause = std::io::Error::other("tcp connect to s3cr3t-pass@db: refused");
        let e = Error::new(ErrorKind::Unavailable, "connect_refused", "connect to `shop`: nobody listens")
            .hint("start the server")
            .because(cause);
        EngineError::from(e).into()
    }

    // users: U24
    #[test]
    fn an_error_says_code_what_why_and_what_to_do_without_secrets() {
        let secrets = Secrets::default();
        secrets.add("s3cr3t-pass");
        let text = refused().at("sync shop_to_lake").text(Colour::Off, &secrets);
        assert!(text.starts_with("error[connect_refused]: connect to `shop`: nobody listens\n  where: sync shop_to_lake"), "{text}");
        assert!(text.contains("\n    why: tcp connect to [secret]@db: refused"), "{text}");
        assert!(text.contains("\n     do: start the server"), "{text}");
    }

    #[test]
    fn the_exit_code_tells_the_kind_of_trouble() {
        assert_eq!(refused().exit, Exit::Failed);
        let config = EngineError::Config { code: "incremental_without_cursor", message: String::new(), hint: None };
        assert_eq!(Failure::from(config).exit, Exit::Usage);
        assert_eq!(Failure::from(EngineError::Interrupted).exit, Exit::Interrupted);
    }
}
