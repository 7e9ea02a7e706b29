//! Streams that SQL cannot compare: digests remembered from an agreeing run are worth something only as long as nothing else has changed
//! that decides how a row looks at the destination.

use serde_json::Value as Json;

use crate::rig::{Side, World, config};
use crate::{book, stream, written};

const PEOPLE: &str = "CREATE TABLE people (id int PRIMARY KEY, name varchar(40), mail varchar(60), price decimal(12,4));
    INSERT INTO people VALUES (1, 'Ann', 'ann@example.com', 1.5), (2, 'Bob', 'BOB@example.com', 2.25), (3, 'Cid', 'nobody', 3);";
const THERE: &str = "CREATE TABLE people (id int PRIMARY KEY, name text, mail text, price numeric(12,4), label text)";

fn sides() -> (Side, Side) {
    let (from, to) = (Side::mariadb(), Side::postgres());
    from.execute(PEOPLE);
    to.execute(THERE);
    (from, to)
}

fn options(fields: &str, more: &str) -> String {
    format!("    mode: diff\n    streams:\n      people: {{ fields: {{ {fields} }}{more} }}\n")
}

const LABEL: &str = "label: \"{{ name | upper }}\"";

/// Two runs, after which both sides are known to agree: the third reads nothing.
#[track_caller]
fn agreeing(world: &World) {
    world.run(&[], 0);
    world.run(&[], 0);
    let run = world.run(&[], 0);
    assert_eq!((run["streams"][0]["digest"].as_str(), book(&run, "fetched")), (Some("remembered"), 0), "{run}");
}

fn updated(run: &Json) -> (u64, u64) {
    (book(run, "fetched"), book(run, "updated"))
}

// rule: R12
#[test]
fn after_an_edit_of_its_definition_a_stream_is_compared_again_as_a_whole() {
    for (what, fields, more, code, want) in [
        ("expression", "label: \"{{ name | lower }}\"", "", 0, 3),
        ("column", "label: mail", "", 0, 3),
        ("constant", "label: { value: x }", "", 0, 3),
        ("type with a normaliser", &format!("{LABEL}, mail: {{ from: mail, type: email }}")[..], ", validate: true", 3, 0),
        ("another column added", &format!("{LABEL}, price: {{ value: 7 }}")[..], "", 0, 3),
        ("option of no consequence", LABEL, ", rows: strict", 0, 0),
    ] {
        let (from, to) = sides();
        let world = World::between(&from, &to, &options(LABEL, ""));
        agreeing(&world);
        world.configure(&config(&from, &to, &options(fields, more)));
        let run = world.run(&[], code);
        assert_eq!(updated(&run), (3, want), "{what}: {run}");
    }
}

// rule: R12
#[test]
fn a_column_that_is_compared_from_now_on_shows_what_was_left_alone_so_far() {
    let (from, to) = sides();
    let off = format!("{LABEL}, name: {{ from: name, compare: false }}");
    let world = World::between(&from, &to, &options(&off, ""));
    world.run(&[], 0);
    to.execute("UPDATE people SET name = 'edited there' WHERE id = 2");
    agreeing(&world);
    world.configure(&config(&from, &to, &options(LABEL, "")));
    assert_eq!(book(&world.run(&[], 0), "updated"), 1);
    assert_eq!(to.value("SELECT name FROM people WHERE id = 2"), "Bob");
}

// rule: R12
#[test]
fn a_column_of_another_type_at_either_side_is_compared_again() {
    for (source, dest) in [("ALTER TABLE people MODIFY price decimal(12,2)", ""), ("", "ALTER TABLE people ALTER label TYPE varchar(3)")] {
        let (from, to) = sides();
        let world = World::between(&from, &to, &options(LABEL, ", schema_changes: ignore"));
        agreeing(&world);
        [(&from, source), (&to, dest)].into_iter().filter(|(_, sql)| !sql.is_empty()).for_each(|(side, sql)| side.execute(sql));
        assert_eq!(book(&world.run(&[], 0), "fetched"), 3, "{source}{dest}");
    }
}

