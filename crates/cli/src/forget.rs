//! Being forgotten by a cinema.

use admit_client::Wallet;
use clap::Args;
use serde_json::json;

use crate::bookings::Named;
use crate::{Context, find, show};

/// Have the cinema forget your name and addresses.
///
/// The booking and its tickets stay. Nobody is written to about it any more, also when it is called off: look at it yourself.
#[derive(Args)]
pub(crate) struct ForgetMe {
    /// The booking: its number in `admit bookings`, or its reference.
    booking: Named,
}

impl ForgetMe {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let wallet = Wallet::open(&context.wallet())?;
        let (purchase, booking) = self.booking.booked(&wallet)?;
        let server = wallet.meet(&find::client(context)?, purchase.origin.as_str()).await?;
        server.forget_buyer(purchase.screening, &purchase.secret, booking.id).await?;
        if context.json {
            return show::json(&json!({"number": purchase.number, "forgotten": true}));
        }
        show::line(&format!("{} has forgotten who you are; the booking stays: `admit bookings`", purchase.origin));
        Ok(())
    }
}
