//! The worst minute of the year: thousands who all want the same 300 seats, at once.

use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use clap::Args;
use serde_json::json;
use tokio::runtime::Builder;

use crate::booking::{surge_round, trivial_round};
use crate::load::{Round, median, round3};
use crate::report;
use crate::server::Server;
use crate::stage::Hall;

/// Twenty thousand buyers want four of 300 seats each; then as many stand in a queue.
#[derive(Args)]
pub(crate) struct Surge {
    /// Who wants seats.
    #[arg(long, default_value_t = 20_000)]
    buyers: usize,
    /// Connections that they share.
    #[arg(long, default_value_t = 2_000)]
    connections: usize,
    /// Alternating rounds, each on a hall of its own.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

impl Surge {
    pub(crate) fn run(self, as_json: bool) -> anyhow::Result<()> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target");
        std::fs::create_dir_all(&here)?;
        let folder = tempfile::tempdir_in(&here)?;
        let server = Server::on_sqlite(folder.path(), self.rounds)?;
        let load = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let (mut trivial, mut surges): (Vec<Round>, Vec<Round>) = (Vec::new(), Vec::new());
        let mut sold = Vec::new();
        for round in 0..self.rounds {
            trivial.push(trivial_round(&load, server.address, self.connections, Duration::from_secs(2))?);
            surges.push(surge_round(&load, server.address, self.connections, self.buyers, round)?);
            sold.push(server.not_free(&load, &Hall::Ordinary.screening(round))?);
        }
        drop(server);
        let folder = tempfile::tempdir_in(&here)?;
        let queue = crate::queue::run(&load, folder.path(), self.connections, self.buyers)?;
        let of = |rounds: &[Round], value: &dyn Fn(&Round) -> f64| median(rounds.iter().map(value).collect());
        let ceiling = of(&trivial, &Round::per_second);
        let answered = of(&surges, &Round::answered_per_second);
        let line = json!({
            "seats_sold": sold,
            "all_answered_s": round3(of(&surges, &|r| r.seconds)),
            "ratio_to_ceiling": round3(answered / ceiling),
            "requests_per_s": answered.round(),
            "ceiling_per_s": ceiling.round(),
            "answered": surges.iter().map(|r| r.done + r.refused).collect::<Vec<_>>(),
            "p99_ms": of(&surges, &|r| r.percentile_ms(99)),
            "ceiling_p99_ms": of(&trivial, &|r| r.percentile_ms(99)),
            "queue_rate_error": round3(queue.rate_error),
            "queue_came": queue.came,
            "queue_joined_per_s": queue.joined_per_s.round(),
            "queue_all_know_s": round3(queue.all_know_s),
            "queue_early_refused": queue.early_refused,
        });
        report::say("surge", line, as_json);
        ensure!(sold.iter().all(|sold| *sold == Hall::Ordinary.seats()), "a hall was not sold out, or more than that");
        Ok(())
    }
}
