//! Proofs of FR-001: what each statement is taken for, in three dialects and seven languages, and that no input breaks it.

use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::embedded::{Fragment, Language, fragments};
use super::token::{Kind, tokens};
use super::*;

fn sql(text: &str) -> Script {
    script(Path::new("s.sql"), Language::Sql, text).expect("the script writes")
}

fn table<'s>(script: &'s Script, name: &str) -> &'s TableReport {
    script.tables.iter().find(|t| t.table == name).unwrap_or_else(|| panic!("no {name} in {:?}", script.tables))
}

fn fixtures() -> Report {
    analyze(&[Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/analyze")]).expect("the fixtures are there")
}

fn fixture<'r>(report: &'r Report, file: &str) -> &'r Script {
    report.scripts.iter().find(|s| s.path.ends_with(file)).expect("the fixture was analysed")
}

fn kinds(text: &str, dialect: Dialect) -> Vec<(Kind, &str)> {
    tokens(text, dialect).into_iter().map(|t| (t.kind, t.text)).collect()
}

// req: FR-001
#[test]
fn quotes_and_comments_of_three_dialects_hide_what_is_inside() {
    let postgres = r#"'a;''b' "x;y" $q$ c; 'd $q$ /* e; /* f; */ ; */ -- g;"#;
    let expected = vec![(Kind::Text, "'a;''b'"), (Kind::Quoted, "\"x;y\""), (Kind::Body, " c; 'd ")];
    assert_eq!(kinds(postgres, Dialect::Postgres), expected);
    let mysql = "'it\\'s;' `a;b` # c;\n/*!50001 d */ e--1";
    let words: Vec<&str> = kinds(mysql, Dialect::Mysql).into_iter().map(|(_, t)| t).collect();
    assert_eq!(words, ["'it\\'s;'", "`a;b`", "d", "e", "-", "-", "1"]);
    let sqlite: Vec<&str> = kinds("INSERT INTO [my;table] VALUES (a[1])", Dialect::Sqlite).into_iter().map(|(_, t)| t).collect();
    assert_eq!(sqlite, ["INSERT", "INTO", "[my;table]", "VALUES", "(", "a", "[", "1", "]", ")"]);
}

// req: FR-001
#[test]
fn copied_data_and_client_commands_are_not_statements() {
    let script = sql("COPY t (a) FROM stdin;\nDELETE FROM never;\n\\.\n\\echo DELETE FROM never\nDELETE FROM real WHERE a = 1;");
    let names: Vec<&str> = script.tables.iter().map(|t| t.table.as_str()).collect();
    assert_eq!(names, ["real", "t"]);
}

// req: FR-001
#[test]
fn words_that_only_look_like_statements_are_left_alone() {
    let text = "CREATE TABLE a (b int REFERENCES c ON DELETE CASCADE ON UPDATE SET NULL);
        GRANT INSERT, UPDATE, DELETE ON d TO e;
        CREATE TRIGGER f AFTER INSERT OR UPDATE ON a EXECUTE FUNCTION g();
        SELECT * FROM h FOR UPDATE; SELECT truncate(1.5, 1); SELECT replace(a, 'x', 'y') FROM i;
        SELECT extract(year FROM day) FROM j;";
    let script = sql(text);
    assert_eq!(script.tables.iter().map(|t| t.table.as_str()).collect::<Vec<_>>(), ["a"]);
}

// req: FR-001
#[test]
fn every_way_to_insert_is_told_apart() {
    let of = |text: &str| {
        let script = sql(text);
        let effect = &table(&script, "t").effects[0];
        (effect.action, effect.repeatable, effect.hazards.clone())
    };
    assert_eq!(of("INSERT INTO t SELECT * FROM s"), (Action::Insert, false, vec![Hazard::PlainInsert]));
    assert_eq!(of("INSERT INTO t SELECT * FROM s ON CONFLICT (id) DO NOTHING"), (Action::Insert, true, vec![Hazard::SkipsExisting]));
    assert_eq!(of("INSERT INTO t SELECT * FROM s ON CONFLICT (id) DO UPDATE SET a = 1"), (Action::Upsert, true, vec![]));
    assert_eq!(of("INSERT INTO t SELECT * FROM s ON DUPLICATE KEY UPDATE a = 1"), (Action::Upsert, true, vec![Hazard::AnyUniqueIndex]));
    assert_eq!(of("INSERT IGNORE INTO t SELECT * FROM `s`"), (Action::Insert, true, vec![Hazard::HidesErrors]));
    assert_eq!(of("INSERT OR IGNORE INTO t SELECT * FROM s"), (Action::Insert, true, vec![Hazard::SkipsExisting]));
    assert_eq!(of("INSERT OR REPLACE INTO t SELECT * FROM s"), (Action::Upsert, true, vec![Hazard::Replaces]));
    assert_eq!(of("REPLACE INTO t SELECT * FROM s"), (Action::Upsert, true, vec![Hazard::Replaces]));
    assert_eq!(of("INSERT INTO t SELECT * FROM s WHERE NOT EXISTS (SELECT 1 FROM t)"), (Action::Insert, true, vec![Hazard::SkipsExisting]));
    assert_eq!(
        of("INSERT INTO t SELECT s.* FROM s LEFT JOIN t ON t.id = s.id WHERE t.id IS NULL"),
        (Action::Insert, true, vec![Hazard::SkipsExisting])
    );
    assert_eq!(of("MERGE INTO t USING s ON t.id = s.id WHEN NOT MATCHED THEN INSERT (id) VALUES (1)"), (Action::Upsert, true, vec![]));
    assert_eq!(of("COPY t FROM '/tmp/x'"), (Action::Insert, false, vec![Hazard::PlainInsert]));
    assert_eq!(of("LOAD DATA INFILE 'x' REPLACE INTO TABLE t"), (Action::Upsert, true, vec![Hazard::Replaces]));
}

