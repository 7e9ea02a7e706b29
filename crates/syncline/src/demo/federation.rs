//! The federation's database: organisations, their clubs, teams, members and who plays where. A few thousand rows, from a seed.

use rusqlite::{Connection, Result, Transaction, params};

use super::chance::Chance;
use super::people::{CITIES, Person};

/// Any number does; this one gives every kind of mess.
const SEED: u64 = 1896;

/// Organisations.
pub const ORGANISATIONS: u64 = 6;
/// Clubs.
pub const CLUBS: u64 = 60;
/// Teams.
pub const TEAMS: u64 = 240;
/// Members.
pub const MEMBERS: u64 = 3_600;

const SCHEMA: &str = "
CREATE TABLE organisations (
  id INTEGER PRIMARY KEY, name TEXT NOT NULL, country TEXT NOT NULL, founded_on TEXT
);
CREATE TABLE clubs (
  id INTEGER PRIMARY KEY, organisation_id INTEGER NOT NULL REFERENCES organisations (id), name TEXT NOT NULL, city TEXT, crest BLOB
);
CREATE TABLE teams (
  id INTEGER PRIMARY KEY, club_id INTEGER NOT NULL REFERENCES clubs (id), name TEXT NOT NULL, age_group TEXT NOT NULL
);
CREATE TABLE members (
  id INTEGER PRIMARY KEY, organisation_id INTEGER NOT NULL REFERENCES organisations (id), given_name TEXT NOT NULL, family_name TEXT NOT NULL,
  born_on TEXT, email TEXT, phone TEXT, city TEXT, dues_cents INTEGER, notes TEXT
);
CREATE TABLE memberships (
  member_id INTEGER NOT NULL REFERENCES members (id), team_id INTEGER NOT NULL REFERENCES teams (id), role TEXT NOT NULL, since TEXT NOT NULL,
  shirt INTEGER, PRIMARY KEY (member_id, team_id)
);
CREATE INDEX members_family_name ON members (family_name);
";

/// The office's own table is stricter than the federation's: no dues below zero, none unknown. This is where a bad row will show.
const OFFICE_SCHEMA: &str = "
CREATE TABLE members (
  id INTEGER PRIMARY KEY, organisation_id INTEGER NOT NULL, given_name TEXT NOT NULL, family_name TEXT NOT NULL,
  born_on TEXT, email TEXT, phone TEXT, city TEXT, dues_cents INTEGER NOT NULL CHECK (dues_cents >= 0), notes TEXT
);
";

/// Fills an empty database with the federation.
pub fn build(db: &mut Connection) -> Result<()> {
    db.execute_batch(SCHEMA)?;
    let mut chance = Chance::seeded(SEED);
    let tx = db.transaction()?;
    organisations(&tx, &mut chance)?;
    clubs(&tx, &mut chance)?;
    teams(&tx, &mut chance)?;
    members(&tx, &mut chance)?;
    memberships(&tx, &mut chance)?;
    tx.commit()
}

/// Makes the office's database: one strict table of its own, nothing else.
pub fn build_office(db: &Connection) -> Result<()> {
    db.execute_batch(OFFICE_SCHEMA)
}

fn organisations(tx: &Transaction<'_>, chance: &mut Chance) -> Result<()> {
    const NAMES: [(&str, &str); 6] = [
        ("Deutscher Ruderbund", "DE"),
        ("Fédération Française d'Aviron", "FR"),
        ("Svenska Roddförbundet", "SE"),
        ("Polski Związek Wioślarski", "PL"),
        ("Ελληνική Ομοσπονδία", "GR"),
        ("Rowing Éire / Rámhaíocht", "IE"),
    ];
    let mut insert = tx.prepare("INSERT INTO organisations VALUES (?, ?, ?, ?)")?;
    for (id, (name, country)) in (1_i64..).zip(NAMES) {
        insert.execute(params![id, name, country, format!("18{}-05-0{id}", 70 + chance.below(29))])?;
    }
    Ok(())
}

fn clubs(tx: &Transaction<'_>, chance: &mut Chance) -> Result<()> {
    let mut insert = tx.prepare("INSERT INTO clubs VALUES (?, ?, ?, ?, ?)")?;
    for id in 1..=CLUBS {
        let city = chance.one_of(&CITIES);
        let crest: Option<Vec<u8>> = (!chance.once_in(5)).then(|| (0..64).map(|_| u8::try_from(chance.below(256)).unwrap_or(0)).collect());
        insert.execute(params![id, 1 + chance.below(ORGANISATIONS), format!("RC {city} {}", 1870 + chance.below(120)), city, crest])?;
    }
    Ok(())
}

fn teams(tx: &Transaction<'_>, chance: &mut Chance) -> Result<()> {
    let mut insert = tx.prepare("INSERT INTO teams VALUES (?, ?, ?, ?)")?;
    for id in 1..=TEAMS {
        let group = chance.one_of(&["U12", "U15", "U18", "Senior", "Masters"]);
        let boat = chance.one_of(&["Eight", "Four", "Quad", "Double", "Single"]);
        insert.execute(params![id, 1 + chance.below(CLUBS), format!("{group} {boat}"), group])?;
    }
    Ok(())
}

fn members(tx: &Transaction<'_>, chance: &mut Chance) -> Result<()> {
    let mut insert = tx.prepare("INSERT INTO members VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")?;
    for id in 1..=MEMBERS {
        let p = Person::any(chance);
        let organisation = 1 + chance.below(ORGANISATIONS);
        let dues = 500 * chance.below(25);
        insert.execute(params![id, organisation, p.given, p.family, p.born_on, p.email, p.phone, p.city, dues, p.notes])?;
    }
    Ok(())
}

/// One to three teams each; the same pair twice is simply left out.
fn memberships(tx: &Transaction<'_>, chance: &mut Chance) -> Result<()> {
    let mut insert = tx.prepare("INSERT OR IGNORE INTO memberships VALUES (?, ?, ?, ?, ?)")?;
    for member in 1..=MEMBERS {
        for _ in 0..=chance.below(3) {
            let role = if chance.once_in(12) { "coach" } else { "rower" };
            let since = format!("{}-09-01", 2010 + chance.below(16));
            let shirt = (!chance.once_in(3)).then(|| 1 + chance.below(99));
            insert.execute(params![member, 1 + chance.below(TEAMS), role, since, shirt])?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(db: &Connection, sql: &str) -> i64 {
        db.query_row(sql, [], |r| r.get(0)).unwrap()
    }

    #[test]
    fn the_federation_is_the_same_every_time_and_messy_in_every_way() {
        let [mut a, mut b] = [Connection::open_in_memory().unwrap(), Connection::open_in_memory().unwrap()];
        build(&mut a).unwrap();
        build(&mut b).unwrap();
        let digest = "SELECT sum(id * length(given_name || family_name) + coalesce(length(phone), 7)) FROM members";
        assert_eq!(answer(&a, digest), answer(&b, digest));
        for mess in [
            "email IS NULL",
            "email = ''",
            "email GLOB '[A-Z]*'",
            "notes = ''",
            "phone LIKE '00%'",
            "born_on LIKE '%-02-29'",
            "born_on IS NULL",
            "given_name LIKE '% '",
            "given_name GLOB '*\u{301}*'",
        ] {
            assert!(answer(&a, &format!("SELECT count(*) FROM members WHERE {mess}")) > 0, "{mess}");
        }
        assert_eq!(answer(&a, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
    }
}
