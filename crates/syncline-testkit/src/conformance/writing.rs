//! Rows into a destination: exact counts, order, and a bad row that costs only itself.

use async_trait::async_trait;
use syncline_connector::write::WritePath;
use syncline_connector::{Error, ErrorKind, LargeFields, Reject, Result, StreamWrite};
use syncline_model::{Table, Value};

use super::Harness;
use super::describing::renamed;
use super::steps::{
    ITEM, PART, batch, destination, discovered, finish, item, items, many_items, run, run_of, said, text, three_items, write_of,
};

// rule: R17
/// Created, updated and unchanged are exact; a row with equal cells is not written.
pub async fn a_run_counts_what_it_created_updated_and_left_alone(h: &dyn Harness) {
    three_items(h).await;
    let mut destination = destination(h).await;
    let table = discovered(&mut *destination, "item").await;
    let new = [item(1, Some("one"), 10), item(2, Some("zwei"), 20), item(3, Some("three"), 30), item(4, None, 40)];
    let applied = run(&mut *destination, "r1", write_of(&table), &new, &[]).await;
    let outcome = &applied.outcomes[0];
    assert_eq!((outcome.staged, outcome.created, outcome.updated, outcome.unchanged), (4, 1, 2, 1));
    assert_eq!(items(h).await, ["1|one|10", "2|zwei|20", "3|three|30", "4|-|40"]);

    let again = run(&mut *destination, "r2", write_of(&table), &new, &[]).await;
    assert_eq!((again.outcomes[0].created, again.outcomes[0].updated, again.outcomes[0].unchanged), (0, 0, 4), "duplicates are harmless");
}

/// The same key may come again: the last one counts, the others are `merged`.
pub async fn of_rows_with_one_key_the_last_counts(h: &dyn Harness) {
    three_items(h).await;
    let mut destination = destination(h).await;
    let table = discovered(&mut *destination, "item").await;
    let mut staged = destination.begin(run_of("r1", vec![write_of(&table)])).await.expect("begin");
    for rows in [[item(1, Some("first"), 1), item(7, Some("first"), 1)], [item(7, Some("second"), 2), item(1, Some("second"), 2)]] {
        staged.stage(0, &batch(&rows)).await.expect("stage");
    }
    staged.stage(0, &batch(&[item(7, Some("last"), 3)])).await.expect("stage");
    let applied = finish(staged).await;
    let outcome = &applied.outcomes[0];
    assert_eq!((outcome.staged, outcome.created, outcome.updated, outcome.merged), (5, 1, 1, 3));
    assert_eq!(items(h).await, ["1|second|2", "2|two|20", "3|-|30", "7|last|3"]);
}

/// A table that the run makes gets its rows straight, its keys after them.
pub async fn a_load_fills_the_table_that_the_run_makes(h: &dyn Harness) {
    h.execute(ITEM).await;
    let mut destination = destination(h).await;
    let table = discovered(&mut *destination, "item").await;
    let write = load_of(h, &table, "made");
    let applied = run(&mut *destination, "r1", write, &[item(2, None, 20), item(1, Some("one"), 10)], &[]).await;
    assert_eq!((applied.outcomes[0].staged, applied.outcomes[0].created), (2, 2));
    assert_eq!(said(h, "SELECT id, name, n FROM made ORDER BY id").await, ["1|one|10", "2|-|20"]);
    assert_eq!(discovered(&mut *destination, "made").await.primary_key, ["id"]);
}

/// A table without a key is loaded whole: equal rows stay as many as they are.
pub async fn a_load_without_a_key_takes_whole_rows(h: &dyn Harness) {
    h.execute("CREATE TABLE loose (name varchar(20), n int)").await;
    let mut destination = destination(h).await;
    let table = discovered(&mut *destination, "loose").await;
    assert_eq!(table.best_key(), None);
    let write = load_of(h, &table, "made");
    let row = || vec![text("twin"), Value::I64(1)];
    let applied = run(&mut *destination, "r1", write, &[row(), row(), vec![Value::Null, Value::Null]], &[]).await;
    assert_eq!(applied.outcomes[0].created, 3);
    assert_eq!(said(h, "SELECT name, n FROM made ORDER BY name IS NULL, name").await, ["twin|1", "twin|1", "-|-"]);
}

