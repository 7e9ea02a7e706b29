//! The decisions for one stream: merged options, without holes, checked for contradictions.

use syncline_connector::{DeleteAction, MarkValue};
use syncline_model::Value;

use crate::engine::{EngineError, Result};
use crate::pairing::Pair;
use crate::spec::{Conflicts, Create, DeletePolicy, Edits, Guard, Mode, Owns, Rows, SchemaChanges, StreamOptions, SyncSpec};

/// What was decided for a stream.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Columns said to hold ids of another stream, and that stream.
    pub references: std::collections::BTreeMap<String, String>,
    /// How it is read.
    pub mode: Mode,
    /// What becomes of rows the source no longer has.
    pub deletes: DeletePolicy,
    /// What deletions may touch; `None` when not said.
    pub owns: Option<Owns>,
    /// The mass-delete guard.
    pub guard: Guard,
    /// Deletions may reach tables of others by CASCADE.
    pub cascade_allow: bool,
    /// Mirror or three-way.
    pub edits: Edits,
    /// Who wins.
    pub conflicts: Conflicts,
    /// Bad rows.
    pub rows: Rows,
    /// Drift.
    pub schema_changes: SchemaChanges,
    /// Missing tables.
    pub create: Create,
    /// Everything else as it was said.
    pub options: StreamOptions,
}

/// The options of the stream `name`: the sync's own, then the patterns that match, `"*"` first, longer globs over
/// shorter, the exact name last (R31). `None` when the last word is `false`.
#[must_use]
pub fn options_for(sync: &SyncSpec, name: &str) -> Option<StreamOptions> {
    let mut matching: Vec<&(String, Option<StreamOptions>)> = sync.streams.iter().filter(|(p, _)| matches(p, name)).collect();
    if matching.is_empty() {
        return if sync.streams.is_empty() { Some(sync.options.clone()) } else { None };
    }
    matching.sort_by_key(|(p, _)| (p == name, p.len()));
    if matching.last().is_some_and(|(_, o)| o.is_none()) {
        return None;
    }
    let mut merged = sync.options.clone();
    for options in matching.into_iter().filter_map(|(_, o)| o.as_ref()) {
        merged.merge(options);
    }
    Some(merged)
}

/// Whether a glob (`*` any run, `?` one character) matches the whole name.
#[must_use]
pub fn matches(pattern: &str, name: &str) -> bool {
    let (p, n): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut i, mut j, mut star) = (0, 0, None);
    while j < n.len() {
        if i < p.len() && (p[i] == '?' || p[i] == n[j]) && p[i] != '*' {
            (i, j) = (i + 1, j + 1);
        } else if i < p.len() && p[i] == '*' {
            star = Some((i, j));
            i += 1;
        } else if let Some((si, sj)) = star {
            (i, j) = (si + 1, sj + 1);
            star = Some((si, sj + 1));
        } else {
            return false;
        }
    }
    p[i..].iter().all(|c| *c == '*')
}

/// A mode that was asked for on the command line has to make sense for every stream, like one in the file (R32).
///
/// # Errors
/// `incremental_without_cursor`.
pub fn refuse_mode(pairs: &[Pair], asked: Option<Mode>) -> Result<()> {
    let without: Vec<&str> = pairs.iter().filter(|p| p.policy.options.cursor.is_none()).map(|p| p.stream.as_str()).collect();
    if asked != Some(Mode::Incremental) || without.is_empty() {
        return Ok(());
    }
    Err(EngineError::Config {
        code: "incremental_without_cursor",
        message: format!("an incremental run needs a `cursor`, and these streams have none: {}", without.join(", ")),
        hint: Some("give them a `cursor:`, or name the streams that have one with `--stream`".to_owned()),
    })
}

