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
    /// Checks which crate may use which.
    Dependencies,
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().task {
        Task::Test => test::run(),
        Task::Schema { write } => schema::run(write),
        Task::Dependencies => dependencies::run(),
    }
}