/// Streams come in any order; the connector orders them by foreign key.
pub async fn parents_go_in_before_children_whatever_the_order(h: &dyn Harness) {
    h.execute(ITEM).await;
    h.execute(PART).await;
    let mut destination = destination(h).await;
    let (parent, child) = (discovered(&mut *destination, "item").await, discovered(&mut *destination, "part").await);
    for (name, id, streams) in [("r1", 1, [&child, &parent]), ("r2", 2, [&parent, &child])] {
        let mut staged = destination.begin(run_of(name, streams.map(write_of).to_vec())).await.expect("begin");
        for (index, stream) in streams.iter().enumerate() {
            let row = if stream.name == parent.name { item(id, None, 0) } else { vec![Value::I64(id), Value::I64(id)] };
            staged.stage(index, &batch(&[row])).await.expect("stage");
        }
        let applied = finish(staged).await;
        assert_eq!(applied.outcomes.iter().map(|outcome| outcome.created).collect::<Vec<_>>(), [1, 1]);
    }
    assert_eq!(said(h, "SELECT id, item_id FROM part ORDER BY id").await, ["1|1", "2|2"]);
}

// rule: R34
/// A column outside `compare` is written along with a change, and is none by itself.
pub async fn only_compared_columns_make_an_update(h: &dyn Harness) {
    three_items(h).await;
    let mut destination = destination(h).await;
    let table = discovered(&mut *destination, "item").await;
    let write = StreamWrite { compare: vec!["name".to_owned()], ..write_of(&table) };
    let applied = run(&mut *destination, "r1", write, &[item(1, Some("one"), 99), item(2, Some("zwei"), 99)], &[]).await;
    assert_eq!((applied.outcomes[0].updated, applied.outcomes[0].unchanged), (1, 1));
    assert_eq!(items(h).await, ["1|one|10", "2|zwei|99", "3|-|30"]);
}

/// The stamp is set in the same statement on rows created or updated, and on no other.
pub async fn the_stamp_is_set_on_changed_rows_only(h: &dyn Harness) {
    h.execute("CREATE TABLE item (id bigint NOT NULL PRIMARY KEY, name varchar(20), synced_at timestamp NULL DEFAULT NULL)").await;
    h.execute("INSERT INTO item (id, name) VALUES (1, 'one'), (2, 'two')").await;
    let mut destination = destination(h).await;
    let table = discovered(&mut *destination, "item").await;
    let columns = vec!["id".to_owned(), "name".to_owned()];
    let write = StreamWrite { columns, compare: vec!["name".to_owned()], stamp: Some("synced_at".to_owned()), ..write_of(&table) };
    let new = [(1, "one"), (2, "zwei"), (3, "three")].map(|(id, name)| vec![Value::I64(id), text(name)]);
    run(&mut *destination, "r1", write, &new, &[]).await;
    let stamped = said(h, "SELECT id FROM item WHERE synced_at IS NOT NULL ORDER BY id").await;
    assert_eq!(stamped, ["2", "3"]);
}

// rule: R22
/// Two rows may exchange their unique values within one run.
pub async fn unique_values_may_be_swapped(h: &dyn Harness) {
    h.execute("CREATE TABLE seat (id bigint NOT NULL PRIMARY KEY, code varchar(20) NOT NULL, CONSTRAINT seat_code UNIQUE (code))").await;
    h.execute("INSERT INTO seat VALUES (1, 'a'), (2, 'b'), (3, 'c')").await;
    let mut destination = destination(h).await;
    let table = discovered(&mut *destination, "seat").await;
    let new = [(1, "b"), (2, "c"), (3, "a")].map(|(id, code)| vec![Value::I64(id), text(code)]);
    let applied = run(&mut *destination, "r1", write_of(&table), &new, &[]).await;
    assert_eq!((applied.outcomes[0].updated, applied.outcomes[0].rejects.len()), (3, 0), "{:?}", applied.outcomes[0].rejects);
    assert_eq!(said(h, "SELECT id, code FROM seat ORDER BY id").await, ["1|b", "2|c", "3|a"]);
}

