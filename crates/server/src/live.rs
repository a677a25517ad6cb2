//! Seats as they change, pushed (capability `live`).
//!
//! What is shown is compared with what was shown before, at most twenty times a second for each house that somebody watches: many
//! changes are one event then, and it does not matter which way they came. An event is written once, whoever listens.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use admit_booking::{House, Place};
use admit_http::listen::Stopping;
use admit_protocol::digest::ContentName;
use admit_protocol::id::EpochId;
use admit_protocol::seats::{AreaSeats, NotFree, SalesState, SeatsChange};
use axum::body::Bytes;
use tokio::sync::{Notify, broadcast};

use crate::answers::{Answers, json};
use crate::cinema::Cinema;
use crate::engine::Resident;

/// The least time between two events of a house: what changes within it is told together.
const PACE: Duration = Duration::from_millis(50);
/// Events that are kept for who comes back, and that a slow listener may be behind.
const KEPT: usize = 64;
/// How long a house is followed when nobody watches it any more.
const LINGER: Duration = Duration::from_secs(30);
/// Nothing happens for so long: a word is sent, so that all in between know that somebody is there.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// The watchers of one house.
#[derive(Debug)]
pub(crate) struct Live {
    events: broadcast::Sender<Bytes>,
    told: Mutex<Told>,
    changed: Notify,
}

/// What watchers were told last.
#[derive(Debug, Default)]
struct Told {
    shown: Option<Shown>,
    /// The last events, each with the version that it is to be applied to.
    recent: VecDeque<(u64, Bytes)>,
    /// All of it, for who begins: made when somebody asks.
    whole: Option<Bytes>,
}

/// What a house shows of itself.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    seq: u64,
    sales: SalesState,
    layout: ContentName,
    prices: ContentName,
    seats: Vec<Option<NotFree>>,
    areas: Vec<AreaSeats>,
}

impl Shown {
    fn of(house: &House, sales: SalesState) -> Self {
        let terms = house.terms();
        let places = 0..u16::try_from(terms.plan.layout().seats.len()).unwrap_or(u16::MAX);
        Self {
            seq: house.version(),
            sales,
            layout: terms.plan.name(),
            prices: terms.prices.name,
            seats: places.map(|n| house.not_free(Place(n))).collect(),
            areas: house.area_seats(),
        }
    }

    /// What is different from before; nothing, where all of it must be told anew.
    fn since(&self, before: &Self, house: &House) -> Option<SeatsChange> {
        if (self.layout, self.prices) != (before.layout, before.prices) || self.seats.len() != before.seats.len() {
            return None;
        }
        let mut change = SeatsChange { from: before.seq, seq: self.seq, ..SeatsChange::default() };
        change.sales = (self.sales != before.sales).then_some(self.sales);
        for (n, (now, _)) in (0..).zip(self.seats.iter().zip(&before.seats)).filter(|(_, (now, then))| now != then) {
            let seat = house.terms().plan.seat_id(Place(n));
            match now {
                None => change.free.push(seat),
                Some(why) => change.not_free.entry(*why).or_default().push(seat),
            }
        }
        change.areas = self.areas.iter().filter(|area| !before.areas.contains(area)).cloned().collect();
        Some(change)
    }
}

fn frame(epoch: EpochId, seq: u64, event: &str, data: &[u8]) -> Bytes {
    let mut frame = format!("id: {epoch}:{seq}\nevent: {event}\ndata: ").into_bytes();
    frame.extend_from_slice(data);
    frame.extend_from_slice(b"\n\n");
    frame.into()
}

