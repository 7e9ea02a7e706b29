//! Commits that fail, are refused, or are undone behind our back; and what runs share.

use crate::rig::{Side, World};

const MIRROR: &str = "    deletes: mirror\n    owns: table\n";

fn films(side: &Side, rows: u32) {
    side.execute("CREATE TABLE film (id int PRIMARY KEY, title varchar(80) NOT NULL, code varchar(20) UNIQUE)");
    let list: Vec<String> = (1..=rows).map(|i| format!("({i}, 'Film {i}', 'c{i}')")).collect();
    side.execute(&format!("INSERT INTO film VALUES {}", list.join(", ")));
}

fn title(side: &Side, id: u32) -> String {
    side.value(&format!("SELECT title FROM film WHERE id = {id}"))
}

// case: A12
// rule: R28
#[test]
fn an_undo_that_dies_after_its_commit_still_makes_the_next_incremental_run_compare_everything() {
    let (source, dest) = (Side::postgres(), Side::postgres());
    source.execute("CREATE TABLE film (id int PRIMARY KEY, title text, changed timestamptz NOT NULL DEFAULT now())");
    source.execute("INSERT INTO film (id, title) SELECT i, 'Film ' || i FROM generate_series(1, 50) i");
    let options = "    mode: incremental\n    streams: { film: { cursor: changed } }\n";
    let world = World::between(&source, &dest, options);
    world.run(&[], 0);
    // Long before the mark, so that only a run that starts over can see them again.
    source.execute("UPDATE film SET changed = now() - interval '1 day'");
    source.execute("UPDATE film SET title = 'New' WHERE id = 7");
    world.run(&["--mode", "diff"], 0);
    assert_eq!(title(&dest, 7), "New");
    let died = world.syncline_with(&["undo", "last", "--json"], &[("SYNCLINE_FAIL", "finish.checkpoint=abort")]);
    assert_eq!(died.code, None, "{}", died.said());
    world.let_leases_end();
    assert_eq!(title(&dest, 7), "Film 7", "the undo had committed");
    world.run(&[], 0);
    assert_eq!(title(&dest, 7), "New");
    let runs = world.runs();
    assert_eq!(runs[2]["status"], "succeeded", "the undo was settled: {runs:#?}");
    assert_eq!(runs[1]["undone_by"], runs[2]["id"]);
}

// case: A6, A12
// rule: R6
#[test]
fn a_change_is_carried_over_after_a_run_that_was_rolled_back_with_its_bases_written() {
    let (source, dest) = (Side::postgres(), Side::mariadb());
    films(&source, 10);
    let world = World::between(&source, &dest, "    edits: keep\n    conflicts: source_wins\n");
    world.run(&[], 0);
    source.execute("UPDATE film SET title = 'New' WHERE id = 3");
    let broken = world.syncline_with(&["run"], &[("SYNCLINE_FAIL", "commit.send=cut")]);
    assert_eq!(broken.code, Some(1), "{}", broken.said());
    assert_eq!(title(&dest, 3), "Film 3");
    world.run(&[], 0);
    assert_eq!(title(&dest, 3), "New");
}

// case: A6
// rule: R24
#[test]
fn a_commit_whose_fate_is_unknown_leaves_the_run_open_and_the_next_run_settles_it() {
    let (source, dest) = (Side::postgres(), Side::postgres());
    films(&source, 10);
    let proxy = syncline_testkit::Proxy::in_front_of(dest.database().port());
    let through = dest.database().url_on(proxy.port());
    let world = World::through((source.kind(), &source.url()), (dest.kind(), &through), MIRROR);
    world.run(&[], 0);
    source.execute("UPDATE film SET title = 'New' WHERE id = 3");
    // The state cannot be written once the destination has committed.
    let broken = world.syncline_with(&["run"], &[("SYNCLINE_FAIL", "finish.books=error")]);
    assert_eq!(broken.code, Some(1), "{}", broken.said());
    assert_eq!(title(&dest, 3), "New");
    assert_eq!(world.runs()[1]["status"], "running");
    let next = world.run(&[], 0);
    assert_eq!(next["books"]["updated"], 0);
    let runs = world.runs();
    assert_eq!((&runs[1]["status"], &runs[1]["books"]["updated"]), (&"succeeded".into(), &1.into()), "{runs:#?}");
}

