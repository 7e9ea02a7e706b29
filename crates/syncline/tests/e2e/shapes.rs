//! Tables of unusual shape, on either side.

use crate::rig::{Side, World};
use crate::{book, written};

const TEMPERATURES: &str = "CREATE TABLE reading (city text, at date, celsius int, PRIMARY KEY (city, at));
    INSERT INTO reading VALUES ('Cork', '2024-01-01', 8), ('Cork', '2024-01-02', 9), ('Örebro', '2024-01-01', -10);";

// req: FR-003
#[test]
fn a_view_is_a_source_when_it_is_named_with_its_key() {
    let (from, to) = (Side::postgres(), Side::mariadb());
    from.execute(TEMPERATURES);
    from.execute("CREATE VIEW warmest AS SELECT city, max(celsius) AS celsius FROM reading GROUP BY city");
    let world = World::between(&from, &to, "    streams: { warmest: { key: [city] } }\n");
    assert_eq!(book(&world.run(&[], 0), "created"), 2);
    from.execute("UPDATE reading SET celsius = 20 WHERE city = 'Cork' AND at = '2024-01-01'");
    assert_eq!(book(&world.run(&[], 0), "updated"), 1);
    assert_eq!(to.value("SELECT group_concat(city, celsius ORDER BY city) FROM warmest"), "Cork20,Örebro-10");
    assert_eq!(written(&world.run(&[], 0)), 0);
}

// req: S0-ERRORS
#[test]
fn a_table_without_a_key_is_refused_by_name_with_what_to_do() {
    let (from, to) = (Side::postgres(), Side::postgres());
    from.execute("CREATE TABLE log (line text); INSERT INTO log VALUES ('a'), ('a')");
    let answer = World::between(&from, &to, "").syncline(&["run"]);
    assert!(answer.code == Some(1) || answer.code == Some(2), "{}", answer.said());
    assert!(
        answer.said().contains("key_missing") && answer.said().contains("log") && answer.said().contains("key: ["),
        "{}",
        answer.said()
    );
    assert_eq!(to.tables().len(), 0);
}

// req: FR-003, FR-015
#[test]
fn composite_text_and_uuid_keys_follow_inserts_updates_key_changes_and_deletions() {
    let (from, to) = (Side::postgres(), Side::mariadb());
    from.execute(TEMPERATURES);
    from.execute(
        "CREATE TABLE token (id uuid PRIMARY KEY, n int); INSERT INTO token SELECT gen_random_uuid(), i FROM generate_series(1, 50) i",
    );
    from.execute("CREATE TABLE word (w text PRIMARY KEY, n int); INSERT INTO word VALUES ('Abc', 1), ('abc', 2), ('é', 3)");
    let world = World::between(&from, &to, "    deletes: mirror\n    owns: table\n");
    assert_eq!(book(&world.run(&[], 0), "created"), 56);
    assert_eq!(written(&world.run(&[], 0)), 0);
    from.execute(
        "UPDATE reading SET celsius = 0 WHERE city = 'Örebro'; UPDATE reading SET at = '2024-01-03' WHERE at = '2024-01-02';
         UPDATE token SET n = -1 WHERE n = 7; DELETE FROM token WHERE n = 8; UPDATE word SET w = 'ABC' WHERE w = 'abc'",
    );
    let run = world.run(&[], 0);
    assert_eq!((book(&run, "created"), book(&run, "updated"), book(&run, "deleted")), (2, 2, 3), "{run}");
    assert_eq!(
        to.value("SELECT group_concat(city, at, celsius ORDER BY city, at) FROM reading"),
        "Cork2024-01-018,Cork2024-01-039,Örebro2024-01-010"
    );
    assert_eq!(to.value("SELECT group_concat(w, n ORDER BY n) FROM word"), "Abc1,ABC2,é3");
    assert_eq!(to.value("SELECT concat(count(*), ' ', sum(n)) FROM token"), format!("49 {}", 1275 - 7 - 8 - 1));
    assert_eq!(written(&world.run(&[], 0)), 0);
}

