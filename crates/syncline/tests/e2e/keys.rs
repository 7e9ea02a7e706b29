//! Diffs by keys that are no integers: whatever the key and whichever two systems, only what differs is read.

use crate::rig::{Side, World};
use crate::{book, stream};

const TABLES: [&str; 5] = ["by_text", "by_uuid", "by_decimal", "by_date", "by_pair"];
const OPTIONS: &str = "    mode: diff\n    deletes: mirror\n    owns: table\n";
/// An expression on every row: SQL cannot compare it.
const EXPRESSION: &str = "    streams: { \"*\": { fields: { label: \"{{ name | upper }}\" } } }\n";

fn tables(kind: &str) -> String {
    let (text, short, uuid, decimal) = match kind {
        "postgres" => ("text", "text", "uuid", "numeric(12,3)"),
        // Letters of either case are one key there, and spaces at its end do not count.
        "mysql" => ("varchar(60) COLLATE utf8mb4_general_ci", "varchar(20) COLLATE utf8mb4_general_ci", "uuid", "decimal(12,3)"),
        _ => ("TEXT", "TEXT", "UUID", "DECIMAL_TEXT(12,3)"),
    };
    let rest = "name varchar(40), label varchar(40)";
    format!(
        "CREATE TABLE by_text (k {text} NOT NULL PRIMARY KEY, {rest});
         CREATE TABLE by_uuid (k {uuid} NOT NULL PRIMARY KEY, {rest});
         CREATE TABLE by_decimal (k {decimal} NOT NULL PRIMARY KEY, {rest});
         CREATE TABLE by_date (k date NOT NULL PRIMARY KEY, {rest});
         CREATE TABLE by_pair (a {short} NOT NULL, k int NOT NULL, {rest}, PRIMARY KEY (a, k));"
    )
}

/// The key columns of row `i`, as SQL.
fn key(table: &str, i: i64) -> String {
    match table {
        // Mixed case, letters of two bytes, spaces at the end.
        "by_text" => format!("'{}é {i}{}'", if i % 2 == 0 { "Kéy" } else { "kEY" }, " ".repeat(usize::try_from(i % 3).expect("small"))),
        "by_uuid" => format!("'{:08x}-0000-4000-8000-{:012x}'", i * 2_654_435_761 % 0xffff_ffff, i),
        "by_decimal" => format!("'{}{}.{:03}'", if i % 2 == 0 { "-" } else { "" }, i * 7 % 1_000_003, i % 4 * 250),
        "by_date" => format!("'{:04}-{:02}-{:02}'", 1 + i / 336, 1 + i / 28 % 12, 1 + i % 28),
        _ => format!("'{}', {i}", if i % 2 == 0 { "Left " } else { "rïght" }),
    }
}

fn condition(table: &str, i: i64) -> String {
    match table {
        "by_pair" => format!("k = {i}"),
        _ => format!("k = {}", key(table, i)),
    }
}

fn fill(side: &Side, rows: i64) {
    for table in TABLES {
        for start in (0..rows).step_by(1_000) {
            let values: Vec<String> =
                (start + 1..=rows.min(start + 1_000)).map(|i| format!("({}, 'Name {i}', 'NAME {i}')", key(table, i))).collect();
            side.execute(&format!("INSERT INTO {table} VALUES {}", values.join(", ")));
        }
    }
}

/// Twenty differences: edits of either side, rows that one side lacks.
fn differ(from: &Side, to: &Side, rows: i64) {
    let step = rows / 20;
    for table in TABLES {
        for n in 0..20 {
            let at = condition(table, n * step + 3);
            match n % 4 {
                0 => from.execute(&format!("UPDATE {table} SET name = 'edited {n}' WHERE {at}")),
                1 => to.execute(&format!("UPDATE {table} SET label = 'EDITED THERE' WHERE {at}")),
                2 => to.execute(&format!("DELETE FROM {table} WHERE {at}")),
                _ => from.execute(&format!("DELETE FROM {table} WHERE {at}")),
            }
        }
    }
}

fn side(kind: &str, folder: &tempfile::TempDir, name: &str) -> Side {
    match kind {
        "postgres" => Side::postgres(),
        "mysql" => Side::mariadb(),
        _ => Side::sqlite(folder.path(), name),
    }
}

