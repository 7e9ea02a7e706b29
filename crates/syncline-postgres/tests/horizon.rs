//! What a source sees of open transactions.

use syncline_connector::{LateCommitRule, Observation};
use syncline_testkit::Database;
use tokio_postgres::NoTls;

use crate::steps::{database, source};

/// A session of its own that stays open, with the connection driven beside it.
async fn session(url: &str) -> (tokio_postgres::Client, tokio::task::JoinSet<()>) {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("connect");
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move { connection.await.unwrap_or(()) });
    (client, tasks)
}

async fn observe(url: String) -> Observation {
    source(url).await.snapshot().await.expect("open a snapshot").observation().clone()
}

async fn ordinary_role(db: &Database) -> String {
    let role = format!("reader_{}", db.name());
    db.as_admin().execute(&format!("CREATE ROLE {role} LOGIN PASSWORD 'secret'")).await;
    db.url_as(&role, "secret")
}

// rule: R5
#[tokio::test]
async fn an_ordinary_role_sees_a_transaction_before_its_first_write() {
    let db = database().await;
    db.execute("CREATE TABLE t (id int PRIMARY KEY, at timestamptz DEFAULT now())").await;
    let role = ordinary_role(&db).await;
    let (slow, _tasks) = session(&db.admin_url()).await;
    slow.batch_execute("BEGIN; SELECT now()").await.unwrap();

    let before = observe(role.clone()).await;
    assert_eq!((before.rule, before.mark), (LateCommitRule::Observations, None));
    let open = before.open.first().expect("the slow transaction is seen though it has no transaction id").clone();
    slow.batch_execute("INSERT INTO t VALUES (1)").await.unwrap();
    let during = observe(role.clone()).await;
    assert!(during.open.contains(&open), "its identity stays the same once it writes");
    slow.batch_execute("COMMIT").await.unwrap();
    let after = observe(role).await;
    assert!(!after.open.contains(&open));
    assert!(before.at <= during.at && during.at <= after.at);
}

// rule: R5
#[tokio::test]
async fn with_the_right_the_mark_is_before_the_oldest_open_transaction() {
    let db = database().await;
    let (slow, _tasks) = session(&db.url()).await;
    slow.batch_execute("BEGIN; SELECT now()").await.unwrap();
    let start = slow.query_one("SELECT (extract(epoch FROM now()) * 1000000)::bigint", &[]).await.unwrap().get::<_, i64>(0);
    let seen = observe(db.admin_url()).await;
    assert_eq!(seen.rule, LateCommitRule::StartTimes);
    assert!(seen.mark.is_some_and(|m| m < start), "{seen:?}");
    slow.batch_execute("COMMIT").await.unwrap();
}

// rule: R5
#[tokio::test]
async fn check_names_the_rule_and_prints_the_grant() {
    let db = database().await;
    let role = ordinary_role(&db).await;
    let findings = source(role).await.check(&[]).await.unwrap();
    let late = findings.iter().find(|f| f.code == "late_commits").unwrap();
    assert!(late.advice.as_ref().is_some_and(|a| a.starts_with("GRANT pg_read_all_stats")));
}
