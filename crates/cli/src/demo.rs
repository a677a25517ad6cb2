//! A whole federation on this machine: an index and three cinemas, each a process with its own data, and a buyer.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use admit_client::{Client, Index, Near, Options, RequestKey, Search, Secret, Server, Wallet, Which};
use admit_protocol::booking::{Book, TicketChoice};
use admit_protocol::capability::PaymentMethod;
use admit_protocol::door::Verdict;
use admit_protocol::geo::Position;
use admit_protocol::hold::{Hold, PlaceHold, SeatWish};
use admit_protocol::id::{ScreeningId, SeatId};
use admit_protocol::layout::SeatKind;
use admit_protocol::manifest::Manifest;
use admit_protocol::money::Money;
use admit_protocol::origin::{Origin, OriginPolicy};
use admit_protocol::problem::ProblemCode;
use admit_protocol::time::Moment;
use admit_server::management::{Role, StaffMember, hash_password};
use admit_server::store::Device;
use admit_server::store::sqlite::SqliteStore;
use admit_server::store::{Edit, Layouts, StaffStore as _};
use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;
use jiff::Timestamp;

use crate::folder::{Folder, ServerFile, new_token};
use crate::office::Office;
use crate::serve::asked_to_stop;
use crate::showing::Showing;
use crate::{audit, door, sample, show};

/// Start an index and three cinemas on this machine, and buy a seat.
#[derive(Args)]
pub(crate) struct Demo {
    /// End when the story is told, instead of staying up to be tried.
    #[arg(long)]
    exit: bool,
    /// Where to keep the data of the demo; a new folder for each, if nothing is said.
    #[arg(long)]
    folder: Option<PathBuf>,
}

/// A server of the demo: its own process, its own folder.
struct Process {
    child: Child,
    origin: Origin,
    folder: PathBuf,
}

impl Drop for Process {
    fn drop(&mut self) {
        // Only what we started, and only if it still runs.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const STAFF_PASSWORD: &str = "a password for the demo";

impl Demo {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let began = Instant::now();
        let folder = self.folder.clone().unwrap_or_else(|| {
            std::env::temp_dir().join(format!(
                "admit-demo-{}-{}",
                std::process::id(),
                Timestamp::now().as_millisecond()
            ))
        });
        std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        let told = Box::pin(self.tell(&folder, began)).await;
        if self.exit && self.folder.is_none() {
            // Processes are gone by now; their data is of no use to anybody.
            let _ = std::fs::remove_dir_all(&folder);
        }
        told
    }

    async fn tell(&self, folder: &Path, began: Instant) -> anyhow::Result<()> {
        let client = Client::new(Options { origins: OriginPolicy::Loopback, ..Options::default() })?;
        let mut stage = Stage::open(folder, &client).await?;
        stage.find().await?;
        stage.trust().await?;
        let sold = Box::pin(stage.buy()).await?;
        stage.enter(&sold).await?;
        stage.without_index().await?;
        stage.books()?;
        show::line(&format!(
            "\n{} told in {:.1} s",
            show::colour("1;32", "The whole story,"),
            began.elapsed().as_secs_f32()
        ));
        if !self.exit {
            stage.invite(&sold);
            asked_to_stop().await?;
        }
        Ok(())
    }
}

/// A chapter of the story.
fn chapter(title: &str) {
    show::line(&format!("\n{}", show::colour("1", title)));
}

/// A fact that was just seen.
fn seen(what: &str) {
    show::line(&format!("  {} {what}", show::colour("32", "✓")));
}

struct Stage<'a> {
    client: &'a Client,
    folder: &'a Path,
    index: Option<Process>,
    cinemas: Vec<Process>,
    met: Index,
    /// The token of the art house's scanner.
    door: String,
}

/// What was bought and paid.
struct Sold {
    server: Server,
    screening: ScreeningId,
    codes: Vec<String>,
}

