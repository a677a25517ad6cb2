//! Keys in a folder: four files that only their owner reads.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use admit_protocol::jws::Jws;
use admit_protocol::key::{KeyId, PublicKey, SecretKey};
use admit_protocol::manifest::{TICKET_KEYS_MAX, TicketKey};
use admit_protocol::origin::Origin;
use admit_protocol::succession::Succession;
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

/// The identity key in its file: with the recovery key's word for it, where it is not the first. One file, so that none is without the
/// other.
#[derive(Serialize, Deserialize)]
#[serde(from = "AnyIdentityFile")]
struct IdentityFile {
    seed: [u8; 32],
    #[serde(default, skip_serializing_if = "Option::is_none")]
    succession: Option<Jws>,
}

/// A file that was written before keys could be replaced has the seed alone.
#[derive(Deserialize)]
#[serde(untagged)]
enum AnyIdentityFile {
    Seed([u8; 32]),
    Whole { seed: [u8; 32], succession: Option<Jws> },
}

impl From<AnyIdentityFile> for IdentityFile {
    fn from(file: AnyIdentityFile) -> Self {
        match file {
            AnyIdentityFile::Seed(seed) => Self { seed, succession: None },
            AnyIdentityFile::Whole { seed, succession } => Self { seed, succession },
        }
    }
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
            write_new(&identity, &IdentityFile { seed: keys.identity.seed(), succession: None })?;
            keys.kept_in = Some(folder.to_owned());
            return Ok(keys);
        }
        let keys = Self::open(folder)?;
        if keys.is_due(now) { keys.renewed(now) } else { Ok(keys) }
    }

    /// Itself with a new ticket key, if one is due. The key is in its folder before it is anywhere else.
    pub(crate) fn renewed(mut self, now: Timestamp) -> Result<Self, KeyFileError> {
        let Some(folder) = self.kept_in.clone() else {
            self.renew(now)?;
            return Ok(self);
        };
        // Another process of this server may have done it: of two keys of one folder each would list its own.
        let path = folder.join("lock");
        let lock = fs::OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let _lock =
            lock.and_then(|lock| lock.lock().map(|()| lock)).map_err(|source| KeyFileError::File { path, source })?;
        let mut there = Self::open(&folder)?;
        if there.renew(now)? {
            there.keep_ticket_keys()?;
        }
        Ok(there)
    }

    fn keep_ticket_keys(&self) -> Result<(), KeyFileError> {
        // A key that signed must never be lost.
        self.kept_in.as_ref().map_or(Ok(()), |folder| replace(&folder.join(TICKETS), &ticket_files(self)))
    }

    /// Adds a ticket key before its time, and keeps it. It signs from a week from now on.
    ///
    /// # Errors
    /// When a file cannot be written, or the system has no randomness to give.
    pub fn add_and_keep(&mut self, now: Timestamp) -> Result<(), KeyFileError> {
        if self.listed(now).len() >= TICKET_KEYS_MAX {
            let why = format!("{TICKET_KEYS_MAX} keys are listed already, as many as a manifest may have");
            let path = self.kept_in.as_ref().map(|folder| folder.join(TICKETS)).unwrap_or_default();
            return Err(KeyFileError::Damaged { path, why });
        }
        self.add_ticket_key(now)?;
        self.keep_ticket_keys()
    }

    /// As [`revoke`](Self::revoke), and keeps that.
    ///
    /// # Errors
    /// When a file cannot be written, or the system has no randomness to give.
    pub fn revoke_and_keep(&mut self, key: KeyId, now: Timestamp) -> Result<bool, KeyFileError> {
        let was_listed = self.revoke(key, now)?;
        if was_listed {
            self.keep_ticket_keys()?;
        }
        Ok(was_listed)
    }

    /// Puts a new identity key in the place of one that was lost, or that somebody else has, by the word of the recovery key.
    ///
    /// # Errors
    /// When this is not the recovery key that the folder names, or a file cannot be read or written. The old key stays then.
    pub fn replace_identity(folder: &Path, origin: &Origin, recovery: &SecretKey) -> Result<Self, KeyFileError> {
        let listed = read_recovery(folder)?;
        if recovery.public() != listed {
            let why = format!("it names recovery key {}, and this one is {}", listed.id(), recovery.public().id());
            return Err(KeyFileError::Damaged { path: folder.join(RECOVERY_PUBLIC), why });
        }
        let path = folder.join(IDENTITY);
        // Where the file is lost or damaged, so is the number of the last word: seconds since 1970 are higher than any.
        let before = read::<IdentityFile>(&path).ok().and_then(|file| file.succession);
        let before = before.and_then(|jws| Succession::open(&jws, listed).ok()).map_or(0, |word| word.number);
        let now = u32::try_from(Timestamp::now().as_second()).unwrap_or(u32::MAX);
        let identity = super::random_key()?;
        let word = Succession {
            origin: origin.clone(),
            identity: identity.public(),
            number: now.max(before.saturating_add(1)),
        };
        let succession = Some(word.sign(recovery));
        replace(&path, &IdentityFile { seed: identity.seed(), succession })?;
        Self::open(folder)
    }

    /// A recovery key from its file, wherever that is kept.
    ///
    /// # Errors
    /// When it cannot be read, or is none.
    pub fn read_recovery_key(path: &Path) -> Result<SecretKey, KeyFileError> {
        Ok(SecretKey::from_seed(&read::<[u8; 32]>(path)?))
    }

    /// The keys in this folder.
    ///
    /// # Errors
    /// When a file is not there, or is damaged.
    pub fn open(folder: &Path) -> Result<Self, KeyFileError> {
        let IdentityFile { seed, succession } = read(&folder.join(IDENTITY))?;
        let tickets: Vec<TicketKeyFile> = read(&folder.join(TICKETS))?;
        Ok(Self {
            identity: SecretKey::from_seed(&seed),
            recovery: read_recovery(folder)?,
            succession,
            ticket: tickets.into_iter().map(|t| (SecretKey::from_seed(&t.seed), t.listed)).collect(),
            kept_in: Some(folder.to_owned()),
        })
    }
}

