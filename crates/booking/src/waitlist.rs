//! Who waits for seats that come free, in which order, and what became of them.

use std::collections::{BTreeMap, HashMap};

use admit_protocol::booking::Buyer;
use admit_protocol::digest::sha256;
use admit_protocol::hold::Best;
use admit_protocol::id::WaitlistEntryId;
use jiff::Timestamp;

use crate::hold::{HoldKey, Network, Owner};

/// The name of a waitlist entry within its server: a UUID, as `wait_…` on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(Rust, packed(8))]
pub struct EntryKey(pub u128);

impl EntryKey {
    /// As it is on the wire.
    ///
    /// # Panics
    /// Never: 37 characters are an id.
    #[must_use]
    pub fn id(self) -> WaitlistEntryId {
        WaitlistEntryId::parse(&crate::hold::written("wait_", self.0)).expect("37 characters of an id")
    }

    /// The entry of that id, if it can be one of ours.
    #[must_use]
    pub fn of(id: WaitlistEntryId) -> Option<Self> {
        crate::hold::read_key("wait_", id.as_str()).map(Self)
    }

    /// The name of the hold that is offered to this entry at its turn: a UUIDv7 of that time, the same wherever it is decided.
    pub(crate) fn offer(self, turn: u64, now: Timestamp) -> HoldKey {
        let digest = sha256(&[b"admit waitlist offer", &self.0.to_be_bytes(), &turn.to_be_bytes()]);
        let random = u128::from_be_bytes(std::array::from_fn(|n| digest[n]));
        let (version, variant) = (7 << 76, 2 << 62);
        let rest = random & !(u128::MAX << 80) & !(0xf << 76) & !(3 << 62);
        HoldKey(u128::from(now.as_millisecond().unsigned_abs()) << 80 | version | variant | rest)
    }
}

/// A party that waits for seats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub key: EntryKey,
    /// Whose it is: what is offered is theirs.
    pub owner: Owner,
    /// From where it came.
    pub network: Option<Network>,
    /// Who comes, and where they want to sit.
    pub best: Best,
    /// Who they are, if they said.
    pub buyer: Option<Buyer>,
    /// Since when it is here.
    pub created_at: Timestamp,
    /// Its place in line: who has a lower one comes first. Nobody has the same.
    pub turn: u64,
    /// How often it let an offer lapse.
    pub lapses: u8,
    /// How often places came free that it may have, and that went to others, since it stands where it stands.
    pub passed_over: u8,
    /// When that happened first while nobody was before it.
    pub passed_at: Option<Timestamp>,
    /// What became of it.
    pub state: EntryState,
}

/// What became of a waitlist entry. Only the edges of the state machine in `spec/v1/waitlist.md` exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryState {
    /// It stands in line.
    Waiting,
    /// Seats are held for it.
    Offered(HoldKey),
    /// It booked what was offered.
    Taken(HoldKey),
    /// It did not want what was offered.
    Declined(HoldKey),
    /// It left, or let its last offer lapse.
    Gone,
}

impl Entry {
    /// Whether it stands in line.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.state == EntryState::Waiting
    }

    /// The hold that it was offered, if that is what it came to.
    #[must_use]
    pub fn offer(&self) -> Option<HoldKey> {
        match self.state {
            EntryState::Offered(hold) | EntryState::Taken(hold) | EntryState::Declined(hold) => Some(hold),
            EntryState::Waiting | EntryState::Gone => None,
        }
    }

    /// The same entry, where nobody has passed it over yet.
    pub(crate) fn fresh(self, state: EntryState) -> Self {
        Self { state, passed_over: 0, passed_at: None, ..self }
    }
}

/// All entries of a house.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Waitlist {
    entries: BTreeMap<EntryKey, Entry>,
    /// Derived: who waits, by turn.
    line: BTreeMap<u64, EntryKey>,
    /// Derived: whose offer a hold is.
    offers: HashMap<HoldKey, EntryKey>,
    /// Derived: who is here, in whatever state.
    owners: HashMap<Owner, EntryKey>,
    /// Derived: how many of a network wait or have an offer.
    networks: HashMap<Network, usize>,
    /// Derived: how many wait or have an offer.
    here: usize,
    /// Derived: the last turn that was given.
    last_turn: u64,
}

impl Waitlist {
    /// Adds an entry, or says what became of one.
    pub(crate) fn put(&mut self, entry: Entry) {
        if let Some(before) = self.entries.get(&entry.key).cloned() {
            self.line.remove(&before.turn);
            before.offer().and_then(|hold| self.offers.remove(&hold));
            self.count(&before, false);
        }
        if entry.waits() {
            self.line.insert(entry.turn, entry.key);
        }
        self.offers.extend(entry.offer().map(|hold| (hold, entry.key)));
        self.owners.insert(entry.owner, entry.key);
        self.last_turn = self.last_turn.max(entry.turn);
        self.count(&entry, true);
        self.entries.insert(entry.key, entry);
    }

    fn count(&mut self, entry: &Entry, comes: bool) {
        if !is_here(entry) {
            return;
        }
        let change = |count: usize| if comes { count + 1 } else { count.saturating_sub(1) };
        self.here = change(self.here);
        let Some(network) = entry.network else { return };
        let count = self.networks.entry(network).or_default();
        *count = change(*count);
        if *count == 0 {
            self.networks.remove(&network);
        }
    }

    pub(crate) fn get(&self, key: EntryKey) -> Option<&Entry> {
        self.entries.get(&key)
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// Who waits, in the order of the line.
    pub(crate) fn line(&self) -> impl Iterator<Item = &Entry> {
        self.line.values().filter_map(|key| self.entries.get(key))
    }

    /// Whether nobody waits or has an offer, and nothing is kept for anybody.
    pub(crate) fn is_quiet(&self) -> bool {
        self.here == 0
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        self.line.len()
    }

    /// How many stand before this turn.
    pub(crate) fn before(&self, turn: u64) -> usize {
        self.line.range(..turn).count()
    }

    pub(crate) fn of_offer(&self, hold: HoldKey) -> Option<&Entry> {
        self.offers.get(&hold).and_then(|key| self.entries.get(key))
    }

    pub(crate) fn knows(&self, owner: Owner) -> bool {
        self.owners.contains_key(&owner)
    }

    /// How many of a network wait or have an offer.
    pub(crate) fn of_network(&self, network: Network) -> usize {
        self.networks.get(&network).copied().unwrap_or(0)
    }

    /// The next turn to be given.
    pub(crate) fn next_turn(&self) -> u64 {
        self.last_turn + 1
    }
}

/// Whether an entry waits or has an offer.
fn is_here(entry: &Entry) -> bool {
    matches!(entry.state, EntryState::Waiting | EntryState::Offered(_))
}
