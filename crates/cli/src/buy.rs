//! Buying.

mod alternatives;
mod begun;
mod choosing;
mod exchange;

use admit_booking::{Refusal, price};
use admit_client::{
    Choosing, ClientError, Keepsake, Purchase, PurchaseNumber, Secret, Server, Waiting, Wallet, WalletError,
};
use admit_protocol::booking::{Book as BookRequest, Booking, TicketChoice, TicketState};
use admit_protocol::capability::PaymentMethod;
use admit_protocol::hold::{Best, Hold, PlaceHold, Quote};
use admit_protocol::id::{ScreeningId, SeatId, TicketTypeId, ZoneId};
use admit_protocol::layout::{Layout, SeatKind};
use admit_protocol::money::{Currency, Money};
use admit_protocol::price::{PriceTable, TicketRule};
use admit_protocol::problem::ProblemCode;
use admit_protocol::screening::Screening;
use admit_protocol::time::{Moment, ZoneName, after};
use anyhow::{Context as _, anyhow, bail, ensure};
use clap::Args;
use jiff::Timestamp;
use serde_json::json;

use self::begun::{is_begun, not_yours_already, unfinished};
use self::choosing::{spaces_beside, wish};
pub(crate) use self::exchange::Exchange;
use crate::office::{self, Office};
use crate::reached::Reached;
use crate::show::Stop;
use crate::showing::{Showing, cancellation};
use crate::{Context, bookings, find, queue, sales, show};

/// Hold seats and book them.
///
/// Nothing is booked before you have seen what it costs and said yes. If this is interrupted, run it again: it goes on
/// where it was, and books nothing twice.
#[derive(Args)]
pub(crate) struct Book {
    #[command(flatten)]
    wanted: Wanted,
}

/// What somebody wants, and for how much.
#[derive(Args)]
pub(crate) struct Wanted {
    /// The cinema's server.
    pub(crate) server: String,
    /// The screening.
    screening: String,
    /// Seats, as `admit seats` names them: row and number together (F9), seats side by side (F9-F12), or AREA:COUNT where
    /// there are no numbers. For another ticket than the first in the list: F9=child, for that seat or range alone.
    /// best:4 lets the server choose: side by side, around the best place of the hall; best:4:ZONE or best:4:ZONE:ZONE in these zones.
    #[arg(required = true, value_delimiter = ',')]
    seats: Vec<String>,
    /// With best: sit apart, if there are not so many seats side by side.
    #[arg(long)]
    split: bool,
    /// With best: how many of them sit in their own wheelchair.
    #[arg(long, value_name = "PEOPLE", default_value_t = 0)]
    wheelchairs: u16,
    /// With best: whose tickets they are, one for each: adult,child,child. Without it all are of the first type in the list.
    #[arg(long, value_delimiter = ',')]
    tickets: Vec<String>,
    #[command(flatten)]
    reached: Reached,
    /// What you are called: the box office finds you by it.
    #[arg(long)]
    name: Option<String>,
    /// Book without asking, if it comes to at most this, such as 20.00.
    #[arg(long, allow_hyphen_values = true)]
    at_most: Option<String>,
}

/// Where somebody buys.
#[derive(Clone, Copy)]
pub(crate) enum At<'a> {
    /// By themselves, to pay later.
    Home,
    /// At the counter, with money in hand.
    Counter(&'a Office),
}

/// What came of it.
pub(crate) struct Bought {
    pub(crate) purchase: Purchase,
    pub(crate) booking: Booking,
    screening: Screening,
}

/// A place that is to be held, and what for.
type Ticket = (SeatId, ZoneId, TicketTypeId);

impl Book {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let Bought { purchase, booking, screening } = Box::pin(self.wanted.buy(At::Home, context)).await?;
        bought("booked:", purchase.number, &booking, &screening, context)
    }
}

