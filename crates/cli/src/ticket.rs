//! Showing and checking tickets.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use admit_client::{Purchase, Wallet};
use admit_protocol::key::PublicKey;
use admit_protocol::problem::ProblemCode;
use admit_protocol::ticket::{TICKET_PREFIX, Ticket};
use anyhow::{Context as _, anyhow, bail};
use clap::{Args, Subcommand};
use fast_qr::convert::Builder as _;
use fast_qr::convert::svg::SvgBuilder;
use fast_qr::qr::{QRBuilder, QRCode};
use jiff::Timestamp;
use serde_json::json;

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
    let mut saved = Vec::new();
    for ticket in save.iter().flat_map(|_| good) {
        let folder = save.as_deref().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let file = folder.join(format!("{}-{}.svg", booking.reference, ticket.seat));
        let mut words = vec![
            format!("{}, {}", purchase.printed(&ticket.seat), purchase.called(&ticket.ticket_type)),
            purchase.title.clone(),
            booking.reference.clone(),
        ];
        words.extend(
            (!booking.balance_due.is_zero())
                .then(|| format!("{} to be paid before it opens the door", booking.balance_due)),
        );
        std::fs::write(&file, picture(&draw(&ticket.code)?, &words)).with_context(|| file.display().to_string())?;
        saved.push(file);
    }
    if context.json {
        return show::json(&json!({"tickets": tickets.tickets, "booking": tickets.booking, "saved": saved}));
    }
    show::line(&format!("{}  {}", show::colour("1", &purchase.title), booking.reference));
    if let Some(error) = old {
        show::line(&format!("as they were when the cinema was last asked: {error}"));
    }
    if let Some(change) = &change {
        show::line(&show::colour("1;33", &change.to_string()));
    } else if !booking.balance_due.is_zero() {
        show::line(&format!("{} to be paid at the cinema before these open the door", booking.balance_due));
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
    for (n, ticket) in good.iter().enumerate() {
        show::line(&format!("\n{}, {}", purchase.printed(&ticket.seat), purchase.called(&ticket.ticket_type)));
        match saved.get(n) {
            Some(file) => show::line(&format!("written to {}", file.display())),
            // Who listens, or keeps it in a file, has the code itself.
            None if no_qr || !std::io::stdout().is_terminal() => {}
            None => show::line(&draw(&ticket.code)?.to_str()),
        }
        show::line(&ticket.code);
    }
    Ok(())
}

fn named(purchase: &Purchase) -> String {
    let reference = purchase.booking.as_ref().map(|b| b.reference.as_str()).unwrap_or_default();
    format!("{reference}, {}", purchase.title)
}

fn draw(code: &str) -> anyhow::Result<QRCode> {
    QRBuilder::new(code.as_bytes()).build().map_err(|e| anyhow!("drawing the code: {e:?}"))
}

/// A sheet with the code, and below it what it is for: sheets that look alike are mixed up, and a code says nothing to who listens.
fn picture(code: &QRCode, words: &[String]) -> String {
    let escape = |text: &String| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let lines = words.iter().enumerate().map(|(n, text)| {
        let (y, weight) = (424 + n * 28, if n == 0 { "bold" } else { "normal" });
        let text = escape(text);
        format!("<text x=\"200\" y=\"{y}\" font-size=\"16\" font-weight=\"{weight}\" text-anchor=\"middle\" textLength=\"{}\" lengthAdjust=\"spacingAndGlyphs\">{text}</text>", (text.chars().count() * 9).min(380))
    });
    let lines: String = lines.collect();
    let title = escape(&words.join(", "));
    let code = SvgBuilder::default().margin(4).to_str(code).replacen("<svg ", "<svg width=\"400\" height=\"400\" ", 1);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 400 500\" role=\"img\" font-family=\"sans-serif\">\
         <title>{title}</title><rect width=\"400\" height=\"500\" fill=\"#fff\"/>{code}{lines}</svg>\n"
    )
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
