//! Other seats, or another screening, for what somebody has.

use admit_client::{Purchase, Server, Wallet, WalletError};
use admit_protocol::booking::{Booking, BookingLine, TicketChoice, TicketState};
use admit_protocol::exchange::{Exchange as ExchangeRequest, ExchangeQuote, QuoteExchange};
use admit_protocol::hold::{Hold, PlaceHold};
use admit_protocol::id::{ScreeningId, SeatId, TicketTypeId};
use admit_protocol::money::Money;
use admit_protocol::price::PriceTable;
use admit_protocol::problem::ProblemCode;
use admit_protocol::queue::QueueState;
use admit_protocol::screening::Screening;
use admit_protocol::time::Moment;
use anyhow::{Context as _, anyhow, bail, ensure};
use clap::Args;

use super::begun::{is_begun, unfinished};
use super::choosing::{self, named_types, wish};
use super::{bought, keepsake, print_tickets, read_amount, tickets_of};
use crate::bookings::{Named, check_stands, seats_named};
use crate::showing::Showing;
use crate::{Context, find, sales, show};

/// Give tickets for other seats, of the same screening or of another one there.
///
/// The new seats are held first, and the old tickets stand until you have seen what it comes to and said yes: at no moment do you have
/// neither.
#[derive(Args)]
pub(crate) struct Exchange {
    /// The booking: its number in `admit bookings`, or its reference.
    booking: Named,
    /// The screening of the new seats: the same one, or another at the same server.
    screening: String,
    /// The new seats, as for `admit book`: F9, F9-F10, F9=child, floor:2, best:2. For as many seats as you give, tickets stay of the
    /// types that they are.
    #[arg(required = true, value_delimiter = ',')]
    seats: Vec<String>,
    /// Which of your seats you give, as `admit bookings` names them, with commas: F9,F10; all of them if none are named.
    #[arg(long, value_delimiter = ',')]
    give: Vec<String>,
    /// With best: how many of you sit in their own wheelchair.
    #[arg(long, value_name = "PEOPLE", default_value_t = 0)]
    wheelchairs: u16,
    /// With best: whose tickets they are, one for each: adult,child,child. Without it they stay of the types that they are, for as many
    /// seats as you give.
    #[arg(long, value_delimiter = ',')]
    tickets: Vec<String>,
    /// Exchange without asking.
    #[arg(long, group = "agreed")]
    yes: bool,
    /// Exchange without asking, if at most this is left to pay for the new seats, such as 2.50, and nothing of what was paid is lost.
    #[arg(long, group = "agreed", value_name = "AMOUNT")]
    at_most: Option<String>,
}

