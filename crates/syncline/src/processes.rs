//! Processes of this machine: a lock whose holder was killed is not waited for.

use std::path::{Path, PathBuf};

use syncline_engine::Processes;

/// The processes that this one can see. On systems without `/proc` none is known, and locks end with their lease.
#[derive(Clone, Copy, Debug, Default)]
pub struct Local;

impl Processes for Local {
    fn own(&self) -> Option<String> {
        let here = place()?;
        let id = std::process::id();
        let start = Stat::of(&proc(), id)?.start;
        Some(format!("{here} {id} {start}"))
    }

    fn is_gone(&self, process: &str) -> bool {
        let Some((place_then, id, start)) = parts(process) else { return false };
        if place().as_deref() != Some(place_then) {
            return false;
        }
        match Stat::of(&proc(), id) {
            // The number was given to another one since, or only the parent has not taken notice yet.
            Some(now) => now.start != start || now.ended,
            None => !exists(id),
        }
    }
}

/// `PLACE PID START`.
fn parts(process: &str) -> Option<(&str, u32, u64)> {
    let (rest, start) = process.rsplit_once(' ')?;
    let (place, id) = rest.rsplit_once(' ')?;
    Some((place, id.parse().ok()?, start.parse().ok()?))
}

/// This boot of this machine, and the set of process numbers that this process sees: those of two containers have nothing in common.
fn place() -> Option<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let numbers = std::fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{}/{}", boot.trim(), numbers.display()))
}

/// Asked of the kernel: `/proc` may be mounted so that the processes of other users are not in it.
#[cfg(target_os = "linux")]
fn exists(id: u32) -> bool {
    let id = i32::try_from(id).ok().and_then(rustix::process::Pid::from_raw);
    id.is_none_or(|id| rustix::process::test_kill_process(id) != Err(rustix::io::Errno::SRCH))
}

#[cfg(not(target_os = "linux"))]
fn exists(_id: u32) -> bool {
    true
}

struct Stat {
    /// Clock ticks from boot to its start.
    start: u64,
    /// It has ended and only its number is left.
    ended: bool,
}

impl Stat {
    fn of(proc: &Path, id: u32) -> Option<Self> {
        let place = proc.join(id.to_string());
        let (ended, start) = task(&place)?;
        Some(Self { start, ended: ended && all_threads_ended(&place) })
    }
}

/// A process whose first thread has ended lives on in its other threads: one that was killed can be held up in a write to a disk.
fn all_threads_ended(process: &Path) -> bool {
    let Ok(threads) = std::fs::read_dir(process.join("task")) else { return !process.exists() };
    // One that is gone by now has ended.
    threads.flatten().all(|thread| task(&thread.path()).is_none_or(|(ended, _)| ended))
}

/// Whether a process or thread has ended, and when it began.
fn task(place: &Path) -> Option<(bool, u64)> {
    let text = std::fs::read_to_string(place.join("stat")).ok()?;
    // The name in parentheses may hold anything, blanks and parentheses as well.
    let rest: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    Some((matches!(*rest.first()?, "Z" | "X" | "x"), rest.get(19)?.parse().ok()?))
}

fn proc() -> PathBuf {
    PathBuf::from("/proc")
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    // users: U18
    #[test]
    fn this_process_lives_and_one_that_ended_does_not_whoever_has_its_number_now() {
        let own = Local.own().unwrap();
        assert!(!Local.is_gone(&own));
        let (place, id, start) = parts(&own).unwrap();
        assert!(Local.is_gone(&format!("{place} {id} {}", start - 1)), "an earlier one with this number");
        assert!(!Local.is_gone(&format!("elsewhere/pid:[1] {id} {}", start - 1)), "another machine");
        assert!(!Local.is_gone("what is this"));
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let name = format!("{place} {} {}", child.id(), Stat::of(&proc(), child.id()).unwrap().start);
        assert!(!Local.is_gone(&name));
        child.kill().unwrap();
        // Nobody has waited for it yet: it is a zombie as soon as it has ended.
        while !Local.is_gone(&name) {}
        child.wait().unwrap();
        assert!(Local.is_gone(&name));
    }

    // users: U18
    #[test]
    fn a_process_whose_first_thread_ended_lives_as_long_as_another_one_does() {
        let root = tempfile::tempdir().unwrap();
        let say = |place: &str, state: &str| {
            let place = root.path().join(place);
            std::fs::create_dir_all(&place).unwrap();
            std::fs::write(place.join("stat"), format!("7 (a) name) {state} {} 4711 0", "0 ".repeat(18))).unwrap();
        };
        let ended = || Stat::of(root.path(), 7).map(|s| (s.start, s.ended));
        say("7", "Z");
        say("7/task/7", "Z");
        assert_eq!(ended(), Some((4711, true)));
        for (state, gone) in [("D", false), ("S", false), ("R", false), ("X", true), ("Z", true)] {
            say("7/task/8", state);
            assert_eq!(ended(), Some((4711, gone)), "{state}");
        }
        say("7", "S");
        assert_eq!(ended(), Some((4711, false)));
    }
}
