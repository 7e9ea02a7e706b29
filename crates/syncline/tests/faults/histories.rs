//! Random histories: whatever happened on both sides, and wherever an earlier run died, a run makes the destination the same,
//! an undo gives back what was there, and a run after it changes nothing that is the same. A history is made from its seed alone.
//!
//! `SYNCLINE_HISTORIES=100 cargo test -p syncline --all-features --test faults histories` plays a hundred per pair of systems.

use std::collections::BTreeMap;

use syncline_connector::fail::POINTS;

use crate::rig::{Side, World};

const ROUNDS: u64 = 5;

const TABLES: [(&str, &[&str]); 3] =
    [("org", &["id", "name", "parent"]), ("member", &["id", "org", "email", "name", "balance"]), ("tag", &["id", "member", "label"])];

/// Texts that have broken somebody's tool.
const TEXTS: [&str; 12] =
    ["Ann", "Zoë", "O'Neil", "", "trailing  ", "日本", r"back\slash", "tab\there", "line\nbreak", "🦀", "NULL", "%_'; --"];

/// SplitMix64: small, and the same on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.roll() % end.max(1) as u64).expect("below a usize")
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn pick<T: Copy>(&mut self, list: &[T]) -> Option<T> {
        (!list.is_empty()).then(|| list[self.below(list.len())])
    }
}

#[derive(Debug)]
struct Member {
    org: i64,
    email: String,
}

/// What the source holds, as far as it takes to change it without an error.
struct History {
    dice: Dice,
    kind: &'static str,
    orgs: BTreeMap<i64, Option<i64>>,
    members: BTreeMap<i64, Member>,
    tags: BTreeMap<i64, i64>,
    next: i64,
}

impl History {
    fn new(seed: u64, kind: &'static str) -> Self {
        Self { dice: Dice(seed), kind, orgs: BTreeMap::new(), members: BTreeMap::new(), tags: BTreeMap::new(), next: 0 }
    }

    fn tables(&self) -> String {
        let (text, decimal, engine) = match self.kind {
            "postgres" => ("text", "numeric(12,3)", ""),
            "mysql" => ("longtext", "decimal(12,3)", " COLLATE utf8mb4_bin"),
            _ => ("text", "DECIMAL_TEXT(12,3)", ""),
        };
        format!(
            "CREATE TABLE org (id bigint PRIMARY KEY, name {text}, parent bigint, FOREIGN KEY (parent) REFERENCES org (id)){engine};
             CREATE TABLE member (id bigint PRIMARY KEY, org bigint NOT NULL, email varchar(40) NOT NULL UNIQUE, name {text}, balance {decimal},
                 FOREIGN KEY (org) REFERENCES org (id)){engine};
             CREATE TABLE tag (id bigint PRIMARY KEY, member bigint NOT NULL, label {text}, FOREIGN KEY (member) REFERENCES member (id)){engine}"
        )
    }

    fn id(&mut self) -> i64 {
        self.next += 1 + i64::from(u32::try_from(self.dice.below(4)).expect("small"));
        if self.dice.one_in(20) {
            self.next += 1_000_000
        }
        self.next
    }

    fn text(&mut self) -> String {
        if self.dice.one_in(10) {
            return "NULL".to_owned();
        }
        let n = self.dice.below(100);
        let text = format!("{}{n}", TEXTS[self.dice.below(TEXTS.len())]).replace('\'', "''");
        let text = if self.kind == "mysql" { text.replace('\\', "\\\\") } else { text };
        format!("'{text}'")
    }

    fn balance(&mut self) -> String {
        if self.dice.one_in(10) {
            return "NULL".to_owned();
        }
        let sign = if self.dice.one_in(2) { "-" } else { "" };
        format!("'{sign}{}.{:03}'", self.dice.below(100_000_000) + 1, self.dice.below(1000))
    }

    fn email(&mut self) -> String {
        let n = self.id();
        format!("m{n}{}", ["", "E", "e", "É", " z"][self.dice.below(5)])
    }

    fn any_org(&mut self) -> Option<i64> {
        let ids: Vec<i64> = self.orgs.keys().copied().collect();
        self.dice.pick(&ids)
    }

    fn any_member(&mut self) -> Option<i64> {
        let ids: Vec<i64> = self.members.keys().copied().collect();
        self.dice.pick(&ids)
    }

    /// One change, as SQL that the source takes.
    fn step(&mut self) -> String {
        match self.dice.below(20) {
            0..2 => self.new_org(),
            2..8 => self.new_members(),
            8..11 => self.edit(),
            11..13 => self.rotate_emails(),
            13..15 => self.new_tags(),
            15..17 => self.drop_member(),
            17 => self.change_key(),
            18 => self.move_org(),
            _ => self.drop_org(),
        }
    }

