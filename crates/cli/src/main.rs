//! The `admit` program: run a cinema or an index, find a film, buy a seat, let people in.
#![allow(clippy::print_stdout, reason = "a program that talks to people")]

mod audit;
mod bookings;
mod buy;
mod cinema;
mod demo;
mod door;
mod find;
mod folder;
mod forget;
mod index;
mod keys;
mod office;
mod programme;
mod queue;
mod reached;
mod receipt;
mod sales;
mod sample;
mod seats;
mod serve;
mod show;
mod showing;
mod ticket;
mod trust;
mod waitlist;
mod wallet;

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use admit_client::{ClientError, WalletError};
use admit_protocol::manifest::ManifestError;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory as _, Parser, Subcommand};
use etcetera::BaseStrategy as _;

/// A request makes some hundred small pieces of memory: this one hands them out in half the time of the usual, and gives back those of
/// ten thousand watchers who left (`.cargo/config.toml`).
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Cinema tickets without a middleman: run a cinema or an index, find a film, buy a seat, let people in.
///
/// Try `admit demo` first: it starts an index and three cinemas on this machine and buys a seat.
#[derive(Parser)]
#[command(name = "admit", version, max_term_width = 100, after_help = EXAMPLES)]
struct Arguments {
    /// Print JSON instead of words, errors too (on standard error).
    #[arg(long, global = true)]
    json: bool,
    /// Talk to servers on this machine (http://127.0.0.1:PORT), too. [env: ADMIT_DEVELOPMENT=true]
    #[arg(long, global = true)]
    development: bool,
    /// Where your secrets and bookings are kept; in your own data folder if nothing is said.
    #[arg(long, global = true, env = "ADMIT_WALLET")]
    wallet: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  admit demo                                            see a whole federation work
  admit find --index https://index.example 'le brady'   find a cinema
  admit seats https://kino.example SCREENING            look at the seats
  admit book https://kino.example SCREENING F7 F8       hold them, book them, keep the tickets
  admit cinema init ./kino --origin https://kino.example --name Kino --email box@kino.example
  admit serve cinema ./kino                             sell";

#[derive(Subcommand)]
enum Command {
    /// Start an index and three cinemas on this machine, and buy a seat.
    Demo(demo::Demo),
    /// Run a server until it is told to stop.
    #[command(subcommand)]
    Serve(serve::Serve),
    /// Set up a cinema: keys, programme, staff, scanners; check its books.
    #[command(subcommand)]
    Cinema(cinema::CinemaCommand),
    /// Set up an index, announce a server to one, ask why a server is not listed.
    #[command(subcommand)]
    Index(index::IndexCommand),
    /// The keys of a cinema's server or an index: list them, renew them, and what to do where one is lost or stolen.
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Find cinemas.
    Find(find::Find),
    /// Find films that are shown.
    Films(find::Find),
    /// Find screenings.
    Screenings(find::Find),
    /// What one cinema shows.
    Programme(programme::Programme),
    /// Look at the seats of a screening.
    Seats(seats::Seats),
    /// Hold seats and book them.
    Book(buy::Book),
    /// Wait for seats where there are none: what comes free is offered in the order of the line.
    #[command(subcommand)]
    Waitlist(waitlist::WaitlistCommand),
    /// Where a screening is sold in turns: take a place, and see when yours is.
    #[command(subcommand)]
    Queue(queue::QueueCommand),
    /// Your bookings, as the cinemas have them now.
    Bookings(bookings::List),
    /// Give tickets for other seats, or for another screening.
    Exchange(buy::Exchange),
    /// Cancel tickets of a booking.
    Cancel(bookings::Cancel),
    /// Have the cinema forget your name and addresses.
    Forget(forget::ForgetMe),
    Receipt(receipt::CheckReceipts),
    Trust(trust::Trust),
    /// The wallet itself.
    #[command(subcommand)]
    Wallet(wallet::WalletCommand),
    /// Show your tickets, or check one.
    #[command(subcommand)]
    Ticket(ticket::TicketCommand),
    /// At the counter: who has which seats, and taking money.
    #[command(subcommand)]
    BoxOffice(office::OfficeCommand),
    /// Let people in.
    #[command(subcommand)]
    Door(door::DoorCommand),
    /// Which sentences of the protocol does a server keep? Handed on to `admit-conformance`, which is installed beside this program.
    #[command(trailing_var_arg = true, disable_help_flag = true)]
    Conformance {
        /// Such as `server --url https://kino.example`.
        #[arg(allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

/// What every command may need.
struct Context {
    json: bool,
    development: bool,
    /// The wallet, if one was named.
    wallet: Option<PathBuf>,
    /// What it is called in the user's data folder, if none was.
    usual_wallet: &'static str,
}

impl Context {
    /// The file with secrets and bookings.
    fn wallet(&self) -> PathBuf {
        self.wallet.clone().unwrap_or_else(|| self.data(self.usual_wallet))
    }

    /// A file in the user's data folder.
    fn data(&self, name: &str) -> PathBuf {
        match etcetera::choose_base_strategy() {
            Ok(folders) => folders.data_dir().join("admit").join(name),
            Err(_) => format!("admit-{name}").into(),
        }
    }
}

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn,admit=info".into()),
        )
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let Arguments { json, development, wallet, command } = match Arguments::try_parse().map_err(with_whole_usage) {
        Ok(arguments) => arguments,
        Err(error) if error.use_stderr() && std::env::args().any(|a| a == "--json") => {
            show::error_as_json(&anyhow::anyhow!(error.render().to_string().trim().to_owned()));
            return ExitCode::from(2);
        }
        Err(error) => error.exit(),
    };
    // What is sold over a counter is not a purchase of whoever stands behind it.
    let usual_wallet = if matches!(command, Command::BoxOffice(_)) { "box-office.json" } else { "wallet.json" };
    // Not clap's: it would print the flag in the usage of every error.
    let set = std::env::var("ADMIT_DEVELOPMENT").unwrap_or_default().to_lowercase();
    let development = development || !["", "0", "false", "no", "off"].contains(&&*set);
    let context = Context { json, development, wallet, usual_wallet };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let ran = runtime.map_err(anyhow::Error::from).and_then(|runtime| {
        // On the heap: some commands keep a whole federation in their state.
        runtime.block_on(Box::pin(run(command, &context)))
    });
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let say = if context.json { show::error_as_json } else { show::error };
            say(&error);
            let wants_loopback =
                |cause: &(dyn std::error::Error + 'static)| match (cause.downcast_ref(), cause.downcast_ref()) {
                    (Some(ClientError::Origin { text, .. }), _)
                    | (_, Some(WalletError::Client(ClientError::Origin { text, .. }))) => text.starts_with("http://"),
                    _ => false,
                };
            if !context.development && !context.json && error.chain().any(wants_loopback) {
                show::warn("for servers on this machine, http://127.0.0.1:PORT, add --development");
            }
            let other_keys = |cause: &(dyn std::error::Error + 'static)| {
                matches!(
                    cause.downcast_ref(),
                    Some(ManifestError::KeyChanged { .. } | ManifestError::RecoveryChanged { .. })
                )
            };
            if !context.json && error.chain().any(other_keys) {
                show::warn(
                    "somebody may be in its place, so nothing was asked of it. Ask the cinema another way, at its counter or by \
                     telephone, whether it has new keys; if it has: `admit trust`",
                );
            }
            ExitCode::FAILURE
        }
    }
}

