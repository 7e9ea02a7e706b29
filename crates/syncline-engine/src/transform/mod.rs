//! `fields:` – what a destination row is made of (R31).
//!
//! | written | means |
//! |---|---|
//! | `title` | the source column |
//! | `{{ title \| trim }}` | an expression; keeps its type and NULL |
//! | `{{ first }} {{ last }}` | text; any NULL in it gives NULL |
//! | `{ value: x }` | a constant |
//!
//! Source columns that are only copied are never decoded. Expressions are minijinja's, with filters of our own
//! ([`filters`]), without statements, methods and lossy arithmetic: what has no exact meaning is refused when the
//! transform is compiled, or parks the row; it never becomes a slightly different value. Arithmetic with NULL gives NULL,
//! as in SQL; comparisons are jinja's, where NULL comes before every value: ask `is none` first.

mod cell;
mod convert;
mod error;
mod expression;
mod filters;
mod json_member;
mod scan;
mod validate;

#[cfg(test)]
mod tests;

use syncline_model::batch::encode_cell;
use syncline_model::{LogicalType, RowBatch, RowRef, Table, Value};

pub use error::{Refusal, TransformError};
pub use json_member::at_path;
pub use validate::{FieldType, UnknownFieldType};

use expression::{Cells, Compiled};

/// Where a destination column's value comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum FieldSource {
    /// A source column, as it is.
    Column(String),
    /// Text with `{{ expressions }}` in it.
    Template(String),
    /// The same for every row.
    Constant(Value),
}

impl FieldSource {
    /// As the configuration writes it: text with `{{` is a template, any other text names a source column.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        if text.contains("{{") { Self::Template(text.to_owned()) } else { Self::Column(text.trim().to_owned()) }
    }
}

/// One destination column to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// The destination column.
    pub name: String,
    /// What it is made of.
    pub source: FieldSource,
    /// `validate: true` with this type: other values refuse the row.
    pub validate: Option<FieldType>,
}

impl Target {
    /// A column without validation.
    #[must_use]
    pub fn new(name: impl Into<String>, source: FieldSource) -> Self {
        Self { name: name.into(), source, validate: None }
    }
}

#[derive(Debug)]
enum Step {
    Copy(usize),
    Constant(Vec<u8>),
    Compute(Compiled),
}

#[derive(Debug)]
struct Output {
    name: String,
    step: Step,
    validate: Option<FieldType>,
    logical: Option<LogicalType>,
}

/// Turns rows of some source columns into rows of destination columns.
#[derive(Debug)]
pub struct Transform {
    outputs: Vec<Output>,
    cells: Cells,
    /// Some column is an expression; without one no cell is decoded.
    computes: bool,
    width_in: usize,
}

impl Transform {
    /// Prepares the targets. Rows will hold the `selected` columns of `table`, in that order.
    ///
    /// # Errors
    /// The first target that cannot work, with its position and a suggestion.
    pub fn compile(table: &Table, selected: &[String], targets: &[Target]) -> Result<Self, TransformError> {
        let columns: Vec<_> = selected.iter().filter_map(|name| table.column(name)).collect();
        assert_eq!(columns.len(), selected.len(), "invariant: selected columns are columns of the table");
        let mut used = vec![false; columns.len()];
        let mut outputs = Vec::with_capacity(targets.len());
        for target in targets {
            let (step, logical) = match &target.source {
                FieldSource::Column(name) => {
                    let at = selected.iter().position(|s| s == name);
                    let at = at.ok_or_else(|| error::unknown_column(&target.name, name, 1, selected))?;
                    (Step::Copy(at), Some(columns[at].logical.clone()))
                }
                FieldSource::Constant(v) => {
                    let mut cell = Vec::new();
                    encode_cell(&mut cell, v.view());
                    (Step::Constant(cell), cell::logical_of(v))
                }
                FieldSource::Template(text) => {
                    let compiled = expression::compile(&target.name, text, &columns)?;
                    match compiled.plain_column() {
                        Some(at) => (Step::Copy(at), Some(columns[at].logical.clone())),
                        None => {
                            compiled.columns().for_each(|c| used[c] = true);
                            let logical = compiled.logical().cloned();
                            (Step::Compute(compiled), logical)
                        }
                    }
                }
            };
            outputs.push(Output { name: target.name.clone(), step, validate: target.validate, logical });
        }
        let cells = Cells::new(selected, &used);
        let computes = outputs.iter().any(|o| matches!(o.step, Step::Compute(_)));
        Ok(Self { outputs, cells, computes, width_in: selected.len() })
    }

    /// The source columns that the targets read, in the table's order: what `selected` must at least hold.
    ///
    /// # Errors
    /// As [`Transform::compile`].
    pub fn reads(table: &Table, targets: &[Target]) -> Result<Vec<String>, TransformError> {
        let all: Vec<String> = table.columns.iter().map(|c| c.name.clone()).collect();
        let t = Self::compile(table, &all, targets)?;
        let copied = |at: usize| t.outputs.iter().any(|o| matches!(o.step, Step::Copy(c) if c == at));
        let read = |at: &usize| copied(*at) || t.cells.holds(*at);
        Ok((0..all.len()).filter(read).map(|at| all[at].clone()).collect())
    }

    /// Rows come out exactly as they went in: the caller may pass batches on, or leave them in the source's bulk format.
    #[must_use]
    pub fn is_identity(&self) -> bool {
        let same = |(i, o): (usize, &Output)| matches!(o.step, Step::Copy(at) if at == i) && o.validate.is_none();
        self.outputs.len() == self.width_in && self.outputs.iter().enumerate().all(same)
    }

    /// The destination columns, in order.
    pub fn columns(&self) -> impl ExactSizeIterator<Item = &str> {
        self.outputs.iter().map(|o| o.name.as_str())
    }

    /// What kind of values column `i` will hold, where that can be told without running: what a created table needs.
    #[must_use]
    pub fn logical(&self, i: usize) -> Option<&LogicalType> {
        self.outputs[i].logical.as_ref()
    }

    /// Appends the destination row of a source row to `out`, or nothing when the row is refused.
    ///
    /// # Errors
    /// The field that cannot be made, and why: the row is to be parked.
    pub fn apply(&self, row: RowRef<'_>, out: &mut RowBatch) -> Result<(), Refusal> {
        assert_eq!(row.width(), self.width_in, "invariant: rows hold the selected columns");
        assert_eq!(out.width(), self.outputs.len(), "invariant: the batch is as wide as the transform");
        let context = if self.computes { self.cells.of(row) } else { minijinja::Value::UNDEFINED };
        for o in &self.outputs {
            if let Err(fault) = o.make(row, &context, out) {
                out.drop_partial();
                return Err(fault.at(&o.name));
            }
        }
        Ok(())
    }
}

impl Output {
    fn make(&self, row: RowRef<'_>, context: &minijinja::Value, out: &mut RowBatch) -> Result<(), error::Fault> {
        let check = |v: syncline_model::ValueRef<'_>| self.validate.map_or(Ok(()), |t| t.check(v));
        match &self.step {
            Step::Copy(at) => {
                if self.validate.is_some() {
                    check(row.get(*at))?;
                }
                out.push_encoded(row.encoded(*at));
            }
            Step::Constant(cell) => out.push_encoded(cell),
            Step::Compute(compiled) => {
                let v = compiled.value(context)?;
                check(v.view())?;
                out.push(v.view());
            }
        }
        Ok(())
    }
}
