//! Large values, wide tables, and first loads that are cut.

use crate::rig::{Side, World};

// case: I1
#[test]
fn a_value_above_the_packet_of_mariadb_arrives_whole_or_parks_its_row_alone() {
    let (source, dest) = (Side::postgres(), Side::mariadb());
    source.execute("CREATE TABLE t (id int PRIMARY KEY, body bytea); INSERT INTO t VALUES (1, 'small'), (3, 'also'), (2, decode(repeat('ab', 20000000), 'hex'))");
    let world = World::between(&source, &dest, "");
    let run = world.run(&[], 3);
    assert_eq!([&run["books"]["created"], &run["books"]["parked"]], [2, 1], "{run:#}");
    assert_eq!(dest.value("SELECT group_concat(id, ':', body ORDER BY id) FROM t"), "1:small,3:also");
    assert_eq!(world.parked(), [("t".to_owned(), "[2]".to_owned(), "value_too_large".to_owned())]);
    let told = world.syncline(&["parked", "--json"]).ends_with(0).stdout;
    assert!(told.contains("20000000"), "the size is named: {}", &told[..told.len().min(2_000)]);
}

// case: I2
#[test]
fn a_table_of_sixteen_hundred_columns_is_copied_and_one_less_is_changed() {
    for width in [1_599, 1_600] {
        let (source, dest) = (Side::postgres(), Side::postgres());
        let columns: Vec<String> = (1..width).map(|i| format!("c{i} smallint")).collect();
        // 60 rows of so many columns are more values than one statement can bind.
        source.execute(&format!(
            "CREATE TABLE t (id int PRIMARY KEY, {}); INSERT INTO t (id, c1, c800, c1598) SELECT i, 1, -i, i FROM generate_series(1, 60) i",
            columns.join(", ")
        ));
        let world = World::between(&source, &dest, "    undo: off\n    deletes: mirror\n    owns: table\n");
        let hash = "SELECT md5(string_agg(t::text, ';' ORDER BY id)) FROM t";
        world.run(&[], 0);
        assert_eq!(source.value(hash), dest.value(hash));
        source.execute(
            "UPDATE t SET c1598 = 7, c1 = NULL WHERE id % 2 = 0; DELETE FROM t WHERE id = 9; INSERT INTO t (id, c2) VALUES (100, 1)",
        );
        if width == 1_600 {
            // A row number beside them would be one column too many for the server: said, and nothing is half done.
            let before = dest.value(hash);
            let failed = world.run(&[], 1);
            assert!(failed["error"]["message"].to_string().contains("1600 columns"), "{failed:#}");
            assert_eq!(dest.value(hash), before);
            continue;
        }
        for mode in ["diff", "full"] {
            let run = world.run(&["--mode", mode], 0);
            let expected = if mode == "diff" { [1, 30, 1] } else { [0, 0, 0] };
            assert_eq!(["created", "updated", "deleted"].map(|n| run["books"][n].as_u64().expect("a count")), expected, "{run:#}");
            assert_eq!(source.value(hash), dest.value(hash), "{mode}");
        }
    }
}

// case: D6
#[test]
fn a_first_load_that_is_cut_leaves_no_position_behind() {
    let (source, dest) = (Side::postgres(), Side::postgres());
    source.execute("CREATE TABLE t (id int PRIMARY KEY, at timestamptz NOT NULL); INSERT INTO t SELECT i, now() - i * interval '1 day' FROM generate_series(1, 100) i");
    let world = World::between(&source, &dest, "    mode: incremental\n    streams: { t: { cursor: at } }\n");
    assert_eq!(world.syncline_with(&["run"], &[("SYNCLINE_FAIL", "read.end=abort")]).code, None);
    let state = Side::File(world.path(".syncline/state.db"));
    assert_eq!(state.value("SELECT count(*) FROM sync_state"), "0");
    world.let_leases_end();
    world.run(&[], 0);
    assert_eq!(dest.value("SELECT count(*) FROM t"), "100");
}

const MANY: &str = "id int PRIMARY KEY, name varchar(60) NOT NULL, amount decimal(12,2), seen timestamp(6) NULL";

