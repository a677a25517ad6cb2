//! What the commands of one batch do to one house.

use std::collections::HashMap;
use std::sync::Arc;

use admit_booking::{Booking, Broken, Changes, Claim, Command, Entry, EntryState, HoldKey, HoldState, House};
use admit_protocol::notification::NotificationKind;
use jiff::Timestamp;

use super::exchange::Exchanging;
use super::{Done, Failed, Job, Key, Request, Resident, Shared};
use crate::answers::{Subject, View};
use crate::store::{
    About, Answer, CashWay, Claimed, KeyPrint, KnownKey, LogEntry, Message, NewAnswer, Save, TillEntry,
};

/// What a hold takes in memory once it is a booking of some seats, with what it claims, the keys of its requests, and
/// what allocators add.
const HOLD_BYTES: usize = 1900;

/// One house in one batch.
pub(super) struct Turn {
    pub(super) resident: Arc<Resident>,
    seen: u64,
    now: Timestamp,
    /// The house as earlier commands of this batch leave it; made when a second change needs it.
    working: Option<Box<House>>,
    changes: Vec<Changes>,
    answers: Vec<NewAnswer>,
    keys: HashMap<KeyPrint, (KnownKey, Done)>,
    log: Vec<LogEntry>,
    till: Vec<TillEntry>,
    outbox: Vec<Message>,
    /// What nobody is to be told of any more.
    forgotten: Vec<About>,
    /// Whether nobody else can have saved this house meanwhile.
    sure: bool,
    /// Whether somebody has: what was decided in this turn is over.
    stale: bool,
    /// Why nothing more is decided in this turn.
    broken: Option<String>,
    /// Who hears what, once it is committed.
    pub(super) waiting: Vec<(Job, Result<Done, Failed>)>,
}

impl Turn {
    /// A turn of a house that nobody else can save.
    pub(super) fn new(resident: Arc<Resident>) -> Self {
        Self::begin(resident, true)
    }

    /// A turn of a house that somebody else may have saved: nobody is answered before it is known that nobody has.
    pub(super) fn unsure(resident: Arc<Resident>) -> Self {
        Self::begin(resident, false)
    }

    fn begin(resident: Arc<Resident>, sure: bool) -> Self {
        let (seen, now) = resident.read(|house| (house.version(), house.now()));
        Self {
            resident,
            seen,
            now,
            working: None,
            changes: Vec::new(),
            answers: Vec::new(),
            keys: HashMap::new(),
            log: Vec::new(),
            till: Vec::new(),
            outbox: Vec::new(),
            forgotten: Vec::new(),
            sure,
            stale: false,
            broken: None,
            waiting: Vec::new(),
        }
    }

    /// Decides one job. It is answered at once if nothing uncommitted is involved.
    pub(super) fn take(&mut self, mut job: Job, shared: &Shared) {
        let request = job.request.take();
        let result = self.decide(request.as_ref(), shared);
        job.request = request;
        if self.changes.is_empty() && self.sure {
            // The receiver may have gone away: its command is decided all the same.
            let _ = job.reply.send(result);
        } else {
            self.waiting.push((job, result));
        }
    }

