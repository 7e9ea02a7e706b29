//! Large values, wide tables, and first loads that are cut.

use crate::rig::{Side, World};

// case: I1
#[test]
fn a_value_above_the_packet_of_mariadb_arrives_whole_or_parks_its_row_alone() {
    let (source, dest) = (Side::postgres(), Side::mariadb());
    source.execute("CREATE TABLE t (id int PRIMARY KEY, body bytea); INSERT INTO t VALUES (1, 'small'), (3, 'also'), (2, decode(repeat('ab', 20000000), 'hex'))");
    let world = World::between(&source, &dest, "");
    let answer = world.syncline(&["run", "--json"]);
    assert!(matches!(answer.code, Some(0 | 3)), "{}", answer.said());
    assert_eq!(dest.value("SELECT count(*) FROM t WHERE id IN (1, 3)"), "2");
    let whole = dest.value("SELECT count(*) FROM t WHERE id = 2 AND length(body) = 20000000");
    assert_eq!(whole == "1", world.parked().is_empty(), "{:?}", world.parked());
    assert_eq!(whole == "1", answer.code == Some(0), "{}", answer.said());
}

// case: I2
#[test]
fn a_table_of_sixteen_hundred_columns_is_copied_and_changed() {
    let (source, dest) = (Side::postgres(), Side::postgres());
    let columns: Vec<String> = (1..1_600).map(|i| format!("c{i} smallint")).collect();
    source.execute(&format!(
        "CREATE TABLE t (id int PRIMARY KEY, {}); INSERT INTO t (id, c1599) SELECT i, i FROM generate_series(1, 60) i",
        columns.join(", ")
    ));
    let world = World::between(&source, &dest, "    undo: off\n");
    let first = world.syncline(&["run", "--json"]);
    assert_eq!(first.code, Some(0), "{}", first.said());
    assert_eq!(dest.value("SELECT sum(c1599) FROM t"), "1830");
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