// req: FR-001
#[test]
fn an_update_from_its_own_value_is_not_idempotent() {
    assert!(!table(&sql("UPDATE t SET a = 1, n = t.n + 1"), "t").idempotent);
    assert!(table(&sql("UPDATE t SET a = s.b + 1, n = coalesce(s.n, 0) FROM s WHERE s.id = t.id"), "t").idempotent);
}

// req: FR-001
#[test]
fn a_moving_mark_is_incremental_and_a_page_of_ids_is_full() {
    let extent = |condition: &str| table(&sql(&format!("INSERT INTO t SELECT * FROM s WHERE {condition}")), "t").extent.clone();
    let by = |column: &str, exclusive| Extent::Incremental { column: column.to_owned(), exclusive };
    assert_eq!(extent("updated_at > $1"), by("updated_at", true));
    assert_eq!(extent("s.updated_at >= now() - interval '1 day'"), by("updated_at", false));
    assert_eq!(extent("id > (SELECT max(id) FROM t)"), by("id", true));
    assert_eq!(extent("id > $1 ORDER BY id LIMIT 100"), Extent::Full);
    assert_eq!(extent("kind = 'x' AND updated_at > '2020-01-01'"), Extent::Full);
}

// req: FR-001
#[test]
fn the_three_shapes_of_id_mapping_are_recognised() {
    let report = fixtures();
    let script = fixture(&report, "02_patients.sql");
    let pairs = IdMapping::Table {
        table: "migration_mappings".into(),
        legacy: Some("legacy_id".into()),
        new: Some("uuid_id".into()),
        entity: Some(("entity_type".into(), "patient".into())),
    };
    assert_eq!(table(script, "patients").id_mapping, [pairs]);
    let called = IdMapping::Table {
        table: "migration_mappings".into(),
        legacy: Some("legacy_id".into()),
        new: Some("new_id".into()),
        entity: Some(("entity_type".into(), "doctor".into())),
    };
    assert_eq!(table(fixture(&report, "sync.ts"), "migration_mappings").id_mapping, [called]);
    let path = IdMapping::JsonPath { column: "metadata".into(), key: "legacy_id".into() };
    assert_eq!(table(script, "orders").id_mapping, [path]);
    let column = IdMapping::Column { column: "legacy_product_id".into() };
    assert_eq!(table(fixture(&report, "sync.ts"), "products").id_mapping, [column]);
    assert!(table(fixture(&report, "01_schema.sql"), "migration_mappings").is_mapping);
}

// req: FR-001
#[test]
fn sql_is_found_in_every_language_with_the_line_it_stands_on() {
    let report = fixtures();
    let at = |file: &str, name: &str| {
        let table = table(fixture(&report, file), name);
        (table.effects[0].action, table.effects[0].line)
    };
    assert_eq!(at("01_schema.sql", "settings"), (Action::Upsert, 19));
    assert_eq!(at("03_mysql_load.sql", "games"), (Action::Insert, 11));
    assert_eq!(at("sync.ts", "products"), (Action::Insert, 14));
    assert_eq!(at("sync.ts", "staging_${table}"), (Action::Truncate, 20));
    assert_eq!(at("sync.ts", "doctors"), (Action::Upsert, 25));
    assert_eq!(at("sync.ts", "migration_mappings"), (Action::Insert, 33));
    assert_eq!(at("load.py", "jaws"), (Action::Insert, 7));
    assert_eq!(at("load.py", "treatment plans"), (Action::Delete, 14));
    assert_eq!(at("full-sync.sh", "public.files"), (Action::Truncate, 4));
    assert_eq!(at("full-sync.sh", "runs"), (Action::Update, 10));
    assert_eq!(at("seed.rb", "roles"), (Action::Upsert, 3));
    assert_eq!(at("move.go", "ledgers"), (Action::Upsert, 5));
    let names: Vec<&str> = report.scripts.iter().flat_map(|s| &s.tables).map(|t| t.table.as_str()).collect();
    for never in ["comment_only", "nowhere", "never", "comment", "cache", "the"] {
        assert!(!names.contains(&never), "{never} is not written by any script");
    }
}

