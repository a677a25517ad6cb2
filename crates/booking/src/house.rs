//! The seats of one screening, and everybody who has a claim on them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use admit_protocol::booking::TicketState;
use admit_protocol::door::{AllowEntry, AllowState, FirstScan, ScanKind};
use admit_protocol::id::{DeviceId, ScanId, SeatId};
use admit_protocol::policy::CancellationPolicy;
use admit_protocol::problem::ConflictReason;
use admit_protocol::seats::{AreaSeats, NotFree, SalesState};
use admit_protocol::ticket::TicketId;
use jiff::Timestamp;

use crate::changes::{Block, Changes, Claim, ScanRecord, ScannedTicket};
use crate::hold::{Booking, HeldPlace, Hold, HoldKey, HoldState, Line, Owner};
use crate::plan::Place;
use crate::terms::Terms;
use crate::unpaid::Unpaid;
use crate::waitlist::{Entry, EntryKey, Waitlist};

/// The seats of one screening. Decides ([`House::decide`]) without changing, and changes ([`House::apply`]) without
/// deciding.
#[derive(Debug, Clone)]
pub struct House {
    pub(crate) terms: Arc<Terms>,
    version: u64,
    now: Timestamp,
    claims: BTreeMap<Place, Claim>,
    /// Shared with copies of this house, until one of them changes a hold.
    pub(crate) holds: BTreeMap<HoldKey, Arc<Hold>>,
    pub(crate) scans: BTreeMap<(DeviceId, ScanId), ScanRecord>,
    /// Derived: scans that were taken back, also those that are not here yet.
    undone: HashSet<(DeviceId, ScanId)>,
    /// Derived: who let each ticket in first.
    entries: HashMap<(HoldKey, u16), FirstScan>,
    /// Derived: what happens by itself, and when.
    deadlines: BTreeSet<(Timestamp, Deadline)>,
    /// Derived: what counts against limits.
    pub(crate) unpaid: Unpaid,
    /// Who waits for seats.
    pub(crate) waitlist: Waitlist,
    /// Derived: until when what time brings to those who wait was looked at.
    line_looked_at: Timestamp,
}

/// What happens by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Deadline {
    /// A hold ends, a payment is closed, an unpaid booking is cancelled.
    Hold(HoldKey),
    /// A blocked place goes on sale.
    Block(Place),
    /// More is for sale to those who wait.
    Line,
}

/// Everything that a store keeps of a house.
#[derive(Debug, Clone, Default)]
pub struct Saved {
    /// The version that all of this is.
    pub version: u64,
    /// The logical time of that version (C1).
    pub now: Timestamp,
    /// Who has which place.
    pub claims: Vec<(Place, Claim)>,
    /// Holds that are not forgotten yet.
    pub holds: Vec<Hold>,
    /// Scans.
    pub scans: Vec<ScanRecord>,
    /// Waitlist entries.
    pub entries: Vec<Entry>,
}

/// Changes that do not fit the house they are applied to: a bug, or a store that two masters write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Broken(pub String);

impl House {
    /// An empty house.
    #[must_use]
    pub fn new(terms: Arc<Terms>) -> Self {
        Self {
            terms,
            version: 0,
            now: Timestamp::UNIX_EPOCH,
            claims: BTreeMap::new(),
            holds: BTreeMap::new(),
            scans: BTreeMap::new(),
            undone: HashSet::new(),
            entries: HashMap::new(),
            deadlines: BTreeSet::new(),
            unpaid: Unpaid::default(),
            waitlist: Waitlist::default(),
            line_looked_at: Timestamp::UNIX_EPOCH,
        }
    }

    /// A house as it was saved.
    ///
    /// # Errors
    /// When what was saved contradicts itself: the house must not be sold from.
    pub fn restore(terms: Arc<Terms>, saved: Saved) -> Result<Self, Broken> {
        let mut house = Self::new(terms);
        house.line_looked_at = saved.now;
        let Saved { claims: claimed, holds: mut placed, scans, entries, .. } = saved;
        share_policies(&mut placed, house.terms.cancellation.clone());
        house.apply(Changes { claimed, placed, scans, entries, ..Changes::default() })?;
        house.version = saved.version;
        house.now = saved.now;
        // A line in disorder is for the audit to find: it must not keep people from their seats.
        match house.violations().into_iter().find(|violation| !violation.invariant.starts_with('W')) {
            None => Ok(house),
            Some(first) => Err(Broken(format!("saved house: {first}"))),
        }
    }

