//! Setting up a cinema.

mod import;
mod moving;
mod staff;

use std::fs;
use std::path::PathBuf;

use admit_server::HouseRules;
use admit_server::bundle::Bundle;
use admit_server::management::{AuditEntry, Exported};
use admit_server::store::StaffStore;
use admit_server::store::moving::copy_to_sqlite;
use admit_server::store::sqlite::SqliteStore;
use anyhow::{Context as _, bail};
use clap::Subcommand;
use jiff::Timestamp;

use crate::folder::{Folder, Init};
use crate::office::Desk;
use crate::{Context, audit, sample, show};

#[derive(Subcommand)]
pub(crate) enum CinemaCommand {
    /// Make a folder for a cinema's server, with new keys.
    Init(Init),
    /// Print a programme to begin with: one hall, three price zones, three films. Change it, and import it.
    Example,
    /// Take over a programme: halls, films, prices, screenings. All rows, or none and why.
    Import {
        /// The folder; or the address of its server, while that runs: then somebody signs in who makes the programme.
        folder: PathBuf,
        /// A programme in JSON: see spec/files/programme.md.
        file: PathBuf,
        /// Import the rows that can be used, and name the others.
        #[arg(long)]
        skip_bad_rows: bool,
        /// What you sign in with at a server that runs. The password is asked for, or read from standard input.
        #[arg(long, env = "ADMIT_LOGIN", conflicts_with = "skip_bad_rows")]
        login: Option<String>,
        /// Also where there is something to look at: prices that jump, bookings that are not what they were. Else that is asked first.
        #[arg(long)]
        yes: bool,
    },
    /// Print the programme as a file that can be imported again.
    Export {
        /// The folder; or the address of its server, while that runs: then somebody signs in.
        folder: PathBuf,
        /// What you sign in with at a server that runs. The password is asked for, or read from standard input.
        #[arg(long, env = "ADMIT_LOGIN")]
        login: Option<String>,
    },
    /// Make a layout of a seat plan that was drawn with pretix or seats.io; prints it as JSON, for `layouts` of a
    /// programme.
    Plan {
        /// The plan.
        file: PathBuf,
    },
    /// Add somebody who works here, or change what they may do; without a login, list who works here.
    ///
    /// A new password is asked for, or read from standard input: at a server that runs it is the second line there, and the first is the
    /// password of who signs in, also while they are signed in here already.
    Staff(staff::Staff),
    /// Register a scanner; prints its token, once. Done again, it gets a new token, and the old one ends.
    Device(staff::Scanner),
    /// Take all data to another database: to PostgreSQL, from which several processes may sell, or back into the folder. Checked row
    /// by row; `server.toml` names the new one then.
    MoveStore {
        /// The folder. Its server must not be running.
        folder: PathBuf,
        /// Where to: `postgres://USER:PASSWORD@HOST/DATABASE`, with nothing in it yet; or `folder`.
        #[arg(long)]
        to: String,
    },
    /// Copy a cinema into a new folder, also while its server sells: keys, settings, and all data as they are at one moment. If the
    /// first one is lost, serve the copy.
    Backup {
        /// The folder.
        folder: PathBuf,
        /// The new one.
        to: PathBuf,
    },
    /// Check the books with SQL of its own: no seat twice, no booking without its seats.
    Audit {
        /// The folder.
        folder: PathBuf,
    },
}

impl CinemaCommand {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<()> {
        match self {
            Self::Init(init) => {
                let folder = init.run(context, Some(HouseRules::default()))?;
                SqliteStore::open(&folder.0)?;
                if context.json {
                    return Ok(());
                }
                let path = folder.0.display();
                show::line(&format!("  look at {path}/server.toml: how long seats are held, how they are paid"));
                show::line(&format!("  admit cinema import {path} PROGRAMME.json"));
                show::line(&format!("  admit cinema staff {path} LOGIN --role admin"));
                show::line(&format!("  admit serve cinema {path}"));
                Ok(())
            }
            Self::Import { folder, file, skip_bad_rows, login, yes } => {
                match folder.to_str().filter(|f| f.starts_with("http")) {
                    Some(server) => {
                        let login = login.context("say --login: who changes a server that runs signs in")?;
                        import::import_at_server(server, login, &file, yes, context).await
                    }
                    None => import::import(&folder, &file, skip_bad_rows, yes, context).await,
                }
            }
            Self::Export { folder, login } => {
                let (bundle, lost) = match folder.to_str().filter(|f| f.starts_with("http")) {
                    Some(server) => {
                        let login = login.context("say --login: who asks a server that runs signs in")?;
                        let Exported { programme, not_exported } =
                            Desk::of(server, login).sign_in(context).await?.export().await?;
                        (programme, not_exported)
                    }
                    None => Bundle::export(&Folder(folder).cinema_store()?.catalogue()?, Timestamp::now())?,
                };
                for row in lost {
                    eprintln!("not exported: {} {}: {}", row.kind, row.row, row.why);
                }
                show::json(&bundle)
            }
            Self::Plan { file } => {
                let bytes = fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
                let layout = admit_server::plans::read(&bytes).with_context(|| file.display().to_string())?;
                show::json(&layout)
            }
            Self::Example => show::json(&sample::world(Timestamp::now())[0].bundle),
            Self::Staff(staff) => staff.run(context).await,
            Self::Backup { folder, to } => moving::backup(&Folder(folder), &to, context),
            Self::Device(scanner) => scanner.run(context).await,
            Self::MoveStore { folder, to } => moving::move_store(&Folder(folder), &to, context),
            Self::Audit { folder } => {
                let report = match Folder(folder.clone()).server().ok().and_then(|server| server.database) {
                    None => audit::audit(&folder.join("cinema.sqlite"))?,
                    Some(address) => {
                        // The same checks, on a copy.
                        let copy = tempfile::tempdir().context("making room for a copy")?;
                        copy_to_sqlite(&address, copy.path())?;
                        audit::audit(&copy.path().join("cinema.sqlite"))?
                    }
                };
                if context.json {
                    show::json(&report)?;
                } else {
                    report.print();
                }
                if report.violations.is_empty() { Ok(()) } else { bail!("the books are not in order") }
            }
        }
    }
}

/// Notes what was done without signing in: whoever has the folder may do everything.
pub(crate) fn note(store: &dyn StaffStore, did: &str, subject: String) -> anyhow::Result<()> {
    Ok(store.note(&AuditEntry { at: Timestamp::now(), by: "command line".into(), did: did.into(), subject })?)
}