// case: C3
#[test]
fn a_server_that_became_read_only_is_said_and_the_run_goes_through_once_it_is_not() {
    let (source, dest) = (Side::postgres(), Side::postgres());
    films(&source, 10);
    let world = World::between(&source, &dest, MIRROR);
    world.run(&[], 0);
    source.execute("UPDATE film SET title = 'New' WHERE id = 3");
    let role = format!("ALTER ROLE syncline IN DATABASE {}", dest.database().name());
    dest.execute_as_admin(&format!("{role} SET default_transaction_read_only = on"));
    let failed = world.run(&[], 1);
    assert_eq!(failed["status"], "failed", "{failed:#}");
    dest.execute_as_admin(&format!("{role} RESET default_transaction_read_only"));
    world.run(&[], 0);
    assert_eq!(title(&dest, 3), "New");
}

// case: C4, C5
#[test]
fn a_destination_that_lost_commits_is_made_whole_and_another_one_is_refused() {
    let (source, dest) = (Side::postgres(), Side::postgres());
    films(&source, 100);
    let world = World::between(&source, &dest, MIRROR);
    world.run(&[], 0);
    // What a failover to a lagging replica leaves: the last commits are gone, the state knows of them.
    dest.execute("DELETE FROM film WHERE id > 95; UPDATE film SET title = 'old' WHERE id = 4; DELETE FROM syncline_marker");
    let run = world.run(&[], 0);
    assert_eq!([&run["books"]["created"], &run["books"]["updated"]], [5, 1]);
    let other = Side::postgres();
    films(&other, 100);
    world.configure(&crate::rig::config(&source, &other, MIRROR));
    let refused = world.run(&[], 1);
    assert_eq!(refused["error"]["code"], "source_changed_identity", "{refused:#}");
}

// case: A6, C4
// rule: R24, R28
#[test]
fn without_before_images_the_marker_is_written_all_the_same_and_no_run_takes_it_for_lost() {
    for dest in [Side::postgres(), Side::mariadb()] {
        let source = Side::postgres();
        films(&source, 10);
        // There, and not to be read or written.
        match dest.kind() {
            "postgres" => dest.execute_as_admin("CREATE TABLE syncline_before (run text)"),
            _ => dest.execute("CREATE TABLE gone (run int); CREATE VIEW syncline_before AS SELECT run FROM gone; DROP TABLE gone"),
        }
        for atomic in ["run", "stream", "batch"] {
            let world = World::between(&source, &dest, &format!("{MIRROR}    atomic: {atomic}\n    streams: {{ film: {{}} }}\n"));
            for n in 0..3 {
                source.execute(&format!("UPDATE film SET title = '{atomic} {n}' WHERE id = 3"));
                let run = world.run(&[], 0);
                assert_eq!(
                    (&run["undoable"], &run["notes"]),
                    (&false.into(), &serde_json::json!([])),
                    "{} {atomic} {n}: {run:#}",
                    dest.kind()
                );
                assert_eq!(dest.value("SELECT count(*) FROM syncline_marker WHERE sync = 'pair'"), "1", "{} {atomic}", dest.kind());
                assert_eq!(title(&dest, 3), format!("{atomic} {n}"));
            }
            dest.execute("DROP TABLE film; DELETE FROM syncline_marker");
        }
    }
}

