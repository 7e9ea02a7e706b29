//! A table that is there before the first run, and empty: its rows go straight into it (R20).

use crate::meanwhile::run_while_at;
use crate::modes::{Holder, ended, wait_for_a_waiter};
use crate::rig::{Side, World, config};
use crate::{book, stream, written};

const MIRROR: &str = "    deletes: mirror\n    owns: table\n";

/// Parents and children, a thousand each, in a source of any kind.
fn source_of(kind: &str, folder: &tempfile::TempDir) -> Side {
    let source = match kind {
        "postgres" => Side::postgres(),
        "mysql" => Side::mariadb(),
        _ => Side::sqlite(folder.path(), "from.db"),
    };
    source.execute(
        "CREATE TABLE zoo (id int PRIMARY KEY, name varchar(40), keeper int);
         CREATE TABLE animal (id int PRIMARY KEY, zoo_id int, tag varchar(40), weight int)",
    );
    let numbers = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)";
    let fill = |table: &str, list: &str| match kind {
        "mysql" => format!("INSERT INTO {table} {numbers} SELECT {list} FROM n"),
        _ => format!("{numbers} INSERT INTO {table} SELECT {list} FROM n"),
    };
    let text = |prefix: &str| if kind == "mysql" { format!("concat('{prefix}', i)") } else { format!("'{prefix}' || i") };
    source.execute(&fill("zoo", &format!("i, {}, 1001 - i", text("zoo "))));
    source.execute(&fill("animal", &format!("i, 1001 - i, {}, i", text("tag "))));
    source
}

/// Their empty tables, with every kind of constraint; the child's name comes before its parent's. What makes tables there is noted.
fn empty_tables() -> Side {
    let dest = Side::postgres();
    dest.execute(
        "CREATE TABLE zoo (id int PRIMARY KEY, name varchar(40) NOT NULL, keeper int REFERENCES zoo (id));
         CREATE TABLE animal (id int PRIMARY KEY, zoo_id int NOT NULL REFERENCES zoo (id), tag varchar(40) UNIQUE,
             weight int CHECK (weight > 0), serial bigserial, twice int GENERATED ALWAYS AS (weight * 2) STORED)",
    );
    dest.execute_as_admin(
        "CREATE SCHEMA watch; CREATE TABLE watch.made (name text); GRANT ALL ON SCHEMA watch TO PUBLIC; GRANT ALL ON watch.made TO PUBLIC;
         CREATE FUNCTION watch.note() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
             INSERT INTO watch.made SELECT object_identity FROM pg_event_trigger_ddl_commands() WHERE command_tag = 'CREATE TABLE'; END $$;
         CREATE EVENT TRIGGER note ON ddl_command_end EXECUTE FUNCTION watch.note()",
    );
    dest
}

/// Staging tables that were made there.
fn staged(dest: &Side) -> String {
    dest.value("SELECT string_agg(name, ' ' ORDER BY name) FROM watch.made WHERE name LIKE 'pg_temp%'")
}

fn assert_same(source: &Side, dest: &Side, but: &str) {
    for (table, columns) in [("zoo", ["id", "name", "keeper"]), ("animal", ["id", "zoo_id", "tag"])] {
        let filter = if table == "animal" { but } else { "1 = 1" };
        assert_eq!(source.content(table, &columns, filter), dest.content(table, &columns, filter), "{table}");
    }
}

