//! What the other tests show with PostgreSQL as the destination, with MariaDB and SQLite there: deletion policies, three-way merges, id mapping.

use std::path::Path;

use serde_json::json;

use crate::rig::{Side, World};
use crate::{book, written};

/// Every source with every destination that is not PostgreSQL.
fn pairs(folder: &Path) -> Vec<(Side, Side)> {
    vec![
        (Side::mariadb(), Side::sqlite(folder, "1.db")),
        (Side::postgres(), Side::mariadb()),
        (Side::sqlite(folder, "2.db"), Side::mariadb()),
        (Side::postgres(), Side::sqlite(folder, "3.db")),
        (Side::mariadb(), Side::mariadb()),
        (Side::sqlite(folder, "4.db"), Side::sqlite(folder, "5.db")),
    ]
}

fn name(from: &Side, to: &Side, what: &str) -> String {
    format!("{} to {}, {what}", from.kind(), to.kind())
}

const PEOPLE: &str = "CREATE TABLE person (id int PRIMARY KEY, name varchar(40));
    INSERT INTO person VALUES (1,'a'),(2,'b'),(3,'c'),(4,'d'),(5,'e'),(6,'f'),(7,'g'),(8,'h'),(9,'i'),(10,'j')";

/// A table of the administrator's own, with a column for every policy, and a row of the destination's own kind in each.
fn own_table(to: &Side) -> &'static str {
    if to.kind() == "mysql" {
        "CREATE TABLE person (id int PRIMARY KEY, name varchar(40), deleted_at datetime(6), archived_at timestamp NULL, is_active tinyint(1) NOT NULL DEFAULT 1)"
    } else {
        "CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT, deleted_at TEXT, archived_at DATETIME, is_active BOOLEAN NOT NULL DEFAULT 1)"
    }
}

// req: S0-DELETE, S3-FULL, FR-015, S2-E4
// case: D25
// rule: R33
#[test]
fn every_deletion_policy_holds_at_every_destination_and_a_marked_row_that_comes_back_is_revived() {
    let policies = [
        ("mirror", "SELECT 2 - count(*) FROM person WHERE id IN (1, 2)"),
        ("soft", "SELECT count(*) FROM person WHERE deleted_at IS NOT NULL"),
        ("archive", "SELECT count(*) FROM person WHERE archived_at IS NOT NULL"),
        ("deactivate", "SELECT count(*) FROM person WHERE is_active = 0"),
        ("ignore", "SELECT 10 - count(*) FROM person"),
    ];
    for (policy, gone) in policies {
        for made in [false, true] {
            // Only a mark needs a column of the table that the sync makes.
            if made && ["mirror", "ignore"].contains(&policy) {
                continue;
            }
            let folder = tempfile::tempdir().unwrap();
            for (from, to) in pairs(folder.path()) {
                let what = name(&from, &to, &format!("{policy}, made {made}"));
                from.execute(PEOPLE);
                if !made {
                    to.execute(own_table(&to));
                }
                let world = World::between(&from, &to, &format!("    deletes: {policy}\n    owns: table\n"));
                world.run(&[], 0);
                assert_eq!(written(&world.run(&[], 0)), 0, "{what}");
                from.execute("DELETE FROM person WHERE id IN (1, 2)");
                let run = world.run(&[], 0);
                let deletes = policy != "ignore";
                assert_eq!((book(&run, "deleted"), book(&run, "extra")), if deletes { (2, 0) } else { (0, 2) }, "{what}: {run}");
                assert_eq!(to.value(gone), if deletes { "2" } else { "0" }, "{what}");
                assert_eq!(written(&world.run(&[], 0)), 0, "{what}");
                world.syncline(&["verify"]).ends_with(0);
                from.execute("INSERT INTO person VALUES (1, 'a again')");
                let run = world.run(&[], 0);
                let back = if policy == "mirror" { "created" } else { "updated" };
                assert_eq!((book(&run, back), written(&run)), (1, 1), "{what}: {run}");
                assert_eq!(to.value(gone), if deletes { "1" } else { "0" }, "{what}");
                assert_eq!(to.value("SELECT name FROM person WHERE id = 1"), "a again", "{what}");
                assert_eq!(written(&world.run(&[], 0)), 0, "{what}");
                world.syncline(&["verify"]).ends_with(0);
            }
        }
    }
}

