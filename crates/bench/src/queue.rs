//! The queue before a sale: whether people are let in at the rate that was announced.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::load::{Connection, post};
use crate::server::Server;
use crate::stage::{Hall, QUEUED};

/// How many are let in each minute: a thousand each second.
pub(crate) const ADMITS_PER_MIN: u32 = 60_000;
/// How long who comes has before the sale begins, in seconds.
const GATHERING_S: u64 = 15;
/// How long before the sale everybody connects.
const CONNECTING: Duration = Duration::from_secs(2);

/// What was seen.
pub(crate) struct Seen {
    /// How many came before the sale.
    pub(crate) came: usize,
    /// Places that were given and on disk, in a second.
    pub(crate) joined_per_s: f64,
    /// From the beginning of the sale until everybody knew their turn, in seconds.
    pub(crate) all_know_s: f64,
    /// Holds that were refused because they came before their turn.
    pub(crate) early_refused: usize,
    /// By how much the rate at which holds were granted differs from the one that was announced.
    pub(crate) rate_error: f64,
}

/// Somebody who stands in line.
struct Buyer {
    n: usize,
    token: String,
    turn: Timestamp,
    pass: String,
}

/// So many come before a sale begins, over so many connections; each holds a seat at their turn.
pub(crate) fn run(load: &Runtime, folder: &Path, connections: usize, buyers: usize) -> anyhow::Result<Seen> {
    let opens_at = Timestamp::now() + Duration::from_secs(GATHERING_S);
    let server = Server::with_queue(folder, opens_at)?;
    load.block_on(line(server.address, connections, buyers, opens_at))
}

async fn line(address: SocketAddr, connections: usize, buyers: usize, opens_at: Timestamp) -> anyhow::Result<Seen> {
    let mut connected = Vec::with_capacity(connections);
    for n in 0..connections {
        connected.push((Connection::open(address).await?, (n..buyers).step_by(connections).collect::<Vec<_>>()));
    }
    let began = Instant::now();
    let gathered = all(connected.into_iter().map(|(connection, mine)| gather(connection, mine))).await?;
    let joined_s = began.elapsed().as_secs_f64();
    ensure!(Timestamp::now() < opens_at, "they did not all come within {GATHERING_S} s");
    // Who idles is let go of: fresh connections, one after another, shortly before it begins.
    let mut connected = Vec::with_capacity(connections);
    tokio::time::sleep(Duration::try_from(opens_at.duration_since(Timestamp::now()))?.saturating_sub(CONNECTING)).await;
    for mine in gathered {
        connected.push((Connection::open(address).await?, mine));
    }
    tokio::time::sleep(Duration::try_from(opens_at.duration_since(Timestamp::now())).unwrap_or_default()).await;
    let began = Instant::now();
    let drawn = all(connected.into_iter().map(|(connection, mine)| learn(connection, mine))).await?;
    let all_know_s = began.elapsed().as_secs_f64();
    let held = all(drawn.into_iter().map(|(connection, mine)| hold(address, connection, mine))).await?;
    let early_refused = held.iter().map(|(early, _)| early).sum();
    let mut granted: Vec<Timestamp> = held.into_iter().flat_map(|(_, granted)| granted).collect();
    granted.sort_unstable();
    ensure!(granted.len() == buyers, "{} of {buyers} got a seat", granted.len());
    let took = granted[buyers - 1].duration_since(opens_at).as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let count = buyers as f64;
    let announced = f64::from(ADMITS_PER_MIN) / 60.0;
    let rate_error = ((count - 1.0) / took / announced - 1.0).abs();
    Ok(Seen { came: buyers, joined_per_s: count / joined_s, all_know_s, early_refused, rate_error })
}

/// Runs one task for each connection, and waits for all.
async fn all<T: Send + 'static>(
    tasks: impl Iterator<Item = impl Future<Output = anyhow::Result<T>> + Send + 'static>,
) -> anyhow::Result<Vec<T>> {
    let running: Vec<_> = tasks.map(tokio::spawn).collect();
    let mut done = Vec::with_capacity(running.len());
    for task in running {
        done.push(task.await??);
    }
    Ok(done)
}

