//! Id mapping: integer keys of a legacy MariaDB become uuids in PostgreSQL, parents and children, whichever way earlier mappings were kept.

use serde_json::json;

use crate::rig::{Side, World};
use crate::{book, written};

const LEGACY: &str = "
    CREATE TABLE clinic (clinic_id int PRIMARY KEY, name varchar(40) NOT NULL);
    CREATE TABLE patient (patient_id int PRIMARY KEY, clinic_id int NOT NULL, name varchar(40),
      FOREIGN KEY (clinic_id) REFERENCES clinic (clinic_id));
    INSERT INTO clinic VALUES (1, 'North'), (2, 'South');
    INSERT INTO patient VALUES (10, 1, 'Ann'), (11, 2, 'Bob'), (12, 2, 'Cid');";

const UUIDS: &str = "
    CREATE TABLE clinic (id uuid PRIMARY KEY, name text NOT NULL, legacy_clinic_id int, meta jsonb);
    CREATE TABLE patient (id uuid PRIMARY KEY, clinic_id uuid NOT NULL REFERENCES clinic (id), name text, legacy_patient_id int, meta jsonb);
    CREATE TABLE migration_mappings (entity_type text, legacy_id int, uuid_id uuid, PRIMARY KEY (entity_type, legacy_id));";

/// The id that clinic 1 got in an earlier migration.
const NORTH: &str = "11111111-1111-4111-8111-111111111111";

fn sides() -> (Side, Side) {
    let (from, to) = (Side::mariadb(), Side::postgres());
    from.execute(LEGACY);
    to.execute(UUIDS);
    (from, to)
}

fn world(from: &Side, to: &Side, options: &str, ids: impl Fn(&str) -> String) -> World {
    let streams = ["clinic", "patient"].map(|t| format!("      {t}: {{ fields: {{ id: {t}_id }}, ids: {} }}\n", ids(t)));
    World::between(from, to, &format!("{options}    streams:\n{}", streams.concat()))
}

fn by_table(stream: &str) -> String {
    format!("{{ table: migration_mappings, legacy: legacy_id, new: uuid_id, entity: {{ entity_type: {stream} }} }}")
}

/// Patients with the clinics that their ids lead to.
fn joined(to: &Side) -> String {
    to.value("SELECT string_agg(p.name || '@' || c.name, ' ' ORDER BY p.name) FROM patient p JOIN clinic c ON c.id = p.clinic_id")
}

// req: FR-010
#[test]
fn a_mapping_table_gives_the_old_ids_and_gets_the_new_ones_in_the_same_transaction() {
    let (from, to) = sides();
    to.execute(&format!(
        "INSERT INTO clinic (id, name) VALUES ('{NORTH}', 'old name'); INSERT INTO migration_mappings VALUES ('clinic', 1, '{NORTH}')"
    ));
    let world = world(&from, &to, "", by_table);
    let run = world.run(&[], 0);
    assert_eq!((book(&run, "created"), book(&run, "updated")), (4, 1), "{run}");
    assert_eq!(joined(&to), "Ann@North Bob@South Cid@South");
    assert_eq!(to.value(&format!("SELECT name FROM clinic WHERE id = '{NORTH}'")), "North");
    let unmapped =
        "SELECT count(*) FROM clinic c FULL JOIN (SELECT * FROM migration_mappings WHERE entity_type = 'clinic') m ON m.uuid_id = c.id
        WHERE m.uuid_id IS NULL OR c.id IS NULL";
    assert_eq!((to.value(unmapped), to.value("SELECT count(*) FROM migration_mappings")), ("0".to_owned(), "5".to_owned()));
    assert_eq!(written(&world.run(&[], 0)), 0);
    from.execute("UPDATE patient SET clinic_id = 1 WHERE patient_id = 11; INSERT INTO patient VALUES (13, 1, 'Dot')");
    let run = world.run(&[], 0);
    assert_eq!((book(&run, "created"), book(&run, "updated")), (1, 1), "{run}");
    assert_eq!(joined(&to), "Ann@North Bob@North Cid@South Dot@North");
    assert_eq!(to.value("SELECT count(*) FROM migration_mappings"), "6");
}

