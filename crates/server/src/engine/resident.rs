//! A house in memory: read by many, changed by the writer alone.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Instant;

use admit_booking::{Broken, Command, Hold, House};
use admit_http::listen::Stopping;
use admit_protocol::id::ScreeningId;
use admit_protocol::seats::SalesState;
use axum::body::Bytes;
use jiff::Timestamp;

use super::{Early, Failed, Request};
use crate::cinema::Cinema;
use crate::clock::Clock;
use crate::live::Live;
use crate::receipts::Marks;
use crate::store::{KeyPrint, KnownKey};

/// A house in memory, as it was committed last. Locks are held for microseconds and never over an `.await`.
pub(crate) struct Resident {
    screening: ScreeningId,
    state: RwLock<State>,
    /// A second copy, for a house that several commands of one batch change: brought up to date by the same changes, it saves making a
    /// copy for every batch. And how many more batches it is kept that need none.
    working: Mutex<Option<(Box<House>, u8)>>,
    seats: Mutex<Option<SeatsShown>>,
    /// Who watches it.
    live: Mutex<Option<Arc<Live>>>,
    /// How far its log was followed for receipts.
    seat_log: Mutex<Marks>,
    used: AtomicU64,
    /// When it was last known to be as it was saved last, by whom ever, in milliseconds.
    current_at: AtomicI64,
    /// The version that this process saved last, or tried to.
    saving: AtomicU64,
    /// About how much memory it takes, in bytes.
    weight: AtomicUsize,
}

/// What is committed.
pub(super) struct State {
    pub(super) house: House,
    /// Requests that had an effect, and what they said.
    pub(super) keys: HashMap<KeyPrint, KnownKey>,
    /// Why nothing is decided here any more: rows that contradict each other.
    pub(super) quarantine: Option<String>,
}

/// A working copy is kept for so many batches that do without.
const COPY_KEPT: u8 = 16;

/// What minutes are counted from.
static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);

impl Resident {
    /// A house as it was read, not before `at`.
    pub(super) fn new(screening: ScreeningId, house: House, keys: Vec<KnownKey>, at: Timestamp) -> Self {
        let weight = size_of::<Self>() + 1024 + house.weight() + keys.len() * 200;
        let state = State { house, keys: keys.into_iter().map(|k| (k.key, k)).collect(), quarantine: None };
        Self {
            screening,
            state: RwLock::new(state),
            working: Mutex::default(),
            seats: Mutex::default(),
            live: Mutex::default(),
            seat_log: Mutex::default(),
            used: AtomicU64::new(0),
            current_at: AtomicI64::new(at.as_millisecond()),
            saving: AtomicU64::new(0),
            weight: AtomicUsize::new(weight),
        }
    }

    pub(crate) fn screening(&self) -> ScreeningId {
        self.screening
    }

    pub(super) fn touch(&self) {
        self.used.store(BEGAN.elapsed().as_secs() / 60, Ordering::Relaxed);
    }

    /// In which minute it was used last.
    pub(super) fn last_used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// It was as it was saved last at some time since `at`.
    pub(super) fn was_current(&self, at: Timestamp) {
        self.current_at.fetch_max(at.as_millisecond(), Ordering::AcqRel);
    }

    /// This process is about to save this version of it.
    pub(super) fn is_saving(&self, version: u64) {
        self.saving.store(version, Ordering::Release);
    }

    /// Whether somebody else saved this version of it, as far as can be told.
    pub(super) fn is_anothers(&self, version: u64) -> bool {
        self.saving.load(Ordering::Acquire) != version && self.version() < version
    }

    /// Since when, at the latest, it may have been saved elsewhere, in milliseconds.
    pub(super) fn current_at(&self) -> i64 {
        self.current_at.load(Ordering::Acquire)
    }

    pub(super) fn weight(&self) -> usize {
        self.weight.load(Ordering::Relaxed)
    }

    /// It takes so much more by now.
    pub(super) fn grow(&self, bytes: usize) {
        self.weight.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn state_mut(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// A copy of the committed house for the writer to try changes on.
    pub(super) fn working_copy(&self, committed: &House) -> Box<House> {
        let kept = self.working().take().map(|(kept, _)| kept);
        kept.filter(|kept| kept.version() == committed.version()).unwrap_or_else(|| Box::new(committed.clone()))
    }

    /// Keeps a working copy that has everything that is committed.
    pub(super) fn keep_working_copy(&self, working: Box<House>) {
        *self.working() = Some((working, COPY_KEPT));
    }

    /// Brings a working copy of `version` up to date, if there is one, by what changed the committed house. It is put away where nobody
    /// needed it for a while.
    pub(super) fn keep_up_working_copy(&self, version: u64, change: impl FnOnce(&mut House) -> Result<(), Broken>) {
        let mut working = self.working();
        let kept = working.take().filter(|(kept, batches)| kept.version() == version && *batches > 0);
        *working = kept.and_then(|(mut kept, batches)| change(&mut kept).ok().map(|()| (kept, batches - 1)));
    }

    fn working(&self) -> MutexGuard<'_, Option<(Box<House>, u8)>> {
        self.working.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the house as it is committed.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&House) -> T) -> T {
        look(&self.state().house)
    }

    /// How far its log was followed.
    pub(crate) fn seat_log(&self) -> MutexGuard<'_, Marks> {
        self.seat_log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at two houses as they are committed. Their locks are taken in the order of their names, by whoever takes two: so nobody waits
    /// for somebody who waits for them.
    pub(crate) fn read_both<T>(&self, other: &Self, look: impl FnOnce(&House, &House) -> T) -> T {
        let (state, others) = self.both(other);
        look(&state.house, others.as_ref().map_or(&state.house, |state| &state.house))
    }