// rule: R20, R17, R27
#[test]
fn empty_tables_that_were_there_are_filled_without_staging() {
    for kind in ["postgres", "mysql", "sqlite"] {
        let folder = tempfile::tempdir().unwrap();
        let (source, dest) = (source_of(kind, &folder), empty_tables());
        let world = World::between(&source, &dest, MIRROR);
        let run = world.run(&[], 0);
        assert_eq!((book(&run, "fetched"), book(&run, "created"), book(&run, "parked")), (2000, 2000, 0), "{kind}: {run:#}");
        for name in ["zoo", "animal"] {
            assert_eq!(stream(&run, name)["path"], "load", "{kind}: {run:#}");
        }
        assert_eq!(staged(&dest), "NULL", "{kind}");
        assert_same(&source, &dest, "1 = 1");
        assert_eq!(dest.value("SELECT count(*) || ' ' || max(serial) || ' ' || sum(twice - 2 * weight) FROM animal"), "1000 1000 0");
        assert_eq!(written(&world.run(&[], 0)), 0, "{kind}");
        assert_eq!(dest.value("SELECT count(*) FROM syncline_before"), "2000");
        world.syncline(&["undo", "1"]).ends_with(0);
        assert_eq!(dest.value("SELECT (SELECT count(*) FROM zoo) + (SELECT count(*) FROM animal)"), "0", "{kind}");
    }
}

// rule: R20, R21, R22
#[test]
fn what_a_constraint_of_an_empty_table_refuses_is_set_aside_with_its_code_and_the_rest_arrives() {
    for kind in ["postgres", "mysql", "sqlite"] {
        let folder = tempfile::tempdir().unwrap();
        let (source, dest) = (source_of(kind, &folder), empty_tables());
        source.execute(
            "UPDATE animal SET weight = -1 WHERE id = 500; UPDATE animal SET tag = 'twice' WHERE id IN (7, 8);
             UPDATE animal SET zoo_id = 5000 WHERE id = 900",
        );
        let world = World::between(&source, &dest, MIRROR);
        let run = world.run(&[], 3);
        assert_eq!((stream(&run, "zoo")["path"].as_str(), stream(&run, "animal")["path"].as_str()), (Some("load"), Some("stage")));
        let animal = |id: &str, code: &str| ("animal".to_owned(), id.to_owned(), code.to_owned());
        let parked = [
            animal("[500]", "check_violated"),
            animal("[7]", "unique_taken"),
            animal("[8]", "unique_taken"),
            animal("[900]", "parent_missing"),
        ];
        assert_eq!(world.parked(), parked, "{kind}");
        assert_eq!((book(&run, "fetched"), book(&run, "created"), book(&run, "parked")), (2000, 1996, 4), "{kind}: {run:#}");
        assert_eq!(staged(&dest).matches("syncline_rows").count(), 1, "{kind}: {}", staged(&dest));
        assert_same(&source, &dest, "id NOT IN (500, 7, 8, 900)");
        assert_eq!(written(&world.run(&[], 3)), 0, "{kind}");
        source.execute("UPDATE animal SET weight = 1, tag = concat('own ', id), zoo_id = 1 WHERE id IN (500, 7, 8, 900)");
        assert_eq!(book(&world.run(&[], 0), "created"), 4, "{kind}");
        assert_same(&source, &dest, "1 = 1");
    }
}

// rule: R20, R21
#[test]
fn children_of_a_table_that_had_to_be_staged_are_staged_too() {
    let folder = tempfile::tempdir().unwrap();
    let (source, dest) = (source_of("postgres", &folder), empty_tables());
    source.execute("UPDATE zoo SET name = NULL WHERE id = 3");
    let run = World::between(&source, &dest, MIRROR).run(&[], 3);
    assert_eq!((stream(&run, "zoo")["path"].as_str(), stream(&run, "animal")["path"].as_str()), (Some("stage"), Some("stage")));
    // Zoo 3, the one it keeps, and an animal of each.
    assert_eq!((book(&run, "created"), book(&run, "parked")), (1996, 4), "{run:#}");
}

// rule: R20
#[test]
fn a_row_that_comes_between_the_look_and_the_lock_sends_all_by_staging() {
    let folder = tempfile::tempdir().unwrap();
    let (source, dest) = (source_of("postgres", &folder), empty_tables());
    let world = World::between(&source, &dest, MIRROR);
    let report = run_while_at("read", &world, &dest, "INSERT INTO zoo VALUES (1, 'theirs', NULL)");
    assert_eq!((report.books.created, report.books.updated), (1999, 1), "{:?}", report.books);
    assert!(report.streams.iter().all(|s| s.path == "stage"), "{:?}", report.streams);
    assert_same(&source, &dest, "1 = 1");
}

