//! SQLite as source and destination.
//!
//! Every connection lives on a thread of its own (`thread`), the async side sends it jobs. `connect` opens files,
//! `discover` reads the catalogue, `native` maps types, `decode` and `encode` carry cells across with SQLite's dynamic
//! typing per value, `read`, `slices` and `digest` answer a [`syncline_connector::Snapshot`], `session` and `dialect` let the
//! shared staged apply of `syncline-sql` write.

mod affinity;
mod bind;
mod check;
mod connect;
mod ddl;
mod decode;
mod destination;
mod dialect;
mod digest;
mod discover;
mod encode;
mod error;
mod filter;
mod functions;
mod map;
mod native;
mod order;
mod parse;
mod quote;
mod read;
mod rowtext;
mod session;
mod slices;
mod snapshot;
mod source;
mod thread;

use async_trait::async_trait;
use syncline_connector::{ConnectionSpec, Connector, Destination, Fit, LoadDdl, NewTable, Result, Source, TableDdl};
use syncline_model::{Column, Engine, TableName};

pub use dialect::SqliteDialect;
pub use session::SqliteSession;

/// The SQLite connector.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sqlite;

/// The connector, boxed for a registry.
#[must_use]
pub fn connector() -> Box<dyn Connector> {
    Box::new(Sqlite)
}

#[async_trait]
impl Connector for Sqlite {
    fn kind(&self) -> &'static str {
        "sqlite"
    }

    fn engine(&self) -> Engine {
        Engine::Sqlite
    }

    async fn source(&self, spec: &ConnectionSpec) -> Result<Box<dyn Source>> {
        Ok(Box::new(source::SqliteSource::open(spec).await?))
    }

    async fn destination(&self, spec: &ConnectionSpec) -> Result<Box<dyn Destination>> {
        Ok(Box::new(destination::SqliteDestination::open(spec).await?))
    }

    fn map_column(&self, column: &Column, from: Engine) -> (Column, Fit) {
        map::map_column(column, from)
    }

    fn fit(&self, column: &Column, from: Engine, to: &Column) -> Fit {
        map::fit(column, from, to)
    }

    fn ddl(&self, table: &NewTable) -> TableDdl {
        ddl::table_ddl(table)
    }

    fn load_ddl(&self, table: &NewTable, load: &TableName) -> LoadDdl {
        ddl::load(table, load)
    }

    fn add_column_ddl(&self, table: &TableName, column: &Column) -> String {
        ddl::add_column(table, column)
    }

    fn raw_safe(&self, _a: &Column, _b: &Column) -> bool {
        false
    }
}
