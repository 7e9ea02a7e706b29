//! `syncline demo`: the whole story on a made-up sports federation, in a folder of its own.

use super::{Context, Outcome};

/// Options of `demo`.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Args {
    /// Keep the folder with both databases and the configuration
    #[arg(long)]
    pub keep: bool,
}

/// Plays the story.
pub async fn execute(context: &Context, args: Args) -> Outcome {
    crate::demo::play(context, args.keep).await
}