    fn decide(&mut self, request: Option<&Request>, shared: &Shared) -> Result<Done, Failed> {
        let resident = self.resident.clone();
        let state = resident.state();
        if state.quarantine.is_some() || self.broken.is_some() {
            return Err(Failed::Busy);
        }
        if self.stale || (!self.sure && state.house.version() != self.seen) {
            return Err(self.is_over());
        }
        if let Some(Key { print, body }) = request.and_then(|r| r.key) {
            if let Some((known, done)) = self.keys.get(&print) {
                return if known.said == body {
                    Ok(Done { replayed: true, ..done.clone() })
                } else {
                    Err(Failed::KeyReused)
                };
            }
            if let Some(known) = state.keys.get(&print) {
                return Err(if known.said == body { Failed::Again } else { Failed::KeyReused });
            }
        }
        // What earlier commands of this batch changed is what this one sees.
        self.see_changes(&state.house)?;
        self.let_pass(shared.clock.now(), &state.house)?;
        let Some(request) = request else { return Ok(Done { status: 204, body: Default::default(), replayed: false }) };
        let house = self.house(&state.house);
        let seq = self.seen + 1;
        let changes = match house.decide(&request.command, self.now) {
            Ok(changes) => changes,
            Err(refusal) => return Err(Failed::Refused(refusal, house.version())),
        };
        let view = View { house, changes: &changes, seq: if changes.is_empty() { house.version() } else { seq } };
        let (status, body) = shared.answers.after(&view, request.subject);
        let done = Done { status, body, replayed: false };
        if changes.is_empty() {
            return Ok(done);
        }
        let kind = message_kind(&request.command);
        let told = |key: HoldKey| match &request.command {
            Command::Exchange { wish, .. } => key == wish.hold,
            _ => true,
        };
        self.outbox.extend(kind.into_iter().flat_map(|kind| messages(kind, &changes, told, &self.resident)));
        self.outbox.extend(offers(&changes, &self.resident));
        if let Command::Forget(_) = request.command {
            self.forgotten.extend(changes.moved.iter().map(|(key, _)| About::Hold(*key)));
            self.forgotten.extend(changes.entries.iter().map(|entry| About::Entry(entry.key)));
        }
        self.log.push(log_entry(&request.by, name(&request.command), request.subject.hold(), &changes));
        self.till.extend(cash(request));
        // Whatever has a key is about a hold or a waitlist entry.
        if let (Some(Key { print: key, body: said }), Some(about)) = (request.key, request.subject.about()) {
            let known = KnownKey { key, said, about };
            self.answers.push(NewAnswer { known, answer: Answer { status, body: Some(done.body.clone()) } });
            self.keys.insert(key, (known, done.clone()));
        }
        self.change(changes)?;
        Ok(done)
    }

    /// Makes true what is due at `now`, before anything is decided then.
    fn let_pass(&mut self, now: Timestamp, committed: &House) -> Result<(), Failed> {
        self.now = self.now.max(now);
        let lapsed = self.house(committed).advance(self.now);
        if !lapsed.is_empty() {
            self.log.push(log_entry("clock", "lapse", None, &lapsed));
            self.outbox.extend(messages(NotificationKind::BookingLapsed, &lapsed, |_| true, &self.resident));
            self.outbox.extend(offers(&lapsed, &self.resident));
            self.change(lapsed)?;
            self.see_changes(committed)?;
        }
        Ok(())
    }

    /// Decides an exchange between two houses: what it changes is in both turns, to be saved together.
    pub(super) fn exchange(&mut self, there: &mut Self, request: &Exchanging, shared: &Shared) -> Result<Done, Failed> {
        let (here, other) = (self.resident.clone(), there.resident.clone());
        let (state, Some(other_state)) = here.both(&other) else { return Err(Failed::Busy) };
        if state.quarantine.is_some() || other_state.quarantine.is_some() {
            return Err(Failed::Busy);
        }
        let Exchanging { wish, quote, seed, key, by } = request;
        if let Some(known) = state.keys.get(&key.print) {
            return Err(if known.said == key.body { Failed::Again } else { Failed::KeyReused });
        }
        let now = shared.clock.now().max(self.now).max(there.now);
        self.let_pass(now, &state.house)?;
        there.let_pass(now, &other_state.house)?;
        let (from, to) = (self.house(&state.house), there.house(&other_state.house));
        let (given, taken) = match from.exchange_to(to, wish, *quote, *seed, now) {
            Ok((given, taken)) => (from.with_offers(given, now), to.with_offers(taken, now)),
            Err(refusal) => return Err(Failed::Refused(refusal, from.version())),
        };
        let view = View { house: to, changes: &taken, seq: there.seen + 1 };
        let (status, body) = shared.answers.after(&view, Subject::Booked(wish.hold));
        let done = Done { status, body: body.clone(), replayed: false };
        // The booking whose tickets were given is what was asked, and has it on record.
        let known = KnownKey { key: key.print, said: key.body, about: About::Hold(wish.booking) };
        self.answers.push(NewAnswer { known, answer: Answer { status, body: Some(body) } });
        self.keys.insert(key.print, (known, done.clone()));
        self.log.push(log_entry(by, "exchange", Some(wish.booking), &given));
        there.log.push(log_entry(by, "exchange", Some(wish.hold), &taken));
        there.outbox.extend(messages(
            NotificationKind::BookingExchanged,
            &taken,
            |key| key == wish.hold,
            &there.resident,
        ));
        for (turn, changes) in [(&mut *self, &given), (&mut *there, &taken)] {
            let told = offers(changes, &turn.resident).collect::<Vec<_>>();
            turn.outbox.extend(told);
        }
        self.change(given)?;
        there.change(taken)?;
        Ok(done)
    }