/// Rows that a diff fetched, by table.
fn fetched_after_twenty_differences(from: &str, to: &str, options: &str, rows: i64, digest: &str) -> Vec<(String, u64)> {
    let folder = tempfile::tempdir().expect("a folder");
    let (source, dest) = (side(from, &folder, "from.db"), side(to, &folder, "to.db"));
    for s in [&source, &dest] {
        s.execute(&tables(s.kind()));
        fill(s, rows);
    }
    let world = World::between(&source, &dest, &format!("{OPTIONS}{options}"));
    world.run(&[], 0);
    differ(&source, &dest, rows);
    let run = world.run(&[], 0);
    let list = TABLES.map(|table| {
        let s = stream(&run, table);
        let names = ["created", "updated", "deleted"];
        let done: Vec<u64> = names.iter().map(|b| book(s, b)).collect();
        assert_eq!((s["digest"].as_str(), done), (Some(digest), vec![5, 10, 5]), "{from} to {to}: {s}");
        (table.to_owned(), book(s, "fetched"))
    });
    let check = world.syncline(&["verify", "--json"]).ends_with(0).json();
    assert_eq!(check[0]["passed"], true, "{from} to {to}");
    list.to_vec()
}

const ACROSS: [(&str, &str); 6] = [
    ("postgres", "mysql"),
    ("mysql", "postgres"),
    ("postgres", "sqlite"),
    ("sqlite", "postgres"),
    ("mysql", "sqlite"),
    ("sqlite", "mysql"),
];

// rule: R12, R15
#[test]
fn between_systems_a_diff_by_any_key_reads_only_the_rows_that_differ() {
    for (from, to) in ACROSS {
        for (table, fetched) in fetched_after_twenty_differences(from, to, "", 1_000, "canonical") {
            assert_eq!(fetched, 15, "{from} to {to}, {table}");
        }
    }
}

// rule: R12, R13, R15
#[test]
fn within_a_system_a_diff_by_any_key_reads_only_the_rows_that_differ() {
    for kind in ["postgres", "mysql", "sqlite"] {
        for (table, fetched) in fetched_after_twenty_differences(kind, kind, "", 1_000, "native") {
            assert_eq!(fetched, 15, "{kind}, {table}");
        }
    }
}

// rule: R12, R15
#[test]
fn a_diff_by_any_key_of_rows_that_sql_cannot_compare_reads_little_more_than_what_differs() {
    for (from, to) in ACROSS.into_iter().chain([("postgres", "postgres"), ("mysql", "mysql"), ("sqlite", "sqlite")]) {
        for (table, fetched) in fetched_after_twenty_differences(from, to, EXPRESSION, 2_000, "remembered") {
            assert!((15..=40).contains(&fetched), "{from} to {to}, {table}: {fetched} of 2000");
        }
    }
}

/// Integer keys as far apart as they can be, in clusters, of both signs.
fn far_apart() -> Vec<i128> {
    let clusters = [-(1 << 62), -1_000_000_007, -3, 1 << 40, (1 << 62) + 17];
    let mut keys: Vec<i128> = clusters.iter().flat_map(|start| (0..200).map(move |i| start + i)).collect();
    keys.extend([i128::from(i64::MIN), i128::from(i64::MAX)]);
    keys
}

/// Eight edits at the source of a table with these keys: the rows that the diff after them reads.
fn fetched_by_integers(from: &str, to: &str, types: (&str, &str), keys: &[i128], options: &str) -> (u64, Option<String>) {
    let folder = tempfile::tempdir().expect("a folder");
    let (source, dest) = (side(from, &folder, "from.db"), side(to, &folder, "to.db"));
    for (s, key) in [(&source, types.0), (&dest, types.1)] {
        s.execute(&format!("CREATE TABLE t (k {key} NOT NULL PRIMARY KEY, name varchar(40), label varchar(40))"));
        let rows: Vec<String> = keys.iter().map(|k| format!("({k}, 'n{k}', 'N{k}')")).collect();
        s.execute(&format!("INSERT INTO t VALUES {}", rows.join(", ")));
    }
    let world = World::between(&source, &dest, &format!("{OPTIONS}{options}"));
    assert_eq!(book(&world.run(&[], 0), "unchanged") % keys.len() as u64, 0);
    let edited: Vec<String> = keys.iter().step_by(keys.len() / 7).map(ToString::to_string).collect();
    source.execute(&format!("UPDATE t SET name = 'edited' WHERE k IN ({})", edited.join(", ")));
    let run = world.run(&[], 0);
    assert_eq!((book(&run, "updated"), book(&run, "created"), book(&run, "deleted")), (edited.len() as u64, 0, 0), "{run}");
    (book(&run, "fetched") - edited.len() as u64, run["streams"][0]["digest"].as_str().map(str::to_owned))
}

