//! The one thread that changes houses.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, VecDeque};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use admit_booking::Command;
use admit_protocol::id::ScreeningId;
use admit_protocol::time::after;
use jiff::Timestamp;
use tokio::sync::oneshot;

use super::batch::Turn;
use super::exchange::ExchangeJob;
use super::follower::take_over;
use super::{Failed, Job, Message, Request, Resident, Shared};
use crate::answers::Subject;
use crate::store::{CommitError, Outcome, Save, SharedStore, StoreError, Taken};

/// Jobs in one commit.
pub(super) const BATCH_MAX: usize = 1024;
/// So many jobs in a batch are many, where houses are locked while it lasts; then the next batch waits a moment for more of them, because half
/// of what a batch costs it costs by itself.
const MANY: usize = 4;
const GATHER: Duration = Duration::from_micros(300);
/// How often a command may meet somebody else's save before its caller is told to come again.
const CONFLICTS_MAX: u8 = 5;
/// How often what need not be kept any more is dropped, a part at a time: 40 million answers a day.
const TIDY_EVERY: Duration = Duration::from_secs(2);
/// How long the writer sleeps when nothing is due.
const SLEEP_MAX: Duration = Duration::from_secs(1);

pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    jobs: Receiver<Message>,
    /// When to let time pass for a house. An entry that `watched` does not have is stale.
    timers: BinaryHeap<Reverse<(Timestamp, ScreeningId)>>,
    /// Houses that have a timer, and its instant: never later than something is due.
    watched: HashMap<ScreeningId, (Timestamp, Weak<Resident>)>,
    /// Jobs that met somebody else's save.
    again: VecDeque<Job>,
    /// Exchanges between two houses.
    exchanges: Vec<ExchangeJob>,
    /// Whether many asked at once for houses that others sell from, too.
    crowded: bool,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, jobs: Receiver<Message>) -> Self {
        Self {
            shared,
            jobs,
            timers: BinaryHeap::new(),
            watched: HashMap::new(),
            again: VecDeque::new(),
            exchanges: Vec::new(),
            crowded: false,
        }
    }

    /// Runs until nobody can send any more.
    pub(super) fn run(mut self) {
        let shared = self.shared.clone();
        for resident in shared.lines() {
            self.watch(&resident);
            // The programme may be another one by now, and time has passed.
            let request =
                Request { command: Command::LookAtLine, by: "clock".into(), key: None, subject: Subject::Nothing };
            let (reply, _) = oneshot::channel();
            self.again.push_back(Job { resident, request: Some(request), reply, conflicts: 0 });
        }
        let mut tidied = Instant::now();
        while let Some(batch) = self.next_batch() {
            if tidied.elapsed() >= TIDY_EVERY && !shared.poisoned.load(std::sync::atomic::Ordering::Acquire) {
                tidied = Instant::now();
                if let Err(error) = shared.store.tidy(shared.clock.now()) {
                    tracing::warn!(%error, "what need not be kept any more could not be dropped");
                }
            }
            match shared.store.shared() {
                None => {
                    let turns = decide(batch, &shared, Turn::new);
                    self.commit(turns, |saves| shared.store.save(saves).map(Some));
                }
                Some(store) => {
                    let many = batch.len() >= MANY;
                    self.crowded = false;
                    for part in in_parts(batch) {
                        if part.iter().all(|job| job.conflicts == 0 && shared.is_likely_current(&job.resident)) {
                            self.decide_first(store, part);
                        } else {
                            self.crowded = many;
                            self.take_first(store, part);
                        }
                    }
                }
            }
            std::mem::take(&mut self.exchanges).into_iter().for_each(|job| self.exchange(job));
        }
    }

    /// Decides on what is in memory, and saves it where that is still so: a trip to the database, and no lock that is held over one. What
    /// changes nothing is not answered by that: nobody looked whether it still is so.
    fn decide_first(&mut self, store: &dyn SharedStore, batch: Vec<Job>) {
        let shared = self.shared.clone();
        let programme = shared.terms.programme();
        let turns = decide(batch, &shared, Turn::unsure);
        let (turns, unchanged): (Vec<Turn>, Vec<Turn>) =
            turns.into_iter().partition(|turn| turn.save().is_some() || turn.broken().is_some());
        unchanged.into_iter().for_each(|turn| self.decide_again(turn));
        self.commit(turns, |saves| store.save_if_unchanged(saves, programme));
    }

    /// Takes the houses of these jobs for itself, takes over what other processes saved of them, decides, and saves.
    fn take_first(&mut self, store: &dyn SharedStore, batch: Vec<Job>) {
        let houses: BTreeMap<ScreeningId, Arc<Resident>> =
            batch.iter().map(|job| (job.resident.screening(), job.resident.clone())).collect();
        let shared = self.shared.clone();
        let Ok((taken, unread)) = self.take(store, &houses) else { return refuse(batch) };
        let (lost, batch): (Vec<Job>, Vec<Job>) =
            batch.into_iter().partition(|job| unread.contains(&job.resident.screening()));
        lost.into_iter().for_each(|job: Job| {
            let why = shared.why_unread(job.resident.screening());
            drop(job.reply.send(Err(why)));
        });
        let turns = decide(batch, &shared, Turn::new);
        self.commit(turns, |saves| taken.save(saves).map(Some));
    }

    /// Takes houses for this process alone, and takes over what others saved of them. Which of them could not be read: those keep nobody
    /// else waiting.
    pub(super) fn take<'a>(
        &mut self,
        store: &'a dyn SharedStore,
        houses: &BTreeMap<ScreeningId, Arc<Resident>>,
    ) -> Result<(Box<dyn Taken + 'a>, BTreeSet<ScreeningId>), StoreError> {
        let seen: Vec<(ScreeningId, u64)> = houses.iter().map(|(id, resident)| (*id, resident.version())).collect();
        let shared = self.shared.clone();
        let began = shared.clock.now();
        let taken = store.take(&seen, &|name| shared.terms.prices(name)).and_then(|taken| {
            shared.terms.keep_up(taken.programme())?;
            Ok(taken)
        });
        let mut taken = taken.inspect_err(|error| {
            tracing::error!(%error, "houses could not be taken; nothing was decided");
            houses.values().for_each(|resident| self.watch_later(resident));
        })?;
        let mut unread = BTreeSet::new();
        for (resident, news) in houses.values().zip(taken.news()) {
            let Some(news) = news else { continue };
            let took = take_over(&shared, resident, news);
            self.watch(resident);
            if let Err(error) = took {
                tracing::error!(screening = %resident.screening(), ?error, "a house could not be loaded again");
                unread.insert(resident.screening());
            }
        }
        houses.values().filter(|r| !unread.contains(&r.screening())).for_each(|resident| resident.was_current(began));
        Ok((taken, unread))
    }

    /// What is waiting, in order of arrival; what is due when nothing is; `None` when the engine is gone.
    fn next_batch(&mut self) -> Option<Vec<Job>> {
        let mut batch: Vec<Job> = self.again.drain(..).collect();
        if batch.is_empty() {
            match self.jobs.recv_timeout(self.sleep()) {
                Ok(message) => self.receive(message, &mut batch),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
        if self.crowded && !batch.is_empty() {
            // Others will be here before the database has answered.
            std::thread::sleep(GATHER);
        }
        while batch.len() + self.exchanges.len() < BATCH_MAX {
            match self.jobs.try_recv() {
                Ok(message) => self.receive(message, &mut batch),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
        self.wake(&mut batch);
        Some(batch)
    }

    fn receive(&mut self, message: Message, batch: &mut Vec<Job>) {
        match message {
            Message::Job(job) => batch.push(*job),
            Message::Exchange(job) => self.exchanges.push(*job),
            Message::Watch(resident) => self.watch(&resident),
        }
    }

    fn sleep(&self) -> Duration {
        let Some(Reverse((at, _))) = self.timers.peek() else { return SLEEP_MAX };
        let left = at.duration_since(self.shared.clock.now());
        Duration::try_from(left).unwrap_or_default().min(SLEEP_MAX)
    }

    pub(super) fn watch(&mut self, resident: &Arc<Resident>) {
        if let Some(at) = resident.read(admit_booking::House::next_deadline) {
            self.wake_at(at, resident);
        }
    }

    /// What was due still is: it is tried again in a while.
    fn watch_later(&mut self, resident: &Arc<Resident>) {
        if resident.read(admit_booking::House::next_deadline).is_some() {
            self.wake_at(after(self.shared.clock.now(), 1), resident);
        }
    }

    /// Sets a timer, unless there is one that comes before.
    fn wake_at(&mut self, at: Timestamp, resident: &Arc<Resident>) {
        let screening = resident.screening();
        let (timer, known) = self.watched.entry(screening).or_insert((Timestamp::MAX, Weak::new()));
        // It may have left the memory and come back.
        *known = Arc::downgrade(resident);
        if at < *timer {
            *timer = at;
            self.timers.push(Reverse((at, screening)));
        }
    }

    /// Adds a job for every house for which something is due.
    fn wake(&mut self, batch: &mut Vec<Job>) {
        let now = self.shared.clock.now();
        while let Some(Reverse((at, screening))) = self.timers.peek().copied() {
            if at > now || batch.len() >= BATCH_MAX {
                break;
            }
            self.timers.pop();
            if self.watched.get(&screening).is_none_or(|(timer, _)| *timer != at) {
                continue;
            }
            let Some(resident) = self.watched.remove(&screening).and_then(|(_, known)| known.upgrade()) else {
                continue;
            };
            if resident.is_due(now) {
                // Whatever becomes of the job, the house is looked at again.
                self.watch_later(&resident);
                // Nobody waits for time to pass.
                let (reply, _) = oneshot::channel();
                batch.push(Job { resident, request: None, reply, conflicts: 0 });
            } else {
                self.watch(&resident);
            }
        }
    }

    /// Saves what was decided, and answers who waits for it.
    fn commit(
        &mut self,
        turns: Vec<Turn>,
        save: impl FnOnce(&[Save<'_>]) -> Result<Option<Vec<Outcome>>, CommitError>,
    ) {
        for turn in &turns {
            turn.broken().into_iter().for_each(|why| turn.quarantine(why));
        }
        let mut changed: Vec<Turn> = turns.into_iter().filter(|t| t.save().is_some()).collect();
        if changed.is_empty() {
            return;
        }
        if self.shared.poisoned.load(std::sync::atomic::Ordering::Acquire) {
            return answer_all(changed, || Failed::OutcomeUnknown);
        }
        let began = self.shared.clock.now();
        let saves: Vec<_> = changed.iter().filter_map(Turn::save).collect();
        changed.iter().for_each(Turn::is_saving);
        let outcomes = match save(&saves) {
            Ok(Some(outcomes)) => outcomes,
            Ok(None) => {
                self.shared.others_saved(began);
                return changed.into_iter().for_each(|turn| self.decide_again(turn));
            }
            Err(CommitError::NotDone(error)) => {
                tracing::error!(%error, "a batch could not be saved; nothing of it was");
                changed.iter().for_each(|turn| self.watch_later(&turn.resident));
                let apart = self.shared.store.shared().is_some();
                return answer_all(changed, || if apart { Failed::NoStore } else { Failed::Busy });
            }
            Err(CommitError::Unknown(error)) if self.shared.store.shared().is_some() => {
                // Whoever takes these houses next finds out, before anything is decided of them.
                tracing::error!(%error, "the outcome of a commit is unknown");
                changed.iter().for_each(|turn| self.watch_later(&turn.resident));
                return answer_all(changed, || Failed::OutcomeUnknown);
            }
            Err(CommitError::Unknown(error)) => {
                tracing::error!(%error, "the outcome of a commit is unknown: no more sales until a restart");
                self.shared.poison();
                return answer_all(changed, || Failed::OutcomeUnknown);
            }
        };
        for (mut turn, outcome) in changed.drain(..).zip(outcomes) {
            match outcome {
                Outcome::Saved => {
                    turn.resident.was_current(began);
                    let grown = turn.publish();
                    for (job, result) in turn.waiting.drain(..) {
                        let _ = job.reply.send(result);
                    }
                    self.watch(&turn.resident);
                    self.shared.follow_line(&turn.resident);
                    turn.resident.changed();
                    if grown > 0 {
                        self.shared.make_room(grown);
                    }
                }
                Outcome::Conflict => {
                    self.shared.others_saved(began);
                    self.reload(turn);
                }
                Outcome::Broken(why) => {
                    turn.quarantine(&why);
                    answer_all(vec![turn], || Failed::Busy);
                }
            }
        }
    }

    /// Somebody else saved this house: take over what they saved, and decide again.
    fn reload(&mut self, turn: Turn) {
        let screening = turn.resident.screening();
        match self.shared.load_again(&turn.resident) {
            Ok(()) => turn.resident.changed(),
            Err(error) => {
                tracing::error!(%screening, ?error, "a house could not be loaded again");
                return answer_all(vec![turn], || Failed::Busy);
            }
        }
        self.decide_again(turn);
    }

    /// What was decided does not count: it may have been over. It is decided once more, while nobody else can save.
    fn decide_again(&mut self, turn: Turn) {
        for (mut job, _) in turn.waiting {
            job.conflicts += 1;
            if job.conflicts > CONFLICTS_MAX {
                let _ = job.reply.send(Err(Failed::Busy));
            } else {
                self.again.push_back(job);
            }
        }
    }
}

/// Decides jobs, those of one house after another in their order.
fn decide(batch: Vec<Job>, shared: &Shared, turn_of: impl Fn(Arc<Resident>) -> Turn) -> Vec<Turn> {
    let mut turns: Vec<Turn> = Vec::with_capacity(batch.len());
    let mut by_house: HashMap<*const Resident, usize> = HashMap::with_capacity(batch.len());
    for job in batch {
        let turn = *by_house.entry(Arc::as_ptr(&job.resident)).or_insert_with(|| {
            turns.push(turn_of(job.resident.clone()));
            turns.len() - 1
        });
        turns[turn].take(job, shared);
    }
    turns
}

/// Houses in one commit of a store that several process share: they are locked while it lasts.
const HOUSES_MAX: usize = 64;

/// Jobs in parts of so many houses; those of one house stay together, in their order.
fn in_parts(batch: Vec<Job>) -> Vec<Vec<Job>> {
    let mut parts: Vec<Vec<Job>> = Vec::new();
    let mut part_of: HashMap<ScreeningId, usize> = HashMap::new();
    for job in batch {
        let part = *{
            let next = part_of.len() / HOUSES_MAX;
            part_of.entry(job.resident.screening()).or_insert(next)
        };
        if parts.len() <= part {
            parts.push(Vec::new());
        }
        parts[part].push(job);
    }
    parts
}

/// Nothing was decided: they may ask again.
fn refuse(jobs: Vec<Job>) {
    jobs.into_iter().for_each(|job| drop(job.reply.send(Err(Failed::NoStore))));
}

fn answer_all(turns: Vec<Turn>, failed: impl Fn() -> Failed) {
    for turn in turns {
        for (job, _) in turn.waiting {
            let _ = job.reply.send(Err(failed()));
        }
    }
}