    fn house<'a>(&'a self, committed: &'a House) -> &'a House {
        self.working.as_deref().unwrap_or(committed)
    }

    /// Makes a working copy with everything that was changed in this batch, if anything was.
    fn see_changes(&mut self, committed: &House) -> Result<(), Failed> {
        if self.changes.is_empty() || self.working.is_some() {
            return Ok(());
        }
        let mut working = self.resident.working_copy(committed);
        for changes in self.changes.clone() {
            if let Err(broken) = working.apply(changes) {
                return Err(self.give_up(&broken));
            }
        }
        self.working = Some(working);
        Ok(())
    }

    /// Notes changes, and makes them true in the working copy if there is one.
    fn change(&mut self, changes: Changes) -> Result<(), Failed> {
        if let Some(working) = &mut self.working
            && let Err(broken) = working.apply(changes.clone())
        {
            return Err(self.give_up(&broken));
        }
        self.changes.push(changes);
        Ok(())
    }

    /// What was decided does not fit the house it was decided on. Nothing of this batch is saved for it; who waits hears
    /// that the outcome is unknown, and finds on asking again that nothing was done.
    fn give_up(&mut self, broken: &Broken) -> Failed {
        if !self.sure {
            return self.is_over();
        }
        self.broken = Some(broken.to_string());
        self.changes.clear();
        self.waiting.clear();
        Failed::Busy
    }

    /// Somebody else saved this house while it was decided on: everybody who waits is decided again.
    fn is_over(&mut self) -> Failed {
        self.stale = true;
        self.changes.clear();
        Failed::Busy
    }

    /// What to save, if anything changed.
    pub(super) fn save(&self) -> Option<Save<'_>> {
        (!self.changes.is_empty()).then_some(Save {
            screening: self.resident.screening(),
            seen: self.seen,
            now: self.now,
            changes: &self.changes,
            answers: &self.answers,
            log: &self.log,
            till: &self.till,
            outbox: &self.outbox,
            forgotten: &self.forgotten,
        })
    }

    /// This process is about to save what was decided.
    pub(super) fn is_saving(&self) {
        self.resident.is_saving(self.seen + 1);
    }

    /// It is committed: everybody may see it. Says by how many bytes the house has grown, about.
    pub(super) fn publish(&mut self) -> usize {
        let mut state = self.resident.state_mut();
        if state.house.version() != self.seen {
            // Who follows what is saved was faster, and has it all.
            return 0;
        }
        let grown = self.changes.iter().map(|changes| changes.placed.len()).sum::<usize>() * HOLD_BYTES;
        let changes = std::mem::take(&mut self.changes);
        match self.working.take() {
            Some(mut working) => {
                working.saved(self.seen + 1, self.now);
                self.resident.keep_working_copy(working);
            }
            None => self.resident.keep_up_working_copy(self.seen, |copy| {
                changes.iter().cloned().try_for_each(|changes| copy.apply(changes))?;
                copy.saved(self.seen + 1, self.now);
                Ok(())
            }),
        }
        let applied = changes.into_iter().try_for_each(|c| state.house.apply(c));
        if let Err(broken) = applied {
            tracing::error!(screening = %self.resident.screening(), %broken, "house quarantined after a save");
            state.quarantine = Some(broken.to_string());
        }
        state.house.saved(self.seen + 1, self.now);
        state.keys.extend(self.keys.drain().map(|(key, (known, _))| (key, known)));
        drop(state);
        self.resident.grow(grown);
        grown
    }

    /// Why this house must not be sold from any more, if so.
    pub(super) fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }

    /// Nothing of it is committed, and nothing of it will be.
    pub(super) fn quarantine(&self, why: &str) {
        tracing::error!(screening = %self.resident.screening(), why, "house quarantined: its rows contradict it");
        self.resident.state_mut().quarantine = Some(why.to_owned());
    }
}

fn log_entry(by: &str, did: &str, hold: Option<HoldKey>, changes: &Changes) -> LogEntry {
    let mut claimed = Vec::with_capacity(changes.claimed.len());
    let mut others: Vec<Claimed> = Vec::new();
    let mut last = None;
    for (place, claim) in &changes.claimed {
        let owner = match claim {
            Claim::Hold(key) => Some(*key),
            Claim::Block(_) => None,
        };
        if owner == hold {
            claimed.push(place.0);
        } else if let Some(other) = others.last_mut().filter(|_| last == Some(owner)) {
            other.places.push(place.0);
        } else {
            others.push(Claimed { hold: owner.map(HoldKey::hex), places: vec![place.0] });
            last = Some(owner);
        }
    }
    LogEntry {
        by: by.to_owned(),
        did: did.to_owned(),
        hold: hold.map(HoldKey::hex),
        claimed,
        claimed_unsaid: Vec::new(),
        freed: changes.freed.iter().map(|(place, _)| place.0).collect(),
        others,
    }
}

