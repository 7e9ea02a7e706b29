//! What is promised about positions, parked rows, bases, digests and mappings.

use super::sample::{begin, done, mapping, parked, position, refusal};
use crate::contract::StateStore;
use crate::rows::{ObservationRow, Page, ParkedFilter, ParkedRow, PositionRow, SegmentRow};

pub async fn a_position_is_kept_per_sync_scope_and_stream(store: &dyn StateStore) {
    let bare = PositionRow {
        last_synced_at: None,
        mark: None,
        cursor_json: None,
        shape: String::new(),
        seen: Vec::new(),
        ..position("shop", "org", "film")
    };
    let moved = PositionRow { mark: Some(99), run: "r2".to_owned(), ..position("shop", "", "film") };
    let mut tx = begin(store).await;
    for row in [&position("shop", "", "film"), &bare, &position("lake", "", "film"), &moved] {
        done(tx.save_position(row).await);
    }
    assert_eq!(done(tx.load_position("shop", "", "film").await), Some(moved.clone()));
    assert_eq!(done(tx.load_position("shop", "org", "film").await), Some(bare.clone()));
    assert_eq!(done(tx.load_position("shop", "", "actor").await), None);
    assert_eq!(done(tx.list_positions("shop").await), [moved, bare]);
}

pub async fn clearing_positions_forgets_all_scopes_of_one_sync(store: &dyn StateStore) {
    let mut tx = begin(store).await;
    for (sync, scope) in [("shop", ""), ("shop", "org"), ("lake", "")] {
        done(tx.save_position(&position(sync, scope, "film")).await);
    }
    done(tx.clear_positions("shop").await);
    assert!(done(tx.list_positions("shop").await).is_empty());
    assert_eq!(done(tx.list_positions("lake").await).len(), 1);
}

pub async fn two_streams_of_a_scope_cannot_share_a_collection_key(store: &dyn StateStore) {
    let twin = PositionRow { collection_key: "film".to_owned(), ..position("shop", "", "movies") };
    let mut tx = begin(store).await;
    done(tx.save_position(&position("shop", "", "film")).await);
    assert_eq!(refusal(tx.save_position(&twin).await), "collection_key_doubled");
    done(tx.save_position(&PositionRow { scope: "org".to_owned(), ..twin }).await);
    assert!(done(tx.load_position("shop", "", "film").await).is_some());
}

pub async fn the_last_64_observations_are_kept_oldest_first(store: &dyn StateStore) {
    let seen = |at: i64| ObservationRow { at, open: vec![format!("3/{at}")] };
    let mut tx = begin(store).await;
    done(tx.add_observation("lake", &seen(-1)).await);
    for at in 0..70 {
        done(tx.add_observation("shop", &seen(at)).await);
    }
    assert_eq!(done(tx.list_observations("shop").await), (6..70).map(seen).collect::<Vec<_>>());
    assert_eq!(done(tx.list_observations("lake").await), [seen(-1)]);
}

pub async fn a_note_is_kept_per_sync_and_name(store: &dyn StateStore) {
    let mut tx = begin(store).await;
    for (sync, name, value) in [("shop", "a", "1"), ("shop", "b", "2"), ("lake", "a", "3"), ("shop", "a", "4")] {
        done(tx.save_note(sync, name, value).await);
    }
    for (sync, name, want) in [("shop", "a", Some("4")), ("shop", "b", Some("2")), ("lake", "a", Some("3")), ("lake", "b", None)] {
        assert_eq!(done(tx.load_note(sync, name).await).as_deref(), want);
    }
}

pub async fn parking_a_row_again_refreshes_its_open_entry(store: &dyn StateStore) {
    let again = ParkedRow {
        code: "not_null".to_owned(),
        column: None,
        detail: "d".to_owned(),
        image_json: None,
        ..parked("film", "[1]", "r2", 20)
    };
    let mut tx = begin(store).await;
    done(tx.park(&parked("film", "[1]", "r1", 10)).await);
    done(tx.park(&again).await);
    let open = done(tx.list_parked(&ParkedFilter::default(), &Page::default()).await);
    assert_eq!(open, [ParkedRow { id: 1, first_at: 10, attempts: 2, ..again }]);
}