// rule: R14, R15
#[test]
fn integer_keys_spread_over_all_of_their_range_are_told_apart() {
    let bigint = |kind: &str| if kind == "sqlite" { "INTEGER" } else { "bigint" };
    for (from, to) in ACROSS.into_iter().chain([("postgres", "postgres"), ("mysql", "mysql"), ("sqlite", "sqlite")]) {
        let (more, _) = fetched_by_integers(from, to, (bigint(from), bigint(to)), &far_apart(), "");
        assert_eq!(more, 0, "{from} to {to}");
        let (more, digest) = fetched_by_integers(from, to, (bigint(from), bigint(to)), &far_apart(), EXPRESSION);
        assert!(more <= 8 && digest.as_deref() == Some("remembered"), "{from} to {to}: {more} rows more than needed, {digest:?}");
    }
}

// rule: R14, R15
#[test]
fn integer_keys_beyond_signed_64_bits_are_told_apart() {
    let keys: Vec<i128> = (0..300).chain((1 << 63) - 100..(1 << 63) + 100).chain((1 << 64) - 100..1 << 64).collect();
    for (from, to, types) in [
        ("mysql", "postgres", ("bigint unsigned", "numeric(20,0)")),
        ("postgres", "mysql", ("numeric(20,0)", "bigint unsigned")),
        ("mysql", "mysql", ("bigint unsigned", "bigint unsigned")),
        ("mysql", "mysql", ("bigint unsigned", "decimal(20,0)")),
    ] {
        let (more, digest) = fetched_by_integers(from, to, types, &keys, "");
        assert_eq!(more, 0, "{from} to {to}: {digest:?}");
    }
}

// rule: R12, R15
// case: D10
#[test]
fn a_key_that_the_two_sides_spell_differently_is_never_taken_for_extra() {
    for (from, to, types) in [
        ("postgres", "postgres", ("uuid", "text")),
        ("postgres", "postgres", ("text", "uuid")),
        ("postgres", "postgres", ("numeric(12,2)", "numeric")),
        ("postgres", "mysql", ("uuid", "char(36)")),
        ("mysql", "postgres", ("binary(16)", "uuid")),
        ("postgres", "postgres", ("double precision", "double precision")),
        ("postgres", "mysql", ("double precision", "double")),
    ] {
        for options in ["", EXPRESSION] {
            let (source, dest) =
                (side(from, &tempfile::tempdir().expect("a folder"), ""), side(to, &tempfile::tempdir().expect("a folder"), ""));
            let values: Vec<String> = (1..=300i32)
                .map(|i| match types.0 {
                    "numeric(12,2)" => format!("{i}.50"),
                    // 16 and 17 digits: where two systems choose different shortest forms.
                    "double precision" => format!("{}e{}", f64::from(i).sqrt() + 0.1, i % 40 - 20),
                    "binary(16)" => format!("x'{:032x}'", i64::from(i) * 7_777),
                    _ => format!("'{:08x}-0000-4000-8000-{:012x}'", i64::from(i) * 7_777, i),
                })
                .collect();
            for (s, key) in [(&source, types.0), (&dest, types.1)] {
                s.execute(&format!("CREATE TABLE t (k {key} NOT NULL PRIMARY KEY, name varchar(40), label varchar(40))"));
            }
            source.execute(&format!(
                "INSERT INTO t VALUES {}",
                values.iter().map(|v| format!("({v}, 'n', 'N')")).collect::<Vec<_>>().join(", ")
            ));
            let world = World::between(&source, &dest, &format!("{OPTIONS}{options}"));
            assert_eq!(book(&world.run(&[], 0), "created"), 300, "{from} {types:?} to {to}");
            for _ in 0..2 {
                let run = world.run(&[], 0);
                assert_eq!(book(&run, "created") + book(&run, "updated") + book(&run, "deleted"), 0, "{from} {types:?} to {to}: {run}");
            }
            source.execute(&format!("UPDATE t SET name = 'edited' WHERE k = {}; DELETE FROM t WHERE k = {}", values[3], values[4]));
            let run = world.run(&[], 0);
            let done = (book(&run, "created"), book(&run, "updated"), book(&run, "deleted"));
            assert_eq!(done, (0, 1, 1), "{from} {types:?} to {to} {options}: {run}");
        }
    }
}

