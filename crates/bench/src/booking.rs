//! Hold and book over HTTP: against the same server's trivial route, against the textbook design, on one screening, and on few
//! connections beside the disk's own sync. In alternating rounds.

use std::fs::File;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use admit_private_postgres::Postgres;
use admit_server::store::sqlite::SqliteStore;
use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;
use serde_json::json;
use tokio::runtime::{Builder, Runtime};

use crate::load::{Connection, Round, cpu_s, median, post, round3};
use crate::report;
use crate::stage::{AMPLE_MB, Hall, PRICE, Stage};

/// Hold and book over HTTP, durable, against the same server's trivial route and the textbook design.
#[derive(Args)]
pub(crate) struct Booking {
    /// Connections.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Screenings of 300 seats that the load is spread over.
    #[arg(long, default_value_t = 20_000)]
    screenings: usize,
    /// Seconds for each part of a round.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// Alternating rounds.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Memory for houses, in MiB: a server has 192 if nothing is said, and reads again what does not fit.
    #[arg(long, default_value_t = AMPLE_MB)]
    houses_mb: usize,
    /// Only the trivial route and the spread load.
    #[arg(long)]
    brief: bool,
}

/// Few connections: nobody waits for anybody but the disk.
const LIGHT: usize = 8;

/// What the rounds came to.
#[derive(Default)]
struct Rounds {
    trivial: Vec<Round>,
    spread: Vec<Round>,
    hot: Vec<Round>,
    light: Vec<Round>,
    /// The disk's median sync beside each light round, in milliseconds.
    sync_ms: Vec<f64>,
    /// Bookings a second of the textbook design.
    serializable: Vec<f64>,
}

impl Booking {
    pub(crate) fn run(self, as_json: bool) -> anyhow::Result<()> {
        // Beside the build, not in a folder that may be in memory: a sync must reach a disk.
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target");
        std::fs::create_dir_all(&here)?;
        let here = here.canonicalize()?;
        let folder = tempfile::tempdir_in(&here)?;
        let stage = Stage::open(Arc::new(SqliteStore::open(folder.path())?), self.screenings, None, self.houses_mb)?;
        let peer = if self.brief { None } else { Some(Peer::open(&here, self.screenings)?) };
        // The generator has one thread of the two cores that it shares with the server.
        let load = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let time = Duration::from_secs(self.seconds);
        let spread = Target::spread(Hall::Ordinary, self.screenings);
        let hot = Target::one_after_another(Hall::Largest);
        let mut rounds = Rounds::default();
        for _ in 0..self.rounds {
            rounds.trivial.push(trivial_round(&load, stage.address, self.connections, time)?);
            rounds.spread.push(booking_round(&load, &[stage.address], self.connections, time, &spread)?);
            let Some(peer) = &peer else { continue };
            rounds.hot.push(booking_round(&load, &[stage.address], self.connections, time, &hot)?);
            rounds.light.push(booking_round(&load, &[stage.address], LIGHT, time, &spread)?);
            rounds.sync_ms.push(sync_ms(folder.path())?);
            rounds.serializable.push(peer.bookings_per_s(self.connections, self.seconds, self.screenings)?);
        }
        rounds.report(as_json)
    }
}

/// The textbook design under pgbench, which pays for no HTTP.
struct Peer(Postgres);

impl Peer {
    fn open(beside: &Path, shows: usize) -> anyhow::Result<Self> {
        let postgres = Postgres::start(beside)?;
        let (seats, scripts) = (Hall::Ordinary.seats(), Path::new(env!("CARGO_MANIFEST_DIR")).join("peers"));
        postgres.script(&scripts.join("serializable.schema.sql"), &[("shows", shows), ("seats", seats)])?;
        Ok(Self(postgres))
    }

    fn bookings_per_s(&self, clients: usize, seconds: u64, shows: usize) -> anyhow::Result<f64> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/serializable.sql");
        let count = || self.0.number("SELECT count(*) FROM booking");
        let (before, began) = (count()?, Instant::now());
        self.0.pgbench(&script, clients, seconds, &[("shows", shows), ("seats", Hall::Ordinary.seats())])?;
        let elapsed = began.elapsed().as_secs_f64();
        Ok(f64::from(u32::try_from(count()? - before)?) / elapsed)
    }
}

