//! The JSON of `--json` and `export`: instants in RFC 3339, keys and values as JSON instead of text that holds JSON.

use serde::Serialize;
use serde_json::{Map, Value as Json};

use super::text;

/// Fields that hold an instant in µs, beside those whose name ends in `_at`.
const INSTANTS: [&str; 4] = ["at", "since", "until", "mark"];

/// A row of the state, or an answer of the engine, in its public form.
pub fn public(value: &impl Serialize) -> Json {
    serde_json::to_value(value).map_or(Json::Null, tidy)
}

fn tidy(value: Json) -> Json {
    match value {
        Json::Array(items) => items.into_iter().map(tidy).collect(),
        // What a run is about to commit is for the program that settles it, and for nobody else.
        Json::Object(members) => {
            members.into_iter().filter(|(n, _)| n != "intent").map(|(n, v)| member(n, v)).collect::<Map<_, _>>().into()
        }
        other => other,
    }
}

fn member(name: String, value: Json) -> (String, Json) {
    if let Some(bare) = name.strip_suffix("_json") {
        let parsed = value.as_str().and_then(|s| serde_json::from_str(s).ok());
        return (bare.to_owned(), parsed.unwrap_or(value));
    }
    match value {
        Json::Number(n) if name.ends_with("_at") || INSTANTS.contains(&name.as_str()) => {
            (name, n.as_i64().map_or(Json::Null, |micros| text::rfc3339(micros).into()))
        }
        // A planned change or a difference has its key as text that holds a JSON array.
        Json::String(s) if name == "key" => (name, serde_json::from_str(&s).unwrap_or(Json::String(s))),
        // Tuples of the engine, named for those who do not know it.
        Json::Array(items) if matches!(name.as_str(), "parked" | "parked_by_code") => (name, named(items, ["code", "rows"])),
        Json::Array(items) if name == "fields" => (name, named(items, ["field", "source", "destination"])),
        // What is inside is the user's data, not ours to rewrite.
        Json::Object(_) if matches!(name.as_str(), "before" | "after") => (name, value),
        other => (name, tidy(other)),
    }
}

/// Arrays of as many items as there are names become objects; anything else goes on as ever.
fn named<const N: usize>(items: Vec<Json>, names: [&str; N]) -> Json {
    let one = |item: Json| match item {
        Json::Array(parts) if parts.len() == N => names.iter().map(|n| (*n).to_owned()).zip(parts).collect::<Map<_, _>>().into(),
        other => tidy(other),
    };
    items.into_iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    // case: H6
    #[test]
    fn instants_are_rfc_3339_and_embedded_json_is_json() {
        let row = json!({ "started_at": 1_763_667_600_123_456_i64, "key_json": "[{\"u64\":\"18446744073709551615\"}]", "rows": 3, "completed_at": null });
        let expected = json!({ "started_at": "2025-11-20T19:40:00.123456Z", "key": [{"u64": "18446744073709551615"}], "rows": 3, "completed_at": null });
        assert_eq!(public(&row), expected);
    }

    #[test]
    fn tuples_are_named() {
        let report = json!({ "parked_by_code": [["not_null", 2]], "parked": 3, "fields": [["title", "A", null]] });
        let expected = json!({ "parked_by_code": [{ "code": "not_null", "rows": 2 }], "parked": 3, "fields": [{ "field": "title", "source": "A", "destination": null }] });
        assert_eq!(public(&report), expected);
    }

    #[test]
    fn the_data_of_the_user_is_left_as_it_is() {
        let row = json!({ "image_json": "{\"created_at\": 5, \"note_json\": \"[1]\"}" });
        assert_eq!(public(&row), json!({ "image": { "created_at": 5, "note_json": "[1]" } }));
    }
}
