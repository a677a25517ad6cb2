//! Tickets as they are shown in a terminal, and printed.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use admit_protocol::booking::{BookedTicket, Booking};
use anyhow::{Context as _, anyhow};
use fast_qr::convert::Builder as _;
use fast_qr::convert::svg::SvgBuilder;
use fast_qr::qr::{QRBuilder, QRCode};

use crate::show;

/// The tickets of a booking.
pub(crate) struct Sheet<'a> {
    /// Film, cinema, time.
    pub(crate) title: &'a str,
    pub(crate) booking: &'a Booking,
    /// Each with its seat and type in words, and a proof of its holder, if it wants one.
    pub(crate) tickets: Vec<(String, &'a BookedTicket, Option<String>)>,
}

impl Sheet<'_> {
    /// Writes each as a picture into this folder.
    pub(crate) fn save(&self, folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
        let Self { title, booking, tickets } = self;
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let due = (!booking.balance_due.is_zero())
            .then(|| format!("{} to be paid before it opens the door", booking.balance_due));
        let save = |(words, ticket, _): &(String, &BookedTicket, Option<String>)| {
            let file = folder.join(format!("{}-{}.svg", booking.reference, ticket.seat));
            let words = [words.clone(), (*title).to_owned(), booking.reference.clone()];
            let proof = ticket.wants_proof.then(|| "with its proof: admit ticket show".to_owned());
            let words: Vec<String> = words.into_iter().chain(due.clone()).chain(proof).collect();
            std::fs::write(&file, picture(&draw(&ticket.code)?, &words)).with_context(|| file.display().to_string())?;
            Ok(file)
        };
        tickets.iter().map(save).collect()
    }

    pub(crate) fn print_head(&self) {
        show::line(&format!("{}  {}", show::colour("1", self.title), self.booking.reference));
    }

    pub(crate) fn print_due(&self) {
        if !self.booking.balance_due.is_zero() {
            show::line(&format!("{} to be paid at the cinema before these open the door", self.booking.balance_due));
        }
    }

    /// Each with its code as a picture, unless it was written to a file or nobody looks at a terminal.
    pub(crate) fn print_tickets(&self, saved: &[PathBuf], no_qr: bool) -> anyhow::Result<()> {
        for (n, (words, ticket, proof)) in self.tickets.iter().enumerate() {
            show::line(&format!("\n{words}"));
            match saved.get(n) {
                Some(file) => show::line(&format!("written to {}", file.display())),
                // Who listens, or keeps it in a file, has the code itself.
                None if no_qr || !std::io::stdout().is_terminal() => {}
                None => show::line(&draw(&ticket.code)?.to_str()),
            }
            show::line(&ticket.code);
            let Some(proof) = proof else { continue };
            show::line("to be shown beside it, as proof that it is yours; good for two minutes, then ask for another:");
            if !no_qr && std::io::stdout().is_terminal() {
                show::line(&draw(proof)?.to_str());
            }
            show::line(proof);
        }
        Ok(())
    }
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
