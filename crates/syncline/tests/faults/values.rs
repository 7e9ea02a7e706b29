//! No value is changed silently: it arrives exactly, or its row is parked with a code.

use crate::rig::{Side, World};

fn parked_codes(world: &World) -> Vec<(String, String)> {
    world.parked().into_iter().map(|(_, key, code)| (key, code)).collect()
}

// case: H1
// users: T5
#[test]
fn zero_dates_park_their_rows_and_all_others_arrive() {
    let (source, dest) = (Side::mariadb(), Side::postgres());
    source.execute("SET sql_mode = ''; CREATE TABLE t (id int PRIMARY KEY, d date); INSERT INTO t VALUES (1, '0000-00-00'), (2, '2024-00-10'), (3, '0009-12-04'), (4, NULL)");
    let world = World::between(&source, &dest, "");
    let run = world.run(&[], 3);
    assert_eq!([&run["books"]["created"], &run["books"]["parked"]], [2, 2], "{run:#}");
    assert_eq!(dest.value("SELECT string_agg(id || ':' || coalesce(d::text, '~'), ' ' ORDER BY id) FROM t"), "3:0009-12-04 4:~");
    assert_eq!(parked_codes(&world).len(), 2);
}

// case: H2, H7
#[test]
fn what_mariadb_cannot_hold_is_parked_by_code_and_the_rest_arrives() {
    let (source, dest) = (Side::postgres(), Side::mariadb());
    source.execute("CREATE TABLE t (id int PRIMARY KEY, d date, n numeric); INSERT INTO t VALUES (1, 'infinity', 1), (2, '0044-03-15 BC', 1), (3, '12024-01-01', 1), (4, '2024-01-01', 'NaN'), (5, '2024-01-01', 1.5), (6, '9999-12-31', -0.000000000001)");
    let world = World::between(&source, &dest, "");
    let answer = world.syncline(&["run", "--json"]);
    assert_eq!(answer.code, Some(3), "{}", answer.said());
    let codes = parked_codes(&world);
    assert_eq!(codes.iter().map(|c| c.0.as_str()).collect::<Vec<_>>(), ["[1]", "[2]", "[3]", "[4]"], "{codes:?}");
    assert_eq!(dest.value("SELECT group_concat(id ORDER BY id) FROM t"), "5,6");
}

// case: H3
#[test]
fn microseconds_are_never_cut_without_a_word() {
    let (source, dest) = (Side::postgres(), Side::mariadb());
    source.execute("CREATE TABLE t (id int PRIMARY KEY, at timestamp(6)); INSERT INTO t VALUES (1, '2024-01-01 00:00:00.5'), (2, '2024-01-01 00:00:01'), (3, '2024-01-01 00:00:00.000001')");
    dest.execute("CREATE TABLE t (id int PRIMARY KEY, at datetime)");
    let world = World::between(&source, &dest, "");
    let check = world.syncline(&["check"]);
    assert!(check.said().contains("`at`"), "the loss is foreseen: {}", check.said());
    let run = world.run(&[], 3);
    assert_eq!([&run["books"]["created"], &run["books"]["parked"]], [1, 2], "{run:#}");
    assert_eq!(dest.content("t", &["id", "at"], "1 = 1"), "2|2024-01-01 00:00:01");
    let inexact = "value_inexact".to_owned();
    assert_eq!(parked_codes(&world), [("[1]".to_owned(), inexact.clone()), ("[3]".to_owned(), inexact)]);
}

// case: H6
#[test]
fn numbers_beyond_what_a_double_holds_stay_exact_in_keys_values_and_documents() {
    let (source, dest) = (Side::postgres(), Side::mariadb());
    source.execute(
        "CREATE TABLE t (id bigint PRIMARY KEY, n bigint, doc json);
         INSERT INTO t SELECT i, -i, json_build_object('n', i) FROM generate_series(9007199254740990, 9007199254740996) i",
    );
    let world = World::between(&source, &dest, "    deletes: mirror\n    owns: table\n");
    world.run(&[], 0);
    let same = || {
        assert_eq!(source.content("t", &["id", "n"], "1 = 1"), dest.content("t", &["id", "n"], "1 = 1"));
        let documents = ["doc->>'n'", "json_value(doc, '$.n')"];
        let of = |side: &Side, doc: &str| side.query(&format!("SELECT {doc} FROM t ORDER BY id"));
        assert_eq!(of(&source, documents[0]), of(&dest, documents[1]));
    };
    same();
    // By its key in an argument, in a plan file, on the list of parked rows, and in JSON output.
    source.execute("UPDATE t SET n = 1 WHERE id = 9007199254740993; UPDATE t SET n = 2 WHERE id = 9007199254740992");
    world.syncline(&["run", "--stream", "t", "--key", "9007199254740993"]).ends_with(0);
    assert_eq!(
        dest.value("SELECT group_concat(n ORDER BY n DESC) FROM t WHERE id IN (9007199254740992, 9007199254740993)"),
        "1,-9007199254740992"
    );
    world.syncline(&["plan", "--out", "plan.json"]).ends_with(0);
    world.syncline(&["run", "--plan", "plan.json"]).ends_with(0);
    same();
    dest.execute("ALTER TABLE t ADD CONSTRAINT odd CHECK (n <> 9007199254740993)");
    source.execute("UPDATE t SET n = 9007199254740993 WHERE id = 9007199254740995");
    world.run(&[], 3);
    let parked = world.syncline(&["parked", "--json"]).ends_with(0);
    assert_eq!(world.parked()[0].1, "[{\"i64\":\"9007199254740995\"}]", "no reader of JSON may round it");
    assert!(parked.stdout.contains("9007199254740993"), "the value is shown exactly: {}", parked.stdout);
}

