//! What is promised about runs.

use syncline_model::Books;

use super::sample::{begin, done, finish, intent, refusal, run, stream};
use crate::contract::StateStore;
use crate::rows::{ConflictRow, DeletionRow, Page, RunError, RunFilter, RunFinish, RunKind, RunRow, RunStatus};

pub async fn a_run_is_recorded_at_its_start_and_ends_with_its_books(store: &dyn StateStore) {
    let started = RunRow { scope: "org-1".to_owned(), kind: RunKind::Undo, of_run: Some("00".to_owned()), ..run("0a", "shop", 1_000) };
    let mut tx = begin(store).await;
    done(tx.start_run(&started).await);
    assert_eq!(done(tx.load_run("0a").await), Some(RunRow { number: 1, ..started.clone() }));
    let ended = RunFinish {
        status: RunStatus::Partial,
        completed_at: 5_000,
        books: Books { in_scope: 9, fetched: 9, created: 8, parked: 1, ..Books::default() },
        conflicts: 3,
        error: Some(RunError {
            code: "auth_failed".to_owned(),
            message: "m".to_owned(),
            hint: Some("h".to_owned()),
            causes: vec!["c".to_owned()],
        }),
        undoable: true,
        notes: vec!["complete but empty".to_owned()],
    };
    done(tx.finish_run("0a", &ended).await);
    let want = RunRow {
        number: 1,
        completed_at: Some(ended.completed_at),
        status: ended.status,
        books: ended.books,
        conflicts: ended.conflicts,
        error: ended.error,
        undoable: true,
        notes: ended.notes,
        ..started
    };
    assert_eq!(done(tx.load_run("0a").await), Some(want));
}

pub async fn runs_are_numbered_upwards_and_found_by_number_or_unique_beginning(store: &dyn StateStore) {
    let mut tx = begin(store).await;
    for id in ["019a-1", "019a-2", "019b-1"] {
        done(tx.start_run(&run(id, "shop", 1)).await);
    }
    let by = async |tx: &mut Box<dyn crate::StateTx>, asked: &str| done(tx.load_run(asked).await).map(|r| (r.number, r.id));
    assert_eq!(by(&mut tx, "3").await, Some((3, "019b-1".to_owned())));
    assert_eq!(by(&mut tx, "019b").await, Some((3, "019b-1".to_owned())));
    assert_eq!(by(&mut tx, "019a-2").await, Some((2, "019a-2".to_owned())));
    assert_eq!(by(&mut tx, "7").await, None);
    assert_eq!(by(&mut tx, "019c").await, None);
    assert_eq!(by(&mut tx, "").await, None);
    assert_eq!(by(&mut tx, "%").await, None);
    assert_eq!(refusal(tx.load_run("019a").await), "id_ambiguous");
}

pub async fn ending_a_run_that_is_not_running_is_refused(store: &dyn StateStore) {
    let mut tx = begin(store).await;
    done(tx.start_run(&run("0a", "shop", 1)).await);
    assert_eq!(refusal(tx.finish_run("0a", &finish(RunStatus::Running)).await), "run_not_running");
    done(tx.finish_run("0a", &finish(RunStatus::Failed)).await);
    for status in [RunStatus::Succeeded, RunStatus::Partial, RunStatus::Failed, RunStatus::Cancelled] {
        assert_eq!(refusal(tx.finish_run("0a", &finish(status)).await), "run_not_running");
    }
    assert_eq!(refusal(tx.finish_run("0b", &finish(RunStatus::Failed)).await), "run_unknown");
    let ended = RunRow { status: RunStatus::Succeeded, ..run("0c", "shop", 1) };
    assert_eq!(refusal(tx.start_run(&ended).await), "run_not_running");
    assert_eq!(done(tx.load_run("0a").await).map(|r| r.status), Some(RunStatus::Failed));
}