// case: C4
// rule: R24
#[test]
fn a_marker_table_that_comes_later_is_not_taken_for_lost_commits() {
    let (source, dest) = (Side::postgres(), Side::postgres());
    films(&source, 10);
    dest.execute_as_admin("CREATE TABLE syncline_marker (sync text, scope text, stream text, run text, step bigint)");
    let world = World::between(&source, &dest, MIRROR);
    world.run(&[], 0);
    dest.execute_as_admin("GRANT ALL ON syncline_marker TO syncline");
    let run = world.run(&[], 0);
    assert_eq!(run["notes"], serde_json::json!([]), "{run:#}");
    dest.execute("DELETE FROM syncline_marker");
    let run = world.run(&[], 0);
    assert!(run["notes"].to_string().contains("no longer has the last commit"), "{run:#}");
}

// case: C11
#[test]
fn a_lock_wait_timeout_of_mariadb_leaves_nothing_of_the_run() {
    // A server of its own: the timeout is for all of its sessions.
    let server = syncline_testkit::Mariadb::private();
    let (source, dest) = (Side::postgres(), Side::Server(crate::rig::wait(server.database())));
    films(&source, 50);
    let world = World::between(&source, &dest, MIRROR);
    world.run(&[], 0);
    source.execute("UPDATE film SET title = 'New'; INSERT INTO film VALUES (51, 'Film 51', 'c51')");
    let before = dest.content("film", &["id", "title", "code"], "1 = 1");
    let db = dest.database().clone();
    let admin = db.as_admin();
    crate::rig::wait(admin.execute("SET GLOBAL innodb_lock_wait_timeout = 1"));
    let holder = std::thread::spawn(move || {
        let held = "BEGIN; UPDATE film SET code = 'held' WHERE id = 40; SELECT SLEEP(3600)";
        crate::rig::wait(db.try_execute(held))
    });
    let sleeping = "FROM information_schema.processlist WHERE state = 'User sleep' AND db = database()";
    while dest.value(&format!("SELECT count(*) {sleeping}")) == "0" {}
    let failed = world.run(&[], 1);
    assert_eq!(failed["status"], "failed");
    assert_eq!(dest.content("film", &["id", "title", "code"], "1 = 1"), before, "{failed:#}");
    let id = dest.value(&format!("SELECT id {sleeping}"));
    crate::rig::wait(admin.execute(&format!("SET GLOBAL innodb_lock_wait_timeout = 50; KILL {id}")));
    drop(holder.join().expect("the holder ends"));
    world.run(&[], 0);
    assert_eq!(dest.content("film", &["id", "title", "code"], "1 = 1"), source.content("film", &["id", "title", "code"], "1 = 1"));
}

// case: C15
#[test]
fn a_whole_life_passes_behind_a_transaction_pooler() {
    let (source, dest) = (Side::postgres(), Side::postgres());
    films(&source, 300);
    let bouncer = crate::rig::wait(syncline_testkit::PgBouncer::in_front_of(syncline_testkit::Postgres::shared()));
    let (from, to) = (bouncer.url(source.database()), bouncer.url(dest.database()));
    let unsaid = World::through(("postgres", &from), ("postgres", &to), MIRROR).syncline(&["run"]).ends_with(1);
    assert!(unsaid.said().contains("pooler_unsaid"), "{}", unsaid.said());
    let world = World::through(("postgres, flavor: pgbouncer", &from), ("postgres, flavor: pgbouncer", &to), MIRROR);
    world.run(&[], 0);
    source.execute("UPDATE film SET title = 'New' WHERE id < 20; DELETE FROM film WHERE id = 30");
    let run = world.run(&[], 0);
    assert_eq!([&run["books"]["updated"], &run["books"]["deleted"]], [19, 1]);
    world.syncline(&["undo", "last"]).ends_with(0);
    assert_eq!(title(&dest, 3), "Film 3");
    world.run(&[], 0);
    assert_eq!(source.content("film", &["id", "title", "code"], "1 = 1"), dest.content("film", &["id", "title", "code"], "1 = 1"));
}

