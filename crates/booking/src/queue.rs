//! The queue before a sale: who comes before it begins is drawn by lot, who comes later gets the next turn, and all are let in at the
//! announced rate (`spec/v1/queue.md`).
//!
//! A turn is an instant that is given out once and never moves, so nothing has to be counted, polled or woken when people are let in:
//! a pass says from when until when it is good, and only the server can have made it.

use std::fmt;

use admit_protocol::digest::{ContentName, hmac_sha256, sha256};
use admit_protocol::queue::{QueuePolicy, ScreeningQueue};
use admit_protocol::seats::SalesState;
use admit_protocol::time::after;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};

use crate::hold::{Network, Owner};
use crate::refusal::Refusal;
use crate::terms::Terms;

/// What deciding about places reads of a screening.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueTerms {
    /// What was announced.
    pub announced: ScreeningQueue,
    /// What queues are like here.
    pub policy: QueuePolicy,
}

/// A queue, but for its places.
#[derive(Clone, PartialEq, Eq)]
pub struct Line {
    /// What the draw is made with: random, and shown after it.
    pub seed: [u8; 32],
    /// What passes are made with: random, and never shown.
    pub key: [u8; 32],
    /// How many have a place.
    pub places: u64,
    /// What became of the draw; nothing, before it.
    pub drawn: Option<Drawn>,
}

/// Turns are given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drawn {
    /// The first turn.
    pub from: Timestamp,
    /// The first one that nobody has.
    pub next: Timestamp,
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").field("places", &self.places).field("drawn", &self.drawn).finish_non_exhaustive()
    }
}

/// Somebody's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueuePlace {
    /// Whose.
    pub owner: Owner,
    /// From where they came.
    pub network: Option<Network>,
    /// Since when they are here.
    pub came_at: Timestamp,
    /// When it is their turn, as it was given out; none before the draw.
    pub turn: Option<Timestamp>,
    /// Whether they gave it up. Its turn stays theirs, so that nobody has another one by coming and going (QUEUE-009).
    pub left: bool,
}

/// From when until before when somebody is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pass {
    /// From this instant.
    pub from: Timestamp,
    /// Until before this one.
    pub until: Timestamp,
}

/// By what somebody may hold seats of a screening that has a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// By nothing.
    None,
    /// By a pass of this server's for this buyer.
    Pass(Pass),
    /// They stand at the counter.
    Counter,
}

impl QueueTerms {
    /// Whether places are given out at `now`.
    ///
    /// # Errors
    /// When it is too early.
    pub fn check_open(&self, now: Timestamp) -> Result<(), Refusal> {
        let opens_at = self.announced.opens_at;
        if now < opens_at {
            return Err(Refusal::QueueNotOpen { opens_at, wait_ms: ms(now, opens_at) });
        }
        Ok(())
    }

    fn pass(&self, turn: Timestamp) -> Pass {
        Pass { from: turn, until: after(turn, self.policy.pass_ttl_s.into()) }
    }

    fn interval(&self) -> SignedDuration {
        SignedDuration::from_micros(self.announced.interval_us())
    }
}

impl Line {
    /// An empty one, of fresh random bytes.
    #[must_use]
    pub fn new(seed: [u8; 32], key: [u8; 32]) -> Self {
        Self { seed, key, places: 0, drawn: None }
    }

    /// What is shown of the seed before the draw (QUEUE-003).
    #[must_use]
    pub fn commitment(&self) -> ContentName {
        ContentName::of(&self.seed)
    }

    /// Whether seats are sold now, and who came before has no turn yet. While sales are paused nobody's turn passes.
    #[must_use]
    pub fn is_to_be_drawn(&self, terms: &Terms, now: Timestamp) -> bool {
        self.drawn.is_none() && terms.sales_state(now).is_open()
    }

