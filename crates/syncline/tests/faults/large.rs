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

/// A command's answer and the largest resident size of its process, KiB.
fn measured(world: &World, args: &[&str]) -> (Answer, u64) {
    let mut child = world.start(args, &[]);
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
    let (answer, peak) = measured(world, &[&["run", "--json"], args].concat());
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
    let (verified, peak) = measured(&world, &["verify"]);
    assert!(verified.code == Some(0) && peak < BUDGET_KIB, "{peak} KiB, {}", verified.said());
    let third = within_budget(&world, &["--mode", "full"], 0);
    assert_eq!((&third["created"], &third["updated"], &third["unchanged"]), (&0.into(), &0.into(), &5.into()), "{third}");
}

/// A sync of all tables in a budget that makes a value large from 2 MiB on.
fn small_world(source: &Side, dest: &Side, options: &str) -> World {
    World::new(&format!("memory: 16MiB\n{}", config(source, dest, options)))
}

/// The books of the only stream of a run.
#[track_caller]
fn books(world: &World, args: &[&str], code: i32) -> [u64; 5] {
    let report = world.run(args, code);
    let books = &report["streams"][0]["books"];
    ["created", "updated", "unchanged", "deleted", "parked"].map(|b| books[b].as_u64().unwrap_or_else(|| panic!("{report}")))
}

/// Whether `verify` finds the two sides the same.
#[track_caller]
fn is_same(world: &World) -> bool {
    let answer = world.syncline(&["verify"]);
    assert!(matches!(answer.code, Some(0 | 4)), "{}", answer.said());
    answer.code == Some(0)
}

// rule: R25
// case: A20, I1
#[test]
fn a_window_and_a_single_record_carry_large_values_and_leave_equal_ones_alone() {
    let (source, dest) = (Side::postgres(), Side::postgres());
    source.execute("CREATE TABLE doc (id int PRIMARY KEY, body bytea, note varchar, tags text[], at timestamptz NOT NULL);
        INSERT INTO doc SELECT i, decode(repeat('0b', i), 'hex'), repeat('aü\\t\n', i), ARRAY['a'], now() - interval '1 hour' FROM unnest(ARRAY[7, 1000000, 3000000]) i");
    let options = "    mode: incremental\n    deletes: ignore\n    streams: { doc: { cursor: at } }\n";
    let world = small_world(&source, &dest, options);
    assert_eq!(books(&world, &[], 0), [3, 0, 0, 0, 0]);
    assert_eq!(digest_of(&dest), digest_of(&source));
    // The window holds the row again, and it is the same.
    source.execute("UPDATE doc SET at = now() WHERE id = 3000000");
    assert_eq!(books(&world, &[], 0)[1..], [1, 0, 0, 0]);
    source.execute("UPDATE doc SET body = set_byte(body, 2999999, 1), tags = '{b,NULL}', at = now() WHERE id = 3000000; UPDATE doc SET note = '\\.' || note, at = now() WHERE id = 1000000");
    assert_eq!(books(&world, &[], 0)[1], 2);
    assert_eq!(digest_of(&dest), digest_of(&source));
    assert_eq!(books(&world, &["--mode", "full"], 0), [0, 0, 3, 0, 0]);
    dest.execute("UPDATE doc SET note = 'edited' WHERE id = 3000000");
    assert_eq!(books(&world, &["--stream", "doc", "--key", "3000000"], 0)[1], 1);
    assert_eq!(digest_of(&dest), digest_of(&source));
    assert!(is_same(&world));
    dest.execute("UPDATE doc SET body = set_byte(body, 5, 1) WHERE id = 3000000");
    assert!(!is_same(&world), "the same length is no proof");
}

/// All rows, as text and hashed.
fn digest_of(side: &Side) -> String {
    side.value("SELECT string_agg(md5(d::text), ';' ORDER BY id) FROM doc d")
}

// rule: R25
#[test]
fn a_plan_shows_the_size_of_a_large_value_and_undo_brings_it_back() {
    let (source, dest) = (Side::postgres(), Side::postgres());
    let table = "CREATE TABLE doc (id int PRIMARY KEY, body bytea, note text)";
    source.execute(&format!("{table}; INSERT INTO doc SELECT 1, decode(repeat('0b', 3000000), 'hex'), 'new'"));
    dest.execute(&format!(
        "{table}; INSERT INTO doc SELECT 1, decode(repeat('0c', 3000000), 'hex'), 'new'; INSERT INTO doc SELECT 2, body, 'gone' FROM doc"
    ));
    let world = small_world(&source, &dest, "    deletes: mirror\n    streams: { doc: { owns: table } }\n");
    let before = digest_of(&dest);
    let plan = world.syncline(&["plan"]).ends_with(0).stdout;
    assert!(plan.contains("body") && plan.contains("<3.0 MB>") && !plan.contains("0b0b"), "{plan}");
    let file = world.path("p.json").display().to_string();
    world.syncline(&["plan", "--out", &file]).ends_with(0);
    let written: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).expect("the plan")).expect("JSON");
    let update = written["changes"].as_array().expect("changes").iter().find(|c| c["kind"] == "update").expect("an update");
    assert_eq!(update["fields"].as_array().expect("fields").len(), 1, "only what differs: {update}");
    let refused = world.syncline(&["run", "--plan", &file, "--json"]);
    assert_eq!(refused.ends_with(1).json()[0]["error"]["code"], "value_too_large");
    assert_eq!(books(&world, &["--approve-deletes"], 0), [0, 1, 0, 1, 0]);
    assert_eq!(digest_of(&dest), digest_of(&source));
    world.syncline(&["undo", "last"]).ends_with(0);
    assert_eq!(digest_of(&dest), before);
}