// rule: R22
/// Where a CHECK lets no placeholder stand, rows that would need one are set aside, and all others are written and can be undone.
pub async fn a_swap_without_a_placeholder_is_set_aside(h: &dyn Harness) {
    h.execute(
        "CREATE TABLE seat (id bigint NOT NULL PRIMARY KEY, code varchar(20) NOT NULL, CONSTRAINT seat_code UNIQUE (code), \
         CONSTRAINT seat_short CHECK (length(code) = 1)); INSERT INTO seat VALUES (1, 'a'), (2, 'b'), (3, 'c')",
    )
    .await;
    let mut destination = destination(h).await;
    let table = discovered(&mut *destination, "seat").await;
    let new = [(1, "b"), (2, "a"), (3, "d")].map(|(id, code)| vec![Value::I64(id), text(code)]);
    let applied = run(&mut *destination, "r1", write_of(&table), &new, &[]).await;
    let outcome = &applied.outcomes[0];
    let mut refused: Vec<_> = outcome.rejects.iter().map(|r| (r.code, super::steps::int(&r.row[0]))).collect();
    refused.sort_unstable();
    assert_eq!((outcome.updated, refused), (1, vec![("unique_cycle", 1), ("unique_cycle", 2)]));
    assert_eq!(said(h, "SELECT id, code FROM seat ORDER BY id").await, ["1|a", "2|b", "3|d"]);
    let mut undo = destination.begin(run_of("r2", vec![write_of(&table)])).await.expect("begin");
    assert_eq!(undo.stage_undo(0, "r1").await.expect("stage the undoing"), []);
    finish(undo).await;
    assert_eq!(said(h, "SELECT id, code FROM seat ORDER BY id").await, ["1|a", "2|b", "3|c"]);
}

// rule: R16, R17
/// Counts stay exact where a run is large enough for a sample: most rows equal, then all changed, then most of them new.
pub async fn large_runs_count_exactly_whatever_share_of_their_rows_differs(h: &dyn Harness) {
    many_items(h, 1500).await;
    let mut destination = destination(h).await;
    let table = discovered(&mut *destination, "item").await;
    let rows = |from: i64, to: i64, changed: i64| -> Vec<Vec<Value>> {
        (from..=to).map(|id| item(id, Some(&format!("row {id}")), if id <= changed { -changed } else { id % 7 })).collect()
    };
    for (name, (from, to, changed), expected) in
        [("equal", (1, 1500, 3), (0, 3, 1497)), ("changed", (1, 1500, 1500), (0, 1500, 0)), ("new", (1400, 3000, 1500), (1500, 0, 101))]
    {
        let mut staged = destination.begin(run_of(name, vec![write_of(&table)])).await.expect("begin");
        staged.stage(0, &batch(&rows(from, to, changed))).await.expect("stage");
        let outcome = &finish(staged).await.outcomes[0];
        assert_eq!((outcome.created, outcome.updated, outcome.unchanged), expected, "{name}");
    }
    assert_eq!(said(h, "SELECT count(*), sum(n) FROM item WHERE id <= 1500").await, ["1500|-2250000"]);
    assert_eq!(said(h, "SELECT count(*) FROM item WHERE id > 1500 AND n = id % 7").await, ["1500"]);
}

// req: X7
/// NULL into NOT NULL is set aside with its code and column.
pub async fn a_missing_value_is_rejected_and_the_rest_goes_on(h: &dyn Harness) {
    h.execute("CREATE TABLE solid (id bigint NOT NULL PRIMARY KEY, name varchar(20) NOT NULL)").await;
    let rows = [(1, Some("one")), (2, None), (3, Some("three"))];
    let rejects = rejected(h, "solid", rows.map(|(id, name)| vec![Value::I64(id), name.map_or(Value::Null, text)]).to_vec()).await;
    assert_rejected(&rejects, "not_null", &Value::I64(2));
    assert_eq!(rejects[0].column.as_deref(), Some("name"));
    assert_eq!(said(h, "SELECT id FROM solid ORDER BY id").await, ["1", "3"]);
}

// req: X7
/// A row whose parent is nowhere is set aside.
pub async fn a_missing_parent_is_rejected_and_the_rest_goes_on(h: &dyn Harness) {
    three_items(h).await;
    h.execute(PART).await;
    let rows = [(1, 1), (2, 77), (3, 3)].map(|(id, parent)| vec![Value::I64(id), Value::I64(parent)]);
    let rejects = rejected(h, "part", rows.to_vec()).await;
    assert_rejected(&rejects, "parent_missing", &Value::I64(2));
    assert_eq!(said(h, "SELECT id, item_id FROM part ORDER BY id").await, ["1|1", "3|3"]);
}

