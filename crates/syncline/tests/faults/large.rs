//! Values far larger than the budget: they arrive whole, in every mode, in a process that stays within it; or their row is parked
//! with their size, and no other row with it.

use std::io::Read as _;

use crate::rig::{Answer, Side, World, config};

/// What the rule promises for PostgreSQL → PostgreSQL.
const BUDGET_KIB: u64 = 64 * 1024;

/// 64 MiB that hardly compress.
const BYTES: &str = "(SELECT string_agg(sha256(int8send(i)), NULL) FROM generate_series(1, 2 * 1024 * 1024) i)";

/// 40 MB of characters of one to four bytes, so that slices cut them.
const TEXT: &str = "repeat('aü€😀', 4000000)";

/// A row per kind of value: small ones, bytes, text, both.
fn filled(side: &Side) {
    side.execute(&format!(
        "CREATE TABLE doc (id int PRIMARY KEY, n int, body bytea, note text, at timestamptz NOT NULL DEFAULT now());
         INSERT INTO doc VALUES (1, 1, '\\x00ff', 'small'), (5, 1, NULL, NULL);
         INSERT INTO doc SELECT 2, 1, {BYTES}, 'bytes'; INSERT INTO doc SELECT 3, 1, '\\xab', {TEXT};
         INSERT INTO doc SELECT 4, 1, body, {TEXT} FROM doc WHERE id = 2"
    ));
}

/// All rows, large values as their hashes.
fn digest(side: &Side) -> String {
    let hash = |c: &str| format!("coalesce(md5({c}), '-')");
    let row = format!("concat_ws('|', id, n, {}, {})", hash("body"), hash("note"));
    side.value(&format!("SELECT string_agg({row}, ';' ORDER BY id) FROM doc"))
}

/// `run --json` and the largest resident size of its process, KiB.
fn measured(world: &World, args: &[&str]) -> (Answer, u64) {
    let mut child = world.start(&[&["run", "--json"], args].concat(), &[]);
    let (mut stdout, mut stderr) = (child.stdout.take().expect("stdout"), child.stderr.take().expect("stderr"));
    let status = format!("/proc/{}/status", child.id());
    let said = std::thread::spawn(move || {
        let mut text = String::new();
        stderr.read_to_string(&mut text).expect("stderr is text");
        text
    });
    let answered = std::thread::spawn(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).expect("stdout is text");
        text
    });
    let mut peak = 0;
    let ended = loop {
        // The kernel keeps the mark; what is lost between two looks is only what comes in the last moment before the end.
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let mark = text.lines().find_map(|l| l.strip_prefix("VmHWM:")).and_then(|l| l.trim().trim_end_matches(" kB").parse().ok());
        peak = peak.max(mark.unwrap_or(0));
        if let Some(ended) = child.try_wait().expect("the process can be asked") {
            break ended;
        }
        std::thread::yield_now();
    };
    let answer = Answer { code: ended.code(), stdout: answered.join().expect("read"), stderr: said.join().expect("read") };
    (answer, peak)
}

/// A run that ends with `code` within the budget; its only stream.
#[track_caller]
fn within_budget(world: &World, args: &[&str], code: i32) -> serde_json::Value {
    let (answer, peak) = measured(world, args);
    let answer = answer.ends_with(code);
    assert!(peak > 0 && peak < BUDGET_KIB, "{peak} KiB");
    answer.json()[0]["streams"][0]["books"].clone()
}

// rule: R25
// case: A20, I1
#[test]
fn large_values_are_inserted_updated_and_deleted_within_the_budget() {
    let (source, dest) = (Side::postgres(), Side::postgres());
    filled(&source);
    let options = "    deletes: mirror\n";
    let world = World::new(&format!("memory: 64MiB\n{}", config(&source, &dest, options)));
    let first = within_budget(&world, &[], 0);
    assert_eq!(first["created"], 5, "{first}");
    assert_eq!(digest(&dest), digest(&source));
    source.execute(
        "UPDATE doc SET body = set_byte(body, 67108863, 1), n = 2 WHERE id = 2; UPDATE doc SET note = note || 'x' WHERE id = 3;
                    DELETE FROM doc WHERE id = 4; INSERT INTO doc SELECT 6, 1, body, note FROM doc WHERE id = 2",
    );
    let second = within_budget(&world, &[], 0);
    assert_eq!((&second["created"], &second["updated"], &second["deleted"]), (&1.into(), &2.into(), &1.into()), "{second}");
    assert_eq!(digest(&dest), digest(&source));
    let third = within_budget(&world, &["--mode", "full"], 0);
    assert_eq!((&third["created"], &third["updated"], &third["unchanged"]), (&0.into(), &0.into(), &5.into()), "{third}");
}
