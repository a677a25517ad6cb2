//! Servers as processes of their own, for benches that measure them from outside.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;

use admit_server::store::StaffStore;
use admit_server::store::postgres::PostgresStore;
use admit_server::store::sqlite::SqliteStore;
use anyhow::{Context as _, bail, ensure};
use clap::Args;
use tokio::runtime::Runtime;

use crate::load::Connection;
use crate::stage::{AMPLE_MB, Stage, USUAL_MB};
use crate::textbook::Textbook;

/// A server that is measured from outside, for the benches that start it.
#[derive(Args)]
pub(crate) struct ServeStage {
    /// Where SQLite has its file.
    #[arg(long)]
    folder: Option<PathBuf>,
    /// Or a PostgreSQL.
    #[arg(long)]
    database: Option<String>,
    /// The textbook design in its place.
    #[arg(long)]
    textbook: bool,
    #[arg(long)]
    screenings: usize,
    /// Memory for houses, in MiB.
    #[arg(long, default_value_t = USUAL_MB)]
    houses_mb: usize,
    /// From when one of them is sold in turns.
    #[arg(long)]
    sale_opens_at: Option<jiff::Timestamp>,
}

impl ServeStage {
    /// Says its address, and serves until nobody holds its standard input any more.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let store: Arc<dyn StaffStore> = match (&self.folder, &self.database) {
            (Some(folder), None) => Arc::new(SqliteStore::open(folder)?),
            (None, Some(database)) if self.textbook => {
                let textbook = Textbook::serve(database)?;
                return until_nobody_listens(textbook.address);
            }
            (None, Some(database)) => Arc::new(PostgresStore::open(database)?),
            _ => bail!("a folder or a database"),
        };
        let stage = Stage::open(store, self.screenings, self.sale_opens_at, self.houses_mb)?;
        until_nobody_listens(stage.address)
    }
}

fn until_nobody_listens(address: SocketAddr) -> anyhow::Result<()> {
    println!("{address}");
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    Ok(())
}

/// A server in a process of its own. It ends with its owner.
pub(crate) struct Server {
    child: Child,
    /// Held as long as it is to run.
    _input: ChildStdin,
    pub(crate) address: SocketAddr,
}

impl Server {
    pub(crate) fn on_sqlite(folder: &Path, screenings: usize) -> anyhow::Result<Self> {
        Self::start(Command::new(std::env::current_exe()?).args(["serve-stage", "--folder"]).arg(folder), screenings)
    }

    /// A few screenings, and one that is sold in turns from then on.
    pub(crate) fn with_queue(folder: &Path, sale_opens_at: jiff::Timestamp) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["serve-stage", "--sale-opens-at", &sale_opens_at.to_string(), "--folder"]).arg(folder);
        Self::start(&mut command, 1)
    }

    pub(crate) fn on_postgres(database: &str, screenings: usize) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["serve-stage", "--database", database, "--houses-mb", &AMPLE_MB.to_string()]);
        Self::start(&mut command, screenings)
    }

    pub(crate) fn textbook(database: &str) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        Self::start(command.args(["serve-stage", "--textbook", "--database", database]), 0)
    }

    fn start(command: &mut Command, screenings: usize) -> anyhow::Result<Self> {
        command.arg("--screenings").arg(screenings.to_string());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let input = child.stdin.take().context("piped")?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("piped")?).read_line(&mut line)?;
        Ok(Self { child, _input: input, address: line.trim().parse().context("the server says its address")? })
    }

    /// How many seats of a screening are not free, as it shows them.
    pub(crate) fn not_free(&self, load: &Runtime, screening: &str) -> anyhow::Result<usize> {
        let request = format!("GET /v1/screenings/{screening}/seats HTTP/1.1\r\nhost: bench\r\n\r\n");
        let seats = load.block_on(async {
            let mut connection = Connection::open(self.address).await?;
            let answer = connection.ask(request.as_bytes()).await?;
            ensure!(answer.status == 200, "the seats of {screening}: {}", answer.status);
            anyhow::Ok(serde_json::from_slice::<serde_json::Value>(answer.body)?)
        })?;
        let lists = seats["not_free"].as_object().context("seats have it")?;
        Ok(lists.values().filter_map(|seats| seats.as_array()).map(Vec::len).sum())
    }

    /// What it has in memory, in KiB.
    pub(crate) fn memory_kib(&self) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("it runs")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
