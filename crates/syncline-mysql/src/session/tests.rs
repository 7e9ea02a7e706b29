//! Staging tables where they are ordinary ones, as on MySQL.

use syncline_connector::{ConnectionSpec, Role};
use syncline_testkit::{Database, Mariadb};

use super::*;
use crate::flavour::Product;

async fn site(db: &Database) -> Site {
    let spec = ConnectionSpec { name: "to".into(), url: db.url().into(), schema: None, flavor: None, memory: 64 << 20 };
    crate::connect::open(&spec, Role::Destination).await.expect("a connection").0
}

/// A session that takes this server for a MySQL 8.
async fn as_mysql(site: &Site) -> Session {
    let flavour = Flavour { product: Product::Mysql, ..site.flavour.clone() };
    Session::open_as(site, flavour).await.expect("a session")
}

/// Makes a staging table as an apply would, and gives its name.
async fn stage(session: &mut Session) -> String {
    let mut conn = session.site.connect().await.expect("a connection");
    let catalog = crate::discover::catalog(&mut conn, &session.site).await.expect("the catalogue");
    let name = session.dialect.staging_table(&catalog.tables[0], "syncline_rows_0");
    let sql = session.dialect.staging_ddl(&name, &[], &[]).remove(0);
    assert!(!sql.contains("TEMPORARY"), "{sql}");
    session.execute(&sql).await.expect("made");
    name
}

async fn left(db: &Database) -> usize {
    db.query("SHOW TABLES LIKE 'syncline_rows%'").await.len()
}

// rule: R19
// case: A5
#[tokio::test]
async fn staging_tables_of_a_killed_session_are_dropped_by_the_next_one_and_those_of_a_living_one_stay() {
    let db = Mariadb::shared().database().await;
    db.execute("CREATE TABLE film (id int PRIMARY KEY); CREATE TABLE syncline_rows_0_mine (id int)").await;
    let site = site(&db).await;
    let (mut living, mut dying) = (as_mysql(&site).await, as_mysql(&site).await);
    let kept = stage(&mut living).await;
    let lost = stage(&mut dying).await;
    assert_ne!(kept, lost);
    let id = dying.conn.id();
    db.as_admin().execute(&format!("KILL {id}")).await;
    while db.as_admin().scalar(&format!("SELECT count(*) FROM information_schema.processlist WHERE id = {id}")).await != "0" {}
    assert_eq!(left(&db).await, 3);
    let mut next = as_mysql(&site).await;
    assert_eq!(left(&db).await, 2, "the user's own table and that of the session that lives");
    living.execute(&format!("INSERT INTO {kept} VALUES (1)")).await.expect("it is there");
    assert_ne!(stage(&mut next).await, kept);
    let catalog = crate::discover::catalog(&mut site.connect().await.expect("a connection"), &site).await.expect("the catalogue");
    assert_eq!(catalog.tables.len(), 1, "staging tables are nobody's stream");
}
