//! The staged apply on PostgreSQL: which rows are touched, what is kept for `undo`, and what a refused row costs.

use syncline_connector::{Applied, RunSpec, StreamWrite};
use syncline_model::{Table, Value};
use syncline_testkit::Database;

use crate::steps::{batch, copy_into, database, destination, discovered, run_spec, write_of};

fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

/// One line of a query's answer per row.
async fn said(db: &Database, sql: &str) -> Vec<String> {
    let line = |row: Vec<Option<String>>| row.into_iter().map(|c| c.unwrap_or_else(|| "-".into())).collect::<Vec<_>>().join("|");
    db.query(sql).await.into_iter().map(line).collect()
}

/// A run that keeps before-images.
async fn keeping(db: &Database, name: &str, undo_rows_max: u64, streams: Vec<(StreamWrite, Vec<Vec<Value>>, Vec<i64>)>) -> Applied {
    let mut to = destination(db.url()).await;
    to.prepare(&[]).await.expect("prepare");
    let mut spec = run_spec(streams[0].0.clone());
    spec.marker.run = name.into();
    let spec = RunSpec { streams: streams.iter().map(|s| s.0.clone()).collect(), undo_rows_max, ..spec };
    let mut run = to.begin(spec).await.expect("begin");
    for (at, (_, rows, gone)) in streams.iter().enumerate() {
        if !rows.is_empty() {
            assert_eq!(run.stage(at, &batch(rows)).await.expect("stage"), [], "every row fits");
        }
        if !gone.is_empty() {
            let keys: Vec<Vec<Value>> = gone.iter().map(|k| vec![Value::I64(*k)]).collect();
            run.stage_deletes(at, &batch(&keys)).await.expect("stage deletions");
        }
    }
    let applied = run.apply().await.expect("apply");
    run.commit().await.expect("commit");
    applied
}

/// Undoes run `name` of the streams; what was refused.
async fn undo(db: &Database, name: &str, tables: &[&Table]) -> Vec<(&'static str, Value)> {
    let streams: Vec<StreamWrite> = tables.iter().map(|t| write_of(t)).collect();
    let mut spec = run_spec(streams[0].clone());
    spec.marker.run = format!("{name} undone");
    let mut run = destination(db.url()).await.begin(RunSpec { streams, ..spec }).await.expect("begin");
    let mut refused = Vec::new();
    for at in 0..tables.len() {
        let rejects = run.stage_undo(at, name).await.expect("stage the undoing");
        refused.extend(rejects.into_iter().map(|r| (r.code, r.row[0].clone())));
    }
    run.apply().await.expect("apply");
    run.commit().await.expect("commit");
    refused
}

const PLACES: &str = "SELECT id, ctid, xmin FROM t WHERE n = 0 ORDER BY id";

// rule: R16, R17
#[tokio::test]
async fn of_many_equal_rows_only_the_few_that_differ_are_checked_and_written() {
    let db = database().await;
    db.execute("CREATE TABLE t (id bigint PRIMARY KEY, n int NOT NULL); INSERT INTO t SELECT i, 0 FROM generate_series(1, 3000) i").await;
    // Rows that are there already break a rule that is younger than they are.
    db.execute("ALTER TABLE t ADD CONSTRAINT odd CHECK (id <> 77) NOT VALID").await;
    let table = discovered(&db, "t").await;
    let mut rows: Vec<Vec<Value>> = (1..=3000).map(|i| vec![Value::I64(i), Value::I64(i64::from(i % 1000 == 5))]).collect();
    rows.push(vec![Value::I64(4000), Value::I64(0)]);
    // The last of two with one key counts, also where only the first differs, or only the last.
    rows.push(vec![Value::I64(10), Value::I64(9)]);
    rows.push(vec![Value::I64(10), Value::I64(0)]);
    rows.push(vec![Value::I64(20), Value::I64(9)]);
    rows.push(vec![Value::I64(4001), Value::Null]);
    let before = said(&db, PLACES).await;
    let applied = keeping(&db, "r1", 1000, vec![(write_of(&table), rows, vec![])]).await;
    let o = &applied.outcomes[0];
    assert_eq!((o.staged, o.created, o.updated, o.merged), (3005, 1, 4, 3));
    assert_eq!(o.rejects.iter().map(|r| (r.code, r.row[0].clone())).collect::<Vec<_>>(), [("not_null", Value::I64(4001))]);
    assert_eq!(o.unchanged, 3005 - 1 - 4 - 3 - 1);
    assert_eq!(said(&db, "SELECT id, n FROM t WHERE n <> 0 ORDER BY id").await, ["5|1", "20|9", "1005|1", "2005|1"]);
    let untouched: Vec<String> = before.into_iter().filter(|r| !["5|", "20|", "1005|", "2005|"].iter().any(|k| r.starts_with(k))).collect();
    assert_eq!(said(&db, "SELECT id, ctid, xmin FROM t WHERE n = 0 AND id < 4000 ORDER BY id").await, untouched);
    assert_eq!(said(&db, "SELECT op, count(*) FROM syncline_before GROUP BY op ORDER BY op").await, ["C|1", "U|4"]);
    assert_eq!(undo(&db, "r1", &[&table]).await, []);
    assert_eq!(said(&db, "SELECT count(*), sum(n) FROM t").await, ["3000|0"]);
}

