//! Buying and cancelling.

use admit_booking::price;
use admit_client::{RequestKey, Server, Wallet};
use admit_protocol::booking::{Book as BookRequest, Booking, BookingState, Buyer, TicketChoice};
use admit_protocol::capability::PaymentMethod;
use admit_protocol::hold::{AreaWish, PlaceHold, SeatWish};
use admit_protocol::id::{ScreeningId, TicketTypeId, ZoneId};
use admit_protocol::layout::Layout;
use admit_protocol::money::Money;
use admit_protocol::time::Moment;
use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use serde_json::json;

use crate::{Context, find, show};

/// Hold seats and book them.
#[derive(Args)]
pub(crate) struct Book {
    /// The cinema's server.
    server: String,
    /// The screening.
    screening: String,
    /// Seats, as `admit seats` names them: row and number together (F9), the seat's id, or AREA:COUNT where there are
    /// no numbers. For another ticket than the first in the list: F9=child.
    #[arg(required = true)]
    seats: Vec<String>,
    /// Where the cinema writes to.
    #[arg(long)]
    email: Option<String>,
    /// Book without asking, if it comes to at most this, in minor units: 2000 is 20.00.
    #[arg(long)]
    at_most: Option<i64>,
}

/// A seat or some places, and for whom.
struct Wish {
    seat: String,
    ticket_type: Option<TicketTypeId>,
}

impl Book {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let server = find::client(context)?.server(&self.server, None).await?;
        let id: ScreeningId = self.screening.parse().with_context(|| self.screening.clone())?;
        let screening = server.screening(id).await?;
        let layout = server.layout(screening.layout).await?;
        let table = server.price_table(screening.price_table).await?;
        let first = table.ticket_types.first().context("this screening has no tickets")?.id;
        let wish = self.wish(&layout)?;
        let title = self.title(&server, &screening).await?;
        let mut wallet = Wallet::open(&context.wallet)?;
        let number = wallet.hold(&server, id, title, wish).await?;
        let hold = wallet.purchases()[number].hold.clone().context("the hold is not known")?;
        let zone = |seat| zone_of(&layout, seat);
        let tickets: Vec<_> = hold
            .seats
            .iter()
            .map(|s| Some((s.seat, zone(s.seat.as_str())?, s.ticket_type.unwrap_or(first))))
            .collect::<Option<_>>()
            .context("the server holds seats that its layout does not have")?;
        // The prices are the hold's own: they do not change while you think.
        let table = server.price_table(hold.price_table).await?;
        let quote = price::quote(&table, &tickets)
            .map_err(|refusal| anyhow!("these tickets are not sold together: {refusal:?}"))?;
        if !context.json {
            for line in &quote.lines {
                show::line(&format!("  {:10} {:10} {}", line.seat.as_str(), line.ticket_type.as_str(), line.total));
            }
            if !quote.booking_fees.is_zero() {
                show::line(&format!("  {:21} {}", "booking fee", quote.booking_fees));
            }
            show::line(&format!("  {:21} {}", "all in all", show::colour("1", &quote.total.to_string())));
        }
        if !self.agreed(quote.total, context)? {
            server.release_hold(id, &wallet.purchases()[number].secret, hold.id).await?;
            bail!("nothing was booked, the seats are free again");
        }
        let payment_method = if quote.total.is_zero() { PaymentMethod::None } else { PaymentMethod::AtCinema };
        let book = BookRequest {
            hold: hold.id,
            tickets: tickets.iter().map(|(seat, _, t)| TicketChoice { seat: *seat, ticket_type: *t }).collect(),
            total: quote.total,
            payment_method,
            buyer: self.email.clone().map(|email| Buyer { email: Some(email), ..Buyer::default() }),
        };
        let booking = wallet.book(&server, number, book).await?;
        if context.json {
            return show::json(&json!({"number": number + 1, "booking": booking}));
        }
        show::line(&format!("{} {}", show::colour("1;32", "booked:"), booking.reference));
        if !booking.balance_due.is_zero() {
            // By the cinema's clock: that is where it is paid.
            let by = booking.collect_by.and_then(|by| Moment::new(by, screening.starts_at.zone()).ok());
            let by = by.map(|by| format!(" by {}", show::moment(&by))).unwrap_or_default();
            show::line(&format!("pay {} at the cinema{by}, or the seats go back on sale", booking.balance_due));
        }
        show::line(&format!("your tickets: admit ticket show {}", number + 1));
        Ok(())
    }

    fn agreed(&self, total: Money, context: &Context) -> anyhow::Result<bool> {
        if let Some(most) = self.at_most {
            return Ok(total.amount() <= most);
        }
        if context.json {
            bail!("say --at-most, in minor units: with --json nobody is asked");
        }
        show::line("book this? [y/N]");
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer)?;
        Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
    }

    fn wish(&self, layout: &Layout) -> anyhow::Result<PlaceHold> {
        let mut wish = PlaceHold::default();
        for text in &self.seats {
            let Wish { seat, ticket_type } = read_wish(text)?;
            if let Some((area, count)) = seat.split_once(':') {
                let count = count.parse().with_context(|| format!("{count:?} is not a number of places"))?;
                wish.areas.push(AreaWish { area: area.parse().with_context(|| area.to_owned())?, count, ticket_type });
                continue;
            }
            let named = |s: &&admit_protocol::layout::Seat| {
                s.id.as_str() == seat || format!("{}{}", s.row, s.number).eq_ignore_ascii_case(&seat)
            };
            let found = layout
                .seats
                .iter()
                .find(named)
                .with_context(|| format!("this hall has no seat {seat}: see `admit seats`"))?;
            wish.seats.push(SeatWish { seat: found.id, ticket_type });
        }
        Ok(wish)
    }

    async fn title(&self, server: &Server, screening: &admit_protocol::screening::Screening) -> anyhow::Result<String> {
        let (films, _) = server.programme(screening.cinema).await?;
        let film = screening.items.first().and_then(|item| films.iter().find(|f| f.id == item.film));
        let film = film.map_or_else(|| screening.id.to_string(), |f| show::text(&f.title).to_owned());
        let cinemas = server.cinemas().await?;
        let cinema = cinemas.iter().find(|c| c.id == screening.cinema).map_or("", |c| show::text(&c.name));
        Ok(format!("{film}, {cinema}, {}", show::moment(&screening.starts_at)))
    }
}

