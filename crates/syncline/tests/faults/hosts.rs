//! Hosts that fail in their own ways: disks that fill up, servers that come back older than they were, a panic of ours.

use std::path::{Path, PathBuf};
use std::process::Command;

use syncline_testkit::{Mariadb, Postgres};

use crate::rig::{Side, World, wait};

const COLUMNS: [&str; 3] = ["id", "word", "n"];

fn table(side: &Side, name: &str, rows: u32) {
    let time = if side.kind() == "mysql" { "timestamp(6)" } else { "timestamptz" };
    let list: Vec<String> = (1..=rows).map(|i| format!("({i}, 'word {i}', {i}, '2024-01-01 00:00:00')")).collect();
    side.execute(&format!(
        "CREATE TABLE {name} (id int PRIMARY KEY, word varchar(4000), n int, changed {time} NOT NULL); INSERT INTO {name} VALUES {}",
        list.join(", ")
    ));
}

fn same(source: &Side, dest: &Side, name: &str) -> bool {
    source.content(name, &COLUMNS, "1 = 1") == dest.content(name, &COLUMNS, "1 = 1")
}

/// The exit codes of `sh -c`, asserted.
fn sh(script: &str, args: &[&Path]) {
    let done = Command::new("sh").args(["-ec", script, "sh"]).args(args).output().expect("sh runs");
    assert!(done.status.success(), "{script}: {}", String::from_utf8_lossy(&done.stderr));
}

/// A small file system of its own. Mounting takes root, or a password-less `sudo`.
struct SmallDisk(PathBuf);

const AS_ROOT: &str = "root() { if [ \"$(id -u)\" = 0 ]; then \"$@\"; else sudo -n \"$@\"; fi; }; ";

impl SmallDisk {
    /// Inside a directory of the server's, for the server's account.
    fn of_24_megabytes(home: &Path) -> Self {
        let place = home.join("small");
        let mount =
            "mkdir \"$2\"; root mount -t tmpfs -o \"size=24m,mode=700,uid=$(stat -c %u \"$1\"),gid=$(stat -c %g \"$1\")\" tmpfs \"$2\"";
        sh(&format!("{AS_ROOT}{mount}"), &[home, &place]);
        Self(place)
    }

    fn grow(&self) {
        sh(&format!("{AS_ROOT}root mount -o remount,size=400m \"$1\""), &[&self.0]);
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // The server is still in there; it goes right after.
        sh(&format!("{AS_ROOT}root umount -l \"$1\""), &[&self.0]);
    }
}

// case: C6
#[test]
fn a_full_disk_of_a_postgres_is_said_loses_nothing_and_the_run_goes_through_once_there_is_room() {
    let server = Postgres::private();
    let disk = SmallDisk::of_24_megabytes(server.home());
    let (source, dest) = (Side::postgres(), Side::Server(wait(server.database())));
    dest.execute_as_admin(&format!("CREATE TABLESPACE small OWNER syncline LOCATION '{}'", disk.0.display()));
    dest.execute_as_admin(&format!("ALTER ROLE syncline IN DATABASE {} SET default_tablespace = small", dest.database().name()));
    table(&source, "t", 100);
    let world = World::between(&source, &dest, "    mode: incremental\n    streams: { t: { cursor: changed } }\n");
    world.run(&[], 0);
    assert_eq!(
        dest.value("SELECT spcname FROM pg_tablespace JOIN pg_class c ON c.reltablespace = pg_tablespace.oid WHERE relname = 't'"),
        "small"
    );
    let before = dest.content("t", &COLUMNS, "1 = 1");
    let state = Side::File(world.path(".syncline/state.db"));
    let positions = || state.query("SELECT * FROM sync_state");
    let position = positions();
    // 40 MB that do not compress; and one of the old rows changes with them.
    source.execute(
        "INSERT INTO t SELECT i, (SELECT string_agg(md5(i::text || '/' || j), '') FROM generate_series(1, 64) j), i, now() FROM generate_series(1001, 21000) i;
         UPDATE t SET word = 'changed', changed = now() WHERE id = 7",
    );
    for _ in 0..2 {
        let failed = world.run(&[], 1);
        assert_eq!((&failed["status"], &failed["error"]["code"]), (&"failed".into(), &"disk_full".into()), "{failed:#}");
        assert!(failed["error"]["hint"].to_string().contains("free space"), "{failed:#}");
        assert_eq!(dest.content("t", &COLUMNS, "1 = 1"), before);
        assert_eq!(positions(), position);
    }
    disk.grow();
    let run = world.run(&[], 0);
    assert_eq!([&run["books"]["created"], &run["books"]["updated"], &run["books"]["parked"]], [20_000, 1, 0]);
    let hash = "SELECT md5(string_agg(md5(t::text), '' ORDER BY id)) FROM t";
    assert_eq!(source.value(hash), dest.value(hash));
}

/// A server of one's own, to be put back to an earlier copy of its files.
enum Host {
    Postgres(Postgres),
    Mariadb(Mariadb),
}

