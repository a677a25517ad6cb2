//! Showing and checking tickets.

mod sheet;

use std::path::PathBuf;

use admit_client::{Purchase, Wallet};
use admit_protocol::booking::BookedTicket;
use admit_protocol::key::PublicKey;
use admit_protocol::problem::ProblemCode;
use admit_protocol::ticket::{TICKET_PREFIX, Ticket};
use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::json;

pub(crate) use self::sheet::Sheet;
use crate::bookings::{self, Change, Named};
use crate::{Context, find, show};

#[derive(Subcommand)]
pub(crate) enum TicketCommand {
    /// Your tickets, as QR codes. Once they were read they are kept, and shown also when the cinema cannot be reached.
    Show {
        /// The booking: its number in `admit bookings`, or its reference.
        booking: Named,
        /// Words only, without the codes as pictures.
        #[arg(long)]
        no_qr: bool,
        /// Write each code as a picture (SVG) into this folder, to be printed or sent to a phone.
        #[arg(long)]
        save: Option<PathBuf>,
    },
    /// Check a ticket: with the keys of the cinema that sold it, or, without a network, with one that you know.
    Verify(Verify),
}

impl TicketCommand {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<()> {
        match self {
            Self::Show { booking, no_qr, save } => show_tickets(&booking, no_qr, save, context).await,
            Self::Verify(verify) => verify.run(context).await,
        }
    }
}

pub(crate) async fn show_tickets(
    booking: &Named,
    no_qr: bool,
    save: Option<PathBuf>,
    context: &Context,
) -> anyhow::Result<()> {
    let wallet = Wallet::open(&context.wallet())?;
    let (kept, _) = booking.booked(&wallet)?;
    let mut change = None;
    let fresh = match wallet.meet(&find::client(context)?, kept.origin.as_str()).await {
        Ok(server) => {
            change = bookings::change(&server, &kept).await;
            wallet.refresh(&server, kept.number).await
        }
        Err(error) => Err(error),
    };
    let (purchase, old) = match fresh {
        Ok(purchase) => (purchase, None),
        Err(error) if error.code() == Some(ProblemCode::NotFound) => {
            bail!("the cinema does not know this booking any more: show it at its counter, {}", named(&kept));
        }
        // Whoever stands at the door has a ticket, whatever the network does.
        Err(error) if kept.tickets.is_some() => (kept, Some(error)),
        Err(error) => return Err(error.into()),
    };
    let booking = purchase.booking.as_ref().context("this was never booked")?;
    let tickets = purchase.tickets.as_ref().context("there are no tickets")?;
    // Those of what does not take place open no door any more.
    let good = if matches!(change, Some(Change::Off(_))) { &[][..] } else { &tickets.tickets };
    let words = |t: &BookedTicket| format!("{}, {}", purchase.printed(&t.seat), purchase.called(&t.ticket_type));
    let proof =
        |t: &BookedTicket| t.wants_proof.then(|| purchase.secret.holder_proof(t.id, Timestamp::now())).flatten();
    let sheet =
        Sheet { title: &purchase.title, booking, tickets: good.iter().map(|t| (words(t), t, proof(t))).collect() };
    let saved = save.map_or(Ok(Vec::new()), |folder| sheet.save(&folder))?;
    if context.json {
        let proofs: Vec<Option<String>> = good.iter().map(proof).collect();
        let proofs = proofs.iter().any(Option::is_some).then_some(proofs);
        return show::json(
            &json!({"tickets": tickets.tickets, "booking": tickets.booking, "proofs": proofs, "saved": saved}),
        );
    }
    sheet.print_head();
    if let Some(error) = old {
        show::line(&format!("as they were when the cinema was last asked: {error}"));
    }
    match &change {
        Some(change) => show::line(&show::colour("1;33", &change.to_string())),
        None => sheet.print_due(),
    }
    if tickets.tickets.is_empty() {
        let exchanged = booking.lines.iter().filter(|line| line.replaced_by.is_some()).count();
        let instead =
            || format!("exchanged for {}", bookings::successors(booking, &wallet.purchases().unwrap_or_default()));
        show::line(&match exchanged {
            0 => "all of its tickets are cancelled".to_owned(),
            n if n == booking.lines.len() => format!("all of its tickets were {}", instead()),
            _ => format!("its tickets are cancelled, or were {}", instead()),
        });
    }
    sheet.print_tickets(&saved, no_qr)
}

fn named(purchase: &Purchase) -> String {
    let reference = purchase.booking.as_ref().map(|b| b.reference.as_str()).unwrap_or_default();
    format!("{reference}, {}", purchase.title)
}

/// Check a ticket.
#[derive(Args)]
#[group(skip)]
pub(crate) struct Verify {
    /// The cinema's server: its keys are fetched, and named.
    #[arg(long, group = "whose")]
    server: Option<String>,
    /// A public key of the cinema; no network is needed then.
    #[arg(long, group = "whose", allow_hyphen_values = true, value_parser = |text: &str| text.parse::<PublicKey>().map(Box::new))]
    key: Option<Box<PublicKey>>,
    /// The code, as the QR code says it: in single quotes, it has signs that mean something to a shell; or - to read it from standard
    /// input.
    code: String,
}

impl Verify {
    async fn run(self, context: &Context) -> anyhow::Result<()> {
        let code = if self.code == "-" { std::io::read_to_string(std::io::stdin())? } else { self.code };
        let code = code.trim().to_owned();
        let server = match (&self.server, &self.key) {
            (Some(server), _) => Some(find::client(context)?.server(server, None).await?),
            (None, Some(_)) => None,
            (None, None) => {
                // One of one's own says where it is from.
                let wallet = Wallet::open(&context.wallet())?;
                let has = |p: &Purchase| p.tickets.iter().flat_map(|t| &t.tickets).any(|ticket| ticket.code == code);
                let own = wallet.purchases()?.into_iter().find(has);
                let whose = "whose ticket is it? say --server, or --key where there is no network";
                let own = own.context(if code.starts_with(TICKET_PREFIX) {
                    whose
                } else {
                    "this is not an Admit ticket code"
                })?;
                Some(wallet.meet(&find::client(context)?, own.origin.as_str()).await?)
            }
        };
        let mut signer = None;
        let ticket = Ticket::verify(&code, |short| {
            let keys = server.as_ref().map_or_else(Vec::new, |s| s.ticket_keys(short, Timestamp::now()));
            signer = self.key.as_deref().copied().or(keys.first().copied());
            signer
        })?;
        let signer = signer.context("no key")?;
        if context.json {
            return show::json(&json!({
                "id": ticket.id, "hall": ticket.hall, "row": ticket.row, "seat": ticket.seat,
                "ticket_type": ticket.ticket_type, "admits": ticket.admits, "generation": ticket.generation,
                "not_before": ticket.not_before, "not_after": ticket.not_after, "key": signer.to_string(),
            }));
        }
        show::line(&format!(
            "{} hall {}, row {}, seat {}, {}, admits {}, good from {} to {}",
            show::colour("1;32", "genuine:"),
            ticket.hall,
            ticket.row,
            ticket.seat,
            ticket.ticket_type,
            ticket.admits,
            show::here(ticket.not_before),
            show::here(ticket.not_after),
        ));
        show::line(&format!("signed by {signer}: with --key it is checked without a network"));
        show::line("whether it was paid, cancelled or used, only the cinema's list can tell: admit door scan");
        Ok(())
    }
}
