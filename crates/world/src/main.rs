//! The main job on real input: the French national list in an index, Prague's cinemas and three Korean chains as servers,
//! and thousands of buyers, through the client library.
#![allow(clippy::print_stdout, reason = "a program that talks to whoever called it")]

mod audit;
mod auditoriums;
mod buyers;
mod data;
mod dice;
mod korea;
mod pictures;
mod prague;
mod refused;
mod report;
mod servers;
mod tally;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use admit_client::{Client, Options, Search};
use admit_protocol::origin::OriginPolicy;
use anyhow::{Context as _, ensure};
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::{SignedDuration, Timestamp};

use crate::buyers::Town;
use crate::prague::Prague;
use crate::refused::Refused;
use crate::report::Report;
use crate::servers::{House, Imported, Running, Stage, text};

/// The main job on real input: real cinemas, films, screenings and halls, and thousands of buyers.
#[derive(Parser)]
#[command(name = "cargo xtask world", bin_name = "cargo xtask world")]
struct Arguments {
    /// Print one line of JSON instead of words.
    #[arg(long)]
    json: bool,
    /// The folder of the data.
    #[arg(long, env = "ADMIT_DATA", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data"))]
    data: PathBuf,
    /// The `admit` program.
    #[arg(long)]
    program: PathBuf,
    /// How many people want a seat.
    #[arg(long, default_value_t = 9_000)]
    buyers: u64,
    /// How many of them at the same time.
    #[arg(long, default_value_t = 64)]
    at_once: usize,
    /// Searches while nobody buys.
    #[arg(long, default_value_t = 4_000)]
    searches: u64,
    /// Another number, another crowd.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Instead: draw into this folder what is chosen for people in ten of the halls.
    #[arg(long)]
    pictures: Option<PathBuf>,
}

/// Groups of rivals in the minute an on-sale opens, and how many are in one.
const RUSHES: u64 = 60;
const RIVALS: usize = 12;

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    ensure!(
        arguments.data.is_dir(),
        "{} is not there: the world is made of data that this project does not ship (set ADMIT_DATA)",
        arguments.data.display()
    );
    if let Some(folder) = &arguments.pictures {
        return pictures::draw(&auditoriums::read(&arguments.data)?, folder);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let report = runtime.block_on(Box::pin(world(&arguments)))?;
    report.print(arguments.json)?;
    let short = report.short(arguments.buyers);
    ensure!(short.is_empty(), "short of what must be: {}", short.join("; "));
    Ok(())
}

