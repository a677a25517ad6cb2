//! Everything that must hold before a change lands.

use std::process::Command;
use std::time::Instant;

use admit_private_postgres::{ADDRESS, Postgres};
use anyhow::ensure;

pub(crate) fn run() -> anyhow::Result<()> {
    let began = Instant::now();
    cargo("format", &["fmt", "--all", "--check"])?;
    step("layers", crate::dependencies::run)?;
    step("schemas", || crate::schema::run(false))?;
    step("vectors", || crate::vectors::run(false))?;
    step("links of the specification", || crate::spec::render().map(drop))?;
    cargo("lints", &["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"])?;
    deny()?;
    // Tests run the programs as people do: the examples' programs must be there.
    cargo("build", &["build", "--workspace", "--locked"])?;
    let postgres = postgres()?;
    let address = postgres.as_ref().map(Postgres::address).unwrap_or_default();
    cargo_with("tests", &["test", "--workspace", "--locked"], &[(ADDRESS, &address)])?;
    if postgres.is_some() {
        let on_postgres = [(ADDRESS, address.as_str()), ("ADMIT_TEST_STORE", "postgres")];
        let again = ["test", "-p", "admit-server", "-p", "admit-cli", "--locked", "--test", "it"];
        cargo_with("tests of servers once more, on PostgreSQL", &again, &on_postgres)?;
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

fn step(name: &str, run: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
    println!("── {name}");
    run()
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
