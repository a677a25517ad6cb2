//! Thousands of people who want a seat: most of them know what they do, some do not.

mod choose;
mod rush;
mod search;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use admit_client::{Client, ClientError, Index, Near, RequestKey, Search, Secret, Server, Which};
use admit_protocol::booking::{Book, Booking};
use admit_protocol::capability::PaymentMethod;
use admit_protocol::digest::ContentName;
use admit_protocol::directory::{Day, ScreeningHint};
use admit_protocol::geo::Position;
use admit_protocol::hold::{Hold, HoldState, SeatWish};
use admit_protocol::id::{BookingId, HoldId, ScreeningId, SeatId};
use admit_protocol::layout::Layout;
use admit_protocol::problem::ProblemCode;
use anyhow::Context as _;
use jiff::Timestamp;
use tokio::time::timeout;

use self::choose::{together, wish};
use crate::dice::Dice;
use crate::tally::Tally;

/// How somebody buys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// Finds, chooses, holds, books.
    Honest,
    /// Clicks twice, everywhere.
    DoubleClick,
    /// Loses the connection while the answer is on its way, and asks again with the same key.
    LostReply,
    /// Holds seats and goes away.
    WalksAway,
    /// Holds, gives back, holds others.
    ChangesMind,
    /// Books, and cancels some of it.
    Cancels,
    /// Sends a total that is not what was said.
    WrongTotal,
    /// Sends another wish under a key that was used.
    ReusesKey,
    /// Asks for somebody else's booking.
    Snoops,
    /// Asks for a seat that is not there.
    Mistypes,
}

/// Of a hundred buyers.
const CROWD: [(Manner, usize); 10] = [
    (Manner::Honest, 56),
    (Manner::DoubleClick, 9),
    (Manner::LostReply, 9),
    (Manner::WalksAway, 5),
    (Manner::ChangesMind, 5),
    (Manner::Cancels, 6),
    (Manner::WrongTotal, 4),
    (Manner::ReusesKey, 2),
    (Manner::Snoops, 2),
    (Manner::Mistypes, 2),
];

/// How often somebody chooses other seats when the first are gone.
const CHOICES: usize = 6;
/// The shortest hold that servers give, in seconds: for those who walk away.
const SHORT_S: u32 = 30;

/// A booking that was answered.
#[derive(Debug, Clone)]
pub(crate) struct Sale {
    pub(crate) origin: String,
    pub(crate) screening: ScreeningId,
    pub(crate) booking: BookingId,
    /// Seats whose tickets stand.
    pub(crate) seats: BTreeSet<SeatId>,
    /// What it came to; not said of one that was cancelled in part.
    pub(crate) total: Option<i64>,
    /// When the cinema takes the seats back, if nobody has paid there.
    pub(crate) collect_by: Option<Timestamp>,
}

impl Sale {
    /// Whether the cinema has taken the seats back at `now`: nobody in this world walks to the box office.
    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        self.collect_by.is_some_and(|by| by <= now)
    }
}

/// A hold that nobody came back to.
struct Left {
    server: Server,
    screening: ScreeningId,
    secret: Secret,
    hold: HoldId,
}

/// Everything that buyers share: where to look, what they know, what they did.
pub(crate) struct Town {
    client: Client,
    index: Index,
    pub(crate) tally: Tally,
    layouts: Mutex<HashMap<ContentName, Arc<Layout>>>,
    sales: Mutex<Vec<Sale>>,
    left: Mutex<Vec<Left>>,
}

/// What somebody has chosen and not yet held.
struct Choice {
    server: Server,
    screening: ScreeningId,
    starts_at: Timestamp,
    layout: Arc<Layout>,
}

/// The middle of Prague.
fn prague() -> Option<Position> {
    Position::new(50_083_000, 14_425_000).ok()
}

impl Town {
    pub(crate) fn new(client: Client, index: Index) -> Self {
        Self {
            client,
            index,
            tally: Tally::default(),
            layouts: Mutex::default(),
            sales: Mutex::default(),
            left: Mutex::default(),
        }
    }

