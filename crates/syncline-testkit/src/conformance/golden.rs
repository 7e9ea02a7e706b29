//! `testdata/digest-golden.json`: cells of many types with the canonical bytes, the field and the hash that every system gives them.

use serde::Deserialize;
use syncline_connector::{DigestColumn, DigestKind, DigestRequest, Snapshot};
use syncline_model::{Canon, Engine, Table, Value, canonical};

use super::Harness;
use super::steps::{ranges, request, rows, snapshot_of};

/// Columns of one table: a row of MariaDB has to fit into half a page.
const COLUMNS: usize = 40;

/// The file.
#[derive(Debug, Deserialize)]
struct Golden {
    /// SQL before the tables are made.
    setup: BySystem<String>,
    /// SQL before every statement that writes.
    session: BySystem<String>,
    cells: Vec<Cell>,
}

/// What each system says.
#[derive(Debug, Deserialize)]
struct BySystem<T> {
    postgres: T,
    mysql: T,
    sqlite: T,
}

impl<T> BySystem<T> {
    fn of(&self, engine: Engine) -> &T {
        match engine {
            Engine::Postgres => &self.postgres,
            Engine::Mysql => &self.mysql,
            Engine::Sqlite => &self.sqlite,
        }
    }
}

/// One value.
#[derive(Debug, Deserialize)]
struct Cell {
    canon: Canon,
    hashed: bool,
    /// As it enters the row text.
    field: String,
    /// The row hash of a row of this field alone, in hex.
    hash: String,
    /// Canonical bytes, in hex.
    canonical: String,
    /// Declared types with a literal of the value.
    #[serde(flatten)]
    spelled: BySystem<Vec<(String, String)>>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../../../../testdata/digest-golden.json")).expect("the golden file is in form")
}

// rule: R9, R12
/// Equal values have one hash and one canonical form in all systems, types and spellings.
pub async fn every_golden_cell_has_the_golden_hash_and_the_golden_bytes(h: &dyn Harness) {
    let (golden, engine) = (golden(), h.connector().engine());
    let cells: Vec<(&Cell, &(String, String))> =
        golden.cells.iter().flat_map(|c| c.spelled.of(engine).iter().map(move |spelled| (c, spelled))).collect();
    assert!(cells.len() > 80, "{} cells", cells.len());
    h.execute(&format!("{} SELECT 1", golden.setup.of(engine))).await;
    let mut wrong = Vec::new();
    for (n, some) in cells.chunks(COLUMNS).enumerate() {
        let table = format!("golden{n}");
        let columns: Vec<String> = some.iter().enumerate().map(|(i, (_, (kind, _)))| format!("c{i} {kind}")).collect();
        let literals: Vec<&str> = some.iter().map(|(_, (_, literal))| literal.as_str()).collect();
        let make = format!("CREATE TABLE {table} (id int PRIMARY KEY, {})", columns.join(", "));
        let session = golden.session.of(engine);
        h.execute(&format!("{session} {make}; INSERT INTO {table} VALUES (1, {})", literals.join(", "))).await;
        wrong.extend(differences(h, &table, some).await);
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cells.len(), wrong.join("\n"));
}

/// Cells of the only row of a table that have not the golden hash, or not the golden bytes.
async fn differences(h: &dyn Harness, table: &str, cells: &[(&Cell, &(String, String))]) -> Vec<String> {
    let (_source, mut snapshot, table) = snapshot_of(h, table).await;
    let row: Vec<Value> = rows(&mut *snapshot, request(&table)).await.remove(0);
    let mut wrong = Vec::new();
    for (i, (cell, (kind, literal))) in cells.iter().enumerate() {
        let mut bytes = Vec::new();
        canonical::write(&mut bytes, row[i + 1].view(), cell.canon);
        let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        let hash = hash_of(&mut *snapshot, &table, &format!("c{i}"), cell).await;
        if (&hex, &hash) != (&cell.canonical, &cell.hash) {
            wrong.push(format!(
                "{:?} {kind} {literal} ({}): {hash} for {}, {hex} for {}",
                cell.canon, cell.field, cell.hash, cell.canonical
            ));
        }
    }
    wrong
}

async fn hash_of(snapshot: &mut dyn Snapshot, table: &Table, name: &str, cell: &Cell) -> String {
    let column = |name: &str, canon, hashed| DigestColumn { name: name.to_owned(), canon, hashed };
    let request = DigestRequest {
        table: table.clone(),
        key: vec![column("id", Canon::Number, false)],
        columns: vec![column(name, cell.canon, cell.hashed)],
        kind: DigestKind::Canonical,
        segments: ranges(1),
        filter: Vec::new(),
    };
    match snapshot.digest(&request).await {
        Ok(found) => format!("{:016x}", found[0].hash),
        Err(e) => format!("({e})"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    // rule: R9, R12
    #[test]
    fn golden_values_have_one_hash_exactly_when_they_have_one_canonical_form() {
        let golden = golden();
        assert!(golden.cells.len() > 100);
        for hashed in [false, true] {
            let (mut by_bytes, mut by_hash) = (BTreeMap::new(), BTreeMap::new());
            for c in golden.cells.iter().filter(|c| c.hashed == hashed) {
                let canon = format!("{:?}", c.canon);
                assert_eq!(by_bytes.entry((canon.clone(), &c.canonical)).or_insert(&c.hash), &&c.hash, "{}", c.field);
                assert_eq!(by_hash.entry((canon, &c.hash)).or_insert(&c.canonical), &&c.canonical, "{}", c.field);
            }
        }
    }
}
