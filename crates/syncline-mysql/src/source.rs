//! A connection in the role of source.

use async_trait::async_trait;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};
use syncline_connector::{Capabilities, Error, ErrorKind, Finding, Identity, Result, Role, Snapshot, Source};
use syncline_model::{Catalog, LogicalType, TableName, Value};

use crate::connect::Site;
use crate::decode::Decoder;
use crate::native::Native;
use crate::{check, connect, discover, fault, snapshot};

pub(crate) struct Reader {
    pub(crate) conn: Conn,
    pub(crate) site: Site,
}

/// Who answers: the server and the database.
pub(crate) async fn identity(conn: &mut Conn, site: &Site) -> Result<Identity> {
    let server = connect::text(conn, site.flavour.identity_query(), "identify the server").await?.unwrap_or_default();
    let database = site.database.as_deref().unwrap_or("*");
    let instance = connect::text(conn, "SELECT CONCAT_WS(':', @@hostname, @@port)", "identify the server").await?.unwrap_or_default();
    Ok(Identity { system: format!("{server}/{database}"), timeline: String::new(), instance })
}

#[async_trait]
impl Source for Reader {
    fn capabilities(&self) -> &Capabilities {
        &self.site.capabilities
    }

    async fn identity(&mut self) -> Result<Identity> {
        identity(&mut self.conn, &self.site).await
    }

    async fn check(&mut self, tables: &[TableName]) -> Result<Vec<Finding>> {
        check::run(&mut self.conn, &self.site, Role::Source, tables).await
    }

    async fn discover(&mut self) -> Result<Catalog> {
        discover::catalog(&mut self.conn, &self.site).await
    }

    async fn snapshot(&mut self) -> Result<Box<dyn Snapshot>> {
        snapshot::open(&self.site).await
    }

    async fn query_values(&mut self, sql: &str) -> Result<Vec<Value>> {
        let rows: Vec<Row> = self.conn.exec(sql, ()).await.map_err(|e| fault::map(e, "run the query for scopes"))?;
        let Some(first) = rows.first() else { return Ok(Vec::new()) };
        if first.len() != 1 {
            let message = format!("the query for scopes answers {} columns", first.len());
            return Err(Error::new(ErrorKind::Invalid, "query_shape", message).hint("select exactly one column"));
        }
        let column = &first.columns_ref()[0];
        let logical = answer_type(column);
        let column = syncline_model::Column::plain("value", logical, "");
        let decoder = Decoder::new([(&column, false)]);
        let mut batch = syncline_model::RowBatch::new(1);
        rows.iter().for_each(|r| decoder.push(&mut batch, r));
        Ok(batch.rows().map(|r| r.get(0).to_owned()).collect())
    }
}

/// The type of an answer, where no catalogue names it.
fn answer_type(column: &mysql_async::Column) -> LogicalType {
    use mysql_async::consts::ColumnType as C;
    /// Number of the character set `binary`.
    const BINARY: u16 = 63;
    let native = match column.column_type() {
        C::MYSQL_TYPE_NEWDECIMAL | C::MYSQL_TYPE_DECIMAL => "decimal",
        C::MYSQL_TYPE_DATETIME | C::MYSQL_TYPE_DATETIME2 => "datetime(6)",
        C::MYSQL_TYPE_TIMESTAMP | C::MYSQL_TYPE_TIMESTAMP2 => "timestamp(6)",
        C::MYSQL_TYPE_DATE | C::MYSQL_TYPE_NEWDATE => "date",
        C::MYSQL_TYPE_TIME | C::MYSQL_TYPE_TIME2 => "time(6)",
        C::MYSQL_TYPE_JSON => "json",
        C::MYSQL_TYPE_GEOMETRY => "geometry",
        C::MYSQL_TYPE_BIT => return LogicalType::Bit { len: Some(column.column_length()), varying: false },
        C::MYSQL_TYPE_TINY_BLOB
        | C::MYSQL_TYPE_BLOB
        | C::MYSQL_TYPE_MEDIUM_BLOB
        | C::MYSQL_TYPE_LONG_BLOB
        | C::MYSQL_TYPE_VAR_STRING
        | C::MYSQL_TYPE_STRING
            if column.character_set() == BINARY =>
        {
            "longblob"
        }
        C::MYSQL_TYPE_TINY | C::MYSQL_TYPE_SHORT | C::MYSQL_TYPE_INT24 | C::MYSQL_TYPE_LONG | C::MYSQL_TYPE_LONGLONG => "bigint",
        _ => "longtext",
    };
    Native::parse(native).logical(false)
}