impl Wanted {
    /// Holds, shows what it costs, asks, and books.
    pub(crate) async fn buy(mut self, at: At<'_>, context: &Context) -> anyhow::Result<Bought> {
        ensure!(!context.json || self.at_most.is_some(), "say --at-most, such as 20.00: with --json nobody is asked");
        let wallet = Wallet::open(&context.wallet())?;
        let client = match at {
            At::Home => find::client(context)?,
            At::Counter(office) => office.client(context)?,
        };
        let server = wallet.meet(&client, &self.server).await?;
        find::note_move(&self.server, &server, context);
        self.reached = self.reached.check(&server)?;
        let id: ScreeningId = self.screening.parse().with_context(|| self.screening.clone())?;
        let screening = find::screening(&server, id).await?;
        // What was begun is gone on with, also when sales have ended since.
        if !is_begun(&wallet, &server, id, None)? {
            sales::check(&screening, server.now())?;
        }
        let layout = server.layout(screening.layout).await?;
        let table = server.price_table(screening.price_table).await?;
        let most = self.at_most.as_deref().map(|text| read_amount(text, table.currency)).transpose()?;
        let (mut wish, wanted) = wish(&self.seats, screening.layout, &layout, &table)?;
        choosing::refine(wish.best.as_mut(), self.split, self.wheelchairs)?;
        // What is against the rules is said before anything is held.
        match &wish.best {
            None => {
                ensure!(self.tickets.is_empty(), "--tickets is for best:4; a seat has its ticket with it: F9=child");
                price_of(&table, &wanted)?;
            }
            Some(best) => drop(choosing::check_types(best, &self.tickets, &table)?),
        }
        if !wish.seats.is_empty() && !screening.seat_rules.is_default() {
            let seats: Vec<SeatId> = wish.seats.iter().map(|s| s.seat).collect();
            let choosing = Choosing::new(&screening, layout.clone(), &server.seats(id).await?, server.now())?;
            choosing.check(&seats)?;
        }
        let showing = Showing::of(&server, &screening).await?;
        // From here on seats may be held: who stops this gives them back.
        let consent = match most {
            Some(most) => Consent::AtMost(most),
            None => Consent::Asked(Stop::listen()?),
        };
        let consent = (at, consent);
        let purchase = match unfinished(&wallet, &server, id, &wish, None).await? {
            Some(purchase) => purchase,
            None => {
                // Over a counter everything was sold by it, and what came back is sold again.
                if matches!(at, At::Home) {
                    not_yours_already(&wallet, &server, id, &wish).await?;
                }
                let mut queued = None;
                if screening.queue.is_some() && matches!(at, At::Home) {
                    let (secret, pass) = queue::pass(&wallet, &server, &screening, context).await?;
                    queued = Some(secret);
                    wish.queue_pass = Some(pass);
                }
                let keepsake = keepsake(&showing, &wish, &layout, &table, screening.starts_at.zone().clone());
                let secret = match (queued, spaces_beside(&wish, &layout)) {
                    // A pass is good for who has it.
                    (Some(secret), _) => secret,
                    (None, spaces) => match secret_of(&wallet, &server, id, &spaces)? {
                        Some(secret) => secret,
                        None => wallet.new_secret(&server)?,
                    },
                };
                let (best, asked) = (wish.best.clone(), wanted.len());
                match wallet.hold_as(&server, id, keepsake, wish, secret).await {
                    Ok(held) => held,
                    Err(refused) => {
                        let none_left =
                            matches!(refused.code(), Some(ProblemCode::NotTogether | ProblemCode::SeatsTaken));
                        if none_left && !context.json && matches!(at, At::Home) {
                            let best = best.as_ref();
                            // Why they cannot be had is what matters, also when nobody can say what else there is.
                            let _ = self.say_what_else(best, asked, &server, &screening, (&layout, &table)).await;
                        }
                        return Err(refused.into());
                    }
                }
            }
        };
        if let Some(booking) = purchase.booking.clone() {
            return Ok(Bought { purchase, booking, screening });
        }
        if !context.json {
            showing.print();
        }
        match self.decide(&server, &wallet, &purchase, &screening, consent, context).await {
            Ok(booking) => Ok(Bought { purchase, booking, screening }),
            Err(Gone::Unknown(error)) => Err(unknown(error, purchase.number)),
            Err(Gone::Refused(error)) => {
                // Why it came to nothing is what matters, also when the seats cannot be given back at once.
                Err(error.context(match wallet.release(&server, purchase.number).await {
                    Ok(()) => "nothing was booked, the seats are free again",
                    Err(_) => "nothing was booked; the seats are free again when the hold ends",
                }))
            }
        }
    }