/// The command's name in the audit trail.
fn name(command: &Command) -> &'static str {
    match command {
        Command::PlaceHold(_) => "place_hold",
        Command::Release { .. } => "release_hold",
        Command::Extend { .. } => "extend_hold",
        Command::Book { .. } => "book",
        Command::BeginPayment { .. } => "begin_payment",
        Command::EndPayment { .. } => "end_payment",
        Command::Settle { .. } => "settle",
        Command::Refund { .. } => "refund",
        Command::Cancel { .. } => "cancel",
        Command::Exchange { .. } => "exchange",
        Command::Block { .. } => "block",
        Command::Unblock { .. } => "unblock",
        Command::Scan { .. } => "scan",
        Command::JoinWaitlist(_) => "join_waitlist",
        Command::LeaveWaitlist { .. } => "leave_waitlist",
        Command::Forget(_) => "forget",
        Command::LookAtLine => "look_at_line",
        Command::Amend(_) => "amend",
    }
}

/// Money that goes over the counter by a command, if it is one about that.
fn cash(request: &Request) -> Option<TillEntry> {
    let (booking, amount, way) = match request.command {
        Command::Settle { booking, amount } => (booking, amount, CashWay::Taken),
        Command::Refund { booking, amount } => (booking, amount, CashWay::GivenBack),
        _ => return None,
    };
    let by = request.by.strip_prefix("staff:").unwrap_or(&request.by).to_owned();
    Some(TillEntry { by, booking, amount, way })
}

/// What a booking's buyer is told after a command, if it is about a booking.
fn message_kind(command: &Command) -> Option<NotificationKind> {
    match command {
        Command::Book { .. } | Command::EndPayment { .. } => Some(NotificationKind::BookingConfirmed),
        Command::Settle { .. } => Some(NotificationKind::BookingPaid),
        Command::Refund { .. } => Some(NotificationKind::BookingRefunded),
        Command::Cancel { .. } => Some(NotificationKind::BookingCancelled),
        Command::Exchange { .. } => Some(NotificationKind::BookingExchanged),
        Command::PlaceHold(_)
        | Command::Release { .. }
        | Command::Extend { .. }
        | Command::BeginPayment { .. }
        | Command::Block { .. }
        | Command::Unblock { .. }
        | Command::Scan { .. }
        | Command::JoinWaitlist(_)
        | Command::LeaveWaitlist { .. }
        | Command::Forget(_)
        | Command::LookAtLine
        | Command::Amend(_) => None,
    }
}

/// Messages to parties who left an address, about what they are offered from now on.
fn offers(changes: &Changes, resident: &Resident) -> impl Iterator<Item = Message> {
    changes.placed.iter().flat_map(move |hold| {
        let offered = |entry: &&Entry| entry.state == EntryState::Offered(hold.key);
        let entry = changes.entries.iter().find(offered).filter(|entry| entry.buyer.is_some());
        entry.map_or_else(Vec::new, |entry| {
            let about = serde_json::json!({
                "screening": resident.screening(),
                "waitlist_entry": entry.key.id(),
                "hold": hold.key.hold_id(),
                "expires_at": hold.state.deadline(),
            });
            Message::to_each(entry.buyer.as_ref(), NotificationKind::WaitlistOffer, About::Entry(entry.key), &about)
        })
    })
}

/// Messages to buyers who left an address, about each of these bookings that changed.
fn messages(
    kind: NotificationKind,
    changes: &Changes,
    about: impl Fn(HoldKey) -> bool,
    resident: &Resident,
) -> impl Iterator<Item = Message> {
    changes.moved.iter().filter(move |(key, _)| about(*key)).flat_map(move |(key, state)| {
        let HoldState::Converted(Booking { buyer: Some(buyer), .. }) = state else { return Vec::new() };
        let about = serde_json::json!({"screening": resident.screening(), "booking": key.booking_id()});
        Message::to_each(Some(buyer), kind, About::Hold(*key), &about)
    })
}
