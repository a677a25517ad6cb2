//! Exchanges between two screenings: both houses change in one commit, or neither (capability `exchange`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use admit_booking::ExchangeWish;
use admit_protocol::id::QuoteId;
use tokio::sync::oneshot;

use super::batch::Turn;
use super::writer::Writer;
use super::{Done, Engine, Failed, Key, Message, Resident};
use crate::answers::Subject;
use crate::store::{About, Answer, CommitError, KnownKey, Outcome, Save};

/// What is asked, and what is recorded about it.
#[derive(Debug, Clone)]
pub(crate) struct Exchanging {
    pub(crate) wish: ExchangeWish,
    pub(crate) quote: QuoteId,
    /// Random bytes from which ticket ids are made.
    pub(crate) seed: [u8; 16],
    pub(crate) key: Key,
    /// Who asks, for the audit trail.
    pub(crate) by: String,
}

/// An exchange that waits, and who waits for it.
pub(super) struct ExchangeJob {
    /// Where tickets are given.
    from: Arc<Resident>,
    /// Where seats are taken.
    to: Arc<Resident>,
    asked: Exchanging,
    reply: oneshot::Sender<Result<Done, Failed>>,
}

impl Engine {
    /// Exchanges tickets of one screening for seats of another. Dropping the future changes nothing: it runs to its end.
    pub(crate) async fn exchange(&self, from: Arc<Resident>, asked: Exchanging) -> Result<Done, Failed> {
        let (key, wish) = (asked.key, asked.clone());
        self.look(&from).await?;
        if let Some(known) = from.known(&key) {
            return if known.said == key.body {
                self.replay_exchange(&from, known, &asked).await
            } else {
                Err(Failed::KeyReused)
            };
        }
        if !self.shared.store.saves_together() {
            return Err(Failed::OneHouseAtATime);
        }
        let from = self.settle(from.screening()).await?;
        let to = self.settle(asked.wish.screening).await?;
        // Who loses by what is committed hears so at once, and keeps nobody waiting.
        from.read_both(&to, |house, other| {
            let now = self.shared.clock.now().max(house.now()).max(other.now());
            let decided = house.exchange_to(other, &asked.wish, asked.quote, asked.seed, now);
            decided.map(drop).map_err(|refusal| Failed::Refused(refusal, house.version()))
        })?;
        if self.is_poisoned() {
            return Err(Failed::OutcomeUnknown);
        }
        if self.shared.clock_is_wrong.load(Ordering::Acquire) {
            return Err(Failed::ClockIsWrong);
        }
        let (reply, answer) = oneshot::channel();
        let job = ExchangeJob { from: from.clone(), to, asked, reply };
        self.queue.try_send(Message::Exchange(Box::new(job))).map_err(|_| Failed::Busy)?;
        match answer.await.unwrap_or(Err(Failed::OutcomeUnknown)) {
            // The same request was committed between our look and the writer's.
            Err(Failed::Again) => match from.known(&key) {
                Some(known) => self.replay_exchange(&from, known, &wish).await,
                None => Err(Failed::Busy),
            },
            other => other,
        }
    }

    /// The answer that this key got before; after a day, the new booking as it is now.
    async fn replay_exchange(&self, from: &Resident, known: KnownKey, asked: &Exchanging) -> Result<Done, Failed> {
        let KnownKey { key, about, .. } = known;
        let (shared, screening) = (self.shared.clone(), from.screening());
        let found = self.blocking(move || Ok(shared.store.answer(screening, about, key)?)).await?;
        let Some(Answer { status, body }) = found else { return Err(Failed::Busy) };
        let body = match body {
            Some(body) => body,
            None => {
                let (to, new) = (self.settle(asked.wish.screening).await?, asked.wish.hold);
                to.read(|house| self.shared.answers.now(house, Subject::Booked(new), About::Hold(new)))
            }
        };
        Ok(Done { status, body, replayed: true })
    }
}

impl Writer {
    /// Decides one exchange, and saves both houses together.
    pub(super) fn exchange(&mut self, job: ExchangeJob) {
        let ExchangeJob { from, to, asked, reply } = job;
        let shared = self.shared.clone();
        let (mut here, mut there, decided, saved);
        match shared.store.shared() {
            None => {
                (here, there) = (Turn::new(from), Turn::new(to));
                decided = here.exchange(&mut there, &asked, &shared);
                saved = self.save_both(&here, &there, |saves| shared.store.save_together(saves));
            }
            Some(store) => {
                let houses = [from.clone(), to.clone()];
                let houses: BTreeMap<_, _> = houses.into_iter().map(|house| (house.screening(), house)).collect();
                let (taken, unread) = match self.take(store, &houses) {
                    Ok(taken) => taken,
                    Err(_) => return drop(reply.send(Err(Failed::NoStore))),
                };
                if let Some(screening) = unread.first() {
                    return drop(reply.send(Err(shared.why_unread(*screening))));
                }
                (here, there) = (Turn::new(from), Turn::new(to));
                decided = here.exchange(&mut there, &asked, &shared);
                saved = self.save_both(&here, &there, |saves| taken.save_together(saves));
            }
        }
        let answer = match saved {
            Ok(true) => {
                // A refused exchange may have let time pass in one of the two: the other is as it was.
                for turn in [&mut here, &mut there].into_iter().filter(|turn| turn.save().is_some()) {
                    let grown = turn.publish();
                    self.watch(&turn.resident);
                    turn.resident.changed();
                    if grown > 0 {
                        shared.make_room(grown);
                    }
                }
                decided
            }
            // Nothing was to be saved.
            Ok(false) => decided,
            Err(failed) => Err(failed),
        };
        let _ = reply.send(answer);
    }

    /// Whether there was something to save, and it is.
    fn save_both(
        &self,
        here: &Turn,
        there: &Turn,
        save: impl FnOnce(&[Save<'_>]) -> Result<Outcome, CommitError>,
    ) -> Result<bool, Failed> {
        if self.shared.poisoned.load(Ordering::Acquire) {
            return Err(Failed::OutcomeUnknown);
        }
        let broken = [here, there].map(|turn| turn.broken().inspect(|why| turn.quarantine(why)).is_some());
        if broken.contains(&true) {
            return Err(Failed::Busy);
        }
        let saves: Vec<Save<'_>> = [here.save(), there.save()].into_iter().flatten().collect();
        if saves.is_empty() {
            return Ok(false);
        }
        match save(&saves) {
            Ok(Outcome::Saved) => Ok(true),
            // Somebody else saved one of them: what they saved is taken over, and whoever asks again is answered by it.
            Ok(Outcome::Conflict) => {
                for turn in [here, there] {
                    match self.shared.load_again(&turn.resident) {
                        Ok(()) => turn.resident.changed(),
                        Err(error) => tracing::error!(?error, "a house could not be loaded again"),
                    }
                }
                Err(Failed::Busy)
            }
            Ok(Outcome::Broken(why)) => {
                tracing::error!(why, "an exchange does not fit the rows of its houses; nothing of it was saved");
                Err(Failed::Busy)
            }
            Err(CommitError::NotDone(error)) => {
                tracing::error!(%error, "an exchange could not be saved; nothing of it was");
                Err(Failed::Busy)
            }
            Err(CommitError::Unknown(error)) => {
                tracing::error!(%error, "the outcome of a commit is unknown");
                if self.shared.store.shared().is_none() {
                    self.shared.poison();
                }
                Err(Failed::OutcomeUnknown)
            }
        }
    }
}
