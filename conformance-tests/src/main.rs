//! Point it at a server and learn which sentence of the protocol it breaks.
#![allow(clippy::print_stdout, reason = "a program that talks to whoever called it")]

mod checks;
mod client;
mod control;
mod fake;
mod hook;
mod report;
mod spec;
mod stage;
mod target;
mod vectors;
mod wire;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clap::{ArgGroup, Args, Parser, Subcommand};

use self::control::Control;
use self::report::Report;
use self::target::{Mode, Target};

/// Which sentences of the Admit protocol does a server keep?
#[derive(Parser)]
#[command(name = "admit-conformance", version, max_term_width = 100)]
struct Arguments {
    /// Print JSON instead of words.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Test a server.
    #[command(group = ArgGroup::new("target").required(true))]
    Server {
        /// Look at this origin, such as `https://kino.example`: reads, and changes nothing there.
        #[arg(long, group = "target")]
        url: Option<String>,
        /// Hold and book there, too, at a screening that is marked as a test, and give everything back.
        #[arg(long, requires = "url")]
        sandbox: bool,
        /// Test everything, in worlds that this test control makes.
        #[arg(long, group = "target", requires = "secret")]
        control: Option<String>,
        /// The secret of test control.
        // One secret in 64 begins with `-`.
        #[arg(long, requires = "control", allow_hyphen_values = true)]
        secret: Option<String>,
        #[command(flatten)]
        how: How,
    },
    /// Test an index.
    Index {
        /// Its origin, such as `https://index.example`: looks, and changes nothing there.
        #[arg(long)]
        url: String,
        /// Announce servers of the suite's own there, too: an index on this machine, in development.
        #[arg(long)]
        sandbox: bool,
        #[command(flatten)]
        how: How,
    },
    /// Test a client, through its adapter: a program that is asked and answers in lines of JSON (spec/v1/control.md).
    Client {
        /// The adapter's program, and what it is called with.
        #[arg(long)]
        command: String,
        /// Test control of a server in order, to buy from.
        #[arg(long)]
        control: String,
        /// The secret of test control.
        // One secret in 64 begins with `-`.
        #[arg(long, allow_hyphen_values = true)]
        secret: String,
        #[command(flatten)]
        how: How,
    },
    /// Test what an implementation reads, refuses and reckons, through its adapter and without a network; or write the vectors into a folder.
    #[command(group = ArgGroup::new("vectors").required(true))]
    Vectors {
        /// The adapter's program, and what it is called with.
        #[arg(long, group = "vectors")]
        command: Option<String>,
        /// Where to write the files.
        #[arg(long, group = "vectors")]
        dir: Option<PathBuf>,
    },
    /// Print the sentence with this number, and what is checked of it.
    Explain {
        /// Such as MAN-003.
        must: String,
    },
    /// Print every sentence that must be kept, and what checks it.
    Coverage {
        /// As a page.
        #[arg(long)]
        markdown: bool,
    },
}

/// How a run goes, and where its report is kept.
#[derive(Args)]
pub(crate) struct How {
    /// What buyers' secrets, keys and names are made from: the same again for the same run again.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Only what is about these sentences, such as HOLD-004.
    #[arg(long)]
    pub(crate) only: Vec<String>,
    /// Stop at the first failure.
    #[arg(long)]
    pub(crate) until_failure: bool,
    /// Write a report for continuous integration (JUnit XML) here, too.
    #[arg(long)]
    junit: Option<PathBuf>,
    /// Write a report for a browser here, too.
    #[arg(long)]
    html: Option<PathBuf>,
}

impl How {
    /// Whether a check of these sentences is wanted.
    pub(crate) fn wants(&self, musts: &[&str]) -> bool {
        self.only.is_empty() || musts.iter().any(|must| self.only.iter().any(|only| only == must))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<bool> {
    match arguments.command {
        Command::Server { url, sandbox, control, secret, how } => {
            let control = match (control, secret) {
                (Some(control), Some(secret)) => Some(Control::at(&control, &secret)?),
                _ => None,
            };
            let target = match (&control, url) {
                (Some(control), _) => Target::in_a_full_world(control, how.seed).await?,
                (None, Some(url)) => Target::new(&url, Mode::of(sandbox), how.seed)?,
                (None, None) => bail!("name a server with --url, or test control with --control"),
            };
            test(checks::SERVER, target, control, how, arguments.json).await
        }
        Command::Index { url, sandbox, how } => {
            let target = Target::new(&url, Mode::of(sandbox), how.seed)?;
            test(checks::INDEX, target, None, how, arguments.json).await
        }
        Command::Client { command, control, secret, how } => {
            let control = Control::at(&control, &secret)?;
            let ran = checks::client::run(&command, &control, &how).await?;
            let results: Vec<checks::Seen> = ran
                .into_iter()
                .map(|(check, outcome)| checks::Seen { musts: check.musts, what: check.what, outcome })
                .collect();
            report(
                &Report { target: &command, mode: Mode::Controlled, seed: how.seed, results: &results },
                &how,
                arguments.json,
            )
        }
        Command::Vectors { command: Some(command), .. } => vectors::ask(&command, arguments.json).await,
        Command::Vectors { command: None, dir } => {
            vectors::write(&dir.unwrap_or_else(|| PathBuf::from("vectors"))).map(|()| true)
        }
        Command::Explain { must } => {
            let sentence = spec::sentence(&must).ok_or_else(|| anyhow::anyhow!("no sentence has the number {must}"))?;
            println!("{must}: {sentence}");
            for (_, what) in checks::all().filter(|(musts, _)| musts.contains(&must.as_str())) {
                println!("  checked: {what}");
            }
            Ok(true)
        }
        Command::Coverage { markdown } => {
            report::coverage(arguments.json, markdown);
            Ok(true)
        }
    }
}

/// Runs these checks, and says what came of them: whether none failed.
async fn test(
    checks: &'static [checks::Check],
    mut target: Target,
    control: Option<Control>,
    how: How,
    as_json: bool,
) -> anyhow::Result<bool> {
    let results = checks::run(checks, &mut target, control.as_ref(), &how).await?;
    if let Some(run) = &target.run {
        run.end().await;
    }
    report(&Report { target: target.origin(), mode: target.mode, seed: how.seed, results: &results }, &how, as_json)
}

/// Says what came of it, wherever that is wanted: whether nothing failed.
fn report(report: &Report<'_>, how: &How, as_json: bool) -> anyhow::Result<bool> {
    report.print(as_json);
    if let Some(path) = &how.junit {
        std::fs::write(path, report.junit())?;
    }
    if let Some(path) = &how.html {
        std::fs::write(path, report.html())?;
    }
    Ok(report.results.iter().all(|r| !r.outcome.is_failure()))
}
