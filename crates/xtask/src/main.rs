//! The project's own tasks: what CI runs, so that you can run it too.
#![allow(clippy::print_stdout, reason = "a program that talks to whoever called it")]

mod conformance;
mod dependencies;
mod openapi;
mod operations;
mod plant;
mod schema;
mod spec;
mod test;
mod vectors;

use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
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
    /// Renders the specification as one page for a browser, and checks that its links lead somewhere.
    Spec {
        /// Where to.
        #[arg(long, default_value = "target/spec/index.html")]
        into: std::path::PathBuf,
    },
    /// Compares the vectors in spec/ with what our own code makes of them, or writes them.
    Vectors {
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
    /// The main job on real data: `cargo xtask world --json`. Says more with --help.
    #[command(trailing_var_arg = true, disable_help_flag = true)]
    World {
        /// Handed on.
        #[arg(allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// The conformance suite on our server with both stores, on the one in Python, and on servers that misbehave.
    Conformance {
        /// One line of JSON.
        #[arg(long)]
        json: bool,
    },
    /// Checks which crate may use which.
    Dependencies,
    /// Plants known bugs, one at a time, in a copy of the sources, and shows which tests catch each. Some minutes.
    Plant {
        /// Only these, by their number.
        numbers: Vec<u8>,
    },
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().task {
        Task::Test => test::run(),
        Task::Schema { write } => schema::run(write),
        Task::Spec { into } => spec::run(&into),
        Task::Vectors { write } => vectors::run(write),
        Task::Bench { arguments } => run("admit-bench", &arguments),
        Task::World { arguments } => world(&arguments),
        Task::Conformance { json } => conformance::run(json),
        Task::Dependencies => dependencies::run(),
        Task::Plant { numbers } => plant::run(&numbers),
    }
}

/// Programs of their own, built as they will run.
fn run(package: &str, arguments: &[String]) -> anyhow::Result<()> {
    let mut command = Command::new(env!("CARGO"));
    command.args(["run", "--release", "--quiet", "--locked", "--package", package, "--"]).args(arguments);
    ensure!(command.status()?.success(), "{package} failed");
    Ok(())
}

/// The world runs the `admit` program, which must be there.
fn world(arguments: &[String]) -> anyhow::Result<()> {
    let build = ["build", "--release", "--quiet", "--locked", "--package", "admit-cli", "--message-format", "json"];
    let output = Command::new(env!("CARGO")).args(build).stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "the program was not built");
    let messages = String::from_utf8(output.stdout)?;
    let program = messages.lines().rev().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        message["executable"].as_str().map(str::to_owned)
    });
    let program = program.context("cargo named no program")?;
    run("admit-world", &[&["--program".to_owned(), program], arguments].concat())
}
