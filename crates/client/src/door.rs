//! A door that goes on when the network does not: by the signed list of a screening's tickets, and a file of what it did meanwhile.
//!
//! While there is a network, [`Scanner::upload`] asks the server, which knows of every other door. Without one, [`Door::check`] judges by
//! the list, with the very function that the server judges with, and by whom this door let in itself; two doors that cannot hear of
//! each other may both let in a copy of one ticket, and [`Door::send`] brings that to light.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use admit_booking::door::verdict;
use admit_protocol::door::{AllowList, AllowState, Scan, ScanKind, ScanResult, UploadScans, Verdict};
use admit_protocol::holder::HolderProof;
use admit_protocol::id::{ScanId, ScreeningId};
use admit_protocol::manifest::TicketKey;
use admit_protocol::ticket::{Ticket, TicketId};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::ClientError;
use crate::server::Scanner;

/// Scans that are sent at once: their answer is far below what a client reads.
const SENT_AT_ONCE: usize = 200;

/// A door of one screening that can do without a network. Of one file there is one at a time.
#[derive(Debug)]
pub struct Door {
    path: PathBuf,
    kept: Kept,
    list: AllowList,
    /// Held as long as this door is.
    _lock: fs::File,
}

/// Its file.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    screening: ScreeningId,
    keys: Vec<TicketKey>,
    /// The list as it came, in base64url: what is in the file is believed by its signature, like what comes from the server.
    list: String,
    /// Whom it let in itself, and the list does not know of.
    let_in: BTreeMap<TicketId, LetIn>,
    /// Whom it let in and took back: the list may still have them as used.
    taken_back: BTreeSet<TicketId>,
    /// Scans that the server has not heard of, oldest first.
    unsent: Vec<Scan>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct LetIn {
    scan: ScanId,
    at: Timestamp,
}

/// What a door says without a network.
#[derive(Debug)]
pub struct Checked {
    /// Whether to let in.
    pub verdict: Verdict,
    /// The ticket, if it is one of this cinema.
    pub ticket: Option<Ticket>,
    /// Of a duplicate that this door let in: when.
    pub first: Option<Timestamp>,
}

