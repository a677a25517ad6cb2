//! On PostgreSQL: one process against the textbook transaction behind the same route, two processes against one, one screening against
//! many. In alternating rounds, each server a process of its own.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use admit_private_postgres::Postgres as Private;
use anyhow::ensure;
use clap::Args;
use serde_json::json;
use tokio::runtime::Builder;

use crate::booking::{Target, booking_round, holding_round};
use crate::load::{Connection, Round, median, round3};
use crate::report;
use crate::server::Server;
use crate::stage::Hall;

/// On PostgreSQL: against the textbook design behind HTTP, two processes against one, one screening against many.
#[derive(Args)]
pub(crate) struct Postgres {
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
}

/// Bookings a second in each round.
#[derive(Default)]
struct Rounds {
    textbook: Vec<f64>,
    one: Vec<Round>,
    two: Vec<Round>,
    hot: Vec<Round>,
}

impl Postgres {
    pub(crate) fn run(self, as_json: bool) -> anyhow::Result<()> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target");
        std::fs::create_dir_all(&here)?;
        let database = Private::start(&here.canonicalize()?)?;
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
        let seats = Hall::Ordinary.seats();
        database.script(&scripts.join("serializable.schema.sql"), &[("shows", self.screenings), ("seats", seats)])?;
        let address = database.address();
        let first = Server::on_postgres(&address, self.screenings)?;
        let second = Server::on_postgres(&address, self.screenings)?;
        let textbook = Server::textbook(&address)?;
        let load = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let time = Duration::from_secs(self.seconds);
        let (spread, hot) = (Target::spread(Hall::Ordinary, self.screenings), Target::one_after_another(Hall::Largest));
        let theirs = Target::spread(Hall::Ordinary, self.screenings);
        let both: [SocketAddr; 2] = [first.address, second.address];
        // As after a day of selling: every house is in the memory of who sells it, as every row of the textbook's is in the database's.
        for server in both {
            load.block_on(look_at_all(server, self.connections, self.screenings))?;
        }
        let mut rounds = Rounds::default();
        for _ in 0..self.rounds {
            let held = holding_round(&load, textbook.address, self.connections, time, &theirs)?;
            rounds.textbook.push(held.per_second());
            rounds.one.push(booking_round(&load, &both[..1], self.connections, time, &spread)?);
            rounds.two.push(booking_round(&load, &both, self.connections, time, &spread)?);
            rounds.hot.push(booking_round(&load, &both[..1], self.connections, time, &hot)?);
        }
        drop((first, second, textbook));
        let sold_twice = database.number(
            "SELECT count(*) FROM (SELECT 1 FROM hold, json_array_elements(details::json -> 'lines') AS line \
             WHERE state = 'converted' GROUP BY screening, line ->> 0 HAVING count(*) > 1) AS twice",
        )?;
        let booked = database.number("SELECT count(*) FROM hold WHERE state = 'converted'")?;
        ensure!(booked > 0, "nothing was booked");
        rounds.report(sold_twice, as_json);
        Ok(())
    }
}

/// Asks for the seats of every screening once.
async fn look_at_all(server: SocketAddr, connections: usize, screenings: usize) -> anyhow::Result<()> {
    let mut looking = tokio::task::JoinSet::new();
    for first in 0..connections {
        looking.spawn(async move {
            let mut connection = Connection::open(server).await?;
            for n in (first..screenings).step_by(connections) {
                let screening = Hall::Ordinary.screening(n);
                let request = format!(
                    "GET /v1/screenings/{screening}/seats HTTP/1.1\r\nhost: bench\r\nx-forwarded-for: 9.9.9.9\r\n\r\n"
                );
                let status = connection.ask(request.as_bytes()).await?.status;
                ensure!(status == 200, "the seats of {screening}: {status}");
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = looking.join_next().await {
        done??;
    }
    Ok(())
}

impl Rounds {
    fn report(&self, double_sales: usize, as_json: bool) {
        // A booking is two requests of ours, and one of the textbook's.
        let bookings = |rounds: &[Round]| median(rounds.iter().map(|r| r.per_second() / 2.0).collect());
        let p99 = |rounds: &[Round]| median(rounds.iter().map(|r| r.percentile_ms(99)).collect());
        let (one, theirs) = (bookings(&self.one), median(self.textbook.clone()));
        let all = [&self.one, &self.two, &self.hot];
        let refused: usize = all.iter().flat_map(|rounds| rounds.iter()).map(|round| round.refused).sum();
        let line = json!({
            "ratio_to_textbook": round3(one / theirs),
            "two_process_ratio": round3(bookings(&self.two) / one),
            "hot_ratio": round3(bookings(&self.hot) / one),
            "double_sales": double_sales,
            "bookings_per_s": one.round(),
            "textbook_per_s": theirs.round(),
            "p99_ms": p99(&self.one),
            "two_process_p99_ms": p99(&self.two),
            "refused": refused,
        });
        if as_json {
            return report::say("postgres", line, true);
        }
        println!(
            "{:>6} {:>14} {:>14} {:>14} {:>14}",
            "round", "textbook b/s", "one process", "two processes", "one screening"
        );
        for n in 0..self.one.len() {
            let of = |rounds: &[Round]| rounds.get(n).map_or(0.0, |r| r.per_second() / 2.0);
            let theirs = self.textbook.get(n).copied().unwrap_or(0.0);
            println!(
                "{:>6} {theirs:>14.0} {:>14.0} {:>14.0} {:>14.0}",
                n + 1,
                of(&self.one),
                of(&self.two),
                of(&self.hot)
            );
        }
        report::say("postgres", line, false);
    }
}