// case: C20
// rule: R22
#[test]
fn unique_values_move_between_rows_in_one_run_on_both_servers() {
    for dest in [Side::postgres(), Side::mariadb()] {
        let source = Side::postgres();
        films(&source, 10);
        let world = World::between(&source, &dest, MIRROR);
        world.run(&[], 0);
        source.execute("UPDATE film SET code = NULL WHERE id < 4; UPDATE film SET code = 'c' || (id % 3 + 1) WHERE id < 4");
        let run = world.run(&[], 0);
        assert_eq!([&run["books"]["updated"], &run["books"]["parked"]], [3, 0]);
        assert_eq!(source.content("film", &["id", "code"], "1 = 1"), dest.content("film", &["id", "code"], "1 = 1"));
    }
}

// case: C20
// rule: R8, R22
#[test]
fn a_unique_value_of_a_deleted_row_that_is_still_needed_parks_its_taker_and_fails_nothing() {
    for dest in [Side::postgres(), Side::mariadb()] {
        let source = Side::postgres();
        films(&source, 10);
        let world = World::between(&source, &dest, MIRROR);
        world.run(&[], 0);
        dest.execute("CREATE TABLE review (id int PRIMARY KEY, film_id int, FOREIGN KEY (film_id) REFERENCES film (id)); INSERT INTO review VALUES (1, 4)");
        source.execute(
            "DELETE FROM film WHERE id = 4; INSERT INTO film VALUES (44, 'Heir', 'c4'); UPDATE film SET title = 'New' WHERE id = 9",
        );
        let run = world.run(&[], 3);
        assert_eq!([&run["books"]["updated"], &run["books"]["parked"], &run["books"]["held_back"]], [1, 1, 1], "{run:#}");
        assert_eq!(world.parked(), [("film".to_owned(), "[44]".to_owned(), "unique_taken".to_owned())]);
        assert_eq!(dest.value("SELECT code FROM film WHERE id = 4"), "c4");
        dest.execute("DELETE FROM review");
        world.run(&[], 0);
        assert_eq!(source.content("film", &["id", "title", "code"], "1 = 1"), dest.content("film", &["id", "title", "code"], "1 = 1"));
        assert!(world.parked().is_empty());
    }
}

// case: C20
// rule: R8, R22
#[test]
fn a_row_that_goes_gives_its_unique_value_away_also_while_rows_of_the_run_still_point_at_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name| Side::sqlite(folder.path(), name);
    let refusing = [Side::postgres(), Side::mariadb(), file("refusing.db")].map(|d| (d, ""));
    // Then a review would go along with the film that it is about to leave.
    let cascading = [Side::postgres(), Side::mariadb(), file("cascading.db")].map(|d| (d, " ON DELETE CASCADE"));
    for (dest, action) in refusing.into_iter().chain(cascading) {
        let source = Side::postgres();
        for side in [&source, &dest] {
            side.execute(&format!(
                "CREATE TABLE film (id int PRIMARY KEY, title varchar(80) NOT NULL, code varchar(20) NOT NULL UNIQUE);
                 CREATE TABLE review (id int PRIMARY KEY, film_id int NOT NULL, FOREIGN KEY (film_id) REFERENCES film (id){action});
                 CREATE TABLE kind (id int PRIMARY KEY, above int, name varchar(20) UNIQUE, FOREIGN KEY (above) REFERENCES kind (id));"
            ));
        }
        source.execute(
            "INSERT INTO film SELECT i, 'Film ' || i, 'c' || i FROM generate_series(1, 9) i;
             INSERT INTO review SELECT i, i FROM generate_series(1, 5) i;
             INSERT INTO kind VALUES (1, NULL, 'all'), (2, 1, 'some'), (3, 2, 'few'), (4, NULL, 'other')",
        );
        let world =
            World::between(&source, &dest, &format!("{MIRROR}    cascade: {}\n", if action.is_empty() { "refuse" } else { "allow" }));
        world.run(&[], 0);
        // A review moves from the film that goes to the one that takes its code; another goes with its film; codes of rows that stay swap
        // in the same run; of kinds, three go that point at each other.
        source.execute(
            "UPDATE film SET code = 'x' || id WHERE id IN (4, 5, 8, 9);
             UPDATE film SET code = 'c' || (17 - id) WHERE id IN (8, 9);
             INSERT INTO film VALUES (44, 'Heir', 'c4'), (55, 'Heir', 'c5');
             UPDATE review SET film_id = 44 WHERE id = 4; DELETE FROM review WHERE id = 5; DELETE FROM film WHERE id IN (4, 5);
             DELETE FROM kind WHERE id < 4; INSERT INTO kind VALUES (5, 4, 'all'), (6, 5, 'some'), (7, NULL, 'few')",
        );
        let run = world.run(&["--approve-deletes"], 0);
        assert_eq!(["created", "updated", "deleted"].map(|n| &run["books"][n]), [5, 3, 6], "{}: {run:#}", dest.kind());
        for (table, columns) in [("film", ["title", "code"]), ("review", ["id", "film_id"]), ("kind", ["above", "name"])] {
            let columns = [&["id"], &columns[..]].concat();
            assert_eq!(source.content(table, &columns, "1 = 1"), dest.content(table, &columns, "1 = 1"), "{} {table}", dest.kind());
        }
        world.syncline(&["undo", "last"]).ends_with(0);
        assert_eq!(dest.content("film", &["id", "code"], "id IN (4, 5, 8, 9, 44)"), "4|c4;5|c5;8|c8;9|c9", "{}", dest.kind());
    }
}

