use std::path::PathBuf;
use std::process::Command;

use crate::folder::{Folder, client, says};

/// An example's program: cargo puts it beside ours.
fn example(name: &str) -> Command {
    let ours = PathBuf::from(env!("CARGO_BIN_EXE_admit"));
    let program = ours.with_file_name(name);
    assert!(program.exists(), "{name} is not built: run `cargo xtask test`, or `cargo build --workspace` before");
    Command::new(program)
}

#[test]
fn a_website_serves_its_pages_and_its_seats() {
    let output = example("embed-in-axum").arg("--once").output().expect("runs");
    assert!(output.status.success(), "{}", says(&output));
}

#[test]
fn a_counter_and_an_app_never_sell_the_same_seat() {
    let output = example("own-store").output().expect("runs");
    assert!(output.status.success(), "{}", says(&output));
}

#[tokio::test]
async fn an_app_buys_a_seat() {
    let folder = Folder::new(4, 1);
    let _serving = folder.serve();
    folder.meet(&client(1)).await;
    let output = example("buy-a-ticket").args([folder.origin.as_str(), "show-0"]).output().expect("runs");
    assert!(output.status.success() && says(&output).contains("ADMIT1:"), "{}", says(&output));
}
