//! Undo: a run taken back from its before-images, but for rows that somebody changed since.

use syncline_model::Value;

use super::Harness;
use super::steps::{destination, discovered, finish, item, items, run, run_of, three_items, write_of};

// rule: R28
/// Created rows go, updated and deleted rows come back as they were.
pub async fn undo_restores_created_updated_and_deleted_rows(h: &dyn Harness) {
    three_items(h).await;
    let before = items(h).await;
    let mut destination = destination(h).await;
    let table = discovered(&mut *destination, "item").await;
    let applied = run(&mut *destination, "r1", write_of(&table), &[item(1, None, -1), item(4, Some("four"), 4)], &[2]).await;
    assert!(applied.undoable);
    assert_eq!(items(h).await, ["1|-|-1", "3|-|30", "4|four|4"]);

    let mut undo = destination.begin(run_of("r2", vec![write_of(&table)])).await.expect("begin");
    assert_eq!(undo.stage_undo(0, "r1").await.expect("stage the undoing"), []);
    let applied = finish(undo).await;
    let outcome = &applied.outcomes[0];
    assert_eq!((outcome.created, outcome.updated, outcome.deleted), (1, 1, 1));
    assert_eq!(items(h).await, before);
}

// rule: R28
/// A row that changed since the run is refused as `row_changed` and stays as it is; the others are restored.
pub async fn undo_leaves_rows_that_changed_since(h: &dyn Harness) {
    three_items(h).await;
    let mut destination = destination(h).await;
    let table = discovered(&mut *destination, "item").await;
    run(&mut *destination, "r1", write_of(&table), &[item(1, Some("run"), 10), item(2, Some("run"), 20)], &[]).await;
    h.execute("UPDATE item SET name = 'person' WHERE id = 2").await;

    let mut undo = destination.begin(run_of("r2", vec![write_of(&table)])).await.expect("begin");
    let refused = undo.stage_undo(0, "r1").await.expect("stage the undoing");
    assert_eq!(refused.iter().map(|reject| (reject.code, &reject.row[0])).collect::<Vec<_>>(), [("row_changed", &Value::I64(2))]);
    finish(undo).await;
    assert_eq!(items(h).await, ["1|one|10", "2|person|20", "3|-|30"]);
}
