//! Houses that other processes change, too: what they saved is taken over, for who asks and for who watches.
//!
//! Nobody is told no, and nobody is shown seats, before somebody has looked, after they asked, whether the house is as it is in memory:
//! one look for everybody who waits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use admit_protocol::id::ScreeningId;
use jiff::Timestamp;
use tokio::sync::oneshot;

use super::{ALONE_AFTER_MS, Failed, Resident, Shared};
use crate::store::{News, NewsOf, SharedStore};

/// How often houses are looked at that somebody watches. A change is to reach everybody in a quarter of a second.
const WATCH_EVERY: Duration = Duration::from_millis(50);
/// How often the clocks are compared.
const CLOCK_EVERY: Duration = Duration::from_secs(1);
/// How far this process's clock may be off the store's, in milliseconds: beyond, holds would end too early or too late.
const CLOCK_OFF_MAX_MS: i64 = 500;
/// Houses in one look.
const LOOK_MAX: usize = 1024;

/// Somebody who wants to know of a house as it is.
pub(super) struct Ask {
    pub(super) resident: Arc<Resident>,
    pub(super) reply: oneshot::Sender<Result<(), Failed>>,
}

/// The thread that looks. It ends when nobody can ask any more.
pub(super) struct Follower {
    shared: Arc<Shared>,
    asks: Receiver<Ask>,
    clocks_compared: Option<Instant>,
    /// Houses that are looked at once, because nobody else seems to sell any more, and after which save of theirs that is.
    unlooked: (i64, Vec<Arc<Resident>>),
}

impl Follower {
    pub(super) fn new(shared: Arc<Shared>, asks: Receiver<Ask>) -> Self {
        Self { shared, asks, clocks_compared: None, unlooked: (i64::MIN, Vec::new()) }
    }

    pub(super) fn run(mut self) {
        let shared = self.shared.clone();
        let Some(store) = shared.store.shared() else { return };
        let mut looked = Instant::now();
        loop {
            self.compare_clocks(store);
            let mut asks = match self.asks.recv_timeout(WATCH_EVERY.saturating_sub(looked.elapsed())) {
                Ok(ask) => vec![ask],
                Err(RecvTimeoutError::Timeout) => Vec::new(),
                Err(RecvTimeoutError::Disconnected) => return,
            };
            asks.extend(self.asks.try_iter().take(LOOK_MAX));
            let mut houses: BTreeMap<ScreeningId, Arc<Resident>> =
                asks.iter().map(|ask| (ask.resident.screening(), ask.resident.clone())).collect();
            if looked.elapsed() >= WATCH_EVERY {
                looked = Instant::now();
                houses.extend(self.shared.watched());
                let around = self.look_around().map(|resident| (resident.screening(), resident)).collect();
                if let Err(error) = look(&self.shared, store, &around) {
                    tracing::warn!(?error, "what other processes saved could not be read");
                }
            }
            let looked_at = look(&self.shared, store, &houses);
            if let Err(error) = &looked_at {
                tracing::warn!(?error, "what other processes saved could not be read");
            }
            for ask in asks {
                let screening = ask.resident.screening();
                let _ = ask.reply.send(match &looked_at {
                    Err(_) => Err(Failed::NoStore),
                    Ok(unread) if unread.contains(&screening) => Err(self.shared.why_unread(screening)),
                    Ok(_) => Ok(()),
                });
            }
        }
    }

    /// Some of those houses that others may have saved while they were here. Once all of them were looked at, this process knows that it
    /// sells alone.
    fn look_around(&mut self) -> impl Iterator<Item = Arc<Resident>> {
        let others = self.shared.others_saved.load(Ordering::Acquire);
        let quiet = self.shared.clock.now().as_millisecond() > others.saturating_add(ALONE_AFTER_MS);
        let (of, unlooked) = &mut self.unlooked;
        if quiet && *of != others {
            *of = others;
            let houses = self.shared.houses.lock().unwrap_or_else(PoisonError::into_inner);
            let known = houses.values().filter_map(|cell| cell.get().cloned());
            *unlooked = known.filter(|resident| !self.shared.is_likely_current(resident)).collect();
        }
        let left = unlooked.len().saturating_sub(LOOK_MAX);
        unlooked.drain(left..)
    }

    /// A process whose clock is wrong sells nothing until it is right again.
    fn compare_clocks(&mut self, store: &dyn SharedStore) {
        if !self.shared.clock.is_real() || self.clocks_compared.is_some_and(|at| at.elapsed() < CLOCK_EVERY) {
            return;
        }
        self.clocks_compared = Some(Instant::now());
        let before = self.shared.clock.now();
        let Ok(theirs) = store.now() else { return };
        let off = off_by(before, theirs, self.shared.clock.now());
        let wrong = off > CLOCK_OFF_MAX_MS;
        if self.shared.clock_is_wrong.swap(wrong, Ordering::AcqRel) != wrong {
            match wrong {
                true => tracing::error!(
                    off_ms = off,
                    "this machine's clock is not the database's: nothing is sold until it is right"
                ),
                false => tracing::info!("this machine's clock is right again"),
            }
        }
    }
}

/// How far apart two clocks are at least, in milliseconds: the other one was read between two looks at ours.
fn off_by(before: Timestamp, theirs: Timestamp, after: Timestamp) -> i64 {
    let (before, theirs, after) = (before.as_millisecond(), theirs.as_millisecond(), after.as_millisecond());
    (before - theirs).max(theirs - after).max(0)
}

/// Takes over what others saved of these houses. Says which could not be read.
fn look(
    shared: &Shared,
    store: &dyn SharedStore,
    houses: &BTreeMap<ScreeningId, Arc<Resident>>,
) -> Result<BTreeSet<ScreeningId>, Failed> {
    // A house that cannot be read keeps nobody else waiting.
    let mut unread = BTreeSet::new();
    if houses.is_empty() {
        return Ok(unread);
    }
    let began = shared.clock.now();
    let seen: Vec<(ScreeningId, u64)> = houses.iter().map(|(id, resident)| (*id, resident.version())).collect();
    let (programme, news) = store.news(&seen, &|name| shared.terms.prices(name))?;
    shared.terms.keep_up(programme)?;
    for (resident, news) in houses.values().zip(news) {
        if let Some(news) = news
            && let Err(error) = take_over(shared, resident, news)
        {
            tracing::warn!(screening = %resident.screening(), ?error, "a house could not be loaded again");
            unread.insert(resident.screening());
        } else {
            resident.was_current(began);
        }
    }
    Ok(unread)
}

/// Makes true in memory what somebody else saved, unless it is older than what is there.
pub(super) fn take_over(shared: &Shared, resident: &Arc<Resident>, news: News) -> Result<(), Failed> {
    let News { version, now, what } = news;
    if resident.is_anothers(version) {
        shared.others_saved(now);
    }
    let fits = match what {
        NewsOf::Holds(holds) => resident.catch_up(holds, version, now),
        NewsOf::Everything => false,
    };
    if !fits {
        shared.load_again(resident)?;
    }
    shared.follow_line(resident);
    resident.changed();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_an_answer_took_is_not_how_wrong_a_clock_is() {
        let at = |ms: i64| Timestamp::from_millisecond(1_795_000_000_000 + ms).expect("an instant");
        assert_eq!(off_by(at(0), at(700), at(1000)), 0, "somewhere in between is all that is known");
        assert_eq!(off_by(at(0), at(1600), at(1000)), 600);
        assert_eq!(off_by(at(0), at(-600), at(1000)), 600);
    }
}