// req: FR-004
#[test]
fn the_next_key_of_a_sequence_is_free_after_every_run_not_only_after_the_first() {
    let (from, to) = (Side::mariadb(), Side::postgres());
    from.execute(
        "CREATE TABLE fee (id int AUTO_INCREMENT PRIMARY KEY, v int); CREATE TABLE old_fee (id int AUTO_INCREMENT PRIMARY KEY, v int)",
    );
    to.execute("CREATE TABLE old_fee (id serial PRIMARY KEY, v int); INSERT INTO old_fee VALUES (1, 1)");
    let world = World::between(&from, &to, "");
    for first in [1, 3, 5] {
        from.execute(&format!(
            "INSERT INTO fee VALUES ({first}, 1), ({}, 1); INSERT INTO old_fee SELECT * FROM fee WHERE id >= {first}",
            first + 1
        ));
        world.run(&[], 0);
    }
    for table in ["fee", "old_fee"] {
        to.execute(&format!("INSERT INTO {table} (v) VALUES (7)"));
        assert_eq!(to.value(&format!("SELECT max(id) FROM {table}")), "7", "{table}");
    }
    world.run(&[], 0);
    to.execute("INSERT INTO fee (v) VALUES (8)");
    assert_eq!(to.value("SELECT max(id) FROM fee"), "8", "never back");
}

// rule: R21
#[test]
fn a_row_that_no_partition_takes_costs_that_row() {
    let (from, to) = (Side::postgres(), Side::mariadb());
    from.execute("CREATE TABLE fee (id int PRIMARY KEY, v int); INSERT INTO fee VALUES (1, 1), (50, 2), (200, 3)");
    to.execute("CREATE TABLE fee (id int PRIMARY KEY, v int) PARTITION BY RANGE (id) (PARTITION low VALUES LESS THAN (100))");
    let world = World::between(&from, &to, "");
    let run = world.run(&[], 3);
    assert_eq!((book(&run, "created"), book(&run, "parked")), (2, 1), "{run}");
    assert_eq!(world.parked(), [("fee".to_owned(), "[200]".to_owned(), "check_violated".to_owned())]);
}

// rule: R17
#[test]
fn a_partitioned_destination_counts_exactly_also_when_a_row_changes_its_partition() {
    let (from, to) = (Side::mariadb(), Side::postgres());
    from.execute("CREATE TABLE sale (id int, year int, amount decimal(10,2), PRIMARY KEY (id, year))");
    from.execute("INSERT INTO sale VALUES (1, 2023, 1.50), (2, 2023, 2.50), (3, 2024, 3.50)");
    to.execute(
        "CREATE TABLE sale (id int, year int, amount numeric(10,2), PRIMARY KEY (id, year)) PARTITION BY RANGE (year);
         CREATE TABLE sale_23 PARTITION OF sale FOR VALUES FROM (2023) TO (2024); CREATE TABLE sale_24 PARTITION OF sale FOR VALUES FROM (2024) TO (2025)",
    );
    let world = World::between(&from, &to, "    deletes: mirror\n    owns: table\n    guard: { max_delete_ratio: 1 }\n");
    assert_eq!(book(&world.run(&[], 0), "created"), 3);
    from.execute("UPDATE sale SET amount = 9 WHERE id = 1; UPDATE sale SET year = 2024 WHERE id = 2; INSERT INTO sale VALUES (4, 2023, 0)");
    let run = world.run(&[], 0);
    assert_eq!((book(&run, "created"), book(&run, "updated"), book(&run, "deleted")), (2, 1, 1), "{run}");
    assert_eq!(
        to.value("SELECT string_agg(tableoid::regclass || ':' || id || ':' || amount, ' ' ORDER BY id) FROM sale"),
        "sale_23:1:9.00 sale_24:2:2.50 sale_24:3:3.50 sale_23:4:0.00"
    );
    assert_eq!(written(&world.run(&[], 0)), 0);
}

// rule: R34
#[test]
fn columns_that_the_destination_sets_by_itself_do_not_make_every_run_write() {
    let (from, to) = (Side::mariadb(), Side::postgres());
    from.execute("CREATE TABLE person (id int PRIMARY KEY, name varchar(40), touched varchar(40))");
    from.execute("INSERT INTO person VALUES (1, 'Ann', 'x'), (2, 'Bob', 'y')");
    to.execute(
        "CREATE TABLE person (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text, touched text, loud text GENERATED ALWAYS AS (upper(name)) STORED);
         CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.touched := ''by the trigger''; RETURN NEW; END';
         CREATE TRIGGER touch BEFORE INSERT OR UPDATE ON person FOR EACH ROW EXECUTE FUNCTION touch()",
    );
    let world = World::between(&from, &to, "    streams:\n      person: { fields: { touched: { from: touched, compare: false } } }\n");
    assert_eq!(book(&world.run(&[], 0), "created"), 2);
    assert_eq!(written(&world.run(&[], 0)), 0);
    from.execute("UPDATE person SET name = 'Anna' WHERE id = 1");
    assert_eq!(book(&world.run(&[], 0), "updated"), 1);
    assert_eq!(to.content("person", &["id", "name", "touched", "loud"], "true"), "1|Anna|by the trigger|ANNA;2|Bob|by the trigger|BOB");
    assert_eq!(written(&world.run(&[], 0)), 0);
}

