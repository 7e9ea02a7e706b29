//! What a deletion reaches by foreign key: grandchildren, circles, tables of others and tables of the sync's own; and one record by its key.

use serde_json::Value as Json;

use crate::rig::{Side, World};
use crate::{book, written};

const CLUB: &str = "CREATE TABLE club (id int PRIMARY KEY, name varchar(40)); INSERT INTO club VALUES (1, 'a'), (2, 'b'), (3, 'c')";

/// Tables of others: teams of clubs, players of teams and of each other, shirts that only lose their player.
const OTHERS: [&str; 4] = [
    "CREATE TABLE club (id int PRIMARY KEY, name varchar(40))",
    "CREATE TABLE team (id int PRIMARY KEY, club_id int, CONSTRAINT team_club FOREIGN KEY (club_id) REFERENCES club (id) ON DELETE CASCADE)",
    "CREATE TABLE player (id int PRIMARY KEY, team_id int, captain int, CONSTRAINT player_team FOREIGN KEY (team_id) REFERENCES team (id) ON DELETE CASCADE,
      CONSTRAINT player_captain FOREIGN KEY (captain) REFERENCES player (id) ON DELETE CASCADE)",
    "CREATE TABLE shirt (id int PRIMARY KEY, player_id int, CONSTRAINT shirt_player FOREIGN KEY (player_id) REFERENCES player (id) ON DELETE SET NULL)",
];

fn destinations(folder: &std::path::Path) -> [Side; 3] {
    [Side::postgres(), Side::mariadb(), Side::sqlite(folder, "to.db")]
}

fn club_only(options: &str) -> String {
    format!(
        "    deletes: mirror\n    owns: table\n    guard: {{ max_delete_ratio: 0.9, max_delete_rows: 5 }}\n{options}    streams: {{ club: {{}} }}\n"
    )
}

/// Players 20 and 21 are each other's captain; 22 plays for nobody and follows 21.
const ROWS: &str =
    "INSERT INTO team VALUES (10, 1), (11, 2); INSERT INTO player VALUES (20, 10, NULL), (21, NULL, 20), (22, NULL, 21), (23, 11, NULL);
    UPDATE player SET captain = 21 WHERE id = 20; INSERT INTO shirt VALUES (30, 20), (31, 22), (32, 23)";

fn counts(side: &Side) -> String {
    ["club", "team", "player", "shirt"].map(|t| side.value(&format!("SELECT count(*) FROM {t}"))).join(" ")
}

fn cascades(plan: &Json) -> String {
    plan[0]["streams"][0]["cascades"].to_string()
}

// rule: R8, R28
#[test]
fn what_a_deletion_reaches_is_followed_to_its_end_through_circles_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    for to in destinations(folder.path()) {
        let kind = to.kind();
        let from = Side::mariadb();
        from.execute(CLUB);
        OTHERS.iter().for_each(|t| to.execute(t));
        World::between(&from, &to, &club_only("")).run(&[], 0);
        to.execute(ROWS);
        from.execute("DELETE FROM club WHERE id = 1");
        let refused = World::between(&from, &to, &club_only(""));
        let run = refused.run(&[], 3);
        assert_eq!((book(&run, "held_back"), book(&run, "deleted")), (1, 0), "{kind}: {run}");
        let run = refused.run(&["--key", "1", "--stream", "club"], 3);
        assert_eq!((book(&run, "held_back"), written(&run)), (1, 0), "{kind}: {run}");
        assert_eq!(counts(&to), "3 2 4 3", "{kind}");

        // One club, one team, three players, two shirts: seven rows are too many for a guard of five out of three.
        let allowed = World::between(&from, &to, &club_only("    cascade: allow\n"));
        let plan = allowed.syncline(&["plan", "--json"]).ends_with(0).json();
        for said in ["1 rows of `", "team` would be deleted", "player` would be deleted", "2 rows of `", "shirt` would be cleared"] {
            assert!(cascades(&plan).contains(said), "{kind}: {said} in {plan}");
        }
        assert!(plan[0]["streams"][0]["held_back"].as_str().is_some_and(|h| h.starts_with("1 deletions")), "{kind}: {plan}");
        let run = allowed.run(&[], 3);
        assert_eq!((book(&run, "held_back"), book(&run, "deleted")), (1, 0), "{kind}: {run}");
        let run = allowed.run(&["--approve-deletes"], 0);
        assert_eq!(book(&run, "deleted"), 1, "{kind}: {run}");
        assert_eq!(counts(&to), "2 1 1 3", "{kind}");
        assert_eq!(to.value("SELECT count(*) FROM shirt WHERE player_id IS NULL"), "2", "{kind}");
        assert!(run["undoable"] == false && run["notes"].to_string().contains("were deleted along"), "{kind}: {run}");
        assert!(allowed.syncline(&["undo", "last"]).ends_with(1).said().contains("not_undoable"), "{kind}");
        let shown = allowed.syncline(&["show", "last", "--json"]).ends_with(0).stdout;
        assert!(shown.contains("1 rows of `") && shown.contains("cascade"), "{kind}: what went along is on the list of deletions: {shown}");
    }
}

