//! Who may know whom, from `cargo metadata`: the directions of the architecture, and the crates nobody may bring in.

use serde_json::Value;

use super::Problems;

/// A crate of ours and those of ours that it may know. `syncline-testkit` is for tests only and therefore in no list.
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("syncline-model", &[]),
    ("syncline-connector", &["syncline-model"]),
    ("syncline-sql", &["syncline-connector", "syncline-model"]),
    ("syncline-postgres", &["syncline-connector", "syncline-model", "syncline-sql"]),
    ("syncline-mysql", &["syncline-connector", "syncline-model", "syncline-sql"]),
    ("syncline-sqlite", &["syncline-connector", "syncline-model", "syncline-sql"]),
    ("syncline-store", &["syncline-model"]),
    ("syncline-engine", &["syncline-connector", "syncline-model", "syncline-store"]),
    ("syncline-testkit", &["syncline-connector", "syncline-model"]),
    (
        "syncline",
        &[
            "syncline-connector",
            "syncline-engine",
            "syncline-model",
            "syncline-mysql",
            "syncline-postgres",
            "syncline-sqlite",
            "syncline-store",
        ],
    ),
    ("xtask", &[]),
];

/// Crates that may be nowhere in the graph, with the reason.
const BANNED: &[(&str, &str)] = &[
    ("aws-lc-rs", "one crypto stack: ring"),
    ("aws-lc-sys", "one crypto stack: ring"),
    ("openssl-sys", "one crypto stack: rustls with ring"),
    ("native-tls", "one crypto stack: rustls with ring"),
    ("bindgen", "it needs libclang, which a clean machine does not have"),
];

/// Crates that we may not name ourselves, with the reason.
const BANNED_DIRECTLY: &[(&str, &str)] = &[("chrono", "time is jiff's")];

/// Every crate of ours knows only crates it may know.
pub(crate) fn check(metadata: &Value) -> Problems {
    let mut problems = Problems::new();
    for (package, dependency, kind) in dependencies(metadata) {
        let Some((_, allowed)) = MAY_KNOW.iter().find(|(name, _)| *name == package) else {
            let unknown = format!("`{package}` has no line in xtask/src/tidy/dependencies.rs: say there whom it may know");
            if !problems.contains(&unknown) {
                problems.push(unknown);
            }
            continue;
        };
        let is_ours = dependency.starts_with("syncline") || dependency == "xtask";
        let is_test_only = kind == "dev" && (dependency == "syncline-testkit" || is_face_of_tests(package, dependency));
        if is_ours && !is_test_only && dependency != package && !allowed.contains(&dependency) {
            problems.push(format!("`{package}` must not know `{dependency}`"));
        }
        if let Some((name, reason)) = BANNED_DIRECTLY.iter().find(|(name, _)| *name == dependency) {
            problems.push(format!("`{package}` must not use `{name}`: {reason}"));
        }
    }
    problems
}

/// The engine's tests run on real connectors; nothing else of its knows them.
fn is_face_of_tests(package: &str, dependency: &str) -> bool {
    package == "syncline-engine" && ["syncline-postgres", "syncline-mysql", "syncline-sqlite"].contains(&dependency)
}

/// No banned crate anywhere in the graph.
pub(crate) fn banned(metadata: &Value) -> Problems {
    let names = packages(metadata).filter_map(|package| package["name"].as_str());
    names
        .filter_map(|name| BANNED.iter().find(|(banned, _)| *banned == name))
        .map(|(name, reason)| format!("`{name}` came in ({reason}): `cargo tree -i {name}` shows through whom"))
        .collect()
}

/// The packages of the whole graph.
pub(crate) fn packages(metadata: &Value) -> impl Iterator<Item = &Value> {
    metadata["packages"].as_array().into_iter().flatten()
}

/// Package, dependency and kind (`normal`, `dev`, `build`) of every dependency that a crate of the workspace names.
fn dependencies(metadata: &Value) -> impl Iterator<Item = (&str, &str, &str)> {
    let members = || metadata["workspace_members"].as_array().into_iter().flatten();
    packages(metadata).filter(move |package| members().any(|member| *member == package["id"])).flat_map(|package| {
        let name = package["name"].as_str().unwrap_or_default();
        let dependencies = package["dependencies"].as_array().into_iter().flatten();
        dependencies
            .map(move |dependency| (name, dependency["name"].as_str().unwrap_or_default(), dependency["kind"].as_str().unwrap_or("normal")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn metadata(package: &str, dependency: &str, kind: Option<&str>) -> Value {
        json!({
            "workspace_members": ["id"],
            "packages": [{ "id": "id", "name": package, "dependencies": [{ "name": dependency, "kind": kind }] }],
        })
    }

    #[test]
    fn a_wrong_direction_is_reported() {
        assert_eq!(check(&metadata("syncline-model", "syncline-store", None)), ["`syncline-model` must not know `syncline-store`"]);
        assert!(check(&metadata("syncline-mysql", "syncline-postgres", Some("dev"))).len() == 1);
        assert!(check(&metadata("syncline-store", "syncline-model", None)).is_empty());
    }

    #[test]
    fn the_testkit_is_for_tests_only() {
        assert_eq!(check(&metadata("syncline", "syncline-testkit", None)), ["`syncline` must not know `syncline-testkit`"]);
        assert!(check(&metadata("syncline", "syncline-testkit", Some("dev"))).is_empty());
    }

    #[test]
    fn a_crate_without_rules_is_reported() {
        assert_eq!(check(&metadata("syncline-new", "serde", None)).len(), 1);
    }

    #[test]
    fn banned_crates_are_reported() {
        let graph = json!({ "packages": [{ "name": "openssl-sys" }, { "name": "ring" }] });
        assert_eq!(banned(&graph).len(), 1);
        assert_eq!(check(&metadata("syncline", "chrono", None)), ["`syncline` must not use `chrono`: time is jiff's"]);
    }
}
