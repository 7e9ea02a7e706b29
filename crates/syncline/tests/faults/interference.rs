//! Triggers, rules and policies of the destination that keep rows out, change them, or keep them in: no run calls that a success.

use serde_json::json;

use crate::rig::{Side, World, config};

const COLUMNS: [&str; 2] = ["id", "v"];
const MIRROR: &str = "    deletes: mirror\n    owns: table\n";

/// Ten rows that are the same on both sides.
fn table(side: &Side) {
    let rows: Vec<String> = (1..=10).map(|i| format!("({i}, 'row {i}')")).collect();
    side.execute(&format!("CREATE TABLE t (id int PRIMARY KEY, v varchar(50)); INSERT INTO t VALUES {}", rows.join(", ")));
}

/// Three changed rows, two deleted ones, three new ones.
fn change(source: &Side) {
    source.execute(
        "UPDATE t SET v = 'new ' || id WHERE id IN (3, 4, 5); DELETE FROM t WHERE id IN (8, 9); INSERT INTO t VALUES (11, 'a'), (12, 'b'), (13, 'c')",
    );
}

fn parked(world: &World) -> Vec<(String, String)> {
    world.parked().into_iter().map(|(_, key, code)| (key, code)).collect()
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(key, code)| ((*key).to_owned(), (*code).to_owned())).collect()
}

/// The run says what the table shows, takes back what it could not make, and makes it up once nothing is in its way.
#[track_caller]
fn is_partial_and_made_up_for(dest: &Side, meddle: &str, leave: &str, rows: &[(&str, &str)], written: [u64; 2], keeps_8: bool) {
    let source = Side::postgres();
    table(&source);
    table(dest);
    let world = World::between(&source, dest, MIRROR);
    world.run(&[], 0);
    dest.execute(meddle);
    change(&source);
    for again in [false, true] {
        let run = world.run(&[], 3);
        let books = &run["books"];
        let [created, updated] = if again { [0, 0] } else { written };
        let deleted = if again { 0 } else { 2 - u64::from(keeps_8) };
        assert_eq!([&books["created"], &books["updated"], &books["deleted"]], [created, updated, deleted], "{run:#}");
        assert_eq!([&books["parked"], &books["held_back"]], [rows.len(), usize::from(keeps_8)], "{run:#}");
        assert_eq!(parked(&world), pairs(rows), "{run:#}");
        for (key, _) in rows {
            let id = key.trim_matches(['[', ']']);
            let left = dest.value(&format!("SELECT coalesce(max(v), '~') FROM t WHERE id = {id}"));
            let was = if id.parse::<u32>().expect("a number") > 10 { "~".to_owned() } else { format!("row {id}") };
            assert_eq!(left, was, "a row that is set aside leaves nothing behind");
        }
        assert_eq!(dest.value("SELECT count(*) FROM t WHERE id = 9"), "0");
        assert_eq!(dest.value("SELECT count(*) FROM t WHERE id = 8"), u8::from(keeps_8).to_string());
        if keeps_8 {
            let shown = world.syncline(&["show", "last", "--json"]).ends_with(0).json();
            let held =
                shown["deletions"].as_array().expect("a list").iter().find(|d| d["key"] == json!([8])).expect("the row that stays").clone();
            assert!(held["done"] == false && held["reason"].as_str().is_some_and(|r| r.starts_with("trigger_refused")), "{held:#}");
        }
    }
    world.syncline(&["verify"]).ends_with(4);
    dest.execute(leave);
    world.run(&[], 0);
    assert_eq!(source.content("t", &COLUMNS, "1 = 1"), dest.content("t", &COLUMNS, "1 = 1"));
    assert_eq!(parked(&world), []);
    world.syncline(&["verify"]).ends_with(0);
}

const KEPT_OUT_AND_CHANGED: &[(&str, &str)] =
    &[("[11]", "trigger_refused"), ("[12]", "trigger_refused"), ("[3]", "trigger_changed"), ("[5]", "trigger_changed")];

// rule: R17
// case: Q7
#[test]
fn what_triggers_of_postgres_keep_out_change_or_keep_in_is_set_aside_and_no_success() {
    let meddle = "CREATE FUNCTION before() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           IF TG_OP = 'DELETE' THEN IF OLD.id = 8 THEN RETURN NULL; END IF; RETURN OLD; END IF;
           IF NEW.id IN (5, 11) THEN RETURN NULL; END IF;
           IF NEW.id = 3 THEN NEW.v := upper(NEW.v); END IF; RETURN NEW; END $$;
         CREATE FUNCTION after() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN DELETE FROM t WHERE id = 12; RETURN NULL; END';
         CREATE TRIGGER b BEFORE INSERT OR UPDATE OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION before();
         CREATE TRIGGER a AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION after()";
    is_partial_and_made_up_for(&Side::postgres(), meddle, "DROP TRIGGER a ON t; DROP TRIGGER b ON t", KEPT_OUT_AND_CHANGED, [1, 1], true);
}