impl Policy {
    /// Fills the holes and refuses contradictions.
    ///
    /// # Errors
    /// `Config` naming sync, stream and option.
    pub fn decide(sync: &str, stream: &str, options: StreamOptions) -> Result<Self> {
        let o = options.clone();
        let fail = |code, message: String, hint: &str| EngineError::Config {
            code,
            message: format!("sync `{sync}`, stream `{stream}`: {message}"),
            hint: Some(hint.to_owned()),
        };
        let policy = Self {
            references: o.ids.as_ref().map(|ids| ids.foreign_keys.clone()).unwrap_or_default(),
            mode: o.mode.unwrap_or(Mode::Diff),
            deletes: o.deletes.unwrap_or(DeletePolicy::Ignore),
            owns: o.owns,
            guard: o.guard.unwrap_or_default(),
            cascade_allow: o.cascade_allow.unwrap_or(false),
            edits: o.edits.unwrap_or(Edits::Overwrite),
            conflicts: o.conflicts.unwrap_or(Conflicts::SourceWins),
            rows: o.rows.unwrap_or(Rows::Park),
            schema_changes: o.schema_changes.unwrap_or(SchemaChanges::Stop),
            create: o.create.unwrap_or(Create::Missing),
            options,
        };
        if policy.mode == Mode::Incremental && o.cursor.is_none() {
            let hint = "name the column that says when a row changed with `cursor:`, or use `mode: diff`";
            return Err(fail("incremental_without_cursor", "`mode: incremental` needs a `cursor`".into(), hint));
        }
        if policy.mode == Mode::Incremental && policy.deletes != DeletePolicy::Ignore {
            let hint = "set `mode: diff` and use `--mode incremental` for the runs in between, or `deletes: ignore`";
            return Err(fail("mirror_incremental", "`mode: incremental` never sees deletions, so `deletes` would do nothing".into(), hint));
        }
        if policy.edits == Edits::Overwrite && o.conflicts.is_some() {
            let hint = "`edits: overwrite` always takes the source; drop `conflicts:` or set `edits: keep`";
            return Err(fail("config_invalid", "`conflicts` has no meaning without `edits: keep`".into(), hint));
        }
        if policy.conflicts == Conflicts::Merge && o.last_modified_by.is_none() {
            let hint = "name the destination column that says who changed a row last with `last_modified_by:`";
            return Err(fail("config_invalid", "`conflicts: merge` needs `last_modified_by`".into(), hint));
        }
        Ok(policy)
    }

    /// What a deletion does at the destination; `None` for `ignore`.
    #[must_use]
    pub fn delete_action(&self) -> Option<DeleteAction> {
        let mark = |column: &Option<String>, default: &str, value: MarkValue, live: Value| {
            Some(DeleteAction::Mark {
                column: column.clone().unwrap_or_else(|| default.to_owned()),
                value,
                live: MarkValue::Constant(live),
            })
        };
        let or_now = |v: &Option<Value>| v.clone().map_or(MarkValue::Now, MarkValue::Constant);
        match &self.deletes {
            DeletePolicy::Ignore => None,
            DeletePolicy::Mirror => Some(DeleteAction::Remove),
            DeletePolicy::Soft { column, value } => mark(column, "deleted_at", or_now(value), Value::Null),
            DeletePolicy::Archive { column, value } => mark(column, "archived_at", or_now(value), Value::Null),
            DeletePolicy::Deactivate { column, value } => {
                let value = MarkValue::Constant(value.clone().unwrap_or(Value::Bool(false)));
                mark(column, "is_active", value, Value::Bool(true))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_whole_names() {
        for (p, n, want) in [
            ("*", "film", true),
            ("film*", "film_text", true),
            ("film*", "a_film", false),
            ("f?lm", "film", true),
            ("*_text", "film_text", true),
            ("*a*b*", "xxaxxbxx", true),
            ("film", "films", false),
            ("", "", true),
            ("**", "x", true),
        ] {
            assert_eq!(matches(p, n), want, "{p} {n}");
        }
    }
}