fn server_file(name: &str) -> anyhow::Result<ServerFile> {
    let listen = admit_http::listen::unused_address()?.to_string();
    let origin = Origin::parse(&format!("http://{listen}"), OriginPolicy::Loopback)?;
    Ok(ServerFile { receipts: true, ..ServerFile::new(origin, listen, name.to_owned(), "demo@admit.example".into()) })
}

fn start(kind: &str, folder: &Path, origin: Origin) -> anyhow::Result<Process> {
    let program = std::env::current_exe().context("finding this program")?;
    let log = std::fs::File::create(folder.join("log.txt"))?;
    let child = Command::new(program)
        .args(["serve", kind])
        .arg(folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .with_context(|| format!("starting the {kind} in {}", folder.display()))?;
    Ok(Process { child, origin, folder: folder.to_owned() })
}

impl<'a> Stage<'a> {
    async fn open(folder: &'a Path, client: &'a Client) -> anyhow::Result<Self> {
        chapter("An index and three cinemas open, each a process with its own data and keys.");
        let now = Timestamp::now();
        let index_folder = folder.join("index");
        let file = server_file("Demo index")?;
        Folder::init(&index_folder, &file)?;
        let mut index = start("index", &index_folder, file.origin)?;
        let hash = hash_password(STAFF_PASSWORD)?;
        let (door, token_hash) = new_token()?;
        let mut cinemas = Vec::new();
        for operator in sample::world(now) {
            let path = folder.join(operator.folder);
            let file = server_file(operator.name)?;
            Folder::init(&path, &file)?;
            let checked = operator.bundle.check(now);
            ensure!(checked.refused.is_empty(), "the sample world has bad rows: {:?}", checked.refused);
            let store = SqliteStore::open(&path)?;
            let device = Device { id: "door-1".parse()?, token_hash };
            store.edit(&checked.edits, now, Layouts::Stay)?;
            store.edit(&[Edit::Device { device, name: "Main door".into() }], now, Layouts::Stay)?;
            let admin = StaffMember { login: "demo".into(), name: "Demo".into(), role: Role::Admin, disabled: false };
            store.put_staff(&admin, Some(&hash))?;
            // One process has the folder: the server's turn now.
            drop(store);
            cinemas.push(start("cinema", &path, file.origin)?);
            seen(&format!(
                "{}: {}, {}, {}",
                operator.name,
                show::count(checked.cinemas, "cinema"),
                show::count(checked.halls, "hall"),
                show::count(checked.screenings, "screening")
            ));
        }
        for process in cinemas.iter_mut().chain([&mut index]) {
            wait_for(client, process).await?;
        }
        let met = client.index(index.origin.as_str()).await?;
        for cinema in &cinemas {
            let found = met.announce(cinema.origin.as_str()).await?;
            ensure!(found.listed, "{} was not listed: {:?}", cinema.origin, found.steps);
        }
        seen("announced by their addresses alone; the index looked for itself and listed them");
        Ok(Self { client, folder, index: Some(index), cinemas, met, door })
    }

    async fn find(&self) -> anyhow::Result<()> {
        chapter("Somebody looks for a cinema.");
        let text = |text: &str| Search { text: Some(text.into()), ..Search::default() };
        let first = |found: admit_protocol::directory::Listings| {
            found.listings.first().map(|l| show::text(&l.name).to_owned()).unwrap_or_default()
        };
        let typo = first(self.met.cinemas(&text("orphuem docklnds")).await?);
        ensure!(typo == "Orpheum Docklands", "a typo found {typo:?}");
        seen("\"orphuem docklnds\" is Orpheum Docklands, typos and all");
        let kanji = first(self.met.cinemas(&text("光座")).await?);
        ensure!(kanji == "光座", "光座 found {kanji:?}");
        seen("光座 is found by its own name");
        let louvre = Near { position: Position::from_degrees(48.8606, 2.3376)?, radius_m: 10_000 };
        let near = self.met.cinemas(&Search { near: Some(louvre), ..Search::default() }).await?;
        let metres = near.listings.first().and_then(|l| l.distance_m).context("nothing near the Louvre")?;
        ensure!(near.listings.len() == 1, "near the Louvre: {:?}", near.listings.len());
        seen(&format!("near the Louvre: Cinéma La Lune, {metres} m away"));
        let films = self.met.films(&text("nosferatu")).await?;
        let film = films.films.first().context("nobody shows Nosferatu")?;
        ensure!(film.cinemas == 3, "Nosferatu runs in {} cinemas", film.cinemas);
        seen(&format!("Nosferatu runs in {} cinemas of two operators, {} times", film.cinemas, film.screenings));
        Ok(())
    }

    async fn trust(&self) -> anyhow::Result<()> {
        chapter("The index is believed in nothing.");
        let origin = &self.cinemas[0].origin;
        let passed_on = self.met.manifest(origin).await?;
        let server = self.client.server_from(origin, &passed_on, None)?;
        seen(&format!("the manifest it passes on is signed by the cinema's own key {}", server.known().identity.id()));
        let mut forged = passed_on.clone();
        let mut payload: Manifest = passed_on.unverified(1 << 20)?;
        payload.contact.email = "thief@example.org".into();
        forged.payload = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&payload)?);
        let refused = self.client.server_from(origin, &forged, None);
        ensure!(refused.is_err(), "a forged manifest was believed");
        seen(&format!("a forged one is refused: {}", refused.err().map(|e| e.to_string()).unwrap_or_default()));
        Ok(())
    }

    /// Four requests: seats, hold, book, tickets.
    async fn buy(&self) -> anyhow::Result<Sold> {
        chapter("Anna buys two seats, four requests to the cinema itself.");
        // The hint of the index leads to the server; what it said is read again there.
        let listing = self.met.cinemas(&Search { text: Some("la lune".into()), ..Search::default() }).await?;
        let listing = listing.listings.into_iter().next().context("La Lune is gone")?;
        let origin = listing.origin.context("La Lune has no server")?;
        let server = self.client.server(origin.as_str(), None).await?;
        let cinema = listing.cinema.context("La Lune has no name")?;
        let (_, screenings) = server.programme(cinema).await?;
        // Far enough away to be paid at the counter, near enough for its tickets to open the door.
        let hours = |n| Timestamp::now().checked_add(jiff::SignedDuration::from_hours(n));
        let (from, to) = (hours(3)?, hours(24)?);
        let soon = |s: &&admit_protocol::screening::Screening| (from..to).contains(&s.starts_at.at());
        let screening = screenings.iter().find(soon).context("nothing is shown within a day")?;
        let taken = server.seats(screening.id).await?;
        let layout = server.layout(screening.layout).await?;
        let free: Vec<SeatId> = layout
            .seats
            .iter()
            .filter(|s| s.zone.as_str() == "standard" && s.kind == SeatKind::Standard)
            .map(|s| s.id)
            .collect();
        ensure!(taken.not_free.is_empty() && free.len() > 8, "the hall is not empty");
        let (wanted, other) = (&free[20..22], &free[30..31]);
        let wish = |seats: &[SeatId], t: &str| -> anyhow::Result<PlaceHold> {
            let ticket_type = Some(t.parse()?);
            Ok(PlaceHold {
                seats: seats.iter().map(|s| SeatWish { seat: *s, ticket_type }).collect(),
                ..PlaceHold::default()
            })
        };
        let wallet = Wallet::open(&self.folder.join("wallet.json"))?;
        let purchase = wallet
            .hold(&server, screening.id, &*Showing::of(&server, screening).await?.title(), wish(wanted, "adult")?)
            .await?;
        let number = purchase.number;
        let hold = purchase.hold.context("the hold is not known")?;
        let until = Moment::new(hold.expires_at, screening.starts_at.zone())?;
        seen(&format!("{} and {} are held until {}", wanted[0], wanted[1], show::moment(&until)));

        let ben = Secret::new()?;
        let refused = server.place_hold(screening.id, &ben, &RequestKey::new()?, &wish(&free[20..23], "adult")?).await;
        let problem = refused.err().and_then(|e| e.problem().cloned()).context("Ben got Anna's seats")?;
        let names: Vec<String> = problem.conflicts.iter().map(|c| format!("{} ({})", c.seat, c.reason)).collect();
        ensure!(problem.code == ProblemCode::SeatsTaken && names.len() == 2, "Ben heard {problem:?}");
        seen(&format!("Ben wants them, too, and hears which are taken: {}", names.join(", ")));

        let quote = hold.quote.clone().context("the hold has no price")?;
        let choice = pay_at_cinema(&hold)?;
        let cheaper = quote.total.minus(Money::new(1, quote.total.currency())?)?;
        let refused = wallet.book(&server, number, Book { total: cheaper, ..choice.clone() }).await;
        ensure!(refused.is_err(), "a wrong total was taken");
        seen(&format!("a wrong total, {cheaper}, is refused; the hold stays"));
        let booking = wallet.book(&server, number, choice).await?;
        ensure!(booking.total == quote.total, "booked for {}", booking.total);
        seen(&format!("booked as {} for {}, what Anna saw", booking.reference, booking.total));

        let codes: Vec<String> = codes(&server, screening.id, &purchase.secret, booking.id).await?;
        let office = Office::sign_in(server.clone(), "demo", STAFF_PASSWORD).await?;
        office.settle(&booking, booking.balance_due).await?;
        seen(&format!("Anna pays {} at the counter", booking.balance_due));
        let checked = wallet.check_receipts(&server, number).await?;
        seen(&format!(
            "the cinema signs a receipt, and its log of {} bears it out",
            show::count(checked.entries, "change")
        ));

        // Somebody else's booking, cancelled again: its ticket must not open the door.
        let hold = server.place_hold(screening.id, &ben, &RequestKey::new()?, &wish(other, "adult")?).await?;
        let book = pay_at_cinema(&hold)?;
        let cancelled = server.book(screening.id, &ben, &RequestKey::new()?, &book).await?;
        let mut all = codes;
        all.extend(self::codes(&server, screening.id, &ben, cancelled.id).await?);
        let offer = server.quote_cancellation(screening.id, &ben, cancelled.id, Which::All).await?;
        server.cancel(screening.id, &ben, &RequestKey::new()?, cancelled.id, offer.id).await?;
        seen("Ben books another seat and cancels it");
        Ok(Sold { server, screening: screening.id, codes: all })
    }

    async fn enter(&self, sold: &Sold) -> anyhow::Result<()> {
        chapter("At the door.");
        let [annas, .., bens] = sold.codes.as_slice() else { bail!("tickets are missing") };
        let key = sold.server.manifest().keys.ticket.first().context("no ticket key")?.key;
        let checked = Command::new(std::env::current_exe()?)
            .args(["ticket", "verify", "--key", &key.to_string(), annas])
            .stdin(Stdio::null())
            .output()?;
        ensure!(checked.status.success(), "the ticket was not verified: {}", String::from_utf8_lossy(&checked.stderr));
        seen("a process that has only the public key verifies Anna's ticket, without a network");
        let scanner = sold.server.scanner(self.door.parse()?);
        let scan = async |code: &str| {
            let scanned = door::scan(&scanner, sold.screening, admit_client::new_scan_id()?, (code, None)).await?;
            anyhow::Ok(scanned.verdict)
        };
        let first = scan(annas).await?;
        ensure!(first == Verdict::Green, "the first scan said {first}");
        seen("first scan: come in");
        let second = scan(annas).await?;
        ensure!(second == Verdict::Duplicate, "the second scan said {second}");
        seen("second scan of the same ticket: used before");
        let cancelled = scan(bens).await?;
        ensure!(cancelled == Verdict::Revoked, "a cancelled ticket said {cancelled}");
        seen("Ben's cancelled ticket: cancelled");
        Ok(())
    }

    async fn without_index(&mut self) -> anyhow::Result<()> {
        chapter("The index is stopped.");
        drop(self.index.take());
        ensure!(self.met.cinemas(&Search::default()).await.is_err(), "the index still answers");
        let origin = self.cinemas[1].origin.clone();
        let server = self.client.server(origin.as_str(), None).await?;
        let screening: ScreeningId = "dock-foyer-3".parse()?;
        let secret = Secret::new()?;
        let wish: PlaceHold = serde_json::from_value(serde_json::json!({
            "areas": [{"area": "floor", "count": 2, "ticket_type": "adult"}],
        }))?;
        let hold = server.place_hold(screening, &secret, &RequestKey::new()?, &wish).await?;
        let book = pay_at_cinema(&hold)?;
        let booking = server.book(screening, &secret, &RequestKey::new()?, &book).await?;
        seen(&format!("two places at Orpheum Docklands are booked all the same: {}", booking.reference));
        Ok(())
    }

    fn books(&self) -> anyhow::Result<()> {
        chapter("The books.");
        for cinema in &self.cinemas {
            let report = audit::audit(&cinema.folder.join("cinema.sqlite"))?;
            ensure!(report.violations.is_empty(), "{}: {:?}", cinema.folder.display(), report.violations);
            let name = cinema.folder.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            let (bookings, tickets) = (usize::try_from(report.bookings)?, usize::try_from(report.tickets)?);
            seen(&format!(
                "{name}: {}, {}, in order",
                show::count(bookings, "booking"),
                show::count(tickets, "ticket")
            ));
        }
        Ok(())
    }

    fn invite(&mut self, sold: &Sold) {
        let restarted = start("index", &self.folder.join("index"), self.met.origin().clone());
        self.index = restarted.ok();
        let index = self.met.origin();
        let server = sold.server.origin();
        chapter("All of it is up again until Ctrl-C. In another terminal, try:");
        show::line("  export ADMIT_DEVELOPMENT=true   # servers on this machine");
        show::line(&format!("  admit find --index {index} orpheum"));
        show::line(&format!("  admit films --index {index} --city Dublin"));
        show::line(&format!("  admit screenings --index {index} nosferatu"));
        show::line(&format!("  admit seats {server} {}", sold.screening));
        show::line(&format!("  admit book {server} {} D5 D6       # or best:3", sold.screening));
        for cinema in self.cinemas.iter().filter(|cinema| cinema.origin != *server) {
            show::line(&format!("  admit programme {}", cinema.origin));
        }
        let wallet = self.folder.join("wallet.json");
        show::line(&format!("  admit bookings --wallet {}    # what Anna has", wallet.display()));
        show::line(&format!("  admit door scan {server} {} --token {}", sold.screening, self.door));
        show::line(&format!("  admit cinema audit {}", self.cinemas[0].folder.display()));
    }
}

