//! The door.

mod let_in;
mod post;

use std::io::BufRead as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use admit_client::{Checked, ClientError, Door, DoorError, Scanner, Server, new_scan_id};
use admit_protocol::door::{Scan, ScanKind, ScanResult, UploadScans, Verdict};
use admit_protocol::holder::PROOF_PREFIX;
use admit_protocol::id::{ScanId, ScreeningId, TicketTypeId};
use admit_protocol::layout::Layout;
use admit_protocol::price::TicketType;
use admit_protocol::ticket::{Ticket, screening_digest};
use admit_protocol::time::{Moment, ZoneName};
use anyhow::Context as _;
use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::json;

use self::let_in::LetIn;
use self::post::Post;
use crate::showing::Showing;
use crate::{Context, show};

#[derive(Subcommand)]
pub(crate) enum DoorCommand {
    /// Scan tickets: one code a line on standard input, as a hand scanner types them. The word `undo` takes the last one back that was
    /// let in with this machine, and again the one before. A ticket that wants a proof of its holder is scanned first, and then the proof.
    ///
    /// When the server cannot be reached it goes on by the list of tickets that it had last, and tells the server later.
    Scan(Where),
    /// Get the list of a screening's tickets, so that this machine can scan without a network. `scan` does so, too, as long as there is one.
    Fetch(Where),
    /// Tell the server whom this machine let in without a network. `scan` does so, too, as soon as there is one.
    Send(Where),
}

/// Which door.
#[derive(Args)]
pub(crate) struct Where {
    /// The cinema's server.
    server: String,
    /// The screening.
    screening: ScreeningId,
    /// The scanner's token, from `admit cinema device`.
    // One token in 64 begins with `-`.
    #[arg(long, env = "ADMIT_DEVICE_TOKEN", hide_env_values = true, allow_hyphen_values = true)]
    token: String,
}

/// Without a network the server is looked for again so often.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// The list is got again when it is older than this, in seconds: what is sold at the counter has to be on it when the network goes.
const LIST_LIFE_S: i64 = 60;

impl DoorCommand {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<()> {
        match self {
            Self::Scan(at) => {
                let mut machine = Machine::begin(&at, context).await?;
                for line in std::io::stdin().lock().lines() {
                    let line = line?;
                    if !line.trim().is_empty() {
                        machine.does(line.trim()).await?;
                    }
                }
                machine.end().await
            }
            Self::Fetch(at) => {
                let (post, path) = (Post::reach(&at, context).await?, at.file(context)?);
                let mut door = Door::open(&path, at.screening, Timestamp::now())?;
                post.catch_up(&mut door, &path, context).await?;
                if context.json {
                    return show::json(&json!({"screening": at.screening, "list_of": door.map(|door| door.list_of())}));
                }
                show::line(&format!(
                    "{} can be scanned without a network on this machine, by the list of now",
                    at.screening
                ));
                Ok(())
            }
            Self::Send(at) => {
                let door = Door::open(&at.file(context)?, at.screening, Timestamp::now())?;
                let sent = match door {
                    Some(mut door) if door.unsent() > 0 => {
                        Post::reach(&at, context).await?.send_unsent(&mut door, context).await?
                    }
                    _ => 0,
                };
                if context.json {
                    return show::json(&json!({"sent": sent}));
                }
                show::line(&format!("{} sent", show::count(sent, "scan")));
                Ok(())
            }
        }
    }
}

/// A machine at a door: with its server, or by the list alone.
struct Machine<'a> {
    at: &'a Where,
    path: PathBuf,
    let_in: LetIn,
    /// None, if it has no list.
    door: Option<Door>,
    /// None, while the server cannot be reached.
    post: Option<Post>,
    /// When the server was looked for last.
    tried: Instant,
    /// The ticket that was read last, if it wants a proof.
    unproven: Option<String>,
    context: &'a Context,
}

impl<'a> Machine<'a> {
    async fn begin(at: &'a Where, context: &'a Context) -> anyhow::Result<Self> {
        let path = at.file(context)?;
        let door = match Door::open(&path, at.screening, Timestamp::now()) {
            Err(error @ DoorError::Damaged { .. }) => {
                // It is kept, to be looked at; with a network there will be another.
                std::fs::rename(&path, path.with_extension("damaged"))?;
                show::warn(&format!("{error}: it was put aside, as {}", path.with_extension("damaged").display()));
                None
            }
            opened => opened?,
        };
        let (let_in, tried) = (LetIn::of(at, context)?, Instant::now());
        let mut this = Self { at, path, let_in, door, post: None, tried, unproven: None, context };
        match this.reach().await {
            Ok(()) => {}
            Err(error) if this.door.is_some() => this.goes_on_alone(&error),
            Err(error) if is_away(&error) => {
                let next = "this machine has no list of the tickets: get one beforehand with `admit door fetch`";
                return Err(error.context(next));
            }
            Err(error) => return Err(error),
        }
        Ok(this)
    }

