//! What a transaction promises.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::sample::{begin, commit, done, mapping, refusal, run};
use crate::contract::StateStore;
use crate::rows::{AuditFilter, AuditRow, Page, RunFilter};

fn line(number: u32) -> AuditRow {
    AuditRow { at: i64::from(number), actor: "t".to_owned(), action: "run".to_owned(), sync: None, detail_json: "{}".to_owned() }
}

pub async fn what_is_committed_is_there_afterwards(store: &dyn StateStore) {
    let mut tx = begin(store).await;
    done(tx.start_run(&run("0a", "shop", 1)).await);
    done(tx.save_note("shop", "identity", "7").await);
    commit(tx).await;

    let mut tx = begin(store).await;
    assert!(done(tx.load_run("0a").await).is_some());
    assert_eq!(done(tx.load_note("shop", "identity").await).as_deref(), Some("7"));
}

pub async fn what_is_dropped_without_commit_leaves_nothing(store: &dyn StateStore) {
    let mut tx = begin(store).await;
    done(tx.start_run(&run("0a", "shop", 1)).await);
    done(tx.save_note("shop", "identity", "7").await);
    drop(tx);

    let mut tx = begin(store).await;
    assert!(done(tx.list_runs(&RunFilter::default(), &Page::default()).await).is_empty());
    assert_eq!(done(tx.load_note("shop", "identity").await), None);
}

pub async fn a_step_that_fails_leaves_no_trace_and_the_transaction_goes_on(store: &dyn StateStore) {
    let mut tx = begin(store).await;
    done(tx.add_ids("shop", "film", &[mapping(1, "a")]).await);
    let half_bad = [mapping(2, "b"), mapping(1, "c")];
    assert_eq!(refusal(tx.add_ids("shop", "film", &half_bad).await), "mapping_doubled");
    done(tx.save_note("shop", "after", "1").await);
    commit(tx).await;

    let mut tx = begin(store).await;
    assert_eq!(done(tx.count_ids("shop").await), [("film".to_owned(), 1)]);
    assert!(done(tx.load_note("shop", "after").await).is_some());
}

pub async fn transactions_queue_behind_each_other_and_none_is_lost(store: &dyn StateStore) {
    const WRITERS: u32 = 16;
    let mut queue: Vec<_> = (0..WRITERS)
        .map(|n| {
            Box::pin(async move {
                let mut tx = begin(store).await;
                let seen = done(tx.load_note("shop", "count").await).map_or(0, |t| t.parse::<u32>().expect("a number"));
                done(tx.save_note("shop", "count", &(seen + 1).to_string()).await);
                done(tx.add_audit(&line(n)).await);
                commit(tx).await;
            })
        })
        .collect();
    // All of them wait at once; each read-modify-write must see the one before.
    std::future::poll_fn(|cx| {
        queue.retain_mut(|f| f.as_mut().poll(cx).is_pending());
        if queue.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;

    let mut tx = begin(store).await;
    assert_eq!(done(tx.load_note("shop", "count").await), Some(WRITERS.to_string()));
    assert_eq!(done(tx.list_audit(&AuditFilter::default(), &Page::default()).await).len(), WRITERS as usize);
}

pub async fn a_caller_that_goes_away_while_waiting_holds_nobody_up(store: &dyn StateStore) {
    let first = begin(store).await;
    {
        let mut waiting = pin!(store.begin());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(waiting.as_mut().poll(&mut cx).is_pending());
    }
    drop(first);
    {
        // Gone after BEGIN may have been sent, before its answer came.
        let mut begun = pin!(store.begin());
        let mut cx = Context::from_waker(Waker::noop());
        let _ = begun.as_mut().poll(&mut cx);
    }
    let mut tx = begin(store).await;
    done(tx.save_note("shop", "alive", "1").await);
    commit(tx).await;
}
