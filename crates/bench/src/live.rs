//! Ten thousand people look at one seat map: what each costs, how soon a change is with all of them, and what others notice of it.
//!
//! The server is a process of its own here: its memory is to be measured, and one process may not have so many connections at both ends.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::ensure;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use crate::booking::{Target, booking_round};
use crate::load::{Connection, median, post, round3};
use crate::report;
use crate::server::Server;
use crate::stage::Hall;

/// Rounds with watchers and without, in turns, and how many seconds each takes.
const ROUNDS: usize = 3;
const SECONDS: u64 = 5;

/// Watchers of one screening: memory, delay, and what holds elsewhere lose by it.
#[derive(Args)]
pub(crate) struct Live {
    /// Watchers.
    #[arg(long, default_value_t = 10_000)]
    watchers: usize,
    /// Changes of the screening that they watch, one a second.
    #[arg(long, default_value_t = 10)]
    changes: usize,
    /// Connections that hold and book elsewhere meanwhile.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Screenings that those spread over.
    #[arg(long, default_value_t = 20_000)]
    screenings: usize,
}

/// When the last change was asked for, and how long it took to be with each watcher.
struct Clock {
    began: Instant,
    asked_us: AtomicU64,
    heard_us: Mutex<Vec<u64>>,
    /// Watchers that have heard all there was when they came.
    ready: AtomicUsize,
}

impl Clock {
    fn now_us(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

impl Live {
    pub(crate) fn run(self, as_json: bool) -> anyhow::Result<()> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target");
        std::fs::create_dir_all(&here)?;
        let folder = tempfile::tempdir_in(here.canonicalize()?)?;
        // One more than the load goes round: that one is watched.
        let server = Server::on_sqlite(folder.path(), self.screenings + 1)?;
        let load = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let spread = Target::spread(Hall::Ordinary, self.screenings);
        let holds = |seconds: u64| -> anyhow::Result<f64> {
            let time = Duration::from_secs(seconds);
            Ok(booking_round(&load, &[server.address], self.connections, time, &spread)?.per_second())
        };
        // What is in memory for good is there before anything is counted.
        holds(4)?;
        let clock = Arc::new(Clock {
            began: Instant::now(),
            asked_us: AtomicU64::new(0),
            heard_us: Mutex::default(),
            ready: AtomicUsize::new(0),
        });
        let without = server.memory_kib()?;
        let mut watchers = self.watch(&load, server.address, &clock)?;
        let with = server.memory_kib()?;
        // All of them go, and as many come.
        watchers.shutdown_background();
        std::thread::sleep(Duration::from_secs(2));
        watchers = self.watch(&load, server.address, &clock)?;
        let again = server.memory_kib()?;

        let heard = || std::mem::take(&mut *clock.heard_us.lock().unwrap_or_else(PoisonError::into_inner));
        load.block_on(change(server.address, self.screenings, self.changes, clock.clone()))?;
        let quiet = heard();
        watchers.shutdown_background();

        let (mut alone, mut beside, mut loaded) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            alone.push(holds(SECONDS)?);
            let watchers = self.watch(&load, server.address, &clock)?;
            // One change a second, while others hold and book.
            let changes = usize::try_from(SECONDS)?;
            let changing = load.spawn(change(server.address, self.screenings, changes, clock.clone()));
            beside.push(holds(SECONDS)?);
            load.block_on(changing)??;
            loaded.extend(heard());
            watchers.shutdown_background();
        }

        let missing = self.watchers * self.changes - quiet.len().min(self.watchers * self.changes);
        let line = json!({
            "watchers": self.watchers,
            "kib_per_watcher": round3((with - without) / whole(self.watchers)),
            "memory_mb": round3(with / 1024.0),
            "churn_growth": round3((again - without) / (with - without) - 1.0),
            "p50_ms": percentile(&quiet, 50),
            "p99_ms": percentile(&quiet, 99),
            "p99_under_load_ms": percentile(&loaded, 99),
            "not_told": missing,
            "requests_per_s_alone": median(alone.clone()).round(),
            "slowdown": round3(1.0 - median(beside) / median(alone)),
        });
        report::say("live", line, as_json);
        ensure!(missing == 0, "{missing} times somebody was not told of a change");
        Ok(())
    }

