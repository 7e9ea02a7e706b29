//! What is read, and as what.

use secrecy::ExposeSecret;
use syncline_engine::spec::{Atomic, Conflicts, DeletePolicy, Edits, FieldText, Guard, IdSource, Mode, Owns, Scopes, StreamOptions};
use syncline_model::Value;

use super::{load, load_in, load_with, sync};
use crate::config::{History, Logs};

fn stream(below: &str, name: &str) -> StreamOptions {
    let config = load(&sync(&format!("    streams:\n{below}")));
    let found = config.syncs[0].streams.iter().find(|(p, _)| p == name).expect("the stream");
    found.1.clone().expect("its options")
}

// req: FR-010, FR-012, S4-003
#[test]
fn everything_that_can_be_written_arrives() {
    let (loaded, directory) = load_with(include_str!("whole.yaml"), &[("SHOP_URL", "mysql://u:p@h/shop")]);
    let config = loaded.unwrap_or_else(|e| panic!("{e}"));
    let root = directory.path();
    assert_eq!(config.memory, 64 << 20);
    assert_eq!(config.history, History { keep_days: 30, keep_runs: 7 });
    assert_eq!(config.logs, Logs { dir: root.join("logs"), keep_days: 14 });
    assert_eq!(config.state, root.join(".syncline/state.db"));
    let (kind, lake) = &config.connections["lake"];
    assert_eq!((kind.as_str(), lake.schema.as_deref(), lake.flavor.as_deref()), ("postgres", Some("public"), Some("supabase")));
    assert_eq!(config.connections["shop"].1.url.expose_secret(), "mysql://u:p@h/shop");

    assert_eq!(config.syncs.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["shop_to_lake", "back"]);
    let s = config.sync("shop_to_lake").expect("the sync");
    assert_eq!((s.from.1.name.as_str(), s.to.1.name.as_str(), s.atomic, s.undo), ("shop", "lake", Atomic::Run, true));
    assert_eq!(s.scopes, Some(Scopes::List(vec!["org-1".to_owned(), "7".to_owned()])));
    let o = &s.options;
    assert_eq!((o.mode, o.deletes.clone(), o.owns), (Some(Mode::Diff), Some(DeletePolicy::Ignore), Some(Owns::Mapped)));
    assert_eq!(o.guard, Some(Guard { max_delete_ratio: 0.2, max_delete_rows: 9 }));
    assert_eq!((o.edits, o.conflicts, o.overlap_s), (Some(Edits::Keep), Some(Conflicts::SourceWins), Some(600)));
    assert_eq!((o.cascade_allow, o.clears, o.validate, o.stamp.as_deref()), (Some(true), Some(true), Some(true), Some("synced_at")));
    assert_eq!(o.resume_above, Some(2_000_000));
    let patterns: Vec<_> = s.streams.iter().map(|(p, o)| (p.as_str(), o.is_some())).collect();
    assert_eq!(patterns, [("*", true), ("film", true), ("film_text", false), ("staff", true), ("store", true), ("actor", true)]);
}

// rule: R31, R33, R34
#[test]
fn the_options_of_a_stream_arrive_as_written() {
    let (loaded, _directory) = load_with(include_str!("whole.yaml"), &[("SHOP_URL", "mysql://u:p@h/shop")]);
    let config = loaded.unwrap_or_else(|e| panic!("{e}"));
    let of = |name: &str| config.syncs[0].streams.iter().find(|(p, _)| p == name).and_then(|(_, o)| o.clone()).expect("options");
    let film = of("film");
    assert_eq!(
        (film.to.as_deref(), film.cursor.as_deref(), film.mode),
        (Some("public.movies"), Some("last_update"), Some(Mode::Incremental))
    );
    assert_eq!(film.key, Some(vec!["film_id".to_owned(), "lang".to_owned()]));
    assert_eq!(film.where_from.as_deref(), Some("org = {{ scope }} and x = '${y}'"));
    let text = |t: &str| FieldText::Text(t.to_owned());
    let fields: Vec<_> = film.fields.expect("fields").into_iter().collect();
    let want = [
        ("email", text("mail")),
        ("movie_id", text("film_id")),
        ("price", FieldText::Constant(Value::Decimal("1.10".to_owned()))),
        ("source", FieldText::Constant(Value::Text("no".to_owned()))),
        ("stock", text("stock")),
        ("title", text("{{ title | trim }}")),
    ];
    assert_eq!(fields, want.map(|(k, v)| (k.to_owned(), v)));
    assert_eq!(film.types.expect("types")["email"], "email");
    assert_eq!(film.compare_off, Some(vec!["stock".to_owned()]));
    let ids = film.ids.expect("ids");
    let entity = Some(("entity_type".to_owned(), "film".to_owned()));
    let table = IdSource::Table { table: "legacy_ids".to_owned(), legacy: "legacy_id".to_owned(), new: "uuid_id".to_owned(), entity };
    assert_eq!((ids.source, ids.mint, ids.foreign_keys["store_id"].as_str()), (table, true, "store"));

    let staff = of("staff");
    assert_eq!(staff.key, Some(vec!["staff_id".to_owned()]));
    assert_eq!(staff.deletes, Some(DeletePolicy::Soft { column: Some("gone_at".to_owned()), value: None }));
    let ids = staff.ids.expect("ids");
    assert_eq!((ids.source, ids.mint), (IdSource::JsonPath { column: "metadata".to_owned(), path: vec!["legacy_id".to_owned()] }, false));
    assert_eq!(of("store").deletes, Some(DeletePolicy::Deactivate { column: None, value: Some(Value::I64(0)) }));
    assert_eq!(of("store").ids.map(|i| i.source), Some(IdSource::State));
    assert_eq!(of("actor"), StreamOptions::default());
}

