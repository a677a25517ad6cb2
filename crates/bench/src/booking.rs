//! Hold and book over HTTP, against the same server's trivial route, in alternating rounds.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use crate::load::{Connection, Round, median, post};
use crate::stage::{ROWS, SEATS_PER_ROW, Stage};

/// Hold and book over HTTP, durable, against the same server's trivial route.
#[derive(Args)]
pub(crate) struct Booking {
    /// Connections.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Screenings of 300 seats that the load is spread over.
    #[arg(long, default_value_t = 20_000)]
    screenings: usize,
    /// Seconds for each half of a round.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// Alternating rounds.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

impl Booking {
    pub(crate) fn run(self, as_json: bool) -> anyhow::Result<()> {
        // Beside the build, not in a folder that may be in memory: a sync must reach a disk.
        let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target");
        std::fs::create_dir_all(&here)?;
        let folder = tempfile::tempdir_in(here)?;
        let stage = Stage::open(folder.path(), self.screenings)?;
        // The generator has one thread of the two cores that it shares with the server.
        let load = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let next = Arc::new(AtomicUsize::new(0));
        let time = Duration::from_secs(self.seconds);
        let (mut trivial, mut booking) = (Vec::new(), Vec::new());
        for _ in 0..self.rounds {
            trivial.push(trivial_round(&load, stage.address, self.connections, time)?);
            booking.push(booking_round(&load, stage.address, self.connections, time, self.screenings, &next)?);
        }
        report(&trivial, &booking, as_json)
    }
}

fn trivial_round(load: &Runtime, address: SocketAddr, connections: usize, time: Duration) -> anyhow::Result<Round> {
    let items: Vec<String> = (0..5).map(|n| format!("an item of a body of about three hundred bytes, {n}")).collect();
    let request = Arc::new(post("/trivial", "", &json!({"items": items}).to_string()));
    load.block_on(async {
        let began = Instant::now();
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
        collect(tasks, began).await
    })
}

fn booking_round(
    load: &Runtime,
    address: SocketAddr,
    connections: usize,
    time: Duration,
    screenings: usize,
    next: &Arc<AtomicUsize>,
) -> anyhow::Result<Round> {
    load.block_on(async {
        let began = Instant::now();
        let tasks: Vec<_> = (0..connections)
            .map(|_| {
                let next = next.clone();
                tokio::spawn(async move {
                    let mut connection = Connection::open(address).await?;
                    let mut round = Round::default();
                    while began.elapsed() < time {
                        buy(&mut connection, next.fetch_add(1, Ordering::Relaxed), screenings, &mut round).await?;
                    }
                    anyhow::Ok(round)
                })
            })
            .collect();
        collect(tasks, began).await
    })
}

async fn collect(tasks: Vec<tokio::task::JoinHandle<anyhow::Result<Round>>>, began: Instant) -> anyhow::Result<Round> {
    let mut rounds = Vec::with_capacity(tasks.len());
    for task in tasks {
        rounds.push(task.await??);
    }
    Ok(Round::merge(rounds, began.elapsed()))
}

/// Four seats side by side: one after another through all screenings, so that nobody is in the way of anybody.
async fn buy(connection: &mut Connection, n: usize, screenings: usize, round: &mut Round) -> anyhow::Result<()> {
    let (screening, block) = (n % screenings, n / screenings);
    let (row, first) = (block / (SEATS_PER_ROW / 4) % ROWS + 1, block % (SEATS_PER_ROW / 4) * 4 + 1);
    let mut secret = [0; 32];
    getrandom::fill(&mut secret)?;
    let token = URL_SAFE_NO_PAD.encode(secret);
    // Each buyer in a network of their own, as a proxy says.
    let (a, b, c) = (n / 65_536 % 200 + 20, n / 256 % 256, n % 256);
    let headers = |key: &str| {
        format!("authorization: Bearer {token}\r\nidempotency-key: {key}-{n}\r\nx-forwarded-for: {a}.{b}.{c}.7\r\n")
    };
    let seats: Vec<Value> =
        (first..first + 4).map(|s| json!({"seat": format!("{row}-{s}"), "ticket_type": "adult"})).collect();
    let request =
        post(&format!("/v1/screenings/show-{screening}/holds"), &headers("h"), &json!({"seats": seats}).to_string());
    let asked = Instant::now();
    let answer = connection.ask(&request).await?;
    round.add(asked, answer.status);
    if answer.status != 201 {
        return Ok(());
    }
    let hold: Value = serde_json::from_slice(answer.body)?;
    let book =
        json!({"hold": hold["id"], "tickets": seats, "total": hold["quote"]["total"], "payment_method": "at_cinema"});
    let request = post(&format!("/v1/screenings/show-{screening}/bookings"), &headers("b"), &book.to_string());
    let asked = Instant::now();
    let status = connection.ask(&request).await?.status;
    round.add(asked, status);
    Ok(())
}

fn report(trivial: &[Round], booking: &[Round], as_json: bool) -> anyhow::Result<()> {
    let of = |rounds: &[Round], value: &dyn Fn(&Round) -> f64| median(rounds.iter().map(value).collect());
    let (ceiling, requests) = (of(trivial, &Round::per_second), of(booking, &Round::per_second));
    let p99 = (of(trivial, &|r| r.percentile_ms(99)), of(booking, &|r| r.percentile_ms(99)));
    let line = json!({
        "ratio_to_ceiling": round3(requests / ceiling),
        "bookings_per_s": (requests / 2.0).round(),
        "requests_per_s": requests.round(),
        "ceiling_per_s": ceiling.round(),
        "p50_ms": of(booking, &|r| r.percentile_ms(50)),
        "p99_ms": p99.1,
        "ceiling_p99_ms": p99.0,
        "p99_ratio": round3(p99.1 / p99.0),
        "refused": booking.iter().map(|r| r.refused).sum::<usize>(),
    });
    if as_json {
        println!("{line}");
        return Ok(());
    }
    println!("{:>6} {:>14} {:>14} {:>8}", "round", "trivial req/s", "booking req/s", "ratio");
    for (n, (t, b)) in trivial.iter().zip(booking).enumerate() {
        println!(
            "{:>6} {:>14.0} {:>14.0} {:>8.3}",
            n + 1,
            t.per_second(),
            b.per_second(),
            b.per_second() / t.per_second()
        );
    }
    println!("{}", serde_json::to_string_pretty(&line)?);
    Ok(())
}

fn round3(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
