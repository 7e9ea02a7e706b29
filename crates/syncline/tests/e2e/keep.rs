//! `edits: keep`: both sides edit, nothing that does not conflict is lost, what conflicts is decided as said and written down.

use serde_json::{Value as Json, json};

use crate::rig::{Side, World, config};
use crate::{book, written};

const MEMBER: &str = "CREATE TABLE member (id int PRIMARY KEY, name varchar(40), email varchar(80), phone varchar(40), note varchar(80));
    INSERT INTO member VALUES (1, 'Ann', 'ann@x.org', '+353 1 234', 'n1'), (2, 'Bob', 'bob@x.org', '555', 'n2'),
      (3, 'Cid', 'cid@x.org', '777', 'n3'), (4, 'Dot', 'dot@x.org', NULL, 'n4');";

fn synced(options: &str) -> (Side, Side, World) {
    let (from, to) = (Side::mariadb(), Side::postgres());
    from.execute(MEMBER);
    let world = World::between(&from, &to, &format!("    edits: keep\n{options}"));
    world.run(&[], 0);
    (from, to, world)
}

fn row(side: &Side, id: u32) -> String {
    side.content("member", &["name", "email", "phone", "note"], &format!("id = {id}"))
}

fn conflicts(world: &World) -> Json {
    world.syncline(&["conflicts", "last", "--json"]).ends_with(0).json()
}

// req: S4-002, S4-003, S4-004, FR-012
// rule: R6
#[test]
fn edits_on_both_sides_survive_and_a_conflict_is_on_record_with_both_values() {
    for (strategy, winner, name) in [("source_wins", "source", "Anna"), ("local_wins", "destination", "Annie")] {
        let (from, to, world) = synced(&format!("    conflicts: {strategy}\n"));
        from.execute(
            "UPDATE member SET name = 'Anna', note = 'from the source' WHERE id = 1; UPDATE member SET email = 'new@x.org' WHERE id = 2",
        );
        to.execute(
            "UPDATE member SET name = 'Annie', phone = 'from here' WHERE id = 1; UPDATE member SET note = 'mine' WHERE id IN (2, 3)",
        );
        let run = world.run(&[], 0);
        assert_eq!(run["conflicts"], 1, "{run}");
        assert_eq!(row(&to, 1), format!("{name}|ann@x.org|from here|from the source"));
        assert_eq!(row(&to, 2), "Bob|new@x.org|555|mine");
        assert_eq!(row(&to, 3), "Cid|cid@x.org|777|mine");
        let list = conflicts(&world);
        let c = &list[0];
        assert_eq!(list.as_array().unwrap().len(), 1);
        assert_eq!((&c["stream"], &c["key"], &c["field"]), (&json!("member"), &json!([1]), &json!("name")));
        assert_eq!((&c["source"], &c["destination"], &c["resolved"]), (&json!("Anna"), &json!("Annie"), &json!(name)));
        assert_eq!(c["winner"], winner);
        for _ in 0..2 {
            let run = world.run(&[], 0);
            assert_eq!((written(&run), &run["conflicts"]), (0, &json!(0)), "{strategy}: {run}");
        }
        assert_eq!(row(&to, 1), format!("{name}|ann@x.org|from here|from the source"));
    }
}

// req: S4-003
#[test]
fn merge_asks_who_modified_the_row_last() {
    let (from, to) = (Side::mariadb(), Side::postgres());
    from.execute(MEMBER);
    to.execute("CREATE TABLE member (id int PRIMARY KEY, name text, email text, phone text, note text, changed_by text)");
    let world = World::between(&from, &to, "    edits: keep\n    conflicts: merge\n    last_modified_by: changed_by\n");
    world.run(&[], 0);
    from.execute("UPDATE member SET name = 'Theirs' WHERE id IN (1, 2)");
    to.execute("UPDATE member SET name = 'Ours', changed_by = 'coach@club' WHERE id = 1; UPDATE member SET name = 'Ours', changed_by = 'syncline' WHERE id = 2");
    let run = world.run(&[], 0);
    assert_eq!(run["conflicts"], 2, "{run}");
    assert_eq!(to.value("SELECT string_agg(name, ',' ORDER BY id) FROM member WHERE id < 3"), "Ours,Theirs");
    assert_eq!(written(&world.run(&[], 0)), 0);
}

