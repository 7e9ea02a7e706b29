//! What is wrong, where, and what to do: all of it at once.

use std::path::Path;

use super::{codes, load_with, sync, told};
use crate::config::Config;

const MANY: &str = r#"connections:
  shop: { type: mysqll, url: "mysql://u@h/shop" }
  Shop: { type: mysql, url: "postgres://u@h/shop" }
  lake: { type: postgres, url: "postgres://u@h/lake", flavor: planetscale, shcema: public }
  "la ke": { type: sqlite, url: "sqlite:x.db" }
logs: { keep_days: two }
memory: 64
syncs:
  shop_to_lake:
    from: shpo
    to: lake
    mode: difff
    delete: mirror
    guard: { max_delete_ratio: 10, max_rows: 5 }
    edits: keep
    conflicts: newest_wins
    after: [other]
    overlap: 10
    streams:
      film:
        fields: { title: { form: titel }, email: { type: emial }, x: { from: a, value: 1 } }
        deletes: { policy: sofft, colum: gone_at }
        wher: "a = 1"
      actor: 7
      staff: { key: [a, a], fields_only: maybe }
  lake_to_lake:
    from: lake
    to: lake
  no_to:
    from: lake
    conflicts: merge
"#;

// case: G7
#[test]
fn everything_wrong_is_told_at_once_with_line_suggestion_and_code() {
    insta::assert_snapshot!("many_errors", told(MANY));
}

// case: G7
#[test]
fn an_unknown_key_is_an_error_at_every_level() {
    for (text, path) in [
        ("conections: {}\n".to_owned(), "conections"),
        ("state: { path: x }\n".to_owned(), "state.path"),
        (sync("    stream: {}\n"), "syncs.shop_to_lake.stream"),
        (sync("    guard: { rows: 1 }\n"), "syncs.shop_to_lake.guard.rows"),
        (sync("    deletes: { policy: soft, colunm: x }\n"), "syncs.shop_to_lake.deletes.colunm"),
        (sync("    scopes: { quer: x }\n"), "syncs.shop_to_lake.scopes.quer"),
        (sync("    streams: { film: { keys: [a] } }\n"), "syncs.shop_to_lake.streams.film.keys"),
        (sync("    streams: { film: { fields: { a: { form: b } } } }\n"), "syncs.shop_to_lake.streams.film.fields.a.form"),
        (sync("    streams: { film: { ids: { tabel: b } } }\n"), "syncs.shop_to_lake.streams.film.ids.tabel"),
    ] {
        assert_eq!(codes(&text), [("config_unknown_key", path.to_owned())], "{text}");
    }
    assert!(told("conections: {}\n").contains("did you mean `connections`?"));
}