// req: FR-010, S0-DELETE
// rule: R33
#[test]
fn a_made_table_has_its_marks_stamps_computed_columns_and_new_ids_within_one_engine_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let same = [
        (Side::postgres(), Side::postgres()),
        (Side::mariadb(), Side::mariadb()),
        (Side::sqlite(folder.path(), "a.db"), Side::sqlite(folder.path(), "b.db")),
    ];
    for (from, to) in same {
        let what = name(&from, &to, "made");
        from.execute(PEOPLE);
        let fields = "{ label: \"{{ id }} {{ name }}\", kind: { value: person } }";
        let options =
            format!("    deletes: deactivate\n    stamp: synced_at\n    streams: {{ person: {{ fields: {fields}, ids: state }} }}\n");
        let world = World::between(&from, &to, &options);
        assert_eq!(book(&world.run(&[], 0), "created"), 10, "{what}");
        let seen = "SELECT count(*) FROM person WHERE label = '3 c' AND kind = 'person' AND synced_at IS NOT NULL AND length(id) > 15";
        assert_eq!(
            to.value(&seen.replace("length(id)", if to.kind() == "postgres" { "length(id::text)" } else { "length(id)" })),
            "1",
            "{what}"
        );
        from.execute("DELETE FROM person WHERE id = 3");
        assert_eq!(book(&world.run(&[], 0), "deleted"), 1, "{what}");
        assert_eq!(written(&world.run(&[], 0)), 0, "{what}");
        world.syncline(&["verify"]).ends_with(0);
    }
}

const MEMBER: &str = "CREATE TABLE member (id int PRIMARY KEY, name varchar(40), email varchar(80), phone varchar(40), note varchar(80))";
const MEMBERS: &str = "INSERT INTO member VALUES (1, 'Ann', 'ann@x.org', '+353 1 234', 'n1'), (2, 'Bob', 'bob@x.org', '555', 'n2'),
      (3, 'Cid', 'cid@x.org', '777', 'n3'), (4, 'Dot', 'dot@x.org', NULL, 'n4')";

// req: S4-002, S4-003, S4-004, FR-012
// rule: R6, R40
#[test]
fn three_way_merges_hold_at_every_destination() {
    for (strategy, winner, stays) in [("source_wins", "source", "Anna"), ("destination_wins", "destination", "Annie")] {
        let folder = tempfile::tempdir().unwrap();
        for (from, to) in pairs(folder.path()) {
            let what = name(&from, &to, strategy);
            from.execute(MEMBER);
            from.execute(MEMBERS);
            let world = World::between(&from, &to, &format!("    edits: keep\n    conflicts: {strategy}\n"));
            world.run(&[], 0);
            from.execute("UPDATE member SET name = 'Anna', note = 'from the source' WHERE id = 1");
            from.execute("UPDATE member SET email = 'new@x.org' WHERE id = 2");
            to.execute("UPDATE member SET name = 'Annie', phone = 'from here' WHERE id = 1");
            to.execute("UPDATE member SET note = 'mine' WHERE id IN (2, 3)");
            let run = world.run(&[], 0);
            assert_eq!((&run["conflicts"], book(&run, "updated")), (&json!(1), 2), "{what}: {run}");
            let row = |id: u32| to.content("member", &["name", "email", "phone", "note"], &format!("id = {id}"));
            assert_eq!(row(1), format!("{stays}|ann@x.org|from here|from the source"), "{what}");
            assert_eq!([row(2), row(3)], ["Bob|new@x.org|555|mine", "Cid|cid@x.org|777|mine"], "{what}");
            let conflict = &world.syncline(&["conflicts", "last", "--json"]).ends_with(0).json()[0];
            assert_eq!((&conflict["winner"], &conflict["source"]), (&json!(winner), &json!("Anna")), "{what}");
            assert_eq!(written(&world.run(&[], 0)), 0, "{what}");
            world.syncline(&["verify"]).ends_with(0);
        }
    }
}

// req: S4-002, S4-003
#[test]
fn merge_and_normalisers_hold_at_every_destination() {
    let folder = tempfile::tempdir().unwrap();
    for (from, to) in pairs(folder.path()) {
        let what = name(&from, &to, "merge");
        from.execute(MEMBER);
        from.execute(MEMBERS);
        to.execute(&MEMBER.replace("note varchar(80)", "note varchar(80), changed_by varchar(40)"));
        let fields = "{ email: { from: email, type: email }, phone: { from: phone, type: phone }, note: { from: note, type: text } }";
        let world = World::between(
            &from,
            &to,
            &format!(
                "    edits: keep\n    conflicts: merge\n    last_modified_by: changed_by\n    streams: {{ member: {{ fields: {fields} }} }}\n"
            ),
        );
        world.run(&[], 0);
        // Other spellings of the same, and an empty field that erases nothing.
        from.execute("UPDATE member SET email = ' ANN@X.org ', phone = '(+353) 1-234', note = '' WHERE id = 1");
        assert_eq!(written(&world.run(&[], 0)), 0, "{what}");
        from.execute("UPDATE member SET name = 'Theirs' WHERE id IN (2, 3, 4)");
        to.execute("UPDATE member SET name = 'Ours', changed_by = 'coach@club' WHERE id = 2");
        to.execute("UPDATE member SET name = 'Ours', changed_by = 'syncline' WHERE id = 3");
        let run = world.run(&[], 0);
        assert_eq!(run["conflicts"], 2, "{what}: {run}");
        assert_eq!(to.content("member", &["name"], "1 = 1"), "Ann;Ours;Theirs;Theirs", "{what}");
        assert_eq!(written(&world.run(&[], 0)), 0, "{what}");
    }
}