/// Books everything that is held, for what it costs.
fn pay_at_cinema(hold: &Hold) -> anyhow::Result<Book> {
    let quote = hold.quote.as_ref().context("the hold has no price")?;
    Ok(Book {
        hold: hold.id,
        tickets: quote.lines.iter().map(|l| TicketChoice { seat: l.seat, ticket_type: l.ticket_type }).collect(),
        total: quote.total,
        payment_method: PaymentMethod::AtCinema,
        buyer: None,
    })
}

async fn codes(
    server: &Server,
    screening: ScreeningId,
    secret: &Secret,
    booking: admit_protocol::id::BookingId,
) -> anyhow::Result<Vec<String>> {
    let tickets = server.tickets(screening, secret, booking).await?;
    Ok(tickets.tickets.into_iter().map(|t| t.code).collect())
}

/// Waits until a server answers, ten seconds at most.
async fn wait_for(client: &Client, process: &mut Process) -> anyhow::Result<()> {
    let began = Instant::now();
    loop {
        let met = client.server(process.origin.as_str(), None).await;
        // Somebody else may answer there: then this one could not listen, and has ended.
        if process.child.try_wait()?.is_some() || began.elapsed() > Duration::from_secs(10) {
            let log = std::fs::read_to_string(process.folder.join("log.txt")).unwrap_or_default();
            bail!("{} did not start\n{log}", process.origin);
        }
        if met.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
