//! Settings that a server, a database or a role brings along: none of them changes a value or leaves a row out.

use syncline_testkit::{Mariadb, PgBouncer, Postgres};

use crate::rig::{Side, World, wait};

const PG_HOSTILE: &[(&str, &str)] = &[
    ("array_nulls", "off"),
    ("xmloption", "document"),
    ("xmlbinary", "hex"),
    ("standard_conforming_strings", "off"),
    ("transform_null_equals", "on"),
    ("backslash_quote", "off"),
    ("quote_all_identifiers", "on"),
    ("bytea_output", "escape"),
    ("extra_float_digits", "-15"),
    ("datestyle", "'SQL, DMY'"),
    ("intervalstyle", "sql_standard"),
    ("timezone", "'Asia/Tokyo'"),
    ("search_path", "nowhere"),
    ("default_transaction_isolation", "serializable"),
    ("default_transaction_deferrable", "on"),
    ("lock_timeout", "'3s'"),
    ("idle_session_timeout", "'1h'"),
    ("statement_timeout", "'1h'"),
    ("row_security", "off"),
];

/// What a session of ours has to have at the destination.
const PG_WANTED: &[(&str, &str)] = &[
    ("array_nulls", "on"),
    ("xmloption", "content"),
    ("transform_null_equals", "off"),
    ("lock_timeout", "0"),
    ("idle_session_timeout", "0"),
    ("statement_timeout", "0"),
    ("default_transaction_isolation", "read committed"),
];

const PG_TABLE: &str = "CREATE TABLE t (id text PRIMARY KEY, a text[], n int[], x xml, b bytea, f float8, i interval, d date, at timestamptz, m money, j jsonb, s text)";

fn pg_rows(from: u32, to: u32) -> String {
    format!(
        "INSERT INTO t SELECT E'k\\\\' || i || '''', array['z', null, 'NULL', ''], array[i, null], CASE i % 2 WHEN 0 THEN xmlparse(content 'just <b/> text') END,
         decode('005cff', 'hex'), 0.1 + i, '1 mon -3 days 04:05:06.7', '2024-02-03', '2024-07-01 12:00:00.123456+02', (1000 + i)::text::money, '{{\"a\": null}}',
         E'back\\\\slash ''quoted'' \"x\" \\n' || i FROM generate_series({from}, {to}) i"
    )
}

fn pg_settings(side: &Side, hostile: bool) {
    let name = side.database().name();
    for (setting, value) in PG_HOSTILE {
        let to = if hostile { format!("SET {setting} = {value}") } else { format!("RESET {setting}") };
        side.execute_as_admin(&format!("ALTER DATABASE {name} {to}"));
    }
}

fn pg_content(side: &Side) -> String {
    side.value("SET bytea_output = hex; SET extra_float_digits = 1; SELECT string_agg(t::text, ';' ORDER BY id COLLATE \"C\") FROM t")
}

#[track_caller]
fn nothing_changes_on_postgres(through: impl Fn(&Side) -> (String, String)) {
    let (source, dest) = (Side::postgres(), Side::postgres());
    for side in [&source, &dest] {
        side.execute(PG_TABLE);
    }
    dest.execute(
        "CREATE TABLE witness (name text, setting text);
         CREATE FUNCTION public.see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           INSERT INTO public.witness SELECT name, setting FROM pg_settings; RETURN NULL; END $$;
         CREATE TRIGGER see AFTER INSERT ON t FOR EACH STATEMENT EXECUTE FUNCTION public.see()",
    );
    source.execute(&pg_rows(1, 30));
    for side in [&source, &dest] {
        pg_settings(side, true);
    }
    let (from, to) = (through(&source), through(&dest));
    let options = "    deletes: mirror\n    owns: table\n    streams: { t: {} }\n";
    let world = World::through((&from.0, &from.1), (&to.0, &to.1), options);
    let check = world.syncline(&["check"]);
    assert_eq!(check.code, Some(0), "{}", check.said());
    world.run(&[], 0);
    for side in [&source, &dest] {
        pg_settings(side, false);
    }
    assert_eq!(pg_content(&source), pg_content(&dest));
    source.execute("UPDATE t SET a = array[null, 'q'], n = null, s = s || '\\' WHERE i > '0' AND n[1] < 6; DELETE FROM t WHERE n[1] = 7");
    source.execute(&pg_rows(31, 40));
    for side in [&source, &dest] {
        pg_settings(side, true);
    }
    let run = world.run(&[], 0);
    assert_eq!([&run["books"]["created"], &run["books"]["updated"], &run["books"]["deleted"]], [10, 5, 1], "{run:#}");
    world.syncline(&["verify"]).ends_with(0);
    let again = world.run(&["--mode", "full"], 0);
    assert_eq!([&again["books"]["created"], &again["books"]["updated"]], [0, 0], "{again:#}");
    for side in [&source, &dest] {
        pg_settings(side, false);
    }
    assert_eq!(pg_content(&source), pg_content(&dest));
    for (name, wanted) in PG_WANTED {
        assert_eq!(dest.value(&format!("SELECT string_agg(DISTINCT setting, ',') FROM witness WHERE name = '{name}'")), *wanted, "{name}");
    }
}