// req: S4-003
#[test]
fn an_unknown_strategy_is_told_as_one() {
    let text = sync("    edits: keep\n    conflicts: source_win\n");
    insta::assert_snapshot!(told(&text), @"
    syncline.yaml:9: syncs.shop_to_lake.conflicts: `source_win` is not known here (strategy_unknown)
      hint: did you mean `source_wins`?
    ");
}

// case: G1
#[test]
fn names_are_plain_ascii_of_64_characters_at_most() {
    let with = |name: &str| format!("connections:\n  {name}: {{ type: sqlite, url: sqlite:x.db }}\n");
    for name in ["a", "A-b_9", &"x".repeat(64)] {
        assert_eq!(codes(&with(name)), [], "{name}");
    }
    for name in ["''", &"x".repeat(65), "\"a\\n\"", "\"a b\"", "\"..\"", "\"a/b\"", "\"\u{ff11}\"", "\"\\0\"", "\"é\"", "\"a \""] {
        let found = codes(&with(name));
        assert_eq!(found.iter().map(|(code, _)| *code).collect::<Vec<_>>(), ["config_invalid"], "{name}");
        let in_syncs = with("a") + &format!("syncs:\n  {name}: {{ from: a, to: b }}\n");
        assert!(codes(&in_syncs).iter().any(|(code, path)| *code == "config_invalid" && path.starts_with("syncs.")), "{name}");
    }
}

// case: G8
#[test]
fn two_names_that_differ_in_case_alone_are_refused() {
    let text = "connections:\n  shop: { type: sqlite, url: sqlite:x.db }\n  SHOP: { type: sqlite, url: sqlite:y.db }\n";
    assert_eq!(codes(text), [("config_invalid", "connections.shop".to_owned())]);
}

// rule: R6
// req: FR-012, S4-003
// rule: R32
#[test]
fn options_that_mean_nothing_together_are_refused() {
    let at = |below: &str| codes(&sync(below)).into_iter().map(|(c, p)| (c, p.replace("syncs.shop_to_lake.", ""))).collect::<Vec<_>>();
    let one = |code: &'static str, path: &str| vec![(code, path.to_owned())];
    for (below, want) in [
        ("    conflicts: source_wins\n", one("config_invalid", "conflicts")),
        ("    conflicts: source_wins\n    edits: overwrite\n", one("config_invalid", "conflicts")),
        ("    conflicts: source_wins\n    edits: keep\n", vec![]),
        ("    conflicts: source_wins\n    streams: { film: { edits: keep } }\n", vec![]),
        ("    streams: { film: { conflicts: merge, edits: keep } }\n", one("config_invalid", "streams.film.conflicts")),
        ("    last_modified_by: who\n    streams: { film: { conflicts: merge, edits: keep } }\n", vec![]),
        ("    streams: { \"*\": { edits: keep }, film: { conflicts: local_wins } }\n", vec![]),
        ("    streams: { actor: { edits: keep }, film: { conflicts: local_wins } }\n", one("config_invalid", "streams.film.conflicts")),
        ("    mode: incremental\n", one("incremental_without_cursor", "mode")),
        ("    streams: { film: { mode: incremental } }\n", one("incremental_without_cursor", "streams.film.mode")),
        ("    streams: { \"f*\": { cursor: x }, film: { mode: incremental } }\n", vec![]),
        ("    streams: { film: { mode: incremental, cursor: x, deletes: mirror } }\n", one("mirror_incremental", "streams.film.deletes")),
        ("    deletes: { policy: mirror, column: x }\n", one("config_invalid", "deletes")),
        ("    deletes: mirror\n", vec![]),
        ("    after: [other]\n", one("not_yet", "after")),
        ("    scopes: [a]\n    streams: { film: {} }\n", one("config_invalid", "scopes")),
        ("    streams: { film: { where: \"a = {{ scope }}\" } }\n", one("config_invalid", "streams.film.where")),
        ("    scopes: [a, a]\n    streams: { film: { where: \"a = {{ scope }}\" } }\n", one("config_invalid", "scopes.1")),
        ("    streams: { film: { where: \"a = {{ now }}\" } }\n", one("config_invalid", "streams.film.where")),
        ("    streams: { film: false }\n", one("config_invalid", "streams")),
        ("    streams: { film: { collection_key: actor }, actor: {} }\n", one("config_invalid", "streams.film.collection_key")),
        ("    streams: { film: { ids: { column: a, json: b.c } } }\n", one("config_invalid", "streams.film.ids")),
        ("    streams: { film: { ids: { table: a } } }\n", one("config_invalid", "streams.film.ids")),
        ("    streams: { film: { ids: { json: a } } }\n", one("config_invalid", "streams.film.ids.json")),
        ("    clears: true\n", one("config_invalid", "clears")),
        ("    clears: true\n    streams: { film: { edits: keep } }\n", vec![]),
        ("    edits: keep\n    streams: { film: { clears: true } }\n", vec![]),
        ("    last_modified_by: who\n", one("config_invalid", "last_modified_by")),
        ("    streams: { film: { validate: true } }\n", one("config_invalid", "streams.film.validate")),
        ("    validate: true\n    streams: { film: { fields: { mail: { type: email } } } }\n", vec![]),
        ("    overlap: 10m\n", one("config_invalid", "overlap")),
        ("    overlap: 10m\n    streams: { film: { cursor: x } }\n", vec![]),
        ("    streams: { film: { overlap: 10m } }\n", one("config_invalid", "streams.film.overlap")),
        ("    guard: { max_delete_ratio: -0.1 }\n", one("config_invalid", "guard.max_delete_ratio")),
        ("    guard: { max_delete_rows: -1 }\n", one("config_invalid", "guard.max_delete_rows")),
    ] {
        assert_eq!(at(below), want, "{below}");
    }
}

#[test]
fn an_error_is_told_once_and_not_what_follows_from_it() {
    let text = "connections:\n  a: { type: nope, url: x }\nsyncs:\n  s: { from: a, to: a2 }\n";
    assert_eq!(codes(text), [("config_invalid", "connections.a.type".to_owned()), ("connection_unknown", "syncs.s.to".to_owned())]);
}

// case: G3
#[test]
fn a_key_that_is_there_twice_is_refused() {
    let text = sync("    mode: diff\n    rows: park\n    mode: full\n");
    insta::assert_snapshot!(told(&text), @"
    syncline.yaml:10: the key `mode` is there twice (config_invalid)
      hint: keep one of the two
    ");
}

// case: G2, G11
#[test]
fn bombs_and_depth_and_size_are_refused_at_once() {
    let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (this, last) in ["b", "c", "d", "e", "f", "g", "h", "i"].iter().zip(["a", "b", "c", "d", "e", "f", "g", "h"]) {
        bomb += &format!("{this}: &{this} [{}]\n", vec![format!("*{last}"); 9].join(", "));
    }
    assert_eq!(codes(&bomb), [("config_invalid", String::new())]);
    for deep in ["[".repeat(10_000), "{a: ".repeat(10_000), "- ".repeat(10_000), format!("a: {}1{}", "[".repeat(30), "]".repeat(30))] {
        assert_eq!(codes(&deep), [("config_invalid", String::new())]);
    }
    assert_eq!(codes(&format!("# {}\n", "x".repeat(1024 * 1024))), [("input_too_large", String::new())]);
}

// case: G4
#[test]
fn what_is_no_yaml_text_is_refused() {
    for text in [
        "connections: [",
        "a: b: c",
        "\tx: 1",
        "a: *unknown",
        "--- {}\n--- {}\n",
        "just words",
        "- a\n- b\n",
        "a: !!binary x",
        "? [a]\n: b\n",
    ] {
        let found = codes(text);
        assert!(!found.is_empty(), "{text}");
    }
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("syncline.yaml");
    std::fs::write(&path, [0xff, 0xfe, b'a']).expect("a file");
    assert_eq!(Config::load(&path).expect_err("not UTF-8").code(), "config_invalid");
}

#[test]
fn a_byte_order_mark_does_no_harm() {
    assert_eq!(codes(&format!("\u{feff}{}", sync(""))), []);
}

#[test]
fn a_file_that_is_not_there_is_told() {
    for path in ["/nowhere/syncline.yaml", "/"] {
        let errors = Config::load(Path::new(path)).expect_err(path);
        assert_eq!((errors.code(), errors.errors.len()), ("file_missing", 1));
    }
}

#[test]
fn a_bad_dotenv_is_told_by_its_line() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join(".env"), "A=1\nnonsense\n").expect("a file");
    let errors = super::load_in(&directory, &sync(""), &[]).expect_err("a bad .env");
    assert!(errors.errors[0].message.contains("`.env` line 2"), "{errors}");
}

// case: J11
#[test]
fn control_characters_of_keys_and_values_never_reach_the_terminal() {
    let bell = "\"x\\e[31m\\n\"";
    for text in
        [format!("{bell}: 1\n"), format!("connections:\n  {bell}: {{ type: {bell}, url: x }}\n"), sync(&format!("    mode: {bell}\n"))]
    {
        let told = told(&text);
        assert!(told.contains("x") && !told.contains('\u{1b}'), "{told:?}");
        assert_eq!(
            told.lines().filter(|l| l.starts_with("syncline.yaml:")).count(),
            told.lines().filter(|l| !l.starts_with("  hint:")).count()
        );
    }
}

#[test]
fn a_file_full_of_errors_is_cut_short() {
    let text: String = (0..500).map(|n| format!("wrong{n}: 1\n")).collect();
    let (loaded, _directory) = load_with(&text, &[]);
    assert_eq!(loaded.expect_err("unknown keys").errors.len(), 50);
}
