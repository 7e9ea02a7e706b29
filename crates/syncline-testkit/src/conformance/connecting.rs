//! Opening sessions: who is refused, what a session says about itself, and that a source never writes.

use secrecy::ExposeSecret;
use syncline_connector::{Connector, Error, Severity};
use syncline_model::TableName;

use super::Harness;
use super::steps::{destination, items, source, three_items};

/// `source` and `destination` fail with the kind and code that the contract names.
pub async fn a_connection_that_cannot_work_is_refused_by_kind_and_code(h: &dyn Harness) {
    for refused in h.refused() {
        for error in refusals(h.connector(), &refused.spec).await {
            assert_eq!((error.kind, error.code), (refused.kind, refused.code), "{error}");
            assert!(error.hint.is_some(), "`{}` says what to do", error.code);
        }
    }
}

/// A secret never leaves the process.
pub async fn no_error_and_no_finding_tells_the_password(h: &dyn Harness) {
    for refused in h.refused() {
        let url = refused.spec.url.expose_secret().to_owned();
        let password = url.split_once('@').and_then(|(before, _)| before.rsplit_once(':')).map(|(_, password)| password.to_owned());
        let Some(password) = password else { continue };
        for error in refusals(h.connector(), &refused.spec).await {
            let mut said = format!("{error} {error:?} {}", error.hint.clone().unwrap_or_default());
            let mut cause = std::error::Error::source(&error);
            while let Some(deeper) = cause {
                said.push_str(&format!(" {deeper} {deeper:?}"));
                cause = deeper.source();
            }
            assert!(!said.contains(&password), "the password is in an error of `{}`", error.code);
        }
    }
    let findings = source(h).await.check(&[]).await.expect("check");
    let spec = h.spec();
    let url = spec.url.expose_secret();
    assert!(findings.iter().all(|finding| !format!("{finding:?}").contains(url)), "{findings:?}");
}

/// `Capabilities` are the system's, on both sides.
pub async fn the_capabilities_name_the_engine_and_its_version(h: &dyn Harness) {
    let (source, destination) = (source(h).await, destination(h).await);
    assert_eq!(source.capabilities(), destination.capabilities());
    assert_eq!(source.capabilities().engine, h.connector().engine());
    assert!(source.capabilities().version.contains(|c: char| c.is_ascii_digit()), "{}", source.capabilities().version);
}

// case: C5
/// Another system behind the same name is noticed; the same one is recognised, also from the other role.
pub async fn the_identity_tells_databases_apart_and_stays_the_same(h: &dyn Harness) {
    let identity = source(h).await.identity().await.expect("identity");
    assert_eq!(source(h).await.identity().await.expect("identity"), identity);
    assert_eq!(destination(h).await.identity().await.expect("identity"), identity);
    let mut other = h.connector().source(&h.another().await).await.expect("open another source");
    assert_ne!(other.identity().await.expect("identity"), identity);
}

/// `check` never fails for something it can report.
pub async fn check_reports_a_missing_table_instead_of_failing(h: &dyn Harness) {
    three_items(h).await;
    let schema = source(h).await.discover().await.expect("discover").tables[0].name.schema.clone();
    let missing = TableName { schema, name: "no_such_table".to_owned() };
    for findings in [source(h).await.check(std::slice::from_ref(&missing)).await, destination(h).await.check(&[missing]).await] {
        let findings = findings.expect("a missing table is a finding, not an error");
        let told = findings.iter().find(|finding| finding.severity == Severity::Problem && finding.message.contains("no_such_table"));
        assert!(told.is_some(), "{findings:?}");
    }
}

/// Everything a source does is read-only, by the system's own means.
pub async fn a_source_cannot_write(h: &dyn Harness) {
    three_items(h).await;
    let before = items(h).await;
    for sql in ["DELETE FROM item RETURNING id", "INSERT INTO item VALUES (9, 'nine', 9) RETURNING id", "CREATE TABLE made (id int)"] {
        let answer = source(h).await.query_values(sql).await;
        assert!(answer.is_err(), "a source must refuse `{sql}`, and answered {answer:?}");
    }
    assert_eq!(items(h).await, before);
}

async fn refusals(connector: &dyn Connector, spec: &syncline_connector::ConnectionSpec) -> Vec<Error> {
    let source = connector.source(spec).await.err().expect("the source must be refused");
    let destination = connector.destination(spec).await.err().expect("the destination must be refused");
    vec![source, destination]
}