    /// The states of two houses; the second is none, if it is the same.
    pub(super) fn both<'a>(
        &'a self,
        other: &'a Self,
    ) -> (RwLockReadGuard<'a, State>, Option<RwLockReadGuard<'a, State>>) {
        match self.screening.cmp(&other.screening) {
            std::cmp::Ordering::Equal => (self.state(), None),
            std::cmp::Ordering::Less => {
                let state = self.state();
                (state, Some(other.state()))
            }
            std::cmp::Ordering::Greater => {
                let others = other.state();
                (self.state(), Some(others))
            }
        }
    }

    /// The version that is in memory.
    pub(super) fn version(&self) -> u64 {
        self.state().house.version()
    }

    /// Takes over holds that somebody else saved, with the keys of their requests, unless what is here is as new. Whether they fit.
    pub(super) fn catch_up(&self, holds: Vec<(Hold, Vec<KnownKey>)>, version: u64, now: Timestamp) -> bool {
        let mut state = self.state_mut();
        if state.house.version() >= version {
            return true;
        }
        let (holds, keys): (Vec<Hold>, Vec<Vec<KnownKey>>) = holds.into_iter().unzip();
        self.keep_up_working_copy(state.house.version(), |copy| copy.catch_up(holds.clone(), version, now));
        // A house that fits only in part is loaded again.
        let fits = state.house.catch_up(holds, version, now).is_ok();
        if fits {
            state.keys.extend(keys.into_iter().flatten().map(|known| (known.key, known)));
        }
        fits
    }

    /// Takes over a house that was loaded again, unless what is here is newer.
    pub(super) fn replace(&self, fresh: Self) {
        let current_at = fresh.current_at();
        let mut fresh = fresh.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.state_mut();
        if state.house.version() <= fresh.house.version() {
            std::mem::swap(&mut *state, &mut fresh);
        }
        drop(state);
        self.current_at.fetch_max(current_at, Ordering::AcqRel);
    }

    /// Whether anybody watches it.
    pub(super) fn is_watched(&self) -> bool {
        self.watchers().is_some()
    }

    /// Whether anybody waits for seats here.
    pub(super) fn has_line(&self) -> bool {
        self.state().house.has_line()
    }

    /// Whether something that happens by itself has not been made true yet.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.state().house.next_deadline().is_some_and(|at| at <= now)
    }

    /// The request that had this key, if one had an effect.
    pub(super) fn known(&self, key: &super::Key) -> Option<KnownKey> {
        self.state().keys.get(&key.print).copied()
    }

    /// What can be said from memory: that the key had its effect before, or that what is committed forbids it. The key
    /// comes first: whoever lost the reply of a hold that succeeded must not hear that its own seats are taken.
    pub(super) fn refuse_at_once(&self, request: &Request, clock: &dyn Clock) -> Result<Option<Early>, Failed> {
        let state = self.state();
        if let Some(key) = &request.key
            && let Some(known) = state.keys.get(&key.print)
        {
            return if known.said == key.body { Ok(Some(Early::Replay(*known))) } else { Err(Failed::KeyReused) };
        }
        let house = &state.house;
        // Who books what they hold is seldom refused: the writer decides, once.
        if let Command::Book { hold, owner, .. } = &request.command
            && house.hold(*hold).is_some_and(|hold| hold.owner == *owner)
        {
            return Ok(None);
        }
        let now = clock.now().max(house.now());
        if house.next_deadline().is_some_and(|at| at <= now) {
            return Ok(None);
        }
        Ok(house.refusal(&request.command, now).map(|refusal| Early::Refused(refusal, house.version())))
    }

    /// Its watchers; from now on there are some.
    pub(super) fn live(self: &Arc<Self>, cinema: &Cinema, stopping: Option<Stopping>) -> Arc<Live> {
        let mut live = self.watchers();
        live.get_or_insert_with(|| Live::start(self.clone(), cinema.clone(), stopping)).clone()
    }

    /// Whoever watches hears no more.
    pub(crate) fn let_go(&self, live: &Arc<Live>) {
        self.watchers().take_if(|known| Arc::ptr_eq(known, live));
    }

    /// Nobody watches any more, unless somebody is just coming in.
    pub(crate) fn leave(&self, live: &Live) -> bool {
        let mut watchers = self.watchers();
        // One is ours, one is the task's: a third is on its way in.
        let ours = watchers.as_ref().is_some_and(|known| std::ptr::eq(&raw const **known, live));
        let gone = ours && watchers.as_ref().is_some_and(|known| Arc::strong_count(known) <= 2) && live.is_alone();
        if gone {
            *watchers = None;
        }
        gone
    }

    fn watchers(&self) -> MutexGuard<'_, Option<Arc<Live>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something changed: who watches will be told.
    pub(super) fn changed(&self) {
        if let Some(live) = &*self.watchers() {
            live.changed();
        }
    }

    /// The answer to "which seats?", made once for each version.
    pub(crate) fn seats(&self, now: Timestamp, make: impl FnOnce(&House, SalesState) -> Bytes) -> SeatsShown {
        let state = self.state();
        let (seq, sales) = (state.house.version(), state.house.sales_state(now));
        let mut shown = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        match &*shown {
            Some(shown) if shown.seq == seq && shown.sales == sales => shown.clone(),
            _ => {
                // To be kept: without the room that it was written into.
                let bytes = Bytes::copy_from_slice(&make(&state.house, sales));
                shown.insert(SeatsShown { seq, sales, bytes }).clone()
            }
        }
    }
}

/// The answer to "which seats?", and what it shows.
#[derive(Debug, Clone)]
pub(crate) struct SeatsShown {
    pub(crate) seq: u64,
    pub(crate) sales: SalesState,
    pub(crate) bytes: Bytes,
}
