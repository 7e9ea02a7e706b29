//! Digests: equal rows may be called different, different rows never equal.

use syncline_connector::{DigestKind, DigestRequest, SegmentDigest, Segments, Snapshot};

use super::Harness;
use super::steps::{ITEM, digest_request, drain, int, many_items, ranges, snapshot_of, three_items};

const KINDS: [DigestKind; 3] = [DigestKind::Native, DigestKind::Canonical, DigestKind::Own];

async fn digest(snapshot: &mut dyn Snapshot, request: &DigestRequest) -> Vec<SegmentDigest> {
    let digests = snapshot.digest(request).await.expect("digest");
    assert!(digests.windows(2).all(|pair| pair[0].id < pair[1].id), "ordered by segment number");
    assert!(digests.iter().all(|segment| segment.rows > 0), "segments without rows are left out");
    digests
}

async fn fresh_digests(h: &dyn Harness, kind: DigestKind) -> Vec<SegmentDigest> {
    let (_source, mut snapshot, table) = snapshot_of(h, "item").await;
    digest(&mut *snapshot, &digest_request(&table, kind, ranges(10))).await
}

/// The kinds a system has: native only where it says that it is safe, the others always.
async fn kinds(h: &dyn Harness) -> Vec<DigestKind> {
    let native = super::steps::source(h).await.capabilities().native_digest;
    KINDS.into_iter().filter(|kind| native || *kind != DigestKind::Native).collect()
}

