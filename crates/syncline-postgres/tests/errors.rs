//! Failures as the caller sees them: kind, code, hint, and never a secret or a value.

use syncline_connector::{ErrorKind, ReadForm};

use crate::steps::{database, destination, discovered, request, source, spec};

async fn refused(url: String) -> syncline_connector::Error {
    syncline_postgres::connector().source(&spec(url)).await.err().expect("refused")
}

#[tokio::test]
async fn connections_that_cannot_work_say_why() {
    let db = database().await;
    let e = refused(db.url_as("syncline", "wrong-password")).await;
    assert_eq!((e.kind, e.code), (ErrorKind::Unauthorized, "auth_failed"));
    assert!(!format!("{e:?}").contains("wrong-password"));
    let e = refused("postgres://syncline:secret@127.0.0.1:1/x".into()).await;
    assert_eq!((e.kind, e.code), (ErrorKind::Unavailable, "connect_refused"));
    let e = refused(db.url().replace(db.name(), "no_such_database")).await;
    assert_eq!((e.kind, e.code), (ErrorKind::Invalid, "database_missing"));
    let e = refused(format!("{}?sslmode=require", db.url())).await;
    assert_eq!(e.kind, ErrorKind::Unavailable, "the server has no TLS: {e:?}");
}

#[tokio::test]
async fn a_missing_right_comes_with_its_grant() {
    let db = database().await;
    db.execute("CREATE TABLE secret_table (id int PRIMARY KEY)").await;
    let table = discovered(&db, "secret_table").await;
    let role = format!("nobody_{}", db.name());
    db.as_admin().execute(&format!("CREATE ROLE {role} LOGIN PASSWORD 'secret'")).await;
    let mut source = source(db.url_as(&role, "secret")).await;
    let findings = source.check(std::slice::from_ref(&table.name)).await.unwrap();
    let advice = findings.iter().find(|f| f.code == "rights_missing").and_then(|f| f.advice.clone()).unwrap();
    assert_eq!(advice, format!("GRANT SELECT ON \"public\".\"secret_table\" TO \"{role}\""));

    let mut snapshot = source.snapshot().await.unwrap();
    let mut stream = snapshot.read(request(&table, ReadForm::Values)).await.unwrap();
    let e = stream.next().await.unwrap_err();
    assert_eq!((e.kind, e.code), (ErrorKind::Unauthorized, "rights_missing"));
    assert!(e.hint.unwrap().contains("GRANT SELECT ON secret_table"));
}

#[tokio::test]
async fn a_session_that_the_server_ends_is_unavailable_and_the_listing_is_not_complete() {
    let db = database().await;
    db.execute("CREATE TABLE t (id int PRIMARY KEY, s text); INSERT INTO t SELECT i, repeat('x', 1000) FROM generate_series(1, 20000) i")
        .await;
    let table = discovered(&db, "t").await;
    let mut snapshot = source(db.url()).await.snapshot().await.unwrap();
    let mut stream = snapshot.read(request(&table, ReadForm::Values)).await.unwrap();
    stream.next().await.unwrap().expect("a first batch");
    db.as_admin()
        .execute(&format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}' AND pid <> pg_backend_pid()",
            db.name()
        ))
        .await;
    let error = loop {
        match stream.next().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("a cut listing must not look complete"),
            Err(e) => break e,
        }
    };
    assert_eq!(error.kind, ErrorKind::Unavailable, "{error:?}");
}

#[tokio::test]
async fn a_source_refuses_to_write_by_every_path() {
    let db = database().await;
    db.execute("CREATE TABLE t (id int PRIMARY KEY)").await;
    db.execute("CREATE FUNCTION sneak() RETURNS int LANGUAGE sql AS 'INSERT INTO t VALUES (1) RETURNING id'").await;
    let mut source = source(db.url()).await;
    let e = source.query_values("SELECT sneak()").await.unwrap_err();
    assert_eq!((e.kind, e.code), (ErrorKind::Unavailable, "server_read_only"));
    for trick in ["SELECT 1) AS q(c); COMMIT; DELETE FROM t; SELECT (1", "INSERT INTO t VALUES (1) RETURNING id"] {
        source.query_values(trick).await.unwrap_err();
    }
    assert_eq!(db.scalar("SELECT count(*) FROM t").await, "0");
    // And the session still works.
    assert_eq!(source.query_values("SELECT 7 -- seven").await.unwrap(), [syncline_model::Value::I64(7)]);
}

#[tokio::test]
async fn messages_name_constraints_and_never_values() {
    let db = database().await;
    let mut destination = destination(db.url()).await;
    let statements = ["CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (4711)", "INSERT INTO t VALUES (4711)"];
    let e = destination.prepare(&statements.map(str::to_owned)).await.unwrap_err();
    assert_eq!((e.kind, e.code), (ErrorKind::BadRecord, "unique_taken"));
    assert!(e.message.contains("t_pkey") && !format!("{e:?}").contains("4711"));
    assert_eq!(db.scalar("SELECT to_regclass('t') IS NULL").await, "t", "schema changes go together or not at all");
}
