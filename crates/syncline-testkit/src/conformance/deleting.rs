//! Deletions: what is removed, what is marked, and what another row still needs.

use syncline_connector::write::MarkValue;
use syncline_connector::{DeleteAction, Referrer, StreamWrite};
use syncline_model::{Table, Value};

use super::Harness;
use super::steps::{PART, destination, discovered, finish, items, keys, run, run_of, said, text, three_items, write_of};

/// Only rows that were there count as deleted.
pub async fn removed_rows_are_counted_and_missing_keys_are_not(h: &dyn Harness) {
    three_items(h).await;
    let mut destination = destination(h).await;
    let table = discovered(&mut *destination, "item").await;
    let applied = run(&mut *destination, "r1", write_of(&table), &[], &[1, 3, 77]).await;
    assert_eq!(applied.outcomes[0].deleted, 2);
    assert_eq!(applied.outcomes[0].delete_rejects, []);
    assert_eq!(items(h).await, ["2|two|20"]);
}

/// `Mark` sets the column on rows not marked yet, and clears it when the record comes back, which is an update.
pub async fn a_mark_is_set_once_and_cleared_when_the_record_comes_back(h: &dyn Harness) {
    h.execute("CREATE TABLE item (id bigint NOT NULL PRIMARY KEY, name varchar(20), state int NOT NULL DEFAULT 1)").await;
    h.execute("INSERT INTO item VALUES (1, 'one', 1), (2, 'two', 1), (3, 'three', 0)").await;
    let mut destination = destination(h).await;
    let table = discovered(&mut *destination, "item").await;
    let (gone, live) = (MarkValue::Constant(Value::I64(0)), MarkValue::Constant(Value::I64(1)));
    let deletes = DeleteAction::Mark { column: "state".to_owned(), value: gone, live };
    let columns = vec!["id".to_owned(), "name".to_owned()];
    let write = || StreamWrite { deletes: deletes.clone(), columns: columns.clone(), compare: vec!["name".to_owned()], ..write_of(&table) };

    let applied = run(&mut *destination, "r1", write(), &[], &[2, 3]).await;
    assert_eq!(applied.outcomes[0].deleted, 1, "a marked row is left alone");
    assert_eq!(said(h, "SELECT id, state FROM item ORDER BY id").await, ["1|1", "2|0", "3|0"]);

    let back = [vec![Value::I64(2), text("two")], vec![Value::I64(1), text("one")]];
    let applied = run(&mut *destination, "r2", write(), &back, &[]).await;
    assert_eq!((applied.outcomes[0].updated, applied.outcomes[0].unchanged), (1, 1), "a revived row is an update");
    assert_eq!(said(h, "SELECT id, state FROM item ORDER BY id").await, ["1|1", "2|1", "3|0"]);
}

/// A row that a row outside the run refers to is refused; the other deletions go on.
pub async fn a_row_that_another_still_needs_is_not_removed(h: &dyn Harness) {
    three_items(h).await;
    h.execute(PART).await;
    h.execute("INSERT INTO part VALUES (1, 2)").await;
    let mut destination = destination(h).await;
    let (table, part) = (discovered(&mut *destination, "item").await, discovered(&mut *destination, "part").await);
    let write = StreamWrite { referenced_by: referrers(&part), ..write_of(&table) };
    let applied = run(&mut *destination, "r1", write, &[], &[1, 2]).await;
    let outcome = &applied.outcomes[0];
    assert_eq!(outcome.deleted, 1);
    let [reject] = outcome.delete_rejects.as_slice() else { panic!("one refused deletion, not {:?}", outcome.delete_rejects) };
    assert_eq!(reject.row, [Value::I64(2)]);
    assert_eq!(items(h).await, ["2|two|20", "3|-|30"]);
    assert_eq!(said(h, "SELECT id FROM part").await, ["1"]);
}

/// Children go before the parents they refer to, whatever the order of the streams.
pub async fn children_are_deleted_before_parents(h: &dyn Harness) {
    three_items(h).await;
    h.execute(PART).await;
    h.execute("INSERT INTO part VALUES (1, 1), (2, 2)").await;
    let mut destination = destination(h).await;
    let (table, part) = (discovered(&mut *destination, "item").await, discovered(&mut *destination, "part").await);
    let parent = StreamWrite { referenced_by: referrers(&part), ..write_of(&table) };
    let mut staged = destination.begin(run_of("r1", vec![parent, write_of(&part)])).await.expect("begin");
    for stream in [0, 1] {
        staged.stage_deletes(stream, &keys(&[1, 2])).await.expect("stage deletions");
    }
    let applied = finish(staged).await;
    assert_eq!(
        applied.outcomes.iter().map(|outcome| (outcome.deleted, outcome.delete_rejects.len())).collect::<Vec<_>>(),
        [(2, 0), (2, 0)]
    );
    assert_eq!(items(h).await, ["3|-|30"]);
}

/// The foreign keys of `child`, as its parent sees them.
fn referrers(child: &Table) -> Vec<Referrer> {
    child.foreign_keys.iter().map(|key| Referrer { table: child.name.clone(), key: key.clone() }).collect()
}
