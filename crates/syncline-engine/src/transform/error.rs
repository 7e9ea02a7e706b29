//! What can be wrong with a mapping (before a run), and with one row of it (during).

use syncline_model::suggest;

/// A field that cannot be made for one row: the row is parked. Holds no value of the row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("field `{column}`: {detail}")]
pub struct Refusal {
    /// The destination column.
    pub column: String,
    /// Stable code: `invalid_email`, `not_an_integer`, `expression_failed`, …
    pub code: &'static str,
    /// A sentence for people.
    pub detail: String,
}

/// A refusal before the field is known. Travels through minijinja as the source of its error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub(crate) struct Fault {
    pub code: &'static str,
    pub detail: String,
}

impl Fault {
    pub fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }

    pub fn at(self, column: &str) -> Refusal {
        Refusal { column: column.to_owned(), code: self.code, detail: self.detail }
    }
}

impl From<Fault> for minijinja::Error {
    fn from(fault: Fault) -> Self {
        Self::new(minijinja::ErrorKind::InvalidOperation, fault.code).with_source(fault)
    }
}

impl From<minijinja::Error> for Fault {
    /// Keeps our own faults. Of minijinja's messages only those travel on that name kinds, never values.
    fn from(e: minijinja::Error) -> Self {
        let mut cause = std::error::Error::source(&e);
        while let Some(c) = cause {
            if let Some(fault) = c.downcast_ref::<Self>() {
                return fault.clone();
            }
            cause = c.source();
        }
        let detail = match (e.kind(), e.detail()) {
            (minijinja::ErrorKind::OutOfFuel, _) => {
                return Self::new("expression_too_long", "the expression takes too many steps for one row");
            }
            (_, Some(detail)) if detail.starts_with("tried to use") => detail.to_owned(),
            (kind, _) => kind.to_string(),
        };
        Self::new("expression_failed", format!("the expression fails: {detail}"))
    }
}

/// A mapping that cannot work. Positions count characters of the field's text from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransformError {
    /// No such source column.
    #[error("field `{field}`: unknown column `{column}` at character {position}{}", did_you_mean(.suggestion))]
    UnknownColumn {
        /// The destination column.
        field: String,
        /// The name as written.
        column: String,
        /// Where it stands.
        position: usize,
        /// The column that was probably meant.
        suggestion: Option<String>,
    },
    /// No such filter, function or test.
    #[error("field `{field}`: unknown {what} `{name}` at character {position}{}", did_you_mean(.suggestion))]
    UnknownName {
        /// The destination column.
        field: String,
        /// `filter`, `function` or `test`.
        what: &'static str,
        /// The name as written.
        name: String,
        /// Where it stands.
        position: usize,
        /// The name that was probably meant.
        suggestion: Option<String>,
    },
    /// An exact value (decimal, date, uuid, …) is an operand of an operator that has no exact meaning for it.
    #[error("field `{field}`: `{operator}` at character {position} cannot take the {what} `{operand}` exactly")]
    Inexact {
        /// The destination column.
        field: String,
        /// The operator.
        operator: String,
        /// Where it stands.
        position: usize,
        /// The operand's kind.
        what: &'static str,
        /// The column or filter it comes from.
        operand: String,
    },
    /// The text is no template.
    #[error("field `{field}`: {detail} at character {position}")]
    BadExpression {
        /// The destination column.
        field: String,
        /// Where the trouble, or the expression that has it, starts.
        position: usize,
        /// What is wrong.
        detail: String,
    },
}

impl TransformError {
    /// Stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownColumn { .. } => "unknown_column",
            Self::UnknownName { .. } => "unknown_filter",
            Self::Inexact { .. } => "inexact_expression",
            Self::BadExpression { .. } => "bad_expression",
        }
    }

    /// What to do.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::UnknownColumn { .. } => "a bare word names a source column; write `{ value: … }` for a constant",
            Self::UnknownName { .. } => "the configuration reference lists the filters, functions and tests",
            Self::Inexact { .. } => "convert it first: `| int` and `| float` give numbers, `| string` gives text",
            Self::BadExpression { .. } => "expressions are jinja's, without statements and methods",
        }
    }
}

fn did_you_mean(suggestion: &Option<String>) -> String {
    suggestion.as_ref().map_or_else(String::new, |s| format!(", did you mean `{s}`?"))
}

pub(super) fn unknown_column(field: &str, column: &str, position: usize, known: &[String]) -> TransformError {
    let suggestion = suggest::closest(column, known.iter().map(String::as_str)).map(str::to_owned);
    TransformError::UnknownColumn { field: field.to_owned(), column: column.to_owned(), position, suggestion }
}

pub(super) fn unknown_name(field: &str, what: &'static str, name: &str, position: usize, known: &[&str]) -> TransformError {
    let suggestion = suggest::closest(name, known.iter().copied()).map(str::to_owned);
    TransformError::UnknownName { field: field.to_owned(), what, name: name.to_owned(), position, suggestion }
}

pub(super) fn bad(field: &str, position: usize, detail: impl Into<String>) -> TransformError {
    TransformError::BadExpression { field: field.to_owned(), position, detail: detail.into() }
}
