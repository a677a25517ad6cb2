//! The one thread that changes houses.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::sync::{Arc, Weak};
use std::time::Duration;

use admit_protocol::id::ScreeningId;
use jiff::Timestamp;
use tokio::sync::oneshot;

use super::batch::Turn;
use super::{Failed, Job, Message, Resident, Shared};
use crate::store::{CommitError, Outcome};

/// Jobs in one commit.
const BATCH_MAX: usize = 1024;
/// How often a command may meet somebody else's save before its caller is told to come again.
const CONFLICTS_MAX: u8 = 5;
/// How long the writer sleeps when nothing is due.
const SLEEP_MAX: Duration = Duration::from_secs(1);

pub(super) struct Writer {
    shared: Arc<Shared>,
    jobs: Receiver<Message>,
    /// When to let time pass for a house. An entry may be stale; waking for nothing does no harm.
    timers: BinaryHeap<Reverse<(Timestamp, ScreeningId)>>,
    /// Houses that have a timer.
    watched: HashMap<ScreeningId, Weak<Resident>>,
    /// Jobs that met somebody else's save.
    again: VecDeque<Job>,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, jobs: Receiver<Message>) -> Self {
        Self { shared, jobs, timers: BinaryHeap::new(), watched: HashMap::new(), again: VecDeque::new() }
    }

    /// Runs until nobody can send any more.
    pub(super) fn run(mut self) {
        while let Some(batch) = self.next_batch() {
            let turns = self.decide(batch);
            self.commit(turns);
        }
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
        while batch.len() < BATCH_MAX {
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
            Message::Watch(resident) => self.watch(&resident),
        }
    }

    fn sleep(&self) -> Duration {
        let Some(Reverse((at, _))) = self.timers.peek() else { return SLEEP_MAX };
        let left = at.duration_since(self.shared.clock.now());
        Duration::try_from(left).unwrap_or_default().min(SLEEP_MAX)
    }

    fn watch(&mut self, resident: &Arc<Resident>) {
        if let Some(at) = resident.read(admit_booking::House::next_deadline) {
            self.timers.push(Reverse((at, resident.screening())));
            self.watched.insert(resident.screening(), Arc::downgrade(resident));
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
            match self.watched.get(&screening).and_then(Weak::upgrade) {
                Some(resident) => {
                    // Nobody waits for time to pass.
                    let (reply, _) = oneshot::channel();
                    batch.push(Job { resident, request: None, reply, conflicts: 0 });
                }
                None => drop(self.watched.remove(&screening)),
            }
        }
    }

    fn decide(&self, batch: Vec<Job>) -> Vec<Turn> {
        let mut turns: Vec<Turn> = Vec::with_capacity(batch.len());
        let mut by_house: HashMap<*const Resident, usize> = HashMap::with_capacity(batch.len());
        for job in batch {
            let turn = *by_house.entry(Arc::as_ptr(&job.resident)).or_insert_with(|| {
                turns.push(Turn::new(job.resident.clone()));
                turns.len() - 1
            });
            turns[turn].take(job, &self.shared);
        }
        turns
    }

    fn commit(&mut self, turns: Vec<Turn>) {
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
        let saves: Vec<_> = changed.iter().filter_map(Turn::save).collect();
        let outcomes = match self.shared.store.save(&saves) {
            Ok(outcomes) => outcomes,
            Err(CommitError::NotDone(error)) => {
                tracing::error!(%error, "a batch could not be saved; nothing of it was");
                return answer_all(changed, || Failed::Busy);
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
                    turn.publish();
                    for (job, result) in turn.waiting.drain(..) {
                        let _ = job.reply.send(result);
                    }
                    self.watch(&turn.resident);
                    turn.resident.changed();
                }
                Outcome::Conflict => self.reload(turn),
                Outcome::Broken(why) => {
                    turn.quarantine(&why);
                    answer_all(vec![turn], || Failed::Busy);
                }
            }
        }
    }

    /// Somebody else saved this house: take over what they saved, and decide again.
    fn reload(&mut self, mut turn: Turn) {
        let screening = turn.resident.screening();
        let terms = self.shared.terms.terms(screening);
        let loaded = terms.ok_or(Failed::NoScreening).and_then(|terms| Ok(self.shared.load(screening, terms)?));
        match loaded {
            Ok(fresh) => {
                std::mem::swap(&mut *turn.resident.state_mut(), &mut *fresh.state_mut());
                turn.resident.changed();
            }
            Err(error) => {
                tracing::error!(%screening, ?error, "a house could not be loaded again");
                return answer_all(vec![turn], || Failed::Busy);
            }
        }
        for (mut job, _) in turn.waiting.drain(..) {
            job.conflicts += 1;
            if job.conflicts > CONFLICTS_MAX {
                let _ = job.reply.send(Err(Failed::Busy));
            } else {
                self.again.push_back(job);
            }
        }
    }
}

fn answer_all(turns: Vec<Turn>, failed: impl Fn() -> Failed) {
    for turn in turns {
        for (job, _) in turn.waiting {
            let _ = job.reply.send(Err(failed()));
        }
    }
}
