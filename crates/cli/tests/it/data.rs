//! Data made by others, kept outside of this repository: `ADMIT_DATA`, by default beside it.

use std::io::Read as _;
use std::path::PathBuf;

/// The folder of the data, or `None`, said aloud, when it is not here. In CI it must be.
pub(crate) fn folder(test: &str) -> Option<PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data");
    let folder = std::env::var_os("ADMIT_DATA").map_or_else(|| PathBuf::from(beside), PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(std::env::var_os("CI").is_none(), "{test} must run in CI, and {} is not there", folder.display());
    eprintln!("SKIPPED {test}: {} is not there (set ADMIT_DATA)", folder.display());
    None
}

/// A file, unpacked if it is compressed.
pub(crate) fn read(path: &std::path::Path) -> Vec<u8> {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    if path.extension().is_none_or(|e| e != "gz") {
        return bytes;
    }
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(&bytes[..]).read_to_end(&mut unpacked).expect("gzip");
    unpacked
}
