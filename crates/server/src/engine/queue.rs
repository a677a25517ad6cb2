//! Places in queues: who comes is given one by a thread of its own, many in one commit; everybody else only reads (capability `queue`).

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;

use admit_booking::queue::{Admission, Line, Pass, QueuePlace, QueueTerms, read_pass};
use admit_booking::{Network, Owner, Refusal, Terms};
use admit_protocol::id::ScreeningId;
use jiff::Timestamp;
use tokio::sync::oneshot;

use super::writer::BATCH_MAX;
use super::{Engine, Failed, Shared};
use crate::store::{CommitError, LineRows, QueueStore, StoreError};

/// A place, and the line that it is in.
#[derive(Debug)]
pub(crate) struct Standing {
    pub(crate) line: Line,
    pub(crate) place: QueuePlace,
    /// Whether it was given just now.
    pub(crate) is_new: bool,
}

/// Something that is asked of a line.
pub(super) struct QueueJob {
    screening: ScreeningId,
    ask: Ask,
    reply: oneshot::Sender<Result<Option<Standing>, Failed>>,
}

#[derive(Debug, Clone, Copy)]
enum Ask {
    /// A place.
    Come(Owner, Option<Network>),
    /// To give it up.
    Leave(Owner),
    /// That the draw is made, if it is due.
    Draw,
}

impl Engine {
    /// A place for who comes now: the one that they have, or a new one, and then it is on disk.
    pub(crate) async fn come(
        &self,
        terms: Arc<Terms>,
        owner: Owner,
        network: Option<Network>,
    ) -> Result<Standing, Failed> {
        let Some(queue) = &terms.queue else { return Err(Failed::NoScreening) };
        // Most who ask again have one, and many who ask are too early: neither keeps anybody waiting.
        let known = self.standing(&terms, owner).await?;
        let now = self.shared.clock.now();
        match known {
            Some(known) if known.line.stands(&terms, queue, &known.place, now) => return Ok(known),
            _ => queue.check_open(now).map_err(Failed::Ruled)?,
        }
        self.ask(terms.screening, Ask::Come(owner, network)).await?.ok_or(Failed::NoScreening)
    }

    /// Somebody's place, as it stands now; none, if they gave it up.
    pub(crate) async fn standing(&self, terms: &Terms, owner: Owner) -> Result<Option<Standing>, Failed> {
        let mut found = self.read_place(terms.screening, owner).await?;
        // Nobody need wait for somebody else to ask.
        if found.as_ref().is_some_and(|found| found.line.is_to_be_drawn(terms, self.shared.clock.now())) {
            self.ask(terms.screening, Ask::Draw).await?;
            found = self.read_place(terms.screening, owner).await?;
        }
        Ok(found.filter(|standing| !standing.place.left))
    }

    /// Gives up somebody's place; also when there is none.
    pub(crate) async fn leave(&self, screening: ScreeningId, owner: Owner) -> Result<(), Failed> {
        match self.read_place(screening, owner).await? {
            Some(_) => self.ask(screening, Ask::Leave(owner)).await.map(drop),
            None => Ok(()),
        }
    }

    /// What a pass is worth here, to this buyer.
    pub(crate) async fn admission(
        &self,
        screening: ScreeningId,
        owner: Owner,
        pass: Option<&str>,
    ) -> Result<Admission, Failed> {
        let Some(pass) = pass else { return Ok(Admission::None) };
        let key = self.pass_key(screening).await?;
        let terms = self.shared.terms.terms(screening).ok_or(Failed::NoScreening)?;
        Ok(read_pass(&key, &terms, owner, pass).map_or(Admission::None, |pass: Pass| Admission::Pass(pass)))
    }

    /// What passes of a screening are made with: it never changes, so it is read once.
    async fn pass_key(&self, screening: ScreeningId) -> Result<[u8; 32], Failed> {
        let known = self.shared.pass_keys().get(&screening).copied();
        if let Some(key) = known {
            return Ok(key);
        }
        let shared = self.shared.clone();
        self.blocking(move || shared.line(screening).map(|line| line.key)).await
    }

    async fn read_place(&self, screening: ScreeningId, owner: Owner) -> Result<Option<Standing>, Failed> {
        let shared = self.shared.clone();
        let standing = |(line, place)| Standing { line, place, is_new: false };
        self.blocking(move || Ok(shared.queues()?.place(screening, owner)?.map(standing))).await
    }

    async fn ask(&self, screening: ScreeningId, ask: Ask) -> Result<Option<Standing>, Failed> {
        // The line is there before anybody works on it.
        self.pass_key(screening).await?;
        if self.is_poisoned() {
            return Err(Failed::OutcomeUnknown);
        }
        if self.shared.clock_is_wrong.load(Ordering::Acquire) {
            return Err(Failed::ClockIsWrong);
        }
        let (reply, answer) = oneshot::channel();
        self.lines.try_send(QueueJob { screening, ask, reply }).map_err(|_| Failed::Busy)?;
        answer.await.unwrap_or(Err(Failed::OutcomeUnknown))
    }
}