impl Host {
    fn database(&self) -> Side {
        match self {
            Self::Postgres(s) => Side::Server(wait(s.database())),
            Self::Mariadb(s) => Side::Server(wait(s.database())),
        }
    }

    fn home(&self) -> &Path {
        match self {
            Self::Postgres(s) => s.home(),
            Self::Mariadb(s) => s.home(),
        }
    }

    fn kill(&self) {
        match self {
            Self::Postgres(s) => s.kill(),
            Self::Mariadb(s) => s.kill(),
        }
    }

    fn restart(&self) {
        match self {
            Self::Postgres(s) => s.restart(),
            Self::Mariadb(s) => s.restart(),
        }
    }

    fn copy_files(&self) {
        self.kill();
        sh("cp -a \"$1/data\" \"$1/earlier\"", &[self.home()]);
        self.restart();
    }

    /// As a backup is restored: `also` is done to the files before the server starts.
    fn go_back(&self, also: &str) {
        self.kill();
        sh(&format!("rm -rf \"$1/data\"; cp -a \"$1/earlier\" \"$1/data\"; cd \"$1/data\"; {also}"), &[self.home()]);
        self.restart();
    }
}

// case: C4
#[test]
fn a_destination_that_comes_back_without_its_last_commits_is_noticed_and_made_whole() {
    for host in [Host::Postgres(Postgres::private()), Host::Mariadb(Mariadb::private())] {
        let (source, dest) = (Side::postgres(), host.database());
        table(&source, "t", 40);
        table(&source, "k", 40);
        let by_cursor = World::between(&source, &dest, "    mode: incremental\n    streams: { t: { cursor: changed } }\n");
        let keeping = World::between(&source, &dest, "    edits: keep\n    conflicts: source_wins\n    streams: { k: {} }\n");
        by_cursor.run(&[], 0);
        keeping.run(&[], 0);
        host.copy_files();
        for t in ["t", "k"] {
            source.execute(&format!(
                "UPDATE {t} SET n = n + 100, changed = now() WHERE id <= 5; INSERT INTO {t} VALUES (50, 'new', 50, now())"
            ));
        }
        for (world, t) in [(&by_cursor, "t"), (&keeping, "k")] {
            world.run(&[], 0);
            assert!(same(&source, &dest, t));
        }
        // So long ago that no window shows them again.
        source.execute("UPDATE t SET changed = '2023-01-01' WHERE id <= 5 OR id = 50");
        by_cursor.run(&["--mode", "diff"], 0);
        by_cursor.run(&[], 0);
        host.go_back(":");
        for (world, t) in [(&by_cursor, "t"), (&keeping, "k")] {
            assert!(!same(&source, &dest, t), "{t}: the server did not go back");
            let run = world.run(&[], 0);
            assert!(run["notes"].to_string().contains("no longer has the last commit"), "{t}: {run:#}");
            assert_eq!([&run["books"]["created"], &run["books"]["updated"]], [1, 5], "{t}: {run:#}");
            assert!(same(&source, &dest, t), "{t}: {run:#}");
            let again = world.run(&[], 0);
            assert!(!again["notes"].to_string().contains("no longer"), "{t}: {again:#}");
        }
    }
}

/// What makes a PostgreSQL end its recovery on a new timeline, as a restored backup does.
const RESTORED: &str =
    "echo \"restore_command = 'false'\" >> postgresql.auto.conf; touch recovery.signal; chown --reference=PG_VERSION recovery.signal";

// case: C6, A12
#[test]
fn a_full_disk_under_the_state_is_said_and_the_run_is_whole_once_there_is_room() {
    let folder = tempfile::tempdir().expect("a folder");
    let disk = SmallDisk::of_24_megabytes(folder.path());
    let (source, dest) = (Side::postgres(), Side::postgres());
    source.execute("CREATE TABLE t (id int PRIMARY KEY, word text); INSERT INTO t SELECT i, 'word' FROM generate_series(1, 200) i");
    let world = World::new(&format!(
        "state: {{ url: \"sqlite:{}\" }}\n{}",
        disk.0.join("state.db").display(),
        crate::rig::config(&source, &dest, "    edits: keep\n")
    ));
    world.run(&[], 0);
    source.execute("UPDATE t SET word = 'new' WHERE id = 7; INSERT INTO t SELECT i, 'more' FROM generate_series(201, 3000) i");
    sh("dd if=/dev/zero of=\"$1\"/filler bs=4k 2>/dev/null || true", &[&disk.0]);
    for _ in 0..2 {
        let answer = world.syncline(&["run"]).ends_with(1);
        assert!(answer.stderr.contains("error[disk_full]") && answer.stderr.contains("free space"), "{}", answer.said());
        assert_eq!(dest.value("SELECT count(*) FROM t"), "200", "nothing goes where nothing can be written down");
    }
    sh("rm \"$1\"/filler", &[&disk.0]);
    let run = world.run(&[], 0);
    assert_eq!([&run["books"]["created"], &run["books"]["updated"]], [2_800, 1], "{run:#}");
    assert!(world.runs().iter().all(|r| r["status"] != "running"));
    world.syncline(&["verify"]).ends_with(0);
}

