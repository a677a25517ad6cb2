//! How holds, bookings, claims and scans are written as rows, and read back: the same columns in every database.

use std::sync::Arc;

use admit_booking::queue::{Drawn, Line as Queue, QueuePlace};
use admit_booking::{
    Block, BlockReason, Booking, Claim, Entry, EntryKey, EntryState, Exchanged, HeldPlace, Hold, HoldKey, HoldState,
    Line, Link, Network, Order, OrderLine, Owner, Place, Prices, ScanRecord, ScannedTicket, TypeNo,
};
use admit_protocol::booking::Buyer;
use admit_protocol::capability::PaymentMethod;
use admit_protocol::digest::ContentName;
use admit_protocol::door::{ScanKind, Verdict};
use admit_protocol::id::ScreeningId;
use admit_protocol::money::{Currency, Money};
use admit_protocol::policy::CancellationPolicy;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{About, BodyPrint, KeyPrint, KnownKey, Logged, StoreError};

/// The `details` of a hold that is being paid or was booked, as JSON.
#[derive(Serialize, Deserialize)]
struct Details {
    /// `[place, ticket type, price, generation, revoked]`
    lines: Vec<(u16, u8, i64, u16, bool)>,
    currency: Currency,
    booking_fees: i64,
    total: i64,
    method: PaymentMethod,
    seed: [u8; 16],
    #[serde(default, skip_serializing_if = "Option::is_none")]
    buyer: Option<Box<Buyer>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    booked: Option<Booked>,
}

/// What a booking has and an order has not.
#[derive(Serialize, Deserialize)]
struct Booked {
    paid: i64,
    refunded: i64,
    #[serde(default)]
    paid_out: i64,
    #[serde(default, skip_serializing_if = "is_nothing")]
    moved_in: i64,
    #[serde(default, skip_serializing_if = "is_nothing")]
    refundable_in: i64,
    #[serde(default, skip_serializing_if = "is_nothing")]
    moved_out: i64,
    #[serde(default, skip_serializing_if = "is_nothing")]
    refundable_out: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replaces: Option<LinkText>,
    /// `[line, screening, booking]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    replaced_by: Vec<(u16, LinkText)>,
    policy: CancellationPolicy,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    collect_by: Option<i64>,
}

/// Another booking: its screening, and its key in 32 hexadecimal digits.
#[derive(Serialize, Deserialize)]
struct LinkText(ScreeningId, String);

impl LinkText {
    fn of(link: Link) -> Self {
        Self(link.screening, link.booking.hex())
    }

