//! Staging tables of sessions that died. On MySQL they are ordinary tables: nobody drops them with the connection.

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use syncline_connector::Result;
use syncline_model::TableName;

use crate::connect::{Site, text, texts};
use crate::{fault, quote};

const LOOK: &str = "look for staging tables that were left over";

/// Takes the lock that says that this connection lives, and drops the staging tables of those of this server that live no more. Gives
/// the server's place in the names of staging tables, or nothing where the server knows no such locks: such tables are nobody's to drop.
///
/// Connection numbers and locks are the server's own, so a table bears its server as well: behind a cluster, another server's connection
/// would look dead from here.
pub(crate) async fn guard(conn: &mut Conn, site: &Site) -> Result<Option<String>> {
    let place = format!("SELECT LEFT(MD5(({})), 8)", site.flavour.identity_query());
    let Some(place) = text(conn, &place, LOOK).await? else { return Ok(None) };
    let own = conn.id();
    let taken = text(conn, &format!("SELECT GET_LOCK({}, 0)", quote::text(&lock(&place, own))), LOOK).await;
    if !matches!(taken, Ok(Some(one)) if one == "1") {
        return Ok(None);
    }
    for (table, connection) in staging(conn, site, &place).await? {
        // Under this connection's own number: left by one that had it before the server was started again.
        if connection == own || is_free(conn, &lock(&place, connection)).await? {
            let drop = format!("DROP TABLE IF EXISTS {}", quote::table(&table));
            conn.query_drop(drop).await.map_err(|e| fault::map(e, "drop a staging table that was left over"))?;
        }
    }
    Ok(Some(place))
}

fn lock(place: &str, connection: u32) -> String {
    format!("syncline/staging/{place}/{connection}")
}

async fn is_free(conn: &mut Conn, lock: &str) -> Result<bool> {
    Ok(text(conn, &format!("SELECT IS_FREE_LOCK({})", quote::text(lock)), LOOK).await?.as_deref() == Some("1"))
}

/// Staging tables of this server, with the connection that made each.
async fn staging(conn: &mut Conn, site: &Site, place: &str) -> Result<Vec<(TableName, u32)>> {
    let scope = site.database.as_ref().map_or_else(|| "TRUE".to_owned(), |db| format!("table_schema = {}", quote::text(db)));
    let sql = format!(
        "SELECT table_schema, table_name FROM information_schema.tables \
         WHERE {scope} AND table_name REGEXP '^syncline_(rows|dels|seen)_[0-9]+_{place}_[0-9]+$'"
    );
    let rows = texts(conn, &sql, LOOK).await?;
    let named = |row: Vec<Option<String>>| {
        let mut cells = row.into_iter().flatten();
        let (schema, name) = (cells.next()?, cells.next()?);
        let connection = name.rsplit_once('_')?.1.parse().ok()?;
        Some((TableName::within(schema, name), connection))
    };
    Ok(rows.into_iter().filter_map(named).collect())
}