pub async fn a_closed_entry_stays_and_the_key_can_be_parked_anew(store: &dyn StateStore) {
    let mut tx = begin(store).await;
    done(tx.park(&parked("film", "[1]", "r1", 10)).await);
    assert!(done(tx.close_parked("shop", "", "film", "[1]", "applied", 15).await));
    assert!(!done(tx.close_parked("shop", "", "film", "[1]", "gone", 16).await));
    assert!(!done(tx.close_parked("shop", "org", "film", "[1]", "gone", 16).await));
    done(tx.park(&parked("film", "[1]", "r2", 20)).await);
    let all = ParkedFilter { closed: true, ..ParkedFilter::default() };
    let rows = done(tx.list_parked(&all, &Page::default()).await);
    let told: Vec<_> = rows.iter().map(|p| (p.id, p.attempts, p.last_at, p.outcome.as_deref())).collect();
    assert_eq!(told, [(1, 1, 15, Some("applied")), (2, 1, 20, None)]);
}

pub async fn parked_rows_are_listed_by_filter_and_counted_per_stream(store: &dyn StateStore) {
    let mut tx = begin(store).await;
    let elsewhere = ParkedRow { sync: "lake".to_owned(), scope: "org".to_owned(), ..parked("film", "[1]", "r1", 40) };
    for row in [parked("film", "[1]", "r1", 10), parked("film", "[2]", "r1", 20), parked("actor", "[1]", "r1", 30), elsewhere] {
        done(tx.park(&row).await);
    }
    done(tx.close_parked("shop", "", "film", "[2]", "discarded", 50).await);
    let any = ParkedFilter::default();
    let name = |t: &str| Some(t.to_owned());
    for (filter, page, want) in [
        (any.clone(), Page::default(), vec![1, 3, 4]),
        (any.clone(), Page { offset: 1, limit: 1 }, vec![3]),
        (ParkedFilter { sync: name("shop"), ..any.clone() }, Page::default(), vec![1, 3]),
        (ParkedFilter { scope: name("org"), ..any.clone() }, Page::default(), vec![4]),
        (ParkedFilter { stream: name("film"), ..any.clone() }, Page::default(), vec![1, 4]),
        (ParkedFilter { ids: vec![2, 3, 99], ..any.clone() }, Page::default(), vec![3]),
        (ParkedFilter { ids: vec![2, 3], closed: true, ..any }, Page::default(), vec![2, 3]),
    ] {
        let rows = done(tx.list_parked(&filter, &page).await);
        assert_eq!(rows.iter().map(|p| p.id).collect::<Vec<_>>(), want);
    }
    assert_eq!(done(tx.count_parked("shop").await), [("actor".to_owned(), 1), ("film".to_owned(), 1)]);
}

pub async fn bases_come_back_in_the_order_of_the_keys(store: &dyn StateStore) {
    let (a, b, c) = (vec![1, 0, 255], vec![2], vec![3]);
    let mut tx = begin(store).await;
    assert_eq!(done(tx.load_bases("shop", "", "film", std::slice::from_ref(&a)).await), [None]);
    done(tx.save_bases("shop", "", "film", &[(a.clone(), vec![0, u64::MAX]), (b.clone(), vec![7])]).await);
    done(tx.save_bases("shop", "", "film", &[(b.clone(), vec![8, 9])]).await);
    done(tx.save_bases("shop", "org", "film", &[(c.clone(), vec![])]).await);
    let keys = [c.clone(), b.clone(), a.clone()];
    assert_eq!(done(tx.load_bases("shop", "", "film", &keys).await), [None, Some(vec![8, 9]), Some(vec![0, u64::MAX])]);
    done(tx.drop_bases("shop", "", "film", &[b.clone(), c]).await);
    done(tx.clear_bases("shop", "", "no such stream").await);
    assert_eq!(done(tx.load_bases("shop", "", "film", &[b, a]).await), [None, Some(vec![0, u64::MAX])]);
    assert_eq!(done(tx.count_bases("shop").await), 2);
    assert_eq!(done(tx.count_bases("lake").await), 0);
    done(tx.clear_bases("shop", "", "film").await);
    assert_eq!(done(tx.count_bases("shop").await), 1, "those of the other scope");
}

