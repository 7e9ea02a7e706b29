//! The report for people: per script and table the verdict, why, and what every statement does, each with its line.

use std::fmt::{self, Write as _};

use super::report::{Effect, Extent, IdMapping, MappingCoverage, Report, TableReport};
use super::verdict::reason;

impl fmt::Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("full"),
            Self::Incremental { column, exclusive } => write!(f, "incremental by {column} {}", if *exclusive { ">" } else { ">=" }),
            Self::Literal => f.write_str("rows written in the script"),
            Self::Nothing => f.write_str("no rows"),
            Self::Unknown => f.write_str("rows given by the program"),
        }
    }
}

impl fmt::Display for IdMapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table { table, legacy, new, .. } => {
                write!(f, "table {table}")?;
                match (legacy, new) {
                    (Some(legacy), Some(new)) => write!(f, " ({legacy} → {new})"),
                    (Some(one), None) | (None, Some(one)) => write!(f, " ({one})"),
                    (None, None) => Ok(()),
                }
            }
            Self::Column { column } => write!(f, "column {column}"),
            Self::JsonPath { column, key } => write!(f, "{column}->>'{key}'"),
        }
    }
}

impl fmt::Display for MappingCoverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} pairs, {} doubled, {} source rows without one", self.mapping, self.rows, self.doubled, self.missing)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for script in &self.scripts {
            writeln!(f, "{} ({}, {})", script.path.display(), script.language, script.dialect.connection_type())?;
            for table in &script.tables {
                f.write_str(&one_table(table, &script.path.display().to_string()))?;
            }
            writeln!(f)?;
        }
        for skipped in &self.skipped {
            writeln!(f, "skipped {}: {}", skipped.path.display(), skipped.because)?;
        }
        let (reuse, adapt, replace) = self.totals();
        let plural = if self.scripts.len() == 1 { "" } else { "s" };
        writeln!(f, "{} script{plural}: tables to reuse {reuse}, to adapt {adapt}, to replace {replace}", self.scripts.len())?;
        match &self.draft {
            Some(draft) => write!(f, "\nDrafted config:\n\n{draft}"),
            None => writeln!(f, "No script moves rows, so there is no config to draft."),
        }
    }
}

fn one_table(table: &TableReport, path: &str) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "  {}: {}", table.table, table.verdict.word());
    let _ = writeln!(out, "    {} ({path}:{})", table.reason, table.line);
    let twice = if table.idempotent { "idempotent" } else { "not idempotent" };
    let holds = if table.is_mapping { ", holds id mappings" } else { "" };
    let _ = writeln!(out, "    {twice}, {}{holds}", table.extent);
    let ids: Vec<String> = table.id_mapping.iter().map(ToString::to_string).collect();
    if !ids.is_empty() {
        let _ = writeln!(out, "    ids through {}", ids.join(", "));
    }
    for effect in &table.effects {
        out.push_str(&one_effect(effect, &table.reason));
    }
    out
}

fn one_effect(effect: &Effect, told: &str) -> String {
    let from = if effect.sources.is_empty() { String::new() } else { format!(" from {}", effect.sources.join(", ")) };
    let mut out = format!("    line {}: {}{from}: {}\n", effect.line, effect.action.word(), effect.because);
    for hazard in effect.hazards.iter().map(|h| reason(*h)).filter(|r| *r != told) {
        let _ = writeln!(out, "      also: {hazard}");
    }
    out
}
