//! The proxy passes everything until told to lose something, and then loses exactly that.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use syncline_testkit::{Database, Mariadb, Postgres, Proxy};

/// A client of MariaDB: one connection that shows at once when it is cut.
async fn connect(db: &Database, proxy: &Proxy) -> Result<mysql_async::Conn, mysql_async::Error> {
    mysql_async::Conn::from_url(db.url_on(proxy.port())).await
}

async fn proxied() -> (Database, Proxy) {
    let server = Mariadb::shared();
    (server.database().await, Proxy::in_front_of(server.port()))
}

async fn one(conn: &mut mysql_async::Conn) -> Result<Option<i32>, mysql_async::Error> {
    conn.query_first("SELECT 1").await
}

#[tokio::test]
async fn a_cut_closes_current_connections_and_new_ones_work() {
    let (db, proxy) = proxied().await;
    let mut conn = connect(&db, &proxy).await.unwrap();
    assert_eq!(one(&mut conn).await.unwrap(), Some(1));
    proxy.cut();
    assert!(one(&mut conn).await.is_err());
    assert_eq!(proxy.cuts(), 1);
    assert_eq!(one(&mut connect(&db, &proxy).await.unwrap()).await.unwrap(), Some(1));
}

#[tokio::test]
async fn a_cut_after_bytes_lets_exactly_those_pass() {
    let (db, proxy) = proxied().await;
    let mut conn = connect(&db, &proxy).await.unwrap();
    proxy.cut_after_bytes(100_000);
    let half: Option<String> = conn.query_first("SELECT repeat('x', 50000)").await.unwrap();
    assert_eq!(half.unwrap().len(), 50_000);
    let over: Result<Option<String>, _> = conn.query_first("SELECT repeat('x', 50000)").await;
    assert!(over.is_err());
    assert_eq!(proxy.cuts(), 1);
    assert_eq!(one(&mut connect(&db, &proxy).await.unwrap()).await.unwrap(), Some(1), "the cut happens once");
}

#[tokio::test]
async fn a_held_connection_is_silent_until_restored() {
    let (db, proxy) = proxied().await;
    let mut conn = connect(&db, &proxy).await.unwrap();
    proxy.hold();
    let query = one(&mut conn);
    tokio::pin!(query);
    assert!(tokio::time::timeout(Duration::from_millis(50), &mut query).await.is_err(), "nothing passes while held");
    proxy.restore();
    assert_eq!(query.await.unwrap(), Some(1));
}

#[tokio::test]
async fn a_refusing_proxy_refuses_until_restored() {
    let (db, proxy) = proxied().await;
    let mut conn = connect(&db, &proxy).await.unwrap();
    proxy.refuse();
    assert!(one(&mut conn).await.is_err());
    let refused = std::net::TcpStream::connect(("127.0.0.1", proxy.port())).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    proxy.restore();
    assert_eq!(one(&mut connect(&db, &proxy).await.unwrap()).await.unwrap(), Some(1));
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_committed_all_the_same() {
    let (db, proxy) = proxied().await;
    db.execute("CREATE TABLE t (id int PRIMARY KEY)").await;
    let mut conn = connect(&db, &proxy).await.unwrap();
    conn.query_drop("START TRANSACTION").await.unwrap();
    conn.query_drop("INSERT INTO t VALUES (1)").await.unwrap();
    proxy.lose_answer_to("COMMIT");
    assert!(conn.query_drop("COMMIT").await.is_err());
    assert_eq!(db.scalar("SELECT count(*) FROM t").await, "1");
}

#[tokio::test]
async fn a_lost_answer_works_for_postgres_too() {
    let server = Postgres::shared();
    let (db, proxy) = (server.database().await, Proxy::in_front_of(server.port()));
    db.execute("CREATE TABLE t (id int PRIMARY KEY)").await;
    let (client, connection) = tokio_postgres::connect(&db.url_on(proxy.port()), tokio_postgres::NoTls).await.unwrap();
    proxy.lose_answer_to("COMMIT");
    let (committed, _ended) = tokio::join!(client.batch_execute("BEGIN; INSERT INTO t VALUES (1); COMMIT"), connection);
    assert!(committed.is_err());
    assert_eq!(db.scalar("SELECT count(*) FROM t").await, "1");
}