/// The median of appending 4 KiB and syncing, for a second.
pub(crate) fn sync_ms(folder: &Path) -> anyhow::Result<f64> {
    let mut file = File::create(folder.join("sync"))?;
    let (page, began) = ([7; 4096], Instant::now());
    let mut took = Vec::new();
    while began.elapsed() < Duration::from_secs(1) {
        let one = Instant::now();
        file.write_all(&page)?;
        file.sync_data()?;
        took.push(one.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(median(took))
}

/// Which seats are bought next: every block of four once, so that nobody is in the way of anybody.
pub(crate) struct Target {
    hall: Hall,
    /// The first screening.
    first: usize,
    /// How many screenings the load goes round; one: when it is sold out, the next.
    screenings: usize,
    next: AtomicUsize,
}

impl Target {
    pub(crate) fn spread(hall: Hall, screenings: usize) -> Arc<Self> {
        Self::from(hall, 0, screenings)
    }

    /// So many screenings from this one on.
    pub(crate) fn from(hall: Hall, first: usize, screenings: usize) -> Arc<Self> {
        Arc::new(Self { hall, first, screenings, next: AtomicUsize::new(0) })
    }

    pub(crate) fn one_after_another(hall: Hall) -> Arc<Self> {
        Self::spread(hall, 1)
    }

    /// The first screening that nobody was sent to, of those that are sold one after another.
    pub(crate) fn after_all(&self) -> usize {
        self.first + self.next.load(Ordering::Relaxed) / (self.hall.seats() / 4) + 1
    }

    /// The number of a buyer, a screening, and the first of four seats side by side.
    fn take(&self) -> (usize, usize, usize, usize) {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        let blocks = self.hall.seats() / 4;
        let (screening, block) = match self.screenings {
            1 => (n / blocks, n % blocks),
            screenings => (n % screenings, n / screenings % blocks),
        };
        self.seats(n, self.first + screening, block)
    }

    /// A block of four seats, for that buyer.
    fn seats(&self, buyer: usize, screening: usize, block: usize) -> (usize, usize, usize, usize) {
        let in_row = self.hall.seats_per_row() / 4;
        (buyer, screening, block / in_row + 1, block % in_row * 4 + 1)
    }
}

pub(crate) fn trivial_round(
    load: &Runtime,
    address: SocketAddr,
    connections: usize,
    time: Duration,
) -> anyhow::Result<Round> {
    let items: Vec<String> = (0..5).map(|n| format!("an item of a body of about three hundred bytes, {n}")).collect();
    let request = Arc::new(post("/trivial", "", &json!({"items": items}).to_string()));
    load.block_on(async {
        let (began, cpu) = (Instant::now(), cpu_s()?);
        let tasks: Vec<_> = (0..connections)
            .map(|_| {
                let request = request.clone();
                tokio::spawn(async move {
                    let mut connection = Connection::open(address).await?;
                    let mut round = Round::default();
                    while began.elapsed() < time {
                        let asked = Instant::now();
                        let status = connection.ask(&request).await?.status;
                        round.add(asked, status);
                    }
                    anyhow::Ok(round)
                })
            })
            .collect();
        collect(tasks, began, cpu).await
    })
}

/// Holds and bookings, the connections spread over these servers.
pub(crate) fn booking_round(
    load: &Runtime,
    servers: &[SocketAddr],
    connections: usize,
    time: Duration,
    target: &Arc<Target>,
) -> anyhow::Result<Round> {
    buying_round(load, servers, connections, time, target, Until::Booked)
}

/// Holds alone.
pub(crate) fn holding_round(
    load: &Runtime,
    server: SocketAddr,
    connections: usize,
    time: Duration,
    target: &Arc<Target>,
) -> anyhow::Result<Round> {
    buying_round(load, &[server], connections, time, target, Until::Held)
}

/// How far a purchase goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    Held,
    Booked,
}

fn buying_round(
    load: &Runtime,
    servers: &[SocketAddr],
    connections: usize,
    time: Duration,
    target: &Arc<Target>,
    until: Until,
) -> anyhow::Result<Round> {
    load.block_on(async {
        let (began, cpu) = (Instant::now(), cpu_s()?);
        let tasks: Vec<_> = (0..connections)
            .map(|n| {
                let (target, address) = (target.clone(), servers[n % servers.len()]);
                tokio::spawn(async move {
                    let mut connection = Connection::open(address).await?;
                    let mut round = Round::default();
                    while began.elapsed() < time {
                        let buyer = Buyer::new(&target, target.take())?;
                        buyer.buy(&mut connection, &mut round, until).await?;
                    }
                    anyhow::Ok(round)
                })
            })
            .collect();
        collect(tasks, began, cpu).await
    })
}

/// So many buyers, each of whom wants one of the blocks of one screening, once.
pub(crate) fn surge_round(
    load: &Runtime,
    address: SocketAddr,
    connections: usize,
    buyers: usize,
    screening: usize,
) -> anyhow::Result<Round> {
    let target = Arc::new(Target { hall: Hall::Ordinary, first: screening, screenings: 2, next: AtomicUsize::new(0) });
    let blocks = Hall::Ordinary.seats() / 4;
    let wanted = (0..buyers).map(|n| Buyer::new(&target, target.seats(n, screening, n % blocks)));
    let wanted: Arc<Vec<Buyer>> = Arc::new(wanted.collect::<anyhow::Result<_>>()?);
    load.block_on(async {
        let mut connected = Vec::with_capacity(connections);
        for _ in 0..connections {
            connected.push(Connection::open(address).await?);
        }
        let (began, cpu) = (Instant::now(), cpu_s()?);
        let tasks: Vec<_> = connected
            .into_iter()
            .map(|mut connection| {
                let (target, wanted) = (target.clone(), wanted.clone());
                tokio::spawn(async move {
                    let mut round = Round::default();
                    while let Some(buyer) = wanted.get(target.next.fetch_add(1, Ordering::Relaxed)) {
                        buyer.buy(&mut connection, &mut round, Until::Booked).await?;
                    }
                    anyhow::Ok(round)
                })
            })
            .collect();
        collect(tasks, began, cpu).await
    })
}

async fn collect(
    tasks: Vec<tokio::task::JoinHandle<anyhow::Result<Round>>>,
    began: Instant,
    cpu: f64,
) -> anyhow::Result<Round> {
    let mut rounds = Vec::with_capacity(tasks.len());
    for task in tasks {
        rounds.push(task.await??);
    }
    Ok(Round::merge(rounds, began.elapsed(), cpu_s()? - cpu))
}

/// Who wants four seats side by side, with their first request ready to be sent.
struct Buyer {
    n: usize,
    token: String,
    screening: String,
    seats: String,
    hold: Vec<u8>,
}

impl Buyer {
    fn new(target: &Target, (n, screening, row, first): (usize, usize, usize, usize)) -> anyhow::Result<Self> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret)?;
        // By hand: what the generator spends, the server does not have.
        let seat = |s: usize| format!(r#"{{"seat":"{row}-{s}","ticket_type":"adult"}}"#);
        let seats = (first..first + 4).map(seat).collect::<Vec<_>>().join(",");
        let (token, screening) = (URL_SAFE_NO_PAD.encode(secret), target.hall.screening(screening));
        let mut buyer = Self { n, token, screening, seats, hold: Vec::new() };
        buyer.hold = buyer.post("holds", &format!(r#"{{"seats":[{}]}}"#, buyer.seats));
        Ok(buyer)
    }

    fn post(&self, what: &str, body: &str) -> Vec<u8> {
        let Self { n, token, screening, .. } = self;
        // Each in a network of their own, as a proxy says.
        let (a, b, c) = (n / 65_536 % 200 + 20, n / 256 % 256, n % 256);
        let headers = format!(
            "authorization: Bearer {token}\r\nidempotency-key: {what}-{n}\r\nx-forwarded-for: {a}.{b}.{c}.7\r\n"
        );
        post(&format!("/v1/screenings/{screening}/{what}"), &headers, body)
    }

    async fn buy(&self, connection: &mut Connection, round: &mut Round, until: Until) -> anyhow::Result<()> {
        let asked = Instant::now();
        let answer = connection.ask(&self.hold).await?;
        round.add(asked, answer.status);
        if answer.status != 201 || until == Until::Held {
            return Ok(());
        }
        let hold = std::str::from_utf8(answer.body)?;
        let hold =
            hold.split(r#""id":""#).nth(1).and_then(|rest| rest.split('"').next()).context("a hold has an id")?;
        let (seats, total) = (&self.seats, 4 * PRICE);
        let body = format!(
            r#"{{"hold":"{hold}","tickets":[{seats}],"total":{{"amount":{total},"currency":"EUR"}},"payment_method":"at_cinema"}}"#
        );
        let request = self.post("bookings", &body);
        let asked = Instant::now();
        let status = connection.ask(&request).await?.status;
        round.add(asked, status);
        Ok(())
    }
}

impl Rounds {
    fn report(&self, as_json: bool) -> anyhow::Result<()> {
        let of = |rounds: &[Round], value: &dyn Fn(&Round) -> f64| median(rounds.iter().map(value).collect());
        let per_s = |rounds: &[Round]| of(rounds, &Round::per_second);
        let p99 = |rounds: &[Round]| of(rounds, &|r| r.percentile_ms(99));
        let (ceiling, requests) = (per_s(&self.trivial), per_s(&self.spread));
        let all = [&self.spread, &self.hot, &self.light];
        let mut line = json!({
            "ratio_to_ceiling": round3(requests / ceiling),
            "bookings_per_s": (requests / 2.0).round(),
            "requests_per_s": requests.round(),
            "ceiling_per_s": ceiling.round(),
            "p50_ms": of(&self.spread, &|r| r.percentile_ms(50)),
            "p99_ms": p99(&self.spread),
            "ceiling_p99_ms": p99(&self.trivial),
            "p99_ratio": round3(p99(&self.spread) / p99(&self.trivial)),
            "cpu_us": of(&self.spread, &Round::cpu_us).round(),
            "ceiling_cpu_us": of(&self.trivial, &Round::cpu_us).round(),
            "refused": all.iter().flat_map(|rounds| rounds.iter()).map(|r| r.refused).sum::<usize>(),
        });
        if !self.serializable.is_empty() {
            let (peer, sync) = (median(self.serializable.clone()), median(self.sync_ms.clone()));
            line["serializable_per_s"] = json!(peer.round());
            line["ratio_to_serializable"] = json!(round3(requests / 2.0 / peer));
            line["hot_ratio"] = json!(round3(per_s(&self.hot) / requests));
            line["light_p99_ms"] = json!(p99(&self.light));
            line["sync_ms"] = json!(round3(sync));
            line["light_p99_syncs"] = json!(round3(p99(&self.light) / sync));
        }
        if as_json {
            report::say("booking", line, true);
            return Ok(());
        }
        println!(
            "{:>6} {:>14} {:>14} {:>8} {:>12} {:>14}",
            "round", "trivial req/s", "booking req/s", "ratio", "hot req/s", "textbook b/s"
        );
        for (n, (t, b)) in self.trivial.iter().zip(&self.spread).enumerate() {
            let hot = self.hot.get(n).map_or(0.0, Round::per_second);
            let peer = self.serializable.get(n).copied().unwrap_or(0.0);
            let (t, b) = (t.per_second(), b.per_second());
            println!("{:>6} {t:>14.0} {b:>14.0} {:>8.3} {hot:>12.0} {peer:>14.0}", n + 1, b / t);
        }
        report::say("booking", line, false);
        Ok(())
    }
}