    pub(crate) fn sales(&self) -> Vec<Sale> {
        self.sales.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// One visit of buyer `n`.
    pub(crate) async fn visit(&self, seed: u64, n: u64) {
        let mut dice = Dice::new(seed, n);
        let manner = manner(&mut dice);
        if let Err(error) = self.buy(manner, &mut dice).await {
            self.tally.surprise(format!("buyer {n} ({manner:?}): {error:#}"));
        }
    }

    async fn buy(&self, manner: Manner, dice: &mut Dice) -> anyhow::Result<()> {
        let Some(choice) = self.find(dice).await? else {
            self.tally.count("nothing_found");
            return Ok(());
        };
        let party = 1 + dice.below(5);
        let secret = Secret::new()?;
        let Some(hold) = self.hold(&choice, &secret, party, manner, dice).await? else { return Ok(()) };
        match manner {
            Manner::WalksAway => {
                let (server, screening) = (choice.server, choice.screening);
                let left = Left { server, screening, secret, hold: hold.id };
                self.left.lock().unwrap_or_else(PoisonError::into_inner).push(left);
                self.tally.count("walked_away");
                return Ok(());
            }
            Manner::ChangesMind => {
                let release = choice.server.release_hold(choice.screening, &secret, hold.id);
                self.tally.time("release", release).await?;
                self.tally.count("released");
                let Some(other) = self.hold(&choice, &secret, party, Manner::Honest, dice).await? else {
                    return Ok(());
                };
                return self.book(&choice, &secret, &other, manner, dice).await;
            }
            _ => {}
        }
        self.book(&choice, &secret, &hold, manner, dice).await
    }

    /// Finds a screening: by a title, near a place, or on some evening; then asks its server how it is now.
    async fn find(&self, dice: &mut Dice) -> anyhow::Result<Option<Choice>> {
        let position = prague().context("Prague is on the map")?;
        let near = Some(Near { position, radius_m: 5_000 + 1_000 * u32::try_from(dice.below(15))? });
        let text = if dice.below(3) == 0 {
            let search = Search { near, limit: Some(50), ..Search::default() };
            let films = self.tally.time("find films", self.index.films(&search)).await?.films;
            // Most people want what most people want.
            let most = films.len().min(if dice.below(4) == 0 { films.len() } else { 5 });
            dice.one(&films[..most]).and_then(|f| f.film.title.iter().next().map(|(_, title)| title.to_owned()))
        } else {
            None
        };
        let days = i64::try_from(dice.below(6))?;
        let today = Timestamp::now().in_tz("Europe/Prague")?.date();
        let date = Some(Day::On(today.checked_add(jiff::Span::new().days(days))?));
        let search = Search { text, near, date, limit: Some(100), ..Search::default() };
        let hints = self.tally.time("find screenings", self.index.screenings(&search)).await?.screenings;
        let Some(hint): Option<&ScreeningHint> = dice.one(&hints) else { return Ok(None) };
        let server = self.tally.time("meet server", self.client.server(hint.origin.as_str(), None)).await?;
        let id = hint.screening.id;
        let screening = self.tally.time("screening", server.screening(id)).await?;
        let layout = self.layout(&server, screening.layout).await?;
        Ok(Some(Choice { server, screening: id, starts_at: screening.starts_at.at(), layout }))
    }

    /// Layouts never change, so nobody reads one twice.
    async fn layout(&self, server: &Server, name: ContentName) -> Result<Arc<Layout>, ClientError> {
        let known = self.layouts.lock().unwrap_or_else(PoisonError::into_inner).get(&name).cloned();
        if let Some(layout) = known {
            return Ok(layout);
        }
        let layout = Arc::new(self.tally.time("layout", server.layout(name)).await?);
        self.layouts.lock().unwrap_or_else(PoisonError::into_inner).insert(name, layout.clone());
        Ok(layout)
    }

    /// Looks at the seats and holds the best that are free, until it works or nothing fits.
    async fn hold(
        &self,
        choice: &Choice,
        secret: &Secret,
        party: usize,
        manner: Manner,
        dice: &mut Dice,
    ) -> anyhow::Result<Option<Hold>> {
        let (server, screening) = (&choice.server, choice.screening);
        for _ in 0..CHOICES {
            let seats = self.tally.time("seats", server.seats(screening)).await?;
            let taken: BTreeSet<SeatId> = seats.not_free.into_values().flatten().collect();
            let chosen = together(&choice.layout, &taken, party, dice);
            let Some(chosen) = chosen else {
                self.tally.count("no_seats_together");
                return Ok(None);
            };
            let mut wish = wish(&chosen, dice)?;
            if manner == Manner::Mistypes {
                wish.seats.push(SeatWish { seat: "nobody-sits-here".parse()?, ticket_type: None });
            }
            if manner == Manner::WalksAway {
                wish.ttl_s = Some(SHORT_S);
            }
            let key = RequestKey::new()?;
            let ask = || self.tally.time("hold", server.place_hold(screening, secret, &key, &wish));
            let placed = self.by_hand(manner, dice, ask, |hold: &Hold| hold.id).await;
            match placed {
                Ok(hold) => {
                    self.tally.count("holds");
                    return Ok(Some(hold));
                }
                Err(error) => match (error.code(), manner) {
                    // Somebody was faster: look again.
                    (Some(ProblemCode::SeatsTaken), _) => self.names_what_is_taken(&error, &chosen),
                    // Their film has begun, or they cannot pay there any more: as they were told.
                    (Some(ProblemCode::SalesClosed | ProblemCode::ScreeningUnderWay), _) => return Ok(None),
                    (Some(code), Manner::Mistypes) if code != ProblemCode::Internal => return Ok(None),
                    _ => return Err(error.into()),
                },
            }
        }
        self.tally.count("gave_up");
        Ok(None)
    }

    /// HOLD-002: a refusal names the seats that are in the way, and they are some of those asked for.
    fn names_what_is_taken(&self, error: &ClientError, chosen: &[SeatId]) {
        let conflicts = error.problem().map(|p| p.conflicts.clone()).unwrap_or_default();
        if conflicts.is_empty() || conflicts.iter().any(|c| !chosen.contains(&c.seat)) {
            self.tally.surprise(format!("seats {chosen:?} were refused for {conflicts:?}"));
        }
    }

    /// Asks as people do: once, twice at the same time, or again after the reply was lost. It is one request each time, so two
    /// answers are the same, or both the same refusal.
    async fn by_hand<T, I: PartialEq + std::fmt::Debug, F: Future<Output = Result<T, ClientError>>>(
        &self,
        manner: Manner,
        dice: &mut Dice,
        ask: impl Fn() -> F,
        id: impl Fn(&T) -> I,
    ) -> Result<T, ClientError> {
        match manner {
            Manner::LostReply => {
                let soon = Duration::from_micros(dice.below(3_000) as u64);
                if timeout(soon, ask()).await.is_err() {
                    self.tally.count("replies_lost");
                }
                ask().await
            }
            Manner::DoubleClick => {
                let (first, second) = tokio::join!(ask(), ask());
                let say = |answer: &Result<T, ClientError>| match answer {
                    Ok(thing) => format!("{:?}", id(thing)),
                    Err(error) => format!("{:?}", error.code()),
                };
                if say(&first) != say(&second) {
                    self.tally.surprise(format!("one request, two answers: {} and {}", say(&first), say(&second)));
                }
                first
            }
            _ => ask().await,
        }
    }

    async fn book(
        &self,
        choice: &Choice,
        secret: &Secret,
        hold: &Hold,
        manner: Manner,
        dice: &mut Dice,
    ) -> anyhow::Result<()> {
        let (server, screening) = (&choice.server, choice.screening);
        let quote = hold.quote.as_ref().context("a hold whose seats have ticket types has a price")?;
        let book = Book::of(hold, PaymentMethod::AtCinema).context("a hold that has a price can be booked")?;
        let key = RequestKey::new()?;
        if manner == Manner::WrongTotal {
            let mut wrong = book.clone();
            wrong.total = wrong.total.plus(quote.lines.first().context("a hold has seats")?.total)?;
            let refused = self.tally.time("book", server.book(screening, secret, &RequestKey::new()?, &wrong)).await;
            let code = refused.err().and_then(|e| e.code());
            if code != Some(ProblemCode::PriceChanged) {
                self.tally.surprise(format!("a wrong total was answered by {code:?}"));
            }
        }
        let ask = || self.tally.time("book", server.book(screening, secret, &key, &book));
        let booked = self.by_hand(manner, dice, ask, |booking: &Booking| booking.id).await;
        let booking = match booked {
            Ok(booking) => booking,
            // Too late to pay at the cinema: as the server says, and the seats go back by themselves.
            Err(error) if error.code() == Some(ProblemCode::PaymentMethodNotOffered) => {
                let release = server.release_hold(screening, secret, hold.id);
                return Ok(self.tally.time("release", release).await?);
            }
            Err(error) => return Err(error.into()),
        };
        self.booked(choice, secret, &booking, &book, &key, manner, dice).await
    }

    #[expect(clippy::too_many_arguments, reason = "what a buyer has in hand after booking")]
    async fn booked(
        &self,
        choice: &Choice,
        secret: &Secret,
        booking: &Booking,
        book: &Book,
        key: &RequestKey,
        manner: Manner,
        dice: &mut Dice,
    ) -> anyhow::Result<()> {
        let (server, screening) = (&choice.server, choice.screening);
        let mut seats: BTreeSet<SeatId> = booking.lines.iter().map(|l| l.seat).collect();
        let mut total = Some(booking.total.amount());
        match manner {
            Manner::Cancels => {
                let count = 1 + dice.below(seats.len());
                let some: Vec<SeatId> = seats.iter().copied().take(count).collect();
                let quote = server.quote_cancellation(screening, secret, booking.id, Which::Seats(some.clone()));
                match self.tally.time("quote cancellation", quote).await {
                    Ok(quote) => {
                        let cancel = RequestKey::new()?;
                        let cancel = server.cancel(screening, secret, &cancel, booking.id, quote.id);
                        self.tally.time("cancel", cancel).await?;
                        self.tally.count("cancelled");
                        seats.retain(|seat| !some.contains(seat));
                        total = None;
                    }
                    // The film is about to begin, or a ticket would be left that is not sold alone.
                    Err(error)
                        if matches!(error.code(), Some(ProblemCode::NotCancellable | ProblemCode::RuleBroken)) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Manner::ReusesKey => {
                let mut other = book.clone();
                other.total = other.total.plus(other.total)?;
                let refused = self.tally.time("book", server.book(screening, secret, key, &other)).await;
                let code = refused.err().and_then(|e| e.code());
                if code != Some(ProblemCode::IdempotencyKeyReused) {
                    self.tally.surprise(format!("another request under the same key was answered by {code:?}"));
                }
            }
            Manner::Snoops => {
                let stranger = Secret::new()?;
                let seen = self.tally.time("booking", server.booking(screening, &stranger, booking.id)).await;
                let code = seen.err().and_then(|e| e.code());
                if code != Some(ProblemCode::NotFound) {
                    self.tally.surprise(format!("a stranger asked for a booking and was answered by {code:?}"));
                }
            }
            _ => {}
        }
        let origin = server.origin().to_string();
        let collect_by = booking.collect_by;
        let sale = Sale { origin, screening, booking: booking.id, seats, total, collect_by };
        if !sale.seats.is_empty() {
            // The client verifies every ticket with the server's key.
            let tickets = self.tally.time("tickets", server.tickets(screening, secret, booking.id)).await?;
            let shown: BTreeSet<SeatId> = tickets.tickets.iter().map(|t| t.seat).collect();
            if shown != sale.seats && !sale.is_over(Timestamp::now()) {
                self.tally.surprise(format!("tickets are for {shown:?}, booked were {:?}", sale.seats));
            }
        }
        self.tally.count("bookings");
        self.sales.lock().unwrap_or_else(PoisonError::into_inner).push(sale);
        Ok(())
    }

    /// Waits until the holds that nobody came back to are over, and counts those that are not: by what their server says,
    /// and by whether their seats are free again or somebody else's.
    pub(crate) async fn wait_for_left_holds(&self) -> anyhow::Result<usize> {
        let left = std::mem::take(&mut *self.left.lock().unwrap_or_else(PoisonError::into_inner));
        // What lasts 30 seconds is over after 30 seconds; the timer behind it may take one more.
        if !left.is_empty() {
            tokio::time::sleep(Duration::from_secs(u64::from(SHORT_S) + 1)).await;
        }
        let mut stuck = 0;
        for hold in left {
            let now = hold.server.hold(hold.screening, &hold.secret, hold.hold).await?;
            stuck += usize::from(now.state != HoldState::Expired);
        }
        Ok(stuck)
    }
}

fn manner(dice: &mut Dice) -> Manner {
    let mut at = dice.below(CROWD.iter().map(|(_, share)| share).sum());
    for (manner, share) in CROWD {
        if at < share {
            return manner;
        }
        at -= share;
    }
    Manner::Honest
}