/// One row of every kind of value whose text or order could betray it.
const KINDS: &str = "CREATE TABLE t (id bigint PRIMARY KEY, f float8, g float4, d numeric, e numeric(9,2), name text, c char(4), b bytea, \
     at timestamptz, span interval, j json, k jsonb, list text[], r int4range, u uuid, x text COLLATE \"C\")";

// rule: R28
#[tokio::test]
async fn images_kept_by_the_writing_statements_give_every_value_back() {
    let db = database().await;
    db.execute(&format!(
        "{KINDS}; INSERT INTO t SELECT i, (ARRAY[0.1::float8 + 0.2, '-0', 'NaN', 'Infinity', 5e-324])[1 + i % 5], 16777217.0 / i, \
         (ARRAY[1.10, 1.1, 'NaN'::numeric, 1e100])[1 + i % 4], 1.5, (ARRAY['', NULL, '{{\"\\\\', 'NULL', E'a\\nb'])[1 + i % 5], 'a', \
         '\\x00ff', (ARRAY['infinity'::timestamptz, '2024-02-29 12:00:00.000001+00', '0044-03-15 BC'])[1 + i % 3], \
         (ARRAY['1 mon'::interval, '30 days', '-1 sec'])[1 + i % 3], '{{\"b\": 1.0, \"a\": 1}}', '{{\"b\": 1.10}}', \
         (CASE i % 3 WHEN 0 THEN '{{}}' WHEN 1 THEN '{{NULL,\"NULL\"}}' END)::text[], 'empty', md5(i::text)::uuid, 'é' FROM generate_series(1, 1500) i"
    ))
    .await;
    db.execute("CREATE TABLE other (LIKE t INCLUDING ALL); INSERT INTO other SELECT * FROM t; CREATE TABLE original AS TABLE t").await;
    db.execute(
        "UPDATE other SET f = 1, d = d * 10, name = 'new', at = now(), list = '{x}', span = '2 mon'; INSERT INTO other (id) VALUES (9000)",
    )
    .await;
    let (table, other) = (discovered(&db, "t").await, crate::steps::values(&db, "other").await);
    let applied = keeping(&db, "r1", 5000, vec![(write_of(&table), other, vec![])]).await;
    assert_eq!((applied.outcomes[0].updated, applied.outcomes[0].created, applied.undoable), (1500, 1, true));
    assert_eq!(said(&db, "SELECT count(*) FROM t WHERE f = 1").await, ["1500"]);
    db.execute("UPDATE t SET f = 2 WHERE id = 7").await;
    assert_eq!(undo(&db, "r1", &[&table]).await, [("row_changed", Value::I64(7))]);
    let differ =
        "SELECT coalesce(t.id, o.id) FROM t FULL JOIN original o USING (id) WHERE t.id IS NULL OR o.id IS NULL OR t::text <> o::text";
    assert_eq!(said(&db, differ).await, ["7"]);
}