    fn new_org(&mut self) -> String {
        let parent = if self.dice.one_in(2) { self.any_org() } else { None };
        let (id, name) = (self.id(), self.text());
        self.orgs.insert(id, parent);
        format!("INSERT INTO org VALUES ({id}, {name}, {});", parent.map_or_else(|| "NULL".to_owned(), |p| p.to_string()))
    }

    fn new_members(&mut self) -> String {
        let mut sql = if self.orgs.is_empty() { self.new_org() } else { String::new() };
        for _ in 0..=self.dice.below(25) {
            let org = self.any_org().expect("there is one");
            let (id, email, name, balance) = (self.id(), self.email(), self.text(), self.balance());
            sql += &format!("INSERT INTO member VALUES ({id}, {org}, '{email}', {name}, {balance});");
            self.members.insert(id, Member { org, email });
        }
        sql
    }

    fn edit(&mut self) -> String {
        let (Some(id), Some(org)) = (self.any_member(), self.any_org()) else { return String::new() };
        let set = match self.dice.below(3) {
            0 => format!("name = {}", self.text()),
            1 => format!("balance = {}", self.balance()),
            _ => {
                self.members.get_mut(&id).expect("there is one").org = org;
                format!("org = {org}")
            }
        };
        format!("UPDATE member SET {set} WHERE id = {id};")
    }

    /// The unique values of a few records go round, or a record takes the value of one that goes away.
    fn rotate_emails(&mut self) -> String {
        let ids: Vec<i64> = self.members.keys().copied().collect();
        let mut chosen: Vec<i64> = (0..2 + self.dice.below(2)).filter_map(|_| self.dice.pick(&ids)).collect();
        chosen.dedup();
        let mut sql: String = chosen.iter().map(|id| format!("UPDATE member SET email = '~{id}' WHERE id = {id};")).collect();
        let mut emails: Vec<String> = chosen.iter().map(|id| self.members[id].email.clone()).collect();
        let by = usize::from(!emails.is_empty());
        emails.rotate_left(by);
        if chosen.len() != chosen.iter().collect::<std::collections::BTreeSet<_>>().len() {
            return String::new();
        }
        for (id, email) in chosen.iter().zip(emails) {
            sql += &format!("UPDATE member SET email = '{email}' WHERE id = {id};");
            self.members.get_mut(id).expect("there is one").email = email;
        }
        sql
    }

    fn new_tags(&mut self) -> String {
        let Some(member) = self.any_member() else { return String::new() };
        (0..=self.dice.below(5))
            .map(|_| {
                let (id, label) = (self.id(), self.text());
                self.tags.insert(id, member);
                format!("INSERT INTO tag VALUES ({id}, {member}, {label});")
            })
            .collect()
    }

    fn drop_tags_of(&mut self, member: i64) -> String {
        self.tags.retain(|_, m| *m != member);
        format!("DELETE FROM tag WHERE member = {member};")
    }

    fn drop_member(&mut self) -> String {
        let Some(id) = self.any_member() else { return String::new() };
        self.members.remove(&id);
        format!("{}DELETE FROM member WHERE id = {id};", self.drop_tags_of(id))
    }

    fn change_key(&mut self) -> String {
        let Some(id) = self.any_member() else { return String::new() };
        let (new, tags) = (self.id(), self.drop_tags_of(id));
        let member = self.members.remove(&id).expect("there is one");
        self.members.insert(new, member);
        format!("{tags}UPDATE member SET id = {new} WHERE id = {id};")
    }

    fn move_org(&mut self) -> String {
        let (Some(id), Some(parent)) = (self.any_org(), self.any_org()) else { return String::new() };
        self.orgs.insert(id, Some(parent));
        format!("UPDATE org SET parent = {parent} WHERE id = {id};")
    }

    fn drop_org(&mut self) -> String {
        let Some(id) = self.any_org() else { return String::new() };
        let used = self.members.values().any(|m| m.org == id) || self.orgs.iter().any(|(o, p)| *o != id && *p == Some(id));
        if used {
            return String::new();
        }
        self.orgs.remove(&id);
        format!("UPDATE org SET parent = NULL WHERE id = {id}; DELETE FROM org WHERE id = {id};")
    }

    /// Somebody writes into the destination, which is as the source was.
    fn meddle(&mut self) -> String {
        let (Some(a), Some(b)) = (self.any_member(), self.any_member()) else { return String::new() };
        match self.dice.below(6) {
            0 => format!("UPDATE member SET name = 'edited' WHERE id = {a};"),
            1 => format!("DELETE FROM tag WHERE member = {a};"),
            2 => format!("DELETE FROM tag WHERE member = {a}; DELETE FROM member WHERE id = {a};"),
            3 => format!("INSERT INTO tag VALUES ({}, {a}, 'mine');", -self.id()),
            4 => format!("UPDATE member SET email = 'mine{}' WHERE id = {a};", self.id()),
            _ if a == b => String::new(),
            _ => {
                let (of_a, of_b) = (&self.members[&a].email, &self.members[&b].email);
                format!(
                    "UPDATE member SET email = '~' WHERE id = {a}; UPDATE member SET email = '{of_a}' WHERE id = {b};
                     UPDATE member SET email = '{of_b}' WHERE id = {a};"
                )
            }
        }
    }
}

