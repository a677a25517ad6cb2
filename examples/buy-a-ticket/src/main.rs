//! An app that buys a seat: seats, hold, book, tickets.
//!
//! `admit demo` prints the addresses of three cinemas; then
//! `cargo run -p buy-a-ticket -- http://127.0.0.1:PORT SCREENING` buys the first free adult seat.
#![allow(clippy::print_stdout, reason = "an example that shows what happens")]

use admit_client::{Client, Options, RequestKey, Secret};
use admit_protocol::booking::Book;
use admit_protocol::capability::PaymentMethod;
use admit_protocol::hold::{PlaceHold, SeatWish};
use admit_protocol::id::ScreeningId;
use admit_protocol::layout::SeatKind;
use admit_protocol::origin::OriginPolicy;
use anyhow::Context as _;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: buy-a-ticket SERVER SCREENING";
    let (origin, screening) = (arguments.next().context(usage)?, arguments.next().context(usage)?);
    let screening: ScreeningId = screening.parse()?;

    // Servers on this machine are for trying things out; an app for people leaves `origins` as it is.
    let client = Client::new(Options { origins: OriginPolicy::Loopback, ..Options::default() })?;
    let cinema = client.server(&origin, None).await?;

    // 1. Seats: what is not free. The layout is named by its hash and can be kept for ever.
    let taken = cinema.seats(screening).await?;
    let layout = cinema.layout(taken.layout).await?;
    let is_free = |id| !taken.not_free.values().any(|seats| seats.contains(&id));
    let seat = layout.seats.iter().find(|s| s.kind == SeatKind::Standard && is_free(s.id)).context("sold out")?;

    // 2. Hold: a secret of 256 random bits makes it yours; the key makes it happen once.
    let secret = Secret::new()?;
    let adult = "adult".parse()?;
    let wish = PlaceHold {
        seats: vec![SeatWish { seat: seat.id, ticket_type: Some(adult) }],
        layout: Some(taken.layout),
        ..PlaceHold::default()
    };
    let hold = cinema.place_hold(screening, &secret, &RequestKey::new()?, &wish).await?;
    let total = hold.quote.as_ref().context("no price")?.total;
    // By the cinema's clock, not by this machine's.
    let left = hold.expires_at.duration_since(cinema.now()).as_secs();
    println!("row {} seat {} is held for {left} seconds; it costs {total}", seat.row, seat.number);

    // 3. Book, for the total that the person saw. Another total is refused.
    let book = Book::of(&hold, PaymentMethod::AtCinema).context("no price")?;
    let booking = cinema.book(screening, &secret, &RequestKey::new()?, &book).await?;
    println!("booked as {}; {} to pay at the cinema", booking.reference, booking.balance_due);

    // 4. Tickets, signed by the cinema: the library has checked the signature.
    for ticket in cinema.tickets(screening, &secret, booking.id).await?.tickets {
        println!("{}", ticket.code);
    }
    Ok(())
}
