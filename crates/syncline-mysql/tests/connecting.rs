//! Opening connections, and what is said when that fails.

use syncline_connector::{Connector as _, ErrorKind, Severity};
use syncline_mysql::Mysql;
use syncline_testkit::Mariadb;

use crate::world::{destination, fresh, source, spec};

#[tokio::test]
async fn a_wrong_password_a_missing_database_and_a_bad_url_are_told_apart() {
    let db = fresh("").await;
    let open = |url: String| async move { Mysql.source(&spec(&url)).await.err().expect("an error") };
    let e = open(db.url_as("syncline", "wrong")).await;
    assert_eq!((e.kind, e.code), (ErrorKind::Unauthorized, "auth_failed"));
    let e = open(db.admin_url().replace(db.name(), "no_such_database")).await;
    assert_eq!((e.kind, e.code), (ErrorKind::Invalid, "database_missing"));
    let e = open("mysql://nobody".replace("://", ":/")).await;
    assert_eq!((e.kind, e.code), (ErrorKind::Invalid, "url_invalid"));
    let e = open("mysql://u:p@127.0.0.1:1/x".to_owned()).await;
    assert_eq!((e.kind, e.code), (ErrorKind::Unavailable, "connect_refused"));
}

#[tokio::test]
async fn no_error_shows_the_password() {
    let db = fresh("").await;
    let e = Mysql.source(&spec(&db.url_as("syncline", "hunter2-canary"))).await.err().expect("an error");
    let mut text = format!("{e} {e:?}");
    let mut cause = std::error::Error::source(&e);
    while let Some(c) = cause {
        text += &format!("{c} {c:?}");
        cause = c.source();
    }
    assert!(!text.contains("canary"), "{text}");
}

#[tokio::test]
async fn a_lost_server_is_unavailable_in_the_middle_of_a_read() {
    let server = Mariadb::private();
    let db = server.database().await;
    db.execute("CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(1000)); INSERT INTO t SELECT seq, REPEAT('x', 1000) FROM seq_1_to_20000")
        .await;
    let table = crate::world::table(&db, "t").await;
    let mut view = crate::world::snapshot(&db).await;
    let mut request = crate::world::request(&table);
    request.batch_bytes = 10_000;
    let mut stream = view.read(request).await.expect("read");
    stream.next().await.expect("first").expect("rows");
    server.kill();
    let error = loop {
        match stream.next().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("a cut listing must not look complete"),
            Err(e) => break e,
        }
    };
    assert_eq!((error.kind, error.code), (ErrorKind::Unavailable, "connection_lost"));
}

#[tokio::test]
async fn a_server_has_one_identity_per_database() {
    let (a, b) = (fresh("").await, fresh("").await);
    let first = source(&a).await.identity().await.expect("identity");
    assert_eq!(first, destination(&a).await.identity().await.expect("identity"));
    assert_ne!(first, source(&b).await.identity().await.expect("identity"));
    assert!(source(&a).await.capabilities().version.starts_with("MariaDB 10."));
}

#[tokio::test]
async fn check_names_missing_tables_rights_and_engines() {
    let db = fresh("CREATE TABLE m (id INT PRIMARY KEY) ENGINE=MyISAM; CREATE TABLE z (id INT PRIMARY KEY, d DATE)").await;
    let poor = format!("poor_{}", db.name());
    db.as_admin()
        .execute(&format!("CREATE USER '{poor}'@'%' IDENTIFIED BY 'secret'; GRANT SELECT, INSERT ON {}.* TO '{poor}'@'%'", db.name()))
        .await;
    let spec = spec(&db.url_as(&poor, "secret"));
    let mut there = Mysql.destination(&spec).await.expect("connect");
    let missing = syncline_model::TableName::bare("gone");
    let found = there.check(&[missing, syncline_model::TableName::bare("m")]).await.expect("check");
    let problem = |code: &str| found.iter().find(|f| f.code == code).unwrap_or_else(|| panic!("{code} in {found:?}"));
    assert_eq!(problem("table_missing").severity, Severity::Problem);
    assert!(problem("staging_denied").advice.as_ref().expect("advice").contains("GRANT CREATE TEMPORARY TABLES"));
    assert!(problem("table_non_transactional").advice.as_ref().expect("advice").contains("ENGINE=InnoDB"));
    assert!(problem("bookkeeping_missing").advice.as_ref().expect("advice").contains("CREATE TABLE"));
}

#[tokio::test]
async fn missing_rights_come_with_the_grant() {
    let db = fresh("CREATE TABLE t (id INT PRIMARY KEY); CREATE TABLE u (id INT PRIMARY KEY)").await;
    let poor = format!("narrow_{}", db.name());
    db.as_admin()
        .execute(&format!("CREATE USER '{poor}'@'%' IDENTIFIED BY 'secret'; GRANT SELECT ON {}.u TO '{poor}'@'%'", db.name()))
        .await;
    let table = crate::world::table(&db, "t").await;
    let mut there = Mysql.source(&spec(&db.url_as(&poor, "secret"))).await.expect("connect");
    let mut view = there.snapshot().await.expect("a snapshot");
    let mut stream = view.read(crate::world::request(&table)).await.expect("planned");
    let e = stream.next().await.expect_err("denied");
    assert_eq!((e.kind, e.code), (ErrorKind::Unauthorized, "grant_missing"));
    assert!(e.hint.expect("a hint").contains("GRANT SELECT"));
}
