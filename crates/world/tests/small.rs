//! The world with fewer people in it, as part of the tests.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of the data, or `None`, said aloud, when it is not here. In CI it must be.
fn data() -> Option<PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data");
    let folder = std::env::var_os("ADMIT_DATA").map_or_else(|| PathBuf::from(beside), PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(std::env::var_os("CI").is_none(), "the small world must run in CI, and {} is not there", folder.display());
    eprintln!("SKIPPED the small world: {} is not there (set ADMIT_DATA)", folder.display());
    None
}

#[test]
fn a_small_world_sells_no_seat_twice_and_loses_no_booking() {
    let Some(data) = data() else { return };
    let world = Path::new(env!("CARGO_BIN_EXE_admit-world"));
    let program = world.with_file_name("admit");
    assert!(program.is_file(), "{} is not there: cargo build --workspace", program.display());
    let output = Command::new(world)
        .arg("--data")
        .arg(data)
        .arg("--program")
        .arg(program)
        .args(["--json", "--buyers", "400", "--searches", "200"])
        .output()
        .expect("runs");
    let said = String::from_utf8_lossy(&output.stderr);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {said}"));
    eprintln!("{report}");
    assert!(output.status.success(), "{said}");
    assert!(report["bookings"].as_u64() > Some(200), "{}", report["bookings"]);
}
