//! The published JSON Schema, for editors: `# yaml-language-server: $schema=…`.

use schemars::{Schema, SchemaGenerator, json_schema};

use super::file::File;

/// The JSON Schema of the configuration.
#[must_use]
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(File).to_value()
}

/// `on` is text to YAML 1.2 and a truth value to YAML 1.1: editors may see either.
pub(super) fn switch(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": [true, false, null, "on", "off"] })
}