    /// Makes `changes` true. They must have been decided on this very state.
    ///
    /// # Errors
    /// When they do not fit; the house must then be thrown away and loaded again.
    pub fn apply(&mut self, changes: Changes) -> Result<(), Broken> {
        for (place, expected) in changes.freed {
            let claim = self.claims.remove(&place);
            if claim != Some(expected) {
                return Err(Broken(format!("S3: {place:?} is {claim:?}, expected {expected:?}")));
            }
            self.set_block_deadline(place, expected, false);
        }
        for (place, owner) in changes.claimed {
            if place.index() >= self.terms.plan.len() {
                return Err(Broken(format!("{place:?} is not of this plan")));
            }
            if let Some(other) = self.claims.insert(place, owner) {
                return Err(Broken(format!("S1: {place:?} is {other:?}, cannot be {owner:?}")));
            }
            self.set_block_deadline(place, owner, true);
        }
        for hold in changes.placed {
            if let Some(until) = hold.state.deadline() {
                self.deadlines.insert((until, Deadline::Hold(hold.key)));
            }
            self.unpaid.add(&hold);
            if let Some(other) = self.holds.insert(hold.key, Arc::new(hold)) {
                return Err(Broken(format!("hold {:?} exists already", other.key)));
            }
        }
        for (key, state) in changes.moved {
            let hold = Arc::make_mut(self.holds.get_mut(&key).ok_or_else(|| Broken(format!("no hold {key:?}")))?);
            if let Some(until) = hold.state.deadline() {
                self.deadlines.remove(&(until, Deadline::Hold(key)));
            }
            self.unpaid.remove(hold);
            hold.state = state;
            self.unpaid.add(hold);
            if let Some(until) = hold.state.deadline() {
                self.deadlines.insert((until, Deadline::Hold(key)));
            }
        }
        let mut scanned: Vec<ScannedTicket> = Vec::new();
        for scan in changes.scans {
            let taken_back = scan.undoes.map(|of| (scan.device, of));
            self.undone.extend(taken_back);
            scanned.extend(scan.ticket.or_else(|| self.scans.get(&taken_back?)?.ticket));
            self.scans.insert((scan.device, scan.id), scan);
        }
        for ticket in scanned {
            self.derive_entry(ticket.booking, ticket.line);
        }
        if let Some(terms) = changes.terms {
            if terms.plan.name() != self.terms.plan.name() {
                return Err(Broken("S7: a screening keeps its layout".into()));
            }
            self.terms = terms;
            self.set_line_deadline();
        }
        if changes.line_looked_at.is_some() || !changes.entries.is_empty() {
            self.line_looked_at = changes.line_looked_at.unwrap_or(self.line_looked_at);
            changes.entries.into_iter().for_each(|entry| self.waitlist.put(entry));
            self.set_line_deadline();
        }
        Ok(())
    }

    /// Companions' seats that anybody may have from now on, or sales that begin: those who wait come first.
    fn set_line_deadline(&mut self) {
        self.deadlines.retain(|(_, what)| *what != Deadline::Line);
        let waits = self.waitlist.waiting() > 0;
        let instants = [self.terms.companion_release_at, Some(self.terms.sales.opens_at)].into_iter().flatten();
        let next = instants.filter(|at| waits && *at > self.line_looked_at).min();
        self.deadlines.extend(next.map(|at| (at, Deadline::Line)));
    }

    /// Takes over holds as somebody else saved them: all that changed until `version`, each as it is then. What they claim is claimed,
    /// and what they do not claim any more is free.
    ///
    /// # Errors
    /// When they contradict what is here; the house must then be thrown away and loaded again.
    pub fn catch_up(&mut self, holds: Vec<Hold>, version: u64, now: Timestamp) -> Result<(), Broken> {
        let (mut freed, mut changes) = (Vec::new(), Changes::default());
        for hold in holds {
            let claim = Claim::Hold(hold.key);
            let claimed: BTreeSet<Place> = hold.claimed_places().collect();
            let known = self.hold(hold.key);
            let before: BTreeSet<Place> = known.into_iter().flat_map(Hold::claimed_places).collect();
            freed.extend(before.difference(&claimed).map(|place| (*place, claim)));
            changes.claimed.extend(claimed.difference(&before).map(|place| (*place, claim)));
            match known {
                Some(_) => changes.moved.push((hold.key, hold.state)),
                None => changes.placed.push(hold),
            }
        }
        changes.freed = freed;
        self.apply(changes)?;
        self.saved(version, now);
        Ok(())
    }

    /// After a save: the version goes up by one for everything that was saved together.
    pub fn saved(&mut self, version: u64, now: Timestamp) {
        self.version = version;
        self.now = self.now.max(now);
    }

    fn set_block_deadline(&mut self, place: Place, claim: Claim, set: bool) {
        if let Claim::Block(Block { until: Some(until), .. }) = claim {
            let deadline = (until, Deadline::Block(place));
            if set {
                self.deadlines.insert(deadline)
            } else {
                self.deadlines.remove(&deadline)
            };
        }
    }