fn content(side: &Side) -> Vec<String> {
    TABLES.iter().map(|(table, columns)| side.content(table, columns, "1 = 1")).collect()
}

const OPTIONS: &str = "    deletes: mirror\n    owns: table\n    guard: { max_delete_ratio: 1.0, max_delete_rows: 1000000 }\n";

fn play(seed: u64, source: &Side, dest: &Side, options: &str) {
    let world = World::between(source, dest, &format!("{OPTIONS}{options}"));
    let mut history = History::new(seed, source.kind());
    source.execute(&history.tables());
    source.execute(&history.new_members());
    let told = format!("history {seed}, {} to {}", source.kind(), dest.kind());
    for round in 0..ROUNDS {
        if round > 0 && history.dice.one_in(2) {
            // One edit: the next one could meet what this one left.
            let sql = history.meddle();
            if !sql.is_empty() {
                dest.execute(&sql);
            }
        }
        let steps: String = (0..=history.dice.below(25)).map(|_| history.step()).collect();
        if !steps.is_empty() {
            source.execute(&steps);
        }
        if history.dice.one_in(2) {
            let fault = format!("{}=abort@{}", POINTS[history.dice.below(POINTS.len())], 1 + history.dice.below(2));
            world.syncline_with(&["run", "--approve-deletes"], &[("SYNCLINE_FAIL", &fault)]);
            world.let_leases_end();
        }
        let before = (round > 0).then(|| content(dest));
        let run = world.run(&["--approve-deletes"], 0);
        assert_eq!(content(source), content(dest), "{told}, round {round}: {run:#}");
        let changed = before.as_ref().is_some_and(|b| *b != content(dest));
        if changed && history.dice.one_in(2) {
            world.syncline(&["undo", "last"]).ends_with(0);
            assert_eq!(before, Some(content(dest)), "{told}, round {round}, undone");
            world.run(&["--approve-deletes"], 0);
            assert_eq!(content(source), content(dest), "{told}, round {round}, again after the undo");
        }
        let again = world.run(&["--approve-deletes"], 0);
        let written: Vec<&serde_json::Value> = ["created", "updated", "deleted", "parked"].iter().map(|b| &again["books"][b]).collect();
        assert_eq!(written, [0, 0, 0, 0], "{told}, round {round}: a second run wrote");
    }
    world.syncline(&["verify"]).ends_with(0);
}

fn side(kind: &str, folder: &std::path::Path, name: &str) -> Side {
    match kind {
        "postgres" => Side::postgres(),
        "mysql" => Side::mariadb(),
        _ => Side::sqlite(folder, name),
    }
}

fn histories(from: &str, to: &str, options: &str) {
    let more = std::env::var("SYNCLINE_HISTORIES").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    for seed in 1..=more {
        let folder = tempfile::tempdir().expect("a folder");
        play(seed, &side(from, folder.path(), "from.db"), &side(to, folder.path(), "to.db"), options);
    }
}

// req: S2-A4
// rule: R22, R28
#[test]
fn random_histories_from_postgres_to_postgres_end_the_same() {
    histories("postgres", "postgres", "");
}

// req: S2-A4
// rule: R22, R28
#[test]
fn random_histories_from_postgres_to_mariadb_end_the_same() {
    histories("postgres", "mysql", "");
}

// req: S2-A4
// rule: R22, R28
#[test]
fn random_histories_from_postgres_to_sqlite_end_the_same() {
    histories("postgres", "sqlite", "");
}

// req: S2-A4
// rule: R22, R28
#[test]
fn random_histories_from_mariadb_to_postgres_end_the_same() {
    histories("mysql", "postgres", "");
}

// req: S2-A4
// rule: R22, R28
#[test]
fn random_histories_from_mariadb_to_mariadb_end_the_same() {
    histories("mysql", "mysql", "");
}

// req: S2-A4
// rule: R22, R28
#[test]
fn random_histories_from_mariadb_to_sqlite_end_the_same() {
    histories("mysql", "sqlite", "");
}

// req: S2-A4
// rule: R22, R28
#[test]
fn random_histories_from_sqlite_to_postgres_end_the_same() {
    histories("sqlite", "postgres", "");
}

// req: S2-A4
// rule: R22, R28
#[test]
fn random_histories_from_sqlite_to_mariadb_end_the_same() {
    histories("sqlite", "mysql", "");
}

// req: S2-A4
// rule: R22, R28
#[test]
fn random_histories_from_sqlite_to_sqlite_end_the_same() {
    histories("sqlite", "sqlite", "");
}
