//! The `syncline` command line: parses, calls the command, says how it went, and ends with the code that scripts rely on.

mod commands;
mod demo;
mod logs;
mod render;

use std::process::ExitCode;

use commands::Context;
use render::failure::{Exit, Failure};

fn main() -> ExitCode {
    let cli = commands::help::parse();
    let context = Context::of_process(&cli);
    let exit = match run(&context, cli) {
        Ok(exit) => exit,
        Err(failure) => {
            context.out.note(failure.text(context.out.notes_colour, &context.secrets));
            failure.exit
        }
    };
    ExitCode::from(exit as u8)
}

fn run(context: &Context, cli: commands::Cli) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::failed("internal", "start the runtime").because(&e))?;
    runtime.block_on(commands::dispatch(context, cli.command))
}