/// An error whose usage line is that of the help: clap's own, made from what was typed, names as required what is not.
fn with_whole_usage(mut error: clap::Error) -> clap::Error {
    let mut program = Arguments::command();
    program.build();
    let words = std::env::args().skip(1);
    let command = words.fold(&program, |command, word| command.find_subcommand(word).unwrap_or(command));
    if error.kind() == ErrorKind::UnknownArgument {
        // What is no option here is no seat and no name, either.
        error.remove(ContextKind::Suggested);
    }
    if error.remove(ContextKind::Usage).is_some() {
        error.insert(ContextKind::Usage, ContextValue::StyledStr(command.clone().render_usage()));
    }
    error
}

/// A program of its own, that knows nothing of this one: who judges must not share mistakes.
fn conformance(arguments: &[String], context: &Context) -> anyhow::Result<()> {
    let program = std::env::current_exe()?.with_file_name(format!("admit-conformance{}", std::env::consts::EXE_SUFFIX));
    anyhow::ensure!(
        program.is_file(),
        "{} is not there: cargo install --path conformance-tests puts it beside this program",
        program.display()
    );
    let json = context.json.then_some("--json");
    let status = std::process::Command::new(program).args(json).args(arguments).status()?;
    // It has said itself what came of it.
    std::process::exit(status.code().unwrap_or(2))
}

async fn run(command: Command, context: &Context) -> anyhow::Result<()> {
    match command {
        Command::Demo(_) if context.json => anyhow::bail!("the demo tells a story, in words: leave --json out"),
        Command::Demo(demo) => Box::pin(demo.run()).await,
        Command::Serve(serve) => serve.run(context).await,
        Command::Cinema(cinema) => cinema.run(context).await,
        Command::Index(index) => index.run(context).await,
        Command::Keys(keys) => keys.run(context),
        Command::Trust(trust) => trust.run(context).await,
        Command::Wallet(wallet) => wallet.run(context),
        Command::Find(find) => find.cinemas(context).await,
        Command::Films(find) => find.films(context).await,
        Command::Screenings(find) => find.screenings(context).await,
        Command::Programme(programme) => programme.run(context).await,
        Command::Seats(seats) => seats.run(context).await,
        Command::Book(book) => book.run(context).await,
        Command::Waitlist(waitlist) => Box::pin(waitlist.run(context)).await,
        Command::Queue(queue) => Box::pin(queue.run(context)).await,
        Command::Bookings(list) => list.run(context).await,
        Command::Exchange(exchange) => Box::pin(exchange.run(context)).await,
        Command::Cancel(cancel) => cancel.run(context).await,
        Command::Forget(forget) => forget.run(context).await,
        Command::Receipt(receipt) => receipt.run(context).await,
        Command::Ticket(ticket) => ticket.run(context).await,
        Command::BoxOffice(office) => Box::pin(office.run(context)).await,
        Command::Door(door) => Box::pin(door.run(context)).await,
        Command::Conformance { arguments } => conformance(&arguments, context),
    }
}
