//! The demo: a sports federation.

use crate::commands::{Context, Outcome};
use crate::render::failure::Failure;

/// Plays the story.
pub async fn play(_context: &Context, _keep: bool) -> Outcome {
    Err(Failure::failed("internal", "not built yet"))
}
