//! Whom this machine let in to a screening: kept in a file, so that one can be taken back also after a restart.

use std::path::{Path, PathBuf};

use admit_protocol::door::ScanResult;
use anyhow::Context as _;

use super::Where;
use crate::Context;

/// The file.
pub(super) struct LetIn(PathBuf);

impl LetIn {
    pub(super) fn of(at: &Where, context: &Context) -> anyhow::Result<Self> {
        Ok(Self(at.file(context)?.with_extension("let-in.json")))
    }

    /// Their scans, as the file has them now.
    pub(super) fn scans(&self) -> anyhow::Result<Vec<ScanResult>> {
        match std::fs::read(&self.0) {
            Ok(bytes) => serde_json::from_slice(&bytes).with_context(|| self.0.display().to_string()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error).with_context(|| self.0.display().to_string()),
        }
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Vec<ScanResult>)) -> anyhow::Result<()> {
        let mut scans = self.scans()?;
        change(&mut scans);
        // Nobody takes back more, one by one.
        scans.drain(..scans.len().saturating_sub(100));
        let new = self.0.with_extension("let-in.new");
        std::fs::create_dir_all(self.0.parent().unwrap_or(Path::new(".")))?;
        let mut file = std::fs::File::create(&new).with_context(|| new.display().to_string())?;
        std::io::Write::write_all(&mut file, &serde_json::to_vec(&scans)?)?;
        file.sync_all()?;
        std::fs::rename(&new, &self.0).with_context(|| self.0.display().to_string())
    }
}