// rule: R13
// case: H8
#[test]
fn settings_of_a_postgres_change_no_value_and_break_no_statement() {
    nothing_changes_on_postgres(|side| (side.kind().to_owned(), side.url()));
}

// rule: R13
// case: C15
#[test]
fn settings_of_a_postgres_behind_a_transaction_pooler_change_no_value_either() {
    let bouncer = wait(PgBouncer::in_front_of(Postgres::shared()));
    nothing_changes_on_postgres(|side| ("postgres, flavor: pgbouncer".to_owned(), bouncer.url(side.database())));
}

const MARIADB_HOSTILE: &str = "SET GLOBAL sql_select_limit = 3; SET GLOBAL sql_auto_is_null = 1; SET GLOBAL completion_type = 'CHAIN';
    SET GLOBAL max_join_size = 2; SET GLOBAL sql_big_selects = 0; SET GLOBAL div_precision_increment = 0; SET GLOBAL sql_notes = 0; SET GLOBAL max_error_count = 0;
    SET GLOBAL sql_safe_updates = 1; SET GLOBAL sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT,PAD_CHAR_TO_FULL_LENGTH,IGNORE_SPACE';
    SET GLOBAL time_zone = '+09:00'; SET GLOBAL group_concat_max_len = 4; SET GLOBAL max_sort_length = 64; SET GLOBAL lc_time_names = 'ja_JP';
    SET GLOBAL check_constraint_checks = 0; SET GLOBAL default_storage_engine = MyISAM; SET GLOBAL tx_isolation = 'READ-UNCOMMITTED'; SET GLOBAL tx_read_only = 1;
    SET GLOBAL old_mode = 'ZERO_DATE_TIME_CAST'; SET GLOBAL sql_if_exists = 1; SET GLOBAL unique_checks = 0; SET GLOBAL foreign_key_checks = 0; SET GLOBAL autocommit = 0;
    SET GLOBAL max_statement_time = 60; SET GLOBAL lock_wait_timeout = 1; SET GLOBAL init_connect = 'SET sql_select_limit = 2, character_set_results = latin1'";

fn mariadb_content(side: &Side) -> String {
    side.value(
        "SET SESSION sql_select_limit = 18446744073709551615, sql_mode = '', time_zone = '+00:00', group_concat_max_len = 1048576, sql_big_selects = 1, \
         max_join_size = 18446744073709551615; SET NAMES utf8mb4; \
         SELECT GROUP_CONCAT(CONCAT_WS('|', HEX(id), HEX(s), HEX(c), n, at, HEX(b)) ORDER BY n SEPARATOR ';') FROM t",
    )
}

// rule: R13
// case: H8
#[test]
fn settings_of_a_mariadb_leave_no_row_out_and_change_no_value() {
    let server = Mariadb::private();
    let (source, dest) = (Side::Server(wait(server.database())), Side::Server(wait(server.database())));
    for side in [&source, &dest] {
        side.execute("CREATE TABLE t (id varchar(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PRIMARY KEY, s text, c char(9), n decimal(20,6) UNIQUE, at timestamp(6), b blob) ENGINE=InnoDB DEFAULT CHARSET utf8mb4");
    }
    source.execute(
        "SET time_zone = '+00:00'; INSERT INTO t SELECT CONCAT(REPEAT('k', 100), seq, '\\\\', ''''), CONCAT('ü € \\\\ \"', seq), 'pad', seq / 3, \
         '2024-07-01 12:00:00.123456', UNHEX('00FF5C27') FROM seq_1_to_400",
    );
    source.execute_as_admin(MARIADB_HOSTILE);
    let world = World::between(&source, &dest, "    deletes: mirror\n    owns: table\n    streams: { t: {} }\n");
    let run = world.run(&[], 0);
    assert_eq!([&run["books"]["in_scope"], &run["books"]["created"]], [400, 400], "{run:#}");
    assert_eq!(mariadb_content(&source), mariadb_content(&dest));
    source.execute("SET SESSION sql_safe_updates = 0, tx_read_only = 0, sql_big_selects = 1, max_join_size = 18446744073709551615, autocommit = 1; UPDATE t SET s = 'changed' WHERE n < 4; DELETE FROM t WHERE n > 130");
    let run = world.run(&[], 0);
    assert_eq!([&run["books"]["updated"], &run["books"]["deleted"]], [11, 10], "{run:#}");
    assert_eq!(mariadb_content(&source), mariadb_content(&dest));
    let verified = world.syncline(&["verify"]).ends_with(0);
    assert!(verified.stdout.contains("390"), "{}", verified.said());
    let again = world.run(&["--mode", "full"], 0);
    assert_eq!([&again["books"]["in_scope"], &again["books"]["unchanged"]], [390, 390], "{again:#}");
}
