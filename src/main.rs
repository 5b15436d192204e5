//! The program `deputy`: reads the command line, runs one command, and turns its end into an exit
//! code: 0 done, 1 refused or failed, 2 not understood.

use std::{env, process::ExitCode};

use clap::Parser as _;
use deputy::cli::{self, Cli, Command, Out, ServerError, server};
#[cfg(feature = "demo")]
use deputy::demo;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut out = Out::standard();
    // Policies are evaluated level by level; only what is used of a stack is taken.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(8 * 1024 * 1024)
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            out.trouble(&format!("the runtime does not start: {error}"));
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(run(cli.command, &mut out))
}

async fn run(command: Command, out: &mut Out) -> ExitCode {
    let ended = match command {
        Command::Serve(args) => server::serve(args, out).await,
        Command::Migrate { check: true, server } => server::check_schema(server, out).await,
        Command::Migrate { check: false, server } => server::migrate(server, out).await,
        Command::CheckConfig(args) => server::check_config(args, out),
        #[cfg(feature = "demo")]
        Command::Demo { story, keep } => {
            return demo::run(demo::Options { keep, story }).await;
        }
        Command::Admin(command) => {
            return cli::run(command, &|name| env::var(name).ok(), out).await;
        }
    };
    ended.unwrap_or_else(|error: ServerError| {
        for line in error.to_string().lines() {
            out.trouble(line);
        }
        ExitCode::FAILURE
    })
}