// case: H12
// rule: R15
#[test]
fn a_key_in_another_case_gives_its_row_the_new_spelling_and_none_goes() {
    for options in ["", EXPRESSION] {
        let (source, dest) = (Side::postgres(), Side::mariadb());
        source.execute(
            "CREATE TABLE t (k text PRIMARY KEY, name text, label text); INSERT INTO t VALUES ('ABC', 'n', 'N'), ('def', 'n', 'N')",
        );
        dest.execute(
            "CREATE TABLE t (k varchar(20) COLLATE utf8mb4_general_ci PRIMARY KEY, name varchar(40), label varchar(40));
             INSERT INTO t VALUES ('abc', 'n', 'N'), ('def', 'n', 'N')",
        );
        let world = World::between(&source, &dest, &format!("{OPTIONS}{options}"));
        let run = world.run(&[], 0);
        assert_eq!((book(&run, "updated"), book(&run, "deleted"), book(&run, "created")), (1, 0, 0), "{options}: {run}");
        assert_eq!(dest.value("SELECT group_concat(hex(k) ORDER BY k) FROM t"), "414243,646566", "{options}");
        assert_eq!(book(&world.run(&[], 0), "created"), 0, "{options}");
        world.syncline(&["verify"]).ends_with(0);
        world.syncline(&["undo", "1"]).ends_with(0);
        assert_eq!(dest.value("SELECT group_concat(hex(k) ORDER BY k) FROM t"), "616263,646566", "{options}");
    }
}

// req: S0-DELETE, S0-TRUTH
// rule: R8
// case: H12
#[test]
fn a_key_that_is_equal_and_spelled_otherwise_gives_its_row_the_new_spelling_and_none_goes() {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = |name: &str| Side::sqlite(folder.path(), name);
    for (source, dest, kind, before, after) in [
        (Side::postgres(), Side::postgres(), "numeric", "1", "1.00"),
        (Side::postgres(), Side::postgres(), "interval", "'1 mon'", "'30 days'"),
        (sqlite("a.db"), sqlite("b.db"), "", "1", "1.0"),
    ] {
        source.execute(&format!("CREATE TABLE t (k {kind} PRIMARY KEY, v int); INSERT INTO t VALUES ({before}, 1)"));
        let rest: Vec<String> =
            (3..20).map(|n| if kind == "interval" { format!("('{n} years', {n})") } else { format!("({n}, {n})") }).collect();
        source.execute(&format!("INSERT INTO t VALUES {}", rest.join(", ")));
        // A full run compares the keys of the two sides in SQL, which cannot tell those of every type.
        let modes = if kind == "numeric" { &["diff", "full"][..] } else { &["diff"] };
        for mode in modes {
            let world = World::between(&source, &dest, &format!("    mode: {mode}\n    deletes: mirror\n    owns: table\n"));
            world.run(&[], 0);
            for new in [after, before] {
                source.execute(&format!("UPDATE t SET k = {new}, v = v + 100 WHERE v % 100 = 1"));
                let run = world.run(&[], 0);
                assert_eq!((book(&run, "updated"), book(&run, "deleted")), (1, 0), "{kind} {mode}: {run}");
                let text = |side: &Side| side.value("SELECT cast(k AS text) FROM t WHERE v % 100 = 1");
                assert_eq!(text(&source), text(&dest), "{kind} {mode}");
                assert_eq!(dest.value("SELECT count(*) FROM t"), "18", "{kind} {mode}");
                let run = world.run(&[], 0);
                assert_eq!((book(&run, "updated"), book(&run, "created")), (0, 0), "{kind} {mode}: {run}");
                world.syncline(&["verify"]).ends_with(0);
            }
        }
    }
}
