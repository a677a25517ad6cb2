//! A store that forgets: for tests, and to show how little a store must do.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use admit_booking::queue::{Line, QueuePlace};
use admit_booking::{Claim, Entry, EntryKey, Hold, HoldKey, Network, Owner, Place, Prices, Saved, ScanRecord};
use admit_protocol::digest::ContentName;
use admit_protocol::id::ScreeningId;
use jiff::Timestamp;

use super::{
    About, Answer, CommitError, KeyPrint, KnownKey, LineRows, Listing, Loaded, Logged, Outcome, QueueStore, Save,
    Store, StoreError, TrailStore,
};

/// Everything in memory.
#[derive(Debug)]
pub struct MemoryStore {
    listing: Listing,
    houses: Mutex<HashMap<ScreeningId, Rows>>,
    queues: Mutex<HashMap<ScreeningId, Queue>>,
}

/// A line, and the places in it.
#[derive(Debug, Clone)]
struct Queue(Line, BTreeMap<Owner, QueuePlace>);

#[derive(Debug, Default)]
struct Rows {
    version: u64,
    now: Timestamp,
    claims: BTreeMap<Place, Claim>,
    holds: BTreeMap<HoldKey, Hold>,
    scans: Vec<ScanRecord>,
    entries: BTreeMap<EntryKey, Entry>,
    answers: HashMap<KeyPrint, (KnownKey, Answer)>,
    trail: Vec<Logged>,
}

impl MemoryStore {
    /// A store of this programme, with nothing sold.
    #[must_use]
    pub fn new(listing: Listing) -> Self {
        Self { listing, houses: Mutex::default(), queues: Mutex::default() }
    }
}

impl Store for MemoryStore {
    fn catalogue(&self) -> Result<Listing, StoreError> {
        Ok(self.listing.clone())
    }

    fn load(
        &self,
        screening: ScreeningId,
        _: &dyn Fn(ContentName) -> Option<Arc<Prices>>,
    ) -> Result<Loaded, StoreError> {
        let houses = self.houses.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(rows) = houses.get(&screening) else { return Ok(Loaded::default()) };
        let house = Saved {
            version: rows.version,
            now: rows.now,
            claims: rows.claims.iter().map(|(p, c)| (*p, *c)).collect(),
            holds: rows.holds.values().cloned().collect(),
            scans: rows.scans.clone(),
            entries: rows.entries.values().cloned().collect(),
        };
        Ok(Loaded { house, keys: rows.answers.values().map(|(known, _)| *known).collect(), programme: 0 })
    }

    fn queues(&self) -> Option<&dyn QueueStore> {
        Some(self)
    }

    fn trail(&self) -> Option<&dyn TrailStore> {
        Some(self)
    }

    fn save(&self, batch: &[Save<'_>]) -> Result<Vec<Outcome>, CommitError> {
        let mut houses = self.houses.lock().unwrap_or_else(PoisonError::into_inner);
        let save = |save: &Save<'_>| {
            let rows = houses.entry(save.screening).or_default();
            if rows.version != save.seen {
                return Outcome::Conflict;
            }
            if let Err(why) = rows.check(save) {
                return Outcome::Broken(why);
            }
            rows.apply(save);
            Outcome::Saved
        };
        Ok(batch.iter().map(save).collect())
    }

    fn saves_together(&self) -> bool {
        true
    }

    fn save_together(&self, batch: &[Save<'_>]) -> Result<Outcome, CommitError> {
        let mut houses = self.houses.lock().unwrap_or_else(PoisonError::into_inner);
        for save in batch {
            let rows = houses.entry(save.screening).or_default();
            if rows.version != save.seen {
                return Ok(Outcome::Conflict);
            }
            if let Err(why) = rows.check(save) {
                return Ok(Outcome::Broken(why));
            }
        }
        batch.iter().for_each(|save| houses.entry(save.screening).or_default().apply(save));
        Ok(Outcome::Saved)
    }

    fn answer(&self, _: ScreeningId, about: About, key: KeyPrint) -> Result<Option<Answer>, StoreError> {
        let houses = self.houses.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = houses.values().find_map(|rows| rows.answers.get(&key).filter(|(known, _)| known.about == about));
        Ok(answer.map(|(_, answer)| answer.clone()))
    }
}

impl TrailStore for MemoryStore {
    fn order_trail(&self, _: bool) -> Result<(), StoreError> {
        Ok(())
    }

