//! The face of this crate: a [`Connector`] for MySQL and its kin.

use async_trait::async_trait;
use syncline_connector::{ConnectionSpec, Connector, Destination, Fit, LoadDdl, NewTable, Result, Role, Source, TableDdl};
use syncline_model::{Column, Engine, Table, TableName};

use crate::destination::Writer;
use crate::source::Reader;
use crate::{connect, ddl, fit};

/// MySQL ≥ 8.0.19, MariaDB ≥ 10.6 and PlanetScale.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mysql;

/// The connector, for the registry.
#[must_use]
pub fn connector() -> Box<dyn Connector> {
    Box::new(Mysql)
}

#[async_trait]
impl Connector for Mysql {
    fn kind(&self) -> &'static str {
        "mysql"
    }

    fn engine(&self) -> Engine {
        Engine::Mysql
    }

    async fn source(&self, spec: &ConnectionSpec) -> Result<Box<dyn Source>> {
        let (site, conn) = connect::open(spec, Role::Source).await?;
        Ok(Box::new(Reader { conn, site }))
    }

    async fn destination(&self, spec: &ConnectionSpec) -> Result<Box<dyn Destination>> {
        let (site, conn) = connect::open(spec, Role::Destination).await?;
        Ok(Box::new(Writer { conn, site }))
    }

    fn map_column(&self, column: &Column, from: Engine) -> (Column, Fit) {
        fit::map_column(column, from)
    }

    fn fit(&self, column: &Column, from: Engine, to: &Column) -> Fit {
        fit::fit(column, from, to)
    }

    fn ddl(&self, table: &NewTable) -> TableDdl {
        ddl::create(table)
    }

    fn load_ddl(&self, table: &NewTable, load: &TableName) -> LoadDdl {
        ddl::load(table, load)
    }

    fn rename_ddl(&self, tables: &[(TableName, TableName)]) -> Vec<String> {
        ddl::rename(tables)
    }

    fn unkey_ddl(&self, table: &Table) -> Vec<String> {
        ddl::unkey(table)
    }

    fn add_column_ddl(&self, table: &TableName, column: &Column) -> String {
        ddl::add_column(table, column)
    }

    fn raw_safe(&self, _a: &Column, _b: &Column) -> bool {
        false
    }
}
