//! Keys in a folder: four files that only their owner reads.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use admit_protocol::key::SecretKey;
use admit_protocol::manifest::TicketKey;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::KeyRing;

const IDENTITY: &str = "identity.json";
const RECOVERY: &str = "recovery.json";
const RECOVERY_PUBLIC: &str = "recovery.pub";
const TICKETS: &str = "tickets.json";

/// Why keys could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file has something else in it.
    #[error("{} is damaged: {why}", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The system has no randomness to give.
    #[error("making a key: {0}")]
    Random(#[from] getrandom::Error),
}

/// A ticket key in its file.
#[derive(Serialize, Deserialize)]
struct TicketKeyFile {
    seed: [u8; 32],
    listed: TicketKey,
}

impl KeyRing {
    /// The keys in this folder, or new ones, which are written there first. Ticket keys are renewed when they near their end: here,
    /// and by a running [`Cinema`](crate::Cinema), which keeps the new ones in the same folder.
    ///
    /// `recovery.json` is only needed if the identity key is lost: move it to a safe place off the machine.
    ///
    /// # Errors
    /// When a file cannot be read or written, or is damaged. Keys that are there are never replaced.
    pub fn open_or_create(folder: &Path, now: Timestamp) -> Result<Self, KeyFileError> {
        let identity = folder.join(IDENTITY);
        if !identity.exists() {
            if folder.join(RECOVERY_PUBLIC).exists() || folder.join(TICKETS).exists() {
                let why = "it is gone, while other keys are there: put it back".into();
                return Err(KeyFileError::Damaged { path: identity, why });
            }
            let (mut keys, recovery) = Self::generate(now)?;
            fs::create_dir_all(folder).map_err(|source| KeyFileError::File { path: folder.to_owned(), source })?;
            write_new(&folder.join(RECOVERY), &recovery.seed())?;
            write_text(&folder.join(RECOVERY_PUBLIC), &recovery.public().to_string())?;
            write_new(&folder.join(TICKETS), &ticket_files(&keys))?;
            // Last: a folder with an identity is whole.
            write_new(&identity, &keys.identity.seed())?;
            keys.kept_in = Some(folder.to_owned());
            return Ok(keys);
        }
        let keys = Self::open(folder)?;
        keys.renewed(now)
    }

    /// Itself with a new ticket key, if one is due. The key is in its folder before it is anywhere else.
    pub(crate) fn renewed(mut self, now: Timestamp) -> Result<Self, KeyFileError> {
        if self.renew(now)?
            && let Some(folder) = &self.kept_in
        {
            // Written beside and renamed: a key that signed must never be lost.
            let beside = folder.join("tickets.new");
            let _ = fs::remove_file(&beside);
            write_new(&beside, &ticket_files(&self))?;
            let path = folder.join(TICKETS);
            fs::rename(&beside, &path).map_err(|source| KeyFileError::File { path, source })?;
        }
        Ok(self)
    }

    /// The keys in this folder.
    ///
    /// # Errors
    /// When a file is not there, or is damaged.
    pub fn open(folder: &Path) -> Result<Self, KeyFileError> {
        let seed = |name| read::<[u8; 32]>(&folder.join(name));
        let tickets: Vec<TicketKeyFile> = read(&folder.join(TICKETS))?;
        let path = folder.join(RECOVERY_PUBLIC);
        let recovery = read_bytes(&path)?;
        let recovery = String::from_utf8_lossy(&recovery).trim().parse();
        Ok(Self {
            identity: SecretKey::from_seed(&seed(IDENTITY)?),
            recovery: recovery.map_err(|why| KeyFileError::Damaged { path, why: format!("{why}") })?,
            ticket: tickets.into_iter().map(|t| (SecretKey::from_seed(&t.seed), t.listed)).collect(),
            kept_in: Some(folder.to_owned()),
        })
    }
}

fn ticket_files(keys: &KeyRing) -> Vec<TicketKeyFile> {
    let tickets = keys.ticket.iter();
    tickets.map(|(key, listed)| TicketKeyFile { seed: key.seed(), listed: listed.clone() }).collect()
}

fn read_bytes(path: &Path) -> Result<Vec<u8>, KeyFileError> {
    fs::read(path).map_err(|source| KeyFileError::File { path: path.to_owned(), source })
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T, KeyFileError> {
    let damaged = |e: serde_json::Error| KeyFileError::Damaged { path: path.to_owned(), why: e.to_string() };
    serde_json::from_slice(&read_bytes(path)?).map_err(damaged)
}

/// For its owner's eyes only, and never over another.
fn write_new<T: Serialize>(path: &Path, secret: &T) -> Result<(), KeyFileError> {
    let damaged = |e: serde_json::Error| KeyFileError::Damaged { path: path.to_owned(), why: e.to_string() };
    write_text(path, &serde_json::to_string(secret).map_err(damaged)?)
}

fn write_text(path: &Path, text: &str) -> Result<(), KeyFileError> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(path).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|source| KeyFileError::File { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    #[test]
    fn keys_are_made_once_and_stay() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("keys");
        let made = KeyRing::open_or_create(&path, at("2026-11-21T12:00:00Z")).expect("made");
        let again = KeyRing::open_or_create(&path, at("2026-11-22T12:00:00Z")).expect("read");
        assert_eq!(made.public(), again.public());
        let later = KeyRing::open_or_create(&path, at("2027-02-01T12:00:00Z")).expect("renewed");
        assert_eq!((later.ticket.len(), later.identity.public()), (2, made.identity.public()));
        assert_eq!(KeyRing::open(&path).expect("kept").public(), later.public());
    }

    #[test]
    fn a_damaged_file_is_named_and_nothing_is_made_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let now = at("2026-11-21T12:00:00Z");
        KeyRing::open_or_create(folder.path(), now).expect("made");
        for name in [TICKETS, RECOVERY_PUBLIC, IDENTITY] {
            let path = folder.path().join(name);
            let good = fs::read(&path).expect("there");
            fs::write(&path, b"[1, 2").expect("damaged");
            let error = KeyRing::open_or_create(folder.path(), now).expect_err("refused").to_string();
            assert!(error.contains(name), "{error}");
            assert_eq!(fs::read(&path).expect("there"), b"[1, 2");
            fs::write(&path, good).expect("mended");
        }
        KeyRing::open_or_create(folder.path(), now).expect("good again");
        fs::remove_file(folder.path().join(IDENTITY)).expect("lost");
        let error = KeyRing::open_or_create(folder.path(), now).expect_err("refused").to_string();
        assert!(error.contains("put it back"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn only_their_owner_reads_them() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        KeyRing::open_or_create(folder.path(), at("2026-11-21T12:00:00Z")).expect("made");
        for name in [IDENTITY, RECOVERY, TICKETS] {
            let mode = fs::metadata(folder.path().join(name)).expect("there").permissions().mode();
            assert_eq!(mode & 0o077, 0, "{name}");
        }
    }
}