fn many(side: &Side, rows: u32) {
    let (number, from) = match side.kind() {
        "postgres" => ("i", format!("generate_series(1, {rows}) i")),
        _ => ("seq", format!("seq_1_to_{rows}")),
    };
    side.execute(&format!("DROP TABLE IF EXISTS t; CREATE TABLE t ({MANY})"));
    side.execute(&format!("INSERT INTO t SELECT {number}, concat('name of row ', {number}), {number} / 4.0, '2024-01-01' FROM {from}"));
}

/// Every row as one hash made by the database; summed, for no text can hold them all.
fn fingerprint(side: &Side) -> String {
    side.value(match side.kind() {
        "postgres" => "SELECT count(*) || ' ' || sum(('x' || left(md5(id || '|' || name || '|' || amount), 8))::bit(32)::bigint) FROM t",
        _ => "SELECT concat(count(*), ' ', sum(conv(left(md5(concat(id, '|', name, '|', amount)), 8), 16, 10))) FROM t",
    })
}

// req: FR-013
#[test]
fn a_hundred_thousand_changes_of_every_kind_go_in_in_one_run_with_balanced_books() {
    for (source, dest) in [(Side::postgres(), Side::postgres()), (Side::mariadb(), Side::postgres())] {
        many(&source, 120_000);
        let world = World::between(&source, &dest, "    deletes: mirror\n    owns: table\n");
        let first = world.run(&[], 0);
        assert_eq!([&first["books"]["created"], &first["books"]["fetched"]], [120_000, 120_000]);
        assert_eq!(fingerprint(&source), fingerprint(&dest));
        source.execute("UPDATE t SET amount = amount + 1 WHERE id <= 60000; DELETE FROM t WHERE id > 110000");
        let (number, from) =
            if source.kind() == "postgres" { ("i", "generate_series(200001, 230000) i") } else { ("seq", "seq_200001_to_230000") };
        source.execute(&format!("INSERT INTO t SELECT {number}, 'new', 1, NULL FROM {from}"));
        let run = world.run(&[], 0);
        let b = |name: &str| run["books"][name].as_u64().expect("a count");
        assert_eq!([b("created"), b("updated"), b("deleted")], [30_000, 60_000, 10_000], "{run:#}");
        assert_eq!(b("fetched"), b("created") + b("updated") + b("unchanged") + b("parked") + b("kept") + b("merged"));
        assert_eq!((b("in_scope"), b("in_scope")), (140_000, b("equal_by_digest") + b("fetched")));
        assert_eq!(fingerprint(&source), fingerprint(&dest));
        world.syncline(&["verify"]).ends_with(0);
    }
}

/// The most memory that a run ever held, in KiB.
fn peak_kib(world: &World) -> u64 {
    peak_of(world, &["run", "--json"]).1
}

/// What a command that succeeds says, and the most memory that it ever held, in KiB.
pub fn peak_of(world: &World, args: &[&str]) -> (serde_json::Value, u64) {
    let mut run = world.start(args, &[]);
    let status = format!("/proc/{}/status", run.id());
    let mut peak = 0;
    while run.try_wait().expect("the binary can be asked").is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|l| l.strip_prefix("VmHWM:")).map(|l| l.trim().trim_end_matches(" kB").to_owned());
        peak = peak.max(line.and_then(|n| n.parse().ok()).unwrap_or(0));
        std::thread::yield_now();
    }
    let answer = crate::rig::Answer::of(&run.wait_with_output().expect("it ended")).ends_with(0);
    (answer.json(), peak)
}

// req: FR-013
#[test]
fn eight_times_the_rows_take_no_more_memory() {
    for (source, dest) in [(Side::postgres(), Side::postgres()), (Side::mariadb(), Side::postgres())] {
        let peaks = [30_000, 240_000].map(|rows| {
            many(&source, rows);
            dest.execute("DROP TABLE IF EXISTS t");
            let world = World::between(&source, &dest, "");
            let load = peak_kib(&world);
            // Half of the rows differ.
            dest.execute("UPDATE t SET amount = 0 WHERE id % 2 = 0");
            let diff = peak_kib(&world);
            assert_eq!(fingerprint(&source), fingerprint(&dest));
            [load, diff]
        });
        for (few, many) in peaks[0].into_iter().zip(peaks[1]) {
            assert!(many < 64 * 1024, "{} KiB", many);
            assert!(many < few + 12 * 1024, "{few} KiB for few rows, {many} KiB for many");
        }
    }
}