#[test]
fn what_is_left_out_has_its_default() {
    let config = load(&sync(""));
    let s = &config.syncs[0];
    assert_eq!((s.atomic, s.undo, s.memory), (Atomic::Run, true, 64 << 20));
    assert_eq!(s.options, StreamOptions::default());
    assert_eq!(s.streams, [("*".to_owned(), Some(StreamOptions::default()))]);
    assert_eq!(config.history, History { keep_days: 90, keep_runs: 100 });
    assert!(config.state.ends_with(".syncline/state.db"));
    assert!(load("").syncs.is_empty());
}

// rule: R37
#[test]
fn paths_start_from_the_directory_of_the_file() {
    let (loaded, directory) = load_with(
        "connections:\n  a: { type: sqlite, url: \"sqlite:x/a.db\" }\n  b: { type: sqlite, url: \"sqlite:///abs/b.db\" }\nstate: { url: sqlite:s.db }\nlogs: { dir: ../l }\n",
        &[],
    );
    let config = loaded.unwrap_or_else(|e| panic!("{e}"));
    let root = directory.path();
    assert_eq!(config.connections["a"].1.url.expose_secret(), format!("sqlite:{}", root.join("x/a.db").display()));
    assert_eq!(config.connections["b"].1.url.expose_secret(), "sqlite:/abs/b.db");
    assert_eq!((config.state, config.logs.dir), (root.join("s.db"), root.join("../l")));
    assert!(config.directory.is_absolute());
}

// case: G11
#[test]
fn text_stays_text_whatever_it_looks_like() {
    for written in ["no", "on", "007", "1.10", "1e3", "0x1F", "12:30", "2024-01-01", "true", "'null'", "\"~\""] {
        let options = stream(&format!("      film: {{ cursor: {written}, key: [{written}] }}\n"), "film");
        let want = written.trim_matches(['\'', '"']);
        assert_eq!((options.cursor.as_deref(), options.key), (Some(want), Some(vec![want.to_owned()])), "{written}");
    }
}

// rule: R31
#[test]
fn constants_keep_type_and_digits() {
    for (written, want) in [
        ("7", Value::I64(7)),
        ("-7", Value::I64(-7)),
        ("18446744073709551615", Value::U64(u64::MAX)),
        ("99999999999999999999", Value::Decimal("99999999999999999999".to_owned())),
        ("1.10", Value::Decimal("1.10".to_owned())),
        ("12345678901234567890.12", Value::Decimal("12345678901234567890.12".to_owned())),
        ("1.5e3", Value::F64(1500.0)),
        ("true", Value::Bool(true)),
        ("~", Value::Null),
        ("null", Value::Null),
        ("007", Value::Text("007".to_owned())),
        ("\"7\"", Value::Text("7".to_owned())),
        ("'true'", Value::Text("true".to_owned())),
        ("plain words", Value::Text("plain words".to_owned())),
    ] {
        let options = stream(&format!("      film: {{ fields: {{ x: {{ value: {written} }} }} }}\n"), "film");
        assert_eq!(options.fields.expect("fields")["x"], FieldText::Constant(want), "{written}");
    }
}

#[test]
fn truth_values_are_read_in_their_usual_spellings() {
    for (written, want) in [("on", true), ("off", false), ("true", true), ("false", false), ("yes", true), ("no", false)] {
        assert_eq!(load(&sync(&format!("    undo: {written}\n"))).syncs[0].undo, want);
    }
}

// req: S4-003
#[test]
fn the_briefs_names_of_strategies_are_aliases() {
    for (written, want) in [
        ("source_wins", Conflicts::SourceWins),
        ("federation_wins", Conflicts::SourceWins),
        ("destination_wins", Conflicts::DestinationWins),
        ("local_wins", Conflicts::DestinationWins),
    ] {
        let config = load(&sync(&format!("    edits: keep\n    conflicts: {written}\n")));
        assert_eq!(config.syncs[0].options.conflicts, Some(want));
    }
}

#[test]
fn anchors_and_merge_keys_spare_repetition() {
    let text = sync("    streams:\n      film: &s { cursor: last_update }\n      actor: { <<: *s, key: actor_id }\n      staff: *s\n");
    let config = load(&text);
    let cursors: Vec<_> = config.syncs[0].streams.iter().map(|(_, o)| o.as_ref().and_then(|o| o.cursor.as_deref())).collect();
    assert_eq!(cursors, [Some("last_update"); 3]);
}

#[test]
fn a_query_can_give_the_scopes() {
    let text = sync("    scopes: { query: select id from orgs }\n    streams: { film: { where: \"org = {{ scope }}\" } }\n");
    assert_eq!(load(&text).syncs[0].scopes, Some(Scopes::Query("select id from orgs".to_owned())));
}

#[test]
fn a_file_in_the_working_directory_is_found_by_its_bare_name() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = load_in(&directory, &sync(""), &[]).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(config.directory, directory.path());
}
