//! The audit log: lines are added, never changed.

use async_trait::async_trait;
use rusqlite::params;

use super::transaction::SqliteTx;
use crate::contract::{AuditTable, Result};
use crate::rows::{AuditFilter, AuditRow, Page};

#[async_trait]
impl AuditTable for SqliteTx {
    async fn add_audit(&mut self, row: &AuditRow) -> Result<()> {
        let row = row.clone();
        self.step("add to the audit log", move |c| {
            c.prepare_cached("insert into audit_log (at, actor, action, sync, detail_json) values (?1, ?2, ?3, ?4, ?5)")?
                .execute(params![row.at, row.actor, row.action, row.sync, row.detail_json])?;
            Ok(())
        })
        .await
    }

    async fn list_audit(&mut self, filter: &AuditFilter, page: &Page) -> Result<Vec<AuditRow>> {
        let (filter, page) = (filter.clone(), *page);
        self.step("list the audit log", move |c| {
            let mut statement = c.prepare_cached(
                "select at, actor, action, sync, detail_json from audit_log where (?1 is null or sync = ?1) and (?2 is null or at >= ?2)
                 order by number desc limit ?3 offset ?4",
            )?;
            let rows = statement.query_map(params![filter.sync, filter.since, page.limit, page.offset], |r| {
                Ok(AuditRow { at: r.get(0)?, actor: r.get(1)?, action: r.get(2)?, sync: r.get(3)?, detail_json: r.get(4)? })
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }
}
