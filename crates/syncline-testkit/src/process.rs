//! A server process in a throwaway home directory that cannot outlive the test process, however that one ends.
//!
//! Each home has a watchdog: a shell blocked on reading a pipe whose only writing end is in this process. When we exit, panic or are killed
//! with SIGKILL, the kernel closes the pipe, the shell wakes, kills everything that runs inside the home, and removes it. Processes are found
//! by working directory, because PostgreSQL puts every backend in a session of its own, out of reach of a process group.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use crate::account::Account;

/// Long enough for crash recovery on a busy two-core machine; only a server that will never come up waits it out.
const READY_WITHIN: Duration = Duration::from_secs(120);
const LOG_LINES_KEPT: usize = 200;

const WATCHDOG: &str = r#"
home=$1
read -r _
inside() { find /proc -mindepth 2 -maxdepth 2 -name cwd \( -lname "$home" -o -lname "$home/*" \) 2>/dev/null | cut -d/ -f3; }
while pids=$(inside); [ -n "$pids" ]; do kill -s KILL $pids 2>/dev/null; done
rm -rf -- "$home"
"#;

/// A throwaway directory that is removed, with every process inside it, when it is dropped or when this process ends.
#[derive(Debug)]
pub(crate) struct Home {
    path: PathBuf,
    account: Option<Account>,
    watchdog: Mutex<Child>,
}

impl Home {
    pub(crate) fn create(account: Option<Account>) -> Home {
        let kept = tempfile::Builder::new().prefix("syncline-test-").tempdir().expect("create a temporary directory").keep();
        // The watchdog compares with /proc/PID/cwd, which has no symlinks in it.
        let path = kept.canonicalize().expect("the directory just created");
        let watchdog = Command::new("sh")
            .args(["-c", WATCHDOG, "syncline-watchdog"])
            .arg(&path)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Its own group, so that a signal to the test's group does not take the watchdog first.
            .process_group(0)
            .spawn()
            .expect("start the watchdog shell");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o700)).expect("protect the temporary directory");
        if let Some(account) = account {
            account.own(&path);
        }
        Home { path, account, watchdog: Mutex::new(watchdog) }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the server keeps its data.
    pub(crate) fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    pub(crate) fn account(&self) -> Option<Account> {
        self.account
    }

    /// A command that runs as the server's account inside this home, with untranslated messages.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.path).env("LC_ALL", "C").env("HOME", &self.path).stdin(Stdio::null());
        if let Some(account) = self.account {
            account.apply(&mut command);
        }
        command
    }

    /// Runs a set-up command to its end; panics with its output when it fails.
    pub(crate) fn run(&self, command: &mut Command) {
        let output = command.output().unwrap_or_else(|e| panic!("run {command:?}: {e}"));
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        assert!(output.status.success(), "{command:?} ended with {}:\n{text}", output.status);
    }

    /// Removes the home now; the same as dropping it, said aloud.
    pub(crate) fn remove(self) {}

    fn pids(&self) -> Vec<u32> {
        let entries = std::fs::read_dir("/proc").expect("/proc is mounted");
        entries
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
            .filter(|pid| std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(&self.path)))
            .collect()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let mut watchdog = self.watchdog.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        drop(watchdog.stdin.take());
        // Nothing to do about a failure: the watchdog cleans up on its own.
        let _ = watchdog.wait();
    }
}

/// How to start a server, and the words it logs when it takes connections.
#[derive(Debug)]
pub(crate) struct Launch {
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<String>,
    pub(crate) ready: &'static str,
}

/// A running (or killed, or paused) server.
#[derive(Debug)]
pub(crate) struct ServerProcess {
    launch: Launch,
    running: Mutex<Option<Child>>,
    // Last: removed only after the child handle is gone.
    home: Home,
}

