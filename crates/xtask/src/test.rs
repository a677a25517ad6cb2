//! Everything that must hold before a change lands.

use std::process::Command;
use std::time::Instant;

use anyhow::ensure;

pub(crate) fn run() -> anyhow::Result<()> {
    let began = Instant::now();
    cargo("format", &["fmt", "--all", "--check"])?;
    step("layers", crate::dependencies::run)?;
    step("schemas", || crate::schema::run(false))?;
    cargo("lints", &["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"])?;
    deny()?;
    // Tests run the programs as people do: the examples' programs must be there.
    cargo("build", &["build", "--workspace", "--locked"])?;
    cargo("tests", &["test", "--workspace", "--locked"])?;
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
        cargo("installing cargo-deny", &["install", "--quiet", "--locked", "cargo-deny"])?;
    }
    cargo("licences and bans", &["deny", "--offline", "--log-level", "error", "check", "bans", "licenses", "sources"])
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
