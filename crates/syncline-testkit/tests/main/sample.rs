//! The sample databases load whole.

use syncline_testkit::{Mariadb, chinook_path, load_sakila};

#[tokio::test]
async fn sakila_loads_whole_into_any_database() {
    let db = Mariadb::shared().database().await;
    load_sakila(&db).await;
    let tables = "SELECT count(*) FROM information_schema.tables WHERE table_schema = database() AND table_type = 'BASE TABLE'";
    assert_eq!(db.scalar(tables).await, "16");
    assert_eq!(db.scalar("SELECT count(*) FROM rental").await, "16044");
    assert_eq!(db.scalar("SELECT count(*) FROM film_text").await, "1000", "triggers fill it");
    assert_eq!(db.scalar("SELECT count(*) FROM information_schema.triggers WHERE trigger_schema = database()").await, "6");
    let tables =
        db.query("SELECT table_name FROM information_schema.tables WHERE table_schema = database() AND table_type = 'BASE TABLE'").await;
    let counts: Vec<String> = tables.iter().flatten().flatten().map(|table| format!("(SELECT count(*) FROM {table})")).collect();
    assert_eq!(db.scalar(&format!("SELECT {}", counts.join(" + "))).await, "47273");
}

#[test]
fn chinook_opens_with_all_its_tables() {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let conn = rusqlite::Connection::open_with_flags(chinook_path(), flags).unwrap();
    let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_schema WHERE type = 'table'", [], |row| row.get(0)).unwrap();
    let tracks: i64 = conn.query_row("SELECT count(*) FROM Track", [], |row| row.get(0)).unwrap();
    assert_eq!((tables, tracks), (11, 3503));
}
