//! The queue before a sale: who comes before it begins is drawn by lot, who comes later gets the next turn, and all are let in at the
//! announced rate (`spec/v1/queue.md`).
//!
//! A turn is an instant that is given out once and never moves, so nothing has to be counted, polled or woken when people are let in:
//! a pass says from when until when it is good, and only the server can have made it.

use admit_protocol::digest::{ContentName, hmac_sha256, sha256};
use admit_protocol::id::ScreeningId;
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What the draw is made with: random, and shown after it.
    pub seed: [u8; 32],
    /// What passes are made with: random, and never shown.
    pub key: [u8; 32],
    /// How many have a place.
    pub places: u64,
    /// The first turn that nobody has; none before the draw.
    pub next_turn: Option<Timestamp>,
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
    /// When it is their turn; none before the draw.
    pub turn: Option<Timestamp>,
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
        Self { seed, key, places: 0, next_turn: None }
    }

    /// What is shown of the seed before the draw (QUEUE-003).
    #[must_use]
    pub fn commitment(&self) -> ContentName {
        ContentName::of(&self.seed)
    }

    /// Whether sales have begun, and who came before has no turn yet.
    #[must_use]
    pub fn is_to_be_drawn(&self, terms: &Terms, now: Timestamp) -> bool {
        self.next_turn.is_none() && now >= terms.sales.opens_at
    }

    /// QUEUE-003: gives everybody who came before the sale a turn, in the order of the lot.
    pub fn draw(&mut self, terms: &Terms, queue: &QueueTerms, mut owners: Vec<Owner>) -> Vec<(Owner, Timestamp)> {
        owners.sort_by_cached_key(|owner| sha256(&[&self.seed, &owner.0]));
        let mut turn = terms.sales.opens_at;
        let turns = owners.into_iter().map(|owner| {
            let mine = turn;
            turn = later(turn, queue.interval());
            (owner, mine)
        });
        let turns = turns.collect();
        self.next_turn = Some(turn);
        turns
    }

    /// A place for who comes at `now`: the one they have, or a new one. The draw must have been made if it is due.
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
        let stands = |place: &QueuePlace| place.turn.is_none_or(|turn| now < queue.pass(turn).until);
        if let Some(place) = known.filter(stands) {
            return Ok(place);
        }
        let sales = terms.sales_state(now);
        let opens_at = queue.announced.opens_at;
        match sales {
            SalesState::NotYetOpen if now < opens_at => {
                return Err(Refusal::QueueNotOpen { opens_at, wait_ms: ms(now, opens_at) });
            }
            SalesState::NotYetOpen | SalesState::Paused => {}
            state if state.is_open() => {}
            state => return Err(Refusal::NotOnSale(state)),
        }
        // Who comes again has their old place no more.
        let (here, theirs) = match known {
            Some(old) => (self.places.saturating_sub(1), of_network.saturating_sub(u64::from(old.network == network))),
            None => (self.places, of_network),
        };
        if here >= u64::from(queue.policy.places_max) {
            return Err(Refusal::QueueFull { max: queue.policy.places_max });
        }
        let most = queue.policy.places_per_network;
        if network.is_some() && theirs >= u64::from(most) {
            return Err(Refusal::NetworkQueuesTooMuch { max: most });
        }
        self.places = here + 1;
        let turn = self.next_turn.map(|next| next.max(now).max(terms.sales.opens_at));
        self.next_turn = turn.map(|turn| later(turn, queue.interval()));
        Ok(QueuePlace { owner, network, came_at: now, turn })
    }

    /// The pass of a place that has a turn (QUEUE-006), and what it says: 16 bytes of times and an HMAC over them, the screening and
    /// whose it is.
    #[must_use]
    pub fn pass(&self, terms: &Terms, queue: &QueueTerms, place: &QueuePlace) -> Option<(Pass, String)> {
        let pass = queue.pass(place.turn?);
        let times = times(pass);
        let mac = pass_mac(&self.key, terms.screening, place.owner, &times);
        Some((pass, URL_SAFE_NO_PAD.encode([&times[..], &mac].concat())))
    }
}

/// What a pass says, if it was made with this key for this buyer of this screening.
#[must_use]
pub fn read_pass(key: &[u8; 32], screening: ScreeningId, owner: Owner, text: &str) -> Option<Pass> {
    let bytes: [u8; 48] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
    let (times, mac) = bytes.split_at(16);
    let right = pass_mac(key, screening, owner, times);
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

fn pass_mac(key: &[u8; 32], screening: ScreeningId, owner: Owner, times: &[u8]) -> [u8; 32] {
    // Owner and times have one length each, so nothing can be read as something else.
    hmac_sha256(key, &[b"admit queue pass", &owner.0, times, screening.as_str().as_bytes()])
}

/// From one instant to a later one, rounded up.
fn ms(from: Timestamp, to: Timestamp) -> u64 {
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
