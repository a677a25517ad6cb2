//! Point it at a server and learn which sentence of the protocol it breaks.
//!
//! This is the first part: what can be seen of a server without changing anything there.
#![allow(clippy::print_stdout, reason = "a program that talks to whoever called it")]

mod checks;
mod report;
mod spec;
mod target;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Which sentences of the Admit protocol does a server keep?
#[derive(Parser)]
#[command(name = "admit-conformance", version, max_term_width = 100)]
struct Arguments {
    /// Print JSON instead of words.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Look at a server: reads, and changes nothing there.
    Server {
        /// Its origin, such as `https://kino.example`.
        #[arg(long)]
        url: String,
    },
    /// Print the sentence with this number, and what is checked of it.
    Explain {
        /// Such as MAN-003.
        must: String,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

async fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    match &arguments.command {
        Command::Server { url } => {
            let mut target = target::Target::new(url)?;
            let results = checks::run(&mut target).await;
            report::print(url, &results, arguments.json)?;
            Ok(results.iter().all(|r| !r.outcome.is_failure()))
        }
        Command::Explain { must } => {
            let sentence = spec::sentence(must).ok_or_else(|| anyhow::anyhow!("no sentence has the number {must}"))?;
            println!("{must}: {sentence}");
            for check in checks::ALL.iter().filter(|c| c.musts.contains(&must.as_str())) {
                println!("  checked: {}", check.what);
            }
            Ok(true)
        }
    }
}