impl Exchange {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let agreed = self.yes || self.at_most.is_some();
        ensure!(!context.json || agreed, "say --at-most, such as 2.50, or --yes: with --json nobody is asked");
        let wallet = Wallet::open(&context.wallet())?;
        let (old, booking) = self.booking.booked(&wallet)?;
        let give = self
            .give
            .iter()
            .map(|text| seats_named(text, |seat| old.printed(seat), &booking))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let server = wallet.meet(&find::client(context)?, old.origin.as_str()).await?;
        // It may have been paid, or used, since it was last shown.
        let old = wallet.refresh(&server, old.number).await?;
        let booking = old.booking.clone().unwrap_or(booking);
        let id: ScreeningId = self.screening.parse().with_context(|| self.screening.clone())?;
        let screening = find::screening(&server, id).await?;
        // What was begun is gone on with: perhaps it was done, and nobody heard.
        if !is_begun(&wallet, &server, id, Some(old.number))? {
            check_stands(&booking, &wallet)?;
            sales::check(&screening, server.now())?;
        }
        let currency = server.price_table(screening.price_table).await?.currency;
        let most = self.at_most.as_deref().map(|text| read_amount(text, currency)).transpose()?;
        let new = self.hold(&wallet, &server, &old, &screening).await?;
        if let Some(made) = new.booking.clone() {
            show::warn("this was asked for before, and is done");
            return bought("exchanged:", new.number, &made, &screening, context);
        }
        let of = match self.wanted(&server, &new, &screening, (&booking, give.concat())).await {
            Ok(of) => of,
            Err(error) => return Err(give_back(&wallet, &server, &new, error).await),
        };
        let quoted = wallet.quote_exchange(&server, old.number, &of).await;
        let quote = match quoted {
            Ok(quote) => quote,
            Err(error) => {
                // Of people who came together, some give their seats, and what stays behind does not count.
                let alone = error.code() == Some(ProblemCode::RuleBroken) && !self.give.is_empty();
                let error = anyhow::Error::from(error);
                let error = match alone {
                    true => error.context(
                        "the new seats become a booking of their own: give the tickets that have to go along, too, for as many new seats",
                    ),
                    false => error,
                };
                return Err(give_back(&wallet, &server, &new, error).await);
            }
        };
        if !context.json {
            self.print(&server, (&old, &booking), &screening, &quote).await?;
        }
        if let Some(most) = most {
            let lost = lost(&quote)?;
            let against = match lost.amount() > 0 {
                true => {
                    Some(anyhow!("{lost} of what was paid would be lost, by the cinema's terms: say --yes to that"))
                }
                false if quote.balance_due > most => {
                    Some(anyhow!("{} is left to pay, more than {most}", quote.balance_due))
                }
                false => None,
            };
            if let Some(against) = against {
                return Err(give_back(&wallet, &server, &new, against).await);
            }
        }
        if !agreed {
            let asked = show::agree("exchange them?", &mut show::Stop::listen()?, "--at-most AMOUNT or --yes").await;
            if let Err(error) = asked {
                return Err(give_back(&wallet, &server, &new, error).await);
            }
        }
        let exchange = ExchangeRequest { quote: quote.id, of };
        let made = match wallet.exchange(&server, new.number, old.number, exchange).await {
            Ok(made) => made,
            Err(WalletError::BookedBefore(made)) => *made,
            // As long as it is not known whether it was done, the wallet keeps what was asked.
            Err(error) if wallet.purchase(new.number).is_ok_and(|p| p.exchange_request.is_some()) => {
                let again = format!("`admit bookings` asks again, as number {}", new.number);
                return Err(
                    anyhow::Error::from(error).context(format!("it is not known whether it was exchanged: {again}"))
                );
            }
            Err(error) => return Err(give_back(&wallet, &server, &new, error.into()).await),
        };
        let _ = wallet.refresh(&server, new.number).await;
        bought("exchanged:", new.number, &made, &screening, context)
    }

    /// Holds the new seats under the secret of the old ones.
    async fn hold(
        &self,
        wallet: &Wallet,
        server: &Server,
        old: &Purchase,
        screening: &Screening,
    ) -> anyhow::Result<Purchase> {
        let layout = server.layout(screening.layout).await?;
        let table = server.price_table(screening.price_table).await?;
        let (mut wish, _) = wish(&self.seats, screening.layout, &layout, &table)?;
        if screening.id == old.screening {
            not_kept(&wish, old)?;
        }
        choosing::refine(wish.best.as_mut(), false, self.wheelchairs)?;
        match &wish.best {
            Some(best) => drop(choosing::check_types(best, &self.tickets, &table)?),
            None => {
                ensure!(self.tickets.is_empty(), "--tickets is for best:4; a seat has its ticket with it: F9=child");
            }
        }
        if let Some(held) = unfinished(wallet, server, screening.id, &wish, Some(old.number)).await? {
            return Ok(held);
        }
        if screening.queue.is_some() {
            let place = server.join_queue(screening.id, &old.secret).await?;
            match (place.state, place.pass) {
                (QueueState::Admitted, pass @ Some(_)) => wish.queue_pass = pass,
                (_, _) => {
                    let turn = place.turn_at.unwrap_or(place.sales_open_at);
                    let turn = Moment::new(turn, screening.starts_at.zone()).map(|at| show::moment(&at))?;
                    bail!("it is sold in turns, and you have a place: the same command again, from {turn} on");
                }
            }
        }
        let showing = Showing::of(server, screening).await?;
        let keepsake = keepsake(&showing, &wish, &layout, &table, screening.starts_at.zone().clone());
        Ok(wallet.hold_for_exchange(server, old.number, screening.id, keepsake, wish).await?)
    }

    async fn wanted(
        &self,
        server: &Server,
        new: &Purchase,
        screening: &Screening,
        (booking, seats): (&Booking, Vec<SeatId>),
    ) -> anyhow::Result<QuoteExchange> {
        let hold = new.hold.as_ref().context("the hold is not known")?;
        let table = server.price_table(hold.price_table).await?;
        let layout = server.layout(screening.layout).await?;
        let mut tickets = tickets_of(hold, &layout, &table)?;
        let stands = |l: &&BookingLine| l.state != TicketState::Revoked;
        let given = |l: &&BookingLine| seats.is_empty() || seats.contains(&l.seat);
        let given: Vec<TicketTypeId> =
            booking.lines.iter().filter(stands).filter(given).map(|l| l.ticket_type).collect();
        if self.tickets.is_empty() {
            keep_types(&mut tickets, new, hold, given, &table)?;
        }
        let tickets = named_types(tickets, &self.tickets, &table)?;
        let choice = |(seat, _, ticket_type): &super::Ticket| TicketChoice { seat: *seat, ticket_type: *ticket_type };
        let tickets = tickets.iter().map(choice).collect();
        Ok(QuoteExchange { seats, screening: screening.id, hold: hold.id, tickets })
    }

    /// What is given for what, and what that comes to.
    async fn print(
        &self,
        server: &Server,
        (old, booking): (&Purchase, &Booking),
        screening: &Screening,
        quote: &ExchangeQuote,
    ) -> anyhow::Result<()> {
        show::line(&format!("you give, of {}  {}", show::colour("1", &old.title), booking.reference));
        for line in &quote.given {
            let (seat, kind) = (old.printed(&line.seat), old.called(&line.ticket_type));
            // Of what is not paid to the end, less moves than they are worth.
            let whole = line.worth == line.total || !booking.balance_due.is_zero();
            let worth = if whole { String::new() } else { format!(", worth {} now", line.worth) };
            show::line(&format!("  {seat:10} {kind:10} {}{worth}", line.total));
        }
        let standing = booking.lines.iter().filter(|l| l.state != TicketState::Revoked).count();
        let all = quote.given.len() == standing;
        if all && !booking.booking_fees.is_zero() {
            let stay = if booking.paid.is_zero() { "" } else { "  (what they are worth now is in what moves, below)" };
            show::line(&format!("  {:21} {}{stay}", "fees", booking.booking_fees));
        }
        show::line("you get");
        Showing::of(server, screening).await?.print();
        let layout = server.layout(screening.layout).await?;
        let table = server.price_table(screening.price_table).await?;
        print_tickets(&quote.taken, &layout, &table);
        let rest = match (quote.balance_due.is_zero(), quote.refund.is_zero()) {
            (false, _) => format!("; {} left to pay at the cinema", quote.balance_due),
            (true, false) => format!("; {} comes back, at the cinema's counter", quote.refund),
            (true, true) => "; nothing is left to pay".to_owned(),
        };
        // Nobody is to learn afterwards that a cheaper ticket was no saving.
        let lost = lost(quote)?;
        let rest = match lost.amount() {
            ..=0 => rest,
            _ => format!("{rest}; {lost} of it is more than they cost and does NOT come back, by the cinema's terms"),
        };
        let moves = match booking.paid.is_zero() {
            true => "nothing was paid for them yet".to_owned(),
            false => format!("{} of what you have paid moves", quote.moves),
        };
        show::line(&format!("{moves}{rest}"));
        if quote.given.len() != quote.taken.lines.len() {
            let (given, taken) = (quote.given.len(), quote.taken.lines.len());
            let some =
                if all && given > taken { "; --give names those that you give, the others stay yours" } else { "" };
            show::line(&format!("{} for {}{some}", show::count(given, "ticket"), show::count(taken, "seat")));
        }
        if let Some(more) = costs_more(booking, quote, all)? {
            show::line(&format!("altogether {more}"));
        }
        Ok(())
    }
}