// req: FR-010
#[test]
fn a_mapping_is_there_exactly_when_its_row_is() {
    let (from, to) = sides();
    to.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''not yet'' USING ERRCODE = ''disk_full''; END';
         CREATE CONSTRAINT TRIGGER late AFTER INSERT ON patient DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()",
    );
    let world = world(&from, &to, "", by_table);
    world.run(&[], 1);
    let counts =
        "SELECT concat_ws(' ', (SELECT count(*) FROM patient), (SELECT count(*) FROM clinic), (SELECT count(*) FROM migration_mappings))";
    assert_eq!(to.value(counts), "0 0 0");
    to.execute("DROP TRIGGER late ON patient");
    world.run(&[], 0);
    assert_eq!(to.value(counts), "3 2 5");
}

// req: FR-010
#[test]
fn a_legacy_column_at_the_destination_is_a_mapping_and_is_kept_up() {
    let (from, to) = sides();
    to.execute(&format!("INSERT INTO clinic (id, name, legacy_clinic_id) VALUES ('{NORTH}', 'old name', 1)"));
    let world = world(&from, &to, "", |t| format!("{{ column: legacy_{t}_id }}"));
    let run = world.run(&[], 0);
    assert_eq!((book(&run, "created"), book(&run, "updated")), (4, 1), "{run}");
    assert_eq!(joined(&to), "Ann@North Bob@South Cid@South");
    assert_eq!(to.value("SELECT string_agg(legacy_patient_id::text, ',' ORDER BY name) FROM patient"), "10,11,12");
    assert_eq!(to.value(&format!("SELECT legacy_clinic_id FROM clinic WHERE id = '{NORTH}'")), "1");
    assert_eq!(written(&world.run(&[], 0)), 0);
}

// req: FR-010
#[test]
fn an_id_inside_json_is_a_mapping() {
    let (from, to) = sides();
    to.execute(&format!("INSERT INTO clinic (id, name, meta) VALUES ('{NORTH}', 'old name', '{{\"legacy_id\": 1, \"by\": \"script\"}}')"));
    let world = world(&from, &to, "", |_| "{ json: meta.legacy_id }".to_owned());
    let run = world.run(&[], 0);
    assert_eq!((book(&run, "created"), book(&run, "updated")), (4, 1), "{run}");
    assert_eq!(joined(&to), "Ann@North Bob@South Cid@South");
    assert_eq!(to.value(&format!("SELECT meta->>'by' FROM clinic WHERE id = '{NORTH}'")), "script");
    assert_eq!(written(&world.run(&[], 0)), 0);
}

// req: FR-010
#[test]
fn ids_of_our_own_are_the_same_in_a_run_from_scratch_and_can_be_looked_up() {
    let (from, to) = sides();
    let first = world(&from, &to, "", |_| "state".to_owned());
    first.run(&[], 0);
    let ids = |to: &Side| to.value("SELECT string_agg(id::text, ',' ORDER BY name) FROM patient");
    let minted = ids(&to);
    assert_eq!(joined(&to), "Ann@North Bob@South Cid@South");
    assert_eq!(written(&first.run(&[], 0)), 0);
    let other = Side::postgres();
    other.execute(UUIDS);
    world(&from, &other, "", |_| "state".to_owned()).run(&[], 0);
    assert_eq!(ids(&other), minted);

    let coverage = first.syncline(&["ids", "pair", "--json"]).ends_with(0).json();
    let patient = coverage.as_array().unwrap().iter().find(|c| c["stream"] == "patient").unwrap();
    assert_eq!((&patient["mapped"], &patient["in_scope"]), (&json!(3), &json!(3)), "{coverage}");
    let bob = to.value("SELECT id FROM patient WHERE name = 'Bob'");
    let found = first.syncline(&["ids", "pair", "--reverse", &bob, "--json"]).ends_with(0).json();
    assert_eq!((&found[0]["stream"], &found[0]["legacy"]), (&json!("patient"), &json!(11)), "{found}");
}

// req: FR-010, FR-015
// rule: R8
#[test]
fn a_mirror_that_owns_mapped_rows_leaves_rows_born_at_the_destination() {
    let (from, to) = sides();
    let world = world(&from, &to, "    deletes: mirror\n    owns: mapped\n", by_table);
    world.run(&[], 0);
    to.execute("INSERT INTO patient (id, clinic_id, name) SELECT '22222222-2222-4222-8222-222222222222', id, 'Born here' FROM clinic WHERE name = 'North'");
    from.execute("DELETE FROM patient WHERE patient_id = 10");
    let run = world.run(&[], 0);
    assert_eq!((book(&run, "deleted"), book(&run, "extra")), (1, 1), "{run}");
    assert_eq!(joined(&to), "Bob@South Born here@North Cid@South");
    assert_eq!(written(&world.run(&[], 0)), 0);
    from.execute("INSERT INTO patient VALUES (10, 2, 'Ann again')");
    assert_eq!(book(&world.run(&[], 0), "created"), 1);
    assert_eq!(joined(&to), "Ann again@South Bob@South Born here@North Cid@South");
}

