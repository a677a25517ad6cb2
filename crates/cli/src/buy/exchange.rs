//! Other seats, or another screening, for what somebody has.

use admit_client::{Purchase, Server, Wallet, WalletError};
use admit_protocol::booking::{Booking, TicketChoice};
use admit_protocol::exchange::{Exchange as ExchangeRequest, ExchangeQuote, QuoteExchange};
use admit_protocol::id::ScreeningId;
use admit_protocol::queue::QueueState;
use admit_protocol::screening::Screening;
use admit_protocol::time::Moment;
use anyhow::{Context as _, bail, ensure};
use clap::Args;

use super::choosing::{self, named_types, wish};
use super::{bought, keepsake, print_tickets, tickets_of, unfinished};
use crate::bookings::{Named, seats_named};
use crate::showing::Showing;
use crate::{Context, find, show};

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
    /// The new seats, as for `admit book`: F9, F9-F10, F9=child, floor:2, best:2.
    #[arg(required = true, value_delimiter = ',')]
    seats: Vec<String>,
    /// Which of your seats you give, as `admit bookings` names them; all of them if none are named.
    #[arg(long, value_delimiter = ',')]
    give: Vec<String>,
    /// With best: whose tickets they are, one for each: adult,child,child. Without it all are of the first type in the list.
    #[arg(long, value_delimiter = ',')]
    tickets: Vec<String>,
    /// Exchange without asking.
    #[arg(long)]
    yes: bool,
}

impl Exchange {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<()> {
        ensure!(!context.json || self.yes, "say --yes: with --json nobody is asked");
        let wallet = Wallet::open(&context.wallet())?;
        let (old, booking) = self.booking.booked(&wallet)?;
        let give =
            self.give.iter().map(|text| seats_named(text, &old, &booking)).collect::<anyhow::Result<Vec<_>>>()?;
        let server = wallet.meet(&find::client(context)?, old.origin.as_str()).await?;
        // It may have been paid, or used, since it was last shown.
        let old = wallet.refresh(&server, old.number).await?;
        let booking = old.booking.clone().unwrap_or(booking);
        let id: ScreeningId = self.screening.parse().with_context(|| self.screening.clone())?;
        let screening = find::screening(&server, id).await?;
        let new = self.hold(&wallet, &server, &old, &screening).await?;
        if let Some(made) = new.booking.clone() {
            show::warn("this was asked for before, and is done");
            return bought("exchanged:", new.number, &made, &screening, context);
        }
        let of = match self.wanted(&server, &new, &screening, give.concat()).await {
            Ok(of) => of,
            Err(error) => return Err(give_back(&wallet, &server, &new, error).await),
        };
        let quoted = wallet.quote_exchange(&server, old.number, &of).await;
        let quote = match quoted {
            Ok(quote) => quote,
            Err(error) => return Err(give_back(&wallet, &server, &new, error.into()).await),
        };
        if !context.json {
            self.print(&server, (&old, &booking), &screening, &quote).await?;
        }
        if !self.yes {
            let asked = show::agree("exchange them?", &mut show::Stop::listen()?, "--yes").await;
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
        seats: Vec<admit_protocol::id::SeatId>,
    ) -> anyhow::Result<QuoteExchange> {
        let hold = new.hold.as_ref().context("the hold is not known")?;
        let table = server.price_table(hold.price_table).await?;
        let layout = server.layout(screening.layout).await?;
        let tickets = named_types(tickets_of(hold, &layout, &table)?, &self.tickets, &table)?;
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
            let whole = line.worth == line.total || booking.paid.is_zero();
            let worth = if whole { String::new() } else { format!(", worth {} now", line.worth) };
            show::line(&format!("  {seat:10} {kind:10} {}{worth}", line.total));
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
        let lost = quote.moves.minus(quote.taken.total).and_then(|over| over.minus(quote.refund))?;
        let rest = match lost.amount() {
            ..=0 => rest,
            _ => format!("{rest}; {lost} of it is more than they cost and does NOT come back, by the cinema's terms"),
        };
        let moves = match booking.paid.is_zero() {
            true => "nothing was paid for them yet".to_owned(),
            false => format!("{} of what you have paid moves", quote.moves),
        };
        show::line(&format!("{moves}{rest}"));
        Ok(())
    }
}

/// It came to nothing: the seats that were held for it are free again.
async fn give_back(wallet: &Wallet, server: &Server, new: &Purchase, error: anyhow::Error) -> anyhow::Error {
    error.context(match wallet.release(server, new.number).await {
        Ok(()) => "nothing was exchanged: you have what you had, and the other seats are free again",
        Err(_) => "nothing was exchanged: you have what you had; the other seats are free when the hold ends",
    })
}