// case: C24
#[test]
fn a_key_that_comes_twice_is_written_once_and_counted_as_merged() {
    let (source, dest) = (Side::postgres(), Side::postgres());
    source.execute("CREATE TABLE film (id int, title text); INSERT INTO film VALUES (1, 'first'), (2, 'only'), (1, 'first')");
    dest.execute("CREATE TABLE film (id int PRIMARY KEY, title text)");
    let world = World::between(&source, &dest, "    streams: { film: { key: [id] } }\n");
    let run = world.run(&[], 0);
    assert_eq!([&run["books"]["created"], &run["books"]["merged"]], [2, 1], "{run:#}");
    assert_eq!(dest.value("SELECT count(*) FROM film"), "2");
}

// case: C11
// rule: R19
#[test]
fn a_run_and_an_undo_of_several_tables_are_one_transaction_at_mariadb_too() {
    let (source, dest) = (Side::mariadb(), Side::mariadb());
    for table in ["a", "b"] {
        source.execute(&format!(
            "CREATE TABLE {table} (id int PRIMARY KEY, v varchar(20) UNIQUE, w int); INSERT INTO {table} VALUES (1, 'x', 1), (2, 'y', 2)"
        ));
    }
    for options in [MIRROR, "    edits: keep\n    conflicts: source_wins\n"] {
        dest.execute("DROP TABLE IF EXISTS a, b, syncline_marker, syncline_before");
        let world = World::between(&source, &dest, options);
        world.run(&[], 0);
        source.execute("UPDATE a SET w = w + 10; UPDATE b SET w = w + 10");
        let sums = || dest.value("SELECT concat((SELECT sum(w) FROM a), ',', (SELECT sum(w) FROM b))");
        let before = sums();
        for point in ["apply.update=cut@2", "apply.marker=cut", "apply.end=cut"] {
            let broken = world.syncline_with(&["run"], &[("SYNCLINE_FAIL", point)]);
            assert_eq!((broken.code, sums()), (Some(1), before.clone()), "{point}: {}", broken.said());
        }
        world.run(&[], 0);
        let after = sums();
        assert_ne!(after, before);
        for point in ["apply.update=cut@2", "apply.end=cut"] {
            let broken = world.syncline_with(&["undo", "last"], &[("SYNCLINE_FAIL", point)]);
            assert_eq!((broken.code, sums()), (Some(1), after.clone()), "{point}: {}", broken.said());
            world.run(&[], 0);
        }
    }
}