// req: FR-010
// case: D24
#[test]
fn a_doubled_mapping_stops_the_run_with_its_ids() {
    for doubled in [
        "ALTER TABLE migration_mappings DROP CONSTRAINT migration_mappings_pkey;
         INSERT INTO migration_mappings VALUES ('patient', 10, '33333333-3333-4333-8333-333333333333'), ('patient', 10, '44444444-4444-4444-8444-444444444444')",
        "INSERT INTO migration_mappings VALUES ('patient', 10, '33333333-3333-4333-8333-333333333333'), ('patient', 12, '33333333-3333-4333-8333-333333333333')",
    ] {
        let (from, to) = sides();
        to.execute(doubled);
        let world = world(&from, &to, "", by_table);
        let run = world.run(&[], 1);
        assert_eq!(run["error"]["code"], "id_mapping_doubled", "{run}");
        let message = run["error"]["message"].as_str().unwrap();
        let named = if doubled.starts_with("ALTER") { ["10 → 33333333", "10 → 44444444"] } else { ["10 → 33333333", "12 → 33333333"] };
        assert!(named.iter().all(|n| message.contains(n)), "{message}");
        assert_eq!(to.value("SELECT count(*) FROM patient"), "0");
    }
}

// req: FR-010
// rule: R29
#[test]
fn a_parked_child_with_a_mapped_id_comes_back_by_its_source_key() {
    let (from, to) = sides();
    to.execute("ALTER TABLE patient ADD CHECK (name <> 'Bob')");
    let world = world(&from, &to, "", by_table);
    world.run(&[], 3);
    assert_eq!(world.parked(), [("patient".to_owned(), "[11]".to_owned(), "check_violated".to_owned())]);
    assert_eq!(joined(&to), "Ann@North Cid@South");
    from.execute("UPDATE patient SET name = 'Robert' WHERE patient_id = 11");
    let run = world.run(&[], 0);
    assert_eq!(book(&run, "created"), 1, "{run}");
    assert_eq!((world.parked().len(), joined(&to)), (0, "Ann@North Cid@South Robert@South".to_owned()));
    assert_eq!(written(&world.run(&[], 0)), 0);
}

// req: FR-010
#[test]
fn the_legacy_id_may_be_listed_among_the_fields_whatever_the_key_is_called() {
    let (from, to) = (Side::mariadb(), Side::postgres());
    from.execute(LEGACY);
    to.execute("CREATE TABLE clinic (uuid uuid PRIMARY KEY, name text NOT NULL, legacy_clinic_id int)");
    let options =
        "    streams:\n      clinic: { fields: { uuid: clinic_id, legacy_clinic_id: clinic_id }, ids: { column: legacy_clinic_id } }\n";
    let world = World::between(&from, &to, options);
    assert_eq!(book(&world.run(&[], 0), "created"), 2);
    assert_eq!(to.value("SELECT string_agg(legacy_clinic_id || name, ' ' ORDER BY name) FROM clinic"), "1North 2South");
    assert_eq!(written(&world.run(&[], 0)), 0);
}

// req: FR-010, FR-015
// rule: R8
#[test]
fn one_mapped_record_that_is_gone_is_deleted_by_its_source_key_as_the_policy_says() {
    for (policy, left) in [("mirror", "Bob Cid"), ("deactivate", "Ann Bob Cid"), ("ignore", "Ann Bob Cid")] {
        let (from, to) = sides();
        to.execute("ALTER TABLE patient ADD is_active boolean NOT NULL DEFAULT true; ALTER TABLE clinic ADD is_active boolean NOT NULL DEFAULT true");
        let world = world(&from, &to, &format!("    deletes: {policy}\n    owns: mapped\n"), by_table);
        world.run(&[], 0);
        let key = |k: &str| world.run(&["--stream", "patient", "--key", k], 0);
        assert_eq!(written(&key("10")), 0, "{policy}: it is there");
        from.execute("DELETE FROM patient WHERE patient_id = 10");
        let run = key("10");
        assert_eq!(book(&run, "deleted"), u64::from(policy != "ignore"), "{policy}: {run}");
        assert_eq!(to.value("SELECT string_agg(name, ' ' ORDER BY name) FROM patient"), left, "{policy}");
        let inactive = to.value("SELECT coalesce(string_agg(name, ' '), '') FROM patient WHERE NOT is_active");
        assert_eq!(inactive, if policy == "deactivate" { "Ann" } else { "" }, "{policy}");
        // What neither side has any more is said to be missing.
        world.syncline(&["run", "--stream", "patient", "--key", "10"]).ends_with(i32::from(policy == "mirror"));
        world.syncline(&["run", "--stream", "patient", "--key", "4711"]).ends_with(1);
    }
}