// rule: R8
// req: FR-015
#[test]
fn a_parent_stays_while_a_row_of_the_sync_itself_would_go_along() {
    let folder = tempfile::tempdir().unwrap();
    for to in destinations(folder.path()) {
        let kind = to.kind();
        let from = Side::mariadb();
        from.execute(CLUB);
        // No foreign key at the source: it may hold a team of a club that is gone.
        from.execute("CREATE TABLE team (id int PRIMARY KEY, club_id int); INSERT INTO team VALUES (10, 1), (11, 1), (12, 2)");
        OTHERS[..2].iter().for_each(|t| to.execute(t));
        let world = World::between(
            &from,
            &to,
            "    deletes: mirror\n    owns: table\n    guard: { max_delete_ratio: 1.0, max_delete_rows: 100 }\n",
        );
        world.run(&[], 0);
        from.execute("DELETE FROM club WHERE id IN (1, 2); DELETE FROM team WHERE id = 12; UPDATE team SET club_id = 3 WHERE id = 11");
        let run = world.run(&["--approve-deletes"], 3);
        assert_eq!((book(&run, "deleted"), book(&run, "held_back"), book(&run, "updated")), (2, 1, 1), "{kind}: {run}");
        assert_eq!(to.content("team", &["id", "club_id"], "1 = 1"), "10|1;11|3", "{kind}");
        assert_eq!(to.content("club", &["id"], "1 = 1"), "1;3", "{kind}");
        from.execute("UPDATE team SET club_id = 3 WHERE id = 10");
        let run = world.run(&["--approve-deletes"], 0);
        assert_eq!((book(&run, "deleted"), book(&run, "updated")), (1, 1), "{kind}: {run}");
        assert_eq!(written(&world.run(&[], 0)), 0, "{kind}");
    }
}

// rule: R8
#[test]
fn a_tree_is_deleted_with_its_branches_and_every_row_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let tree = "CREATE TABLE node (id int PRIMARY KEY, up int, CONSTRAINT node_up FOREIGN KEY (up) REFERENCES node (id) ON DELETE CASCADE)";
    for to in destinations(folder.path()) {
        let kind = to.kind();
        let from = Side::mariadb();
        from.execute(tree);
        from.execute("INSERT INTO node VALUES (1, NULL), (2, 1), (3, 2), (4, 3), (5, NULL), (6, 5), (7, NULL), (8, NULL), (9, NULL)");
        to.execute(tree);
        let world = World::between(&from, &to, "    deletes: mirror\n    owns: table\n");
        world.run(&[], 0);
        from.execute("DELETE FROM node WHERE id = 2");
        let run = world.run(&[], 0);
        assert_eq!((book(&run, "deleted"), book(&run, "held_back")), (3, 0), "{kind}: {run}");
        assert_eq!(to.content("node", &["id"], "1 = 1"), "1;5;6;7;8;9", "{kind}");
        assert_eq!(written(&world.run(&[], 0)), 0, "{kind}");
    }
}

// rule: R8, R7
#[test]
fn one_record_by_its_key_is_deleted_only_when_it_is_gone_and_only_in_its_own_scope() {
    for atomic in ["run", "stream", "batch"] {
        let (from, to) = (Side::mariadb(), Side::postgres());
        from.execute("CREATE TABLE person (id int PRIMARY KEY, tenant varchar(9), name varchar(40))");
        from.execute("INSERT INTO person VALUES (1, 'a', 'x'), (2, 'a', 'y'), (3, 'b', 'z')");
        to.execute("CREATE TABLE person (id int PRIMARY KEY, tenant text, name text); INSERT INTO person VALUES (9, 'b', 'not ours')");
        let options = format!(
            "    deletes: mirror\n    owns: table\n    atomic: {atomic}\n    streams: {{ person: {{ where: \"tenant = 'a'\" }} }}\n"
        );
        let world = World::between(&from, &to, &options);
        world.run(&[], 0);
        let key = |k: &str| world.run(&["--stream", "person", "--key", k], 0);
        assert_eq!(written(&key("1")), 0, "{atomic}: a record that is there stays");
        assert_eq!(written(&key("9")), 0, "{atomic}: a row of another tenant stays");
        world.syncline(&["run", "--stream", "person", "--key", "77"]).ends_with(1);
        from.execute("DELETE FROM person WHERE id = 1");
        assert_eq!(book(&key("1"), "deleted"), 1, "{atomic}");
        assert_eq!(to.content("person", &["id"], "1 = 1"), "2;9", "{atomic}");
    }
}

