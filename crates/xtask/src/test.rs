//! Everything that must hold before a change lands.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use admit_private_postgres::{ADDRESS, Postgres};
use anyhow::ensure;
use serde_json::Value;

pub(crate) fn run() -> anyhow::Result<()> {
    let began = Instant::now();
    cargo("format", &["fmt", "--all", "--check"])?;
    step("layers", crate::dependencies::run)?;
    step("schemas", || crate::schema::run(false))?;
    step("vectors", || crate::vectors::run(false))?;
    step("links of the specification", || crate::spec::render().map(drop))?;
    cargo("lints", &["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"])?;
    deny()?;
    // Tests run the programs as people do: the examples' programs must be there. With the tests, so that both are built with the
    // same features: what differs is built twice.
    cargo("build", &["build", "--workspace", "--all-targets", "--locked"])?;
    let postgres = postgres()?;
    let address = postgres.as_ref().map(Postgres::address).unwrap_or_default();
    cargo_with("tests", &["test", "--workspace", "--locked"], &[(ADDRESS, &address)])?;
    if postgres.is_some() {
        step("tests of servers once more, on PostgreSQL", || on_postgres(&address))?;
    }
    drop(postgres);
    step("conformance", || crate::conformance::run(false))?;
    let docs = [("RUSTDOCFLAGS", "-D warnings")];
    cargo_with("docs", &["doc", "--workspace", "--no-deps", "--locked"], &docs)?;
    println!("all of it holds, after {} s", began.elapsed().as_secs());
    Ok(())
}

/// Licences, bans and sources. The advisory database cannot be had without its own network, so it is not asked here.
/// Where CI runs, cargo-deny is installed if it is missing; elsewhere that is for you to say.
fn deny() -> anyhow::Result<()> {
    let installed = Command::new(env!("CARGO")).args(["deny", "--version"]).output().is_ok_and(|o| o.status.success());
    if !installed && std::env::var_os("CI").is_none() {
        println!("SKIPPED licences and bans: cargo-deny is not installed (cargo install cargo-deny --locked)");
        return Ok(());
    }
    if !installed {
        // It is asked once: what it takes to build it well takes longer than its answer.
        cargo("installing cargo-deny", &["install", "--debug", "--quiet", "--locked", "cargo-deny"])?;
    }
    cargo("licences and bans", &["deny", "--offline", "--log-level", "error", "check", "bans", "licenses", "sources"])
}

/// A PostgreSQL for the tests, of their own. Where CI runs there must be one; elsewhere tests on it are skipped by name.
fn postgres() -> anyhow::Result<Option<Postgres>> {
    match Postgres::start(&std::env::temp_dir()) {
        Ok(postgres) => Ok(Some(postgres)),
        Err(error) if std::env::var_os("CI").is_none() => {
            println!("SKIPPED tests on PostgreSQL: {error}");
            Ok(None)
        }
        Err(error) => Err(error.context("a PostgreSQL for the tests")),
    }
}

/// The tests of the server and the program, as they were built for the whole workspace, with everything in this PostgreSQL.
fn on_postgres(address: &str) -> anyhow::Result<()> {
    let arguments = ["test", "--workspace", "--locked", "--no-run", "--message-format", "json", "--quiet"];
    let built = Command::new(env!("CARGO")).args(arguments).stderr(Stdio::inherit()).output()?;
    ensure!(built.status.success(), "building the tests failed");
    let mut ran = 0;
    for line in built.stdout.split(|byte| *byte == b'\n') {
        let said: Value = serde_json::from_slice(line).unwrap_or_default();
        let folder = Path::new(said["manifest_path"].as_str().unwrap_or_default()).parent().unwrap_or(Path::new(""));
        let of_servers = folder.ends_with("crates/server") || folder.ends_with("crates/cli");
        let Some(program) = said["executable"].as_str().filter(|_| of_servers && said["target"]["name"] == "it") else {
            continue;
        };
        let mut tests = Command::new(program);
        tests.current_dir(folder).env(ADDRESS, address).env("ADMIT_TEST_STORE", "postgres");
        ensure!(tests.status()?.success(), "tests of {} failed on PostgreSQL", folder.display());
        ran += 1;
    }
    ensure!(ran == 2, "two test programs were to run on PostgreSQL, and {ran} did");
    Ok(())
}

fn step(name: &str, run: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
    println!("── {name}");
    let began = Instant::now();
    run()?;
    println!("── {name}: {} s", began.elapsed().as_secs());
    Ok(())
}

fn cargo(name: &str, arguments: &[&str]) -> anyhow::Result<()> {
    cargo_with(name, arguments, &[])
}

fn cargo_with(name: &str, arguments: &[&str], environment: &[(&str, &str)]) -> anyhow::Result<()> {
    step(name, || {
        let status = Command::new(env!("CARGO")).args(arguments).envs(environment.iter().copied()).status()?;
        ensure!(status.success(), "{name}: `cargo {}` failed", arguments.join(" "));
        Ok(())
    })
}