    /// Finds the server: it hears what it missed, and the list is that of now.
    async fn reach(&mut self) -> anyhow::Result<()> {
        let post = Post::reach(self.at, self.context).await?;
        post.welcome(self.context).await?;
        match post.catch_up(&mut self.door, &self.path, self.context).await {
            // A server without lists: as long as there is a network, it is asked.
            Err(error) if self.door.is_none() && !is_away(&error) => {
                show::warn(&format!("without a list of the tickets this door needs its network: {error}"));
            }
            caught_up => caught_up?,
        }
        self.post = Some(post);
        Ok(())
    }

    fn goes_on_alone(&mut self, error: &anyhow::Error) {
        (self.post, self.tried) = (None, Instant::now());
        if let (Some(door), false) = (&self.door, self.context.json) {
            show::warn(&format!("{error}: going on by the list of {}", show::here(door.list_of())));
        }
    }

    /// One code, or `undo`.
    async fn does(&mut self, typed: &str) -> anyhow::Result<()> {
        let read = match (typed.starts_with(PROOF_PREFIX), self.unproven.take()) {
            (true, Some(code)) => Read { code, proof: Some(typed.to_owned()) },
            (true, None) => {
                show::warn("this proves who holds a ticket: scan first the ticket that wants it, then this");
                return Ok(());
            }
            (false, _) => Read { code: typed.to_owned(), proof: None },
        };
        if self.judge(&read).await? == Some(Verdict::Unproven) {
            self.unproven = Some(read.code);
        }
        Ok(())
    }

    /// What is said of it, if it was a code.
    async fn judge(&mut self, read: &Read) -> anyhow::Result<Option<Verdict>> {
        if self.post.is_none() && self.tried.elapsed() >= LOOK_AGAIN {
            match self.reach().await {
                Ok(()) => show::warn("the server is there again"),
                // People queue: whatever it was, the list will do.
                Err(error) => self.goes_on_alone(&error),
            }
        }
        // Of one name, whether the server hears of it now or later: a scan whose answer was lost is no second one.
        let id = new_scan_id()?;
        if let Some(post) = &self.post {
            match post.does(id, read, &self.let_in, self.door.as_mut(), self.context).await {
                Ok(verdict) => {
                    if let Some(door) = &mut self.door
                        && Timestamp::now().duration_since(door.list_of()).as_secs() > LIST_LIFE_S
                    {
                        // What cannot be had now is had the next time.
                        let _ = door.renew(&post.scanner).await;
                    }
                    return Ok(verdict);
                }
                Err(error) if is_away(&error) && self.door.is_some() => self.goes_on_alone(&error),
                Err(error) => return not_done(" NOT DONE ", error, self.context).map(|()| None),
            }
        }
        match &mut self.door {
            Some(door) => alone(door, id, read, &self.let_in, self.context),
            None => Ok(None),
        }
    }

    /// Nobody comes any more.
    async fn end(self) -> anyhow::Result<()> {
        let Some(mut door) = self.door.filter(|door| door.unsent() > 0) else { return Ok(()) };
        if let Ok(back) = Post::reach(self.at, self.context).await
            && back.send_unsent(&mut door, self.context).await.is_ok()
        {
            return Ok(());
        }
        let scans = show::count(door.unsent(), "scan");
        show::warn(&format!("{scans} to be told when there is a network again: `admit door send`"));
        Ok(())
    }
}

/// What was read: a ticket and, where it wants one, the proof beside it.
struct Read {
    code: String,
    proof: Option<String>,
}

/// One code, or `undo`, without a network; what is said of it, if it was a code.
fn alone(
    door: &mut Door,
    id: ScanId,
    read: &Read,
    let_in: &LetIn,
    context: &Context,
) -> anyhow::Result<Option<Verdict>> {
    let now = Timestamp::now();
    if read.code.eq_ignore_ascii_case("undo") {
        let Some(scan) = let_in.scans()?.pop() else {
            show::warn(NOBODY_LEFT);
            return Ok(None);
        };
        door.take_back(id, (scan.id, scan.ticket), now)?;
        let_in.change(|scans| scans.retain(|known| known.id != scan.id))?;
        if context.json {
            return show::json(&json!({"taken_back": scan.id, "offline": true})).map(|()| None);
        }
        show::line("taken back: the ticket lets in again");
        return Ok(None);
    }
    let Checked { verdict, ticket, first } = door.check(id, (&read.code, read.proof.as_deref()), now)?;
    if verdict == Verdict::Green {
        let ticket = ticket.as_ref().map(|ticket| ticket.id);
        let (seat, ticket_type, proof_at_door, first) = (None, None, false, None);
        let_in
            .change(|scans| scans.push(ScanResult { id, verdict, ticket, seat, ticket_type, proof_at_door, first }))?;
    }
    if context.json {
        let seat = ticket.as_ref().map(|t| json!({"row": t.row, "seat": t.seat, "ticket_type": t.ticket_type}));
        show::json(&json!({"verdict": verdict, "offline": true, "list_of": door.list_of(), "printed": seat}))?;
        return Ok(Some(verdict));
    }
    let printed = ticket.map(|t| format!("  row {}, seat {}  {}", t.row, t.seat, t.ticket_type)).unwrap_or_default();
    let clock = |at: Timestamp| jiff::tz::TimeZone::system().to_datetime(at).strftime("%H:%M").to_string();
    let first = first.map(|first| format!("  first at {}", clock(first))).unwrap_or_default();
    let by = format!("  (no network: by the list of {})", clock(door.list_of()));
    show::line(&format!("{}{printed}{first}{by}", in_words(verdict, " TOO EARLY OR TOO LATE ")));
    Ok(Some(verdict))
}

