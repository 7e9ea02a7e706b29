//! Several processes on one file, and a process that dies between its writes and their commit.
//!
//! Children are this test program again, told by an environment variable what to do.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::{env, io};

use syncline_store::conformance::sample::{begin, commit, done, lock, parked, position, run};
use syncline_store::rows::{Page, ParkedFilter, RunFilter};
use syncline_store::{SqliteStore, StateTx};

const ROLE: &str = "SYNCLINE_STORE_TEST_ROLE";
const FILE: &str = "SYNCLINE_STORE_TEST_FILE";

fn start_child(role: &str, path: &Path) -> Child {
    Command::new(env::current_exe().expect("this program"))
        .args(["--exact", "processes::child", "--ignored", "--nocapture", "--quiet"])
        .env(ROLE, role)
        .env(FILE, path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("a child")
}

/// What a child does. Run on its own it does nothing.
#[tokio::test]
#[ignore = "what the children of the other tests do"]
async fn child() {
    let (Ok(role), Some(path)) = (env::var(ROLE), env::var_os(FILE).map(PathBuf::from)) else { return };
    match role.as_str() {
        "abort" => {
            let store = SqliteStore::open(&path).expect("a store");
            let mut tx = begin(&store).await;
            write_everything(&mut tx).await;
            say("written");
            std::process::abort();
        }
        "lock" => {
            let mut go = String::new();
            say("ready");
            io::stdin().read_line(&mut go).expect("the start signal");
            let store = SqliteStore::open(&path).expect("a store");
            let mut tx = begin(&store).await;
            let outcome = done(tx.try_lock(&lock(&format!("pid {}", std::process::id()), 100, 200)).await);
            commit(tx).await;
            say(if outcome.is_ok() { "won" } else { "lost" });
        }
        other => panic!("no such role: {other}"),
    }
}

fn say(word: &str) {
    let mut out = io::stdout();
    writeln!(out, "[{word}]").and_then(|()| out.flush()).expect("a listener");
}

async fn write_everything(tx: &mut Box<dyn StateTx>) {
    done(tx.start_run(&run("0a", "shop", 1)).await);
    done(tx.save_position(&position("shop", "", "film")).await);
    done(tx.park(&parked("film", "[1]", "0a", 1)).await);
    let bases: Vec<_> = (0..20_000u32).map(|n| (n.to_be_bytes().to_vec(), vec![u64::from(n); 12])).collect();
    // More than SQLite keeps in memory, so that pages of the open transaction reach the log on disk before the abort.
    done(tx.save_bases("shop", "", "film", &bases).await);
}

// case: A5, A8, A12
#[tokio::test]
async fn a_process_that_dies_before_its_commit_leaves_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("state.db");
    let mut dying = start_child("abort", &path);
    let mut said = String::new();
    dying.stdout.take().expect("its output").read_to_string(&mut said).expect("what it said");
    assert!(said.contains("[written]"), "{said}");
    assert!(!dying.wait().expect("its end").success());

    let store = SqliteStore::open(&path).expect("a store");
    let mut tx = begin(&store).await;
    assert!(done(tx.list_runs(&RunFilter::default(), &Page::default()).await).is_empty());
    assert!(done(tx.list_positions("shop").await).is_empty());
    assert!(done(tx.list_parked(&ParkedFilter::default(), &Page::default()).await).is_empty());
    assert_eq!(done(tx.count_bases("shop").await), 0);
    write_everything(&mut tx).await;
    commit(tx).await;
    assert_eq!(done(begin(&store).await.count_bases("shop").await), 20_000);
}

// req: X3
// case: A13
#[test]
fn of_many_processes_that_make_the_file_and_take_its_lock_at_once_exactly_one_wins() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("state.db");
    let mut children: Vec<_> = (0..6).map(|_| start_child("lock", &path)).collect();
    let mut outputs: Vec<_> = children.iter_mut().map(|c| BufReader::new(c.stdout.take().expect("its output"))).collect();
    for output in &mut outputs {
        let heard = output.lines().map_while(Result::ok).any(|line| line.contains("[ready]"));
        assert!(heard);
    }
    for child in &mut children {
        child.stdin.take().expect("its input").write_all(b"go\n").expect("the start signal");
    }
    let said: Vec<String> = outputs
        .iter_mut()
        .map(|o| {
            let mut rest = String::new();
            o.read_to_string(&mut rest).expect("what it said");
            rest
        })
        .collect();
    for child in &mut children {
        assert!(child.wait().expect("its end").success(), "{said:?}");
    }
    assert_eq!(said.iter().filter(|s| s.contains("[won]")).count(), 1, "{said:?}");
    assert_eq!(said.iter().filter(|s| s.contains("[lost]")).count(), 5, "{said:?}");
}