// rule: R17
// case: Q7
#[test]
fn what_triggers_of_sqlite_keep_out_change_or_keep_in_is_set_aside_and_no_success() {
    let folder = tempfile::tempdir().expect("a folder");
    let meddle = "CREATE TRIGGER i BEFORE INSERT ON t WHEN NEW.id = 11 BEGIN SELECT raise(IGNORE); END;
         CREATE TRIGGER u BEFORE UPDATE ON t WHEN NEW.id = 5 BEGIN SELECT raise(IGNORE); END;
         CREATE TRIGGER d BEFORE DELETE ON t WHEN OLD.id = 8 BEGIN SELECT raise(IGNORE); END;
         CREATE TRIGGER ai AFTER INSERT ON t WHEN NEW.id = 12 BEGIN DELETE FROM t WHERE id = 12; END;
         CREATE TRIGGER au AFTER UPDATE ON t WHEN NEW.id = 3 BEGIN UPDATE t SET v = upper(v) WHERE id = 3; END";
    let leave = "DROP TRIGGER i; DROP TRIGGER u; DROP TRIGGER d; DROP TRIGGER ai; DROP TRIGGER au";
    is_partial_and_made_up_for(&Side::sqlite(folder.path(), "to.db"), meddle, leave, KEPT_OUT_AND_CHANGED, [1, 1], true);
}

const CHANGED: &[(&str, &str)] = &[("[11]", "trigger_changed"), ("[3]", "trigger_changed"), ("[5]", "trigger_changed")];

const MARIADB_TRIGGERS: &str =
    "CREATE TRIGGER u BEFORE UPDATE ON t FOR EACH ROW SET NEW.v = CASE NEW.id WHEN 5 THEN OLD.v WHEN 3 THEN upper(NEW.v) ELSE NEW.v END;
     CREATE TRIGGER i BEFORE INSERT ON t FOR EACH ROW SET NEW.v = CASE NEW.id WHEN 11 THEN 'x' ELSE NEW.v END";

// rule: R17
// case: Q7
#[test]
fn what_triggers_of_mariadb_change_is_set_aside_and_no_success() {
    is_partial_and_made_up_for(&Side::mariadb(), MARIADB_TRIGGERS, "DROP TRIGGER u; DROP TRIGGER i", CHANGED, [2, 1], false);
}

// rule: R17
#[test]
fn triggers_that_mariadb_does_not_show_to_the_user_are_no_excuse() {
    let (source, dest) = (Side::postgres(), Side::mariadb());
    table(&source);
    table(&dest);
    dest.execute(MARIADB_TRIGGERS);
    let (name, user) = (dest.database().name().to_owned(), format!("w{}", dest.database().name().len()));
    dest.execute_as_admin(&format!(
        "CREATE OR REPLACE USER '{user}'@'%' IDENTIFIED BY 'pw'; \
         GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, INDEX, ALTER, REFERENCES, CREATE TEMPORARY TABLES ON {name}.* TO '{user}'@'%'"
    ));
    let world = World::through(("postgres", &source.url()), ("mysql", &dest.database().url_as(&user, "pw")), MIRROR);
    change(&source);
    let run = world.run(&[], 3);
    assert_eq!([&run["books"]["created"], &run["books"]["updated"]], [2, 1], "{run:#}");
    assert_eq!(parked(&world), pairs(CHANGED));
}

// rule: R17
#[test]
fn what_rules_of_postgres_keep_out_or_in_is_set_aside_and_no_success() {
    let meddle = "CREATE RULE i AS ON INSERT TO t WHERE NEW.id IN (11, 12) DO INSTEAD NOTHING;
         CREATE RULE u AS ON UPDATE TO t WHERE NEW.id IN (3, 5) DO INSTEAD NOTHING;
         CREATE RULE d AS ON DELETE TO t WHERE OLD.id = 8 DO INSTEAD NOTHING";
    let leave = "DROP RULE i ON t; DROP RULE u ON t; DROP RULE d ON t";
    is_partial_and_made_up_for(&Side::postgres(), meddle, leave, KEPT_OUT_AND_CHANGED, [1, 1], true);
}

