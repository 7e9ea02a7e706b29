//! One transaction: until `commit` answers nothing is visible, and what became of it can be looked up.

use syncline_connector::write::CommitFate;
use syncline_connector::{ErrorKind, StagedRun, StreamWrite};

use super::Harness;
use super::steps::{batch, destination, discovered, fate, item, items, keys, run, run_of, three_items, write_of};

/// A run that has staged a change of every kind over three items, on a session of its own.
async fn staged(h: &dyn Harness, name: &str) -> Box<dyn StagedRun> {
    let mut destination = destination(h).await;
    let table = discovered(&mut *destination, "item").await;
    let mut run = destination.begin(run_of(name, vec![write_of(&table)])).await.expect("begin");
    run.stage(0, &batch(&[item(1, Some("eins"), 1), item(4, None, 4)])).await.expect("stage");
    run.stage_deletes(0, &keys(&[2])).await.expect("stage deletions");
    run
}

const BEFORE: [&str; 3] = ["1|one|10", "2|two|20", "3|-|30"];
const AFTER: [&str; 3] = ["1|eins|1", "3|-|30", "4|-|4"];

/// Others see nothing of a run before it committed, and all of it after.
pub async fn nothing_is_visible_before_commit(h: &dyn Harness) {
    three_items(h).await;
    let mut run = staged(h, "r1").await;
    assert_eq!(items(h).await, BEFORE, "staged");
    run.apply().await.expect("apply");
    assert_eq!(items(h).await, BEFORE, "applied");
    run.commit().await.expect("commit");
    assert_eq!(items(h).await, AFTER, "committed");
}

/// `abort` throws everything away, and the destination takes the next run.
pub async fn abort_leaves_nothing(h: &dyn Harness) {
    three_items(h).await;
    staged(h, "r1").await.abort().await.expect("abort what was staged");
    let mut run = staged(h, "r2").await;
    run.apply().await.expect("apply");
    run.abort().await.expect("abort what was applied");
    assert_eq!(items(h).await, BEFORE);
    let mut run = staged(h, "r3").await;
    run.apply().await.expect("apply");
    run.commit().await.expect("commit");
    assert_eq!(items(h).await, AFTER);
}

/// Dropping is aborting.
pub async fn dropping_a_run_leaves_nothing(h: &dyn Harness) {
    three_items(h).await;
    drop(staged(h, "r1").await);
    let mut run = staged(h, "r2").await;
    run.apply().await.expect("apply");
    drop(run);
    // The next run waits for whatever locks the dropped one still holds.
    let mut run = staged(h, "r3").await;
    assert_eq!(items(h).await, BEFORE);
    run.apply().await.expect("apply");
    run.commit().await.expect("commit");
    assert_eq!(items(h).await, AFTER);
}

// rule: R24
/// What became of a run can be asked on another session: by its marker, and by the token stored before COMMIT.
pub async fn the_fate_of_a_run_can_be_looked_up(h: &dyn Harness) {
    three_items(h).await;
    let mut run = staged(h, "r1").await;
    let token = run.apply().await.expect("apply").token;
    run.commit().await.expect("commit");
    assert_eq!(fate(h, "r1", token.as_deref()).await.expect("fate"), CommitFate::Committed);
    assert_eq!(fate(h, "r1", None).await.expect("fate"), CommitFate::Committed, "the marker alone tells");

    let mut run = staged(h, "r2").await;
    let token = run.apply().await.expect("apply").token;
    run.abort().await.expect("abort");
    drop(run);
    assert_eq!(fate(h, "r2", token.as_deref()).await.expect("fate"), CommitFate::RolledBack);
}

// rule: R40
/// A row that is no longer as it was seen fails the run as `Conflict`, with nothing written.
pub async fn rows_that_changed_since_they_were_seen_are_a_conflict(h: &dyn Harness) {
    three_items(h).await;
    let mut destination = destination(h).await;
    let table = discovered(&mut *destination, "item").await;
    let write = || StreamWrite { expects: true, ..write_of(&table) };
    for (name, seen, is_conflict) in [("r1", item(1, Some("one"), 10), false), ("r2", item(1, Some("one"), 10), true)] {
        let mut run = destination.begin(run_of(name, vec![write()])).await.expect("begin");
        run.stage_expected(0, &batch(&[seen])).await.expect("stage what was seen");
        run.stage(0, &batch(&[item(1, Some(name), 10)])).await.expect("stage");
        match run.apply().await {
            Ok(_) => {
                assert!(!is_conflict, "a changed row must be noticed");
                run.commit().await.expect("commit");
            }
            Err(error) => assert!(is_conflict && error.kind == ErrorKind::Conflict, "{error}"),
        }
    }
    assert_eq!(items(h).await, ["1|r1|10", "2|two|20", "3|-|30"]);
}

/// `prepare` may run again and again, and beside data.
pub async fn prepare_can_be_repeated(h: &dyn Harness) {
    three_items(h).await;
    for round in 0..3 {
        let mut destination = destination(h).await;
        destination.prepare(&[]).await.expect("prepare again");
        let table = discovered(&mut *destination, "item").await;
        run(&mut *destination, &format!("r{round}"), write_of(&table), &[item(1, Some("one"), round)], &[]).await;
    }
    assert_eq!(items(h).await[0], "1|one|2");
}