/// Each in a network of their own, as a proxy says.
fn headers(n: usize, token: &str) -> String {
    let (a, b, c) = (n / 65_536 % 200 + 20, n / 256 % 256, n % 256);
    format!("authorization: Bearer {token}\r\nidempotency-key: q-{n}\r\nx-forwarded-for: {a}.{b}.{c}.7\r\n")
}

/// Asks until the server is not busy.
async fn ask(connection: &mut Connection, request: &[u8]) -> anyhow::Result<(u16, Value)> {
    loop {
        let answer = connection.ask(request).await?;
        if answer.status != 503 {
            return Ok((answer.status, serde_json::from_slice(answer.body)?));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn gather(mut connection: Connection, mine: Vec<usize>) -> anyhow::Result<Vec<(usize, String)>> {
    let mut here = Vec::with_capacity(mine.len());
    for n in mine {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret)?;
        let token = URL_SAFE_NO_PAD.encode(secret);
        let request = post(&format!("/v1/screenings/{QUEUED}/queue"), &headers(n, &token), "");
        let (status, place) = ask(&mut connection, &request).await?;
        ensure!(status == 201, "a place: {status}, {place}");
        here.push((n, token));
    }
    Ok(here)
}

async fn learn(mut connection: Connection, mine: Vec<(usize, String)>) -> anyhow::Result<(Connection, Vec<Buyer>)> {
    let mut buyers = Vec::with_capacity(mine.len());
    for (n, token) in mine {
        let headers = headers(n, &token);
        let request = format!("GET /v1/screenings/{QUEUED}/queue HTTP/1.1\r\nhost: bench\r\n{headers}\r\n");
        let (status, place) = ask(&mut connection, request.as_bytes()).await?;
        ensure!(status == 200, "a place: {status}, {place}");
        let text = |member: &str| place[member].as_str().map(str::to_owned).context("a place has a turn by now");
        buyers.push(Buyer { n, token, turn: text("turn_at")?.parse()?, pass: text("pass")? });
    }
    Ok((connection, buyers))
}

/// Each asks once at once, and is refused, and again when it is their turn. When seats were granted.
async fn hold(
    address: SocketAddr,
    mut connection: Connection,
    mut mine: Vec<Buyer>,
) -> anyhow::Result<(usize, Vec<Timestamp>)> {
    mine.sort_by_key(|buyer| buyer.turn);
    let (mut early, mut granted) = (0, Vec::with_capacity(mine.len()));
    for (nth, Buyer { n, token, turn, pass }) in mine.iter().enumerate() {
        let (row, seat) = (n / Hall::Largest.seats_per_row() + 1, n % Hall::Largest.seats_per_row() + 1);
        let body = format!(r#"{{"seats":[{{"seat":"{row}-{seat}"}}],"queue_pass":"{pass}"}}"#);
        let request = post(&format!("/v1/screenings/{QUEUED}/holds"), &headers(*n, token), &body);
        if nth == 0 && Timestamp::now() < *turn {
            let (status, said) = ask(&mut connection, &request).await?;
            // Its turn may have come meanwhile.
            if status == 201 {
                granted.push(Timestamp::now());
                continue;
            }
            ensure!(said["code"] == "not_your_turn", "before the turn: {status}, {said}");
            early += 1;
        }
        tokio::time::sleep(Duration::try_from(turn.duration_since(Timestamp::now())).unwrap_or_default()).await;
        // Nobody keeps a connection while they wait.
        connection = Connection::open(address).await?;
        loop {
            let (status, said) = ask(&mut connection, &request).await?;
            match said["code"].as_str() {
                None if status == 201 => break,
                // Timers wake to the millisecond.
                Some("not_your_turn") => tokio::time::sleep(Duration::from_millis(1)).await,
                _ => anyhow::bail!("at its turn: {status}, {said}"),
            }
        }
        granted.push(Timestamp::now());
    }
    Ok((early, granted))
}
