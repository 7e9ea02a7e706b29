//! What is promised about reports, the audit log, locks and pruning.

use super::sample::{begin, done, finish, lock, parked, refusal, run, stream, verify};
use crate::contract::StateStore;
use crate::rows::{AuditFilter, AuditRow, LockHolder, LockRequest, Page, ParkedFilter, RunFilter, RunStatus, VerifyRow};

pub async fn verify_reports_are_numbered_found_and_listed_newest_first(store: &dyn StateStore) {
    let mut tx = begin(store).await;
    for row in [verify("01a", "shop", 1), verify("01b", "lake", 2), verify("01c", "shop", 3)] {
        done(tx.save_verify(&row).await);
        // Saved again once its number is known; that takes no further number.
        done(tx.save_verify(&row).await);
    }
    assert_eq!(done(tx.load_verify("01b").await), Some(VerifyRow { number: 2, ..verify("01b", "lake", 2) }));
    assert_eq!(done(tx.load_verify("3").await).map(|v| v.id), Some("01c".to_owned()));
    assert_eq!(refusal(tx.load_verify("01").await), "id_ambiguous");
    assert_eq!(done(tx.load_verify("02").await), None);
    let ids = |rows: Vec<VerifyRow>| rows.into_iter().map(|v| v.id).collect::<Vec<_>>();
    assert_eq!(ids(done(tx.list_verify(None, &Page::default()).await)), ["01c", "01b", "01a"]);
    assert_eq!(ids(done(tx.list_verify(Some("shop"), &Page { offset: 1, limit: 9 }).await)), ["01a"]);
}

// req: FR-007
pub async fn audit_lines_are_listed_newest_first(store: &dyn StateStore) {
    let line = |at: i64, sync: Option<&str>| AuditRow {
        at,
        actor: "ann@host".to_owned(),
        action: "run".to_owned(),
        sync: sync.map(str::to_owned),
        detail_json: "{\"run\":\"0a\"}".to_owned(),
    };
    let mut tx = begin(store).await;
    done(tx.add_audit(&line(5, Some("shop"))).await);
    done(tx.add_audit(&line(4, None)).await);
    let all = AuditFilter::default();
    assert_eq!(done(tx.list_audit(&all, &Page::default()).await), [line(4, None), line(5, Some("shop"))]);
    assert_eq!(done(tx.list_audit(&all, &Page { offset: 1, limit: 1 }).await), [line(5, Some("shop"))]);
    let shop = AuditFilter { sync: Some("shop".to_owned()), since: None };
    assert_eq!(done(tx.list_audit(&shop, &Page::default()).await), [line(5, Some("shop"))]);
    let late = AuditFilter { sync: None, since: Some(5) };
    assert_eq!(done(tx.list_audit(&late, &Page::default()).await), [line(5, Some("shop"))]);
}

fn holder_of(asked: &LockRequest) -> LockHolder {
    let a = asked.clone();
    LockHolder { name: a.name, holder: a.holder, run: a.run, since: a.now, until: a.until, process: a.process }
}

pub async fn a_held_lock_is_refused_with_its_holder(store: &dyn StateStore) {
    let first = lock("ann", 100, 200);
    let mut tx = begin(store).await;
    assert_eq!(done(tx.try_lock(&first).await), Ok(1));
    assert_eq!(done(tx.try_lock(&lock("bob", 199, 300)).await), Err(holder_of(&first)));
    assert_eq!(done(tx.try_lock(&lock("ann", 199, 300)).await), Err(holder_of(&first)));
    let other = LockRequest { name: "run/lake/".to_owned(), ..lock("bob", 199, 300) };
    assert_eq!(done(tx.try_lock(&other).await), Ok(1));
    assert_eq!(done(tx.list_locks().await), [holder_of(&other), holder_of(&first)]);
}

pub async fn a_lock_is_taken_over_once_its_lease_ran_out_and_its_token_grows(store: &dyn StateStore) {
    let mut tx = begin(store).await;
    assert_eq!(done(tx.try_lock(&lock("ann", 100, 200)).await), Ok(1));
    assert!(done(tx.renew_lock("run/shop/", 1, 250).await));
    assert!(done(tx.try_lock(&lock("bob", 249, 300)).await).is_err());
    assert_eq!(done(tx.try_lock(&lock("bob", 250, 300)).await), Ok(2));
    assert_eq!(done(tx.list_locks().await), [holder_of(&lock("bob", 250, 300))]);
}