// req: S4-002
#[test]
fn spellings_of_mail_and_phone_are_no_edits_and_an_empty_source_field_erases_nothing() {
    let fields = "    streams:\n      member: { fields: { email: { from: email, type: email }, phone: { from: phone, type: phone }, note: { from: note, type: text } } }\n";
    let (from, to, world) = synced(fields);
    from.execute("UPDATE member SET email = ' ANN@X.org ', phone = '(+353) 1-234' WHERE id = 1; UPDATE member SET note = '' WHERE id = 2; UPDATE member SET note = NULL WHERE id = 3");
    let run = world.run(&[], 0);
    assert_eq!(written(&run), 0, "{run}");
    assert_eq!(row(&to, 1), "Ann|ann@x.org|+353 1 234|n1");
    assert_eq!([row(&to, 2), row(&to, 3)], ["Bob|bob@x.org|555|n2", "Cid|cid@x.org|777|n3"]);
    let cleared = world.path("syncline.yaml");
    let yaml = std::fs::read_to_string(&cleared).unwrap().replace("    edits: keep\n", "    edits: keep\n    clears: true\n");
    world.configure(&yaml);
    let run = world.run(&[], 0);
    assert_eq!(book(&run, "updated"), 2, "{run}");
    assert_eq!([row(&to, 2), row(&to, 3)], ["Bob|bob@x.org|555|", "Cid|cid@x.org|777|~"]);
    assert_eq!(written(&world.run(&[], 0)), 0);
}

// req: S4-002, FR-009
// rule: R6, R28
#[test]
fn after_an_undo_the_change_of_the_source_comes_again_and_an_edit_of_the_destination_stays() {
    let (from, to, world) = synced("");
    from.execute("UPDATE member SET name = 'Anna' WHERE id = 1; UPDATE member SET name = 'Robert' WHERE id = 2; UPDATE member SET note = 'new' WHERE id = 3");
    let run = world.run(&[], 0);
    assert_eq!(book(&run, "updated"), 3, "{run}");
    to.execute("UPDATE member SET phone = 'mine' WHERE id = 3");
    world.syncline(&["undo", "last"]).ends_with(3);
    assert_eq!((row(&to, 1).as_str(), row(&to, 3).as_str()), ("Ann|ann@x.org|+353 1 234|n1", "Cid|cid@x.org|mine|new"));
    to.execute("UPDATE member SET note = 'kept' WHERE id = 1; UPDATE member SET name = 'Bobby' WHERE id = 2");
    let run = world.run(&[], 0);
    assert_eq!(
        (book(&run, "updated"), &run["conflicts"]),
        (2, &json!(1)),
        "what the undo took back is a change of the source again: {run}"
    );
    assert_eq!(row(&to, 1), "Anna|ann@x.org|+353 1 234|kept");
    assert_eq!(row(&to, 2), "Robert|bob@x.org|555|n2", "both changed the name, the source wins");
    assert_eq!(row(&to, 3), "Cid|cid@x.org|mine|new", "the undo left this row alone, and the edit in it counts as one");
    assert_eq!(written(&world.run(&[], 0)), 0);
}

// req: S4-003, FR-015
#[test]
fn a_deletion_follows_also_where_edits_are_kept() {
    let (from, to, world) = synced("    deletes: mirror\n    owns: table\n");
    from.execute("DELETE FROM member WHERE id = 4; INSERT INTO member VALUES (5, 'Eve', NULL, NULL, NULL)");
    to.execute("UPDATE member SET note = 'kept' WHERE id = 1");
    let run = world.run(&[], 0);
    assert_eq!((book(&run, "created"), book(&run, "deleted")), (1, 1), "{run}");
    assert_eq!(to.value("SELECT string_agg(id::text, ',' ORDER BY id) FROM member"), "1,2,3,5");
    assert_eq!(row(&to, 1), "Ann|ann@x.org|+353 1 234|kept");
    from.execute("INSERT INTO member VALUES (4, 'Dot again', NULL, NULL, NULL)");
    world.run(&[], 0);
    assert_eq!(row(&to, 4), "Dot again|~|~|~");
}

