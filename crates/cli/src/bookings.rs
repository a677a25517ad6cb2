//! What a person has bought: listed, and cancelled.

use std::collections::HashMap;

use admit_client::{ClientError, Purchase, PurchaseNumber, Server, Wallet, WalletError};
use admit_protocol::booking::{Booking, BookingState, TicketState};
use admit_protocol::id::SeatId;
use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::json;

use crate::{Context, find, show};

/// Everything in the wallet. What was asked and not answered is asked again.
pub(crate) async fn list(context: &Context) -> anyhow::Result<()> {
    let wallet = Wallet::open(&context.wallet)?;
    wallet.forget_lapsed(Timestamp::now())?;
    let unknown = find_out(&wallet, context).await?;
    let purchases = wallet.purchases()?;
    if context.json {
        let rows = purchases.iter().map(|p| {
            json!({"number": p.number, "title": p.title, "origin": p.origin, "screening": p.screening,
                "state": state(p, &unknown), "booking": p.booking, "hold": p.hold})
        });
        return show::json(&rows.collect::<Vec<_>>());
    }
    let rows: Vec<Vec<String>> = purchases
        .iter()
        .map(|p| {
            let reference = p.booking.as_ref().map(|b| b.reference.clone()).unwrap_or_default();
            vec![p.number.to_string(), reference, p.title.clone(), seats(p), state(p, &unknown)]
        })
        .collect();
    if rows.is_empty() {
        show::line("nothing booked yet");
    } else {
        show::table(&["no", "ref", "what", "seats", "state"], &rows);
    }
    Ok(())
}

/// Asks again what is not known, with the same keys; says which cinema could not be asked.
async fn find_out(wallet: &Wallet, context: &Context) -> anyhow::Result<HashMap<PurchaseNumber, String>> {
    let mut servers: HashMap<String, Result<Server, String>> = HashMap::new();
    let mut unknown = HashMap::new();
    for purchase in wallet.purchases()?.into_iter().filter(Purchase::is_open) {
        let origin = purchase.origin.to_string();
        if !servers.contains_key(&origin) {
            let met = find::client(context)?.server(&origin, None).await.map_err(|e| e.to_string());
            servers.insert(origin.clone(), met);
        }
        let asked = match &servers[&origin] {
            Ok(server) => wallet.resume(server, purchase.number).await.map(drop).map_err(|error| match error {
                // Now it is known: it was not done.
                WalletError::Client(ClientError::Refused(_)) => None,
                error => Some(error.to_string()),
            }),
            Err(error) => Err(Some(error.clone())),
        };
        if let Err(Some(why)) = asked {
            unknown.insert(purchase.number, why);
        }
    }
    wallet.forget_lapsed(Timestamp::now())?;
    Ok(unknown)
}

fn seats(purchase: &Purchase) -> String {
    let standing = |b: &Booking| -> Vec<String> {
        b.lines.iter().filter(|l| l.state != TicketState::Revoked).map(|l| l.seat.to_string()).collect()
    };
    let held = || purchase.hold.iter().flat_map(|h| &h.seats).map(|s| s.seat.to_string()).collect();
    purchase.booking.as_ref().map_or_else(held, standing).join(" ")
}

fn state(purchase: &Purchase, unknown: &HashMap<PurchaseNumber, String>) -> String {
    if let Some(why) = unknown.get(&purchase.number) {
        return format!("not known yet, this asks again each time: {why}");
    }
    let here = |at: Timestamp| TimeZone::system().to_datetime(at).strftime("%a %d %b %H:%M").to_string();
    match (&purchase.booking, &purchase.hold) {
        (Some(booking), _) => booked_state(booking, here),
        (None, Some(hold)) => format!("held until {} (your clock), not booked", here(hold.expires_at)),
        (None, None) => "not known yet".into(),
    }
}

fn booked_state(booking: &Booking, here: impl Fn(Timestamp) -> String) -> String {
    let some = if booking.state == BookingState::PartCancelled { "booked, some tickets cancelled" } else { "booked" };
    match booking.state {
        BookingState::Confirmed | BookingState::PartCancelled if booking.balance_due.is_zero() => some.into(),
        BookingState::Confirmed | BookingState::PartCancelled => {
            let by = booking.collect_by.map(|by| format!(" by {} (your clock)", here(by))).unwrap_or_default();
            format!("{some}, {} to pay at the cinema{by}", booking.balance_due)
        }
        other => other.to_string(),
    }
}

/// A purchase by its number.
pub(crate) fn purchase(wallet: &Wallet, number: PurchaseNumber) -> anyhow::Result<(Purchase, Booking)> {
    let purchase = wallet.purchase(number).map_err(|e| anyhow!("{e}: see `admit bookings`"))?;
    let booking = purchase.booking.clone();
    Ok((purchase, booking.context("this is not booked: see `admit bookings`")?))
}

/// Cancel tickets of a booking.
#[derive(Args)]
pub(crate) struct Cancel {
    /// The booking's number in `admit bookings`.
    number: PurchaseNumber,
    /// Which seats; all of them if none are named.
    #[arg(value_delimiter = ',')]
    seats: Vec<String>,
    /// Cancel without asking.
    #[arg(long)]
    yes: bool,
}

impl Cancel {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<()> {
        if context.json && !self.yes {
            bail!("say --yes: with --json nobody is asked");
        }
        let wallet = Wallet::open(&context.wallet)?;
        let (purchase, booking) = purchase(&wallet, self.number)?;
        let seat = |text: &String| -> anyhow::Result<SeatId> {
            let line = booking.lines.iter().find(|l| l.seat.as_str().eq_ignore_ascii_case(text));
            let line = line.with_context(|| format!("{text} is not in this booking"))?;
            if line.state == TicketState::Revoked {
                bail!("{text} is cancelled already");
            }
            Ok(line.seat)
        };
        let seats = self.seats.iter().map(seat).collect::<anyhow::Result<Vec<_>>>()?;
        if booking.lines.iter().all(|l| l.state == TicketState::Revoked) {
            bail!("all of it is cancelled already");
        }
        let server = find::client(context)?.server(purchase.origin.as_str(), None).await?;
        let quote = server.quote_cancellation(purchase.screening, &purchase.secret, booking.id, seats).await?;
        let back = if quote.refund.is_zero() && !quote.balance_reduction.is_zero() {
            format!("nothing was paid for it, and {} less is due", quote.balance_reduction)
        } else {
            format!("{} comes back", quote.refund)
        };
        if !context.json {
            show::line(&format!("{}  {}", show::colour("1", &purchase.title), booking.reference));
            for line in &quote.lines {
                show::line(&format!("  {:10} {:10} {}", line.seat.as_str(), line.ticket_type.as_str(), line.total));
            }
            show::line(&format!("  {back}"));
        }
        if !self.yes && !show::agreed("cancel this?").await {
            bail!("nothing was cancelled");
        }
        let cancelled = wallet.cancel(&server, self.number, quote.id).await?;
        if context.json {
            return show::json(&cancelled);
        }
        show::line(&format!("cancelled; {back}"));
        Ok(())
    }
}