/// Counts are exact; every row of a plain table has a hash.
pub async fn a_digest_counts_rows_and_leaves_empty_segments_out(h: &dyn Harness) {
    many_items(h, 95).await;
    h.execute("DELETE FROM item WHERE id BETWEEN 20 AND 29").await;
    for kind in kinds(h).await {
        let (_source, mut snapshot, table) = snapshot_of(h, "item").await;
        let by_range = digest(&mut *snapshot, &digest_request(&table, kind, ranges(10))).await;
        assert_eq!(by_range.iter().map(|s| s.id).collect::<Vec<_>>(), [0, 1, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(by_range.iter().map(|s| s.rows).collect::<Vec<_>>(), [9, 10, 10, 10, 10, 10, 10, 10, 6]);
        assert!(by_range.iter().all(|segment| segment.hashed == segment.rows), "{by_range:?}");
        for digits in 1..=4 {
            let by_bucket = digest(&mut *snapshot, &digest_request(&table, kind, Segments::Buckets { digits })).await;
            assert_eq!(by_bucket.iter().map(|segment| segment.rows).sum::<u64>(), 85);
            assert!(by_bucket.iter().all(|segment| (0..16_i64.pow(digits.into())).contains(&segment.id)));
            assert_eq!(xor(&by_bucket), xor(&by_range), "the same rows, cut differently");
        }
    }
}

// rule: R15
/// Segment = key / size, truncated toward zero, as all engines divide.
pub async fn a_range_segment_is_the_key_divided_toward_zero(h: &dyn Harness) {
    h.execute(ITEM).await;
    h.execute("INSERT INTO item (id) VALUES (-21), (-20), (-19), (-1), (0), (19), (20)").await;
    for kind in kinds(h).await {
        let (_source, mut snapshot, table) = snapshot_of(h, "item").await;
        let found = digest(&mut *snapshot, &digest_request(&table, kind, ranges(20))).await;
        assert_eq!(found.iter().map(|s| (s.id, s.rows)).collect::<Vec<_>>(), [(-1, 2), (0, 4), (1, 1)]);
    }
}

// rule: R15
/// A system's own hashes come in the buckets that another system puts the same keys into.
pub async fn own_hashes_come_in_the_buckets_of_the_canonical_key(h: &dyn Harness) {
    many_items(h, 95).await;
    let mut counts = Vec::new();
    for kind in [DigestKind::Canonical, DigestKind::Own] {
        let (_source, mut snapshot, table) = snapshot_of(h, "item").await;
        let found = digest(&mut *snapshot, &digest_request(&table, kind, Segments::Buckets { digits: 2 })).await;
        counts.push(found.iter().map(|s| (s.id, s.rows)).collect::<Vec<_>>());
    }
    assert_eq!(counts[0], counts[1]);
}

/// `digest` and `row_hashes` speak of the same hashes.
pub async fn the_digest_is_the_xor_of_the_row_hashes(h: &dyn Harness) {
    three_items(h).await;
    for kind in kinds(h).await {
        let (_source, mut snapshot, table) = snapshot_of(h, "item").await;
        let request = digest_request(&table, kind, ranges(1000));
        let whole = digest(&mut *snapshot, &request).await;
        let hashes = row_hashes(&mut *snapshot, &request, &[0]).await;
        assert_eq!(hashes.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(hashes.iter().fold(0, |all, (_, hash)| all ^ hash), xor(&whole));
    }
}

// rule: R9
/// A change of one cell, also to or from NULL, to the empty text or in case only, changes the digest of its segment and of no other.
pub async fn any_change_of_a_cell_changes_its_segment_only(h: &dyn Harness) {
    many_items(h, 40).await;
    for kind in kinds(h).await {
        for change in [
            "name = NULL",
            "name = ''",
            "name = ' '",
            "name = 'a'",
            "name = 'A'",
            "n = n + 1",
            "n = NULL",
            "name = 'n', n = 12",
            "name = 'n1', n = 2",
        ] {
            let before = fresh_digests(h, kind).await;
            h.execute(&format!("UPDATE item SET {change} WHERE id = 25")).await;
            let after = fresh_digests(h, kind).await;
            let changed: Vec<i64> = before.iter().zip(&after).filter(|(a, b)| a != b).map(|(a, _)| a.id).collect();
            assert_eq!(changed, [2], "{kind:?}: {change}");
        }
    }
}

// rule: R3
/// Two rows edited alike in one segment are both found: the hash is not linear.
pub async fn two_like_changes_do_not_cancel_out(h: &dyn Harness) {
    many_items(h, 40).await;
    for kind in kinds(h).await {
        let before = fresh_digests(h, kind).await;
        h.execute("UPDATE item SET n = n + 100 WHERE id IN (21, 22)").await;
        let after = fresh_digests(h, kind).await;
        assert_ne!(before[2].hash, after[2].hash, "{kind:?}");
    }
}

/// Keys and hashes of the given segments, and of no other.
pub async fn row_hashes_come_only_for_the_segments_asked_for(h: &dyn Harness) {
    many_items(h, 95).await;
    for kind in kinds(h).await {
        let (_source, mut snapshot, table) = snapshot_of(h, "item").await;
        let by_range = row_hashes(&mut *snapshot, &digest_request(&table, kind, ranges(10)), &[1, 9, 77]).await;
        assert_eq!(by_range.iter().map(|(id, _)| *id).collect::<Vec<_>>(), (10..20).chain(90..96).collect::<Vec<_>>());
        let request = digest_request(&table, kind, Segments::Buckets { digits: 1 });
        let wanted = digest(&mut *snapshot, &request).await[0];
        let by_bucket = row_hashes(&mut *snapshot, &request, &[wanted.id]).await;
        assert_eq!(by_bucket.len() as u64, wanted.rows);
        assert_eq!(by_bucket.iter().fold(0, |all, (_, hash)| all ^ hash), wanted.hash);
    }
}

/// Key and hash of every row of the segments, by key.
async fn row_hashes(snapshot: &mut dyn Snapshot, request: &DigestRequest, segments: &[i64]) -> Vec<(i64, u64)> {
    let mut stream = snapshot.row_hashes(request, segments).await.expect("row hashes");
    let rows = drain(&mut *stream).await;
    let mut hashes: Vec<(i64, u64)> = rows.iter().map(|row| (int(&row[0]), int(&row[1]).cast_unsigned())).collect();
    hashes.sort_unstable();
    hashes
}

fn xor(digests: &[SegmentDigest]) -> u64 {
    digests.iter().fold(0, |all, segment| all ^ segment.hash)
}
