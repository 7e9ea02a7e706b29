//! What is lost on the way to a server: answers, connections, everything. A file has no way to lose things on.

use syncline_connector::write::CommitFate;
use syncline_connector::{ErrorKind, ReadRequest};

use super::Harness;
use super::steps::{batch, discovered, fate, item, items, request, run_of, table, three_items, write_of};

/// Connecting gives up, as `Unavailable`, when nothing is answered.
pub async fn a_system_that_does_not_answer_is_a_timeout(h: &dyn Harness) {
    let Some((proxy, spec)) = h.through_proxy() else { return };
    proxy.hold();
    // From here on the clock jumps to the next timer whenever there is nothing else to do, so that nobody waits for it.
    tokio::time::pause();
    let source = h.connector().source(&spec).await.err().expect("nothing answers");
    let destination = h.connector().destination(&spec).await.err().expect("nothing answers");
    for error in [source, destination] {
        assert_eq!((error.kind, error.code), (ErrorKind::Unavailable, "connect_timeout"), "{error}");
    }
}

// req: X2
/// `None` comes only at the end of a complete listing: a cut connection is `Unavailable`.
pub async fn a_cut_connection_is_an_error_and_never_the_end(h: &dyn Harness) {
    let Some((proxy, spec)) = h.through_proxy() else { return };
    h.execute("CREATE TABLE wide (id bigint NOT NULL PRIMARY KEY, body text)").await;
    // More than the buffers between us and the server hold.
    let body = "x".repeat(8000);
    let rows: Vec<String> = (1..=1000).map(|id| format!("({id}, '{body}')")).collect();
    for slice in rows.chunks(100) {
        h.execute(&format!("INSERT INTO wide VALUES {}", slice.join(", "))).await;
    }
    let mut source = h.connector().source(&spec).await.expect("open a source");
    let wide = table(&source.discover().await.expect("discover"), "wide");
    for order in [Vec::new(), wide.primary_key.clone()] {
        let mut source = h.connector().source(&spec).await.expect("open a source");
        let mut snapshot = source.snapshot().await.expect("open a snapshot");
        proxy.cut_after_bytes(1_000_000);
        let error = match snapshot.read(ReadRequest { order, ..request(&wide) }).await {
            Err(error) => error,
            Ok(mut stream) => loop {
                match stream.next().await {
                    Ok(Some(_)) => {}
                    Ok(None) => panic!("a cut listing must not look complete"),
                    Err(error) => break error,
                }
            },
        };
        assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
    }
    assert_eq!(proxy.cuts(), 2);
}

// case: A6
// rule: R24
/// The answer to COMMIT is lost: `commit_unknown`, and the marker tells that it is durable.
pub async fn a_lost_commit_answer_is_unknown_until_it_is_looked_up(h: &dyn Harness) {
    let Some((proxy, spec)) = h.through_proxy() else { return };
    three_items(h).await;
    super::steps::destination(h).await;
    let mut destination = h.connector().destination(&spec).await.expect("open a destination");
    let item_table = discovered(&mut *destination, "item").await;
    let mut run = destination.begin(run_of("r1", vec![write_of(&item_table)])).await.expect("begin");
    run.stage(0, &batch(&[item(4, Some("four"), 40)])).await.expect("stage");
    let token = run.apply().await.expect("apply").token;
    proxy.lose_answer_to("COMMIT");
    let error = run.commit().await.expect_err("the answer is lost");
    assert_eq!(error.code, "commit_unknown", "{error}");
    assert_eq!(proxy.cuts(), 1);
    assert_eq!(fate(h, "r1", token.as_deref()).await.expect("fate"), CommitFate::Committed);
    assert_eq!(items(h).await.len(), 4);
}

// rule: R24
/// The connection is lost before COMMIT reached the server: an error, and the marker tells that nothing happened.
pub async fn a_run_that_lost_its_connection_is_rolled_back(h: &dyn Harness) {
    let Some((proxy, spec)) = h.through_proxy() else { return };
    three_items(h).await;
    super::steps::destination(h).await;
    let mut destination = h.connector().destination(&spec).await.expect("open a destination");
    let item_table = discovered(&mut *destination, "item").await;
    let mut run = destination.begin(run_of("r1", vec![write_of(&item_table)])).await.expect("begin");
    run.stage(0, &batch(&[item(4, Some("four"), 40)])).await.expect("stage");
    let token = run.apply().await.expect("apply").token;
    proxy.cut();
    let error = run.commit().await.expect_err("the connection is gone");
    assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
    assert_eq!(fate(h, "r1", token.as_deref()).await.expect("fate"), CommitFate::RolledBack);
    assert_eq!(items(h).await.len(), 3);
}
