//! Plain tables: a heading, columns two spaces apart, numbers to the right. Nothing that a `grep` or a narrow terminal minds.

use comfy_table::{Attribute, Cell, CellAlignment, Color, ColumnConstraint, ContentArrangement, Table, presets};

use super::out::{Colour, Out, Tone};
use super::text;

/// A table being filled.
pub struct Grid {
    table: Table,
    colour: Colour,
    /// Which columns hold numbers.
    right: Vec<bool>,
    /// Characters of the headings.
    heads: Vec<usize>,
}

/// Spaces between columns.
const GAP: u16 = 2;

/// One cell.
pub struct Entry {
    text: String,
    tone: Tone,
    right: bool,
}

/// Text from anywhere, made harmless.
pub fn words(text: impl AsRef<str>) -> Entry {
    Entry { text: text::harmless(text.as_ref()), tone: Tone::Plain, right: false }
}

/// A count; a zero steps back, so that the eye finds what is there.
pub fn number(n: u64) -> Entry {
    Entry { text: text::count(n), tone: if n == 0 { Tone::Dim } else { Tone::Plain }, right: true }
}

/// Text that is read like a number: a span, a share.
pub fn measure(text: impl Into<String>) -> Entry {
    Entry { text: text.into(), tone: Tone::Plain, right: true }
}

impl Entry {
    /// In this tone; a zero stays dim.
    pub fn tone(mut self, tone: Tone) -> Self {
        if self.tone != Tone::Dim {
            self.tone = tone;
        }
        self
    }

    fn cell(self, colour: Colour) -> Cell {
        let cell = Cell::new_owned(self.text);
        let cell = if self.right { cell.set_alignment(CellAlignment::Right) } else { cell };
        if colour == Colour::Off {
            return cell;
        }
        match self.tone {
            Tone::Good => cell.fg(Color::DarkGreen),
            Tone::Bad => cell.fg(Color::DarkRed),
            Tone::Warn => cell.fg(Color::DarkYellow),
            Tone::Dim => cell.add_attribute(Attribute::Dim),
            Tone::Strong => cell.add_attribute(Attribute::Bold),
            Tone::Plain => cell,
        }
    }
}

impl Grid {
    /// A table with these headings; those that start with `>` stand over numbers.
    pub fn new(out: &Out, headings: &[&str]) -> Self {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
        match out.width {
            Some(width) => table.set_width(width),
            None => table.set_content_arrangement(ContentArrangement::Disabled),
        };
        if out.colour == Colour::On {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        let heading = |h: &&str| {
            let right = h.starts_with('>');
            Entry { text: h.trim_start_matches('>').to_owned(), tone: Tone::Strong, right }.cell(out.colour)
        };
        table.set_header(headings.iter().map(heading).collect::<Vec<_>>());
        for column in table.column_iter_mut() {
            column.set_padding((0, GAP));
        }
        let right = headings.iter().map(|h| h.starts_with('>')).collect();
        let heads = headings.iter().map(|h| h.trim_start_matches('>').chars().count()).collect();
        Self { table, colour: out.colour, right, heads }
    }

    fn is_all(&self, column: usize, text: &str) -> bool {
        self.table.row_iter().all(|r| r.cell_iter().nth(column).is_none_or(|c| c.content().is_empty() || c.content() == text))
    }

    /// Characters of the widest cell, and the gap behind it.
    fn natural_width(&self, column: usize) -> usize {
        let cells = self.table.row_iter().filter_map(|r| r.cell_iter().nth(column)).map(|c| c.content().chars().count());
        cells.max().unwrap_or(0).max(self.heads[column]) + usize::from(GAP)
    }

    /// One more row.
    pub fn row(&mut self, entries: impl IntoIterator<Item = Entry>) {
        let colour = self.colour;
        self.table.add_row(entries.into_iter().map(|e| e.cell(colour)).collect::<Vec<_>>());
    }

    /// Onto stdout, without columns that have nothing in them; where it is too wide, without counts that are all zero. A number is never
    /// broken into lines: it would be read as another.
    pub fn print(mut self, out: &Out) {
        let columns = self.table.column_count();
        let mut shown: Vec<bool> = (0..columns).map(|c| !self.is_all(c, "")).collect();
        let wide = |shown: &[bool]| (0..columns).filter(|&c| shown[c]).map(|c| self.natural_width(c)).sum::<usize>();
        if out.width.is_some_and(|w| wide(&shown) > usize::from(w)) {
            (0..columns).filter(|&c| self.right[c] && self.is_all(c, "0")).for_each(|c| shown[c] = false);
        }
        for (at, column) in self.table.column_iter_mut().enumerate() {
            if !shown[at] {
                column.set_constraint(ColumnConstraint::Hidden);
            } else if self.right[at] {
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
        for line in self.table.lines() {
            out.line(line.trim_end());
        }
    }
}