// req: S4-002
// rule: R6
#[test]
fn an_edit_stays_one_when_a_field_is_compared_in_another_way_from_then_on() {
    let (from, to, world) = synced("");
    to.execute("UPDATE member SET email = 'mine@x.org' WHERE id = 1; UPDATE member SET phone = 'mine' WHERE id = 2");
    from.execute("UPDATE member SET email = 'theirs@x.org' WHERE id = 3; UPDATE member SET phone = '999' WHERE id = 2");
    let fields = "    streams: { member: { fields: { email: { from: email, type: email }, phone: { from: phone, type: phone } } } }\n";
    world.configure(&config(&from, &to, &format!("    edits: keep\n{fields}")));
    let run = world.run(&[], 0);
    assert_eq!((book(&run, "kept"), &run["conflicts"]), (1, &json!(1)), "only the phone was changed by both: {run}");
    assert_eq!(conflicts(&world)[0]["key"], json!([2]));
    assert_eq!(to.value("SELECT string_agg(email, ',' ORDER BY id) FROM member"), "mine@x.org,bob@x.org,theirs@x.org,dot@x.org");
    world.syncline(&["verify"]).ends_with(0);
}

// req: S4-002
#[test]
fn what_an_empty_source_field_does_not_erase_verify_counts_as_kept() {
    let (from, to, world) = synced("");
    from.execute("UPDATE member SET phone = NULL WHERE id = 1; UPDATE member SET note = '' WHERE id = 2");
    let run = world.run(&[], 0);
    assert_eq!((book(&run, "kept"), book(&run, "updated")), (2, 0), "{run}");
    assert_eq!((row(&to, 1).as_str(), row(&to, 2).as_str()), ("Ann|ann@x.org|+353 1 234|n1", "Bob|bob@x.org|555|n2"));
    let report = world.syncline(&["verify", "--json"]).ends_with(0).json();
    assert!(report.to_string().contains("\"kept\":2"), "{report}");
}

// req: S4-002
#[test]
fn a_stream_keeps_its_name_and_what_is_known_of_it_whatever_other_schemas_hold() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (Side::postgres(), Side::sqlite(folder.path(), "to.db"));
    from.execute(MEMBER);
    let world = World::through(("postgres", &from.url()), ("sqlite", &to.url()), "    edits: keep\n    streams: { member: {} }\n");
    world.run(&[], 0);
    from.execute("CREATE SCHEMA sales; CREATE TABLE sales.invoice (id int PRIMARY KEY)");
    to.execute("UPDATE member SET note = 'mine' WHERE id = 1");
    let run = world.run(&[], 0);
    assert_eq!((written(&run), &run["streams"][0]["stream"], &run["conflicts"]), (0, &json!("member"), &json!(0)), "{run}");
}

// req: S4-003, FR-015, S0-TRUTH
#[test]
fn an_edited_record_that_the_source_deleted_is_a_conflict_and_stays_where_the_destination_wins() {
    let lists = "    deletes: mirror\n    owns: table\n";
    for (strategy, winner, there) in [("source_wins", "source", "2,3"), ("destination_wins", "destination", "1,2,3")] {
        let (from, to, world) = synced(&format!("{lists}    conflicts: {strategy}\n"));
        from.execute("DELETE FROM member WHERE id IN (1, 4)");
        to.execute("UPDATE member SET note = 'mine' WHERE id = 1");
        let run = world.run(&[], 0);
        assert_eq!((&run["conflicts"], book(&run, "deleted") + book(&run, "extra")), (&json!(1), 2), "{run}");
        assert_eq!(to.value("SELECT string_agg(id::text, ',' ORDER BY id) FROM member"), there);
        let c = &conflicts(&world)[0];
        assert_eq!((&c["key"], &c["field"], &c["source"], &c["destination"]), (&json!([1]), &json!("note"), &json!(null), &json!("mine")));
        assert_eq!(c["winner"], winner);
        let run = world.run(&[], 0);
        assert_eq!((&run["conflicts"], book(&run, "deleted")), (&json!(0), 0), "decided once: {run}");
        from.execute("INSERT INTO member VALUES (1, 'Back', NULL, NULL, 'theirs')");
        world.run(&[], 0);
        assert_eq!(row(&to, 1).ends_with("mine"), strategy != "source_wins", "{}", row(&to, 1));
    }
}

// req: S4-003
#[test]
fn an_unknown_strategy_and_a_merge_without_a_modifier_are_refused() {
    let (from, to) = (Side::mariadb(), Side::postgres());
    from.execute(MEMBER);
    for (options, said) in [
        ("    edits: keep\n    conflicts: newest_wins\n", "newest_wins"),
        ("    edits: keep\n    conflicts: merge\n", "last_modified_by"),
        ("    conflicts: source_wins\n", "edits: keep"),
    ] {
        let answer = World::between(&from, &to, options).syncline(&["run"]).ends_with(2);
        assert!(answer.stderr.contains(said), "{}", answer.said());
    }
    assert_eq!(to.tables().len(), 0);
}