// case: C5
#[test]
fn a_side_that_was_restored_from_a_backup_stops_the_run_until_somebody_says_that_it_was_meant() {
    for restored in ["source", "destination"] {
        let host = Host::Postgres(Postgres::private());
        let (source, dest) = if restored == "source" { (host.database(), Side::postgres()) } else { (Side::postgres(), host.database()) };
        table(&source, "t", 40);
        let world = World::between(&source, &dest, "    mode: incremental\n    streams: { t: { cursor: changed } }\n");
        world.run(&[], 0);
        host.copy_files();
        source.execute("UPDATE t SET n = n + 100, changed = now() WHERE id <= 5");
        world.run(&[], 0);
        assert!(same(&source, &dest, "t"));
        host.go_back(RESTORED);
        let before = dest.content("t", &COLUMNS, "1 = 1");
        assert!(!same(&source, &dest, "t"), "{restored} did not go back");
        let refused = world.run(&[], 1);
        assert_eq!(refused["error"]["code"], "source_changed_identity", "{restored}: {refused:#}");
        assert!(refused["error"]["message"].to_string().contains(restored), "{refused:#}");
        assert_eq!(dest.content("t", &COLUMNS, "1 = 1"), before, "{restored}");
        world.syncline(&["check", "pair", "--accept-identity"]).ends_with(0);
        let run = world.run(&[], 0);
        assert_eq!(run["books"]["updated"], 5, "{restored}: {run:#}");
        assert!(same(&source, &dest, "t"), "{restored}");
    }
}

// case: C14
#[test]
fn a_commit_that_a_postgres_answers_with_rollback_is_no_success() {
    let (source, dest) = (Side::postgres(), Side::postgres());
    table(&source, "t", 10);
    let world = World::between(&source, &dest, "    mode: incremental\n    streams: { t: { cursor: changed } }\n");
    world.run(&[], 0);
    source.execute("UPDATE t SET n = 0, changed = now() WHERE id = 3");
    // A statement before the commit has failed, and nobody looked.
    let answer = world.syncline_with(&["run", "--json"], &[("SYNCLINE_FAIL", "commit.send=error")]).ends_with(1);
    let run = &answer.json()[0];
    assert_eq!((&run["status"], &run["error"]["code"]), (&"failed".into(), &"transaction_aborted".into()), "{run:#}");
    assert_eq!(dest.value("SELECT n FROM t WHERE id = 3"), "3");
    assert_eq!(world.run(&[], 0)["books"]["updated"], 1);
    assert!(same(&source, &dest, "t"));
}

// case: A22
#[test]
fn a_panic_in_the_run_of_one_scope_fails_that_run_alone() {
    let (source, dest) = (Side::postgres(), Side::postgres());
    table(&source, "t", 30);
    let options = "    scopes: [\"1\", \"2\", \"0\"]\n    streams: { t: { where: \"word = {{ scope }}\" } }\n";
    source.execute("UPDATE t SET word = id % 3");
    let world = World::between(&source, &dest, options);
    let answer = world.syncline_with(&["run", "--json"], &[("SYNCLINE_FAIL", "apply.end=panic@2")]).ends_with(1);
    let reports = answer.json();
    let states: Vec<_> = reports.as_array().expect("a list").iter().map(|r| (&r["scope"], &r["status"], &r["error"]["code"])).collect();
    let (good, bad, none) = ("succeeded".into(), "failed".into(), serde_json::Value::Null);
    let internal = "internal".into();
    assert_eq!(states, [(&"1".into(), &good, &none), (&"2".into(), &bad, &internal), (&"0".into(), &good, &none)], "{}", answer.said());
    assert_eq!(dest.value("SELECT count(*) FROM t"), "20");
    world.syncline(&["run"]).ends_with(0);
    assert!(same(&source, &dest, "t"));
}

// case: A22, A12
// rule: R24
#[test]
fn a_panic_after_the_commit_leaves_the_run_to_be_settled_with_its_books() {
    let (source, dest) = (Side::postgres(), Side::postgres());
    table(&source, "t", 30);
    let world = World::between(&source, &dest, "");
    world.run(&[], 0);
    source.execute("UPDATE t SET n = 0 WHERE id < 4");
    let broken = world.syncline_with(&["run"], &[("SYNCLINE_FAIL", "commit.recorded=panic")]);
    assert_eq!(broken.code, Some(1), "{}", broken.said());
    assert!(same(&source, &dest, "t"), "it had committed");
    assert_eq!(world.run(&[], 0)["books"]["updated"], 0);
    let runs = world.runs();
    assert_eq!((&runs[1]["status"], &runs[1]["books"]["updated"]), (&"succeeded".into(), &3.into()), "{runs:#?}");
}