// rule: R25
// case: A20, I1
#[test]
fn what_cannot_come_in_slices_parks_its_row_with_size_and_limit() {
    let json = "CREATE TABLE doc (id int PRIMARY KEY, j jsonb); INSERT INTO doc VALUES (1, '1')";
    let (source, dest) = (Side::postgres(), Side::postgres());
    source.execute(json);
    let world = small_world(&source, &dest, "");
    books(&world, &[], 0);
    source.execute("INSERT INTO doc SELECT 2, to_jsonb(repeat('x', 3000000)); UPDATE doc SET j = '2' WHERE id = 1");
    assert_eq!(books(&world, &[], 3), [0, 1, 0, 0, 1]);
    assert_parked(&world, "3000002 bytes, the limit is 2097152");

    let (source, dest) = (Side::postgres(), Side::mariadb());
    source.execute("CREATE TABLE doc (id int PRIMARY KEY, body bytea); INSERT INTO doc VALUES (1, 'a'); INSERT INTO doc SELECT 2, decode(repeat('ab', 3000000), 'hex')");
    let world = small_world(&source, &dest, "");
    assert_eq!(books(&world, &[], 3), [1, 0, 0, 0, 1]);
    assert_parked(&world, "3000000 bytes, the limit is 2097152");
    source.execute("UPDATE doc SET body = 'b' WHERE id = 2");
    assert_eq!(books(&world, &[], 0), [1, 0, 0, 0, 0], "it comes when it is small");
}

#[track_caller]
fn assert_parked(world: &World, detail: &str) {
    assert_eq!(world.parked().iter().map(|p| (p.1.as_str(), p.2.as_str())).collect::<Vec<_>>(), [("[2]", "value_too_large")]);
    let said = world.syncline(&["parked", "--json"]).stdout;
    assert!(said.contains(detail), "{said}");
}

// rule: R25
#[test]
fn a_large_row_without_its_parent_is_set_aside_by_its_key_and_not_read_whole() {
    let (source, dest) = (Side::postgres(), Side::postgres());
    let tables = "CREATE TABLE kind (id int PRIMARY KEY); CREATE TABLE doc (id int PRIMARY KEY, kind int REFERENCES kind, body bytea)";
    source.execute("CREATE TABLE doc (id int PRIMARY KEY, kind int, body bytea)");
    dest.execute(tables);
    source.execute(&format!("INSERT INTO doc VALUES (1, NULL, 'a'); INSERT INTO doc SELECT 2, 7, {BYTES}"));
    let options = "    streams: { doc: { owns: table } }\n";
    let world = World::new(&format!("memory: 64MiB\n{}", config(&source, &dest, options)));
    let books = within_budget(&world, &[], 3);
    assert_eq!((&books["created"], &books["parked"]), (&1.into(), &1.into()), "{books}");
    assert_eq!(world.parked(), [("doc".to_owned(), "[2]".to_owned(), "parent_missing".to_owned())]);
    dest.execute("INSERT INTO kind VALUES (7)");
    assert_eq!(within_budget(&world, &[], 0)["created"], 1);
}

/// Kinds of storage and lengths of all rows.
fn stored(side: &Side) -> String {
    side.value("SELECT group_concat(id || ' ' || typeof(body) || length(CAST(body AS BLOB)) || ' ' || typeof(note) || length(CAST(note AS BLOB)), ', ') FROM (SELECT * FROM doc ORDER BY id)")
}

