//! Records that their key does not tell apart: without a key, or with one that others have. They are set aside, never numbered and never
//! merged, whichever way rows go.

use serde_json::json;

use crate::book;
use crate::rig::{Side, World};

const SOURCE: &str = "CREATE TABLE part (id int, name varchar(40));
    INSERT INTO part VALUES (1, 'one'), (NULL, 'none'), (NULL, 'nothing'), (3, 'three')";

fn sides(folder: &tempfile::TempDir, name: &str) -> [Side; 3] {
    [Side::postgres(), Side::mariadb(), Side::sqlite(folder.path(), name)]
}

fn by_key(side: &Side) -> String {
    side.content("part", &["id", "name"], "1 = 1")
}

// req: S0-TRUTH
// rule: R21
// case: H12
#[test]
fn a_record_without_a_key_is_set_aside_and_gets_none_of_the_destination() {
    let folder = tempfile::tempdir().unwrap();
    let sources = sides(&folder, "from.db");
    sources.iter().for_each(|from| from.execute(SOURCE));
    for to in sides(&folder, "to.db") {
        for from in &sources {
            for made in [true, false] {
                to.execute("DROP TABLE IF EXISTS part");
                if !made {
                    to.execute("CREATE TABLE part (id int, name varchar(40))");
                }
                for options in ["    streams: { part: { key: [id] } }\n", "    mode: full\n    streams: { part: { key: [id] } }\n"] {
                    let world = World::between(from, &to, options);
                    for _ in 0..2 {
                        let run = world.run(&[], 3);
                        assert_eq!(book(&run, "parked"), 2, "{options}{run}");
                        assert_eq!(by_key(&to), "1|one;3|three", "{options}{run}");
                    }
                    world.syncline(&["verify"]).ends_with(4);
                    assert!(world.parked().iter().all(|(_, _, code)| code == "not_null"), "{:?}", world.parked());
                }
            }
        }
    }
}

// req: S0-TRUTH
// case: H12
#[test]
fn records_that_share_a_key_and_differ_are_all_set_aside_and_alike_ones_merge() {
    let folder = tempfile::tempdir().unwrap();
    for to in sides(&folder, "to.db") {
        let from = Side::postgres();
        from.execute("CREATE TABLE part (id int, name varchar(40)); INSERT INTO part VALUES (1, 'one'), (2, 'left'), (2, 'right'), (4, 'same'), (4, 'same')");
        for options in ["    streams: { part: { key: [id] } }\n", "    mode: full\n    streams: { part: { key: [id] } }\n"] {
            let world = World::between(&from, &to, options);
            assert!(world.syncline(&["check"]).ends_with(0).said().contains("unique"), "check says so");
            for _ in 0..2 {
                let run = world.run(&[], 3);
                assert_eq!((book(&run, "parked"), &run["status"]), (2, &json!("partial")), "{options}{run}");
                assert_eq!(by_key(&to), "1|one;4|same", "{options}{run}");
            }
            assert!(world.parked().iter().all(|(_, _, code)| code == "key_collision"), "{:?}", world.parked());
            world.syncline(&["verify"]).ends_with(4);
        }
        from.execute("DELETE FROM part WHERE name IN ('left', 'same')");
        let world = World::between(&from, &to, "    streams: { part: { key: [id] } }\n");
        world.run(&[], 0);
        assert_eq!(by_key(&to), "1|one;2|right;4|same");
    }
}

// req: S0-TRUTH, S0-DELETE
// rule: R8, R29
#[test]
fn a_key_that_others_spelled_in_their_own_way_is_found_again_and_never_taken_for_gone() {
    let folder = tempfile::tempdir().unwrap();
    for (kind, keys) in [
        ("TIMESTAMP", ["2026-11-21T01:00:00", "2026-11-21T02:00", "2026-11-21 03:00:00.000"]),
        ("UUID", ["0193AA20-0000-7000-8000-00000000000A", "0193AA20-0000-7000-8000-00000000000B", "0193aa20-0000-7000-8000-00000000000c"]),
    ] {
        let (from, to) = (Side::sqlite(folder.path(), &format!("{kind}.db")), Side::postgres());
        let [a, b, c] = keys;
        from.execute(&format!(
            "CREATE TABLE visit (k {kind} NOT NULL PRIMARY KEY, who TEXT); INSERT INTO visit VALUES ('{a}', 'ann'), ('{b}', 'bob'), ('{c}', 'cid')"
        ));
        to.execute(&format!("CREATE TABLE visit (k {kind} PRIMARY KEY, who text NOT NULL CHECK (who <> 'bob'))"));
        let world = World::between(&from, &to, "    deletes: mirror\n    owns: table\n");
        let run = world.run(&[], 3);
        assert_eq!((book(&run, "created"), book(&run, "parked")), (2, 1), "{run}");
        from.execute(&format!("UPDATE visit SET who = 'rob' WHERE k = '{b}'"));
        world.syncline(&["parked", "--retry", "--all"]).ends_with(0);
        assert_eq!((world.parked().len(), to.value("SELECT string_agg(who, ',' ORDER BY k) FROM visit")), (0, "ann,rob,cid".to_owned()));
        from.execute(&format!("UPDATE visit SET who = 'anna' WHERE k = '{a}'"));
        let run = world.run(&["--key", a, "--stream", "visit"], 0);
        assert_eq!((book(&run, "updated"), book(&run, "deleted")), (1, 0), "{run}");
        from.execute(&format!("UPDATE visit SET who = 'cilla' WHERE k = '{c}'"));
        assert_eq!(book(&world.run(&[], 0), "updated"), 1);
        assert_eq!(to.value("SELECT string_agg(who, ',' ORDER BY k) FROM visit"), "anna,rob,cilla");
        world.syncline(&["verify"]).ends_with(0);
    }
}
