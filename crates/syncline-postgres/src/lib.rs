//! The PostgreSQL connector (PostgreSQL 14 and later, and hosts that speak its protocol).
//!
//! [`connector`] is the crate's face. A source reads through [`snapshot::PgSnapshot`], one REPEATABLE READ transaction; a
//! destination writes through [`session::PgSession`], which brings connection and SQL to the staged apply of `syncline-sql`.
//! Values travel by COPY BINARY both ways ([`decode`], [`encode`]); between equal columns the bytes pass undecoded ([`raw`]).

pub mod check;
pub mod connect;
pub mod ddl;
pub mod decode;
pub mod destination;
pub mod dialect;
pub mod digest;
pub mod discover;
pub mod encode;
pub mod error;
pub mod horizon;
pub mod identity;
pub mod large;
pub mod load;
pub mod map;
pub mod native;
pub mod numeric;
pub mod parse;
pub mod predicate;
pub mod raw;
pub mod read;
pub mod scan;
pub mod session;
pub mod sliced;
pub mod snapshot;
pub mod source;
pub mod sql;
pub mod tls;

use std::sync::Arc;

use async_trait::async_trait;
use syncline_connector::{ConnectionSpec, Connector, Destination, Fit, LoadDdl, NewTable, Result, Source, TableDdl};
use syncline_model::{Column, Engine, TableName};

use crate::connect::{Access, Link, Settings};

/// The connector.
#[derive(Clone, Copy, Debug, Default)]
pub struct Postgres;

/// The connector, as the registry takes it.
#[must_use]
pub fn connector() -> Box<dyn Connector> {
    Box::new(Postgres)
}

#[async_trait]
impl Connector for Postgres {
    fn kind(&self) -> &'static str {
        "postgres"
    }

    fn engine(&self) -> Engine {
        Engine::Postgres
    }

    async fn source(&self, spec: &ConnectionSpec) -> Result<Box<dyn Source>> {
        let settings = Arc::new(Settings::parse(spec)?);
        let link = Link::open(&settings, Access::ReadOnly).await?;
        Ok(Box::new(source::PgSource::new(link)))
    }

    async fn destination(&self, spec: &ConnectionSpec) -> Result<Box<dyn Destination>> {
        let settings = Arc::new(Settings::parse(spec)?);
        let link = Link::open(&settings, Access::ReadWrite).await?;
        Ok(Box::new(destination::PgDestination::new(link)))
    }

    fn map_column(&self, column: &Column, from: Engine) -> (Column, Fit) {
        map::map_column(column, from)
    }

    fn fit(&self, column: &Column, from: Engine, to: &Column) -> Fit {
        map::fit(column, from, to)
    }

    fn ddl(&self, table: &NewTable) -> TableDdl {
        ddl::table(table)
    }

    fn load_ddl(&self, table: &NewTable, load: &TableName) -> LoadDdl {
        ddl::load(table, load)
    }

    fn add_column_ddl(&self, table: &TableName, column: &Column) -> String {
        ddl::add_column(table, column)
    }

    fn raw_safe(&self, a: &Column, b: &Column) -> bool {
        map::raw_safe(a, b)
    }
}