// rule: R8
#[test]
fn a_user_that_sees_single_tables_only_deletes_nothing_that_others_may_point_at() {
    let (from, to) = (Side::postgres(), Side::mariadb());
    from.execute(CLUB);
    let name = to.database().name().to_owned();
    to.execute(&format!(
        "{}; CREATE TABLE note (id int PRIMARY KEY, club_id int, FOREIGN KEY (club_id) REFERENCES club (id) ON DELETE CASCADE)",
        OTHERS[0]
    ));
    let user = format!("only_{name}");
    to.execute_as_admin(&format!(
        "CREATE USER '{user}'@'%' IDENTIFIED BY 'secret'; GRANT SELECT, INSERT, UPDATE, DELETE ON {name}.club TO '{user}'@'%';
         GRANT CREATE TEMPORARY TABLES ON {name}.* TO '{user}'@'%'"
    ));
    let url = to.url();
    let (_, place) = url.rsplit_once('@').unwrap();
    let world = |options: &str| {
        World::through(("postgres", &from.url()), ("mysql", &format!("mysql://{user}:secret@{place}")), &club_only(options))
    };
    let careful = world("    undo: off\n");
    careful.run(&[], 0);
    to.execute("INSERT INTO note VALUES (1, 1)");
    from.execute("DELETE FROM club WHERE id = 1");
    let run = careful.run(&[], 3);
    assert_eq!((book(&run, "held_back"), book(&run, "deleted")), (1, 0), "{run}");
    assert!(careful.syncline(&["show", "last"]).ends_with(0).stdout.contains("GRANT REFERENCES ON the whole database"));
    assert_eq!(to.value("SELECT count(*) FROM note"), "1");
    to.execute_as_admin(&format!("GRANT SELECT ON {name}.* TO '{user}'@'%'"));
    assert_eq!(book(&careful.run(&[], 3), "held_back"), 1, "SELECT shows the table, and not what it points at");
    to.execute_as_admin(&format!("GRANT REFERENCES ON {name}.* TO '{user}'@'%'"));
    let run = careful.run(&[], 3);
    assert!(careful.syncline(&["show", "last"]).ends_with(0).stdout.contains("note"), "now it is seen, and named: {run}");
    assert_eq!(to.value("SELECT count(*) FROM note"), "1");
    to.execute_as_admin(&format!("DROP USER '{user}'@'%'"));
}

// rule: R8
#[test]
fn rows_of_another_schema_or_database_are_never_taken_along_unseen() {
    let from = Side::mariadb();
    from.execute(CLUB);
    let (pg, maria) = (Side::postgres(), Side::mariadb());
    let beside = format!("{}_beside", maria.database().name());
    let note = "id int PRIMARY KEY, club_id int, FOREIGN KEY (club_id) REFERENCES";
    pg.execute(&format!("{}; CREATE SCHEMA beside; CREATE TABLE beside.note ({note} club (id) ON DELETE CASCADE)", OTHERS[0]));
    maria.execute_as_admin(&format!(
        "{}; CREATE DATABASE {beside}; CREATE TABLE {beside}.note ({note} {}.club (id) ON DELETE CASCADE); GRANT ALL ON {beside}.* TO syncline@'%'",
        OTHERS[0],
        maria.database().name()
    ));
    for (to, schema, note) in [(&pg, ", schema: public", "beside.note".to_owned()), (&maria, "", format!("{beside}.note"))] {
        let config = crate::rig::config(&from, to, &club_only(""));
        let url = format!("url: \"{}\"", to.url());
        let world = World::new(&config.replace(&url, &format!("{url}{schema}")));
        from.execute("DELETE FROM club; INSERT INTO club VALUES (1, 'a'), (2, 'b'), (3, 'c')");
        world.run(&[], 0);
        to.execute(&format!("INSERT INTO {note} VALUES (1, 1)"));
        from.execute("DELETE FROM club WHERE id = 1");
        let run = world.run(&[], 3);
        assert_eq!((book(&run, "held_back"), book(&run, "deleted")), (1, 0), "{note}: {run}");
        assert_eq!(to.value(&format!("SELECT count(*) FROM {note}")), "1", "{note}");
    }
    maria.execute_as_admin(&format!("DROP DATABASE {beside}"));
}

