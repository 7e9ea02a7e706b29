//! Every connector there is: the one file that names concrete connectors. A new one is a line here.

use std::sync::Arc;

use syncline_connector::Connector;
use syncline_engine::Registry;

/// The connectors of this build.
#[derive(Clone, Copy, Debug, Default)]
pub struct Connectors;

/// The `type`s that a connection may have.
pub const KINDS: [&str; 3] = ["postgres", "mysql", "sqlite"];

impl Registry for Connectors {
    fn connector(&self, kind: &str) -> Option<Arc<dyn Connector>> {
        match kind {
            "postgres" => Some(syncline_postgres::connector().into()),
            "mysql" => Some(syncline_mysql::connector().into()),
            "sqlite" => Some(syncline_sqlite::connector().into()),
            _ => None,
        }
    }
}

/// The `type` that a URL asks for by its scheme.
#[must_use]
pub fn kind_of_url(url: &str) -> Option<&'static str> {
    let scheme = url.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase())?;
    match scheme.as_str() {
        "postgres" | "postgresql" => Some("postgres"),
        "mysql" | "mariadb" => Some("mysql"),
        "sqlite" => Some("sqlite"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_a_connector_that_answers_to_its_name() {
        for kind in KINDS {
            assert_eq!(Connectors.connector(kind).map(|c| c.kind()), Some(kind));
        }
        assert!(Connectors.connector("oracle").is_none());
    }

    #[test]
    fn urls_name_their_connector() {
        assert_eq!(kind_of_url("postgresql://a@b/c"), Some("postgres"));
        assert_eq!(kind_of_url("mariadb://a@b/c"), Some("mysql"));
        assert_eq!(kind_of_url("sqlite:x.db"), Some("sqlite"));
        assert_eq!(kind_of_url("x.db"), None);
    }
}