const CLINICS: [&str; 3] = [
    "CREATE TABLE clinic (clinic_id int PRIMARY KEY, name varchar(40) NOT NULL)",
    "CREATE TABLE patient (patient_id int PRIMARY KEY, clinic_id int NOT NULL, name varchar(40), FOREIGN KEY (clinic_id) REFERENCES clinic (clinic_id))",
    "INSERT INTO clinic VALUES (1, 'North'), (2, 'South')",
];
const PATIENTS: &str = "INSERT INTO patient VALUES (10, 1, 'Ann'), (11, 2, 'Bob'), (12, 2, 'Cid')";

fn mapped_tables(to: &Side, id: &str) {
    to.execute(&format!("CREATE TABLE clinic (id {id} NOT NULL PRIMARY KEY, name varchar(40) NOT NULL, legacy_clinic_id int, meta json)"));
    to.execute(&format!(
        "CREATE TABLE patient (id {id} NOT NULL PRIMARY KEY, clinic_id {id} NOT NULL, name varchar(40), legacy_patient_id int, meta json,
           FOREIGN KEY (clinic_id) REFERENCES clinic (id))"
    ));
    to.execute(&format!(
        "CREATE TABLE migration_mappings (entity_type varchar(20) NOT NULL, legacy_id int NOT NULL, uuid_id {id} NOT NULL, PRIMARY KEY (entity_type, legacy_id))"
    ));
}

// req: FR-010
// rule: R8
#[test]
fn ids_are_mapped_in_every_shape_at_every_destination() {
    let shapes = [
        "{ table: migration_mappings, legacy: legacy_id, new: uuid_id, entity: { entity_type: STREAM } }",
        "{ column: legacy_STREAM_id }",
        "{ json: meta.legacy_id }",
        "state",
    ];
    for shape in shapes {
        let folder = tempfile::tempdir().unwrap();
        for (number, (from, to)) in pairs(folder.path()).into_iter().enumerate() {
            // As text, as bytes, and as MariaDB's own type.
            let id = match to.kind() {
                "mysql" => ["char(36)", "binary(16)", "uuid"][number % 3],
                _ => ["TEXT", "BLOB"][number % 2],
            };
            let what = name(&from, &to, &format!("{shape} as {id}"));
            CLINICS.iter().for_each(|sql| from.execute(sql));
            from.execute(PATIENTS);
            mapped_tables(&to, id);
            let streams =
                ["clinic", "patient"].map(|t| format!("      {t}: {{ fields: {{ id: {t}_id }}, ids: {} }}\n", shape.replace("STREAM", t)));
            let options = format!("    deletes: mirror\n    owns: mapped\n    streams:\n{}", streams.concat());
            let world = World::between(&from, &to, &options);
            assert_eq!(book(&world.run(&[], 0), "created"), 5, "{what}");
            let joined = || {
                let people = to.query("SELECT p.name, c.name FROM patient p JOIN clinic c ON c.id = p.clinic_id ORDER BY p.name");
                people
                    .into_iter()
                    .map(|r| format!("{}@{}", r[0].as_deref().unwrap(), r[1].as_deref().unwrap()))
                    .collect::<Vec<_>>()
                    .join(" ")
            };
            assert_eq!(joined(), "Ann@North Bob@South Cid@South", "{what}");
            assert_eq!(written(&world.run(&[], 0)), 0, "{what}");
            from.execute("UPDATE patient SET clinic_id = 1 WHERE patient_id = 11");
            from.execute("INSERT INTO patient VALUES (13, 1, 'Dot')");
            from.execute("DELETE FROM patient WHERE patient_id = 12");
            let run = world.run(&[], 0);
            let gone = book(&run, "deleted");
            assert_eq!((book(&run, "created"), book(&run, "updated"), gone), (1, 1, 1), "{what}: {run}");
            assert_eq!(joined(), "Ann@North Bob@North Dot@North", "{what}");
            assert_eq!(written(&world.run(&[], 0)), 0, "{what}");
            world.syncline(&["verify"]).ends_with(0);
        }
    }
}