impl Shared {
    fn queues(&self) -> Result<&dyn QueueStore, Failed> {
        self.store.queues().ok_or(Failed::NoStore)
    }

    /// The line of a screening, begun if there is none yet.
    fn line(&self, screening: ScreeningId) -> Result<Line, Failed> {
        let mut secrets = [[0; 32]; 2];
        for secret in &mut secrets {
            getrandom::fill(secret).map_err(StoreError::at("asking for randomness"))?;
        }
        let line = self.queues()?.line(screening, &Line::new(secrets[0], secrets[1]))?;
        self.pass_keys().insert(screening, line.key);
        Ok(line)
    }

    fn pass_keys(&self) -> std::sync::MutexGuard<'_, HashMap<ScreeningId, [u8; 32]>> {
        self.pass_keys.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Does what is asked of lines, until nobody can ask any more: for each line, all that waits in one commit.
    pub(super) fn work_on_queues(&self, asked: &Receiver<QueueJob>) {
        while let Ok(first) = asked.recv() {
            let mut lines: HashMap<ScreeningId, Vec<QueueJob>> = HashMap::new();
            for job in std::iter::once(first).chain(asked.try_iter()).take(BATCH_MAX) {
                lines.entry(job.screening).or_default().push(job);
            }
            lines.into_iter().for_each(|(screening, jobs)| self.work_on_queue(screening, jobs));
        }
    }

    fn work_on_queue(&self, screening: ScreeningId, jobs: Vec<QueueJob>) {
        let refuse = |jobs: Vec<QueueJob>, why: fn() -> Failed| {
            jobs.into_iter().for_each(|job| drop(job.reply.send(Err(why()))));
        };
        if self.poisoned.load(Ordering::Acquire) {
            return refuse(jobs, || Failed::OutcomeUnknown);
        }
        let (Some(queues), Some(terms)) = (self.store.queues(), self.terms.terms(screening)) else {
            return refuse(jobs, || Failed::NoScreening);
        };
        let Some(queue) = &terms.queue else { return refuse(jobs, || Failed::NoScreening) };
        let mut answers = Vec::with_capacity(jobs.len());
        let worked = queues.work(screening, &mut |rows| {
            answers.clear();
            // Of two processes, one has the line now: what is asked of it is asked at this time.
            let mut line = rows.line()?;
            let before = line.clone();
            for job in &jobs {
                answers.push(answer(rows, &mut line, (&terms, queue), job.ask, self.clock.now())?);
            }
            if line == before { Ok(()) } else { rows.set_line(&line) }
        });
        let failed: fn() -> Failed = match worked {
            Ok(()) => {
                for (job, answer) in jobs.into_iter().zip(answers) {
                    let _ = job.reply.send(answer.map_err(Failed::Ruled));
                }
                return;
            }
            Err(CommitError::NotDone(error)) => {
                tracing::error!(%screening, %error, "a queue could not be worked on; nothing was done");
                || Failed::NoStore
            }
            Err(CommitError::Unknown(error)) => {
                tracing::error!(%screening, %error, "the outcome of a commit is unknown");
                if self.store.shared().is_none() {
                    self.poison();
                }
                || Failed::OutcomeUnknown
            }
        };
        refuse(jobs, failed);
    }
}

fn answer(
    rows: &mut dyn LineRows,
    line: &mut Line,
    (terms, queue): (&Terms, &QueueTerms),
    ask: Ask,
    now: Timestamp,
) -> Result<Result<Option<Standing>, Refusal>, StoreError> {
    if line.is_to_be_drawn(terms, now) {
        let turns = line.draw(terms, queue, rows.without_turn()?, now);
        rows.set_turns(&turns)?;
    }
    match ask {
        Ask::Draw => Ok(Ok(None)),
        Ask::Leave(owner) => {
            match rows.place(owner)?.map(|place| line.leave(place)) {
                Some(Some(left)) => rows.put(&left)?,
                Some(None) => drop(rows.remove(owner)?),
                None => {}
            }
            Ok(Ok(None))
        }
        Ask::Come(owner, network) => come(rows, line, (terms, queue), (owner, network), now),
    }
}

fn come(
    rows: &mut dyn LineRows,
    line: &mut Line,
    (terms, queue): (&Terms, &QueueTerms),
    (owner, network): (Owner, Option<Network>),
    now: Timestamp,
) -> Result<Result<Option<Standing>, Refusal>, StoreError> {
    let known = rows.place(owner)?;
    let since = line.over_before(terms, queue, now);
    let of_network = network.map_or(Ok(0), |network| rows.of_network(network, since))?;
    let place = match line.come(terms, queue, (owner, network), known, of_network, now) {
        Ok(place) => place,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let is_new = known != Some(place);
    if is_new {
        rows.put(&place)?;
    }
    Ok(Ok(Some(Standing { line: line.clone(), place, is_new })))
}
