//! Records onto stdout as JSON, JSON lines or CSV, one at a time.

use std::io::{self, BufWriter, Stdout, Write};

use serde_json::Value as Json;

use super::Format;
use super::records::Record;
use crate::render::failure::Failure;

/// Columns of the CSV, in order; counts follow.
const COLUMNS: [&str; 20] = [
    "record",
    "run",
    "number",
    "sync",
    "scope",
    "kind",
    "started_at",
    "completed_at",
    "duration_ms",
    "status",
    "stream",
    "key",
    "field",
    "source",
    "destination",
    "resolved",
    "winner",
    "strategy",
    "code",
    "detail",
];

/// Counts that get a column of their own.
const COUNTS: [&str; 19] = [
    "in_scope",
    "equal_by_digest",
    "fetched",
    "created",
    "updated",
    "unchanged",
    "kept",
    "merged",
    "parked",
    "deleted",
    "extra",
    "held_back",
    "late",
    "source_rows",
    "destination_rows",
    "compared",
    "missing",
    "different",
    "orphans",
];

/// Where records go.
pub struct Writer<W: Write = BufWriter<Stdout>> {
    out: W,
    format: Format,
    written: u64,
}

impl Writer {
    /// Onto stdout.
    pub fn new(format: Format) -> Self {
        Self::onto(BufWriter::new(io::stdout()), format)
    }
}

impl<W: Write> Writer<W> {
    fn onto(out: W, format: Format) -> Self {
        Self { out, format, written: 0 }
    }

    /// One record.
    pub fn write(&mut self, record: &Record) -> Result<(), Failure> {
        self.try_write(record).map_err(|e| closed(&e))
    }

    /// The end.
    pub fn finish(mut self) -> Result<(), Failure> {
        let end = match (self.format, self.written) {
            (Format::Json, 0) => "[]\n",
            (Format::Json, _) => "\n]\n",
            (Format::Jsonl | Format::Csv, _) => "",
        };
        let heading = if self.format == Format::Csv && self.written == 0 { heading() } else { String::new() };
        self.out.write_all((heading + end).as_bytes()).and_then(|()| self.out.flush()).map_err(|e| closed(&e))
    }

    fn try_write(&mut self, record: &Record) -> io::Result<()> {
        let first = self.written == 0;
        self.written += 1;
        match self.format {
            Format::Json => {
                self.out.write_all(if first { b"[\n  " } else { b",\n  " })?;
                Ok(serde_json::to_writer(&mut self.out, record)?)
            }
            Format::Jsonl => {
                serde_json::to_writer(&mut self.out, record)?;
                self.out.write_all(b"\n")
            }
            Format::Csv => {
                if first {
                    self.out.write_all(heading().as_bytes())?;
                }
                self.out.write_all(row(&serde_json::to_value(record)?).as_bytes())
            }
        }
    }
}

fn closed(e: &io::Error) -> Failure {
    if e.kind() == io::ErrorKind::BrokenPipe {
        // The reader has what it wanted; 141 is what a shell shows for SIGPIPE.
        std::process::exit(141);
    }
    Failure::failed("file_unwritable", "write the export").because(e)
}

fn heading() -> String {
    line(COLUMNS.iter().chain(&COUNTS).map(|c| (*c).to_owned()))
}

fn row(record: &Json) -> String {
    let counts = &record["counts"];
    line(COLUMNS.iter().map(|c| cell(&record[*c])).chain(COUNTS.iter().map(|c| cell(&counts[*c]))))
}

fn line(cells: impl Iterator<Item = String>) -> String {
    // RFC 4180 ends lines with CR LF.
    cells.map(|c| quoted(&c)).collect::<Vec<_>>().join(",") + "\r\n"
}

/// Text as itself, anything else as its JSON.
fn cell(value: &Json) -> String {
    match value {
        Json::Null => String::new(),
        Json::String(s) => neutral(s),
        Json::Number(n) => n.to_string(),
        other => neutral(&other.to_string()),
    }
}

/// A cell that a spreadsheet would take for a formula, or that would begin a new cell there, gets a leading `'`.
fn neutral(s: &str) -> String {
    if s.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{s}") } else { s.to_owned() }
}

fn quoted(s: &str) -> String {
    if s.contains([',', '"', '\n', '\r']) { format!("\"{}\"", s.replace('"', "\"\"")) } else { s.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exported(format: Format, records: &[Record]) -> String {
        let mut bytes = Vec::new();
        let mut writer = Writer::onto(&mut bytes, format);
        for r in records {
            writer.write(r).unwrap();
        }
        writer.finish().unwrap();
        String::from_utf8(bytes).unwrap()
    }

    fn conflict(value: &str) -> Record {
        Record { record: "conflict", stream: Some("member".to_owned()), source: Some(value.into()), ..Record::default() }
    }

    // req: S4-008
    #[test]
    fn cells_that_a_spreadsheet_would_run_are_neutralised() {
        for bad in ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"] {
            let csv = exported(Format::Csv, &[conflict(bad)]);
            let cell = format!("'{bad}");
            assert!(csv.contains(&quoted(&cell)), "{csv}");
        }
        assert_eq!(neutral("Ann-Marie"), "Ann-Marie");
        // A negative number is a number, and no formula.
        assert_eq!(cell(&Json::from(-5)), "-5");
    }

    // req: S4-008
    #[test]
    fn every_form_is_whole_with_and_without_records() {
        assert_eq!(exported(Format::Json, &[]), "[]\n");
        assert_eq!(exported(Format::Jsonl, &[]), "");
        assert_eq!(exported(Format::Csv, &[]), heading());
        let two = [conflict("a,\"b\"\n"), conflict("c")];
        let json: Vec<Json> = serde_json::from_str(&exported(Format::Json, &two)).unwrap();
        let lines: Vec<Json> = exported(Format::Jsonl, &two).lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        assert_eq!(json, lines);
        let csv = exported(Format::Csv, &two);
        assert!(csv.contains("\"a,\"\"b\"\"\n\"") && csv.starts_with(&heading()), "{csv}");
        assert!(csv.lines().next().unwrap().split(',').count() == COLUMNS.len() + COUNTS.len());
    }
}