// req: X7
// rule: R1
/// A new key with a unique value that another row keeps is set aside, and never merged into that row.
pub async fn a_taken_unique_value_is_rejected_and_the_rest_goes_on(h: &dyn Harness) {
    h.execute("CREATE TABLE seat (id bigint NOT NULL PRIMARY KEY, code varchar(20) NOT NULL, CONSTRAINT seat_code UNIQUE (code))").await;
    h.execute("INSERT INTO seat VALUES (1, 'a')").await;
    let rejects = rejected(h, "seat", [(2, "a"), (3, "c")].map(|(id, code)| vec![Value::I64(id), text(code)]).to_vec()).await;
    assert_rejected(&rejects, "unique_taken", &Value::I64(2));
    assert_eq!(said(h, "SELECT id, code FROM seat ORDER BY id").await, ["1|a", "3|c"]);
}

/// A cell that its column cannot hold exactly is refused before anything is sent; nothing is cut to fit.
pub async fn a_value_that_does_not_fit_is_rejected_when_staged(h: &dyn Harness) {
    let Some(narrow) = h.words().narrow_type else {
        return holds_what_others_refuse(h).await;
    };
    h.execute(&format!("CREATE TABLE narrow (id bigint NOT NULL PRIMARY KEY, code {narrow})")).await;
    let rejects = rejected(h, "narrow", [(1, "short"), (2, "toolong")].map(|(id, code)| vec![Value::I64(id), text(code)]).to_vec()).await;
    let [reject] = rejects.as_slice() else { panic!("one reject, not {rejects:?}") };
    assert_eq!((&reject.row[0], reject.column.as_deref()), (&Value::I64(2), Some("code")));
    assert!(!reject.detail.contains("toolong"), "no value in the sentence: {}", reject.detail);
    assert_eq!(said(h, "SELECT id, code FROM narrow").await, ["1|short"]);
}

/// A system without such a limit keeps the whole value.
async fn holds_what_others_refuse(h: &dyn Harness) {
    h.execute("CREATE TABLE narrow (id bigint NOT NULL PRIMARY KEY, code varchar(5))").await;
    assert_eq!(rejected(h, "narrow", vec![vec![Value::I64(1), text("toolong")]]).await, []);
    assert_eq!(said(h, "SELECT id, code FROM narrow").await, ["1|toolong"]);
}

/// More rejects than `rejects_max` stop the run as `too_many_parked`, and nothing of it stays.
pub async fn too_many_rejects_stop_the_run(h: &dyn Harness) {
    three_items(h).await;
    h.execute(PART).await;
    let mut destination = destination(h).await;
    let table = discovered(&mut *destination, "part").await;
    let write = StreamWrite { rejects_max: 2, ..write_of(&table) };
    let mut staged = destination.begin(run_of("r1", vec![write])).await.expect("begin");
    let rows: Vec<Vec<Value>> = (1..=5).map(|id| vec![Value::I64(id), Value::I64(if id == 5 { 1 } else { 77 })]).collect();
    let error = match staged.stage(0, &batch(&rows)).await {
        Err(error) => error,
        Ok(_) => staged.apply().await.expect_err("four rejects are more than two"),
    };
    assert_eq!(error.code, "too_many_parked", "{error}");
    drop(staged);
    assert_eq!(said(h, "SELECT id FROM part").await, Vec::<String>::new());
}

/// `rows: strict`: any reject fails the run and rolls everything back.
pub async fn a_strict_run_fails_on_any_reject(h: &dyn Harness) {
    three_items(h).await;
    h.execute(PART).await;
    let mut destination = destination(h).await;
    let table = discovered(&mut *destination, "part").await;
    let write = StreamWrite { strict: true, ..write_of(&table) };
    let mut staged = destination.begin(run_of("r1", vec![write])).await.expect("begin");
    let rows = [vec![Value::I64(1), Value::I64(1)], vec![Value::I64(2), Value::I64(77)]];
    let failed = match staged.stage(0, &batch(&rows)).await {
        Err(_) => true,
        Ok(_) => staged.apply().await.is_err(),
    };
    assert!(failed, "a strict run must not take the good row alone");
    drop(staged);
    assert_eq!(said(h, "SELECT id FROM part").await, Vec::<String>::new());
}