// rule: R8, R23
#[test]
fn deletions_without_checks_leave_no_row_of_others_pointing_at_nothing() {
    let (from, to) = (Side::mariadb(), Side::mariadb());
    let node = "CREATE TABLE node (id int PRIMARY KEY, up int, CONSTRAINT node_up FOREIGN KEY (up) REFERENCES node (id));";
    from.execute(&format!("{node} INSERT INTO node VALUES (1, NULL), (2, 1), (3, NULL)"));
    to.execute(&format!(
        "{node} CREATE TABLE leaf (id int PRIMARY KEY, node_id int, CONSTRAINT leaf_node FOREIGN KEY (node_id) REFERENCES node (id) ON DELETE CASCADE)"
    ));
    let options = "    deletes: mirror\n    owns: table\n    guard: { max_delete_ratio: 0.9, max_delete_rows: 5 }\n    streams: { node: { cascade: allow } }\n";
    let world = World::between(&from, &to, options);
    world.run(&[], 0);
    to.execute("INSERT INTO leaf VALUES (10, 2), (11, 3)");
    from.execute("DELETE FROM node WHERE id = 2; DELETE FROM node WHERE id = 1");
    let run = world.syncline(&["run", "--approve-deletes"]);
    let orphans = to.value("SELECT count(*) FROM leaf l WHERE NOT EXISTS (SELECT 1 FROM node n WHERE n.id = l.node_id)");
    assert_eq!(orphans, "0", "{}", run.said());
    assert!(to.value("SELECT count(*) FROM leaf WHERE id = 10") == "0" || run.code != Some(0), "{}", run.said());
}

// rule: R8, R23
// case: D10
#[test]
fn rows_that_go_in_a_circle_take_along_what_the_policy_lets_go_along() {
    let folder = tempfile::tempdir().unwrap();
    for to in destinations(folder.path()) {
        let kind = to.kind();
        let from = Side::mariadb();
        let ours = "CREATE TABLE store (id int PRIMARY KEY, boss int);
            CREATE TABLE staff (id int PRIMARY KEY, store_id int NOT NULL, above int, FOREIGN KEY (store_id) REFERENCES store (id), FOREIGN KEY (above) REFERENCES staff (id));
            INSERT INTO store VALUES (1, NULL), (2, NULL), (3, NULL); INSERT INTO staff VALUES (10, 1, NULL), (11, 1, 10), (12, 2, NULL), (13, 3, NULL);
            UPDATE store SET boss = id + 9 WHERE id = 1";
        from.execute(ours);
        let circle = "ALTER TABLE store ADD FOREIGN KEY (boss) REFERENCES staff (id)";
        from.execute(circle);
        let world =
            World::between(&from, &to, "    deletes: mirror\n    owns: table\n    cascade: allow\n    streams: { store: {}, staff: {} }\n");
        world.run(&[], 0);
        to.execute(
            "CREATE TABLE desk (id int PRIMARY KEY, staff_id int, FOREIGN KEY (staff_id) REFERENCES staff (id) ON DELETE CASCADE);
             CREATE TABLE badge (id int PRIMARY KEY, staff_id int, FOREIGN KEY (staff_id) REFERENCES staff (id) ON DELETE SET NULL);
             INSERT INTO desk VALUES (1, 10), (2, 11), (3, 12); INSERT INTO badge VALUES (1, 11), (2, 12)",
        );
        from.execute(
            "SET foreign_key_checks = 0; DELETE FROM staff WHERE id < 12; DELETE FROM store WHERE id = 1; SET foreign_key_checks = 1",
        );
        let run = world.run(&["--approve-deletes"], 0);
        assert_eq!(book(&run, "deleted"), 3, "{kind}: {run}");
        assert_eq!(to.content("desk", &["id", "staff_id"], "1 = 1"), "3|12", "{kind}");
        assert_eq!(to.content("badge", &["id", "staff_id"], "1 = 1"), "1|~;2|12", "{kind}");
        assert_eq!(to.content("staff", &["id"], "1 = 1"), "12;13", "{kind}");
    }
}