// rule: R12
// case: D10
#[test]
fn rows_left_alone_so_far_are_deleted_when_the_policy_says_so() {
    for atomic in ["run", "stream", "batch"] {
        let (from, to) = sides();
        let head = format!("    atomic: {atomic}\n");
        let world = World::between(&from, &to, &format!("{head}{}", options(LABEL, "")));
        to.execute("INSERT INTO people (id, name) VALUES (77, 'not there')");
        agreeing(&world);
        let mirror = format!("{head}{}", options(LABEL, ", deletes: mirror, owns: table"));
        world.configure(&config(&from, &to, &mirror));
        assert_eq!(book(&world.run(&["--approve-deletes"], 0), "deleted"), 1, "{atomic}");
        agreeing(&world);
        from.execute("DELETE FROM people WHERE id = 2");
        assert_eq!(book(&world.run(&[], 0), "deleted"), 1, "{atomic}");
        to.execute("INSERT INTO people (id, name) VALUES (78, 'not there')");
        assert_eq!(book(&world.run(&[], 0), "deleted"), 1, "{atomic}");
        assert_eq!(to.value("SELECT string_agg(id::text, ',' ORDER BY id) FROM people"), "1,3", "{atomic}");
    }
}

// rule: R12, R27
#[test]
fn rows_that_only_the_destination_has_are_counted_in_every_run_over_the_same_data() {
    for (atomic, fields) in ["run", "stream", "batch"].into_iter().flat_map(|a| [(a, LABEL), (a, "name: name")]) {
        let (from, to) = sides();
        let world = World::between(&from, &to, &format!("    atomic: {atomic}\n{}", options(fields, "")));
        to.execute("INSERT INTO people (id, name) VALUES (77, 'not there'), (78, 'nor this one')");
        for n in 0..4 {
            let run = world.run(&[], 0);
            assert_eq!(book(&run, "extra"), 2, "{atomic} {fields} {n}: {run}");
            let plan = world.syncline(&["plan", "--json"]).ends_with(0).json();
            assert_eq!(plan[0]["streams"][0]["extra"], 2, "{atomic} {fields} {n}: {plan}");
        }
        // One of them in a segment that is not remembered any more, the other in one that is.
        to.execute("UPDATE people SET name = 'edited there' WHERE id = 78; INSERT INTO people (id, name) VALUES (79, 'a third')");
        let run = world.run(&["--mode", "diff"], 0);
        assert_eq!(book(&run, "extra"), 3, "{atomic} {fields}: {run}");
        assert_eq!(book(&world.run(&["--mode", "full"], 0), "extra"), 3, "{atomic} {fields}: read whole");
    }
}

const CLINICS: &str = "
    CREATE TABLE clinic (clinic_id int PRIMARY KEY, name varchar(40) NOT NULL);
    CREATE TABLE visit (id int PRIMARY KEY, clinic_id int NOT NULL, note varchar(40), FOREIGN KEY (clinic_id) REFERENCES clinic (clinic_id));
    INSERT INTO clinic VALUES (1, 'North'), (2, 'South');
    INSERT INTO visit VALUES (10, 1, 'a'), (11, 2, 'b'), (12, 2, 'c');";
const CLINICS_THERE: &str = "
    CREATE TABLE clinic (id uuid PRIMARY KEY, name text NOT NULL);
    CREATE TABLE visit (id int PRIMARY KEY, clinic_id uuid NOT NULL, note text);
    CREATE TABLE mapping (legacy int PRIMARY KEY, id uuid NOT NULL);";

fn clinics() -> (Side, Side, World) {
    let (from, to) = (Side::mariadb(), Side::postgres());
    from.execute(CLINICS);
    to.execute(CLINICS_THERE);
    let ids = "{ table: mapping, legacy: legacy, new: id }";
    let options = format!("    mode: diff\n    streams:\n      clinic: {{ fields: {{ id: clinic_id }}, ids: {ids} }}\n      visit: {{}}\n");
    let world = World::between(&from, &to, &options);
    (from, to, world)
}