// req: FR-010, FR-015
#[test]
fn a_join_table_whose_key_is_made_of_mapped_references_follows_its_parents() {
    let (from, to) = sides();
    from.execute(
        "CREATE TABLE visit (patient_id int NOT NULL, clinic_id int NOT NULL, n int, PRIMARY KEY (patient_id, clinic_id),
           FOREIGN KEY (patient_id) REFERENCES patient (patient_id), FOREIGN KEY (clinic_id) REFERENCES clinic (clinic_id));
         INSERT INTO visit VALUES (10, 1, 1), (10, 2, 2), (11, 2, 3)",
    );
    to.execute(
        "CREATE TABLE visit (patient_id uuid REFERENCES patient (id), clinic_id uuid REFERENCES clinic (id), n int, PRIMARY KEY (patient_id, clinic_id))",
    );
    let streams = ["clinic", "patient"].map(|t| format!("      {t}: {{ fields: {{ id: {t}_id }}, ids: {} }}\n", by_table(t)));
    let options = format!("    deletes: mirror\n    owns: table\n    streams:\n{}      visit: {{}}\n", streams.concat());
    let world = World::between(&from, &to, &options);
    let seen = || {
        to.value(
            "SELECT string_agg(concat(p.name, '@', c.name, v.n), ' ' ORDER BY v.n) FROM visit v
               JOIN patient p ON p.id = v.patient_id JOIN clinic c ON c.id = v.clinic_id",
        )
    };
    assert_eq!(book(&world.run(&[], 0), "created"), 8);
    assert_eq!(seen(), "Ann@North1 Ann@South2 Bob@South3");
    assert_eq!(written(&world.run(&[], 0)), 0);
    from.execute("UPDATE visit SET n = 4 WHERE patient_id = 11; DELETE FROM visit WHERE n = 2; INSERT INTO visit VALUES (12, 1, 5)");
    let run = world.run(&[], 0);
    assert_eq!((book(&run, "created"), book(&run, "updated"), book(&run, "deleted")), (1, 1, 1), "{run}");
    assert_eq!(seen(), "Ann@North1 Bob@South4 Cid@North5");
    assert_eq!(written(&world.run(&[], 0)), 0);
    world.syncline(&["verify"]).ends_with(0);
    // What the destination refuses is on the list by its source key, and comes back by it.
    to.execute("ALTER TABLE visit ADD CHECK (n < 100)");
    from.execute("UPDATE visit SET n = 200 WHERE patient_id = 11");
    world.run(&[], 3);
    assert_eq!(world.parked(), [("visit".to_owned(), "[11,2]".to_owned(), "check_violated".to_owned())]);
    from.execute("UPDATE visit SET n = 4 WHERE patient_id = 11");
    world.run(&[], 0);
    from.execute("DELETE FROM visit WHERE patient_id = 12");
    assert_eq!(book(&world.run(&["--stream", "visit", "--key", "12,1"], 0), "deleted"), 1);
    assert_eq!(seen(), "Ann@North1 Bob@South4");
}

// req: FR-005, FR-010
#[test]
fn a_repair_finds_the_records_of_mapped_streams_by_their_ids_at_the_source() {
    let (from, to) = sides();
    let world = world(&from, &to, "", by_table);
    world.run(&[], 0);
    to.execute("UPDATE clinic SET name = 'West' WHERE name = 'South'; DELETE FROM patient WHERE name = 'Cid'");
    from.execute("INSERT INTO patient VALUES (14, 1, 'Eve')");
    let found = world.syncline(&["verify", "--json"]).ends_with(4).json();
    let keys: Vec<&str> = found[0]["differences"].as_array().expect("a list").iter().filter_map(|d| d["source_key"].as_str()).collect();
    assert_eq!(keys, ["[2]", "[12]"], "{found}");
    let mended = world.syncline(&["verify", "--repair", "--json"]).ends_with(0).json();
    assert_eq!(mended[0]["passed"], true);
    assert_eq!(joined(&to), "Ann@North Bob@South Cid@South Eve@North");
    assert_eq!(to.value("SELECT count(*) FROM migration_mappings"), "6");
}

