//! Showing and checking tickets.

use admit_client::Wallet;
use admit_protocol::key::PublicKey;
use admit_protocol::ticket::Ticket;
use anyhow::{Context as _, anyhow};
use clap::Subcommand;
use fast_qr::qr::QRBuilder;
use serde_json::json;

use crate::{Context, find, show};

#[derive(Subcommand)]
pub(crate) enum TicketCommand {
    /// Your tickets, as QR codes.
    Show {
        /// The booking's number in `admit bookings`.
        number: usize,
    },
    /// Check a ticket with nothing but the cinema's public key: no network.
    Verify {
        /// The public key, as the cinema's manifest lists it.
        #[arg(long, value_parser = |text: &str| text.parse::<PublicKey>().map(Box::new))]
        key: Box<PublicKey>,
        /// The code, as the QR code says it.
        code: String,
    },
}

impl TicketCommand {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<()> {
        match self {
            Self::Show { number } => show_tickets(number, context).await,
            Self::Verify { key, code } => verify(*key, &code, context),
        }
    }
}

async fn show_tickets(number: usize, context: &Context) -> anyhow::Result<()> {
    let wallet = Wallet::open(&context.wallet)?;
    let purchase = number.checked_sub(1).and_then(|n| wallet.purchases().get(n));
    let purchase = purchase.context("there is no such booking: see `admit bookings`")?;
    let booking = purchase.booking.as_ref().context("this was never booked")?;
    let server = find::client(context)?.server(purchase.origin.as_str(), None).await?;
    let tickets = server.tickets(purchase.screening, &purchase.secret, booking.id).await?;
    if context.json {
        return show::json(&tickets);
    }
    show::line(&format!("{}  {}", show::colour("1", &purchase.title), booking.reference));
    for ticket in &tickets.tickets {
        let qr = QRBuilder::new(ticket.code.as_bytes()).build().map_err(|e| anyhow!("drawing the code: {e:?}"))?;
        show::line(&format!("\n{}, {}", ticket.seat, ticket.ticket_type));
        show::line(&qr.to_str());
        show::line(&ticket.code);
    }
    Ok(())
}

fn verify(key: PublicKey, code: &str, context: &Context) -> anyhow::Result<()> {
    let ticket = Ticket::verify(code, |_| [key])?;
    if context.json {
        return show::json(&json!({
            "id": ticket.id, "hall": ticket.hall, "row": ticket.row, "seat": ticket.seat,
            "ticket_type": ticket.ticket_type, "admits": ticket.admits, "generation": ticket.generation,
            "not_before": ticket.not_before, "not_after": ticket.not_after,
        }));
    }
    show::line(&format!(
        "{} hall {}, row {}, seat {}, {}, admits {}, good from {} to {}",
        show::colour("1;32", "signed by this key:"),
        ticket.hall,
        ticket.row,
        ticket.seat,
        ticket.ticket_type,
        ticket.admits,
        ticket.not_before,
        ticket.not_after,
    ));
    show::line("whether it was cancelled or used, only the cinema's list can tell: admit door scan");
    Ok(())
}
