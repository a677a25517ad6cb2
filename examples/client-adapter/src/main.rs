//! The client library as the conformance suite asks it: `spec/v1/control.md` has what is asked and answered. An adapter for a client of
//! yours looks like this in its own language.
//!
//! `admit conformance client --command target/debug/client-adapter --control URL --secret SECRET`
#![allow(clippy::print_stdout, reason = "it answers on standard output")]

use std::io::BufRead as _;

use admit_client::{Client, ClientError, Options, Server, Wallet, WalletError};
use admit_protocol::booking::Book;
use admit_protocol::capability::{PaymentMethod, Role};
use admit_protocol::hold::{PlaceHold, SeatWish};
use admit_protocol::id::{ScreeningId, SeatId};
use admit_protocol::money::Money;
use admit_protocol::origin::OriginPolicy;
use admit_protocol::price::{Audience, PriceTable};
use anyhow::{Context as _, ensure};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
enum Asked {
    Meet { origin: String },
    Free { origin: String, screening: ScreeningId },
    Buy { origin: String, screening: ScreeningId, seats: Vec<SeatId>, at_most: Money },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let client = Client::new(Options { origins: OriginPolicy::Loopback, ..Options::default() })?;
    let folder = tempfile::tempdir()?;
    let wallet = Wallet::open(&folder.path().join("wallet.json"))?;
    for line in std::io::stdin().lock().lines() {
        let answer = match serde_json::from_str(&line?) {
            Ok(asked) => answer(asked, &client, &wallet).await,
            Err(error) => Err(error.into()),
        };
        println!("{}", answer.map_or_else(|error| failed(&error), |done| json!({"ok": done})));
    }
    Ok(())
}

/// Whether nothing was done, or nobody knows.
fn failed(error: &anyhow::Error) -> Value {
    let unknown = |cause: &(dyn std::error::Error + 'static)| {
        let of_wallet = match cause.downcast_ref() {
            Some(WalletError::Client(error)) => Some(error),
            _ => None,
        };
        matches!(cause.downcast_ref().or(of_wallet), Some(ClientError::OutcomeUnknown { .. }))
    };
    let word = if error.chain().any(unknown) { "unknown" } else { "refused" };
    json!({word: format!("{error:#}")})
}

async fn answer(asked: Asked, client: &Client, wallet: &Wallet) -> anyhow::Result<Value> {
    match asked {
        Asked::Meet { origin } => {
            let server = wallet.meet(client, &origin).await?;
            ensure!(server.manifest().role == Role::Server, "this is no cinema's server");
            ensure!(!server.cinemas().await?.is_empty(), "it has no cinema");
            Ok(json!({}))
        }
        Asked::Free { origin, screening } => {
            let server = client.server(&origin, None).await?;
            let taken = server.seats(screening).await?;
            let layout = server.layout(taken.layout).await?;
            let free: Vec<SeatId> = layout.seats.iter().map(|s| s.id).filter(|seat| taken.is_free(*seat)).collect();
            Ok(json!({"seats": free, "on_sale": taken.sales.is_open()}))
        }
        Asked::Buy { origin, screening, seats, at_most } => {
            let server = client.server(&origin, None).await?;
            buy(&server, wallet, screening, &seats, at_most).await
        }
    }
}

async fn buy(
    server: &Server,
    wallet: &Wallet,
    screening: ScreeningId,
    seats: &[SeatId],
    at_most: Money,
) -> anyhow::Result<Value> {
    let taken = server.seats(screening).await?;
    ensure!(taken.sales.is_open(), "it is not on sale");
    // Both are checked against the hash that names them.
    server.layout(taken.layout).await?;
    let table: PriceTable = server.price_table(taken.price_table).await?;
    let adult =
        table.ticket_types.iter().find(|t| t.audience == Audience::Adult).context("no ticket is for adults")?.id;
    let wish = PlaceHold {
        seats: seats.iter().map(|seat| SeatWish { seat: *seat, ticket_type: Some(adult) }).collect(),
        layout: Some(taken.layout),
        ..PlaceHold::default()
    };
    let purchase = wallet.hold(server, screening, "bought by the suite", wish).await?;
    let hold = purchase.hold.as_ref().context("the hold is not known")?;
    let book = Book::of(hold, PaymentMethod::AtCinema).context("the hold says no price")?;
    let booked = if book.total > at_most {
        Err(anyhow::anyhow!("it comes to {}, more than {at_most}", book.total))
    } else {
        wallet.book(server, purchase.number, book).await.map_err(anyhow::Error::from)
    };
    let booking = match booked {
        Ok(booking) => booking,
        Err(error) => {
            // What is not bought is not kept from others.
            let _ = wallet.release(server, purchase.number).await;
            return Err(error);
        }
    };
    let codes: Vec<String> = match server.tickets(screening, &purchase.secret, booking.id).await {
        Ok(tickets) => tickets.tickets.into_iter().map(|ticket| ticket.code).collect(),
        // It is bought all the same.
        Err(ClientError::Ticket { .. }) => Vec::new(),
        Err(other) => return Err(other.into()),
    };
    Ok(json!({"booking": booking.id, "total": booking.total, "tickets": codes}))
}
