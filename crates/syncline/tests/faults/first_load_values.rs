//! First loads in parts of rows that SQL cannot compare with the source, or that a run does not compare (R18).

use crate::first_load::{IN_PARTS, books, broken, count, edit, fill, is_equal, kept_and_read, user_tables};
use crate::rig::{Side, World};

const KINDS: [&str; 3] = ["postgres", "mysql", "sqlite"];

fn destination(kind: &str, folder: &tempfile::TempDir) -> Side {
    match kind {
        "postgres" => Side::postgres(),
        "mysql" => Side::mariadb(),
        _ => Side::sqlite(folder.path(), "to.db"),
    }
}

/// Parts of the first table have landed, and nothing of it has its name.
#[track_caller]
fn half_landed(dest: &Side) {
    assert_eq!(user_tables(dest), ["account__syncline_load"]);
    assert_eq!(count(dest, "account__syncline_load"), 110);
}

// rule: R18
// case: A5
#[test]
fn computed_values_are_loaded_in_parts_and_only_rows_that_changed_are_written_again() {
    for kind in KINDS {
        let folder = tempfile::tempdir().expect("a folder");
        let (source, dest) = (Side::postgres(), destination(kind, &folder));
        fill(&source);
        let options = "    streams: { account: { fields: { name: \"<{{ name }}>\" } }, entry: {} }\n";
        let world = World::between(&source, &dest, &format!("{IN_PARTS}{options}"));
        broken(&world, "load.range=abort@12");
        half_landed(&dest);
        let written =
            |table: &str| dest.value(&format!("SELECT string_agg(xmin::text, ',' ORDER BY id) FROM {table} WHERE id BETWEEN 30 AND 90"));
        let before = if kind == "postgres" { written("account__syncline_load") } else { String::new() };
        edit(&source);
        for fault in ["load.compare=abort", "load.repair=abort", "load.landed=abort", "load.landed=abort@5", "commit.intent=abort"] {
            broken(&world, fault);
            source.execute("UPDATE account SET amount = amount + 1 WHERE id = 12");
        }
        let report = world.run(&[], 0);
        let rows = count(&source, "account");
        assert_eq!(books(&report, "account"), [rows, rows, rows, 0], "{kind}: {report:#}");
        let all = &["id", "amount"][..];
        assert_eq!(source.content("account", all, "1 = 1"), dest.content("account", all, "1 = 1"), "{kind}");
        let made = source.content("account", &["'<' || name || '>'"], "1 = 1");
        assert_eq!(made, dest.content("account", &["name"], "1 = 1"), "{kind}");
        if kind == "postgres" {
            assert_eq!(written("account"), before, "rows that were equal were left alone");
        }
        let again = world.run(&[], 0);
        assert_eq!([&again["books"]["created"], &again["books"]["updated"], &again["books"]["deleted"]], [0, 0, 0], "{kind}");
    }
}

// rule: R18
#[test]
fn a_load_of_computed_values_starts_again_when_a_row_that_landed_is_to_be_set_aside() {
    for kind in KINDS {
        let folder = tempfile::tempdir().expect("a folder");
        let (source, dest) = (Side::postgres(), destination(kind, &folder));
        source.execute(
            "CREATE TABLE account (id int PRIMARY KEY, mail text NOT NULL, tag text);
             INSERT INTO account SELECT i, 'p' || i || '@example.org', 't' || i FROM generate_series(1, 300) i",
        );
        let streams = "    validate: true\n    streams: { account: { fields: { mail: { type: email }, tag: \"<{{ tag }}>\" } } }\n";
        let world = World::between(&source, &dest, &format!("{IN_PARTS}{streams}"));
        broken(&world, "load.range=abort@12");
        half_landed(&dest);
        source.execute("UPDATE account SET mail = 'nobody' WHERE id IN (5, 180)");
        let report = world.run(&[], 3);
        assert_eq!(books(&report, "account"), [300, 300, 298, 2], "{kind}: {report:#}");
        assert_eq!(dest.value("SELECT count(*) FROM account WHERE tag LIKE '<t%>' AND id NOT IN (5, 180)"), "298", "{kind}");
        assert_eq!(count(&dest, "account"), 298, "{kind}");
    }
}

// rule: R18, R34
#[test]
fn fields_that_runs_do_not_compare_are_compared_when_a_load_goes_on() {
    for kind in KINDS {
        let folder = tempfile::tempdir().expect("a folder");
        let (source, dest) = (Side::postgres(), destination(kind, &folder));
        fill(&source);
        let options = "    streams: { account: { fields: { amount: { from: amount, compare: false } } }, entry: {} }\n";
        let world = World::between(&source, &dest, &format!("{IN_PARTS}{options}"));
        broken(&world, "load.range=abort@12");
        half_landed(&dest);
        source.execute("UPDATE account SET amount = 77 WHERE id IN (5, 200)");
        let report = world.run(&[], 0);
        assert_eq!(kept_and_read(&report, "account"), Some((109, 191)), "{kind}: {report:#}");
        is_equal(&source, &dest);
    }
}

// rule: R18
#[test]
fn a_stamp_is_set_on_every_row_of_a_load_that_was_killed_and_gone_on_with() {
    for kind in KINDS {
        let folder = tempfile::tempdir().expect("a folder");
        let (source, dest) = (Side::postgres(), destination(kind, &folder));
        fill(&source);
        let world = World::between(&source, &dest, &format!("{IN_PARTS}    stamp: synced_at\n"));
        broken(&world, "load.range=abort@12");
        half_landed(&dest);
        edit(&source);
        let report = world.run(&[], 0);
        assert!(kept_and_read(&report, "account").is_some_and(|(kept, _)| kept > 100), "{kind}: {report:#}");
        is_equal(&source, &dest);
        for table in ["account", "entry"] {
            assert_eq!(dest.value(&format!("SELECT count(*) FROM {table} WHERE synced_at IS NULL")), "0", "{kind} {table}");
        }
    }
}