// rule: R33, R34
#[test]
fn a_stamp_is_set_on_what_is_created_or_updated_and_on_nothing_else() {
    let (from, to) = (Side::mariadb(), Side::postgres());
    from.execute("CREATE TABLE person (id int PRIMARY KEY, name varchar(40)); INSERT INTO person VALUES (1, 'Ann'), (2, 'Bob')");
    to.execute("CREATE TABLE person (id int PRIMARY KEY, name text, synced_at timestamptz)");
    let world = World::between(&from, &to, "    stamp: synced_at\n");
    world.run(&[], 0);
    assert_eq!(to.value("SELECT count(*) FROM person WHERE synced_at > now() - interval '1 hour'"), "2");
    to.execute("UPDATE person SET synced_at = '2001-01-01'");
    assert_eq!(written(&world.run(&[], 0)), 0);
    from.execute("UPDATE person SET name = 'Anna' WHERE id = 1");
    assert_eq!(book(&world.run(&[], 0), "updated"), 1);
    assert_eq!(to.value("SELECT string_agg(id || (synced_at > '2020-01-01')::text, ' ' ORDER BY id) FROM person"), "1true 2false");
}

// rule: R31
#[test]
fn fields_rename_compute_and_set_and_null_stays_null() {
    let (from, to) = (Side::mariadb(), Side::postgres());
    from.execute("CREATE TABLE film (film_id int PRIMARY KEY, title varchar(40), length int, secret varchar(10))");
    from.execute("INSERT INTO film VALUES (1, '  Up ', 96, 's'), (2, NULL, NULL, NULL)");
    let fields = "{ id: film_id, name: \"{{ title | trim }}\", label: \"no. {{ film_id }}: {{ title }}\", minutes: length, origin: { value: legacy } }";
    let world = World::between(&from, &to, &format!("    streams:\n      film: {{ to: movie, fields_only: true, fields: {fields} }}\n"));
    to.execute("CREATE TABLE movie (id int PRIMARY KEY, name text, label text, minutes int, origin text)");
    assert_eq!(book(&world.run(&[], 0), "created"), 2);
    assert_eq!(to.content("movie", &["id", "name", "label", "minutes", "origin"], "true"), "1|Up|no. 1:   Up |96|legacy;2|~|~|~|legacy");
    assert_eq!(written(&world.run(&[], 0)), 0);
    from.execute("UPDATE film SET title = 'Down' WHERE film_id = 2; UPDATE film SET secret = 'not copied' WHERE film_id = 1");
    let run = world.run(&[], 0);
    assert_eq!((book(&run, "updated"), written(&run)), (1, 1), "{run}");
}

// rule: R12
#[test]
fn columns_that_sql_cannot_compare_are_followed_on_both_sides_whatever_the_key_is() {
    let table = |key: &str, json: &str, double: &str| format!("CREATE TABLE doc (id {key} PRIMARY KEY, body {json}, score {double})");
    for (key, id) in [("int", "i"), ("varchar(20)", "concat('k', i)")] {
        for from_postgres in [true, false] {
            let (pg, maria) = (Side::postgres(), Side::mariadb());
            let (from, to) = if from_postgres { (&pg, &maria) } else { (&maria, &pg) };
            pg.execute(&table(key, "jsonb", "double precision"));
            maria.execute(&table(key, "json", "double"));
            let rows = if from_postgres { "generate_series(1, 400) s(i)" } else { "(SELECT seq AS i FROM seq_1_to_400) s" };
            let body = if from_postgres { "jsonb_build_object('n', i)" } else { "json_object('n', i)" };
            from.execute(&format!("INSERT INTO doc SELECT {id}, {body}, i / 8.0 FROM {rows}"));
            let world = World::between(from, to, "    deletes: mirror\n    owns: table\n");
            let what = format!("{key}, from postgres: {from_postgres}");
            assert_eq!(book(&world.run(&[], 0), "created"), 400, "{what}");
            for _ in 0..2 {
                assert_eq!(written(&world.run(&[], 0)), 0, "{what}");
            }
            let one = if key == "int" { "7" } else { "'k7'" };
            let two = if key == "int" { "8" } else { "'k8'" };
            from.execute(&format!("UPDATE doc SET body = '{{\"n\": \"new\"}}' WHERE id = {one}"));
            let run = world.run(&[], 0);
            assert_eq!((book(&run, "updated"), written(&run)), (1, 1), "{what}: {run}");
            to.execute(&format!("UPDATE doc SET score = -1 WHERE id = {one}; DELETE FROM doc WHERE id = {two}"));
            let run = world.run(&[], 0);
            assert_eq!((book(&run, "updated"), book(&run, "created"), written(&run)), (1, 1, 2), "{what}: {run}");
            from.execute(&format!("DELETE FROM doc WHERE id = {one}"));
            let run = world.run(&[], 0);
            assert_eq!(
                (book(&run, "deleted"), written(&run), to.value("SELECT count(*) FROM doc")),
                (1, 1, "399".to_owned()),
                "{what}: {run}"
            );
        }
    }
}

