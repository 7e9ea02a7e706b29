//! Two real databases: Sakila from MariaDB into an empty PostgreSQL, Chinook from SQLite to both servers and back.

use syncline_testkit::load_sakila;

use crate::rig::{Side, World, wait};
use crate::same::{assert_same, rows};
use crate::written;

/// Sakila's tables, with the number of columns at their front that make the key, and their rows.
const SAKILA: [(&str, usize, usize); 16] = [
    ("actor", 1, 200),
    ("address", 1, 603),
    ("category", 1, 16),
    ("city", 1, 600),
    ("country", 1, 109),
    ("customer", 1, 599),
    ("film", 1, 1000),
    ("film_actor", 2, 5462),
    ("film_category", 2, 1000),
    ("film_text", 1, 1000),
    ("inventory", 1, 4581),
    ("language", 1, 6),
    ("payment", 1, 16049),
    ("rental", 1, 16044),
    ("staff", 1, 2),
    ("store", 1, 2),
];

/// A manager of a store that is his own: either row needs the other one first, and none may be NULL.
const NEW_PAIR: &str = "SET foreign_key_checks = 0;
    INSERT INTO store (store_id, manager_staff_id, address_id) VALUES (3, 3, 5);
    INSERT INTO staff (staff_id, first_name, last_name, address_id, picture, email, store_id, active, username, password)
      VALUES (3, 'Zoë', 'O''Neil', 6, x'00FF0A5C27', NULL, 3, 0, 'zoë', NULL);
    SET foreign_key_checks = 1;";

const EDITS: &str = "
    UPDATE film SET rating = 'NC-17', special_features = 'Trailers,Behind the Scenes', release_year = 1901, rental_rate = 0.01 WHERE film_id = 1;
    UPDATE film SET rating = NULL, special_features = NULL, release_year = NULL, original_language_id = 2 WHERE film_id = 2;
    UPDATE film SET special_features = '', description = '', title = 'Ça va? 100% \"quoted\" \\\\ \t tab' WHERE film_id = 3;
    UPDATE staff SET picture = NULL WHERE staff_id = 1;
    UPDATE staff SET picture = x'' WHERE staff_id = 2;
    UPDATE payment SET amount = 999.99, rental_id = NULL WHERE payment_id = 10;
    UPDATE customer SET email = NULL, active = 0 WHERE customer_id BETWEEN 5 AND 9;
    INSERT INTO actor (actor_id, first_name, last_name) VALUES (60001, 'NEW', 'FACE');
    INSERT INTO film_actor (actor_id, film_id) VALUES (60001, 1), (60001, 2);
    DELETE FROM film_actor WHERE actor_id = 1 AND film_id = 1;
    DELETE FROM payment WHERE payment_id BETWEEN 100 AND 120;
    UPDATE category SET category_id = 99 WHERE category_id = 16;
    DELETE FROM rental WHERE rental_id = 16049 AND NOT EXISTS (SELECT 1 FROM payment p WHERE p.rental_id = 16049);";

fn assert_sakila_same(from: &Side, to: &Side) {
    for (table, key, _) in SAKILA {
        assert_same(from, to, table, key);
    }
}

// req: FR-002, FR-003, FR-004, S3-FULL, S3-RESULT, S2-A1
// rule: R23
#[test]
fn sakila_goes_into_an_empty_postgresql_stays_the_same_follows_edits_of_every_kind_and_comes_back_by_undo() {
    let (from, to) = (Side::mariadb(), Side::postgres());
    wait(load_sakila(from.database()));
    let tables = SAKILA.map(|(name, _, _)| format!("      {name}: {{}}\n")).concat();
    let world = World::between(&from, &to, &format!("    deletes: mirror\n    owns: table\n    streams:\n{tables}"));
    let run = world.run(&[], 0);
    assert_eq!(run["status"], "succeeded");
    assert_eq!(run["books"]["created"], SAKILA.iter().map(|t| t.2 as u64).sum::<u64>());
    for (table, key, count) in SAKILA {
        assert_eq!(assert_same(&from, &to, table, key), count, "{table}");
    }
    let again = world.run(&[], 0);
    assert_eq!(written(&again), 0, "{again}");
    let before: Vec<_> = SAKILA.iter().map(|(t, k, _)| rows(&to, t, *k)).collect();

    from.execute(NEW_PAIR);
    from.execute(EDITS);
    let run = world.run(&[], 0);
    assert!(written(&run) >= 40, "{run}");
    assert_sakila_same(&from, &to);
    assert_eq!(written(&world.run(&[], 0)), 0);

    let number = run["number"].to_string();
    world.syncline(&["undo", &number]).ends_with(0);
    let after: Vec<_> = SAKILA.iter().map(|(t, k, _)| rows(&to, t, *k)).collect();
    for ((table, _, _), (a, b)) in SAKILA.iter().zip(before.iter().zip(&after)) {
        assert_eq!(a, b, "{table} after undo");
    }
}

/// Chinook's tables and their key columns.
const CHINOOK: [(&str, usize); 11] = [
    ("Album", 1),
    ("Artist", 1),
    ("Customer", 1),
    ("Employee", 1),
    ("Genre", 1),
    ("Invoice", 1),
    ("InvoiceLine", 1),
    ("MediaType", 1),
    ("Playlist", 1),
    ("PlaylistTrack", 2),
    ("Track", 1),
];

fn there_and_back(server: &Side) {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::copy(syncline_testkit::chinook_path(), folder.path().join("chinook.db")).expect("copied");
    let chinook = Side::File(folder.path().join("chinook.db"));
    let there = World::between(&chinook, server, "");
    assert_eq!(there.run(&[], 0)["status"], "succeeded");
    for (table, key) in CHINOOK {
        assert_same(&chinook, server, table, key);
    }
    assert_eq!(written(&there.run(&[], 0)), 0);
    let copy = Side::sqlite(folder.path(), "back.db");
    let back = World::between(server, &copy, "");
    assert_eq!(back.run(&[], 0)["status"], "succeeded");
    for (table, key) in CHINOOK {
        assert!(assert_same(&chinook, &copy, table, key) > 0, "{table}");
    }
    assert_eq!(written(&back.run(&[], 0)), 0);
}

// req: FR-003, FR-004
// rule: R10
#[test]
fn chinook_goes_to_postgresql_and_back_into_a_new_file_with_nothing_changed() {
    there_and_back(&Side::postgres());
}

// req: FR-003, FR-004
// rule: R10
#[test]
fn chinook_goes_to_mariadb_and_back_into_a_new_file_with_nothing_changed() {
    there_and_back(&Side::mariadb());
}