    fn read_trail(
        &self,
        screening: ScreeningId,
        after: u64,
        until: u64,
        most: usize,
    ) -> Result<Vec<Logged>, StoreError> {
        let houses = self.houses.lock().unwrap_or_else(PoisonError::into_inner);
        let all = houses.get(&screening).into_iter().flat_map(|rows| &rows.trail);
        Ok(all.filter(|logged| (after + 1..=until).contains(&logged.version)).take(most).cloned().collect())
    }
}

impl QueueStore for MemoryStore {
    fn line(&self, screening: ScreeningId, fresh: &Line) -> Result<Line, StoreError> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(queues.entry(screening).or_insert_with(|| Queue(fresh.clone(), BTreeMap::new())).0.clone())
    }

    fn place(&self, screening: ScreeningId, owner: Owner) -> Result<Option<(Line, QueuePlace)>, StoreError> {
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(queues.get(&screening).and_then(|Queue(line, places)| Some((line.clone(), *places.get(&owner)?))))
    }

    fn work(
        &self,
        screening: ScreeningId,
        work: &mut dyn FnMut(&mut dyn LineRows) -> Result<(), StoreError>,
    ) -> Result<(), CommitError> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let none = || CommitError::NotDone(StoreError::NoScreening(screening));
        let queue = queues.get_mut(&screening).ok_or_else(none)?;
        let mut tried = queue.clone();
        work(&mut tried).map_err(CommitError::NotDone)?;
        *queue = tried;
        Ok(())
    }
}

impl LineRows for Queue {
    fn line(&mut self) -> Result<Line, StoreError> {
        Ok(self.0.clone())
    }

    fn set_line(&mut self, line: &Line) -> Result<(), StoreError> {
        self.0 = line.clone();
        Ok(())
    }

    fn place(&mut self, owner: Owner) -> Result<Option<QueuePlace>, StoreError> {
        Ok(self.1.get(&owner).copied())
    }

    fn of_network(&mut self, network: Network, since: Timestamp) -> Result<u64, StoreError> {
        let counts = |p: &&QueuePlace| p.network == Some(network) && p.turn.is_none_or(|turn| turn > since);
        Ok(self.1.values().filter(counts).count() as u64)
    }

    fn put(&mut self, place: &QueuePlace) -> Result<(), StoreError> {
        self.1.insert(place.owner, *place);
        Ok(())
    }

    fn remove(&mut self, owner: Owner) -> Result<bool, StoreError> {
        Ok(self.1.remove(&owner).is_some())
    }

    fn without_turn(&mut self) -> Result<Vec<Owner>, StoreError> {
        Ok(self.1.values().filter(|place| place.turn.is_none()).map(|place| place.owner).collect())
    }

    fn set_turns(&mut self, turns: &[(Owner, Timestamp)]) -> Result<(), StoreError> {
        for (owner, turn) in turns {
            self.1.entry(*owner).and_modify(|place| place.turn = Some(*turn));
        }
        Ok(())
    }
}

impl Rows {
    /// What a database's keys and counted rows check: one owner a place (S2), the expected one (S3).
    fn check(&self, save: &Save<'_>) -> Result<(), String> {
        let mut claims = self.claims.clone();
        for changes in save.changes {
            for (place, owner) in &changes.freed {
                if claims.remove(place) != Some(*owner) {
                    return Err(format!("S3: {place:?} is not claimed by {owner:?}"));
                }
            }
            for (place, owner) in &changes.claimed {
                if claims.insert(*place, *owner).is_some() {
                    return Err(format!("S2: {place:?} is claimed already"));
                }
            }
        }
        Ok(())
    }

    fn apply(&mut self, save: &Save<'_>) {
        for changes in save.changes {
            for (place, _) in &changes.freed {
                self.claims.remove(place);
            }
            self.claims.extend(changes.claimed.iter().copied());
            self.holds.extend(changes.placed.iter().map(|h| (h.key, h.clone())));
            for (key, state) in &changes.moved {
                if let Some(hold) = self.holds.get_mut(key) {
                    hold.state = state.clone();
                }
            }
            self.scans.extend(changes.scans.iter().cloned());
            self.entries.extend(changes.entries.iter().map(|entry| (entry.key, entry.clone())));
        }
        for new in save.answers {
            self.answers.insert(new.known.key, (new.known, new.answer.clone()));
        }
        self.version = save.seen + 1;
        self.now = save.now;
        self.trail.push(Logged { version: self.version, at: save.now, entries: save.log.to_vec() });
    }
}