// rule: R31
#[test]
fn a_computed_field_follows_every_column_it_is_made_of_and_its_own_definition() {
    let (from, to) = (Side::mariadb(), Side::postgres());
    from.execute("CREATE TABLE person (id int PRIMARY KEY, first varchar(20), last varchar(20), name varchar(20))");
    from.execute("INSERT INTO person VALUES (1, 'Ann', 'Lee', 'x'), (2, 'Bob', 'Ray', 'y')");
    to.execute("CREATE TABLE person (id int PRIMARY KEY, name text, initial text)");
    let config = |name: &str| {
        format!("    streams:\n      person: {{ fields_only: true, fields: {{ id: id, name: \"{name}\", initial: {{ value: x }} }} }}\n")
    };
    let world = World::between(&from, &to, &config("{{ first }} {{ last }}"));
    world.run(&[], 0);
    assert_eq!(written(&world.run(&[], 0)), 0);
    assert_eq!(written(&world.run(&[], 0)), 0);
    from.execute("UPDATE person SET last = 'Lowe' WHERE id = 1; UPDATE person SET name = 'not used' WHERE id = 2");
    let run = world.run(&[], 0);
    assert_eq!((book(&run, "updated"), written(&run)), (1, 1), "{run}");
    assert_eq!(to.content("person", &["id", "name"], "true"), "1|Ann Lowe;2|Bob Ray");
    world.run(&[], 0);
    world.configure(&crate::rig::config(&from, &to, &config("{{ last }}, {{ first }}")));
    assert_eq!(book(&world.run(&[], 0), "updated"), 2);
    assert_eq!(to.content("person", &["id", "name"], "true"), "1|Lowe, Ann;2|Ray, Bob");
}

// case: H9
// rule: R21
#[test]
fn a_text_key_too_long_for_the_made_key_column_is_set_aside_by_code_and_its_children_with_it() {
    for atomic in ["run", "batch"] {
        let (from, to) = (Side::postgres(), Side::mariadb());
        from.execute(
            "CREATE TABLE word (w text PRIMARY KEY, twin text UNIQUE, n int);
             CREATE TABLE use (id int PRIMARY KEY, w text REFERENCES word (w));
             INSERT INTO word VALUES ('short', 'a', 1), (repeat('x', 700), 'b', 2), (repeat('y', 3000), 'c', 3), ('ok', repeat('z', 3000), 4);
             INSERT INTO use VALUES (1, 'short'), (2, repeat('y', 3000)), (3, repeat('x', 700)), (4, 'ok')",
        );
        let world = World::between(&from, &to, &format!("    atomic: {atomic}\n"));
        for pass in 0..2 {
            let run = world.run(&[], 3);
            let codes: Vec<String> = world.parked().into_iter().map(|(stream, _, code)| format!("{stream} {code}")).collect();
            let wanted = ["use value_too_long", "use parent_missing", "word value_too_long", "word value_too_long"];
            assert_eq!(codes, wanted, "{atomic}, pass {pass}: {run}");
            assert_eq!(to.value("SELECT group_concat(CHAR_LENGTH(w) ORDER BY 1) FROM word"), "5,700", "{atomic}");
            assert_eq!(to.value("SELECT group_concat(id ORDER BY id) FROM `use`"), "1,3", "{atomic}");
        }
    }
}
