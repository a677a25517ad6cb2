//! The door.

use std::io::BufRead as _;
use std::path::{Path, PathBuf};

use admit_client::{ClientError, RequestKey, Scanner, Secret, Server};
use admit_protocol::door::{Scan, ScanKind, ScanResult, UploadScans, Verdict};
use admit_protocol::id::{ScanId, ScreeningId, TicketTypeId};
use admit_protocol::layout::Layout;
use admit_protocol::price::TicketType;
use admit_protocol::ticket::{Ticket, screening_digest};
use admit_protocol::time::{Moment, ZoneName, after};
use anyhow::Context as _;
use clap::Subcommand;
use jiff::Timestamp;
use serde_json::json;

use crate::showing::Showing;
use crate::{Context, find, show};

#[derive(Subcommand)]
pub(crate) enum DoorCommand {
    /// Scan tickets: one code a line on standard input, as a hand scanner types them. The word `undo` takes the last one back that was
    /// let in with this machine, and again the one before.
    Scan {
        /// The cinema's server.
        server: String,
        /// The screening.
        screening: String,
        /// The scanner's token, from `admit cinema device`.
        // One token in 64 begins with `-`.
        #[arg(long, env = "ADMIT_DEVICE_TOKEN", hide_env_values = true, allow_hyphen_values = true)]
        token: String,
    },
}

impl DoorCommand {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let Self::Scan { server, screening, token } = self;
        let token: Secret =
            token.parse().context("this is not a scanner's token, as `admit cinema device` prints it")?;
        let screening: ScreeningId = screening.parse().with_context(|| screening.clone())?;
        let server = find::client(context)?.server(&server, None).await?;
        let shown = find::screening(&server, screening).await?;
        // The door's clock is the cinema's.
        let zone = shown.starts_at.zone().clone();
        if !context.json {
            show::line(&Showing::of(&server, &shown).await?.title());
            if !shown.status.takes_place() {
                let off = shown.status.as_str().to_uppercase();
                show::line(&show::colour(
                    "1;31",
                    &format!("IT IS {off}: none of its tickets lets in, and all that was paid comes back"),
                ));
            }
            let doors = shown.doors_at.as_ref().unwrap_or(&shown.starts_at);
            if Timestamp::now() < after(doors.at(), -3600) {
                show::warn(&format!("doors open {}: who is let in now has used the ticket", show::moment(doors)));
            }
        }
        let scanner = server.scanner(token);
        let layout = server.layout(shown.layout).await?;
        let types = server.price_table(shown.price_table).await?.ticket_types;
        let let_in = LetIn::of(&server, screening, context);
        for line in std::io::stdin().lock().lines() {
            let line = line?;
            let code = match line.trim() {
                "" => continue,
                word if word.eq_ignore_ascii_case("undo") => {
                    let undone = undo(&scanner, screening, &let_in, &layout, context).await;
                    undone.or_else(|error| not_done(" NOT TAKEN BACK ", error, context))?;
                    continue;
                }
                code => code,
            };
            let result = match scan(&scanner, screening, code).await {
                Ok(result) => result,
                Err(error) => {
                    not_done(" NOT CHECKED ", error, context)?;
                    continue;
                }
            };
            let good_for = match result.verdict {
                Verdict::WrongShow => good_for(&server, code).await,
                Verdict::Revoked => printed_on(&server, code),
                _ => None,
            };
            print(&result, good_for, (&layout, &types), (&zone, shown.starts_at.at()), context)?;
            if result.verdict == Verdict::Green {
                let_in.change(|scans| scans.push(result))?;
            }
        }
        Ok(())
    }
}

/// Says that nothing is known, where that may be better in a moment: people go on queueing. Anything else ends it.
fn not_done(what: &str, error: anyhow::Error, context: &Context) -> anyhow::Result<()> {
    let passes = match error.downcast_ref::<ClientError>() {
        Some(ClientError::Refused(problem)) => problem.retryable,
        Some(_) => true,
        None => false,
    };
    if !passes {
        return Err(error);
    }
    if context.json {
        return show::json(&json!({"error": error.to_string()}));
    }
    show::line(&format!("{}  {error}: try it again", show::colour("1;43;30", what)));
    Ok(())
}

/// Whom this machine let in to a screening: kept in a file, so that one can be taken back also after a restart.
struct LetIn(PathBuf);

impl LetIn {
    fn of(server: &Server, screening: ScreeningId, context: &Context) -> Self {
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '_' };
        let origin: String = server.origin().as_str().chars().map(plain).collect();
        Self(context.data("door").join(format!("{origin}-{screening}.json")))
    }

    /// Their scans, as the file has them now.
    fn scans(&self) -> anyhow::Result<Vec<ScanResult>> {
        match std::fs::read(&self.0) {
            Ok(bytes) => serde_json::from_slice(&bytes).with_context(|| self.0.display().to_string()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error).with_context(|| self.0.display().to_string()),
        }
    }

    fn change(&self, change: impl FnOnce(&mut Vec<ScanResult>)) -> anyhow::Result<()> {
        let mut scans = self.scans()?;
        change(&mut scans);
        // Nobody takes back more, one by one.
        scans.drain(..scans.len().saturating_sub(100));
        let new = self.0.with_extension("new");
        std::fs::create_dir_all(self.0.parent().unwrap_or(Path::new(".")))?;
        std::fs::write(&new, serde_json::to_vec(&scans)?).with_context(|| new.display().to_string())?;
        std::fs::rename(&new, &self.0).with_context(|| self.0.display().to_string())
    }
}

