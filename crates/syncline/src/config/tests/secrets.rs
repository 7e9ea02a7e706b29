//! Variables, secret files and `.env`; and that nothing secret is ever told.

use std::fs;

use secrecy::ExposeSecret;

use super::{ConfigErrors, load_in, load_with};

fn connection(url: &str) -> String {
    format!("connections:\n  lake: {{ type: postgres, url: {url} }}\n")
}

fn url_of(text: &str, variables: &[(&str, &str)], files: &[(&str, &str)]) -> Result<String, ConfigErrors> {
    let directory = tempfile::tempdir().expect("a directory");
    for (name, content) in files {
        fs::write(directory.path().join(name), content).expect("a file");
    }
    load_in(&directory, text, variables).map(|c| c.connections["lake"].1.url.expose_secret().to_owned())
}

#[test]
fn the_real_environment_wins_over_dotenv_and_both_over_the_default() {
    let text = connection("\"postgres://${A:-a}@h/${B:-b}/${C:-c}${D:-}\"");
    let url = url_of(&text, &[("A", "real")], &[(".env", "A=file\nB='file b'\nD=\n")]).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(url, "postgres://real@h/file b/c");
    let empty = url_of(&connection("\"postgres://${A:-a}@h\""), &[("A", "")], &[]).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(empty, "postgres://a@h");
}

// case: G10
#[test]
fn a_secret_file_loses_one_trailing_newline_and_no_more() {
    for (content, want) in [("pw", "pw"), ("pw\n", "pw"), ("pw\r\n", "pw"), ("pw\n\n", "pw\n"), (" pw ", " pw "), ("", "")] {
        let url = url_of(&connection("\"postgres://u:${file:pw.txt}@h\""), &[], &[("pw.txt", content)]).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(url, format!("postgres://u:{want}@h"));
    }
}

// case: G11
#[test]
fn what_a_variable_holds_never_becomes_yaml_and_is_not_looked_at_again() {
    let hostile = "postgres://h\", schema: \"x${B}\n  evil: { type: sqlite }";
    let url = url_of(&connection("\"${A}\""), &[("A", hostile), ("B", "b")], &[]).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(url, hostile);
}

#[test]
fn a_variable_can_hold_a_number_or_a_truth_value() {
    let text = "logs: { keep_days: \"${DAYS}\" }\nhistory:\n  keep_runs: ${RUNS:-3}\nmemory: ${MEMORY}\n";
    let (loaded, _directory) = load_with(text, &[("DAYS", "9"), ("MEMORY", "32MiB")]);
    let config = loaded.unwrap_or_else(|e| panic!("{e}"));
    assert_eq!((config.logs.keep_days, config.history.keep_runs, config.memory), (9, 3, 32 << 20));
}

// case: G10
#[test]
fn what_is_missing_is_named_all_of_it_with_lines() {
    let text =
        "connections:\n  a: { type: postgres, url: \"${A_URL}\" }\n  b:\n    type: postgres\n    url: ${file:b.txt}\nmemory: ${MEM}\n";
    let (loaded, _directory) = load_with(text, &[]);
    let errors = loaded.expect_err("nothing is set").errors;
    let told: Vec<_> = errors.iter().map(|e| (e.code, e.path.as_str(), e.line)).collect();
    assert_eq!(
        told,
        [
            ("secret_missing", "connections.a.url", Some(2)),
            ("secret_missing", "connections.b.url", Some(5)),
            ("secret_missing", "memory", Some(6)),
        ]
    );
    assert!(errors[0].message.contains("A_URL") && errors[1].message.contains("b.txt"));
}

#[test]
fn a_reference_that_makes_no_sense_is_told() {
    for reference in ["${", "${A", "${}", "${1A}", "${A B}", "${file:}", "${a-b}", "${A:}"] {
        let errors = url_of(&connection(&format!("'postgres://{reference}'")), &[("A", "x")], &[]).expect_err(reference).errors;
        assert_eq!(errors.len(), 1, "{reference}");
        assert!(["config_invalid", "secret_missing"].contains(&errors[0].code), "{reference}");
    }
    let url = url_of(&connection("'postgres://$${A}$x$'"), &[("A", "x")], &[]).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(url, "postgres://${A}$x$");
}

// case: G10, K10
#[test]
fn no_secret_is_in_any_error_or_debug_output() {
    const CANARY: &str = "c4n4ry-s3cr3t";
    let broken = [
        connection(&format!("\"mysql://u:{CANARY}@h/d\"")),
        connection(CANARY),
        connection(&format!("[\"postgres://u:{CANARY}@h\"]")),
        connection(&format!("\"postgres://u:{CANARY}@h\", flavor: x")),
        connection(&format!("\"postgres://u:{CANARY}@h\"\nmemory: 1")),
        connection("\"${SECRET}\""),
        connection("${file:secret.txt}"),
        "memory: ${SECRET}\n".to_owned(),
        "memory: \"${SECRET}\"\nlogs: { keep_days: \"${SECRET}\" }\n".to_owned(),
        "connections:\n  a: { type: \"${SECRET}\", url: \"${SECRET}\", flavor: \"${SECRET}\" }\n".to_owned(),
        "syncs:\n  s: { scopes: [\"${SECRET}\", \"${SECRET}\"], streams: { a: { fields: { b: { type: \"${SECRET}\" } } } }, from: a, to: b }\n".to_owned(),
        "syncs:\n  s: { from: \"${SECRET}\", to: b, deletes: \"${SECRET}\", conflicts: \"${SECRET}\" }\n".to_owned(),
        format!("memory: postgres://u:{CANARY}@h\n"),
        format!("connections:\n  a: {{ type: postgres, url: \"postgres://u:{CANARY}@h }}\n"),
        format!("connections:\n  a: {{ type: postgres, url: postgres://u:{CANARY}@h: x, y ] }}\n"),
        format!("connections:\n  a: {{ type: postgres, url: !secret {CANARY} }}\n"),
        format!("state: {{ url: \"postgres://u:{CANARY}@h\" }}\n"),
    ];
    for text in broken {
        let directory = tempfile::tempdir().expect("a directory");
        fs::write(directory.path().join("secret.txt"), CANARY).expect("a file");
        let errors = load_in(&directory, &text, &[("SECRET", CANARY)]).expect_err(&text);
        let all = format!("{errors} {errors:?} {}", serde_json::to_string(&errors).expect("JSON"));
        assert!(!all.contains(CANARY), "{text}\n{all}");
    }
    let (loaded, _directory) = load_with(&connection("\"postgres://u:${PW}@h/d\""), &[("PW", CANARY)]);
    let config = loaded.unwrap_or_else(|e| panic!("{e}"));
    assert!(!format!("{config:?}").contains(CANARY));
}

// case: K10
#[test]
fn what_must_not_be_printed_is_listed() {
    let text = "connections:\n  a: { type: postgres, url: \"postgres://u:${PW}@h:5432/d?x=1\" }\n  b: { type: mysql, url: \"mysql://u:in:line@h/d\" }\n";
    let (loaded, _directory) = load_with(text, &[("PW", "p@ss/w")]);
    let config = loaded.unwrap_or_else(|e| panic!("{e}"));
    let secrets: Vec<_> = config.secrets.iter().map(|s| s.expose_secret().to_owned()).collect();
    for want in ["p@ss/w", "in:line", "mysql://u:in:line@h/d", "postgres://u:p@ss/w@h:5432/d?x=1"] {
        assert!(secrets.iter().any(|s| s == want), "{want}");
    }
}