/// Who was a child stays one: seats for which no type was said get the types that are given and were not said for another seat. Where it
/// is not clear who that is, nobody becomes somebody else unsaid.
fn keep_types(
    tickets: &mut [super::Ticket],
    new: &Purchase,
    hold: &Hold,
    given: Vec<TicketTypeId>,
    table: &PriceTable,
) -> anyhow::Result<()> {
    let called =
        |of: &TicketTypeId| table.ticket_type(*of).map_or_else(|| of.to_string(), |t| show::text(&t.name).to_owned());
    let all = given.iter().map(called).collect::<Vec<_>>().join(", ");
    let mut left = given;
    for said in hold.seats.iter().filter_map(|held| held.ticket_type) {
        left.iter().position(|of| *of == said).map(|at| left.remove(at));
    }
    let count = tickets.len();
    let open: Vec<&mut super::Ticket> =
        tickets.iter_mut().zip(&hold.seats).filter(|(_, held)| held.ticket_type.is_none()).map(|(t, _)| t).collect();
    let usual = table.ticket_types.first().map(|t| t.id);
    let same = left.iter().all(|of| Some(*of) == usual);
    ensure!(
        open.is_empty() || same || open.len() == left.len(),
        "you give {all}, for {}: say whose ticket each is, D4=child; with best: --tickets adult,child",
        show::count(count, "seat")
    );
    if open.len() == left.len() {
        for ((seat, zone, of), was) in open.into_iter().zip(left) {
            let at = new.printed(seat);
            ensure!(
                table.offer(was, *zone).is_some(),
                "{} is not sold at {at}: say whose ticket it is, {at}={}",
                called(&was),
                usual.as_ref().map_or("adult", TicketTypeId::as_str)
            );
            *of = was;
        }
    }
    Ok(())
}