// rule: R20
#[test]
fn nobody_is_waited_for_to_take_an_empty_table() {
    let folder = tempfile::tempdir().unwrap();
    let (source, dest) = (source_of("postgres", &folder), empty_tables());
    let world = World::between(&source, &dest, MIRROR);
    let holder = Holder::of(&dest, "zoo");
    let run = world.start(&["run", "--json"], &[]);
    // All rows are read and staged by then: what waits is the write.
    wait_for_a_waiter(&dest);
    holder.let_go();
    let run = ended(run).ends_with(0).json()[0].clone();
    assert_eq!(stream(&run, "zoo")["path"], "stage");
    assert_same(&source, &dest, "1 = 1");
}

// rule: R20, R9
#[test]
fn tables_in_which_a_bulk_load_does_something_else_are_staged() {
    let reasons = [
        "ALTER TABLE zoo DROP CONSTRAINT zoo_pkey CASCADE",
        "CREATE FUNCTION own() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
         CREATE TRIGGER own BEFORE INSERT ON zoo FOR EACH ROW EXECUTE FUNCTION own()",
        "ALTER TABLE zoo DROP CONSTRAINT zoo_keeper_fkey; CREATE TABLE log (id int); CREATE RULE own AS ON INSERT TO zoo DO ALSO INSERT INTO log VALUES (NEW.id)",
        "ALTER TABLE zoo ADD CONSTRAINT late UNIQUE (name) DEFERRABLE INITIALLY DEFERRED",
        "ALTER TABLE zoo ENABLE ROW LEVEL SECURITY; ALTER TABLE zoo FORCE ROW LEVEL SECURITY; CREATE POLICY own ON zoo USING (true)",
    ];
    for reason in reasons {
        let folder = tempfile::tempdir().unwrap();
        let (source, dest) = (source_of("postgres", &folder), empty_tables());
        dest.execute(reason);
        let run = World::between(&source, &dest, "    undo: off\n    streams: { zoo: {} }\n").run(&[], 0);
        assert_eq!((stream(&run, "zoo")["path"].as_str(), book(&run, "created")), (Some("stage"), 1000), "{reason}: {run:#}");
    }
}

// rule: R20, R21, R25
#[test]
fn rows_that_only_the_server_can_read_and_large_ones_are_refused_by_the_same_rules() {
    let (source, dest) = (Side::postgres(), Side::postgres());
    let table = "CREATE TABLE page (id int PRIMARY KEY, tags text[], code text, body text, changed timestamptz NOT NULL DEFAULT now())";
    let fill = "INSERT INTO page SELECT i, ARRAY['t' || i], 'c' || i, 'short' FROM generate_series(1, 100) i";
    for (damage, refused) in [
        ("UPDATE page SET code = 'twice' WHERE id IN (20, 30)", [20, 30].as_slice()),
        ("UPDATE page SET body = repeat('long', 1000000) WHERE id = 40", [40].as_slice()),
    ] {
        source.execute(&format!("DROP TABLE IF EXISTS page; {table}; {fill}; {damage}"));
        dest.execute(&format!(
            "DROP TABLE IF EXISTS page; {table}; ALTER TABLE page ADD UNIQUE (code), ADD CONSTRAINT short CHECK (length(body) < 9)"
        ));
        let options = "    mode: incremental\n    streams: { page: { cursor: changed } }\n";
        let world = World::new(&format!("memory: 16MiB\n{}", config(&source, &dest, options)));
        let run = world.run(&[], 3);
        assert_eq!(stream(&run, "page")["path"], "stage", "{damage}");
        let keys: Vec<String> = world.parked().into_iter().map(|p| p.1).collect();
        let list: Vec<String> = refused.iter().map(|id| format!("[{id}]")).collect();
        assert_eq!(keys, list, "{damage}: {run:#}");
        assert_eq!((book(&run, "fetched"), book(&run, "created")), (100, 100 - refused.len() as u64), "{damage}");
    }
}