    /// Shows what it costs, asks, and books.
    async fn decide(
        &self,
        server: &Server,
        wallet: &Wallet,
        purchase: &Purchase,
        screening: &Screening,
        (at, consent): (At<'_>, Consent),
        context: &Context,
    ) -> Result<Booking, Gone> {
        let hold = purchase.hold.as_ref().context("the hold is not known")?;
        // The prices are the hold's own: they do not change while you think.
        let table = server.price_table(hold.price_table).await.map_err(anyhow::Error::from)?;
        let layout = server.layout(screening.layout).await.map_err(anyhow::Error::from)?;
        let tickets = choosing::named_types(tickets_of(hold, &layout, &table)?, &self.tickets, &table)?;
        let quote = price_of(&table, &tickets)?;
        if !context.json {
            print_tickets(&quote, &layout, &table);
            if matches!(at, At::Home) {
                print_terms(&quote, hold, screening, &table);
            }
        }
        match consent {
            Consent::AtMost(most) if quote.total > most => {
                return Err(anyhow!("it comes to {}, more than {most}", quote.total).into());
            }
            Consent::AtMost(_) => {}
            Consent::Asked(mut stop) => {
                let question = match at {
                    At::Home => "book this?".to_owned(),
                    At::Counter(_) if quote.total.is_zero() => "sell this?".to_owned(),
                    At::Counter(_) => format!("did you get {}?", quote.total),
                };
                let flag = "--at-most AMOUNT";
                match at {
                    At::Home => show::agree(&question, &mut stop, flag).await?,
                    At::Counter(_) => office::agree(&question, &mut stop, flag).await?,
                }
            }
        }
        let payment_method = if quote.total.is_zero() { PaymentMethod::None } else { PaymentMethod::AtCinema };
        let book = BookRequest {
            hold: hold.id,
            tickets: tickets.iter().map(|(seat, _, t)| TicketChoice { seat: *seat, ticket_type: *t }).collect(),
            total: quote.total,
            payment_method,
            buyer: self.reached.buyer(self.name.as_deref()),
        };
        let booking = match wallet.book(server, purchase.number, book).await {
            Ok(booking) => booking,
            Err(WalletError::BookedBefore(booking)) => {
                show::line("an earlier answer was lost: this is what was booked then");
                *booking
            }
            Err(WalletError::Client(refused @ ClientError::Refused(_))) => {
                return Err(Gone::Refused(refused.into()));
            }
            Err(unknown) => return Err(Gone::Unknown(unknown)),
        };
        // Tickets are kept for the day when the cinema cannot be reached. `admit ticket show` tries again.
        let _ = wallet.refresh(server, purchase.number).await;
        Ok(booking)
    }
}

/// Seats that a party in line is offered.
pub(crate) struct Offered {
    pub(crate) server: Server,
    pub(crate) wallet: Wallet,
    pub(crate) purchase: Purchase,
    pub(crate) screening: Screening,
    pub(crate) at_most: Option<String>,
    /// One for each seat, or none.
    pub(crate) tickets: Vec<String>,
    pub(crate) reached: Reached,
}

/// Books what is offered. Who does not say yes keeps the offer until it ends.
pub(crate) async fn take(offered: Offered, context: &Context) -> anyhow::Result<()> {
    let Offered { server, wallet, purchase, screening, at_most, tickets, reached } = offered;
    let table = server.price_table(screening.price_table).await?;
    let most = at_most.as_deref().map(|text| read_amount(text, table.currency)).transpose()?;
    let consent = match most {
        Some(most) => Consent::AtMost(most),
        None => Consent::Asked(Stop::listen()?),
    };
    if !context.json {
        Showing::of(&server, &screening).await?.print();
    }
    let wanted = Wanted {
        server: purchase.origin.to_string(),
        screening: screening.id.to_string(),
        seats: vec![],
        split: false,
        wheelchairs: 0,
        tickets,
        reached,
        name: None,
        at_most,
    };
    let number = purchase.number;
    match wanted.decide(&server, &wallet, &purchase, &screening, (At::Home, consent), context).await {
        Ok(booking) => bought("booked:", purchase.number, &booking, &screening, context),
        Err(Gone::Unknown(error)) => Err(unknown(error, number)),
        Err(Gone::Refused(error)) => Err(error.context(format!(
            "nothing was booked; you may still `admit waitlist take {number}`, or decline: `admit waitlist leave {number}`"
        ))),
    }
}

/// What a party in line is offered, and what it comes to: `F9 F10, 24.00 EUR`. Nothing, if that cannot be found out.
pub(crate) async fn offer(server: &Server, waiting: &Waiting) -> Option<String> {
    let offer = waiting.entry.as_ref()?.offer.as_ref()?;
    let hold = server.hold(waiting.screening, &waiting.secret, offer.hold).await.ok()?;
    let screening = server.screening(waiting.screening).await.ok()?;
    let layout = server.layout(screening.layout).await.ok()?;
    let table = server.price_table(hold.price_table).await.ok()?;
    let types: Vec<String> = waiting.tickets.iter().map(ToString::to_string).collect();
    let tickets = choosing::named_types(tickets_of(&hold, &layout, &table).ok()?, &types, &table).ok()?;
    let seats: Vec<String> = hold.seats.iter().map(|held| show::seat(held.seat, &layout)).collect();
    Some(format!("{}, {}", seats.join(" "), price_of(&table, &tickets).ok()?.total))
}

/// Nobody heard whether a purchase was booked: the wallet knows what to ask again.
fn unknown(error: WalletError, number: admit_client::PurchaseNumber) -> anyhow::Error {
    let again = format!("`admit bookings` asks again, as number {number}");
    anyhow::Error::from(error).context(format!("it is not known whether this was booked: {again}"))
}

/// A party that waits, as people name it, `best:4:premium`, and whose tickets they are to be.
pub(crate) async fn party(
    text: &str,
    (split, wheelchairs): (bool, u16),
    highest_price: Option<&str>,
    tickets: &[String],
    server: &Server,
    screening: &Screening,
) -> anyhow::Result<(Best, Vec<TicketTypeId>)> {
    let layout = server.layout(screening.layout).await?;
    let table = server.price_table(screening.price_table).await?;
    let best = choosing::best_named(text, &layout, &table)?;
    let mut best = best.with_context(|| format!("{text}: say how many you are, such as best:4 or best:4:ZONE"))?;
    choosing::refine(Some(&mut best), split, wheelchairs)?;
    let highest_price = highest_price.map(|text| read_amount(text, table.currency)).transpose()?;
    let tickets = choosing::check_types(&best, tickets, &table)?;
    Ok((Best { highest_price, ..best }, tickets))
}

/// What a person will want to read of whatever they get for a screening.
pub(crate) async fn keepsake_of(server: &Server, screening: &Screening) -> anyhow::Result<Keepsake> {
    let layout = server.layout(screening.layout).await?;
    let table = server.price_table(screening.price_table).await?;
    let showing = Showing::of(server, screening).await?;
    let anything = PlaceHold { best: Some(Best::default()), ..PlaceHold::default() };
    Ok(keepsake(&showing, &anything, &layout, &table, screening.starts_at.zone().clone()))
}

fn keepsake(showing: &Showing, wish: &PlaceHold, layout: &Layout, table: &PriceTable, zone: ZoneName) -> Keepsake {
    // Of what the server chooses, nobody knows yet which it will be.
    let wanted = |seat: &SeatId| wish.best.is_some() || wish.seats.iter().any(|s| s.seat == *seat);
    let seats = layout.seats.iter().map(|s| s.id).filter(wanted);
    let printed =
        seats.map(|seat| (seat, show::seat(seat, layout))).filter(|(seat, name)| seat.as_str() != name).collect();
    let called = table.ticket_types.iter().map(|t| (t.id, show::text(&t.name).to_owned())).collect();
    let areas = layout.areas.iter().map(|area| (area.id, show::text(&area.name).to_owned())).collect();
    Keepsake { title: showing.title(), printed, areas, called, zone: Some(zone) }
}

/// As whom one of these spaces was booked before: who has the space gets its companion's seat, too (HOLD-006).
fn secret_of(
    wallet: &Wallet,
    server: &Server,
    screening: ScreeningId,
    spaces: &[SeatId],
) -> anyhow::Result<Option<Secret>> {
    let has_one = |p: &Purchase| {
        let mut lines = p.booking.iter().flat_map(|b| &b.lines);
        p.origin == *server.origin()
            && p.screening == screening
            && lines.any(|l| l.state != TicketState::Revoked && spaces.contains(&l.seat))
    };
    Ok(wallet.purchases()?.into_iter().find(has_one).map(|p| p.secret))
}

/// How somebody says yes.
enum Consent {
    /// Before: to anything up to this.
    AtMost(Money),
    /// When they see it.
    Asked(Stop),
}

/// Why a purchase did not come to its end.
enum Gone {
    /// Nothing is booked.
    Refused(anyhow::Error),
    /// Perhaps it is.
    Unknown(WalletError),
}

impl From<anyhow::Error> for Gone {
    fn from(error: anyhow::Error) -> Self {
        Self::Refused(error)
    }
}

/// What these tickets come to, or the rule that they break, in words.
fn price_of(table: &PriceTable, tickets: &[Ticket]) -> anyhow::Result<Quote> {
    price::quote(table, tickets).map_err(|refusal| match refusal {
        Refusal::TicketRule { seat: Some(seat), rule: TicketRule::NotSold(ticket_type) } => {
            anyhow!("{} is not sold for {seat}", called(ticket_type, table))
        }
        Refusal::TicketRule { rule, .. } => broken(&rule, table),
        other => anyhow!("these tickets are not sold together: {other:?}"),
    })
}

fn called(ticket_type: TicketTypeId, table: &PriceTable) -> String {
    table.ticket_type(ticket_type).map_or_else(|| ticket_type.to_string(), |t| show::text(&t.name).to_owned())
}

/// A rule about tickets that is broken, in words.
fn broken(rule: &TicketRule, table: &PriceTable) -> anyhow::Error {
    match rule {
        TicketRule::NeedsCompany { ticket_type, needs_one_of, each_goes_with } => {
            anyhow!(TicketRule::company(*ticket_type, needs_one_of, *each_goes_with, |id| called(id, table)))
        }
        other => anyhow!("{other}"),
    }
}

fn tickets_of(hold: &Hold, layout: &Layout, table: &PriceTable) -> anyhow::Result<Vec<Ticket>> {
    let first = table.ticket_types.first().context("this screening has no tickets")?.id;
    let ticket = |s: &admit_protocol::hold::HeldSeat| {
        let zone = zone_of(layout, s.seat.as_str())?;
        Some((s.seat, zone, s.ticket_type.unwrap_or(first)))
    };
    hold.seats.iter().map(ticket).collect::<Option<_>>().context("the server holds seats that its layout does not have")
}

fn zone_of(layout: &Layout, place: &str) -> Option<ZoneId> {
    let seat = layout.seats.iter().find(|s| s.id.as_str() == place).map(|s| s.zone);
    seat.or_else(|| {
        let (area, _) = place.rsplit_once('.')?;
        layout.areas.iter().find(|a| a.id.as_str() == area).map(|a| a.zone)
    })
}

fn print_tickets(quote: &Quote, layout: &Layout, table: &PriceTable) {
    for line in &quote.lines {
        let seat = show::seat(line.seat, layout);
        let kind = table.ticket_type(line.ticket_type).map_or(line.ticket_type.as_str(), |t| show::text(&t.name));
        let place = layout.seats.iter().find(|s| s.id == line.seat).map(|s| s.kind);
        let space = if place == Some(SeatKind::WheelchairSpace) { "  (a space for your wheelchair)" } else { "" };
        show::line(&format!("  {seat:10} {kind:10} {}{space}", line.total));
    }
    if !quote.booking_fees.is_zero() {
        let names: Vec<&str> = table.booking_fees.iter().map(|fee| show::text(&fee.name)).collect();
        show::line(&format!("  {:21} {}", names.join(", "), quote.booking_fees));
    }
    show::line(&format!("  {:21} {}", "all in all", show::colour("1", &quote.total.to_string())));
}

/// Until when it is held, is to be paid, and can be cancelled.
fn print_terms(quote: &Quote, hold: &Hold, screening: &Screening, table: &PriceTable) {
    let zone = screening.starts_at.zone();
    let moment = |at| Moment::new(at, zone).map(|at| show::moment(&at)).unwrap_or_default();
    if !quote.total.is_zero() {
        // Who comes in the last minutes pays before the start, who comes later at once (BOOK-005): the booking says until when.
        let in_time = |by: &Timestamp| *by > after(Timestamp::now(), 15 * 60);
        let start = screening.starts_at.at();
        let late = if Timestamp::now() < start { start } else { screening.sales.closes_at };
        let by = screening.collect_by.filter(in_time).unwrap_or(late);
        show::line(&format!("to be paid at the cinema by {}; cancelled before you pay, it costs nothing", moment(by)));
        show::line(&format!("once paid: {}", cancellation(&screening.cancellation, &screening.starts_at, table)));
    }
    let left = hold.expires_at.duration_since(Timestamp::now()).as_secs().max(0);
    let left = if left < 90 { format!("{left} seconds") } else { format!("{} minutes", (left + 30) / 60) };
    show::line(&format!("held for you for {left}, until {}", moment(hold.expires_at)));
}

/// What was bought, how, and what is left to do.
fn bought(
    how: &str,
    number: PurchaseNumber,
    booking: &Booking,
    screening: &Screening,
    context: &Context,
) -> anyhow::Result<()> {
    if context.json {
        return show::json(&json!({"number": number, "booking": booking}));
    }
    show::line(&format!("{} {}", show::colour("1;32", how), booking.reference));
    if !booking.balance_due.is_zero() {
        // By the cinema's clock: that is where it is paid.
        let by = booking.collect_by.and_then(|by| Moment::new(by, screening.starts_at.zone()).ok());
        let by = by.map(|by| format!(" by {}", show::moment(&by))).unwrap_or_default();
        show::line(&format!("pay {} at the cinema{by}, or the seats go back on sale", booking.balance_due));
        let left = bookings::left_of(booking);
        if !left.is_zero() {
            // EXCH-006.
            show::line(&format!(
                "{left} is paid; if the rest is not, as much of that comes back as a cancellation of what you gave would have brought"
            ));
        }
    }
    show::line(&format!("your tickets: admit ticket show {number}"));
    Ok(())
}

/// `20.00`, as people write an amount of this currency.
fn read_amount(text: &str, currency: Currency) -> anyhow::Result<Money> {
    let digits = usize::from(currency.minor_digits());
    let example = Money::new(2 * 10_i64.pow(u32::from(currency.minor_digits()) + 1), currency)?;
    let unreadable = || format!("{text:?} is not an amount such as {example}");
    let (whole, part) = text.split_once(['.', ',']).unwrap_or((text, ""));
    let part = if digits == 0 && part.len() <= 2 { part.trim_end_matches('0') } else { part };
    if whole.is_empty() || part.len() > digits || !whole.bytes().chain(part.bytes()).all(|b| b.is_ascii_digit()) {
        bail!(unreadable());
    }
    let amount: i64 = format!("{whole}{part:0<digits$}").parse().with_context(unreadable)?;
    Ok(Money::new(amount, currency)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_as_people_write_them() {
        let amount = |text: &str, code: &str| {
            read_amount(text, Currency::parse(code).expect("a currency")).map(|m| m.amount()).ok()
        };
        assert_eq!(
            [amount("20", "EUR"), amount("9.5", "EUR"), amount("9,50", "EUR")],
            [Some(2000), Some(950), Some(950)]
        );
        assert_eq!([amount("2000", "JPY"), amount("2000.5", "JPY"), amount("9.505", "EUR")], [Some(2000), None, None]);
        assert_eq!([amount("-1", "EUR"), amount("", "EUR"), amount("x", "EUR")], [None, None, None]);
    }
}