/// `F9`, `F9=child`, `floor:2=adult`
fn read_wish(text: &str) -> anyhow::Result<Wish> {
    let (seat, ticket_type) = text.split_once('=').map_or((text, None), |(seat, t)| (seat, Some(t)));
    let ticket_type = ticket_type.map(|t| t.parse().with_context(|| t.to_owned())).transpose()?;
    Ok(Wish { seat: seat.to_owned(), ticket_type })
}

fn zone_of(layout: &Layout, place: &str) -> Option<ZoneId> {
    let seat = layout.seats.iter().find(|s| s.id.as_str() == place).map(|s| s.zone);
    seat.or_else(|| {
        let (area, _) = place.rsplit_once('.')?;
        layout.areas.iter().find(|a| a.id.as_str() == area).map(|a| a.zone)
    })
}

/// Everything in the wallet.
pub(crate) fn bookings(context: &Context) -> anyhow::Result<()> {
    let wallet = Wallet::open(&context.wallet)?;
    if context.json {
        let rows: Vec<_> = wallet
            .purchases()
            .iter()
            .map(|p| json!({"title": p.title, "origin": p.origin, "booking": p.booking}))
            .collect();
        return show::json(&rows);
    }
    let rows: Vec<Vec<String>> = wallet
        .purchases()
        .iter()
        .enumerate()
        .map(|(n, p)| {
            let (reference, state) = match &p.booking {
                Some(b) => (b.reference.clone(), state(b)),
                None if p.book_request.is_some() => {
                    (String::new(), "not known: run the same `admit book` again".into())
                }
                None => (String::new(), "held, not booked".into()),
            };
            vec![(n + 1).to_string(), reference, p.title.clone(), state]
        })
        .collect();
    if rows.is_empty() {
        show::line("nothing booked yet");
    } else {
        show::table(&["no", "ref", "what", "state"], &rows);
    }
    Ok(())
}

fn state(booking: &Booking) -> String {
    match booking.state {
        BookingState::Confirmed if booking.balance_due.is_zero() => "booked".into(),
        BookingState::Confirmed => format!("booked, {} to pay at the cinema", booking.balance_due),
        BookingState::PartCancelled => "some tickets cancelled".into(),
        other => other.to_string(),
    }
}

/// Cancel tickets of a booking.
#[derive(Args)]
pub(crate) struct Cancel {
    /// The booking's number in `admit bookings`.
    number: usize,
    /// Which seats; all of them if none are named.
    seats: Vec<String>,
    /// Cancel without asking.
    #[arg(long)]
    yes: bool,
}

impl Cancel {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let mut wallet = Wallet::open(&context.wallet)?;
        let number = self.number.checked_sub(1).context("bookings are numbered from 1")?;
        let purchase =
            wallet.purchases().get(number).context("there is no such booking: see `admit bookings`")?.clone();
        let booking = purchase.booking.context("this was never booked")?;
        let server = find::client(context)?.server(purchase.origin.as_str(), None).await?;
        let seats = self.seats.iter().map(|s| s.parse().with_context(|| s.clone())).collect::<anyhow::Result<_>>()?;
        let quote = server.quote_cancellation(purchase.screening, &purchase.secret, booking.id, seats).await?;
        if !context.json {
            for line in &quote.lines {
                show::line(&format!(
                    "  {:10} {:10} {} of {} comes back",
                    line.seat.as_str(),
                    line.ticket_type.as_str(),
                    line.refund,
                    line.total
                ));
            }
            if !quote.balance_reduction.is_zero() {
                show::line(&format!("  {} less to pay at the cinema", quote.balance_reduction));
            }
        }
        if !self.yes {
            show::line("cancel this? [y/N]");
            let mut answer = String::new();
            std::io::stdin().read_line(&mut answer)?;
            if !matches!(answer.trim(), "y" | "Y" | "yes") {
                bail!("nothing was cancelled");
            }
        }
        let key = RequestKey::new()?;
        let cancelled = server.cancel(purchase.screening, &purchase.secret, &key, booking.id, quote.id).await?;
        wallet.note(number, cancelled.clone())?;
        if context.json {
            return show::json(&cancelled);
        }
        show::line(&format!("cancelled; {} comes back", quote.refund));
        Ok(())
    }
}
