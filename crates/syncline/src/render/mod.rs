//! How answers look in a terminal: colours, tables, numbers, instants, and the JSON of `--json`.

pub mod failure;
pub mod fields;
pub mod json;
pub mod out;
pub mod plan;
pub mod progress;
pub mod run;
pub mod table;
pub mod text;
pub mod verify;