    /// By how much the sale was put off after the draw: all turns with it.
    fn put_off(&self, terms: &Terms) -> SignedDuration {
        let from = self.drawn.map_or(terms.sales.opens_at, |drawn| drawn.from);
        terms.sales.opens_at.duration_since(from).max(SignedDuration::ZERO)
    }

    /// When it is somebody's turn.
    #[must_use]
    pub fn turn(&self, terms: &Terms, place: &QueuePlace) -> Option<Timestamp> {
        Some(later(place.turn?, self.put_off(terms)))
    }

    /// Turns that were given out before this one are over by `now`: their places count no more.
    #[must_use]
    pub fn over_before(&self, terms: &Terms, queue: &QueueTerms, now: Timestamp) -> Timestamp {
        after(later(now, -self.put_off(terms)), -i64::from(queue.policy.pass_ttl_s))
    }

    /// The most places that can stand at `now`: turns have their distance, and who had one that is over stands no more.
    fn standing(&self, terms: &Terms, queue: &QueueTerms, now: Timestamp) -> u64 {
        let Some(drawn) = self.drawn else { return self.places };
        let left = drawn.next.duration_since(self.over_before(terms, queue, now).max(drawn.from)).as_micros();
        u64::try_from(left / i128::from(queue.announced.interval_us())).unwrap_or(0)
    }

    /// QUEUE-003: gives everybody who came before the sale a turn, in the order of the lot.
    pub fn draw(
        &mut self,
        terms: &Terms,
        queue: &QueueTerms,
        mut owners: Vec<Owner>,
        now: Timestamp,
    ) -> Vec<(Owner, Timestamp)> {
        owners.sort_by_cached_key(|owner| sha256(&[&self.seed, &owner.0]));
        // Who draws late gives nobody a turn that is over already.
        let from = terms.sales.opens_at.max(now);
        let mut turn = from;
        let turns = owners.into_iter().map(|owner| {
            let mine = turn;
            turn = later(turn, queue.interval());
            (owner, mine)
        });
        let turns = turns.collect();
        self.drawn = Some(Drawn { from, next: turn });
        turns
    }

    /// Whether a place stands at `now`: its pass is not over, and who gave it up has it again when they come again.
    #[must_use]
    pub fn stands(&self, terms: &Terms, queue: &QueueTerms, place: &QueuePlace, now: Timestamp) -> bool {
        self.turn(terms, place).is_none_or(|turn| now < queue.pass(turn).until)
    }

    /// A place for who comes at `now`: the one they have, or a new one. The draw must have been made if it is due. `of_network` counts
    /// places that are not over ([`Line::over_before`]).
    ///
    /// # Errors
    /// When the queue is not open, the screening is not sold any more, or there are as many places as may be.
    pub fn come(
        &mut self,
        terms: &Terms,
        queue: &QueueTerms,
        (owner, network): (Owner, Option<Network>),
        known: Option<QueuePlace>,
        of_network: u64,
        now: Timestamp,
    ) -> Result<QueuePlace, Refusal> {
        if let Some(place) = known.filter(|place| self.stands(terms, queue, place, now)) {
            return Ok(QueuePlace { left: false, ..place });
        }
        queue.check_open(now)?;
        match terms.sales_state(now) {
            SalesState::NotYetOpen | SalesState::Paused => {}
            state if state.is_open() => {}
            state => return Err(Refusal::NotOnSale(state)),
        }
        // Who comes again has their old place no more.
        let here = self.places.saturating_sub(u64::from(known.is_some()));
        if here.min(self.standing(terms, queue, now)) >= u64::from(queue.policy.places_max) {
            return Err(Refusal::QueueFull { max: queue.policy.places_max });
        }
        let most = queue.policy.places_per_network;
        if network.is_some() && of_network >= u64::from(most) {
            return Err(Refusal::NetworkQueuesTooMuch { max: most });
        }
        self.places = here + 1;
        // As turns are given out: without what the sale was put off since.
        let now_here = later(now.max(terms.sales.opens_at), -self.put_off(terms));
        let turn = self.drawn.as_mut().map(|drawn| {
            let turn = drawn.next.max(now_here);
            drawn.next = later(turn, queue.interval());
            turn
        });
        Ok(QueuePlace { owner, network, came_at: now, turn, left: false })
    }