const NOBODY_LEFT: &str = "nobody is left whom this machine let in: who else let somebody in takes it back";

/// Whether nobody can be asked now, and perhaps in a moment.
fn is_away(error: &anyhow::Error) -> bool {
    let of = |cause: &(dyn std::error::Error + 'static)| {
        let client = match cause.downcast_ref() {
            Some(DoorError::Client(error)) => Some(error),
            _ => cause.downcast_ref::<ClientError>(),
        };
        match client {
            Some(ClientError::Refused(problem)) => problem.retryable,
            // A proxy that answers in the server's place is none.
            Some(
                ClientError::Unreachable { .. } | ClientError::BadAnswer { .. } | ClientError::OutcomeUnknown { .. },
            ) => true,
            _ => false,
        }
    };
    error.chain().any(of)
}

/// Says that nothing is known, where that may be better in a moment: people go on queueing. Anything else ends it.
fn not_done(what: &str, error: anyhow::Error, context: &Context) -> anyhow::Result<()> {
    if !is_away(&error) {
        return Err(error);
    }
    if context.json {
        return show::json(&json!({"error": error.to_string()}));
    }
    show::line(&format!("{}  {error}: try it again", show::colour("1;43;30", what)));
    Ok(())
}

/// Scans one code, now.
pub(crate) async fn scan(
    scanner: &Scanner,
    screening: ScreeningId,
    id: ScanId,
    (code, proof): (&str, Option<&str>),
) -> anyhow::Result<ScanResult> {
    upload(scanner, screening, (id, ScanKind::Entry, code, proof, None)).await
}

/// Takes back that somebody was let in: which scan it was.
async fn undo(
    scanner: &Scanner,
    screening: ScreeningId,
    id: ScanId,
    let_in: &LetIn,
    layout: &Layout,
    context: &Context,
) -> anyhow::Result<Option<ScanResult>> {
    let Some(scan) = let_in.scans()?.pop() else {
        show::warn(NOBODY_LEFT);
        return Ok(None);
    };
    let result = upload(scanner, screening, (id, ScanKind::Undo, "", None, Some(scan.id))).await?;
    let_in.change(|scans| scans.retain(|known| known.id != scan.id))?;
    if context.json {
        show::json(&result)?;
        return Ok(Some(scan));
    }
    let seat = scan.seat.map(|s| format!(": seat {}", show::seat(s, layout))).unwrap_or_default();
    show::line(&format!("taken back{seat}, the ticket lets in again"));
    Ok(Some(scan))
}

async fn upload(
    scanner: &Scanner,
    screening: ScreeningId,
    (id, kind, code, proof, undoes): (ScanId, ScanKind, &str, Option<&str>, Option<ScanId>),
) -> anyhow::Result<ScanResult> {
    let (code, proof) = (code.to_owned(), proof.map(str::to_owned));
    let scan = Scan { id, kind, code, proof, undoes, at: Timestamp::now(), offline: false };
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
    let word = in_words(result.verdict, if Timestamp::now() < starts { " TOO EARLY " } else { " TOO LATE " });
    let first = result.first.as_ref().filter(|_| result.verdict == Verdict::Duplicate);
    let first = first.map(|f| {
        let at =
            Moment::new(f.at, zone).map_or_else(|_| f.at.to_string(), |at| at.local().strftime("%a %H:%M").to_string());
        format!("  first on {at} at {}", f.device)
    });
    let first = first.unwrap_or_default();
    let good_for = good_for.unwrap_or_default();
    show::line(&format!("{word}{seat}{kind}{first}{good_for}"));
    Ok(())
}

/// What the person at the door sees from afar.
fn in_words(verdict: Verdict, not_in_time: &str) -> String {
    let (code, word) = match verdict {
        Verdict::Green => ("1;42;30", " COME IN "),
        Verdict::Duplicate => ("1;41;37", " USED BEFORE "),
        Verdict::Unpaid => ("1;43;30", " TO THE BOX OFFICE: NOT PAID "),
        Verdict::Unproven => ("1;43;30", " SCAN THE PROOF BESIDE IT, TOO "),
        Verdict::WrongShow => ("1;41;37", " ANOTHER SCREENING "),
        Verdict::Expired => ("1;41;37", not_in_time),
        Verdict::Revoked => ("1;41;37", " CANCELLED, REPLACED, OR NOT IN THE BOOKS "),
        _ => ("1;41;37", " NO TICKET OF OURS "),
    };
    show::colour(code, word)
}
