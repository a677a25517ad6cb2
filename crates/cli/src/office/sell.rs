//! Somebody walks up to the counter, chooses, pays, and goes in.

use std::path::PathBuf;

use admit_server::store::Permission;
use anyhow::Context as _;
use clap::Args;

use super::Desk;
use crate::bookings::Named;
use crate::buy::{At, Wanted};
use crate::{Context, show, ticket};

/// Sell seats at the counter: hold, book, paid, tickets.
///
/// The tickets stay in the counter's own wallet: `box-office.json` in your data folder, or the one that --wallet names.
#[derive(Args)]
pub(crate) struct Sell {
    #[command(flatten)]
    wanted: Wanted,
    /// What you sign in with. The password is asked for, or read from standard input.
    #[arg(long, env = "ADMIT_LOGIN")]
    login: String,
    /// Words only, without the codes as pictures.
    #[arg(long)]
    no_qr: bool,
    /// Write each code as a picture (SVG) into this folder, to be printed.
    #[arg(long)]
    save: Option<PathBuf>,
}

impl Sell {
    pub(super) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let Self { wanted, login, no_qr, save } = self;
        let office = Desk { server: wanted.server.clone(), login }.sign_in(context).await?;
        // Before anything is held for somebody who cannot be let pay.
        office.must(Permission::Sell, "take money")?;
        let bought = Box::pin(wanted.buy(At::Counter(&office), context)).await?;
        let due = bought.booking.balance_due;
        if !due.is_zero() {
            let paid = office.settle(&bought.booking, due).await;
            let (screening, reference) = (bought.purchase.screening, &bought.booking.reference);
            paid.with_context(|| {
                format!(
                    "{reference} is booked and not noted as paid: admit box-office paid ... {screening} {reference}"
                )
            })?;
        }
        if !context.json {
            show::line(&format!("{} {}, {} paid", show::colour("1;32", "sold:"), bought.booking.reference, due));
        }
        ticket::show_tickets(&Named::Number(bought.purchase.number), no_qr, save, context).await
    }
}