async fn world(arguments: &Arguments) -> anyhow::Result<Report> {
    let began = Instant::now();
    let data = &arguments.data;
    let mut report = Report::default();

    let working = spinner("reading halls");
    let auditoriums = auditoriums::read(data)?;
    let prague = Prague::read(data)?;
    report.auditoriums = auditoriums.len();
    report.prague_cinemas = prague.cinemas();
    report.prague_screenings = prague.screenings();
    let mut programmes = korea::chains(data, &auditoriums, &mut report.refused)?;
    let chains = programmes.len();
    let layouts: Vec<_> = auditoriums.iter().filter_map(|a| a.layout.as_ref().ok()).collect();
    programmes.extend(prague.operators(&layouts)?);

    // On the disk beside the build: a folder for each server, gone when this ends.
    let beside = arguments.program.parent().context("the program is in a folder")?;
    let folder = tempfile::tempdir_in(beside)?;
    let stage = Stage::new(arguments.program.clone(), folder.path().to_owned())?;

    working.set_message("importing the French national list");
    let index = stage.init("index", "World index", "index")?;
    let list = data.join("cinemas/fr-cnc-2022.csv");
    let began_import = Instant::now();
    let imported = stage.ask(&["index", "import", &text(&index.folder), &text(&list)])?;
    report.cinemas_import_ms = u64::try_from(began_import.elapsed().as_millis())?;
    report.cinemas_imported = imported["imported"].as_u64().context("a report of the import")?;
    let refused: Vec<report::ListRow> = serde_json::from_value(imported["refused"].clone())?;
    report.refused.extend(refused.into_iter().map(|r| Refused::new("listing", r.row, r.why)));

    let mut houses: Vec<House> = Vec::new();
    for (n, programme) in programmes.iter().enumerate() {
        working.set_message(format!("importing {}", programme.operator));
        let (house, imported) = stage.cinema(programme, &mut report.refused)?;
        let Imported { cinemas, halls, films, screenings } = imported;
        if n < chains {
            report.halls_imported += halls;
            report.chain_cinemas += cinemas;
        } else {
            report.prague_imported += cinemas;
            report.prague_halls += halls;
            report.films_imported += films;
            report.screenings_imported += screenings;
        }
        houses.push(house);
    }
    drop(programmes);

    working.set_message("opening");
    let client = Client::new(Options {
        origins: OriginPolicy::Loopback,
        timeout: Duration::from_secs(30),
        ..Options::default()
    })?;
    let mut index = stage.serve("index", &index)?;
    let mut servers =
        houses.iter().map(|house| stage.serve("cinema", house)).collect::<anyhow::Result<Vec<Running>>>()?;
    for server in servers.iter_mut().chain([&mut index]) {
        server.ready(&client).await?;
    }
    let met = client.index(&index.house.origin).await?;
    for server in &servers {
        working.set_message(format!("announcing {}", server.house.origin));
        let found = met.announce(&server.house.origin).await?;
        ensure!(found.listed, "{} is not listed: {:?}", server.house.folder.display(), found.steps);
    }
    report.servers = servers.len() + 1;
    working.finish_and_clear();

    let town = Arc::new(Town::new(client, met.clone()));
    let names: Vec<String> = {
        let near = Search { country: Some("FR".into()), limit: Some(100), ..Search::default() };
        let listings = met.cinemas(&near).await?.listings;
        listings.iter().filter_map(|l| l.name.iter().next().map(|(_, name)| name.to_owned())).collect()
    };
    let bar = bar("searching", arguments.searches);
    for n in 0..arguments.searches {
        town.search(arguments.seed, n, &names).await?;
        bar.inc(1);
    }
    bar.finish_and_clear();

    let working = spinner("the minute an on-sale opens");
    let selling = Instant::now();
    town.rush(arguments.seed, RUSHES, RIVALS).await?;
    working.finish_and_clear();

    crowd(&town, arguments).await?;
    report.selling_s = selling.elapsed().as_secs_f64();
    let working = spinner("waiting for holds that nobody came back to");
    report.stuck_at_servers = town.wait_for_left_holds().await?;
    working.set_message("reading the books");
    // What was due in the last second may be done or not.
    let stopped = Timestamp::now() - SignedDuration::from_secs(2);
    for server in servers.into_iter().chain([index]) {
        server.stop()?;
    }
    let sales = town.sales();
    for house in &houses {
        let told: Vec<_> = sales.iter().filter(|sale| sale.origin == house.origin).collect();
        report.books.add(&audit::audit(&house.folder.join("cinema.sqlite"), &told, stopped)?);
        let audit = stage.ask(&["cinema", "audit", &text(&house.folder)])?;
        for violation in audit["violations"].as_array().context("a report of the audit")? {
            report.violations.push(format!("{}: {violation}", house.folder.display()));
        }
    }
    working.finish_and_clear();
    report.take(&town.tally);
    report.took_s = began.elapsed().as_secs_f64();
    Ok(report)
}

/// Everybody comes, so many at a time.
async fn crowd(town: &Arc<Town>, arguments: &Arguments) -> anyhow::Result<()> {
    let bar = bar("selling", arguments.buyers);
    let next = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let lanes = (0..arguments.at_once).map(|_| {
        let (town, next, bar) = (town.clone(), next.clone(), bar.clone());
        let (seed, buyers) = (arguments.seed, arguments.buyers);
        tokio::spawn(async move {
            loop {
                let n = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                if n >= buyers {
                    return;
                }
                town.visit(seed, n).await;
                bar.inc(1);
            }
        })
    });
    for lane in lanes.collect::<Vec<_>>() {
        lane.await?;
    }
    bar.finish_and_clear();
    Ok(())
}

fn spinner(message: &'static str) -> ProgressBar {
    let spinner = ProgressBar::new_spinner().with_message(message);
    spinner.enable_steady_tick(Duration::from_millis(100));
    spinner
}

fn bar(message: &'static str, length: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:12} {bar:40} {pos}/{len} {eta}");
    let bar = ProgressBar::new(length).with_message(message);
    style.map_or(bar.clone(), |style| bar.with_style(style))
}
