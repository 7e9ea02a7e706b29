//! Behind PgBouncer in transaction mode, where every transaction may meet another server session.

use syncline_connector::{ConnectionSpec, LateCommitRule, ReadForm};
use syncline_model::Value;
use syncline_testkit::{PgBouncer, Postgres};

use crate::steps::{batch, database, read, request, run_spec, spec, table, write_of};

// case: C15
#[tokio::test]
async fn whole_rounds_work_side_by_side_behind_a_transaction_pooler() {
    let db = database().await;
    db.execute("CREATE TABLE t (id bigint PRIMARY KEY, tags int[], at timestamptz)").await;
    // Sessions that were not pinned would answer in another form.
    db.execute(&format!("ALTER DATABASE {} SET timezone = 'Asia/Tokyo'; ALTER DATABASE {} SET datestyle = 'German'", db.name(), db.name()))
        .await;
    let bouncer = PgBouncer::in_front_of(Postgres::shared()).await;
    let spec = ConnectionSpec { flavor: Some("pgbouncer".into()), ..spec(bouncer.url(&db)) };
    let connector = syncline_postgres::connector();

    let mut sources = Vec::new();
    let mut destination = connector.destination(&spec).await.expect("open a destination");
    for _ in 0..3 {
        sources.push(connector.source(&spec).await.expect("open a source"));
    }
    let t = table(&sources[0].discover().await.expect("discover"), "t");
    let tags = |text: &str| Value::Other { type_name: "integer[]".into(), text: text.into() };
    let rows = vec![vec![Value::I64(1), tags("{1,2}"), Value::TimestampTz(0)], vec![Value::I64(2), Value::Null, Value::TimestampTz(1)]];
    destination.prepare(&[]).await.expect("prepare");
    let mut run = destination.begin(run_spec(write_of(&t))).await.expect("begin");
    assert_eq!(run.stage(0, &batch(&rows)).await.expect("stage"), []);
    run.apply().await.expect("apply");
    run.commit().await.expect("commit");

    let mut snapshots = Vec::new();
    for source in &mut sources {
        snapshots.push(source.snapshot().await.expect("open a snapshot"));
    }
    for snapshot in &mut snapshots {
        assert_eq!(snapshot.observation().rule, LateCommitRule::Overlap { default_s: 600 });
        assert_eq!(read(&mut **snapshot, request(&t, ReadForm::Values)).await, rows);
    }
}

// case: C15
#[tokio::test]
async fn a_pooler_that_nobody_named_is_noticed_before_a_setting_stays_in_it() {
    let db = database().await;
    let bouncer = PgBouncer::in_front_of(Postgres::shared()).await;
    let connector = syncline_postgres::connector();
    let unsaid = spec(bouncer.url(&db));
    for error in [connector.source(&unsaid).await.err(), connector.destination(&unsaid).await.err()] {
        let error = error.expect("refused");
        assert_eq!(error.code, "pooler_unsaid", "{error}");
        assert!(error.hint.is_some_and(|h| h.contains("flavor: pgbouncer")));
    }
    let said = ConnectionSpec { flavor: Some("pgbouncer".into()), ..unsaid };
    connector.source(&said).await.expect("open a source");
}