    /// Connects all watchers, on threads of their own, and waits until each has the whole map.
    fn watch(&self, load: &Runtime, address: SocketAddr, clock: &Arc<Clock>) -> anyhow::Result<Runtime> {
        let watchers = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        clock.ready.store(0, Ordering::Release);
        let (count, watched, shared) = (self.watchers, self.screenings, clock.clone());
        watchers.spawn(async move {
            let mut all = JoinSet::new();
            for n in 0..count {
                all.spawn(listen(address, watched, shared.clone()));
                // A few at a time: the kernel's queue of those who knock is short.
                if n % 100 == 99 {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
            all.join_all().await
        });
        let began = Instant::now();
        load.block_on(async {
            while clock.ready.load(Ordering::Acquire) < self.watchers {
                let ready = clock.ready.load(Ordering::Acquire);
                ensure!(began.elapsed() < Duration::from_secs(60), "only {ready} watchers came in");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            // What was allocated on the way in is given back, or not.
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok(())
        })?;
        Ok(watchers)
    }
}

/// One watcher: notes when each change is there.
async fn listen(address: SocketAddr, watched: usize, clock: Arc<Clock>) -> anyhow::Result<()> {
    ensure!(address.ip().is_loopback(), "load goes to this machine only");
    let mut stream = TcpStream::connect(address).await?;
    let path = format!("/v1/screenings/{}/live", Hall::Ordinary.screening(watched));
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: bench\r\n\r\n").as_bytes()).await?;
    // Small: there are many of these.
    let (mut bytes, mut kept) = ([0; 1024], Vec::new());
    loop {
        let read = stream.read(&mut bytes).await?;
        ensure!(read > 0, "the server let go of a watcher");
        kept.extend_from_slice(&bytes[..read]);
        if contains(&kept, b"event: seats") {
            clock.ready.fetch_add(1, Ordering::AcqRel);
            kept.clear();
        } else if contains(&kept, b"event: change") {
            let took = clock.now_us().saturating_sub(clock.asked_us.load(Ordering::Acquire));
            clock.heard_us.lock().unwrap_or_else(PoisonError::into_inner).push(took);
            kept.clear();
        } else {
            kept.drain(..kept.len().saturating_sub(16));
        }
    }
}

fn contains(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}

/// Holds a seat of the screening that all watch, once a second.
async fn change(address: SocketAddr, watched: usize, changes: usize, clock: Arc<Clock>) -> anyhow::Result<()> {
    static SEAT: AtomicUsize = AtomicUsize::new(0);
    let mut connection = Connection::open(address).await?;
    for _ in 0..changes {
        let n = SEAT.fetch_add(1, Ordering::Relaxed);
        let mut secret = [0; 32];
        getrandom::fill(&mut secret)?;
        let token = URL_SAFE_NO_PAD.encode(secret);
        let (row, seat) = (Hall::Ordinary.rows() - n / 20, n % 20 + 1);
        let body = format!(r#"{{"seats":[{{"seat":"{row}-{seat}"}}]}}"#);
        let headers =
            format!("authorization: Bearer {token}\r\nidempotency-key: change\r\nx-forwarded-for: 9.9.{n}.7\r\n");
        let path = format!("/v1/screenings/{}/holds", Hall::Ordinary.screening(watched));
        clock.asked_us.store(clock.now_us(), Ordering::Release);
        let status = connection.ask(&post(&path, &headers, &body)).await?.status;
        ensure!(status == 201, "a change was refused: {status}");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Ok(())
}

fn percentile(micros: &[u64], percent: usize) -> f64 {
    let mut sorted = micros.to_vec();
    sorted.sort_unstable();
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    #[expect(clippy::cast_precision_loss, reason = "seconds at most")]
    let us = sorted.get(at).copied().unwrap_or(0) as f64;
    round3(us / 1000.0)
}

fn whole(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
