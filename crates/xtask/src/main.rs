//! The project's own tasks: what CI runs, so that you can run it too.
#![allow(clippy::print_stdout, reason = "a program that talks to whoever called it")]

mod dependencies;
mod schema;
mod test;

use clap::{Parser, Subcommand};

/// Tasks of the Admit project.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Everything that must hold before a change lands: format, lints, layers, schemas, tests, docs.
    Test,
    /// Compares the JSON Schemas in spec/ with the types, or writes them.
    Schema {
        /// Write them.
        #[arg(long)]
        write: bool,
    },
    /// Measures: `cargo xtask bench booking --json`. Says more with --help.
    #[command(trailing_var_arg = true, disable_help_flag = true)]
    Bench {
        /// Handed on.
        #[arg(allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Checks which crate may use which.
    Dependencies,
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().task {
        Task::Test => test::run(),
        Task::Schema { write } => schema::run(write),
        Task::Bench { arguments } => bench(&arguments),
        Task::Dependencies => dependencies::run(),
    }
}

/// A measure is a program of its own, built as it will run.
fn bench(arguments: &[String]) -> anyhow::Result<()> {
    let mut command = std::process::Command::new(env!("CARGO"));
    command.args(["run", "--release", "--quiet", "--locked", "--package", "admit-bench", "--"]).args(arguments);
    anyhow::ensure!(command.status()?.success(), "the measure failed");
    Ok(())
}
