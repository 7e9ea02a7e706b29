//! People as offices really have them on file: typed by many hands over twenty years.

use super::chance::Chance;

/// A member as on file.
pub struct Person {
    /// Given name.
    pub given: String,
    /// Family name.
    pub family: String,
    /// Day of birth; some never gave it.
    pub born_on: Option<String>,
    /// E-mail: missing, empty, or spelled in any case.
    pub email: Option<String>,
    /// Telephone, in whatever form it was dictated.
    pub phone: Option<String>,
    /// City.
    pub city: String,
    /// Notes: missing, empty, or anything at all.
    pub notes: Option<String>,
}

const GIVEN: [&str; 32] = [
    "Anna",
    "Zoë",
    "José",
    "Łukasz",
    "Søren",
    "Aïcha",
    "Jürgen",
    "Élodie",
    "Nguyễn",
    "Ольга",
    "Γιάννης",
    "محمد",
    "浩",
    "Siobhán",
    "Ana-María",
    "D'Arcy",
    "Björk",
    "Çağla",
    "Ørjan",
    "Mária",
    "João",
    "Ève",
    "Fatima",
    "Liam",
    "Noah",
    "Mia",
    "Ivan",
    "Chloé",
    "Håkon",
    "Tomáš",
    "Zsófia",
    "Ian",
];

const FAMILY: [&str; 28] = [
    "Müller",
    "MÜLLER",
    "Mueller",
    "O'Brien",
    "O’Brien",
    "van der Berg",
    "Nuñez",
    "Ñíguez",
    "Straße",
    "Strasse",
    "Kowalski",
    "Dvořák",
    "Sørensen",
    "Lindström",
    "Papadopoulos",
    "Иванова",
    "Nakamura",
    "Smith-Jones",
    "smith",
    "de la Cruz",
    "Østergård",
    "Kaya",
    "Silva",
    "Rossi",
    "Dupont",
    "Null",
    "Szabó",
    "Test",
];

/// Cities, some spelled in several ways.
pub const CITIES: [&str; 14] = [
    "Köln",
    "Koeln",
    "Zürich",
    "Genève",
    "Kraków",
    "Malmö",
    "Reykjavík",
    "São Paulo",
    "Αθήνα",
    "Cork",
    "Łódź",
    "Antwerpen",
    "Besançon",
    "Tromsø",
];

const NOTES: [&str; 8] = [
    "prefers e-mail",
    "coach since 2011; licence \"C\"",
    "pays by quarter, see letter of 29 Feb",
    "allergic to nuts 🥜",
    "line one\nline two",
    "50 % reduction; family of 4",
    "=HYPERLINK(\"http://example.org\")",
    "  leading and trailing spaces  ",
];

impl Person {
    /// Somebody.
    pub fn any(chance: &mut Chance) -> Self {
        let given = spelled(chance.one_of(&GIVEN), chance);
        let family = spelled(chance.one_of(&FAMILY), chance);
        Self {
            born_on: (!chance.once_in(25)).then(|| birthday(chance)),
            email: email(&given, &family, chance),
            phone: phone(chance),
            city: chance.one_of(&CITIES).to_owned(),
            notes: notes(chance),
            given,
            family,
        }
    }
}

/// Mostly right; sometimes shouted, sometimes with a space too many, sometimes with accents as separate characters.
fn spelled(name: &str, chance: &mut Chance) -> String {
    match chance.below(24) {
        0 => name.to_uppercase(),
        1 => format!("{name} "),
        2 => name.replace('é', "e\u{301}").replace('ü', "u\u{308}"),
        _ => name.to_owned(),
    }
}

/// One in thirty was born on a leap day, to see whose calendar can take it.
fn birthday(chance: &mut Chance) -> String {
    if chance.once_in(30) {
        return format!("{}-02-29", 1960 + 4 * chance.below(12));
    }
    format!("{}-{:02}-{:02}", 1938 + chance.below(80), 1 + chance.below(12), 1 + chance.below(28))
}

/// NULL is "we never asked", "" is "has none": the difference has to survive.
fn email(given: &str, family: &str, chance: &mut Chance) -> Option<String> {
    let plain = |s: &str| s.chars().filter(char::is_ascii_alphabetic).collect::<String>().to_lowercase();
    let address = format!("{}.{}{}@example.org", plain(given), plain(family), chance.below(1000));
    match chance.below(20) {
        0 | 1 => None,
        2 => Some(String::new()),
        3 => Some(address.to_uppercase()),
        4 => Some(format!(" {address}")),
        _ => Some(address),
    }
}

fn phone(chance: &mut Chance) -> Option<String> {
    let (area, a, b) = (150 + chance.below(30), 100 + chance.below(900), 1000 + chance.below(9000));
    match chance.below(8) {
        0 => None,
        1 => Some(String::new()),
        2 => Some(format!("+49 {area} {a}{b}")),
        3 => Some(format!("0049-{area}/{a}{b}")),
        4 => Some(format!("0{area} {a} {b}")),
        5 => Some(format!("(0{area}) {a}-{b}")),
        6 => Some(format!("+49{area}{a}{b}")),
        _ => Some(format!("0{area}/{a} {b} (evenings)")),
    }
}

fn notes(chance: &mut Chance) -> Option<String> {
    match chance.below(6) {
        0 => Some(String::new()),
        1 => Some(chance.one_of(&NOTES).to_owned()),
        _ => None,
    }
}
