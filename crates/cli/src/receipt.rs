//! The cinema's signed word for what one has, held against its log of seats.

use admit_client::{ClientError, Wallet, WalletError};
use admit_protocol::booking::TicketState;
use admit_protocol::hold::HoldState;
use admit_protocol::id::SeatId;
use admit_protocol::problem::ProblemCode;
use anyhow::anyhow;
use clap::Args;
use serde_json::json;

use crate::bookings::Named;
use crate::{Context, find, show};

/// Get the cinema's signed receipt for a booking, and check all that you have of it against the cinema's log of seats.
///
/// The log says who had which seat when, under names that only the owners know. It is a chain: a cinema that changes it afterwards is found
/// out by who has a receipt. Receipts are kept in the wallet.
#[derive(Args)]
pub(crate) struct CheckReceipts {
    /// The booking: its number in `admit bookings`, or its reference.
    booking: Named,
}

impl CheckReceipts {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let wallet = Wallet::open(&context.wallet())?;
        let purchase = self.booking.purchase(&wallet)?;
        let server = wallet.meet(&find::client(context)?, purchase.origin.as_str()).await?;
        let checked = match wallet.check_receipts(&server, purchase.number).await {
            Ok(checked) => checked,
            Err(error) if error.code() == Some(ProblemCode::CapabilityNotOffered) => {
                return Err(anyhow!("{} gives no receipts", purchase.origin));
            }
            Err(WalletError::Client(ClientError::Broken { origin, source })) => {
                return Err(anyhow!(
                    "{origin} IS NOT TO BE BELIEVED: {source}\nwhat it has signed is in {}: ask the cinema, with that at hand",
                    context.wallet().display()
                ));
            }
            Err(error) => return Err(error.into()),
        };
        if context.json {
            let gone: Vec<String> = checked.gone.iter().map(ToString::to_string).collect();
            return show::json(
                &json!({"number": purchase.number, "receipt": checked.now, "receipts": checked.receipts,
                "log_entries": checked.entries, "gone": gone}),
            );
        }
        show::line(&show::colour("1", &purchase.title));
        let seats = |seats: &[SeatId]| seats.iter().map(|seat| purchase.printed(seat)).collect::<Vec<_>>().join(", ");
        match &checked.now {
            Some(receipt) if receipt.state == HoldState::Converted => {
                show::line(&format!(
                    "✓ {} yours, booked: signed by the cinema, and kept",
                    are(&seats(&receipt.seats), receipt.seats.len())
                ));
            }
            Some(receipt) => {
                show::line(&format!(
                    "✓ {} held for you: signed by the cinema, and kept",
                    are(&seats(&receipt.seats), receipt.seats.len())
                ));
            }
            None => show::line("nothing is held or booked by it any more, so there is nothing new to sign"),
        }
        show::line(&format!(
            "✓ the log of seats is whole, and bears out {}: {} in it, no seat two people's at one time",
            show::count(checked.receipts, "receipt"),
            show::count(checked.entries, "change"),
        ));
        let given_up = |seat: &SeatId| {
            let lines = purchase.booking.iter().flat_map(|b| &b.lines);
            lines.clone().any(|l| l.seat == *seat && l.state == TicketState::Revoked) || lines.count() == 0
        };
        let (ours, theirs): (Vec<SeatId>, Vec<SeatId>) = checked.gone.iter().partition(|seat| given_up(seat));
        if !ours.is_empty() {
            show::line(&format!(
                "{} not yours any more: cancelled, exchanged, or not booked in time",
                are(&seats(&ours), ours.len())
            ));
        }
        if !theirs.is_empty() {
            show::warn(&format!(
                "{} not yours any more, says the cinema, and nothing here knows why: `admit bookings` asks; the receipts prove that you had them",
                are(&seats(&theirs), theirs.len())
            ));
        }
        Ok(())
    }
}

fn are(seats: &str, count: usize) -> String {
    format!("{seats} {}", if count == 1 { "is" } else { "are" })
}