pub async fn an_intent_stays_with_a_running_run_until_it_ends(store: &dyn StateStore) {
    let mut tx = begin(store).await;
    done(tx.start_run(&run("0a", "shop", 1)).await);
    done(tx.save_intent("0a", &intent()).await);
    assert_eq!(done(tx.load_run("0a").await).and_then(|r| r.intent), Some(intent()));
    done(tx.finish_run("0a", &finish(RunStatus::Succeeded)).await);
    assert_eq!(done(tx.load_run("0a").await).and_then(|r| r.intent), None);
    assert_eq!(refusal(tx.save_intent("0a", &intent()).await), "run_not_running");
    assert_eq!(refusal(tx.save_intent("0b", &intent()).await), "run_unknown");
}

pub async fn the_last_word_on_the_books_of_a_stream_wins(store: &dyn StateStore) {
    let mut tx = begin(store).await;
    done(tx.start_run(&run("0a", "shop", 1)).await);
    for books in [stream("store", 1), stream("film", 2), stream("film", 3)] {
        done(tx.save_stream("0a", &books).await);
    }
    assert_eq!(done(tx.load_run("0a").await).map(|r| r.streams), Some(vec![stream("film", 3), stream("store", 1)]));
}

pub async fn runs_are_listed_newest_first_and_by_filter(store: &dyn StateStore) {
    let mut tx = begin(store).await;
    for (id, sync, scope, at) in [("0a", "shop", "", 10), ("0b", "shop", "org", 30), ("0c", "lake", "", 20)] {
        done(tx.start_run(&RunRow { scope: scope.to_owned(), ..run(id, sync, at) }).await);
        done(tx.save_stream(id, &stream("film", 1)).await);
    }
    done(tx.finish_run("0c", &finish(RunStatus::Failed)).await);
    let any = RunFilter::default();
    for (filter, page, want) in [
        (any.clone(), Page::default(), vec!["0b", "0c", "0a"]),
        (any.clone(), Page { offset: 1, limit: 1 }, vec!["0c"]),
        (RunFilter { sync: Some("shop".to_owned()), ..any.clone() }, Page::default(), vec!["0b", "0a"]),
        (RunFilter { scope: Some(String::new()), ..any.clone() }, Page::default(), vec!["0c", "0a"]),
        (RunFilter { status: Some(RunStatus::Failed), ..any.clone() }, Page::default(), vec!["0c"]),
        (RunFilter { since: Some(20), ..any }, Page::default(), vec!["0b", "0c"]),
    ] {
        let runs = done(tx.list_runs(&filter, &page).await);
        assert_eq!(runs.iter().map(|r| r.id.as_str()).collect::<Vec<_>>(), want);
        assert!(runs.iter().all(|r| r.streams.len() == 1));
    }
}

pub async fn lists_of_an_open_run_wait_in_order_until_they_are_forgotten(store: &dyn StateStore) {
    let mut tx = done(store.begin().await);
    for run in ["0a", "0b"] {
        done(tx.start_run(&super::sample::run(run, "shop", 1)).await);
    }
    for (run, body) in [("0a", "one"), ("0b", "other"), ("0a", "two")] {
        done(tx.add_waiting(run, body).await);
    }
    let (first, one) = done(tx.next_waiting("0a", 0).await).expect("a piece");
    let (second, two) = done(tx.next_waiting("0a", first).await).expect("another piece");
    assert_eq!((one.as_str(), two.as_str()), ("one", "two"));
    assert_eq!(done(tx.next_waiting("0a", second).await), None);
    done(tx.drop_waiting("0a").await);
    assert_eq!(done(tx.next_waiting("0a", 0).await), None);
    assert_eq!(done(tx.next_waiting("0b", 0).await).map(|(_, body)| body).as_deref(), Some("other"), "another run's stay");
}