/// The straight load of a table like `table` that the run makes under the name `name`.
fn load_of(h: &dyn Harness, table: &Table, name: &str) -> StreamWrite {
    let new = renamed(h, table, name);
    let made = Table {
        name: new.name.clone(),
        uniques: new.uniques.clone(),
        foreign_keys: new.foreign_keys.clone(),
        indexes: Vec::new(),
        incarnation: None,
        ..table.clone()
    };
    StreamWrite { create: Some(h.connector().ddl(&new)), path: WritePath::Load, ..write_of(&made) }
}

/// Runs `rows` into the table `name` and gives what was set aside, when staged or when applied.
async fn rejected(h: &dyn Harness, name: &str, rows: Vec<Vec<Value>>) -> Vec<Reject> {
    let mut destination = destination(h).await;
    let table = discovered(&mut *destination, name).await;
    let mut staged = destination.begin(run_of("r1", vec![write_of(&table)])).await.expect("begin");
    let mut rejects = staged.stage(0, &batch(&rows)).await.expect("stage");
    let refused = rejects.len() as u64;
    let applied = finish(staged).await;
    assert_eq!(applied.outcomes[0].staged, rows.len() as u64 - refused, "refused rows do not count as staged");
    rejects.extend(applied.outcomes[0].rejects.clone());
    rejects
}

fn assert_rejected(rejects: &[Reject], code: &str, key: &Value) {
    let [reject] = rejects else { panic!("one reject, not {rejects:?}") };
    assert_eq!((reject.code, &reject.row[0]), (code, key), "{}", reject.detail);
}

/// A large cell made of `text`, in slices of 700 bytes, with an error in place of the slice at `fails_at`.
struct Slices {
    text: String,
    fails_at: Option<u64>,
}

#[async_trait]
impl LargeFields for Slices {
    async fn slice(&mut self, cell: usize, offset: u64) -> Result<Vec<u8>> {
        assert_eq!(cell, 1, "only the large cell is asked for");
        if self.fails_at == Some(offset) {
            return Err(Error::new(ErrorKind::BadRecord, "charset_unrepresentable", "the source gave up"));
        }
        let from = usize::try_from(offset).expect("a small offset").min(self.text.len());
        Ok(self.text.as_bytes()[from..self.text.len().min(from + 700)].to_vec())
    }
}

// rule: R25
/// A row whose value comes in slices is staged like any other, and is text like any other; or nothing of it is.
pub async fn a_row_that_comes_in_slices_is_staged_whole_or_not_at_all(h: &dyn Harness) {
    h.execute("CREATE TABLE wide (id bigint NOT NULL PRIMARY KEY, body text)").await;
    h.execute("INSERT INTO wide VALUES (1, 'old'), (3, 'stays')").await;
    let mut destination = destination(h).await;
    let table = discovered(&mut *destination, "wide").await;
    let body = "aü€😀".repeat(500);
    let row = |id: i64| batch(&[vec![Value::I64(id), Value::Large(body.len() as u64)]]);
    let takes = destination.capabilities().takes_slices.is_some();
    for (turn, want) in [("r1", (1, 1, 0)), ("r2", (0, 0, 2))] {
        let mut staged = destination.begin(run_of(turn, vec![write_of(&table)])).await.expect("begin");
        let mut fields = Slices { text: body.clone(), fails_at: None };
        if !takes {
            let error = staged.stage_large(0, &row(1), &mut fields).await.expect_err("slices without the capability");
            assert_eq!((error.kind, error.code), (ErrorKind::Invalid, "slices_unsupported"), "{error}");
            return;
        }
        assert_eq!(staged.stage_large(0, &row(1), &mut fields).await.expect("stage in slices"), None);
        staged.stage(0, &batch(&[vec![Value::I64(3), text("stays")]])).await.expect("stage whole");
        assert_eq!(staged.stage_large(0, &row(2), &mut fields).await.expect("stage in slices"), None);
        let mut broken = Slices { text: body.clone(), fails_at: Some(1400) };
        let error = staged.stage_large(0, &row(4), &mut broken).await.expect_err("the error of the fields");
        assert_eq!(error.code, "charset_unrepresentable");
        let applied = finish(staged).await;
        let o = &applied.outcomes[0];
        assert_eq!((o.staged, o.created, o.updated, o.unchanged), (3, want.0, want.1, want.2 + 1), "{turn}");
    }
    assert_eq!(said(h, "SELECT id FROM wide ORDER BY id").await, ["1", "2", "3"]);
    assert_eq!(said(h, &format!("SELECT count(*) FROM wide WHERE body = '{body}'")).await, ["2"], "as text, not as bytes");
}
