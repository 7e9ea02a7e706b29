//! The demo: a sports federation and the office of one of its clubs, and everything that happens to them in a season. It calls
//! the real commands on real SQLite files, and every step checks that what it tells is what happened.

mod chance;
mod federation;
mod people;
mod stage;
mod story;

use crate::commands::{Context, Outcome};
use crate::render::failure::{Exit, Failure};
use crate::render::out::Tone;
use stage::Stage;

/// Plays the story; the first step that does not go as told ends it with exit code 1.
pub async fn play(context: &Context, keep: bool) -> Outcome {
    let folder = tempfile::Builder::new()
        .prefix("syncline-demo-")
        .tempdir()
        .map_err(|e| Failure::failed("file_unwritable", "make a folder for the demo").because(&e))?;
    let started = context.clock.monotonic_ms();
    let stage = Stage::set(context, folder.path())?;
    let told = story::tell(&stage).await;
    let out = context.out;
    if told.is_ok() {
        let took = crate::render::text::span(context.clock.monotonic_ms().saturating_sub(started));
        out.line(format!("\n{}", out.paint(Tone::Good, &format!("Everything went as told, in {took}."))));
    }
    if keep {
        let kept = folder.keep();
        out.line(format!("Both databases, the configuration, state and logs are kept in {}", kept.display()));
        out.line(format!("Go on by yourself:  syncline -c {} status", kept.join("syncline.yaml").display()));
    }
    told.map(|()| Exit::Good)
}
