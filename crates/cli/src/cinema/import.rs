//! Taking over a programme, in a folder or at a server that runs: first what it would come to, then, if that is meant, all of it.

use std::fs;
use std::path::Path;

use admit_protocol::id::ScreeningId;
use admit_protocol::screening::Screening;
use admit_server::bundle::{Bundle, Checked, RowReport, ScreeningChanges};
use admit_server::management::Imported;
use admit_server::store::{Disturbed, Layouts};
use anyhow::{Context as _, bail};
use jiff::Timestamp;
use serde_json::json;

use super::note;
use crate::folder::Folder;
use crate::office::{self, Desk, Rehearsal};
use crate::{Context, show};

pub(super) async fn import(folder: &Path, file: &Path, skip: bool, yes: bool, context: &Context) -> anyhow::Result<()> {
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
pub(super) async fn import_at_server(
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
