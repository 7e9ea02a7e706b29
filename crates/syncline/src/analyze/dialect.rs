//! Guesses a script's dialect from spellings that only one system has.

use super::report::Dialect;

/// Spellings and the system that has them.
const SIGNS: &[(&str, Dialect)] = &[
    ("on duplicate key", Dialect::Mysql),
    ("auto_increment", Dialect::Mysql),
    ("engine=", Dialect::Mysql),
    ("insert ignore", Dialect::Mysql),
    ("load data", Dialect::Mysql),
    ("foreign_key_checks", Dialect::Mysql),
    ("delimiter ", Dialect::Mysql),
    ("/*!", Dialect::Mysql),
    ("unsigned", Dialect::Mysql),
    ("date_sub(", Dialect::Mysql),
    ("insert or ", Dialect::Sqlite),
    ("pragma ", Dialect::Sqlite),
    ("autoincrement", Dialect::Sqlite),
    ("without rowid", Dialect::Sqlite),
    ("sqlite_", Dialect::Sqlite),
    ("strftime(", Dialect::Sqlite),
    ("::", Dialect::Postgres),
    ("$$", Dialect::Postgres),
    ("jsonb", Dialect::Postgres),
    ("serial", Dialect::Postgres),
    ("timestamptz", Dialect::Postgres),
    ("returning", Dialect::Postgres),
    ("gen_random_uuid", Dialect::Postgres),
    ("plpgsql", Dialect::Postgres),
    ("->>'", Dialect::Postgres),
    ("ilike", Dialect::Postgres),
    ("\\copy", Dialect::Postgres),
];

/// The dialect with the most signs; PostgreSQL when there are none.
pub(super) fn guess(sql: &str) -> Dialect {
    let text = sql.to_ascii_lowercase();
    let count = |d| SIGNS.iter().filter(|(sign, of)| *of == d && text.contains(sign)).count();
    let backticks = text.matches('`').count() >= 2;
    let (mysql, sqlite, postgres) = (count(Dialect::Mysql) + usize::from(backticks), count(Dialect::Sqlite), count(Dialect::Postgres));
    if mysql > postgres && mysql >= sqlite {
        Dialect::Mysql
    } else if sqlite > postgres {
        Dialect::Sqlite
    } else {
        Dialect::Postgres
    }
}