pub async fn deletions_of_a_run_are_listed_once_each(store: &dyn StateStore) {
    let row = |key: &str, done| DeletionRow {
        run: "0a".to_owned(),
        stream: "film".to_owned(),
        key_json: key.to_owned(),
        reason: "missing_at_source".to_owned(),
        done,
    };
    let mut tx = begin(store).await;
    done(tx.start_run(&run("0a", "shop", 1)).await);
    done(tx.save_deletions(&[row("[2]", false), row("[1]", true)]).await);
    done(tx.save_deletions(&[row("[2]", true)]).await);
    assert_eq!(done(tx.list_deletions("0a", &Page::default()).await), [row("[2]", true), row("[1]", true)]);
    assert_eq!(done(tx.list_deletions("0a", &Page { offset: 1, limit: 9 }).await), [row("[1]", true)]);
}

pub async fn an_undone_run_names_the_run_that_undid_it(store: &dyn StateStore) {
    let mut tx = begin(store).await;
    done(tx.start_run(&run("0a", "shop", 1)).await);
    done(tx.finish_run("0a", &finish(RunStatus::Succeeded)).await);
    done(tx.mark_undone("0a", "0b").await);
    let undone = done(tx.load_run("0a").await).expect("the run");
    assert_eq!((undone.undone_by.as_deref(), undone.undoable), (Some("0b"), false));
    assert_eq!(refusal(tx.mark_undone("0z", "0b").await), "run_unknown");
}

pub async fn only_the_latest_runs_keep_what_undo_needs(store: &dyn StateStore) {
    let mut tx = begin(store).await;
    for (id, sync) in [("0a", "shop"), ("0b", "shop"), ("0c", "lake"), ("0d", "shop")] {
        done(tx.start_run(&run(id, sync, 1)).await);
        done(tx.finish_run(id, &RunFinish { undoable: true, ..finish(RunStatus::Succeeded) }).await);
    }
    assert_eq!(done(tx.stale_undo("shop", "", 1).await), ["0b", "0a"]);
    done(tx.drop_undo(&["0a".to_owned(), "0b".to_owned()]).await);
    assert_eq!(done(tx.stale_undo("shop", "", 0).await), ["0d"]);
    assert_eq!(done(tx.stale_undo("lake", "", 0).await), ["0c"]);
}

pub async fn conflicts_are_listed_by_run_in_the_order_found(store: &dyn StateStore) {
    let conflict = |field: &str| ConflictRow {
        run: "0a".to_owned(),
        stream: "member".to_owned(),
        key_json: "[1]".to_owned(),
        field: field.to_owned(),
        source_json: "\"a\"".to_owned(),
        destination_json: "\"b\"".to_owned(),
        resolved_json: "\"a\"".to_owned(),
        winner: "source".to_owned(),
        strategy: "source_wins".to_owned(),
        note: "both changed it".to_owned(),
    };
    let mut tx = begin(store).await;
    done(tx.start_run(&run("0a", "shop", 1)).await);
    done(tx.save_conflicts(&[conflict("phone"), conflict("email")]).await);
    assert_eq!(done(tx.list_conflicts("0a", &Page::default()).await), [conflict("phone"), conflict("email")]);
    assert!(done(tx.list_conflicts("0b", &Page::default()).await).is_empty());
}

pub async fn what_belongs_to_a_run_needs_the_run(store: &dyn StateStore) {
    let orphan =
        DeletionRow { run: "0z".to_owned(), stream: "s".to_owned(), key_json: "[1]".to_owned(), reason: "undo".to_owned(), done: true };
    let mut tx = begin(store).await;
    assert_eq!(refusal(tx.save_stream("0z", &stream("film", 1)).await), "state_conflict");
    assert_eq!(refusal(tx.save_deletions(&[orphan]).await), "state_conflict");
    done(tx.start_run(&run("0a", "shop", 1)).await);
    assert_eq!(refusal(tx.start_run(&run("0a", "shop", 1)).await), "state_conflict");
}