fn read_recovery(folder: &Path) -> Result<PublicKey, KeyFileError> {
    let path = folder.join(RECOVERY_PUBLIC);
    let text = read_bytes(&path)?;
    let key = String::from_utf8_lossy(&text).trim().parse();
    key.map_err(|why| KeyFileError::Damaged { path, why: format!("{why}") })
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

/// Written beside and renamed: what was there is there, or the new one.
fn replace<T: Serialize>(path: &Path, secret: &T) -> Result<(), KeyFileError> {
    let beside = path.with_extension("new");
    let _ = fs::remove_file(&beside);
    write_new(&beside, secret)?;
    let renamed = fs::rename(&beside, path).and_then(|()| {
        // The new name, too, is there after a loss of power.
        path.parent().map_or(Ok(()), |folder| fs::File::open(folder)?.sync_all())
    });
    renamed.map_err(|source| KeyFileError::File { path: path.to_owned(), source })
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
    fn the_recovery_key_replaces_an_identity_that_was_lost_or_stolen() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path();
        let first = KeyRing::open_or_create(path, at("2026-11-21T12:00:00Z")).expect("made");
        // As files were before keys could be replaced.
        fs::write(path.join(IDENTITY), serde_json::to_vec(&first.identity.seed()).expect("json")).expect("written");
        assert_eq!(KeyRing::open(path).expect("read").public(), first.public());
        let origin: Origin = serde_json::from_str(r#""https://kino.example""#).expect("an origin");
        let recovery = KeyRing::read_recovery_key(&path.join(RECOVERY)).expect("there");
        let number = |keys: &KeyRing| {
            let word = Succession::open(keys.succession.as_ref().expect("a word"), keys.recovery).expect("its own");
            assert_eq!((word.identity, &word.origin), (keys.identity.public(), &origin));
            word.number
        };
        let stranger = super::super::random_key().expect("random");
        assert!(KeyRing::replace_identity(path, &origin, &stranger).is_err());
        assert_eq!(KeyRing::open(path).expect("as before").public(), first.public());
        let second = KeyRing::replace_identity(path, &origin, &recovery).expect("replaced");
        assert_ne!(second.identity.public(), first.identity.public());
        assert_eq!((second.recovery, second.ticket.len()), (first.recovery, first.ticket.len()));
        let third = KeyRing::replace_identity(path, &origin, &recovery).expect("again");
        assert!(number(&third) > number(&second), "in the same second, too");
        fs::remove_file(path.join(IDENTITY)).expect("lost");
        assert!(KeyRing::open_or_create(path, at("2026-11-21T12:00:00Z")).is_err(), "nothing is made in its place");
        let fourth = KeyRing::replace_identity(path, &origin, &recovery).expect("from nothing");
        assert!(number(&fourth) >= number(&second));
        assert_eq!(KeyRing::open(path).expect("kept").public(), fourth.public());
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
