//! Measures. Only ratios within one run count: machines differ, and so does one machine from minute to minute.
#![allow(clippy::print_stdout, reason = "a program that talks to whoever called it")]

mod booking;
mod ceiling;
mod growth;
mod live;
mod load;
mod postgres;
mod queue;
mod report;
mod server;
mod stage;
mod surge;
mod textbook;
mod ticket;

use clap::{Parser, Subcommand};

/// As in the program that it stands for.
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Measures of the Admit project.
#[derive(Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench")]
struct Arguments {
    /// Print one line of JSON instead of a table.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Subcommand)]
enum Bench {
    /// Hold and book over HTTP, durable, against the same server's trivial route.
    Booking(booking::Booking),
    /// What this machine could do at most: the trivial route, and the disk.
    Ceiling(ceiling::Ceiling),
    /// Two million bookings stored, beside an empty store: rate, start, memory, disk.
    Growth(growth::Growth),
    /// Twenty thousand buyers who want the same 300 seats at once.
    Surge(surge::Surge),
    /// A ticket checked and signed, against Ed25519 alone.
    Ticket(ticket::Tickets),
    /// Ten thousand watchers of one screening: memory, delay, and what others lose by it.
    Live(live::Live),
    /// On PostgreSQL: against the textbook design behind HTTP, two processes against one, one screening against many.
    Postgres(postgres::Postgres),
    /// A picture of figures against what is wanted, of lines that other benches said.
    Plot(report::Plot),
    #[command(hide = true)]
    ServeStage(server::ServeStage),
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    match arguments.bench {
        Bench::Booking(bench) => bench.run(arguments.json),
        Bench::Ceiling(bench) => bench.run(arguments.json),
        Bench::Growth(bench) => bench.run(arguments.json),
        Bench::Surge(bench) => bench.run(arguments.json),
        Bench::Ticket(bench) => bench.run(arguments.json),
        Bench::Live(bench) => bench.run(arguments.json),
        Bench::Postgres(bench) => bench.run(arguments.json),
        Bench::Plot(plot) => plot.run(),
        Bench::ServeStage(stage) => stage.run(),
    }
}