// case: G2, G3
#[test]
fn documents_too_deep_or_with_a_key_twice_are_refused_or_carried_and_break_nothing() {
    let source = Side::postgres();
    source.execute(
        "CREATE TABLE t (id int PRIMARY KEY, doc json);
         INSERT INTO t VALUES (1, '{\"a\": 1}'), (2, '{\"a\": 1, \"a\": 2}'), (3, (repeat('[', 5000) || repeat(']', 5000))::json), (4, '[2]')",
    );
    // Kept as text, a document arrives as it is; where it would be rewritten, what would be lost is set aside.
    let kept = Side::postgres();
    World::between(&source, &kept, "").run(&[], 0);
    let hash = "SELECT md5(string_agg(doc::text, ';' ORDER BY id)) FROM t";
    assert_eq!(source.value(hash), kept.value(hash));
    let rewritten = Side::postgres();
    rewritten.execute("CREATE TABLE t (id int PRIMARY KEY, doc jsonb)");
    let world = World::between(&source, &rewritten, "");
    world.run(&[], 3);
    let codes = parked_codes(&world);
    assert!(codes.contains(&("[2]".to_owned(), "json_duplicate_keys".to_owned())), "{codes:?}");
    assert_eq!(rewritten.value("SELECT string_agg(doc::text, ' ' ORDER BY id) FROM t WHERE id IN (1, 2, 4)"), "{\"a\": 1} [2]");
    let third = rewritten.value("SELECT count(*) FROM t WHERE id = 3");
    assert_eq!(third == "0", codes.iter().any(|(key, _)| key == "[3]"), "{codes:?}");
    // A plan file is JSON from outside.
    world.syncline(&["plan", "--out", "plan.json"]);
    let good = std::fs::read_to_string(world.path("plan.json")).expect("a plan");
    let twice = good.replacen("\"version\"", "\"version\": 1, \"version\"", 1);
    for bad in [format!("{}{}", "[".repeat(10_000), "]".repeat(10_000)), twice] {
        assert_ne!(bad, good);
        std::fs::write(world.path("plan.json"), bad).expect("written");
        let answer = world.syncline(&["run", "--plan", "plan.json"]);
        assert!(matches!(answer.code, Some(1 | 2)) && answer.said().contains("plan_invalid"), "{}", answer.said());
    }
}

// case: H5, H20
#[test]
fn the_largest_unsigned_number_and_id_zero_arrive_exactly() {
    let (source, pg, back) = (Side::mariadb(), Side::postgres(), Side::mariadb());
    source.execute("SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO'; CREATE TABLE t (id int AUTO_INCREMENT PRIMARY KEY, n bigint unsigned); INSERT INTO t VALUES (0, 18446744073709551615), (5, 0)");
    World::between(&source, &pg, "").run(&[], 0);
    assert_eq!(pg.value("SELECT string_agg(id || ':' || n, ' ' ORDER BY id) FROM t"), "0:18446744073709551615 5:0");
    World::between(&source, &back, "").run(&[], 0);
    assert_eq!(back.content("t", &["id", "n"], "1 = 1"), "0|18446744073709551615;5|0");
    pg.execute("INSERT INTO t (n) VALUES (7)");
    assert_eq!(pg.value("SELECT max(id) FROM t"), "6");
}