pub async fn the_lock_of_a_process_that_is_gone_is_taken_over_before_its_lease_ends(store: &dyn StateStore) {
    let of = |holder: &str, process: &str, gone: Option<&str>| LockRequest {
        process: Some(process.to_owned()),
        gone: gone.map(str::to_owned),
        ..lock(holder, 100, 900)
    };
    let mut tx = begin(store).await;
    assert_eq!(done(tx.try_lock(&of("ann", "p1", None)).await), Ok(1));
    assert!(done(tx.try_lock(&of("bob", "p2", None)).await).is_err(), "nobody said that it is gone");
    assert!(done(tx.try_lock(&of("bob", "p2", Some("p0"))).await).is_err(), "another one is gone");
    assert_eq!(done(tx.try_lock(&of("bob", "p2", Some("p1"))).await), Ok(2));
    // A third one saw the same process gone, and came too late.
    assert_eq!(done(tx.try_lock(&of("cid", "p3", Some("p1"))).await), Err(holder_of(&of("bob", "p2", None))));
    assert!(!done(tx.renew_lock("run/shop/", 1, 999).await), "the dead holder's token is worth nothing");
    assert_eq!(done(tx.try_lock(&LockRequest { name: "run/lake/".to_owned(), process: None, ..of("ann", "", None) }).await), Ok(1));
    let nobody = LockRequest { name: "run/lake/".to_owned(), ..of("bob", "p2", None) };
    assert!(done(tx.try_lock(&nobody).await).is_err(), "a holder without a process is left to its lease");
}

pub async fn a_lock_is_held_by_the_run_that_took_it_last(store: &dyn StateStore) {
    let mut tx = begin(store).await;
    assert!(!done(tx.hold_lock("run/shop/", "run of ann", 900).await), "nobody took it");
    assert_eq!(done(tx.try_lock(&lock("ann", 100, 200)).await), Ok(1));
    assert!(done(tx.hold_lock("run/shop/", "run of ann", 250).await));
    assert!(done(tx.hold_lock("run/shop/", "run of ann", 240).await), "a lease is never cut short");
    assert!(done(tx.try_lock(&lock("bob", 249, 300)).await).is_err(), "extended");
    assert_eq!(done(tx.try_lock(&lock("bob", 250, 300)).await), Ok(2));
    assert!(!done(tx.hold_lock("run/shop/", "run of ann", 900).await));
    assert_eq!(done(tx.list_locks().await), [holder_of(&lock("bob", 250, 300))], "asking in vain changes nothing");
    done(tx.unlock("run/shop/", 2).await);
    assert!(!done(tx.hold_lock("run/shop/", "run of bob", 900).await), "given back");
}

pub async fn a_token_grows_over_unlocking_too(store: &dyn StateStore) {
    let mut tx = begin(store).await;
    for token in 1..=3 {
        assert_eq!(done(tx.try_lock(&lock("ann", 100, 200)).await), Ok(token));
        done(tx.unlock("run/shop/", token).await);
        assert!(done(tx.list_locks().await).is_empty());
    }
}

pub async fn a_lost_lock_cannot_be_renewed_or_given_back(store: &dyn StateStore) {
    let mut tx = begin(store).await;
    assert_eq!(done(tx.try_lock(&lock("ann", 100, 200)).await), Ok(1));
    assert_eq!(done(tx.try_lock(&lock("bob", 200, 300)).await), Ok(2));
    assert!(!done(tx.renew_lock("run/shop/", 1, 900).await));
    done(tx.unlock("run/shop/", 1).await);
    assert_eq!(done(tx.list_locks().await), [holder_of(&lock("bob", 200, 300))]);
    done(tx.unlock("run/shop/", 2).await);
    assert!(!done(tx.renew_lock("run/shop/", 2, 900).await));
    assert!(!done(tx.renew_lock("run/never/", 1, 900).await));
}

pub async fn pruning_keeps_running_runs_the_newest_and_those_of_open_parked_rows(store: &dyn StateStore) {
    let mut tx = begin(store).await;
    for (id, at) in [("0a", 10), ("0b", 20), ("0c", 30), ("0d", 40), ("0e", 50), ("0f", 60)] {
        done(tx.start_run(&run(id, "shop", at)).await);
        done(tx.save_stream(id, &stream("film", 1)).await);
        if id != "0b" {
            done(tx.finish_run(id, &finish(RunStatus::Succeeded)).await);
        }
    }
    done(tx.park(&parked("film", "[1]", "0c", 30)).await);
    done(tx.park(&parked("film", "[2]", "0a", 10)).await);
    done(tx.close_parked("shop", "", "film", "[2]", "gone", 11).await);
    for (id, at) in [("01", 10), ("02", 20)] {
        done(tx.save_verify(&verify(id, "shop", at)).await);
    }
    // 0b runs, 0c has an open parked row, 0e is not old enough, 0f is the newest.
    assert_eq!(done(tx.prune_runs(50, 1).await), 2);
    let runs = done(tx.list_runs(&RunFilter::default(), &Page::default()).await);
    assert_eq!(runs.iter().map(|r| r.id.as_str()).collect::<Vec<_>>(), ["0f", "0e", "0c", "0b"]);
    let all = ParkedFilter { closed: true, ..ParkedFilter::default() };
    assert_eq!(done(tx.list_parked(&all, &Page::default()).await).iter().map(|p| p.id).collect::<Vec<_>>(), [1]);
    assert_eq!(done(tx.list_verify(None, &Page::default()).await).iter().map(|v| v.id.as_str()).collect::<Vec<_>>(), ["02"]);
    assert_eq!(done(tx.prune_runs(50, 1).await), 0);
    done(tx.start_run(&run("0g", "shop", 70)).await);
    assert_eq!(done(tx.load_run("0g").await).map(|r| r.number), Some(7));
}