// rule: R28
#[tokio::test]
async fn more_changes_than_the_limit_keep_no_image_and_fewer_keep_all() {
    let db = database().await;
    db.execute("CREATE TABLE t (id bigint PRIMARY KEY, n int); INSERT INTO t SELECT i, 0 FROM generate_series(1, 3000) i").await;
    let table = discovered(&db, "t").await;
    let rows = |n: i64, changed: i64| (1..=3000).map(|i| vec![Value::I64(i), Value::I64(if i <= changed { n } else { 0 })]).collect();
    for (name, limit, changed, kept) in [("r1", 1800, 1700, true), ("r2", 1699, 1700, false), ("r3", 100, 30, true), ("r4", 10, 30, false)]
    {
        db.execute("UPDATE t SET n = 0 WHERE n <> 0").await;
        let applied = keeping(&db, name, limit, vec![(write_of(&table), rows(1, changed), vec![])]).await;
        assert_eq!((applied.outcomes[0].updated, applied.undoable), (changed.unsigned_abs(), kept), "{name}");
        let images = said(&db, &format!("SELECT count(*) FROM syncline_before WHERE run = '{name}'")).await;
        assert_eq!(images, [if kept { changed.to_string() } else { "0".into() }], "{name}");
    }
}

const BOOKINGS: &str = "CREATE EXTENSION IF NOT EXISTS btree_gist; \
     CREATE TABLE t (id bigint PRIMARY KEY, n int NOT NULL, EXCLUDE USING gist (n WITH =)); INSERT INTO t SELECT i, i FROM generate_series(1, 2000) i";

/// Rows 1..=2000 moved by 10,000, but for `bad` ones, which want what row 1990 has and keeps.
fn moved(bad: &[i64]) -> Vec<Vec<Value>> {
    (1..=1980).map(|i| vec![Value::I64(i), Value::I64(if bad.contains(&i) { 1990 } else { 10_000 + i })]).collect()
}

// rule: R21, R28
#[tokio::test]
async fn rows_that_an_exclusion_constraint_refuses_cost_themselves_and_leave_no_image() {
    for bad in [vec![77], vec![1, 500, 501, 1980]] {
        let db = database().await;
        db.execute(BOOKINGS).await;
        let table = discovered(&db, "t").await;
        let applied = keeping(&db, "r1", 5000, vec![(write_of(&table), moved(&bad), vec![])]).await;
        let o = &applied.outcomes[0];
        let refused: Vec<_> = o.rejects.iter().map(|r| (r.code, r.row[0].clone())).collect();
        assert_eq!(refused, bad.iter().map(|i| ("exclusion_violated", Value::I64(*i))).collect::<Vec<_>>());
        assert_eq!((o.updated, o.created, o.unchanged), (1980 - bad.len() as u64, 0, 0));
        assert_eq!(said(&db, "SELECT count(*) FROM syncline_before").await, [(1980 - bad.len()).to_string()]);
        assert_eq!(undo(&db, "r1", &[&table]).await, []);
        assert_eq!(said(&db, "SELECT count(*) FROM t WHERE id <> n").await, ["0"]);
    }
}

// rule: R28
#[tokio::test]
async fn an_image_saved_before_the_writes_goes_with_the_row_that_is_set_aside() {
    let db = database().await;
    db.execute(&BOOKINGS.replace("2000", "20")).await;
    // Rows of `note` go along with a removed row, so images cannot wait for the writes.
    db.execute("CREATE TABLE note (id bigint PRIMARY KEY, t_id bigint REFERENCES t ON DELETE CASCADE); INSERT INTO note VALUES (1, 20)")
        .await;
    let (table, note) = (discovered(&db, "t").await, discovered(&db, "note").await);
    let referenced = syncline_connector::write::Referrer { table: note.name.clone(), key: note.foreign_keys[0].clone() };
    let write = StreamWrite { referenced_by: vec![referenced], ..write_of(&table) };
    let rows = vec![vec![Value::I64(1), Value::I64(100)], vec![Value::I64(2), Value::I64(7)], vec![Value::I64(30), Value::I64(30)]];
    let applied = keeping(&db, "r1", 100, vec![(write, rows, vec![20])]).await;
    let o = &applied.outcomes[0];
    assert_eq!((o.updated, o.created, o.deleted, o.rejects.len(), o.rejects[0].code), (1, 1, 1, 1, "exclusion_violated"));
    let images = said(&db, "SELECT op, key_image FROM syncline_before ORDER BY op").await;
    assert_eq!(images, ["C|{30}", "D|{20}", "U|{1}"]);
    assert_eq!(undo(&db, "r1", &[&table]).await, []);
    assert_eq!(said(&db, "SELECT count(*), count(*) FILTER (WHERE id <> n) FROM t").await, ["20|0"]);
}

