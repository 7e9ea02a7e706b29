//! `verify` over every kind of destination and over scopes: what is planted is found, each by its kind, and a repair mends that alone.

use serde_json::Value as Json;

use crate::book;
use crate::rig::{Side, World};

const MIRROR: &str = "    mode: diff\n    deletes: mirror\n    owns: table\n";
const ROWS: u64 = 400;

fn member(kind: &str) -> String {
    let (name, price, seen) = match kind {
        "postgres" => ("text", "numeric(12,2)", "timestamp"),
        // Case and spaces at the end do not count there, for the server.
        "mysql" => ("varchar(40) COLLATE utf8mb4_general_ci", "decimal(12,2)", "datetime(6)"),
        _ => ("TEXT", "DECIMAL_TEXT(12,2)", "TIMESTAMP_TEXT"),
    };
    format!("CREATE TABLE member (id int PRIMARY KEY, club varchar(60) NOT NULL, name {name}, price {price}, seen {seen} NULL)")
}

/// Rows 1 to [`ROWS`], by turns of the clubs given.
fn fill(side: &Side, clubs: &[&str]) {
    side.execute(&member(side.kind()));
    let row = |i: u64| {
        let club = clubs[usize::try_from(i).expect("small") % clubs.len()].replace('\'', "''");
        format!("({i}, '{club}', 'Name {i}', '{i}.50', '2024-02-29 12:00:{:02}')", i % 60)
    };
    side.execute(&format!("INSERT INTO member VALUES {}", (1..=ROWS).map(row).collect::<Vec<_>>().join(", ")));
}

fn side(kind: &str, folder: &tempfile::TempDir, name: &str) -> Side {
    match kind {
        "postgres" => Side::postgres(),
        "mysql" => Side::mariadb(),
        _ => Side::sqlite(folder.path(), name),
    }
}

/// Source and destination of every kind; the source of another kind than the destination, where it can be.
const WAYS: [(&str, &str); 5] =
    [("postgres", "mysql"), ("mysql", "sqlite"), ("sqlite", "postgres"), ("mysql", "mysql"), ("sqlite", "sqlite")];

fn verify(world: &World, arguments: &[&str], code: i32) -> Json {
    world.syncline(&[&["verify", "--json"], arguments].concat()).ends_with(code).json()
}

/// (kind, key, fields) of every difference, sorted.
fn differences(report: &Json) -> Vec<String> {
    let text = |v: &Json| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
    let one = |d: &Json| {
        let fields: Vec<String> = d["fields"].as_array().into_iter().flatten().map(|f| text(&f["field"])).collect();
        format!("{} {} {}", text(&d["kind"]), text(&d["key"]), if d["kind"] == "different" { fields.join(",") } else { String::new() })
    };
    let mut list: Vec<String> = report["differences"].as_array().expect("a list").iter().map(|d| one(d).trim_end().to_owned()).collect();
    list.sort();
    list
}

/// The books of all repairs so far, summed: (created, updated, deleted).
fn repaired(world: &World) -> (u64, u64, u64) {
    let repairs: Vec<Json> = world.runs().into_iter().filter(|r| r["kind"] == "repair").collect();
    let sum = |name: &str| repairs.iter().map(|r| book(r, name)).sum();
    (sum("created"), sum("updated"), sum("deleted"))
}

fn content(side: &Side, filter: &str) -> Vec<Vec<Option<String>>> {
    side.query(&format!("SELECT id, club, name, seen FROM member WHERE {filter} ORDER BY id"))
}

// users: T7, U23
// case: Q1, Q2
#[test]
fn differences_of_every_kind_are_found_at_every_destination_and_a_repair_mends_those_alone() {
    for (from, to) in WAYS {
        let folder = tempfile::tempdir().expect("a folder");
        let (source, dest) = (side(from, &folder, "from.db"), side(to, &folder, "to.db"));
        fill(&source, &["north"]);
        dest.execute(&member(to));
        let world = World::between(&source, &dest, MIRROR);
        world.run(&[], 0);
        let good = content(&dest, "1 = 1");
        assert_eq!(verify(&world, &[], 0)[0]["streams"][0]["compared"], ROWS, "{from} to {to}");
        dest.execute(
            "UPDATE member SET name = 'NAME 7' WHERE id = 7; UPDATE member SET name = 'Name 8 ' WHERE id = 8;
             UPDATE member SET price = '9.51', club = 'nørth' WHERE id = 9; UPDATE member SET seen = NULL WHERE id = 10;
             UPDATE member SET seen = '2024-02-29 12:00:11.000001' WHERE id = 11; DELETE FROM member WHERE id IN (200, 400);
             INSERT INTO member VALUES (0, 'north', 'new', '1', NULL), (401, 'south', 'new', NULL, NULL)",
        );
        let found = verify(&world, &[], 4)[0].clone();
        let want = [
            "different [10] seen",
            "different [11] seen",
            "different [7] name",
            "different [8] name",
            "different [9] club,price",
            "extra [0]",
            "extra [401]",
            "missing [200]",
            "missing [400]",
        ];
        assert_eq!(differences(&found), want, "{from} to {to}");
        let check = &found["streams"][0];
        let counts = ["different", "extra", "missing", "source_rows", "destination_rows"].map(|c| check[c].as_u64());
        assert_eq!(counts, [5, 2, 2, ROWS, ROWS].map(Some), "{from} to {to}");
        let mended = verify(&world, &["--repair"], 0);
        assert_eq!((&mended[0]["passed"], repaired(&world)), (&true.into(), (2, 5, 2)), "{from} to {to}");
        assert_eq!(content(&dest, "1 = 1"), good, "{from} to {to}");
    }
}