// rule: R17
#[test]
fn what_policies_of_the_destination_leave_out_is_set_aside_and_no_success() {
    let meddle = "ALTER TABLE t ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
         CREATE POLICY s ON t FOR SELECT USING (true); CREATE POLICY i ON t FOR INSERT WITH CHECK (true);
         CREATE POLICY u ON t FOR UPDATE USING (id NOT IN (3, 5)); CREATE POLICY d ON t FOR DELETE USING (id <> 8)";
    let leave = "ALTER TABLE t DISABLE ROW LEVEL SECURITY";
    let rows = [("[3]", "trigger_changed"), ("[5]", "trigger_changed")];
    is_partial_and_made_up_for(&Side::postgres(), meddle, leave, &rows, [3, 1], true);
}

// rule: R21
// users: T4
#[test]
fn a_trigger_that_waits_for_commit_or_stands_in_a_deletion_s_way_costs_its_row_only_and_is_quoted_with_it() {
    let (source, dest) = (Side::postgres(), Side::postgres());
    for side in [&source, &dest] {
        table(side);
        side.execute(
            "CREATE TABLE line (id int PRIMARY KEY, t int REFERENCES t (id) DEFERRABLE INITIALLY DEFERRED); INSERT INTO line VALUES (1, 1)",
        );
    }
    let world = World::between(&source, &dest, MIRROR);
    world.run(&[], 0);
    dest.execute(
        "CREATE FUNCTION no_five() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           IF NEW.id IN (5, 12) THEN RAISE EXCEPTION 'no %, please', NEW.v; END IF; RETURN NULL; END $$;
         CREATE CONSTRAINT TRIGGER late AFTER INSERT OR UPDATE ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION no_five();
         CREATE FUNCTION stays() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           IF OLD.id = 8 THEN RAISE EXCEPTION 'eight stays'; END IF; RETURN OLD; END $$;
         CREATE TRIGGER stays BEFORE DELETE ON t FOR EACH ROW EXECUTE FUNCTION stays()",
    );
    change(&source);
    source.execute("INSERT INTO line VALUES (2, 13), (3, 12)");
    let run = world.run(&[], 3);
    assert_eq!([&run["books"]["created"], &run["books"]["updated"], &run["books"]["deleted"]], [3, 2, 1], "{run:#}");
    assert_eq!(dest.value("SELECT string_agg(id::text, ',' ORDER BY id) FROM t"), "1,2,3,4,5,6,7,8,10,11,13");
    let refused = "trigger_refused";
    let mut codes = parked(&world);
    codes.sort();
    assert_eq!(codes, pairs(&[("[12]", refused), ("[3]", "parent_missing"), ("[5]", refused)]));
    let list = world.syncline(&["parked", "--json"]).ends_with(0).stdout;
    assert!(list.contains("no new 5, please") && list.contains("no_five()"), "{list}");
    let shown = world.syncline(&["show", "last"]).ends_with(0).stdout;
    assert!(shown.contains("eight stays"), "{shown}");
    // Neither the log nor what is said of the run holds a value of the row.
    let said = world.syncline(&["run"]).ends_with(3);
    assert!(!said.said().contains("no new 5"), "{}", said.said());
    dest.execute("DROP TRIGGER late ON t; DROP TRIGGER stays ON t");
    world.run(&[], 0);
    assert_eq!(source.content("line", &["id", "t"], "true"), dest.content("line", &["id", "t"], "true"));
}

/// Half of the rows are hidden from everybody, the table's owner too.
const HIDES_HALF: &str = "ALTER TABLE t ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; CREATE POLICY p ON t USING (id % 2 = 1)";

// rule: R8
#[test]
fn a_listing_that_row_security_filters_at_the_source_is_refused_and_deletes_nothing() {
    for flavor in ["postgres", "view"] {
        let (source, dest) = (Side::postgres(), Side::postgres());
        table(&source);
        table(&dest);
        let options = if flavor == "view" {
            source.execute("ALTER TABLE t RENAME TO base; CREATE VIEW t WITH (security_invoker) AS SELECT * FROM base");
            "    deletes: mirror\n    owns: table\n    streams: { t: { key: [id] } }\n"
        } else {
            MIRROR
        };
        let world = World::new(&config(&source, &dest, options));
        world.run(&[], 0);
        source.execute(&if flavor == "view" {
            HIDES_HALF.replace("TABLE t ", "TABLE base ").replace("ON t ", "ON base ")
        } else {
            HIDES_HALF.to_owned()
        });
        source.execute("CREATE TABLE IF NOT EXISTS unrelated (id int PRIMARY KEY)");
        for command in [&["run"][..], &["run", "--mode", "full"], &["plan"], &["verify"]] {
            let answer = world.syncline(command);
            assert!(answer.code == Some(1) && answer.said().contains("row_security"), "{flavor} {command:?}: {}", answer.said());
            assert!(answer.said().contains("BYPASSRLS"), "{}", answer.said());
        }
        assert_eq!(dest.value("SELECT count(*) FROM t"), "10", "{flavor}");
    }
}