// rule: R21, R28
#[tokio::test]
async fn rows_that_a_trigger_refuses_are_set_aside_and_the_others_can_be_undone() {
    let db = database().await;
    db.execute(
        "CREATE TABLE t (id bigint PRIMARY KEY, n int, changed int NOT NULL DEFAULT 0); INSERT INTO t SELECT i, 0 FROM generate_series(1, 2000) i;
         CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           IF NEW.n = 13 THEN RAISE EXCEPTION 'not thirteen' USING ERRCODE = 'check_violation'; END IF;
           NEW.changed := OLD.changed + 1;
           IF NEW.id = 5 THEN UPDATE t SET n = -1 WHERE id = 3000; END IF; RETURN NEW; END $$;
         INSERT INTO t VALUES (3000, 0); CREATE TRIGGER g BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f()",
    )
    .await;
    let table = discovered(&db, "t").await;
    let columns = vec!["id".to_owned(), "n".to_owned()];
    let write = StreamWrite { columns, compare: vec!["n".to_owned()], ..write_of(&table) };
    let rows: Vec<Vec<Value>> = (1..=2001).map(|i| vec![Value::I64(i), Value::I64(if i == 900 || i == 901 { 13 } else { 1 })]).collect();
    let applied = keeping(&db, "r1", 5000, vec![(write, rows, vec![])]).await;
    let o = &applied.outcomes[0];
    // The row that the trigger wrote by itself is nobody's: it is not in the counts.
    assert_eq!((o.staged, o.updated, o.created, o.unchanged), (2001, 1998, 1, 0));
    assert_eq!(o.rejects.iter().map(|r| r.row[0].clone()).collect::<Vec<_>>(), [Value::I64(900), Value::I64(901)]);
    assert_eq!(said(&db, "SELECT count(*) FROM syncline_before").await, ["1999"]);
    db.execute("DROP TRIGGER g ON t").await;
    let table = discovered(&db, "t").await;
    assert_eq!(undo(&db, "r1", &[&table]).await, []);
    assert_eq!(said(&db, "SELECT count(*), sum(n), sum(changed) FROM t WHERE id < 3000").await, ["2000|0|0"]);
}

// rule: R28
#[tokio::test]
async fn the_image_of_a_moved_unique_value_holds_the_value_and_no_placeholder() {
    let db = database().await;
    db.execute("CREATE TABLE t (id bigint PRIMARY KEY, code text NOT NULL UNIQUE); INSERT INTO t SELECT i, 'c' || i FROM generate_series(1, 1200) i").await;
    let table = discovered(&db, "t").await;
    let rows: Vec<Vec<Value>> = (1..=1200).map(|i| vec![Value::I64(i), text(&format!("c{}", i % 1200 + 1))]).collect();
    let applied = keeping(&db, "r1", 5000, vec![(write_of(&table), rows, vec![])]).await;
    assert_eq!((applied.outcomes[0].updated, applied.outcomes[0].rejects.len()), (1200, 0));
    assert_eq!(said(&db, "SELECT count(*) FROM t WHERE code <> 'c' || (id % 1200 + 1)").await, ["0"]);
    assert_eq!(undo(&db, "r1", &[&table]).await, []);
    assert_eq!(said(&db, "SELECT count(*) FROM t WHERE code <> 'c' || id").await, ["0"]);
}