// rule: R28
#[test]
fn an_undo_knows_what_a_statement_trigger_of_the_destination_made_of_a_row() {
    let (source, dest) = (Side::postgres(), Side::postgres());
    films(&source, 5);
    dest.execute(
        "CREATE TABLE film (id int PRIMARY KEY, title varchar(80) NOT NULL, code varchar(20) UNIQUE, touched int NOT NULL DEFAULT 0);
         CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN UPDATE film SET touched = touched + 1; RETURN NULL; END';
         CREATE TRIGGER touch AFTER INSERT OR UPDATE ON film FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION touch()",
    );
    let world = World::between(&source, &dest, MIRROR);
    world.run(&[], 0);
    source.execute("UPDATE film SET title = 'New' WHERE id = 3; INSERT INTO film VALUES (6, 'Film 6', 'c6')");
    let run = world.run(&[], 0);
    assert_eq!([&run["books"]["created"], &run["books"]["updated"]], [1, 1], "{run:#}");
    world.syncline(&["undo", "last"]).ends_with(0);
    assert_eq!((title(&dest, 3), dest.value("SELECT count(*) FROM film")), ("Film 3".to_owned(), "5".to_owned()));
}

// case: A5
// rule: R8, R19
#[test]
fn a_table_that_somebody_makes_after_a_failed_run_is_never_taken_for_what_the_run_left() {
    let (source, dest) = (Side::mariadb(), Side::mariadb());
    films(&source, 3);
    source.execute("ALTER TABLE film COMMENT='for rent'; CREATE TABLE actor (id int PRIMARY KEY) COMMENT='on stage'");
    let name = dest.database().name().to_owned();
    let plain = format!("plain_{name}");
    dest.execute_as_admin(&format!(
        "CREATE USER '{plain}'@'%' IDENTIFIED BY 'secret';
         GRANT SELECT, INSERT, UPDATE, DELETE, DROP, CREATE TEMPORARY TABLES ON {name}.* TO '{plain}'@'%'"
    ));
    let url = dest.database().url_as(&plain, "secret");
    let world = World::through((source.kind(), &source.url()), (dest.kind(), &url), MIRROR);
    assert!(world.syncline(&["run"]).ends_with(1).said().contains("CREATE"));
    dest.execute("CREATE TABLE actor (id int PRIMARY KEY, note varchar(9)) COMMENT='made by hand'");
    world.syncline(&["run"]).ends_with(1);
    let comment = |table: &str| {
        dest.value(&format!(
            "SELECT table_comment FROM information_schema.tables WHERE table_schema = database() AND table_name = '{table}'"
        ))
    };
    assert_eq!(comment("actor"), "made by hand");
    assert_eq!(dest.tables(), ["actor"]);

    // What a run has left itself still goes, and a committed table has the source's comment.
    let world = World::between(&source, &dest, "    streams: { film: {} }\n");
    for (fault, left) in [("run.begun=abort", "syncline unfinished run"), ("name.comments=abort", "syncline unfinished run")] {
        let broken = world.syncline_with(&["run"], &[("SYNCLINE_FAIL", fault)]);
        assert_ne!(broken.code, Some(0), "{fault}: {}", broken.said());
        assert!(comment("film").starts_with(left), "{fault}: {}", comment("film"));
        world.let_leases_end();
        world.run(&[], 0);
        assert_eq!((comment("film").as_str(), dest.value("SELECT count(*) FROM film").as_str()), ("for rent", "3"), "{fault}");
        dest.execute("DROP TABLE film");
    }
    for atomic in ["stream", "batch"] {
        let world = World::between(&source, &dest, &format!("    atomic: {atomic}\n    streams: {{ film: {{}} }}\n"));
        world.run(&[], 0);
        assert_eq!(comment("film"), "for rent", "{atomic}");
        dest.execute("DROP TABLE film");
    }
}
