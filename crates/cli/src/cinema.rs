//! Setting up a cinema.

use std::fs;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use admit_protocol::id::ScreeningId;
use admit_protocol::screening::Screening;
use admit_server::HouseRules;
use admit_server::bundle::{Bundle, Checked, RowReport, ScreeningChanges};
use admit_server::management::{AuditEntry, Exported, Imported, Role, StaffMember, hash_password};
use admit_server::store::sqlite::SqliteStore;
use admit_server::store::{Device, Disturbed, Edit, Layouts, StaffStore, moving};
use anyhow::{Context as _, bail, ensure};
use clap::Subcommand;
use jiff::Timestamp;
use serde_json::json;

use crate::folder::{Folder, Init, new_token};
use crate::office::{self, Desk, Rehearsal, read_password};
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
    /// A new password is asked for, or read from standard input.
    Staff {
        /// The folder.
        folder: PathBuf,
        /// What they sign in with.
        login: Option<String>,
        /// door, box_office, programme, manager or admin.
        #[arg(long)]
        role: Option<Role>,
        /// What they are called.
        #[arg(long)]
        name: Option<String>,
        /// Also where they have a password already; who was gone signs in again with it.
        #[arg(long)]
        new_password: bool,
        /// They sign in no more.
        #[arg(long)]
        gone: bool,
    },
    /// Register a scanner; prints its token, once. Done again, it gets a new token, and the old one ends.
    Device {
        /// The folder.
        folder: PathBuf,
        /// Its name, such as door-1.
        id: String,
    },
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
                        import_at_server(server, login, &file, yes, context).await
                    }
                    None => import(&folder, &file, skip_bad_rows, yes, context).await,
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
            Self::Staff { folder, login: None, .. } => {
                let staff = Folder(folder).cinema_store()?.staff()?;
                if context.json {
                    return show::json(&staff);
                }
                let gone = |disabled| if disabled { "signs in no more" } else { "" };
                let row = |m: &StaffMember| {
                    vec![m.login.clone(), m.name.clone(), m.role.as_str().into(), gone(m.disabled).into()]
                };
                show::table(&["login", "name", "role", ""], &staff.iter().map(row).collect::<Vec<_>>());
                Ok(())
            }
            Self::Staff { folder, login: Some(login), role, name, new_password, gone } => {
                ensure!(!login.trim().is_empty() && login.len() <= 64, "a login has 1 to 64 bytes");
                let store = Folder(folder).cinema_store()?;
                let known = store.staff()?.into_iter().find(|member| member.login == login);
                ensure!(
                    known.is_some() || !gone,
                    "nobody works here as {login:?}: `admit cinema staff FOLDER` lists who does"
                );
                let role = role.or(known.as_ref().map(|known| known.role)).context("say --role: what may they do?")?;
                let hash = match known.is_none() || new_password {
                    true => Some(read_new_password(&login)?),
                    false => None,
                };
                let gone = gone || (!new_password && known.as_ref().is_some_and(|known| known.disabled));
                let name = name.or(known.map(|known| known.name)).unwrap_or_else(|| login.clone());
                let member = StaffMember { login, name, role, disabled: gone };
                store.put_staff(&member, hash.as_deref())?;
                note(
                    &*store,
                    "put_staff",
                    format!("{} as {}{}", member.login, role.as_str(), if gone { ", gone" } else { "" }),
                )?;
                if context.json {
                    return show::json(&member);
                }
                let may =
                    if gone { "signs in no more".to_owned() } else { format!("may sign in as {}", role.as_str()) };
                show::line(&format!("{} {may}", member.login));
                Ok(())
            }
            Self::Backup { folder, to } => backup(&Folder(folder), &to, context),
            Self::Device { folder, id } => {
                let (token, token_hash) = new_token()?;
                let device = Device { id: id.parse().with_context(|| id.clone())?, token_hash };
                let store = Folder(folder).cinema_store()?;
                let replaced = store.catalogue()?.devices.iter().any(|known| known.id == device.id);
                let edit = Edit::Device { device, name: id.clone() };
                store.edit(&[edit], Timestamp::now(), Layouts::Stay)?;
                note(&*store, "put_device", id.clone())?;
                if context.json {
                    return show::json(&json!({"device": id, "token": token, "replaced": replaced}));
                }
                show::line(&format!("the token of {id}, shown once: {token}"));
                if replaced {
                    show::line("its older token opens nothing any more");
                }
                Ok(())
            }
            Self::MoveStore { folder, to } => move_store(&Folder(folder), &to, context),
            Self::Audit { folder } => {
                let report = match Folder(folder.clone()).server().ok().and_then(|server| server.database) {
                    None => audit::audit(&folder.join("cinema.sqlite"))?,
                    Some(address) => {
                        // The same checks, on a copy.
                        let copy = tempfile::tempdir().context("making room for a copy")?;
                        moving::copy_to_sqlite(&address, copy.path())?;
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

async fn import(folder: &Path, file: &Path, skip: bool, yes: bool, context: &Context) -> anyhow::Result<()> {
    let bytes = fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    // Some editors begin a file with a mark that JSON does not have.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let limit = 64 * 1024 * 1024;
    let bundle: Bundle = admit_protocol::json::read(bytes, limit, admit_protocol::json::Numbers::Any)
        .with_context(|| format!("{} is not a programme", file.display()))?;
    let now = Timestamp::now();
    let store = Folder(folder.to_owned()).cinema_store_alone()?;
    let layouts = Layouts::MayChange;
    let mut checked = bundle.check_with(&store.catalogue()?, now);
    let prices = bundle.prices();
    checked.keep_layouts(&*store, layouts)?;
    let (refused, strange) = (std::mem::take(&mut checked.refused), std::mem::take(&mut checked.strange));
    if !context.json {
        print_refused(&refused);
    }
    if !refused.is_empty() && !skip {
        if context.json {
            show::json(&json!({"imported": false, "refused": refused, "strange": strange}))?;
        } else {
            print_strange(&strange);
        }
        let rows = show::count(refused.len(), "row");
        bail!("{rows} cannot be used, nothing was imported (--skip-bad-rows imports the others)");
    }
    let disturbed = store.rehearse(&checked.edits, now, layouts).context("nothing was imported")?;
    let Checked { edits, cinemas, halls, films, screenings, changes, .. } = checked;
    let would = Imported { cinemas, halls, films, screenings, strange, disturbed, changes, prices };
    if is_to_be_asked(&would, yes, context)? {
        let asked = show::agree(IMPORT_THIS, &mut show::Stop::listen()?, "--yes").await;
        asked.context("nothing was imported")?;
    }
    store.edit(&edits, now, layouts)?;
    let new_prices = would.prices.iter().map(|(table, costs)| format!("; prices {table}: {}", costs.join(", ")));
    let what = format!("{cinemas} cinemas, {films} films, {screenings} screenings{}", new_prices.collect::<String>());
    note(&*store, "import", what)?;
    imported(&would, &refused, context)
}

/// Notes what was done without signing in: whoever has the folder may do everything.
fn note(store: &dyn StaffStore, did: &str, subject: String) -> anyhow::Result<()> {
    Ok(store.note(&AuditEntry { at: Timestamp::now(), by: "command line".into(), did: did.into(), subject })?)
}

fn read_new_password(login: &str) -> anyhow::Result<String> {
    let password = read_password(&format!("a password for {login}: "))?;
    let hash = hash_password(&password)?;
    if std::io::stdin().is_terminal() {
        ensure!(read_password("once more: ")? == password, "these are two different passwords");
    }
    Ok(hash)
}

/// Copies the folder of a cinema, also while it sells.
fn backup(folder: &Folder, to: &Path, context: &Context) -> anyhow::Result<()> {
    ensure!(
        folder.server()?.database.is_none(),
        "its data is in PostgreSQL, which has backups of its own (pg_dump); keep the folder's keys and settings with them"
    );
    ensure!(folder.file("cinema.sqlite").exists(), "{} is not the folder of a cinema", folder.0.display());
    ensure!(!to.exists(), "{} is there already: a backup goes into a new folder", to.display());
    let beside = to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // For its owner's eyes; gone, if it is not finished.
    let copy = tempfile::tempdir_in(beside).with_context(|| beside.display().to_string())?;
    folder.copy_keys_and_settings(copy.path())?;
    SqliteStore::back_up(&folder.0, copy.path())?;
    fs::rename(copy.path(), to).with_context(|| to.display().to_string())?;
    if context.json {
        return show::json(&json!({"backup": to}));
    }
    show::line(&format!("{} is a copy of {}, as it is now", to.display(), folder.0.display()));
    show::line("if that one is lost: `admit serve cinema` this one; what was sold in between it does not know");
    Ok(())
}

const IMPORT_THIS: &str = "import this?";

/// Shows what an import would come to. Where something is to be looked at, it is to be asked first whether it is meant.
fn is_to_be_asked(would: &Imported, yes: bool, context: &Context) -> anyhow::Result<bool> {
    let to_look_at = !would.strange.is_empty() || !would.disturbed.is_empty();
    if !context.json {
        print_strange(&would.strange);
        would.disturbed.iter().for_each(print_disturbed);
        print_changes(&would.changes);
        print_prices(&would.prices);
    }
    let ask = to_look_at && !yes;
    if ask && context.json {
        show::json(&json!({"imported": false, "would": would}))?;
        bail!("nothing was imported: there is something to look at; say --yes if it is meant");
    }
    Ok(ask)
}

fn imported(what: &Imported, refused: &[RowReport], context: &Context) -> anyhow::Result<()> {
    if context.json {
        return show::json(&json!({
            "imported": true, "cinemas": what.cinemas, "halls": what.halls, "films": what.films,
            "screenings": what.screenings, "refused": refused, "strange": what.strange, "disturbed": what.disturbed,
            "changes": what.changes, "prices": what.prices,
        }));
    }
    show::line(&format!(
        "imported {}, {}, {}, {}",
        show::count(what.cinemas, "cinema"),
        show::count(what.halls, "hall"),
        show::count(what.films, "film"),
        show::count(what.screenings, "screening")
    ));
    Ok(())
}

/// As [`import`], at a server that runs.
async fn import_at_server(
    server: &str,
    login: String,
    file: &Path,
    yes: bool,
    context: &Context,
) -> anyhow::Result<()> {
    let bytes = fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes).to_vec();
    let office = Desk::of(server, login).sign_in(context).await?;
    let would = office.import(bytes.clone(), Rehearsal::Yes).await?;
    if is_to_be_asked(&would, yes, context)? {
        let asked = office::agree(IMPORT_THIS, &mut show::Stop::listen()?, "--yes").await;
        asked.context("nothing was imported")?;
    }
    imported(&office.import(bytes, Rehearsal::No).await?, &[], context)
}

/// Moves a cinema's data, and says where it is from now on.
fn move_store(folder: &Folder, to: &str, context: &Context) -> anyhow::Result<()> {
    let server = folder.server()?;
    let file = folder.file("cinema.sqlite");
    let (moved, address) = match (&server.database, to) {
        (None, "folder") => bail!("it is in the folder already"),
        (Some(address), "folder") => {
            ensure!(!file.exists(), "{} is there already: move it away first", file.display());
            (moving::to_sqlite(address, &folder.0), None)
        }
        (Some(address), _) => bail!("it is in a database already ({}): take it to `folder` first", show::host(address)),
        (None, address) if address.starts_with("postgres") => {
            ensure!(file.exists(), "there is no cinema in {}", folder.0.display());
            (moving::to_postgres(&folder.0, address), Some(address))
        }
        (None, other) => {
            bail!("{other:?} is neither `folder` nor an address such as postgres://cinema@db.local/cinema")
        }
    };
    if moved.is_err() && address.is_none() {
        // What was begun there is nothing.
        let _ = fs::remove_file(&file);
    }
    let moved = moved?;
    folder.set_database(address)?;
    let kept = folder.file("cinema.sqlite.moved");
    if address.is_some() {
        fs::rename(&file, &kept).with_context(|| format!("renaming {}", file.display()))?;
    }
    if context.json {
        return show::json(&moved);
    }
    let rows: u64 = moved.iter().map(|table| table.rows).sum();
    let full = moved.iter().filter(|table| table.rows > 0).map(|table| format!("{} {}", table.rows, table.table));
    show::line(&format!("moved {rows} rows, each compared: {}", full.collect::<Vec<_>>().join(", ")));
    match address {
        Some(address) => {
            show::line(&format!("it is in the database at {} from now on, as server.toml says;", show::host(address)));
            show::line(&format!("the file as it was is {}", kept.display()));
        }
        None => {
            show::line(&format!("it is in {} from now on; from the database nobody sells any more", file.display()));
        }
    }
    Ok(())
}

/// What becomes of the screenings that were there: a file may be older than somebody else's last change.
fn print_changes(changes: &ScreeningChanges) {
    let ScreeningChanges { new, changed, same, left_out } = changes;
    const NAMED: usize = 20;
    for (screening, poster) in new.iter().take(NAMED) {
        show::line(&format!("new screening {screening}: {poster}"));
    }
    if new.len() > NAMED {
        show::line(&format!("and {} more that are new", new.len() - NAMED));
    }
    // What happens to one of them is seen before what happens to all.
    let mut kinds: Vec<(&[String], Vec<&str>)> = Vec::new();
    for (screening, what) in changed {
        match kinds.iter_mut().find(|(known, _)| known == what) {
            Some((_, screenings)) => screenings.push(screening.as_str()),
            None => kinds.push((what, vec![screening.as_str()])),
        }
    }
    kinds.sort_by_key(|(_, screenings)| screenings.len());
    for (what, screenings) in kinds {
        let more = screenings.len().saturating_sub(8);
        let named = screenings[..screenings.len() - more].join(", ");
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        show::line(&format!("changes screening {named}{more}: {}", what.join(", ")));
    }
    if changed.len() + same > 0 {
        show::line(&format!("screenings: {} new, {} changed, {same} as they were", new.len(), changed.len()));
    }
    if let [named @ .., last] = left_out.as_slice() {
        let named: Vec<&str> = named.iter().take(7).chain([last]).map(ScreeningId::as_str).collect();
        let more = left_out.len() - named.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        show::line(&format!(
            "to come, not in this file, as before and on sale if they were: {}{more}",
            named.join(", ")
        ));
    }
}

/// What tickets cost, to be looked at: a slip of the point is not seen in a file.
fn print_prices(prices: &[(String, Vec<String>)]) {
    for (name, tickets) in prices {
        show::line(&format!("prices {name}: {}", tickets.join(", ")));
    }
}

/// What is wrong, each cause once.
fn print_refused(refused: &[RowReport]) {
    let (causes, follow): (Vec<_>, Vec<_>) = refused.iter().partition(|r| r.because_of.is_none());
    for (names, why) in by_cause(&causes) {
        show::line(&format!("{names}: {why}"));
    }
    for (names, _) in by_cause(&follow) {
        show::line(&format!("and so, as they need one of these: {names}"));
    }
}

fn print_strange(strange: &[RowReport]) {
    for (names, why) in by_cause(&strange.iter().collect::<Vec<_>>()) {
        show::line(&format!("{} {names}: {why}", show::colour("33", "look at")));
    }
    if strange.iter().any(|row| row.kind == "price_table") {
        show::line("who has booked keeps the price they booked at");
    }
}

/// Rows of which the same is to be said, said once: `screening mon, tue and 5 more`. What only follows is told by its kind alone.
fn by_cause<'a>(rows: &[&'a RowReport]) -> Vec<(String, &'a str)> {
    const NAMED: usize = 8;
    let mut causes: Vec<(&str, &str, Vec<&str>)> = Vec::new();
    for row in rows {
        let why = if row.because_of.is_some() { "" } else { row.why.as_str() };
        match causes.iter_mut().find(|(kind, known, _)| *kind == row.kind && *known == why) {
            Some((.., names)) => names.push(&row.row),
            None => causes.push((&row.kind, why, vec![&row.row])),
        }
    }
    let said = |(kind, why, names): (&str, &'a str, Vec<&str>)| {
        let more = names.len().saturating_sub(NAMED);
        let named = names[..names.len() - more].join(", ");
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        (format!("{kind} {named}{more}").trim_end().to_owned(), why)
    };
    causes.into_iter().map(said).collect()
}

/// Somebody must be told.
fn print_disturbed(d: &Disturbed) {
    let films = |s: &Screening| s.items.iter().map(|i| i.film.to_string()).collect::<Vec<_>>().join(" + ");
    let differs = [
        (films(&d.before), films(&d.after)),
        (show::start(&d.before), show::start(&d.after)),
        (format!("hall {}", d.before.hall), format!("hall {}", d.after.hall)),
        (d.before.status.to_string(), d.after.status.to_string()),
    ];
    let differs = differs.iter().filter(|(before, after)| before != after);
    let differs: Vec<String> = differs.map(|(before, after)| format!("{after} (was {before})")).collect();
    let left_none = match d.without_address.as_slice() {
        [] => String::new(),
        some => format!("; these left no address: {}", some.join(", ")),
    };
    let back = if d.after.status.takes_place() { "" } else { "; what was paid for it comes back" };
    show::line(&format!(
        "{} screening {}: {}{back}; {} to be told: {}{left_none}. Nothing is mailed yet: messages wait in the outbox",
        show::colour("33", "look at"),
        d.after.id,
        differs.join(", "),
        show::count(d.bookings.len(), "booking"),
        d.bookings.join(", "),
    ));
}