impl Live {
    /// Follows a house as long as somebody watches it, and the server is not told to stop.
    pub(crate) fn start(resident: Arc<Resident>, cinema: Cinema, stopping: Option<Stopping>) -> Arc<Self> {
        let (events, _) = broadcast::channel(KEPT);
        let live = Arc::new(Self { events, told: Mutex::default(), changed: Notify::new() });
        let following = live.clone();
        tokio::spawn(async move {
            let stopped = async {
                match stopping {
                    Some(mut stopping) => stopping.stopped().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = following.follow(&resident, &cinema) => {}
                // Without the last of these, every watcher's stream ends.
                () = stopped => resident.let_go(&following),
            }
        });
        live
    }

    /// The house has changed.
    pub(crate) fn changed(&self) {
        self.changed.notify_one();
    }

    async fn follow(&self, resident: &Resident, cinema: &Cinema) {
        let mut heard = Instant::now();
        let mut alone = Instant::now();
        loop {
            let now = cinema.now();
            // Sales open and close by themselves.
            let next = resident.read(|house| house.terms().next_sales_change(now));
            let wait = next.and_then(|at| Duration::try_from(at.duration_since(now)).ok()).unwrap_or(HEARTBEAT);
            let wait = wait.min(HEARTBEAT.saturating_sub(heard.elapsed()));
            let _ = tokio::time::timeout(wait, self.changed.notified()).await;
            if self.tell(resident, cinema) {
                heard = Instant::now();
            } else if heard.elapsed() >= HEARTBEAT {
                // One timer for all watchers.
                let _ = self.events.send(Bytes::from_static(b": still here\n\n"));
                heard = Instant::now();
            }
            if !self.is_alone() {
                alone = Instant::now();
            } else if alone.elapsed() >= LINGER && resident.leave(self) {
                return;
            }
            tokio::time::sleep(PACE).await;
        }
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells everybody what is different by now, if anything is.
    fn tell(&self, resident: &Resident, cinema: &Cinema) -> bool {
        let mut told = self.told();
        resident.read(|house| self.tell_of(house, &mut told, cinema))
    }

    /// Whether nobody listens.
    pub(crate) fn is_alone(&self) -> bool {
        self.events.receiver_count() == 0
    }

    fn tell_of(&self, house: &House, told: &mut Told, cinema: &Cinema) -> bool {
        let (sales, epoch) = (house.sales_state(cinema.now()), cinema.answers().epoch);
        if told.shown.as_ref().is_some_and(|shown| shown.seq == house.version() && shown.sales == sales) {
            return false;
        }
        let shown = Shown::of(house, sales);
        told.whole = None;
        if let Some(before) = told.shown.as_ref() {
            let event = match shown.since(before, house) {
                Some(change) => {
                    let event = frame(epoch, shown.seq, "change", &json(&change));
                    told.recent.push_back((before.seq, event.clone()));
                    event
                }
                None => {
                    told.recent.clear();
                    frame(epoch, shown.seq, "seats", &json(&cinema.answers().seats(house, sales)))
                }
            };
            if told.recent.len() > KEPT {
                told.recent.pop_front();
            }
            // Nobody may be there.
            let _ = self.events.send(event);
        }
        told.shown = Some(shown);
        true
    }

    /// Begins to watch: what happened since `last`, if that is still known, or all of it; and what happens from then on.
    pub(crate) fn enter(
        &self,
        resident: &Resident,
        cinema: &Cinema,
        last: Option<(EpochId, u64)>,
    ) -> (Vec<Bytes>, broadcast::Receiver<Bytes>) {
        let mut told = self.told();
        // In one look at the house: nothing is missed, and nothing is told twice.
        let first = resident.read(|house| {
            self.tell_of(house, &mut told, cinema);
            let answers: &Answers = cinema.answers();
            let (seq, sales) = (house.version(), house.sales_state(cinema.now()));
            if let Some((epoch, seen)) = last.filter(|(epoch, seen)| *epoch == answers.epoch && *seen <= seq) {
                let missed = told.recent.iter().position(|(from, _)| *from >= seen);
                match missed {
                    _ if seen == seq => {
                        return vec![frame(
                            epoch,
                            seq,
                            "change",
                            // Sales may have ended without any seat changing hands.
                            &json(&SeatsChange { from: seq, seq, sales: Some(sales), ..SeatsChange::default() }),
                        )];
                    }
                    // One that begins later leaves a gap.
                    Some(n) if told.recent[n].0 == seen => {
                        return told.recent.iter().skip(n).map(|(_, event)| event.clone()).collect();
                    }
                    _ => {}
                }
            }
            let whole = || frame(answers.epoch, seq, "seats", &json(&answers.seats(house, sales)));
            vec![told.whole.get_or_insert_with(whole).clone()]
        });
        (first, self.events.subscribe())
    }
}