/// Why a door cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DoorError {
    /// Its file cannot be read or written: nobody is let in whom it would forget.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Another program has this door: two would not know whom the other let in.
    #[error("another program on this machine scans at this door ({})", .0.display())]
    InUse(PathBuf),
    /// Its file has something else in it.
    #[error("{} is damaged: {why}", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The server refused, or cannot be reached.
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl Door {
    /// The door of this screening as its file has it; nothing, if there is none.
    ///
    /// # Errors
    /// When another program has it, the file cannot be read, or its list is not signed by the cinema.
    pub fn open(path: &Path, screening: ScreeningId, now: Timestamp) -> Result<Option<Self>, DoorError> {
        let file = |source| DoorError::File { path: path.to_owned(), source };
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(file(source)),
        };
        let lock = lock(path)?;
        let damaged = |why: String| DoorError::Damaged { path: path.to_owned(), why };
        let kept: Kept = serde_json::from_slice(&bytes).map_err(|e| damaged(e.to_string()))?;
        let bytes = URL_SAFE_NO_PAD.decode(&kept.list).map_err(|e| damaged(e.to_string()))?;
        let keys = |short| kept.keys.iter().filter(move |k| k.verifies(short, now)).map(|k| k.key);
        let list = AllowList::verify(&bytes, keys).map_err(|e| damaged(e.to_string()))?;
        if list.screening != screening || kept.screening != screening {
            return Err(damaged(format!("it is of {}", list.screening)));
        }
        Ok(Some(Self { path: path.to_owned(), kept, list, _lock: lock }))
    }

    /// A door that never was: gets the list of now, and keeps it in this file.
    ///
    /// # Errors
    /// When another program has it, the list cannot be had, or the file not be written.
    pub async fn begin(path: &Path, scanner: &Scanner, screening: ScreeningId) -> Result<Self, DoorError> {
        let lock = lock(path)?;
        let (bytes, list) = scanner.signed_allow_list(screening).await?;
        let keys = scanner.server().manifest().keys.ticket.clone();
        let kept = Kept {
            screening,
            keys,
            list: URL_SAFE_NO_PAD.encode(bytes),
            let_in: BTreeMap::new(),
            taken_back: BTreeSet::new(),
            unsent: Vec::new(),
        };
        let door = Self { path: path.to_owned(), kept, list, _lock: lock };
        door.keep()?;
        Ok(door)
    }

    /// Gets the list of now.
    ///
    /// # Errors
    /// When it cannot be had, or the file not be written: the door goes on with the list that it has.
    pub async fn renew(&mut self, scanner: &Scanner) -> Result<(), DoorError> {
        let (bytes, list) = scanner.signed_allow_list(self.kept.screening).await?;
        self.kept.keys = scanner.server().manifest().keys.ticket.clone();
        self.kept.list = URL_SAFE_NO_PAD.encode(bytes);
        self.kept.let_in.retain(|ticket, _| list.find(*ticket).is_some_and(|entry| entry.state != AllowState::Used));
        if self.kept.unsent.is_empty() {
            self.kept.taken_back.clear();
        }
        self.list = list;
        self.keep()
    }

    /// When its list was made: what was sold or cancelled since, it does not know.
    #[must_use]
    pub fn list_of(&self) -> Timestamp {
        self.list.issued
    }

    /// How many scans the server has not heard of.
    #[must_use]
    pub fn unsent(&self) -> usize {
        self.kept.unsent.len()
    }

    /// Judges a code without a network. Whoever is let in is in the file before this returns. `scan` is a [new name](new_scan_id), or the
    /// one that the server was asked with, whose answer did not come: then it counts once.
    ///
    /// # Errors
    /// When the file cannot be written: then nobody was let in.
    pub fn check(
        &mut self,
        scan: ScanId,
        (code, proof): (&str, Option<&str>),
        now: Timestamp,
    ) -> Result<Checked, DoorError> {
        let keys = &self.kept.keys;
        let ticket =
            Ticket::verify(code, |short| keys.iter().filter(move |k| k.verifies(short, now)).map(|k| k.key)).ok();
        let own = ticket.as_ref().and_then(|ticket| self.kept.let_in.get(&ticket.id)).copied();
        let state = |id| match own {
            Some(_) => Some(AllowState::Used),
            None => self.list.find(id).map(|entry| match entry.state {
                AllowState::Used if self.kept.taken_back.contains(&id) => AllowState::Valid,
                state => state,
            }),
        };
        let proven = ticket.as_ref().is_some_and(|ticket| HolderProof::is_given(ticket, proof, now));
        let verdict = verdict(ticket.as_ref(), proven, self.kept.screening, now, state);
        if let (Verdict::Green, Some(ticket)) = (verdict, &ticket) {
            self.note(scan, ScanKind::Entry, (code, proof), None, now);
            self.kept.let_in.insert(ticket.id, LetIn { scan, at: now });
            self.kept.taken_back.remove(&ticket.id);
            if let Err(error) = self.keep() {
                self.kept.let_in.remove(&ticket.id);
                self.kept.unsent.retain(|known| known.id != scan);
                return Err(error);
            }
        }
        Ok(Checked { verdict, ticket, first: own.map(|own| own.at) })
    }

    /// The server let somebody in at this door: without a network it will be remembered, also where the list does not say so yet.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn heard(&mut self, result: &ScanResult, at: Timestamp) -> Result<(), DoorError> {
        if let (Verdict::Green, Some(ticket)) = (result.verdict, result.ticket) {
            self.kept.let_in.insert(ticket, LetIn { scan: result.id, at });
            self.kept.taken_back.remove(&ticket);
            self.keep()?;
        }
        Ok(())
    }

    /// The server took back that somebody was let in with this ticket.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn heard_back(&mut self, ticket: Option<TicketId>) -> Result<(), DoorError> {
        self.kept.let_in.retain(|id, _| Some(*id) != ticket);
        self.kept.taken_back.extend(ticket);
        self.keep()
    }

    /// Takes back that somebody was let in at this door by this scan, with this ticket, without a network.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn take_back(
        &mut self,
        undo: ScanId,
        (scan, ticket): (ScanId, Option<TicketId>),
        now: Timestamp,
    ) -> Result<(), DoorError> {
        self.note(undo, ScanKind::Undo, ("", None), Some(scan), now);
        self.heard_back(ticket)
    }

    /// Tells the server what was done without it: the oldest 200, and nothing where there are none. What it says of each scan is returned:
    /// of one that is not green, somebody is in who should not be, by a copy, or with a ticket that was cancelled meanwhile.
    ///
    /// # Errors
    /// When the server cannot be reached: they are sent the next time. Sent twice, they count once (DOOR-002).
    pub async fn send(&mut self, scanner: &Scanner) -> Result<Vec<ScanResult>, DoorError> {
        let scans = self.kept.unsent.iter().take(SENT_AT_ONCE).cloned().collect::<Vec<_>>();
        if scans.is_empty() {
            return Ok(Vec::new());
        }
        let sent = scans.len();
        let results = scanner.upload(self.kept.screening, &UploadScans { scans }).await?.results;
        self.kept.unsent.drain(..sent);
        self.keep()?;
        Ok(results)
    }

    fn note(
        &mut self,
        id: ScanId,
        kind: ScanKind,
        (code, proof): (&str, Option<&str>),
        undoes: Option<ScanId>,
        at: Timestamp,
    ) {
        let (code, proof) = (code.to_owned(), proof.map(str::to_owned));
        self.kept.unsent.push(Scan { id, kind, code, proof, undoes, at, offline: true });
    }

    /// Written beside, synced and renamed: after a loss of power it is whole, as it was or as it is. There are tickets in it: it is for
    /// its owner's eyes.
    fn keep(&self) -> Result<(), DoorError> {
        let file = |source| DoorError::File { path: self.path.clone(), source };
        let new = self.path.with_extension("new");
        let text = serde_json::to_vec(&self.kept).map_err(|e| file(e.into()))?;
        let write = || {
            let mut options = fs::OpenOptions::new();
            options.write(true).create(true).truncate(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let mut written = options.open(&new)?;
            written.write_all(&text)?;
            written.sync_all()?;
            fs::rename(&new, &self.path)?;
            fs::File::open(folder_of(&self.path))?.sync_all()
        };
        write().map_err(file)
    }
}

/// A name for a scan that was never used, also before a restart.
///
/// # Errors
/// When the system has no randomness to give.
pub fn new_scan_id() -> Result<ScanId, getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(ScanId::parse(&URL_SAFE_NO_PAD.encode(bytes))
        .unwrap_or_else(|_| unreachable!("base64url has the letters of an id")))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn lock(path: &Path) -> Result<fs::File, DoorError> {
    let beside = path.with_extension("lock");
    let file = |source| DoorError::File { path: beside.clone(), source };
    fs::create_dir_all(folder_of(path)).map_err(file)?;
    let lock = fs::File::create(&beside).map_err(file)?;
    lock.try_lock().map_err(|_| DoorError::InUse(path.to_owned()))?;
    Ok(lock)
}