    /// What is kept of a place that is given up: nothing before the draw, and after it that its turn is taken (QUEUE-009).
    #[must_use]
    pub fn leave(&mut self, place: QueuePlace) -> Option<QueuePlace> {
        if place.turn.is_some() {
            return Some(QueuePlace { left: true, ..place });
        }
        self.places = self.places.saturating_sub(1);
        None
    }

    /// The pass of a place that has a turn (QUEUE-006), and what it says: 16 bytes of times and an HMAC over them, the screening and
    /// whose it is.
    #[must_use]
    pub fn pass(&self, terms: &Terms, queue: &QueueTerms, place: &QueuePlace) -> Option<(Pass, String)> {
        let pass = queue.pass(self.turn(terms, place)?);
        let times = times(pass);
        let mac = pass_mac(&self.key, terms, place.owner, &times);
        Some((pass, URL_SAFE_NO_PAD.encode([&times[..], &mac].concat())))
    }
}

/// What a pass says, if it was made with this key for this buyer of this screening.
#[must_use]
pub fn read_pass(key: &[u8; 32], terms: &Terms, owner: Owner, text: &str) -> Option<Pass> {
    let bytes: [u8; 48] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
    let (times, mac) = bytes.split_at(16);
    let right = pass_mac(key, terms, owner, times);
    // Every byte is looked at, however many are right.
    if right.iter().zip(mac).fold(0, |differ, (a, b)| differ | (a ^ b)) != 0 {
        return None;
    }
    let instant = |bytes: &[u8]| Timestamp::from_microsecond(i64::from_be_bytes(bytes.try_into().ok()?)).ok();
    Some(Pass { from: instant(&times[..8])?, until: instant(&times[8..])? })
}

fn times(pass: Pass) -> [u8; 16] {
    let mut times = [0; 16];
    times[..8].copy_from_slice(&pass.from.as_microsecond().to_be_bytes());
    times[8..].copy_from_slice(&pass.until.as_microsecond().to_be_bytes());
    times
}

fn pass_mac(key: &[u8; 32], terms: &Terms, owner: Owner, times: &[u8]) -> [u8; 32] {
    // When the sale is put off, the passes that were shown are good for nothing, and each place has another one.
    let sale = terms.sales.opens_at.as_millisecond().to_be_bytes();
    // Owner and times have one length each, so nothing can be read as something else.
    hmac_sha256(key, &[b"admit queue pass", &owner.0, times, &sale, terms.screening.as_str().as_bytes()])
}

/// From one instant to a later one, rounded up.
pub(crate) fn ms(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.duration_since(from).as_micros().max(0)).map_or(u64::MAX, |us| us.div_ceil(1000))
}

fn later(turn: Timestamp, by: SignedDuration) -> Timestamp {
    turn.checked_add(by).unwrap_or(turn)
}

/// QUEUE-006: whether somebody may hold seats now.
pub(crate) fn check_admission(queue: Option<&QueueTerms>, admission: Admission, now: Timestamp) -> Result<(), Refusal> {
    match (queue, admission) {
        (None, _) | (Some(_), Admission::Counter) => Ok(()),
        (Some(_), Admission::None) => Err(Refusal::QueuePassNeeded),
        (Some(_), Admission::Pass(pass)) if now < pass.from => {
            Err(Refusal::NotYourTurn { turn_at: pass.from, wait_ms: ms(now, pass.from) })
        }
        (Some(_), Admission::Pass(pass)) if now >= pass.until => Err(Refusal::QueuePassExpired),
        (Some(_), Admission::Pass(_)) => Ok(()),
    }
}