// case: H9, H10
// users: T4
#[test]
fn one_nul_byte_parks_its_row_only() {
    let (source, dest) = (Side::mariadb(), Side::postgres());
    source.execute("CREATE TABLE t (id int PRIMARY KEY, body varchar(50), doc json); INSERT INTO t VALUES (1, 'good', '{}'), (2, CONCAT('a', CHAR(0), 'b'), '{}'), (3, 'fine', '{\"a\": \"\\\\u0000\"}')");
    dest.execute("CREATE TABLE t (id int PRIMARY KEY, body text, doc jsonb)");
    let world = World::between(&source, &dest, "");
    let run = world.run(&[], 3);
    assert_eq!([&run["books"]["created"], &run["books"]["parked"]], [1, 2], "{run:#}");
    assert_eq!(dest.value("SELECT body FROM t"), "good");
}

// case: H12
#[test]
fn keys_that_the_destination_calls_equal_are_never_merged() {
    let (source, dest) = (Side::postgres(), Side::mariadb());
    source.execute("CREATE TABLE t (id text PRIMARY KEY, n int); INSERT INTO t VALUES ('Abc', 1), ('abc', 2), ('ABC', 3), ('é', 4), (U&'e\\0301', 5), ('other', 6)");
    dest.execute("CREATE TABLE t (id varchar(50) COLLATE utf8mb4_general_ci PRIMARY KEY, n int)");
    let world = World::between(&source, &dest, "");
    let run = world.run(&[], 3);
    assert_eq!(dest.value("SELECT n FROM t WHERE id = 'other'"), "6");
    let (created, parked) = (run["books"]["created"].as_u64().expect("a count"), run["books"]["parked"].as_u64().expect("a count"));
    assert_eq!(created + parked, 6, "{run:#}");
    assert!(parked >= 3, "{run:#}");
    assert_eq!(dest.value("SELECT count(*) FROM t"), created.to_string());
}

// case: H19
#[test]
fn generated_columns_compute_themselves_and_identities_keep_their_numbers() {
    let (source, dest) = (Side::postgres(), Side::postgres());
    let table = "CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, net int, gross int GENERATED ALWAYS AS (net * 2) STORED)";
    source.execute(&format!("{table}; INSERT INTO t (net) SELECT i FROM generate_series(1, 20) i; DELETE FROM t WHERE id < 5"));
    dest.execute(table);
    let world = World::between(&source, &dest, "");
    world.run(&[], 0);
    source.execute("UPDATE t SET net = 100 WHERE id = 9");
    world.run(&[], 0);
    assert_eq!(source.content("t", &["id", "net", "gross"], "1 = 1"), dest.content("t", &["id", "net", "gross"], "1 = 1"));
    world.syncline(&["verify"]).ends_with(0);
}

// case: H21
#[test]
fn strange_names_pass_through_both_servers() {
    let (source, maria, dest) = (Side::postgres(), Side::mariadb(), Side::postgres());
    source.execute("CREATE TABLE \"we\"\"ird;drop table x--\" (\"Select\" int PRIMARY KEY, \"a`b\" text, \"?\" text, \":x %s\" text); INSERT INTO \"we\"\"ird;drop table x--\" VALUES (1, 'a', 'b', 'c'), (2, NULL, '', '%')");
    World::between(&source, &maria, "").run(&[], 0);
    assert_eq!(
        maria.value("SELECT concat_ws('|', `Select`, `a``b`, `?`, `:x %s`) FROM `we\"ird;drop table x--` ORDER BY 1 LIMIT 1"),
        "1|a|b|c"
    );
    let world = World::between(&maria, &dest, "");
    world.run(&[], 0);
    assert_eq!(dest.value("SELECT count(*) FROM \"we\"\"ird;drop table x--\""), "2");
    assert_eq!(world.run(&[], 0)["books"]["updated"], 0);
}

// case: H22
#[test]
fn names_that_would_become_one_are_refused_before_anything_is_made() {
    let folder = tempfile::tempdir().expect("a folder");
    let (source, dest) = (Side::sqlite(folder.path(), "from.db"), Side::postgres());
    let long = "a".repeat(63);
    source.execute(&format!("CREATE TABLE {long}1 (id INTEGER PRIMARY KEY); CREATE TABLE {long}2 (id INTEGER PRIMARY KEY)"));
    let answer = World::between(&source, &dest, "").syncline(&["run"]);
    assert!(matches!(answer.code, Some(1 | 2)), "{}", answer.said());
    assert!(!dest.tables().iter().any(|t| t.starts_with("aaa")), "{:?}", dest.tables());
}