const HOSTILE: &str = "o'brien";

// rule: R7
// users: T7, U23
#[test]
fn a_scope_is_verified_and_repaired_within_its_own_rows_at_every_destination() {
    for (from, to) in WAYS {
        let folder = tempfile::tempdir().expect("a folder");
        let (source, dest) = (side(from, &folder, "from.db"), side(to, &folder, "to.db"));
        fill(&source, &["north", "south", HOSTILE]);
        dest.execute(&member(to));
        let options = format!(
            "{MIRROR}    scopes: {{ query: \"SELECT DISTINCT club FROM member ORDER BY club\" }}\n    streams:\n      member: {{ where: \"club = {{{{ scope }}}}\" }}\n"
        );
        let world = World::between(&source, &dest, &options);
        world.syncline(&["run"]).ends_with(0);
        let good = content(&dest, "1 = 1");
        // Rows of others, which no scope knows.
        dest.execute("INSERT INTO member VALUES (1001, 'west', 'not ours', NULL, NULL), (1002, 'west', 'nor this', NULL, NULL)");
        // 1 mod 3 is south, 2 the hostile one, 0 north.
        dest.execute(
            "UPDATE member SET name = 'x' WHERE id IN (3, 4, 5); DELETE FROM member WHERE id IN (6, 7, 8);
             INSERT INTO member VALUES (2001, 'north', 'new', NULL, NULL), (2002, 'south', 'new', NULL, NULL), (2003, 'o''brien', 'new', NULL, NULL)",
        );
        let reports = verify(&world, &[], 4);
        let of = |scope: &str| reports.as_array().expect("a list").iter().find(|r| r["scope"] == scope).expect("a scope");
        assert_eq!(differences(of("north")), ["different [3] name", "extra [2001]", "missing [6]"], "{from} to {to}");
        assert_eq!(differences(of("south")), ["different [4] name", "extra [2002]", "missing [7]"], "{from} to {to}");
        assert_eq!(differences(of(HOSTILE)), ["different [5] name", "extra [2003]", "missing [8]"], "{from} to {to}");
        let mended = verify(&world, &["--scope", HOSTILE, "--repair"], 0);
        assert_eq!((mended.as_array().map(Vec::len), repaired(&world)), (Some(1), (1, 1, 1)), "{from} to {to}");
        let broken = "SELECT count(*) FROM member WHERE name IN ('x', 'new')";
        assert_eq!(dest.value(broken), "4", "{from} to {to}: the other scopes are as they were");
        verify(&world, &["--scope", "south"], 4);
        verify(&world, &["--repair"], 0);
        assert_eq!(repaired(&world), (3, 3, 3), "{from} to {to}");
        assert_eq!(content(&dest, "club <> 'west'"), good, "{from} to {to}");
        assert_eq!(dest.value("SELECT count(*) FROM member WHERE club = 'west'"), "2", "{from} to {to}");
    }
}

// req: FR-005
#[test]
fn a_sample_is_the_same_share_of_both_sides_at_every_destination_and_finds_what_is_in_it() {
    for (from, to) in WAYS {
        let folder = tempfile::tempdir().expect("a folder");
        let (source, dest) = (side(from, &folder, "from.db"), side(to, &folder, "to.db"));
        fill(&source, &["north"]);
        dest.execute(&member(to));
        let world = World::between(&source, &dest, MIRROR);
        world.run(&[], 0);
        let report = verify(&world, &["--sample", "25%"], 0)[0].clone();
        let compared = report["streams"][0]["compared"].as_u64().expect("a number");
        assert!((ROWS / 8..ROWS / 2).contains(&compared), "{from} to {to}: {compared}");
        // Every row of the one half differs, the other half is gone: each row of the sample is one or the other.
        dest.execute("UPDATE member SET name = 'x' WHERE id <= 200; DELETE FROM member WHERE id > 200");
        let report = verify(&world, &["--sample", "25%"], 4)[0].clone();
        let count = |what: &str| report["streams"][0][what].as_u64().expect("a number");
        assert_eq!((count("different") + count("missing"), count("extra")), (compared, 0), "{from} to {to}");
        // The repair writes the sample, and leaves what it did not look at.
        let different = count("different");
        verify(&world, &["--sample", "25%", "--repair"], 0);
        assert_eq!(dest.value("SELECT count(*) FROM member WHERE name = 'x'"), (200 - different).to_string(), "{from} to {to}");
        verify(&world, &[], 4);
    }
}