pub async fn remembered_digests_are_empty_once_the_shape_changed(store: &dyn StateStore) {
    let rows =
        [SegmentRow { id: -3, source: (1, u64::MAX), destination: (2, 5) }, SegmentRow { id: 0, source: (0, 0), destination: (0, 0) }];
    let mut tx = begin(store).await;
    assert!(done(tx.load_segments("shop", "", "film", "s1").await).is_empty());
    done(tx.save_segments("shop", "", "film", "s1", &rows).await);
    assert_eq!(done(tx.load_segments("shop", "", "film", "s1").await), rows);
    assert!(done(tx.load_segments("shop", "", "film", "s2").await).is_empty());
    done(tx.save_segments("shop", "", "film", "s2", &rows[..1]).await);
    assert_eq!(done(tx.load_segments("shop", "", "film", "s2").await), rows[..1]);
    assert!(done(tx.load_segments("shop", "", "film", "s1").await).is_empty());
    done(tx.clear_segments("shop", "", "film").await);
    assert!(done(tx.load_segments("shop", "", "film", "s2").await).is_empty());
}

pub async fn a_mapping_is_never_overwritten_in_either_direction(store: &dyn StateStore) {
    let mut tx = begin(store).await;
    done(tx.add_ids("shop", "film", &[mapping(1, "a")]).await);
    done(tx.add_ids("shop", "film", &[mapping(1, "a")]).await);
    assert_eq!(refusal(tx.add_ids("shop", "film", &[mapping(1, "b")]).await), "mapping_doubled");
    assert_eq!(refusal(tx.add_ids("shop", "film", &[mapping(2, "a")]).await), "mapping_doubled");
    done(tx.add_ids("shop", "actor", &[mapping(1, "a")]).await);
    assert_eq!(done(tx.load_ids("shop", "film", &[vec![1], vec![2]]).await), [Some(mapping(1, "a")), None]);
}

pub async fn mappings_are_found_both_ways_listed_and_counted(store: &dyn StateStore) {
    let rows = [mapping(1, "a"), mapping(2, "b"), mapping(3, "c")];
    let mut tx = begin(store).await;
    done(tx.add_ids("shop", "film", &rows).await);
    done(tx.add_ids("shop", "actor", &rows[..1]).await);
    assert_eq!(done(tx.load_ids("shop", "film", &[vec![3], vec![9], vec![1]]).await), [Some(rows[2].clone()), None, Some(rows[0].clone())]);
    assert_eq!(done(tx.reverse_id("shop", "film", "[\"b\"]").await), Some(rows[1].clone()));
    assert_eq!(done(tx.reverse_id("lake", "film", "[\"b\"]").await), None);
    assert_eq!(done(tx.list_ids("shop", "film", &Page { offset: 1, limit: 5 }).await), rows[1..]);
    assert_eq!(done(tx.count_ids("shop").await), [("actor".to_owned(), 1), ("film".to_owned(), 3)]);
}
/// Bases that wait for a commit count once they are moved, and are gone when they are not wanted.
pub async fn waiting_bases_are_moved_or_forgotten(store: &dyn StateStore) {
    let (a, b) = (vec![1], vec![2]);
    let mut tx = done(store.begin().await);
    done(tx.save_bases("shop", "", "film", &[(a.clone(), vec![1]), (b.clone(), vec![2])]).await);
    done(tx.save_bases("shop", "open/r1", "film", &[(b.clone(), vec![22])]).await);
    done(tx.save_bases("shop", "open/r1", "actor", &[(a.clone(), vec![11])]).await);
    done(tx.save_bases("shop", "open/r2", "film", &[(a.clone(), vec![99])]).await);
    let keys = [a, b];
    assert_eq!(done(tx.load_bases("shop", "", "film", &keys).await), [Some(vec![1]), Some(vec![2])]);
    done(tx.move_bases("shop", "open/r1", Some("")).await);
    done(tx.move_bases("shop", "open/r2", None).await);
    assert_eq!(done(tx.load_bases("shop", "", "film", &keys).await), [Some(vec![1]), Some(vec![22])]);
    assert_eq!(done(tx.load_bases("shop", "", "actor", &keys).await), [Some(vec![11]), None]);
    assert_eq!(done(tx.count_bases("shop").await), 3);
}