// req: S4-003, S2-E2
// case: D13
#[test]
fn a_column_added_on_the_way_is_planned_and_filled_and_no_edit_is_forgotten_over_it() {
    let folder = tempfile::tempdir().unwrap();
    for to in [Side::postgres(), Side::mariadb(), Side::sqlite(folder.path(), "to.db")] {
        let kind = to.kind();
        let from = Side::mariadb();
        from.execute(MEMBER);
        let world = World::between(&from, &to, "    edits: keep\n    schema_changes: add\n");
        world.run(&[], 0);
        from.execute(
            "ALTER TABLE member ADD city varchar(40) AFTER name; UPDATE member SET city = 'Cork', email = 'new@x.org' WHERE id = 1",
        );
        to.execute("UPDATE member SET note = 'mine' WHERE id IN (1, 2)");
        let plan = world.syncline(&["plan", "--json"]).ends_with(0).json();
        assert_eq!(plan[0]["streams"][0]["updates"], 1, "{kind}: {plan}");
        let fields: Vec<&Json> = plan[0]["changes"][0]["fields"].as_array().unwrap().iter().map(|f| &f["field"]).collect();
        assert_eq!(fields, ["city", "email"], "{kind}: {plan}");
        let run = world.run(&[], 0);
        assert_eq!((book(&run, "updated"), &run["conflicts"]), (1, &json!(0)), "{kind}: {run}");
        let content = |id: u32| to.content("member", &["name", "city", "email", "note"], &format!("id = {id}"));
        assert_eq!([content(1), content(2)], ["Ann|Cork|new@x.org|mine", "Bob|~|bob@x.org|mine"], "{kind}");
        assert_eq!(written(&world.run(&[], 0)), 0, "{kind}");
        let report = world.syncline(&["verify", "--json"]).ends_with(0).json();
        assert_eq!((&report[0]["passed"], &report[0]["streams"][0]["kept"]), (&json!(true), &json!(2)), "{kind}: {report}");
    }
}

// req: S4-003, FR-003
#[test]
fn a_plan_says_which_fields_were_edited_at_the_destination_and_would_be_written_over() {
    let (from, to, world) = synced("");
    from.execute("UPDATE member SET name = 'Theirs', note = 'new' WHERE id = 1");
    to.execute("UPDATE member SET name = 'Ours', phone = 'kept' WHERE id = 1");
    let plan = world.syncline(&["plan", "--json"]).ends_with(0).json();
    let edited = |name: &str| {
        let fields = plan[0]["changes"][0]["fields"].as_array().unwrap();
        fields.iter().find(|f| f["field"] == name).map(|f| f["edited_at_destination"] == true)
    };
    assert_eq!([edited("name"), edited("note"), edited("phone")], [Some(true), Some(false), None], "{plan}");
    let text = world.syncline(&["plan"]).ends_with(0).stdout;
    let line = text.lines().find(|l| l.contains("Ours")).unwrap();
    assert!(line.contains("edited at the destination"), "{text}");
    assert!(!text.lines().find(|l| l.contains("n1")).unwrap().contains("edited"), "{text}");
    world.run(&[], 0);
    let said = world.syncline(&["conflicts", "last"]).ends_with(0).stdout;
    assert!(said.contains("changed on both sides since the last sync"), "{said}");
}

// rule: R6
// req: S4-003
#[test]
fn bases_of_before_a_time_of_overwriting_never_make_an_edit_of_what_was_overwritten() {
    let (from, to) = (Side::postgres(), Side::postgres());
    from.execute("CREATE TABLE film (id int PRIMARY KEY, title text); INSERT INTO film VALUES (1, 'A'), (2, 'A')");
    let keep = "    edits: keep\n    conflicts: source_wins\n";
    let world = World::between(&from, &to, keep);
    world.run(&[], 0);
    world.configure(&crate::rig::config(&from, &to, ""));
    from.execute("UPDATE film SET title = 'B' WHERE id = 1");
    world.run(&[], 0);
    // Only the source has changed since, and it looks as it did when both sides last agreed with `edits: keep`.
    from.execute("UPDATE film SET title = 'A' WHERE id = 1");
    world.configure(&crate::rig::config(&from, &to, keep));
    world.run(&[], 0);
    assert_eq!(to.content("film", &["id", "title"], "true"), "1|A;2|A");
}
