//! A load generator: raw HTTP/1.1 over loopback, as many connections as asked for, bounded in time.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// One connection.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer: its status and where its body is in the connection's buffer.
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) body: &'a [u8],
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        ensure!(address.ip().is_loopback(), "load goes to this machine only");
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(8192) })
    }

    /// Sends a request, and reads its whole answer.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> anyhow::Result<Answer<'_>> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            let read = self.stream.read_buf(&mut self.buffer).await?;
            ensure!(read > 0, "the server closed the connection");
            let Some(end) = self.buffer.windows(4).position(|w| w == b"\r\n\r\n").map(|at| at + 4) else { continue };
            let head = std::str::from_utf8(&self.buffer[..end])?;
            let status = head.get(9..12).and_then(|s| s.parse().ok()).context("no status")?;
            let length =
                head.lines().find_map(|l| l.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
            let whole = end + length.unwrap_or(0);
            while self.buffer.len() < whole {
                ensure!(self.stream.read_buf(&mut self.buffer).await? > 0, "the server closed the connection");
            }
            return Ok(Answer { status, body: &self.buffer[end..whole] });
        }
    }
}

/// A request with a JSON body, as a listed proxy would pass it on for a client in some network.
pub(crate) fn post(path: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n{headers}\r\n{body}")
        .into_bytes()
}

/// What a round came to.
#[derive(Debug, Default, Clone)]
pub(crate) struct Round {
    pub(crate) done: usize,
    pub(crate) refused: usize,
    pub(crate) seconds: f64,
    /// Processor time of this process in that time, server and generator together, in seconds.
    pub(crate) cpu_s: f64,
    /// Of each request that was done, in microseconds.
    pub(crate) micros: Vec<u32>,
}

impl Round {
    pub(crate) fn per_second(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let done = self.done as f64;
        done / self.seconds
    }

    pub(crate) fn add(&mut self, began: Instant, status: u16) {
        if (200..300).contains(&status) {
            self.done += 1;
            self.micros.push(u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX));
        } else {
            self.refused += 1;
        }
    }

    /// Done or refused: everybody heard.
    pub(crate) fn answered_per_second(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let answered = (self.done + self.refused) as f64;
        answered / self.seconds
    }

    pub(crate) fn merge(rounds: Vec<Self>, elapsed: Duration, cpu_s: f64) -> Self {
        let mut all = Self { seconds: elapsed.as_secs_f64(), cpu_s, ..Self::default() };
        for round in rounds {
            all.done += round.done;
            all.refused += round.refused;
            all.micros.extend(round.micros);
        }
        all.micros.sort_unstable();
        all
    }

    /// Processor time of a request that was done, in microseconds: what it costs, whatever the disk does.
    pub(crate) fn cpu_us(&self) -> f64 {
        self.cpu_s * 1e6 / self.per_second() / self.seconds
    }

    /// A percentile in milliseconds.
    pub(crate) fn percentile_ms(&self, percent: usize) -> f64 {
        let at = (self.micros.len() * percent / 100).min(self.micros.len().saturating_sub(1));
        f64::from(self.micros.get(at).copied().unwrap_or(0)) / 1000.0
    }
}

/// Processor time that this process has used, in seconds.
pub(crate) fn cpu_s() -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // After the name, which may have anything in it: state is field 3, utime 14, stime 15; in hundredths of a second.
    let fields = stat.rsplit_once(')').context("a name")?.1;
    let mut ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
    let (user, system) = (ticks.next().context("utime")??, ticks.next().context("stime")??);
    Ok((user + system) / 100.0)
}

/// The middle one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// To three places: what is behind them is noise.
pub(crate) fn round3(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