/// Scans one code, now.
pub(crate) async fn scan(scanner: &Scanner, screening: ScreeningId, code: &str) -> anyhow::Result<ScanResult> {
    upload(scanner, screening, (ScanKind::Entry, code, None)).await
}

/// Takes back that somebody was let in.
async fn undo(
    scanner: &Scanner,
    screening: ScreeningId,
    let_in: &LetIn,
    layout: &Layout,
    context: &Context,
) -> anyhow::Result<()> {
    let Some(scan) = let_in.scans()?.pop() else {
        show::warn("nobody is left whom this machine let in: who else let somebody in takes it back");
        return Ok(());
    };
    let result = upload(scanner, screening, (ScanKind::Undo, "", Some(scan.id))).await?;
    let_in.change(|scans| scans.retain(|known| known.id != scan.id))?;
    if context.json {
        return show::json(&result);
    }
    let seat = scan.seat.map(|s| format!(": seat {}", show::seat(s, layout))).unwrap_or_default();
    show::line(&format!("taken back{seat}, the ticket lets in again"));
    Ok(())
}

async fn upload(
    scanner: &Scanner,
    screening: ScreeningId,
    (kind, code, undoes): (ScanKind, &str, Option<ScanId>),
) -> anyhow::Result<ScanResult> {
    // A random name: never used again, also after a restart.
    let id = serde_json::to_value(RequestKey::new()?)?;
    let scan = Scan {
        id: id.as_str().context("a name")?.parse()?,
        kind,
        code: code.to_owned(),
        undoes,
        at: Timestamp::now(),
        offline: false,
    };
    let results = scanner.upload(screening, &UploadScans { scans: vec![scan] }).await?;
    results.results.into_iter().next().context("the server did not say what came of the scan")
}

/// The seat that a genuine ticket names: of one that is good for nothing, the server says no more.
fn printed_on(server: &Server, code: &str) -> Option<String> {
    let ticket = Ticket::verify(code, |short| server.ticket_keys(short, Timestamp::now()).first().copied()).ok()?;
    Some(format!("  row {}, seat {}: genuine, so send them to the box office", ticket.row, ticket.seat))
}

/// What a genuine ticket is for: whoever stands before the wrong door is told where to go. Nothing, if the server cannot say.
async fn good_for(server: &Server, code: &str) -> Option<String> {
    let ticket = Ticket::verify(code, |short| server.ticket_keys(short, Timestamp::now()).first().copied()).ok()?;
    for cinema in server.cinemas().await.ok()? {
        let (_, screenings) = server.programme(cinema.id).await.ok()?;
        let screening = screenings.into_iter().find(|s| screening_digest(&s.id) == ticket.screening);
        if let Some(screening) = screening {
            let title = Showing::of(server, &screening).await.ok()?.title();
            return Some(format!("  row {}, seat {}: {title}", ticket.row, ticket.seat));
        }
    }
    Some(format!("  {}, row {}, seat {}", ticket.hall, ticket.row, ticket.seat))
}

fn print(
    result: &ScanResult,
    good_for: Option<String>,
    (layout, types): (&Layout, &[TicketType]),
    (zone, starts): (&ZoneName, Timestamp),
    context: &Context,
) -> anyhow::Result<()> {
    if context.json {
        return show::json(result);
    }
    let seat = result.seat.map(|s| format!("  seat {}", show::seat(s, layout))).unwrap_or_default();
    let proof = if result.proof_at_door { ": ASK FOR THE PROOF" } else { "" };
    // Of a type that is not sold any more, its name for machines.
    let called = |id: TicketTypeId| {
        types.iter().find(|t| t.id == id).map_or_else(|| id.to_string(), |t| show::text(&t.name).to_owned())
    };
    let kind = result.ticket_type.map(|id| format!("  {}{proof}", called(id))).unwrap_or_default();
    let (code, word) = match result.verdict {
        Verdict::Green => ("1;42;30", " COME IN "),
        Verdict::Duplicate => ("1;41;37", " USED BEFORE "),
        Verdict::Unpaid => ("1;43;30", " TO THE BOX OFFICE: NOT PAID "),
        Verdict::WrongShow => ("1;41;37", " ANOTHER SCREENING "),
        Verdict::Expired if Timestamp::now() < starts => ("1;41;37", " TOO EARLY "),
        Verdict::Expired => ("1;41;37", " TOO LATE "),
        Verdict::Revoked => ("1;41;37", " CANCELLED, REPLACED, OR NOT IN THE BOOKS "),
        _ => ("1;41;37", " NO TICKET OF OURS "),
    };
    let first = result.first.as_ref().filter(|_| result.verdict == Verdict::Duplicate);
    let first = first.map(|f| {
        let at =
            Moment::new(f.at, zone).map_or_else(|_| f.at.to_string(), |at| at.local().strftime("%a %H:%M").to_string());
        format!("  first on {at} at {}", f.device)
    });
    let first = first.unwrap_or_default();
    let good_for = good_for.unwrap_or_default();
    show::line(&format!("{}{seat}{kind}{first}{good_for}", show::colour(code, word)));
    Ok(())
}