// req: FR-001
#[test]
fn verdicts_name_the_worst_thing_and_its_line() {
    let report = fixtures();
    let of = |file: &str, name: &str| {
        let t = table(fixture(&report, file), name);
        (t.verdict, t.line)
    };
    assert_eq!(of("01_schema.sql", "migration_mappings"), (Verdict::Reuse, 2));
    assert_eq!(of("01_schema.sql", "offices"), (Verdict::Adapt, 10));
    assert_eq!(of("02_patients.sql", "patients"), (Verdict::Replace, 8));
    assert_eq!(of("03_mysql_load.sql", "members"), (Verdict::Replace, 4));
    assert_eq!(of("full-sync.sh", "public.files"), (Verdict::Replace, 4));
    assert_eq!(of("sync.ts", "products"), (Verdict::Replace, 8));
    assert_eq!(of("move.go", "ledgers"), (Verdict::Reuse, 5));
}

// req: FR-001
#[test]
fn the_draft_is_yaml_with_a_stream_per_table_that_is_filled() {
    let draft = fixtures().draft.expect("rows are moved");
    let config: serde_json::Value = serde_saphyr::from_str(&draft).expect("the draft is YAML");
    let streams = &config["syncs"]["migrated"]["streams"];
    assert_eq!(streams["old_members"], serde_json::json!({ "to": "members", "deletes": "mirror", "owns": "table" }));
    assert_eq!(streams["dispatch_patient"]["deletes"], "soft");
    assert_eq!(
        streams["dispatch_patient"]["ids"],
        serde_json::json!({ "table": "migration_mappings", "legacy": "legacy_id", "new": "uuid_id", "entity": { "entity_type": "patient" } })
    );
    assert_eq!(streams["old_games"]["cursor"], "changed_at");
    assert!(streams.get("settings").is_none(), "rows written in a script are not a stream");
}

// req: FR-001
#[test]
fn a_script_that_only_empties_a_table_is_never_called_reusable() {
    for text in ["TRUNCATE t", "DELETE FROM t", "TRUNCATE TABLE a, t CASCADE"] {
        let script = sql(text);
        assert_eq!((table(&script, "t").verdict, &table(&script, "t").effects[0].hazards), (Verdict::Replace, &vec![Hazard::Wipes]));
    }
    assert_eq!(table(&sql("DELETE FROM t WHERE id = 1"), "t").verdict, Verdict::Reuse);
}

// req: FR-001
#[test]
fn only_deletions_against_the_source_are_drafted_as_a_mirror() {
    let policy = |delete: &str| {
        let text = format!("INSERT INTO t SELECT * FROM s ON CONFLICT (id) DO UPDATE SET a = 1; {delete}");
        let draft = draft::draft(&[sql(&text)]).expect("rows are moved");
        draft.contains("deletes: mirror")
    };
    assert!(policy("DELETE FROM t WHERE NOT EXISTS (SELECT 1 FROM s WHERE s.id = t.id)"));
    assert!(!policy("DELETE FROM t WHERE id = 7"));
}

// req: FR-001
#[test]
fn a_script_that_touches_no_rows_says_so() {
    assert_eq!(table(&sql("CREATE TABLE IF NOT EXISTS t (id int)"), "t").extent, Extent::Nothing);
}

// req: FR-001
#[test]
fn the_report_reads_well_and_serialises() {
    let report = analyze(&[PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata/analyze/seed.rb")]).expect("it is there");
    let text = report.to_string();
    assert!(text.contains("  roles: reuse\n"), "{text}");
    assert!(text.contains("1 script: tables to reuse 2, to adapt 0, to replace 0"), "{text}");
    let json = serde_json::to_value(&report).expect("it serialises");
    assert_eq!(json["scripts"][0]["tables"][0]["verdict"], "reuse");
}

// req: FR-001
#[test]
fn missing_files_and_folders_without_scripts_are_clear_errors() {
    let gone = analyze(&[PathBuf::from("/no/such/script.sql")]).expect_err("it is not there");
    assert_eq!(gone.code, "file_missing");
    let empty = tempfile::tempdir().expect("a folder");
    let nothing = analyze(&[empty.path().to_owned()]).expect_err("nothing is in it");
    assert_eq!(nothing.code, "nothing_to_analyze");
}

// req: FR-001
#[test]
fn a_dump_too_large_to_read_is_listed_not_read() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("dump.sql"), vec![b' '; 4 * 1024 * 1024 + 1]).expect("it is written");
    let report = analyze(&[dir.path().to_owned()]).expect("the rest is analysed");
    assert_eq!(report.skipped.len(), 1);
}