    /// Finds the first scan that let this ticket in and was not undone. A function of the set of scans, so the order
    /// in which they were uploaded does not matter (T4).
    fn derive_entry(&mut self, booking: HoldKey, line: u16) {
        let is_ticket = |s: &&ScanRecord| s.ticket.is_some_and(|t| t.booking == booking && t.line == line);
        let entered = self.scans.values().filter(|s| s.kind == ScanKind::Entry && s.admitted).filter(is_ticket);
        let stands = |s: &&ScanRecord| !self.undone.contains(&(s.device, s.id));
        let first = entered.filter(stands).min_by_key(|s| (s.at, s.device, s.id));
        match first.map(|s| FirstScan { device: s.device, at: s.at }) {
            Some(first) => self.entries.insert((booking, line), first),
            None => self.entries.remove(&(booking, line)),
        };
    }

    /// The terms in force.
    #[must_use]
    pub fn terms(&self) -> &Arc<Terms> {
        &self.terms
    }

    /// Counts every saved change: `seq` on the wire.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The logical time of the last save.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Who has a place.
    #[must_use]
    pub fn claim(&self, place: Place) -> Option<Claim> {
        self.claims.get(&place).copied()
    }

    /// All places that are not free, in their order, and who has them.
    pub fn claims(&self) -> impl Iterator<Item = (Place, Claim)> + '_ {
        self.claims.iter().map(|(place, claim)| (*place, *claim))
    }

    /// A hold, whatever became of it.
    #[must_use]
    pub fn hold(&self, key: HoldKey) -> Option<&Hold> {
        self.holds.get(&key).map(Arc::as_ref)
    }

    /// All holds, whatever became of them.
    pub fn holds(&self) -> impl Iterator<Item = &Hold> {
        self.holds.values().map(Arc::as_ref)
    }

    /// All scans.
    pub fn scans(&self) -> impl Iterator<Item = &ScanRecord> {
        self.scans.values()
    }

    /// A scan, by the device that made it.
    #[must_use]
    pub fn scan_of(&self, device: DeviceId, scan: ScanId) -> Option<&ScanRecord> {
        self.scans.get(&(device, scan))
    }

    /// A waitlist entry.
    #[must_use]
    pub fn entry(&self, key: EntryKey) -> Option<&Entry> {
        self.waitlist.get(key)
    }

    /// Whether anybody waits or has an offer.
    #[must_use]
    pub fn has_line(&self) -> bool {
        !self.waitlist.is_quiet()
    }

    /// All waitlist entries, whatever became of them.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.waitlist.entries()
    }

    /// How many stand in line up to here: 1 is the next. Of who does not wait, where they would stand.
    #[must_use]
    pub fn position(&self, entry: &Entry) -> usize {
        self.waitlist.before(entry.turn) + 1
    }

    /// The waitlist entry that a hold was offered to, if that is what it came to.
    #[must_use]
    pub fn entry_of_offer(&self, hold: HoldKey) -> Option<&Entry> {
        self.waitlist.of_offer(hold)
    }

    /// A hold of this owner's.
    #[must_use]
    pub fn hold_of(&self, key: HoldKey, owner: Owner) -> Option<&Hold> {
        self.hold(key).filter(|h| h.owner == owner)
    }

    /// Whether seats can be held at `now`.
    #[must_use]
    pub fn sales_state(&self, now: Timestamp) -> SalesState {
        self.terms.sales_state(now)
    }

    /// When something happens by itself next: a timer at this instant makes freed seats visible on time.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    pub(crate) fn due(&self, now: Timestamp) -> impl Iterator<Item = Deadline> + '_ {
        self.deadlines.iter().take_while(move |(at, _)| *at <= now).map(|(_, what)| *what)
    }

    /// Why a place is not free; `None` when it is.
    #[must_use]
    pub fn not_free(&self, place: Place) -> Option<NotFree> {
        Some(match self.claim(place)? {
            Claim::Block(_) => NotFree::Blocked,
            Claim::Hold(key) if self.holds.get(&key).is_some_and(|h| h.booking().is_some()) => NotFree::Sold,
            Claim::Hold(_) => NotFree::Held,
        })
    }

    pub(crate) fn conflict(&self, place: Place) -> Option<ConflictReason> {
        self.not_free(place).map(|why| match why {
            NotFree::Sold => ConflictReason::Sold,
            NotFree::Blocked => ConflictReason::Blocked,
            _ => ConflictReason::Held,
        })
    }

    /// Numbered seats that are not free, by why.
    #[must_use]
    pub fn seats_not_free(&self) -> BTreeMap<NotFree, Vec<SeatId>> {
        let mut lists: BTreeMap<NotFree, Vec<SeatId>> = BTreeMap::new();
        // In the order of places, which is the reading order of seats.
        for place in self.claims.keys().copied() {
            if let (Some(seat), Some(why)) = (self.terms.plan.seat(place), self.not_free(place)) {
                lists.entry(why).or_default().push(seat.id);
            }
        }
        lists
    }

    /// How many places of each area are free.
    #[must_use]
    pub fn area_seats(&self) -> Vec<AreaSeats> {
        let free = |places: &mut dyn Iterator<Item = Place>| places.filter(|p| self.claim(*p).is_none()).count();
        let areas = self.terms.plan.areas().iter();
        areas
            .map(|a| AreaSeats {
                area: a.area,
                capacity: a.capacity.into(),
                free: u32::try_from(free(&mut a.places())).unwrap_or(u32::MAX),
            })
            .collect()
    }

    /// What became of one ticket of a booking.
    #[must_use]
    pub fn ticket_state(&self, key: HoldKey, booking: &Booking, line: usize) -> TicketState {
        let number = u16::try_from(line).unwrap_or(u16::MAX);
        match booking.lines.get(line) {
            Some(l) if l.revoked => TicketState::Revoked,
            _ if self.entries.contains_key(&(key, number)) => TicketState::Used,
            _ => TicketState::Valid,
        }
    }

    /// Who let a ticket in first.
    #[must_use]
    pub fn first_scan(&self, key: HoldKey, line: u16) -> Option<&FirstScan> {
        self.entries.get(&(key, line))
    }

    /// CANC-007: what was sold does not take place, or not as it was sold. All that was paid comes back, whatever the policy, and
    /// no ticket opens a door.
    #[must_use]
    pub fn is_off(&self) -> bool {
        !self.terms.status.takes_place()
    }

    /// What a door must know of a ticket as it stands.
    #[must_use]
    pub fn allow_state(&self, key: HoldKey, booking: &Booking, line: usize) -> AllowState {
        match self.ticket_state(key, booking, line) {
            TicketState::Used => AllowState::Used,
            TicketState::Valid if self.is_off() => AllowState::Revoked,
            TicketState::Valid if booking.balance_due().is_zero() => AllowState::Valid,
            TicketState::Valid => AllowState::Unpaid,
            _ => AllowState::Revoked,
        }
    }

    /// Every ticket that exists, read or not (capability `door`).
    #[must_use]
    pub fn allow_entries(&self) -> Vec<AllowEntry> {
        let bookings = self.holds().filter_map(|h| Some((h.key, h.booking()?)));
        let entry = |key, booking: &Booking, line: usize| {
            let state = self.allow_state(key, booking, line);
            Some(AllowEntry { id: booking.ticket_id(line)?, generation: booking.lines.get(line)?.generation, state })
        };
        let mut entries: Vec<AllowEntry> =
            bookings.flat_map(|(key, b)| (0..b.lines.len()).filter_map(move |n| entry(key, b, n))).collect();
        entries.sort_unstable();
        entries
    }

    /// The booking and line of a ticket as it stands.
    #[must_use]
    pub fn find_ticket(&self, id: TicketId) -> Option<(HoldKey, &Booking, usize)> {
        let bookings = self.holds().filter_map(|h| Some((h.key, h.booking()?)));
        bookings.into_iter().find_map(|(key, booking)| {
            let line = (0..booking.lines.len()).find(|line| booking.ticket_id(*line) == Some(id))?;
            Some((key, booking, line))
        })
    }

    /// About how much memory it takes, in bytes, without what it shares with other houses.
    #[must_use]
    pub fn weight(&self) -> usize {
        // Measured: trees are little more than half full, and allocators add a third.
        let booking = |b: &Booking| b.lines.len() * size_of::<Line>() + if b.buyer.is_some() { 200 } else { 0 };
        let hold = |h: &Hold| {
            480 + size_of::<Hold>() + h.places.len() * size_of::<HeldPlace>() + h.booking().map_or(0, booking)
        };
        size_of::<Self>()
            + self.claims.len() * (size_of::<(Place, Claim)>() + 64)
            + self.holds().map(hold).sum::<usize>()
            + self.scans.len() * size_of::<ScanRecord>()
            + self.waitlist.entries().count() * 480
    }
}

/// Bookings of one screening mostly have the same policy: it is in memory once.
fn share_policies(holds: &mut [Hold], mut policy: Arc<CancellationPolicy>) {
    for hold in holds {
        let HoldState::Converted(booking) = &mut hold.state else { continue };
        if booking.policy == policy {
            booking.policy = policy.clone();
        } else {
            policy = booking.policy.clone();
        }
    }
}