    fn read(&self, number: i64) -> Result<Link, StoreError> {
        let key = u128::from_str_radix(&self.1, 16).map_err(|_| bad("hold", number, "a link names no booking"))?;
        Ok(Link { screening: self.0, booking: HoldKey(key) })
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_nothing(amount: &i64) -> bool {
    *amount == 0
}

/// A hold's state as columns: `state`, `at`, `details`.
pub(super) fn state_columns(state: &HoldState) -> (&'static str, i64, Option<String>) {
    let ms = |at: &Timestamp| at.as_millisecond();
    let order = |o: &Order| text(&order_details(o));
    match state {
        HoldState::Active { until } => ("active", ms(until), None),
        HoldState::Paying { order: o, until } => ("paying", ms(until), Some(order(o))),
        HoldState::Closing { order: o, until } => ("closing", ms(until), Some(order(o))),
        HoldState::Converted(b) => {
            let word = if b.is_cancelled() { "cancelled" } else { "converted" };
            (word, ms(&b.confirmed_at), Some(text(&booking_details(b))))
        }
        HoldState::Released { at } => ("released", ms(at), None),
        HoldState::Expired { at, order: o } => ("expired", ms(at), o.as_ref().map(order)),
        HoldState::RefundDue { order: o, at } => ("refund_due", ms(at), Some(order(o))),
    }
}

fn text<T: Serialize>(value: &T) -> String {
    // Plain structs with string keys: they always serialise.
    serde_json::to_string(value).expect("rows serialise")
}

fn order_details(o: &Order) -> Details {
    Details {
        lines: o.lines.iter().map(|l| (l.place.0, l.ticket_type.0, l.price.amount(), 1, false)).collect(),
        currency: o.total.currency(),
        booking_fees: o.booking_fees.amount(),
        total: o.total.amount(),
        method: o.method,
        seed: o.seed,
        buyer: o.buyer.clone(),
        booked: None,
    }
}

fn booking_details(b: &Booking) -> Details {
    let line = |l: &Line| (l.place.0, l.ticket_type.0, l.price.amount(), l.generation, l.revoked);
    Details {
        lines: b.lines.iter().map(line).collect(),
        currency: b.total.currency(),
        booking_fees: b.booking_fees.amount(),
        total: b.total.amount(),
        method: b.method,
        seed: b.seed,
        buyer: b.buyer.clone(),
        booked: Some(Booked {
            paid: b.paid.amount(),
            refunded: b.refunded.amount(),
            paid_out: b.paid_out.amount(),
            moved_in: b.moved_in().amount(),
            refundable_in: b.exchanged.as_ref().map_or(0, |e| e.refundable_in.amount()),
            moved_out: b.moved_out().amount(),
            refundable_out: b.exchanged.as_ref().map_or(0, |e| e.refundable_out.amount()),
            replaces: b.exchanged.as_ref().and_then(|e| e.replaces).map(LinkText::of),
            replaced_by: b
                .exchanged
                .iter()
                .flat_map(|e| &e.replaced_by)
                .map(|(line, to)| (*line, LinkText::of(*to)))
                .collect(),
            policy: (*b.policy).clone(),
            collect_by: b.collect_by.map(Timestamp::as_millisecond),
        }),
    }
}

/// A request on record at its hold: its key, what it said, and where its answer is.
pub(super) fn known_bytes(known: &KnownKey, answer: i64) -> Vec<u8> {
    [&known.key.0[..], &known.said.0, &answer.to_be_bytes()].concat()
}

/// The requests on record at a hold, and where their answers are.
pub(super) fn read_known(about: About, answers: &[u8]) -> impl Iterator<Item = (KnownKey, i64)> + '_ {
    let (records, _) = answers.as_chunks::<40>();
    records.iter().map(move |record| {
        let (key, rest) = record.split_first_chunk().expect("16 of 40 bytes");
        let (said, id) = rest.split_first_chunk().expect("16 of 24 bytes");
        let id = i64::from_be_bytes(id.try_into().expect("8 of 8 bytes"));
        (KnownKey { key: KeyPrint(*key), said: BodyPrint(*said), about }, id)
    })
}

/// The places of a hold as JSON: `[[place, ticket type or null], ...]`.
pub(super) fn places_text(places: &[HeldPlace]) -> String {
    let pairs: Vec<(u16, Option<u8>)> = places.iter().map(|p| (p.place.0, p.ticket_type.map(|t| t.0))).collect();
    text(&pairs)
}

pub(super) fn hold_key(bytes: &[u8]) -> Option<HoldKey> {
    bytes.try_into().ok().map(|b| HoldKey(u128::from_be_bytes(b)))
}

/// The columns `hold`, `block`, `until` of a claim.
pub(super) fn claim_columns(claim: Claim) -> (Option<[u8; 16]>, Option<String>, Option<i64>) {
    match claim {
        Claim::Hold(key) => (Some(key.0.to_be_bytes()), None, None),
        Claim::Block(Block { reason, until }) => {
            let word = text(&reason).trim_matches('"').to_owned();
            (None, Some(word), until.map(Timestamp::as_millisecond))
        }
    }
}

/// A row of `hold`, as it is read.
pub(super) struct HoldRow {
    pub(super) hold: Vec<u8>,
    pub(super) owner: Vec<u8>,
    pub(super) network: Option<i64>,
    pub(super) places: String,
    pub(super) price_table: Vec<u8>,
    pub(super) created_at: i64,
    pub(super) seq: i64,
    pub(super) state: String,
    pub(super) at: i64,
    pub(super) details: Option<String>,
}

impl HoldRow {
    /// The hold of a screening, by the screening's number.
    pub(super) fn read(
        self,
        number: i64,
        prices: &dyn Fn(ContentName) -> Option<Arc<Prices>>,
    ) -> Result<Hold, StoreError> {
        let wrong = |why: &str| bad("hold", number, why);
        let key = hold_key(&self.hold).ok_or_else(|| wrong("key is not 16 bytes"))?;
        let owner = self.owner.try_into().map_err(|_| wrong("owner is not 32 bytes"))?;
        let table = self.price_table.try_into().map_err(|_| wrong("price table is not 32 bytes"))?;
        let places: Vec<(u16, Option<u8>)> =
            serde_json::from_str(&self.places).map_err(|e| bad("hold", number, e.to_string()))?;
        let place = |(place, t): &(u16, Option<u8>)| HeldPlace { place: Place(*place), ticket_type: t.map(TypeNo) };
        let name = ContentName::from_digest(table);
        let details = self.details.map(|d| read_details(&d, number)).transpose()?;
        let at = instant(self.at, "hold", number)?;
        let prices = prices(name).ok_or_else(|| bad("hold", number, format!("its price table {name} is missing")))?;
        let hold = Hold {
            key,
            owner: Owner(owner),
            network: self.network.map(|n| Network(n.cast_unsigned())),
            places: places.iter().map(place).collect(),
            prices,
            created_at: instant(self.created_at, "hold", number)?,
            seq: self.seq.unsigned_abs(),
            state: read_state(&self.state, at, details, number)?,
        };
        // A type number beyond the table would be a panic later; here it is a bad row.
        let types = hold.prices.table.ticket_types.len();
        let lines = hold.booking().into_iter().flat_map(|b| b.lines.iter().map(|l| l.ticket_type));
        let numbers = hold.places.iter().filter_map(|p| p.ticket_type).chain(lines);
        if numbers.into_iter().any(|n| usize::from(n.0) >= types) {
            return Err(wrong("it names a ticket type that its price table does not have"));
        }
        Ok(hold)
    }
}

fn read_details(details: &str, number: i64) -> Result<Details, StoreError> {
    serde_json::from_str(details).map_err(|e| bad("hold", number, e.to_string()))
}

/// Who the buyer of a booking is, as its `details` say.
pub(super) fn buyer_of(details: &str, number: i64) -> Result<Option<Buyer>, StoreError> {
    Ok(read_details(details, number)?.buyer.map(|buyer| *buyer))
}

/// Moves the time until which a booking is to be paid, in its `details`: by so much, and to `start` where that is over by now.
/// Nothing, if it has no such time.
pub(super) fn move_collect_by(
    details: &str,
    moved_by: i64,
    now: Timestamp,
    start: Timestamp,
    number: i64,
) -> Result<Option<String>, StoreError> {
    let mut details = read_details(details, number)?;
    let Some(by) = details.booked.as_mut().and_then(|b| b.collect_by.as_mut()) else { return Ok(None) };
    let moved = *by + moved_by;
    *by = if moved > now.as_millisecond() { moved } else { start.as_millisecond() };
    Ok(Some(text(&details)))
}

/// A row of `claim`, as it is read.
pub(super) struct ClaimRow {
    pub(super) place: i64,
    pub(super) hold: Option<Vec<u8>>,
    pub(super) block: Option<String>,
    pub(super) until: Option<i64>,
}

impl ClaimRow {
    pub(super) fn read(self, number: i64) -> Result<(Place, Claim), StoreError> {
        let claim = match (self.hold, self.block) {
            (Some(hold), None) => {
                Claim::Hold(hold_key(&hold).ok_or_else(|| bad("claim", number, "hold is not 16 bytes"))?)
            }
            (None, Some(word)) => {
                let reason: BlockReason =
                    serde_json::from_value(word.into()).map_err(|e| bad("claim", number, e.to_string()))?;
                let until = self.until.map(|ms| instant(ms, "claim", number)).transpose()?;
                Claim::Block(Block { reason, until })
            }
            _ => return Err(bad("claim", number, "needs either a hold or a block")),
        };
        let place = u16::try_from(self.place).map_err(|_| bad("claim", number, "there is no such place"))?;
        Ok((Place(place), claim))
    }
}

/// A row of `scan`, as it is read.
pub(super) struct ScanRow {
    pub(super) device: String,
    pub(super) id: String,
    pub(super) kind: String,
    pub(super) undoes: Option<String>,
    pub(super) hold: Option<Vec<u8>>,
    pub(super) line: Option<i64>,
    pub(super) generation: Option<i64>,
    pub(super) at: i64,
    pub(super) admitted: bool,
    pub(super) offline: bool,
    pub(super) verdict: String,
}

impl ScanRow {
    pub(super) fn read(self, number: i64) -> Result<ScanRecord, StoreError> {
        let malformed = || bad("scan", number, "an id is malformed");
        let small = |n: Option<i64>| n.and_then(|n| u16::try_from(n).ok()).ok_or_else(malformed);
        let ticket = match self.hold.as_deref().and_then(hold_key) {
            Some(booking) => {
                Some(ScannedTicket { booking, line: small(self.line)?, generation: small(self.generation)? })
            }
            None => None,
        };
        Ok(ScanRecord {
            device: self.device.parse().map_err(|_| malformed())?,
            id: self.id.parse().map_err(|_| malformed())?,
            kind: ScanKind::from_word(&self.kind),
            undoes: self.undoes.map(|u| u.parse()).transpose().map_err(|_| malformed())?,
            ticket,
            at: instant(self.at, "scan", number)?,
            admitted: self.admitted,
            offline: self.offline,
            verdict: Verdict::from_word(&self.verdict),
        })
    }
}

/// How long an answer is given again byte for byte, in milliseconds: a day, and an hour for clocks that differ (I1).
pub(super) const ANSWER_LIFE_MS: i64 = 25 * 3_600_000;
/// Answers that are dropped at a time.
pub(super) const TIDIED_MAX: i64 = 1000;

/// Screenings that take place for which somebody waits or has an offer.
pub(super) const LINES: &str = "SELECT DISTINCT s.id FROM waitlist_entry e JOIN screening s ON s.number = e.screening \
                                WHERE e.state IN ('waiting', 'offered') AND NOT s.removed";

/// The columns `state` and `hold` of a waitlist entry.
pub(super) fn entry_state_columns(state: EntryState) -> (&'static str, Option<[u8; 16]>) {
    let (word, hold) = match state {
        EntryState::Waiting => ("waiting", None),
        EntryState::Offered(hold) => ("offered", Some(hold)),
        EntryState::Taken(hold) => ("taken", Some(hold)),
        EntryState::Declined(hold) => ("declined", Some(hold)),
        EntryState::Gone => ("gone", None),
    };
    (word, hold.map(|hold| hold.0.to_be_bytes()))
}

/// The columns `best` and `buyer` of a waitlist entry.
pub(super) fn entry_texts(entry: &Entry) -> (String, Option<String>) {
    (text(&entry.best), entry.buyer.as_ref().map(text))
}

/// A row of `waitlist_entry`, as it is read.
pub(super) struct EntryRow {
    pub(super) entry: Vec<u8>,
    pub(super) owner: Vec<u8>,
    pub(super) network: Option<i64>,
    pub(super) best: String,
    pub(super) buyer: Option<String>,
    pub(super) created_at: i64,
    pub(super) turn: i64,
    pub(super) lapses: i64,
    pub(super) passed_over: i64,
    pub(super) passed_at: Option<i64>,
    pub(super) state: String,
    pub(super) hold: Option<Vec<u8>>,
}

impl EntryRow {
    pub(super) fn read(self, number: i64) -> Result<Entry, StoreError> {
        const TABLE: &str = "waitlist_entry";
        let wrong = |why: &str| bad(TABLE, number, why);
        let key: [u8; 16] = self.entry.try_into().map_err(|_| wrong("key is not 16 bytes"))?;
        let hold = self.hold.as_deref().and_then(hold_key);
        let offer = || hold.ok_or_else(|| wrong("it names no offer"));
        let small = |n: i64| u8::try_from(n).map_err(|_| wrong("a count is out of range"));
        let json = |e: serde_json::Error| bad(TABLE, number, e.to_string());
        Ok(Entry {
            key: EntryKey(u128::from_be_bytes(key)),
            owner: Owner(self.owner.try_into().map_err(|_| wrong("owner is not 32 bytes"))?),
            network: self.network.map(|n| Network(n.cast_unsigned())),
            best: serde_json::from_str(&self.best).map_err(json)?,
            buyer: self.buyer.as_deref().map(serde_json::from_str).transpose().map_err(json)?,
            created_at: instant(self.created_at, TABLE, number)?,
            turn: self.turn.unsigned_abs(),
            lapses: small(self.lapses)?,
            passed_over: small(self.passed_over)?,
            passed_at: self.passed_at.map(|at| instant(at, TABLE, number)).transpose()?,
            state: match self.state.as_str() {
                "waiting" => EntryState::Waiting,
                "offered" => EntryState::Offered(offer()?),
                "taken" => EntryState::Taken(offer()?),
                "declined" => EntryState::Declined(offer()?),
                "gone" => EntryState::Gone,
                other => return Err(wrong(&format!("there is no state {other}"))),
            },
        })
    }
}

pub(super) fn bad(table: &'static str, row: i64, why: impl Into<String>) -> StoreError {
    StoreError::BadRow { table, row: row.to_string(), why: why.into() }
}

fn instant(ms: i64, table: &'static str, row: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_millisecond(ms).map_err(|e| bad(table, row, e.to_string()))
}

/// A row of the trail.
pub(super) fn logged(version: i64, at: i64, entries: &str) -> Result<Logged, StoreError> {
    Ok(Logged {
        version: u64::try_from(version).map_err(|e| bad("log", version, e.to_string()))?,
        at: instant(at, "log", version)?,
        entries: serde_json::from_str(entries).map_err(|e| bad("log", version, e.to_string()))?,
    })
}

fn read_state(state: &str, at: Timestamp, details: Option<Details>, number: i64) -> Result<HoldState, StoreError> {
    let missing = || bad("hold", number, format!("state {state} needs details"));
    let order = |details: Option<Details>| read_order(details.ok_or_else(missing)?, number);
    Ok(match state {
        "active" => HoldState::Active { until: at },
        "paying" => HoldState::Paying { order: order(details)?, until: at },
        "closing" => HoldState::Closing { order: order(details)?, until: at },
        "converted" | "cancelled" => HoldState::Converted(read_booking(details.ok_or_else(missing)?, at, number)?),
        "released" => HoldState::Released { at },
        "expired" => HoldState::Expired { at, order: details.map(|d| read_order(d, number)).transpose()? },
        "refund_due" => HoldState::RefundDue { order: order(details)?, at },
        other => return Err(bad("hold", number, format!("there is no state {other}"))),
    })
}

fn money(amount: i64, currency: Currency, number: i64) -> Result<Money, StoreError> {
    Money::new(amount, currency).map_err(|e| bad("hold", number, e.to_string()))
}

fn read_order(d: Details, number: i64) -> Result<Order, StoreError> {
    let line = |&(place, t, price, _, _): &(u16, u8, i64, u16, bool)| {
        let price = money(price, d.currency, number)?;
        Ok(OrderLine { place: Place(place), ticket_type: TypeNo(t), price })
    };
    Ok(Order {
        lines: d.lines.iter().map(line).collect::<Result<_, StoreError>>()?,
        booking_fees: money(d.booking_fees, d.currency, number)?,
        total: money(d.total, d.currency, number)?,
        method: d.method,
        buyer: d.buyer,
        seed: d.seed,
    })
}

fn read_exchanged(booked: &Booked, currency: Currency, number: i64) -> Result<Option<Box<Exchanged>>, StoreError> {
    if booked.replaces.is_none() && booked.replaced_by.is_empty() {
        return Ok(None);
    }
    let link = |(line, link): &(u16, LinkText)| Ok((*line, link.read(number)?));
    Ok(Some(Box::new(Exchanged {
        moved_in: money(booked.moved_in, currency, number)?,
        refundable_in: money(booked.refundable_in, currency, number)?,
        moved_out: money(booked.moved_out, currency, number)?,
        refundable_out: money(booked.refundable_out, currency, number)?,
        replaces: booked.replaces.as_ref().map(|link| link.read(number)).transpose()?,
        replaced_by: booked.replaced_by.iter().map(link).collect::<Result<_, StoreError>>()?,
    })))
}

fn read_booking(d: Details, confirmed_at: Timestamp, number: i64) -> Result<Booking, StoreError> {
    let line = |&(place, t, price, generation, revoked): &(u16, u8, i64, u16, bool)| {
        let price = money(price, d.currency, number)?;
        Ok(Line { place: Place(place), ticket_type: TypeNo(t), price, generation, revoked })
    };
    let booked = d.booked.ok_or_else(|| bad("hold", number, "a converted hold needs a booking"))?;
    Ok(Booking {
        lines: d.lines.iter().map(line).collect::<Result<_, StoreError>>()?,
        booking_fees: money(d.booking_fees, d.currency, number)?,
        total: money(d.total, d.currency, number)?,
        paid: money(booked.paid, d.currency, number)?,
        refunded: money(booked.refunded, d.currency, number)?,
        paid_out: money(booked.paid_out, d.currency, number)?,
        exchanged: read_exchanged(&booked, d.currency, number)?,
        method: d.method,
        buyer: d.buyer,
        policy: Arc::new(booked.policy),
        collect_by: booked.collect_by.map(|ms| instant(ms, "hold", number)).transpose()?,
        confirmed_at,
        seed: d.seed,
    })
}

/// A queue, as its row says.
pub(super) fn line_of(
    seed: Vec<u8>,
    key: Vec<u8>,
    places: i64,
    (from, next): (Option<i64>, Option<i64>),
) -> Result<Queue, StoreError> {
    let secret = |bytes: Vec<u8>| <[u8; 32]>::try_from(bytes).map_err(|_| bad_queue("its secrets have 32 bytes"));
    let drawn = |(from, next)| Ok::<_, StoreError>(Drawn { from: turn(from)?, next: turn(next)? });
    let drawn = from.zip(next).map(drawn).transpose()?;
    Ok(Queue { seed: secret(seed)?, key: secret(key)?, places: places.unsigned_abs(), drawn })
}

/// Somebody's place in a queue, as its row says.
pub(super) fn place_of(
    owner: Owner,
    network: Option<i64>,
    came_at: i64,
    turn_at: Option<i64>,
    left: i64,
) -> Result<QueuePlace, StoreError> {
    let came_at = Timestamp::from_millisecond(came_at).map_err(|_| bad_queue("nobody came at such a time"))?;
    let (network, turn) = (network.map(|n| Network(n.cast_unsigned())), turn_at.map(turn).transpose()?);
    Ok(QueuePlace { owner, network, came_at, turn, left: left != 0 })
}

fn turn(us: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_microsecond(us).map_err(|_| bad_queue("a turn is no such time"))
}

fn bad_queue(why: &str) -> StoreError {
    StoreError::BadRow { table: "queue", row: String::new(), why: why.to_owned() }
}