// rule: R25
// case: A20, I1
#[test]
fn sqlite_gives_and_takes_large_values_with_their_storage_classes() {
    let folder = tempfile::tempdir().expect("a folder");
    let (first, second) = (Side::sqlite(folder.path(), "first.db"), Side::sqlite(folder.path(), "second.db"));
    let (source, last) = (Side::postgres(), Side::postgres());
    source.execute(
        "CREATE TABLE doc (id int PRIMARY KEY, body bytea, note text, z int);
        INSERT INTO doc SELECT i, decode(repeat('0b', i), 'hex'), repeat('aü€😀', i / 10), 1 FROM unnest(ARRAY[7, 3000000]) i",
    );
    let worlds =
        [(&source, &first), (&first, &second), (&second, &last)].map(|(a, b)| small_world(a, b, "    streams: { doc: { owns: table } }\n"));
    for world in &worlds {
        assert_eq!(books(world, &[], 0), [2, 0, 0, 0, 0]);
    }
    for file in [&first, &second] {
        assert_eq!(stored(file), "7 blob7 text0, 3000000 blob3000000 text3000000");
    }
    assert_eq!(digest_of(&last), digest_of(&source));
    source.execute("UPDATE doc SET body = set_byte(body, 2999999, 1) WHERE id > 7; INSERT INTO doc SELECT 8, body, note || 'x', 2 FROM doc WHERE id > 7");
    for world in &worlds {
        assert_eq!(books(world, &[], 0)[..2], [1, 1]);
        assert_eq!(books(world, &["--mode", "full"], 0), [0, 0, 3, 0, 0]);
        assert!(is_same(world));
    }
    assert_eq!(digest_of(&last), digest_of(&source));
    first.execute("UPDATE doc SET note = CAST(note AS BLOB) WHERE id = 8");
    assert_eq!(books(&worlds[1], &[], 3)[4], 1, "bytes in a column of text stay what they are, or nothing");
}

// rule: R21, R25
#[test]
fn a_large_text_that_the_column_would_cut_or_change_parks_its_row() {
    let source = Side::postgres();
    source.execute(
        "CREATE TABLE doc (id int PRIMARY KEY, body text); INSERT INTO doc VALUES (1, '42' || repeat(' ', 3000000)), (2, 'small')",
    );
    let narrow = Side::postgres();
    narrow.execute("CREATE TABLE doc (id int PRIMARY KEY, body varchar(10))");
    let world = small_world(&source, &narrow, "");
    world.run(&[], 3);
    assert_eq!(world.parked()[0].2, "value_too_long");
    let folder = tempfile::tempdir().expect("a folder");
    for (name, file) in [
        ("number.db", "CREATE TABLE doc (id int PRIMARY KEY, body STRING)"),
        ("wide.db", "PRAGMA encoding = 'UTF-16le'; CREATE TABLE doc (id int PRIMARY KEY, body text)"),
    ] {
        let dest = Side::File(folder.path().join(name));
        dest.execute(file);
        let world = small_world(&source, &dest, "");
        world.run(&[], 3);
        assert_eq!(world.parked()[0].2, "value_too_large", "{name}");
        assert_eq!(dest.value("SELECT count(*) FROM doc"), "1", "{name}");
    }
}

// rule: R6, R25
#[test]
fn a_row_whose_edit_at_the_destination_is_too_large_to_be_merged_is_parked_and_nothing_of_it_is_lost() {
    let (source, dest) = (Side::postgres(), Side::postgres());
    source.execute("CREATE TABLE page (id int PRIMARY KEY, title text, body text); INSERT INTO page VALUES (1, 'a', 'x'), (2, 'b', 'y')");
    let world = World::new(&format!("memory: 16MiB\n{}", config(&source, &dest, "    edits: keep\n    conflicts: source_wins\n")));
    world.run(&[], 0);
    dest.execute("UPDATE page SET body = repeat('z', 3000000) WHERE id = 1");
    source.execute("UPDATE page SET title = 'new'");
    let run = world.run(&[], 3);
    assert_eq!(world.parked(), [("page".to_owned(), "[1]".to_owned(), "value_too_large".to_owned())], "{run:#}");
    let there = "SELECT string_agg(title || length(body), ',' ORDER BY id) FROM page";
    assert_eq!(dest.value(there), "a3000000,new1");
    // What both sides changed is still known once the row can be held.
    dest.execute("UPDATE page SET body = 'edited there' WHERE id = 1");
    world.run(&[], 0);
    assert_eq!(dest.value("SELECT title || ' ' || body FROM page WHERE id = 1"), "new edited there");
}

// rule: R25, R28
#[test]
fn a_row_too_large_for_a_before_image_is_set_aside_with_its_size_and_the_others_are_applied() {
    let (source, dest) = (Side::postgres(), Side::postgres());
    source.execute(
        "CREATE TABLE doc (id int PRIMARY KEY, n int, body bytea); ALTER TABLE doc ALTER body SET STORAGE EXTERNAL;
         INSERT INTO doc VALUES (1, 1, decode(repeat('ab', 300 * 1000 * 1000), 'hex')), (2, 1, 'small')",
    );
    let world = World::new(&format!("memory: 64MiB\n{}", config(&source, &dest, "")));
    world.run(&[], 0);
    source.execute("UPDATE doc SET n = 2");
    let (answer, peak) = measured(&world, &["run", "--json"]);
    answer.ends_with(3);
    assert!(peak < BUDGET_KIB, "{peak} KiB");
    let limit = "[1] value_too_large 300000000 bytes, the limit is 268435456: the destination takes no more in one row";
    let state = Side::File(world.path(".syncline/state.db"));
    assert_eq!(state.value("SELECT key_json || ' ' || code || ' ' || detail FROM parked_rows"), limit);
    assert_eq!(dest.value("SELECT string_agg(concat_ws(' ', id, n, length(body)), ', ' ORDER BY id) FROM doc"), "1 1 300000000, 2 2 5");
}