// users: T3, T8
#[test]
fn a_table_of_many_types_is_made_and_filled_exactly() {
    let (source, dest) = (Side::postgres(), Side::postgres());
    source.execute(
        "CREATE TABLE t (id bigint PRIMARY KEY, a numeric(20,4) NOT NULL, b numeric, c time(6), d inet, e int[], f int4range, g json, h jsonb, i bytea, j interval, k uuid, l char(5), m date);
         INSERT INTO t VALUES (1, 1.2300, 'NaN', '23:59:59.999999', '::1/128', '{1,NULL,3}', '[1,5)', '{\"b\":1, \"a\":1}', '{\"a\":1.10}', '\\x00ff', '1 mon -1 day', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'ab', '0044-03-15 BC'), (2, 0, NULL, NULL, NULL, '{}', 'empty', NULL, NULL, '', NULL, NULL, '', 'infinity');
         CREATE INDEX t_a ON t (a)",
    );
    let world = World::between(&source, &dest, "");
    world.run(&[], 0);
    let hash = "SELECT md5(string_agg(t::text, ';' ORDER BY id)) FROM t";
    assert_eq!(source.value(hash), dest.value(hash));
    let shape = "SELECT string_agg(attname || format_type(atttypid, atttypmod) || attnotnull, ',' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0";
    assert_eq!(source.value(shape), dest.value(shape));
    let keys = "SELECT string_agg(pg_get_indexdef(indexrelid) || indisprimary || indisunique, ';' ORDER BY 1) FROM pg_index WHERE indrelid = 't'::regclass";
    assert_eq!(source.value(keys), dest.value(keys));
    assert_eq!(dest.value("SELECT count(*) FROM pg_index WHERE indrelid = 't'::regclass"), "2");
    assert_eq!(world.run(&[], 0)["books"]["updated"], 0);
    world.syncline(&["verify"]).ends_with(0);
}

// users: T6
#[test]
fn small_numbers_stay_numbers_and_documents_stay_documents() {
    let (source, dest) = (Side::mariadb(), Side::postgres());
    source.execute("CREATE TABLE t (id int PRIMARY KEY, n tinyint(1), at datetime(3), doc json, b varbinary(8) DEFAULT NULL); INSERT INTO t VALUES (1, 2, '2024-01-01 10:00:00.123', '{\"a\": 1}', x'00ff'), (2, -1, NULL, NULL, NULL)");
    World::between(&source, &dest, "").run(&[], 0);
    assert_eq!(dest.value("SELECT string_agg(n::text, ',' ORDER BY id) FROM t"), "2,-1");
    assert_eq!(dest.value("SELECT encode(b, 'hex') FROM t WHERE id = 1"), "00ff");
    assert_eq!(
        dest.value("SELECT data_type FROM information_schema.columns WHERE table_name = 't' AND column_name = 'at'"),
        "timestamp without time zone"
    );
    let column = |name: &str, what: &str| {
        dest.value(&format!("SELECT {what} FROM information_schema.columns WHERE table_name = 't' AND column_name = '{name}'"))
    };
    assert_eq!(dest.value("SELECT pg_typeof(doc)::text || ':' || doc::text FROM t WHERE id = 1"), "json:{\"a\": 1}");
    assert_eq!([column("b", "column_default"), column("n", "data_type")], ["NULL", "smallint"]);
    assert_eq!(dest.value("SELECT at::text FROM t WHERE id = 1"), "2024-01-01 10:00:00.123");
    assert_eq!(dest.value("SELECT b IS NULL AND doc IS NULL FROM t WHERE id = 2"), "t");
}

// users: T11, T12
#[test]
fn a_parked_row_with_an_instant_in_it_is_kept_and_goes_in_when_it_can() {
    let (source, dest) = (Side::postgres(), Side::postgres());
    source.execute(
        "CREATE TABLE t (id int PRIMARY KEY, n int, at timestamptz NOT NULL DEFAULT now()); INSERT INTO t VALUES (1, 1), (2, -1), (3, 3)",
    );
    dest.execute("CREATE TABLE t (id int PRIMARY KEY, n int CHECK (n > 0), at timestamptz)");
    let world = World::between(&source, &dest, "    mode: incremental\n    streams: { t: { cursor: at } }\n");
    world.run(&[], 3);
    assert_eq!(parked_codes(&world), [("[2]".to_owned(), "check_violated".to_owned())]);
    // Nothing new at the source: the row is still known, and still tried.
    source.execute("UPDATE t SET at = now() - interval '1 year'");
    world.run(&[], 3);
    dest.execute("ALTER TABLE t DROP CONSTRAINT t_n_check");
    world.run(&[], 0);
    assert_eq!(dest.value("SELECT n FROM t WHERE id = 2"), "-1");
    world.configure(&crate::rig::config(&source, &dest, "    rows: strict\n"));
    dest.execute("DELETE FROM t; ALTER TABLE t ADD CHECK (n > 0)");
    let run = world.run(&[], 1);
    assert_eq!(run["error"]["code"], "check_violated");
    assert_eq!(dest.value("SELECT count(*) FROM t"), "0");
}
