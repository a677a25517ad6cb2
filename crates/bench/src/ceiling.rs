//! What this machine could do at most: the trivial route, and the disk.

use std::path::Path;
use std::time::Duration;

use clap::Args;
use serde_json::json;
use tokio::runtime::Builder;

use crate::booking::{sync_ms, trivial_round};
use crate::load::{Round, median, round3};
use crate::report;
use crate::server::Server;

/// The limits of this machine: requests a second of a route that does nothing, and syncs of the disk.
#[derive(Args)]
pub(crate) struct Ceiling {
    /// Seconds for each part of a round.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// Alternating rounds.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

const CONNECTIONS: [usize; 3] = [8, 64, 512];

impl Ceiling {
    pub(crate) fn run(self, as_json: bool) -> anyhow::Result<()> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target");
        std::fs::create_dir_all(&here)?;
        let folder = tempfile::tempdir_in(&here)?;
        let server = Server::on_sqlite(folder.path(), 1)?;
        let load = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let (mut rounds, mut sync): ([Vec<Round>; 3], Vec<f64>) = Default::default();
        for _ in 0..self.rounds {
            for (rounds, connections) in rounds.iter_mut().zip(CONNECTIONS) {
                let time = Duration::from_secs(self.seconds);
                rounds.push(trivial_round(&load, server.address, connections, time)?);
            }
            sync.push(sync_ms(folder.path())?);
        }
        let of = |rounds: &[Round], value: &dyn Fn(&Round) -> f64| median(rounds.iter().map(value).collect());
        let routes = rounds.iter().zip(CONNECTIONS).map(|(rounds, connections)| {
            json!({
                "connections": connections,
                "requests_per_s": of(rounds, &Round::per_second).round(),
                "p50_ms": of(rounds, &|r| r.percentile_ms(50)),
                "p99_ms": of(rounds, &|r| r.percentile_ms(99)),
            })
        });
        let sync = median(sync);
        let line = json!({"trivial": routes.collect::<Vec<_>>(), "sync_ms": round3(sync), "syncs_per_s": (1000.0 / sync).round()});
        report::say("ceiling", line, as_json);
        Ok(())
    }
}