// req: FR-010
#[test]
fn ids_for_every_table_map_the_references_in_keys_of_several_columns() {
    let (from, to) = (Side::mariadb(), Side::postgres());
    from.execute(LEGACY);
    from.execute(
        "CREATE TABLE visit (patient_id int NOT NULL, clinic_id int NOT NULL, PRIMARY KEY (patient_id, clinic_id),
           FOREIGN KEY (patient_id) REFERENCES patient (patient_id), FOREIGN KEY (clinic_id) REFERENCES clinic (clinic_id));
         CREATE TABLE note (patient_id int NOT NULL, line int NOT NULL, text varchar(20), PRIMARY KEY (patient_id, line),
           FOREIGN KEY (patient_id) REFERENCES patient (patient_id));
         INSERT INTO visit VALUES (10, 1), (11, 2); INSERT INTO note VALUES (10, 1, 'a'), (10, 2, 'b')",
    );
    let world = World::between(&from, &to, "    deletes: mirror\n    owns: table\n    streams: { \"*\": { ids: state } }\n");
    assert_eq!(book(&world.run(&[], 0), "created"), 9);
    let seen = || {
        to.value(
            "SELECT string_agg(concat(p.name, n.line, n.text, pg_typeof(n.patient_id), pg_typeof(n.line)), ' ' ORDER BY n.line)
             FROM note n JOIN patient p USING (patient_id) JOIN visit v USING (patient_id) JOIN clinic c ON c.clinic_id = v.clinic_id",
        )
    };
    assert_eq!(seen(), "Ann1auuidinteger Ann2buuidinteger");
    assert_eq!(written(&world.run(&[], 0)), 0);
    from.execute("DELETE FROM note WHERE line = 1; UPDATE note SET text = 'c'; INSERT INTO visit VALUES (12, 1)");
    let run = world.run(&[], 0);
    assert_eq!((book(&run, "created"), book(&run, "updated"), book(&run, "deleted")), (1, 1, 1), "{run}");
    assert_eq!(seen(), "Ann2cuuidinteger");
    world.syncline(&["verify"]).ends_with(0);
    from.execute("CREATE TABLE pairing (a int, b int, PRIMARY KEY (a, b))");
    assert_eq!(world.run(&[], 1)["error"]["code"], "config_invalid", "nothing in its key is an id");
}

// req: FR-010
#[test]
fn coverage_and_orphans_are_those_of_now() {
    let (from, to) = (Side::mariadb(), Side::postgres());
    from.execute(&LEGACY.replace(",\n      FOREIGN KEY (clinic_id) REFERENCES clinic (clinic_id)", ""));
    to.execute(UUIDS);
    to.execute(&format!("INSERT INTO migration_mappings VALUES ('clinic', 1, '{NORTH}'), ('clinic', 99, '{}')", NORTH.replace('1', "2")));
    let streams = "    streams:\n      clinic: { fields: { id: clinic_id }, ids: MAP }
      patient: { fields: { id: patient_id }, ids: { table: migration_mappings, legacy: legacy_id, new: uuid_id, entity: { entity_type: patient },
        foreign_keys: { clinic_id: clinic } } }\n";
    let world = World::between(&from, &to, &streams.replace("MAP", &by_table("clinic")));
    let counted = || {
        let seen = world.syncline(&["ids", "--json"]).ends_with(0).json();
        let numbers = |c: &serde_json::Value| ["mapped", "in_scope", "covered", "orphans"].map(|n| c[n].as_u64().expect("a number"));
        (numbers(&seen[0]), numbers(&seen[1]), seen[1]["orphan_references"].clone())
    };
    assert_eq!(counted(), ([2, 2, 1, 0], [0, 3, 0, 0], json!([])), "before the first run");
    from.execute("INSERT INTO patient VALUES (20, 77, 'Far')");
    let orphan = json!([{ "key": "[20]", "column": "clinic_id", "stream": "clinic", "id": 77 }]);
    assert_eq!(counted(), ([2, 2, 1, 0], [0, 4, 0, 1], orphan.clone()));
    assert!(world.syncline(&["ids"]).ends_with(0).stderr.contains("patient 20: clinic_id → clinic 77"));
    world.run(&[], 3);
    assert_eq!(counted(), ([3, 2, 2, 0], [4, 4, 4, 1], orphan), "without another look by a run or a verify");
    from.execute("DELETE FROM patient WHERE patient_id >= 12");
    assert_eq!(counted(), ([3, 2, 2, 0], [4, 2, 2, 0], json!([])));
}
