//! What was measured, in the terminal and in `docs/benchmarks.md`: each benchmark has a part of its own there, between two marks.

use std::path::PathBuf;

use anyhow::{Context, Result};

use super::measure::{Row, median};
use super::rig::Rig;
use crate::command::{output, program, root};

/// The rows, for the eyes.
pub(crate) fn print(rows: &[Row]) {
    for row in rows {
        let against = row.ratio().map_or(String::new(), |r| format!("floor {:.2} s, {r:.2} ×, ", median(&row.floor)));
        println!(
            "{}: {against}product {:.2} s ({:.2} s of its own processor time), {:.0} MiB",
            row.work,
            row.seconds(),
            row.cpu(),
            row.peak_mib()
        );
        println!("   bound: {}; {}", row.bound, row.note);
    }
}

/// Writes the part of one benchmark.
pub(crate) fn section(name: &str, rows: &[Row]) -> Result<()> {
    let mut text = String::from("| work | bound | floor | product | ratio | its CPU | peak memory |\n|---|---|---|---|---|---|---|\n");
    for row in rows {
        let floor = if row.floor.is_empty() { "–".to_owned() } else { seconds(&row.floor) };
        let product: Vec<f64> = row.product.iter().map(|m| m.seconds).collect();
        let ratio = row.ratio().map_or("–".to_owned(), |r| format!("**{r:.2} ×**"));
        text.push_str(&format!(
            "| {} | {} | {floor} | {} | {ratio} | {:.2} s | {:.0} MiB |\n",
            row.work,
            row.bound,
            seconds(&product),
            row.cpu(),
            row.peak_mib()
        ));
    }
    for row in rows.iter().filter(|r| !r.note.is_empty()) {
        text.push_str(&format!("\n{}: {}.\n", row.work, row.note));
    }
    text.push_str(&format!("\nMeasured on {} over {} runs.\n", today()?, rows.first().map_or(0, |r| r.product.len())));
    replace(name, &text)
}

/// Median, and the smallest and largest where there are several.
fn seconds(values: &[f64]) -> String {
    let (low, high) = values.iter().fold((f64::MAX, 0_f64), |(l, h), v| (l.min(*v), h.max(*v)));
    match values {
        [] => "–".to_owned(),
        [one] => format!("{one:.2} s"),
        _ => format!("{:.2} s ({low:.2}–{high:.2})", median(values)),
    }
}

/// Writes what the numbers were measured on.
pub(crate) fn machine(rig: &Rig) -> Result<()> {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        cpu.lines().find_map(|l| l.strip_prefix("model name")).map_or("unknown processor", |l| l.trim_start_matches([' ', '\t', ':']));
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib: u64 =
        memory.lines().find_map(|l| l.strip_prefix("MemTotal:")).and_then(|l| l.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let binary = rig.binary()?;
    let size = std::fs::metadata(&binary).context("the release binary")?.len();
    let text = format!(
        "- {model}, {cores} cores, {} GiB of memory; servers and product on the same machine.\n\
         - {}; {}; Linux {}.\n\
         - PostgreSQL: `fsync` on, `shared_buffers` 64 MB, `max_wal_size` 8 GB, all else default. MariaDB: `innodb_buffer_pool_size` 512 MB, \
         `innodb_log_file_size` 1 GB (from 10.9 on), `innodb_flush_log_at_trx_commit` 1.\n\
         - {}, {:.1} MB.\n",
        kib.div_ceil(1024 * 1024),
        first_words(&rig.sql("postgres", "select version()")?, 2),
        format_args!("MariaDB {}", first_words(rig.mariadb("select version()")?.lines().last().unwrap_or_default(), 1)),
        std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim(),
        output(&mut program(&binary.to_string_lossy(), &["--version"]))?.trim(),
        size as f64 / 1e6
    );
    replace("machine", &text)
}

fn first_words(text: &str, count: usize) -> String {
    text.split(' ').take(count).collect::<Vec<_>>().join(" ")
}

fn today() -> Result<String> {
    Ok(output(&mut program("date", &["-u", "+%Y-%m-%d"]))?.trim().to_owned())
}

fn replace(name: &str, text: &str) -> Result<()> {
    let path: PathBuf = root().join("docs/benchmarks.md");
    let old = std::fs::read_to_string(&path).context("read docs/benchmarks.md")?;
    std::fs::write(&path, with_part(&old, name, text).with_context(|| format!("docs/benchmarks.md has no marks for `{name}`"))?)?;
    Ok(())
}

/// The document with what is between the marks of `name` replaced; all else is written by hand and stays.
fn with_part(document: &str, name: &str, text: &str) -> Option<String> {
    let (open, close) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let start = document.find(&open)? + open.len();
    let end = start + document[start..].find(&close)?;
    Some(format!("{}{text}{}", &document[..start], &document[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_named_part_is_replaced() {
        let document = "a\n<!-- copy -->\nold\n<!-- /copy -->\nb\n<!-- diff -->\n<!-- /diff -->\n";
        let expected = "a\n<!-- copy -->\nnew\n<!-- /copy -->\nb\n<!-- diff -->\n<!-- /diff -->\n";
        assert_eq!(with_part(document, "copy", "new\n").as_deref(), Some(expected));
        assert_eq!(with_part(document, "grow", "new\n"), None);
    }
}