// req: FR-001
#[test]
fn hostile_repetition_ends() {
    for piece in ["UPDATE a ", "FROM ", "a.", "(", ") AS (", "$$", "'", "/*", "WITH a AS (", "INSERT INTO t SELECT ", "<<A\n", ".from('a')"]
    {
        for language in [Language::Sql, Language::TypeScript, Language::Shell] {
            let _ = script(Path::new("s"), language, &piece.repeat(20_000));
        }
    }
}

const LANGUAGES: [Language; 7] =
    [Language::Sql, Language::TypeScript, Language::JavaScript, Language::Python, Language::Ruby, Language::Go, Language::Shell];

fn scrap() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "INSERT INTO ",
        "UPDATE ",
        "SET ",
        "DELETE FROM ",
        "TRUNCATE ",
        "MERGE INTO ",
        "ON CONFLICT ",
        "DO UPDATE ",
        "WITH ",
        " AS (",
        "SELECT ",
        "FROM ",
        "WHERE ",
        "updated_at > ",
        "t",
        ".",
        ",",
        ";",
        "(",
        ")",
        "'",
        "\"",
        "`",
        "$$",
        "$a$",
        "${",
        "}",
        "#{",
        "\\",
        "\n",
        "--",
        "/*",
        "*/",
        "/*!40101 ",
        "<<EOF\n",
        "EOF\n",
        "\"\"\"",
        "f\"{",
        "é",
        "\u{1}",
        "DELIMITER //\n",
        "\\copy t FROM 'x'\n",
        "[",
        "]",
        "->>'legacy_id'",
        "VALUES ",
        "NOT EXISTS ",
        "COPY t FROM stdin;\n",
        ".from('t')",
        ".upsert(",
        "%(a)s",
        ":x",
        "?",
        "=",
        "CREATE TABLE ",
        "DROP TABLE ",
    ]);
    prop::collection::vec(prop_oneof![8 => words.prop_map(str::to_owned), 1 => "\\PC{0,4}"], 0..60).prop_map(|p| p.concat())
}

proptest! {
    // req: FR-001
    #[test]
    fn no_text_makes_it_panic(text in scrap()) {
        let scripts: Vec<Script> = LANGUAGES.iter().filter_map(|l| script(Path::new("s"), *l, &text)).collect();
        let draft = draft::draft(&scripts);
        if let Some(yaml) = &draft {
            let parsed: Result<serde_json::Value, _> = serde_saphyr::from_str(yaml);
            prop_assert!(parsed.is_ok(), "{yaml}");
        }
        let _ = Report { scripts, skipped: Vec::new(), draft }.to_string();
    }

    // req: FR-001
    #[test]
    fn tokens_lie_in_order_inside_the_text(text in "\\PC{0,80}", scraps in scrap()) {
        for dialect in [Dialect::Postgres, Dialect::Mysql, Dialect::Sqlite] {
            let whole = format!("{text}{scraps}");
            let mut last = 0;
            for token in tokens(&whole, dialect) {
                prop_assert!(token.at >= last && token.at + token.text.len() <= whole.len());
                last = token.at;
            }
        }
    }

    // req: FR-001
    #[test]
    fn lines_of_fragments_are_lines_of_the_file(text in scrap()) {
        let lines = u32::try_from(text.lines().count() + 1).expect("short");
        for language in LANGUAGES {
            for fragment in fragments(&text, language) {
                prop_assert!(fragment.line(fragment.text.len()) <= lines);
            }
        }
        prop_assert_eq!(Fragment::whole("a\nb").line(2), 2);
    }
}

// req: FR-001
#[test]
fn the_draft_is_a_configuration_that_loads() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("syncline.yaml");
    std::fs::write(&file, fixtures().draft.expect("rows are moved")).expect("it is written");
    let environment = |_: &str| Some("postgres://u:p@localhost/d".to_owned());
    let config = crate::config::Config::load_with(&file, &environment).expect("the draft is a valid configuration");
    assert_eq!(config.syncs.len(), 1);
}