// rule: R22
#[tokio::test]
async fn values_that_move_where_no_placeholder_may_stand_are_set_aside_and_all_else_is_written() {
    for (column, values) in [("code text NOT NULL CHECK (code ~ '^[a-z]$')", ["a", "b", "c", "d"]), ("code date NOT NULL", DAYS)] {
        let db = database().await;
        db.execute(&format!("CREATE TABLE t (id bigint PRIMARY KEY, {column}, place int NOT NULL, UNIQUE (place), UNIQUE (code))")).await;
        let [a, b, c, d] = values;
        db.execute(&format!("INSERT INTO t VALUES (1, '{a}', 1), (2, '{b}', 2), (3, '{c}', 3), (4, '{d}', 4)")).await;
        let table = discovered(&db, "t").await;
        // 1 and 2 swap their codes, for which nothing may stand in; all four swap places, for which a number may.
        let rows: Vec<Vec<Value>> =
            [(1, b, 2), (2, a, 1), (3, c, 4), (4, d, 3)].map(|(id, v, place)| vec![Value::I64(id), code(v), Value::I64(place)]).to_vec();
        let applied = keeping(&db, "r1", 100, vec![(write_of(&table), rows, vec![])]).await;
        let o = &applied.outcomes[0];
        let mut refused: Vec<_> = o.rejects.iter().map(|r| (r.code, format!("{:?}", r.row[0]))).collect();
        refused.sort();
        assert_eq!(refused, [("unique_cycle", "I64(1)".to_owned()), ("unique_cycle", "I64(2)".to_owned())]);
        assert_eq!(o.updated, 2);
        let expected = [format!("1|{a}|1"), format!("2|{b}|2"), format!("3|{c}|4"), format!("4|{d}|3")];
        assert_eq!(said(&db, "SELECT * FROM t ORDER BY id").await, expected);
        assert_eq!(said(&db, "SELECT count(*) FROM syncline_before").await, ["2"]);
        assert_eq!(undo(&db, "r1", &[&table]).await, []);
        assert_eq!(said(&db, "SELECT id, place FROM t ORDER BY id").await, ["1|1", "2|2", "3|3", "4|4"]);
    }
}

const DAYS: [&str; 4] = ["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04"];

fn code(value: &str) -> Value {
    syncline_model::civil::parse_date(value).map_or_else(|| text(value), Value::Date)
}

// rule: R17
#[tokio::test]
async fn a_row_that_somebody_changes_meanwhile_is_written_over_and_counted() {
    let db = database().await;
    db.execute("CREATE TABLE t (id bigint PRIMARY KEY, n int, m int); INSERT INTO t SELECT i, 0, 0 FROM generate_series(1, 1500) i").await;
    let table = discovered(&db, "t").await;
    let mut to = destination(db.url()).await;
    to.prepare(&[]).await.expect("prepare");
    let spec = RunSpec { undo_rows_max: 5000, ..run_spec(write_of(&table)) };
    let mut run = to.begin(spec).await.expect("begin");
    let rows: Vec<Vec<Value>> = (1..=1500).map(|i| vec![Value::I64(i), Value::I64(1), Value::I64(1)]).collect();
    run.stage(0, &batch(&rows)).await.expect("stage");
    // Somebody holds a row; the statement that writes waits for it and then finds another version than its snapshot shows.
    let columns = vec!["id".to_owned(), "m".to_owned()];
    let mut holder = crate::steps::begin(&db, StreamWrite { columns, compare: vec!["m".to_owned()], ..write_of(&table) }).await;
    holder.stage(0, &batch(&[vec![Value::I64(700), Value::I64(7)]])).await.expect("stage");
    holder.apply().await.expect("apply");
    let waits = async {
        let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted";
        while db.as_admin().scalar(waiting).await == "0" {
            tokio::task::yield_now().await;
        }
        holder.commit().await.expect("commit");
    };
    let (applied, ()) = tokio::join!(async { run.apply().await.expect("apply") }, waits);
    run.commit().await.expect("commit");
    assert_eq!((applied.outcomes[0].updated, applied.outcomes[0].unchanged), (1500, 0));
    assert_eq!(said(&db, "SELECT count(*) FROM t WHERE n = 1 AND m = 1").await, ["1500"]);
}

// rule: R17
#[tokio::test]
async fn a_deferred_constraint_that_fails_at_the_end_leaves_nothing() {
    let db = database().await;
    db.execute(
        "CREATE TABLE parent (id bigint PRIMARY KEY); INSERT INTO parent VALUES (1);
         CREATE TABLE t (id bigint PRIMARY KEY, p bigint REFERENCES parent DEFERRABLE INITIALLY DEFERRED)",
    )
    .await;
    let table = discovered(&db, "t").await;
    let rows = vec![vec![Value::I64(1), Value::I64(1)], vec![Value::I64(2), Value::I64(9)]];
    let applied = copy_into(&db, &table, &rows).await;
    assert_eq!((applied.outcomes[0].created, applied.outcomes[0].rejects[0].code), (1, "parent_missing"));
    assert_eq!(said(&db, "SELECT id FROM t").await, ["1"]);
}
