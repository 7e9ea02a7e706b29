//! Cells for people: the text of a value, cut to what helps to see a difference.

use syncline_model::ValueRef;

/// Characters of a value in a report.
const SHOWN_CHARS: usize = 200;
/// Characters of a value that are kept until it is known where the two sides part.
const KEPT_CHARS: usize = 1_000;
/// Characters before the first difference that are shown with it.
const LEAD_CHARS: usize = 40;

/// The text of a cell, its beginning where it is long; none for NULL.
#[must_use]
pub fn kept(cell: ValueRef<'_>) -> Option<String> {
    match cell {
        ValueRef::Null => None,
        ValueRef::Text(s) | ValueRef::Json(s) | ValueRef::Decimal(s) => Some(start(s, KEPT_CHARS).to_owned()),
        ValueRef::Bytes(b) => Some(ValueRef::Bytes(&b[..b.len().min(KEPT_CHARS / 2)]).to_string()),
        v => Some(v.to_string()),
    }
}

/// Both texts from shortly before where they part, shortened.
#[must_use]
pub fn both(a: Option<&str>, b: Option<&str>) -> (Option<String>, Option<String>) {
    let same = match (a, b) {
        (Some(a), Some(b)) => a.chars().zip(b.chars()).take_while(|(x, y)| x == y).count(),
        _ => 0,
    };
    let long = |t: Option<&str>| t.is_some_and(|t| t.chars().nth(SHOWN_CHARS).is_some());
    let skip = if (long(a) || long(b)) && same > LEAD_CHARS { same - LEAD_CHARS } else { 0 };
    (a.map(|t| cut(t, skip)), b.map(|t| cut(t, skip)))
}

fn cut(text: &str, skip: usize) -> String {
    let rest = text.char_indices().nth(skip).map_or("", |(at, _)| &text[at..]);
    let head = start(rest, SHOWN_CHARS);
    let (before, after) = (if skip > 0 { "…" } else { "" }, if head.len() < rest.len() { "…" } else { "" });
    format!("{before}{head}{after}")
}

fn start(text: &str, chars: usize) -> &str {
    text.char_indices().nth(chars).map_or(text, |(at, _)| &text[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    // req: S2-A2
    #[test]
    fn long_values_are_shown_where_they_part() {
        let long = "ä".repeat(500);
        let (a, b) = both(Some(&format!("{long}x")), Some(&format!("{long} x")));
        let (a, b) = (a.unwrap(), b.unwrap());
        assert!(a.starts_with("…ä") && a.ends_with("äx") && b.ends_with("ä x"), "{a} {b}");
        assert_eq!(both(Some("Film 7"), None), (Some("Film 7".to_owned()), None));
        let cut = both(Some(&"y".repeat(300)), Some("z")).0.unwrap();
        assert_eq!(cut.chars().count(), SHOWN_CHARS + 1);
        assert_eq!(kept(ValueRef::Bytes(&[1, 255])).as_deref(), Some("\\x01ff"));
    }
}