/// Seats that somebody has are not got in exchange: they are kept by not being given.
fn not_kept(wish: &PlaceHold, old: &Purchase) -> anyhow::Result<()> {
    let stands = old.booking.iter().flat_map(|b| &b.lines).filter(|l| l.state != TicketState::Revoked);
    let kept: Vec<SeatId> = stands.map(|l| l.seat).filter(|seat| wish.seats.iter().any(|w| w.seat == *seat)).collect();
    let Some(first) = kept.first() else { return Ok(()) };
    let kept: Vec<String> = kept.iter().map(|seat| old.printed(seat)).collect();
    bail!(
        "{} {} yours already: leave out what you keep, and say what you give for the rest, --give SEATS (not {})",
        kept.join(", "),
        if kept.len() == 1 { "is" } else { "are" },
        old.printed(first)
    )
}

/// What of the money that moves the new tickets do not need and does not come back; less than nothing where they need more.
fn lost(quote: &ExchangeQuote) -> anyhow::Result<Money> {
    Ok(quote.moves.minus(quote.taken.total).and_then(|over| over.minus(quote.refund))?)
}

/// What somebody pays more or less than without the exchange, in words; nothing, for a part of what was paid in part.
fn costs_more(booking: &Booking, quote: &ExchangeQuote, all: bool) -> anyhow::Result<Option<String>> {
    let paid = booking.balance_due.is_zero();
    let mut more = quote.balance_due.minus(quote.refund)?;
    if all {
        // What was still to be paid for them is no more.
        more = more.minus(booking.balance_due)?;
    } else if !booking.paid.is_zero() && !paid {
        return Ok(None);
    } else if !paid {
        for part in quote.given.iter().map(|l| l.total) {
            more = more.minus(part)?;
        }
    }
    Ok(Some(match more.amount() {
        0 => "you pay as much as before".to_owned(),
        1.. => format!("you pay {more} more than before"),
        _ if paid => format!("you get {} back", Money::zero(more.currency()).minus(more)?),
        _ => format!("you pay {} less than before", Money::zero(more.currency()).minus(more)?),
    }))
}

/// It came to nothing: the seats that were held for it are free again.
async fn give_back(wallet: &Wallet, server: &Server, new: &Purchase, error: anyhow::Error) -> anyhow::Error {
    error.context(match wallet.release(server, new.number).await {
        Ok(()) => "nothing was exchanged: you have what you had, and the other seats are free again",
        Err(_) => "nothing was exchanged: you have what you had; the other seats are free when the hold ends",
    })
}