impl ServerProcess {
    /// Starts the server and waits until it takes connections; gives its log when it ended instead.
    pub(crate) fn start(home: Home, launch: Launch) -> Result<ServerProcess, (Home, String)> {
        match spawn_until_ready(&home, &launch) {
            Ok(child) => Ok(ServerProcess { launch, running: Mutex::new(Some(child)), home }),
            Err(log) => Err((home, log)),
        }
    }

    pub(crate) fn home(&self) -> &Home {
        &self.home
    }

    /// SIGKILL for every process of the server, as a power cut would; returns when all are gone.
    pub(crate) fn kill(&self) {
        let mut running = self.lock();
        loop {
            let pids = self.home.pids();
            if pids.is_empty() {
                break;
            }
            signal("KILL", &pids);
            std::thread::yield_now();
        }
        if let Some(mut child) = running.take() {
            child.wait().expect("wait for the killed server");
        }
    }

    /// Starts again on the same port and data; kills first when still running.
    pub(crate) fn restart(&self) {
        self.kill();
        let child = spawn_until_ready(&self.home, &self.launch).unwrap_or_else(|log| panic!("restart the server:\n{log}"));
        *self.lock() = Some(child);
    }

    /// SIGSTOP for every process: connections stay open and nothing answers. Returns when all have stopped.
    pub(crate) fn pause(&self) {
        let running = self.lock();
        let parent = running.as_ref().expect("the server to pause is running").id();
        // The parent first, so that no new child is born while we look for the children.
        signal("STOP", &[parent]);
        loop {
            let moving: Vec<u32> = self.home.pids().into_iter().filter(|pid| !is_stopped(*pid)).collect();
            if moving.is_empty() {
                break;
            }
            signal("STOP", &moving);
            std::thread::yield_now();
        }
    }

    /// Ends a pause.
    pub(crate) fn resume(&self) {
        let _running = self.lock();
        signal("CONT", &self.home.pids());
    }

    fn lock(&self) -> MutexGuard<'_, Option<Child>> {
        self.running.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn_until_ready(home: &Home, launch: &Launch) -> Result<Child, String> {
    let mut command = home.command(&launch.program);
    command.args(&launch.args).stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn().unwrap_or_else(|e| panic!("start {}: {e}", launch.program.display()));
    let (ready, log) = follow_log(child.stderr.take().expect("invariant: stderr is piped"), launch.ready);
    if ready.recv_timeout(READY_WITHIN).is_ok() {
        return Ok(child);
    }
    // It ended, or it hangs; either way it is of no use.
    let _ = child.kill();
    let _ = child.wait();
    let lines = log.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    Err(format!("{} did not come up:\n{}", launch.program.display(), Vec::from(lines.clone()).join("\n")))
}

type Log = Arc<Mutex<VecDeque<String>>>;

/// Drains the server's log for as long as it lives (a full pipe would block it) and tells when `ready` appears.
fn follow_log(stderr: ChildStderr, ready: &'static str) -> (Receiver<()>, Log) {
    let (tell, told) = channel();
    let log = Log::default();
    let kept = Arc::clone(&log);
    std::thread::spawn(move || {
        let mut lines = BufReader::new(stderr);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            line.clear();
            let is_ready = text.contains(ready);
            let mut kept = kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if kept.len() == LOG_LINES_KEPT {
                kept.pop_front();
            }
            kept.push_back(text);
            drop(kept);
            if is_ready {
                // The receiver is gone after the first time.
                let _ = tell.send(());
            }
        }
    });
    (told, log)
}

/// Through the shell's own `kill`: signals without `unsafe`. A process that is already gone is no error.
fn signal(name: &str, pids: &[u32]) {
    if pids.is_empty() {
        return;
    }
    let mut command = Command::new("sh");
    command.args(["-c", "kill -s \"$0\" \"$@\" 2>/dev/null", name]).args(pids.iter().map(u32::to_string));
    command.status().expect("run sh");
}

/// Whether SIGSTOP has arrived; a process that is gone no longer moves either.
fn is_stopped(pid: u32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return true };
    // `pid (name) STATE …`, and the name may hold parentheses.
    stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['T', 't', 'Z', 'X']))
}