fn visits(run: &Json) -> &Json {
    stream(run, "visit")
}

// rule: R12
// req: FR-010
#[test]
fn a_parent_that_gets_another_id_is_noticed_in_rows_that_did_not_change() {
    let (_from, to, world) = clinics();
    world.run(&[], 0);
    world.run(&[], 0);
    let third = world.run(&[], 0);
    assert_eq!((visits(&third)["digest"].as_str(), book(visits(&third), "fetched")), (Some("remembered"), 0), "{third}");
    let other = "22222222-2222-4222-8222-222222222222";
    to.execute(&format!("UPDATE clinic SET id = '{other}' WHERE name = 'South'; UPDATE mapping SET id = '{other}' WHERE legacy = 2"));
    let run = world.run(&[], 0);
    assert_eq!(updated(visits(&run)), (3, 2), "{run}");
    assert_eq!(to.value(&format!("SELECT count(*) FROM visit WHERE clinic_id = '{other}'")), "2");
}

// rule: R12
// req: FR-010
#[test]
fn a_new_parent_is_no_reason_to_read_the_children_of_the_others_again() {
    let (from, _to, world) = clinics();
    world.run(&[], 0);
    world.run(&[], 0);
    from.execute("INSERT INTO clinic VALUES (3, 'West'); INSERT INTO visit VALUES (13, 3, 'd')");
    let run = world.run(&[], 0);
    assert_eq!((book(visits(&run), "fetched"), book(visits(&run), "created")), (1, 1), "{run}");
}

// rule: R8
// req: FR-010
// case: D10
#[test]
fn a_key_made_of_mapped_ids_is_never_compared_as_it_is() {
    let (from, to) = (Side::mariadb(), Side::postgres());
    from.execute(
        "CREATE TABLE film (film_id int PRIMARY KEY, title varchar(40));
         CREATE TABLE award (film_id int PRIMARY KEY, name varchar(40), FOREIGN KEY (film_id) REFERENCES film (film_id));
         INSERT INTO film VALUES (1, 'a'), (2, 'b'); INSERT INTO award VALUES (1, 'x'), (2, 'y');",
    );
    to.execute(
        "CREATE TABLE film (id int PRIMARY KEY, title text); CREATE TABLE award (film_id int PRIMARY KEY, name text);
         CREATE TABLE mapping (legacy int PRIMARY KEY, id int NOT NULL); INSERT INTO mapping VALUES (1, 101), (2, 1);",
    );
    let ids = "{ table: mapping, legacy: legacy, new: id, mint: false }";
    let options = format!(
        "    mode: diff\n    streams:\n      film: {{ fields: {{ id: film_id }}, ids: {ids} }}\n      award: {{ deletes: mirror, owns: table }}\n"
    );
    let world = World::between(&from, &to, &options);
    world.run(&[], 0);
    let awards = || to.value("SELECT string_agg(film_id || name, ',' ORDER BY name) FROM award");
    assert_eq!(written(&world.run(&[], 0)), 0);
    assert_eq!(awards(), "101x,1y");
    // The row with key 1 at the destination is the source's 2, whatever the source's 1 is.
    from.execute("DELETE FROM award WHERE film_id = 2");
    assert_eq!(book(&world.run(&["--approve-deletes"], 0), "deleted"), 1);
    assert_eq!(awards(), "101x");
    // A reference without a mapping: which row is that record's cannot be told, and nothing goes.
    from.execute("INSERT INTO award VALUES (2, 'y')");
    world.run(&[], 0);
    to.execute("DELETE FROM mapping WHERE legacy = 2");
    let run = world.run(&[], 3);
    assert_eq!((book(&run, "deleted"), book(&run, "held_back")), (0, 1), "{run}");
    assert_eq!(awards(), "101x,1y");
}
