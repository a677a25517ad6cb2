//! What years of bookings cost those who come today.

use std::path::Path;
use std::time::{Duration, Instant};

use admit_protocol::time::after;
use admit_server::store::Store as _;
use admit_server::store::sqlite::SqliteStore;
use anyhow::ensure;
use clap::Args;
use serde_json::json;
use tokio::runtime::Builder;

use crate::booking::{Target, booking_round};
use crate::load::{Round, median, round3};
use crate::report;
use crate::server::Server;
use crate::stage::Hall;

/// Halls that may be sold beyond those that were meant to be.
const SPARE: usize = 5_000;

/// Two million bookings stored, beside an empty store: rate, start, memory, disk.
#[derive(Args)]
pub(crate) struct Growth {
    /// Bookings of four seats that are stored before.
    #[arg(long, default_value_t = 2_000_000)]
    bookings: usize,
    /// Screenings of 300 seats that are sold in the rounds.
    #[arg(long, default_value_t = 5_000)]
    screenings: usize,
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Seconds for each part of a round.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// Alternating rounds.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

impl Growth {
    pub(crate) fn run(self, as_json: bool) -> anyhow::Result<()> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target");
        std::fs::create_dir_all(&here)?;
        let [empty, grown] = [tempfile::tempdir_in(&here)?, tempfile::tempdir_in(&here)?];
        let sold_out = self.bookings.div_ceil(Hall::Ordinary.seats() / 4);
        // The last fill goes on for its ten seconds.
        let all = sold_out + SPARE + self.screenings;
        let load = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let filling = Server::on_sqlite(grown.path(), all)?;
        let before = size(grown.path())?;
        // One hall after another, as they are sold in life: the halls of last year are in nobody's memory.
        let target = Target::one_after_another(Hall::Ordinary);
        let began = Instant::now();
        let mut stored = 0;
        while stored < self.bookings {
            ensure!(began.elapsed() < Duration::from_secs(1200), "{stored} bookings in twenty minutes: too slow");
            let round = booking_round(&load, &[filling.address], self.connections, Duration::from_secs(10), &target)?;
            stored += round.done / 2;
            if !as_json {
                println!("{stored} bookings stored after {:.0} s", began.elapsed().as_secs_f64());
            }
            if round.done == 0 {
                break;
            }
        }
        drop(filling);
        let first_day = size(grown.path())?.saturating_sub(before);
        // A day later: what is kept are the bookings, and the keys of the requests that made them.
        let store = SqliteStore::open(grown.path())?;
        let later = after(jiff::Timestamp::now(), 26 * 3600);
        for _ in 0..stored * 2 / 1000 + 10 {
            store.tidy(later)?;
        }
        drop(store);
        // What the deletes left to be written is on the disk: one that is still busy slows whoever comes first.
        for file in std::fs::read_dir(grown.path())? {
            std::fs::File::open(file?.path())?.sync_all()?;
        }
        let bytes = used(grown.path())?.saturating_sub(before);

        let started = Instant::now();
        let full = Server::on_sqlite(grown.path(), all)?;
        full.not_free(&load, &Hall::Ordinary.screening(0))?;
        let ready = started.elapsed().as_secs_f64();
        let young = Server::on_sqlite(empty.path(), all)?;
        let time = Duration::from_secs(self.seconds);
        let unsold = target.after_all();
        ensure!(unsold + self.screenings <= all, "the last fill went on into the halls of the rounds");
        let targets = [(); 2].map(|()| Target::from(Hall::Ordinary, unsold, self.screenings));
        let (mut on_full, mut on_young): (Vec<Round>, Vec<Round>) = (Vec::new(), Vec::new());
        for _ in 0..self.rounds {
            on_young.push(booking_round(&load, &[young.address], self.connections, time, &targets[0])?);
            on_full.push(booking_round(&load, &[full.address], self.connections, time, &targets[1])?);
        }
        let per_s = |rounds: &[Round]| median(rounds.iter().map(Round::per_second).collect()) / 2.0;
        let (full_per_s, young_per_s) = (per_s(&on_full), per_s(&on_young));
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let line = json!({
            "ratio": round3(full_per_s / young_per_s),
            "ready_s": round3(ready),
            "memory_mb": (full.memory_kib()? / 1024.0).round(),
            "bytes_per_booking": (bytes as f64 / stored as f64).round(),
            "bytes_per_booking_first_day": (first_day as f64 / stored as f64).round(),
            "stored": stored,
            "screenings": all,
            "bookings_per_s": full_per_s.round(),
            "empty_per_s": young_per_s.round(),
            "refused": on_full.iter().chain(&on_young).map(|r| r.refused).sum::<usize>(),
        });
        report::say("growth", line, as_json);
        Ok(())
    }
}

/// What of a database's file is in use, in bytes.
fn used(folder: &Path) -> anyhow::Result<u64> {
    let db = rusqlite::Connection::open(folder.join("cinema.sqlite"))?;
    let pragma = |name: &str| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let pages = pragma("page_count")? - pragma("freelist_count")?;
    Ok(u64::try_from(pages * pragma("page_size")?)?)
}

/// What lies in a folder, in bytes.
fn size(folder: &Path) -> anyhow::Result<u64> {
    let files = std::fs::read_dir(folder)?;
    files.map(|file| Ok(file?.metadata()?.len())).sum()
}
