//! One measured process, and what many of them come to.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How often a running process is looked at. The peak grows only, so what is missed is what came in the last of these.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// Kernel ticks per second in `/proc/PID/stat`: fixed for user space on every Linux of ours.
const TICKS: f64 = 100.0;

/// What one process took.
#[derive(Debug, Default, Clone)]
pub(crate) struct Measured {
    /// Wall time.
    pub seconds: f64,
    /// User and system time of the process itself, not of the servers.
    pub cpu: f64,
    /// Peak resident memory (VmHWM).
    pub peak_kib: u64,
    /// What it printed.
    pub stdout: String,
}

/// A line of the report.
#[derive(Debug)]
pub(crate) struct Row {
    pub work: String,
    /// What must hold, in words.
    pub bound: String,
    /// Seconds of the floor, per run; empty where the bound is absolute.
    pub floor: Vec<f64>,
    pub product: Vec<Measured>,
    /// Facts of this row: rows fetched, bytes of WAL, the peer's figures.
    pub note: String,
}

impl Row {
    /// Median of the product by median of the floor.
    pub fn ratio(&self) -> Option<f64> {
        (!self.floor.is_empty()).then(|| self.seconds() / median(&self.floor))
    }

    /// Median of the product.
    pub fn seconds(&self) -> f64 {
        median(&self.product.iter().map(|m| m.seconds).collect::<Vec<_>>())
    }

    /// Median of the product's own processor time.
    pub fn cpu(&self) -> f64 {
        median(&self.product.iter().map(|m| m.cpu).collect::<Vec<_>>())
    }

    /// The largest peak of all runs.
    pub fn peak_mib(&self) -> f64 {
        self.product.iter().map(|m| m.peak_kib).max().unwrap_or(0) as f64 / 1024.0
    }
}

/// The middle one; the mean of the two in the middle where there is none.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

/// Runs a process and measures it. What it prints must be short: it is read at the end.
pub(crate) fn measure(command: &mut Command) -> Result<Measured> {
    let started = now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().with_context(|| format!("start {command:?}"))?;
    let mut measured = Measured::default();
    let status = loop {
        look(&child, &mut measured);
        if let Some(status) = child.try_wait()? {
            break status;
        }
        std::thread::sleep(LOOK_EVERY);
    };
    measured.seconds = started.elapsed().as_secs_f64();
    measured.stdout = std::io::read_to_string(child.stdout.take().context("the output")?)?;
    if !status.success() {
        bail!("{command:?} ended with {status}: {}", measured.stdout);
    }
    Ok(measured)
}

/// Runs a shell pipeline; the seconds it took.
pub(crate) fn shell(script: &str) -> Result<f64> {
    let script = format!("set -e -o pipefail; {script}");
    Ok(measure(Command::new("bash").args(["-c", &script]))?.seconds)
}

fn look(child: &Child, measured: &mut Measured) {
    let read = |file: &str| std::fs::read_to_string(format!("/proc/{}/{file}", child.id())).unwrap_or_default();
    let status = read("status");
    let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).and_then(|l| l.trim().trim_end_matches(" kB").parse().ok());
    measured.peak_kib = measured.peak_kib.max(peak.unwrap_or(0));
    let stat = read("stat");
    // The name in parentheses may hold anything; user and system time are the 12th and 13th field after it.
    let fields: Vec<f64> = stat.rsplit(") ").next().into_iter().flat_map(|s| s.split(' ')).map(|f| f.parse().unwrap_or(0.0)).collect();
    if let (Some(user), Some(system)) = (fields.get(11), fields.get(12)) {
        measured.cpu = measured.cpu.max((user + system) / TICKS);
    }
}

#[allow(clippy::disallowed_methods, reason = "a benchmark measures the real clock")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_between_the_two() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
    }

    #[test]
    fn a_process_has_a_peak_and_an_output() {
        let measured = measure(Command::new("sh").args(["-c", "sleep 0.05; echo done"])).unwrap();
        assert!(measured.peak_kib > 0 && measured.seconds >= 0.05);
        assert_eq!(measured.stdout, "done\n");
    }
}
