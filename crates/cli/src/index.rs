//! Setting up an index, and talking to one.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use admit_index::import::{List, read_cnc, read_geojson};
use admit_index::{Index, Place, SqliteStore};
use admit_protocol::cinema::Country;
use admit_protocol::directory::{Announcement, Listing};
use admit_protocol::key::KeyId;
use admit_protocol::problem::ProblemCode;
use admit_protocol::time::after;
use anyhow::{Context as _, bail, ensure};
use clap::Subcommand;
use jiff::Timestamp;
use serde_json::json;

use crate::folder::{Folder, Init};
use crate::{Context, find, show};

#[derive(Subcommand)]
pub(crate) enum IndexCommand {
    /// Make a folder for an index, with new keys.
    Init(Init),
    /// Take over a list of cinemas that others made, as unclaimed entries. Stop the index before.
    ///
    /// GeoJSON, as OpenStreetMap's tools export it: points or areas that are amenity=cinema or do not say what they are, of which name, website,
    /// addr:street, addr:housenumber, addr:postcode, addr:city, addr:country and screen are read. Or the list of French cinemas
    /// that the CNC publishes, as CSV.
    Import {
        /// The folder.
        folder: PathBuf,
        /// The list: OpenStreetMap as GeoJSON, or the French national list (CSV).
        file: PathBuf,
        /// For points of a GeoJSON file that do not say in which country they are.
        #[arg(long)]
        country: Option<String>,
    },
    /// Tell an index of a server. Anybody may; the index looks for itself.
    Announce {
        /// The index.
        index: String,
        /// The server.
        server: String,
    },
    /// Ask an index why a server is listed or not.
    Why {
        /// The index.
        index: String,
        /// The server.
        server: String,
    },
    /// A server came with other keys than the known ones, and its operator has told you another way that they are its own: believe
    /// them, without waiting for the 14 days. Stop the index before.
    Trust {
        /// The folder.
        folder: PathBuf,
        /// The server.
        server: String,
        /// The name of its identity key, as its operator has read it to you from `admit keys list`.
        // One name in 64 begins with `-`.
        #[arg(allow_hyphen_values = true)]
        key: KeyId,
    },
    /// Show where you decide: unconfirmed cinemas with the entries of lists that they may be, and what you merged. Stop the index before.
    Merges {
        /// The folder.
        folder: PathBuf,
    },
    /// Let one listing speak for another. Stop the index before.
    Merge {
        /// The folder.
        folder: PathBuf,
        /// The listing that is hidden: its name in `admit index merges` or `why`, its `id` in `admit find --json`.
        listing: String,
        /// The listing that speaks for it.
        into: String,
    },
    /// Take a merge back. Stop the index before.
    Unmerge {
        /// The folder.
        folder: PathBuf,
        /// The listing that is shown again.
        listing: String,
    },
}

impl IndexCommand {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<()> {
        match self {
            Self::Init(init) => {
                let folder = init.run(context, None)?;
                if context.json {
                    return Ok(());
                }
                let path = folder.0.display();
                show::line(&format!("  admit index import {path} LIST      (if you have one)"));
                show::line(&format!("  admit serve index {path}"));
                Ok(())
            }
            Self::Import { folder, file, country } => import(&folder, &file, country.as_deref(), context),
            Self::Announce { index, server } => {
                let begins = if context.development { "http://127.0.0.1:PORT here" } else { "https://" };
                ensure!(
                    server.contains("://"),
                    "{server} is no address of a server: it begins with its scheme, {begins}"
                );
                let asked = Timestamp::now();
                let found = find::meet(&index, context).await?.announce(&server).await?;
                let looked = found.steps.last().is_some_and(|step| step.at >= asked);
                if !looked && !context.json {
                    let again =
                        found.steps.last().map(|step| format!(", from {} on again", show::here(after(step.at, 300))));
                    show::warn(&format!(
                        "this is what it found when it looked last: it does so once in five minutes{}",
                        again.unwrap_or_default()
                    ));
                }
                report(&found, looked, context)
            }
            Self::Why { index, server } => {
                let found = find::meet(&index, context).await?.why(&server).await;
                let unknown = found.as_ref().is_err_and(|e| e.code() == Some(ProblemCode::NotFound));
                ensure!(!unknown, "nobody announced {server} to this index: `admit index announce {index} {server}`");
                report(&found?, false, context)
            }
            Self::Trust { folder, server, key } => {
                open(&folder)?.trust(&server, key)?;
                if context.json {
                    return show::json(&json!({"trusted": server, "key": key}));
                }
                show::line(&format!("{server} is believed from the next look on: `admit index announce`"));
                Ok(())
            }
            Self::Merges { folder } => merges(&folder, context),
            Self::Merge { folder, listing, into } => {
                open(&folder)?.merge(listing.parse()?, into.parse()?)?;
                if context.json {
                    return show::json(&json!({"hidden": listing, "speaks": into}));
                }
                show::line(&format!(
                    "{listing} is hidden, {into} speaks for it; take it back with `admit index unmerge`"
                ));
                Ok(())
            }
            Self::Unmerge { folder, listing } => {
                open(&folder)?.unmerge(listing.parse()?)?;
                if context.json {
                    return show::json(&json!({"shown": listing}));
                }
                show::line(&format!("{listing} is shown again"));
                Ok(())
            }
        }
    }
}

fn open(folder: &Path) -> anyhow::Result<Index> {
    let settings = Folder(folder.to_owned()).index_settings()?;
    Ok(Index::open(settings, SqliteStore::open(folder)?)?)
}

fn import(folder: &Path, file: &Path, country: Option<&str>, context: &Context) -> anyhow::Result<()> {
    let bytes = fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    let spinner = indicatif::ProgressBar::new_spinner().with_message("reading");
    spinner.enable_steady_tick(Duration::from_millis(100));
    let is_json = bytes.iter().find(|b| !b.is_ascii_whitespace() && !b"\xef\xbb\xbf".contains(b)) == Some(&b'{');
    // ZZ: nobody knows (ISO 3166-1 leaves it to its users).
    let code = country.unwrap_or("ZZ");
    let country = Country::parse(&code.to_uppercase()).with_context(|| code.to_owned())?;
    let list: List = if is_json {
        read_geojson(&bytes, country).with_context(|| format!("{} is not GeoJSON", file.display()))?
    } else {
        read_cnc(&bytes).with_context(|| {
            format!("{} begins as no JSON does, and is not the French national list, a CSV of the CNC", file.display())
        })?
    };
    ensure!(!list.entries.is_empty() || !list.refused.is_empty(), "there is no cinema in {}", file.display());
    spinner.set_message(format!("importing {} cinemas", list.entries.len()));
    open(folder)?.import(&list.entries)?;
    spinner.finish_and_clear();
    let none = || format!("none of {} could be used", show::count(list.refused.len(), "row"));
    if context.json {
        show::json(&json!({"imported": list.entries.len(), "refused": list.refused}))?;
        ensure!(!list.entries.is_empty(), none());
        return Ok(());
    }
    for row in &list.refused {
        show::line(&format!("not imported: {}: {}", row.row, row.why));
    }
    ensure!(!list.entries.is_empty(), none());
    let (entries, refused) = (show::count(list.entries.len(), "cinema"), show::count(list.refused.len(), "row"));
    show::line(&format!("imported {entries}, {refused} could not be used"));
    let nowhere = list.entries.iter().filter(|entry| entry.address.country.to_string() == "ZZ").count();
    if nowhere > 0 {
        show::warn(&format!("of {nowhere} the list does not say the country: import it again with --country"));
    }
    Ok(())
}

/// Where the operator decides, or did.
fn merges(folder: &Path, context: &Context) -> anyhow::Result<()> {
    let places = open(folder)?.places();
    if context.json {
        return show::json(&places);
    }
    if places.is_empty() {
        show::line("nothing is unconfirmed, and nothing was merged");
    }
    let command = |what: &str| format!("admit index {what} {}", folder.display());
    for Place { listing, beside, speaks_for } in &places {
        let at = listing.origin.as_ref().map(|origin| format!(", {origin}")).unwrap_or_default();
        show::line(&format!("{} in {}{at}", show::text(&listing.name), show::text(&listing.address.city)));
        for entry in beside {
            show::line(&format!("  unconfirmed: is it the same as {}?", entry_in_words(entry)));
            show::line(&format!("      {} {} {}", command("merge"), entry.id, listing.id));
        }
        for entry in speaks_for {
            show::line(&format!("  speaks for {}", entry_in_words(entry)));
            show::line(&format!("      {} {}", command("unmerge"), entry.id));
        }
    }
    Ok(())
}

fn entry_in_words(entry: &Listing) -> String {
    let of = entry.source.clone().or(entry.origin.as_ref().map(ToString::to_string)).unwrap_or_default();
    let far = entry.distance_m.map(|metres| format!(", {metres} m away")).unwrap_or_default();
    format!("{} ({of}){far}", show::text(&entry.name))
}

/// What an index found; `fresh`, if it looked just now.
fn report(found: &Announcement, fresh: bool, context: &Context) -> anyhow::Result<()> {
    if context.json {
        show::json(found)?;
    } else {
        for step in &found.steps {
            let mark = match (step.ok, &found.moved_to) {
                (true, _) => show::colour("32", "ok  "),
                (false, Some(_)) => show::colour("1", "MOVE"),
                (false, None) => show::colour("1;31", "FAIL"),
            };
            show::line(&format!("{mark} {:10} {}", step.step, step.detail));
        }
        let all_well = found.steps.iter().all(|step| step.ok);
        let listed = match (found.listed, all_well) {
            (false, _) if found.moved_to.is_some() => "is not listed: it moved",
            (true, true) => "is listed",
            (true, false) => "is still listed as it was when it was last seen in order",
            (false, true) => "is hidden: the operator lets another listing speak for it",
            (false, false) => "is not listed",
        };
        let at =
            found.steps.last().map(|step| format!("; the index looked at {}", show::here(step.at))).unwrap_or_default();
        show::line(&format!("{} {listed}{at}", found.origin));
        for from in &found.still_at {
            show::line(&format!(
                "  {from}, where it was, is listed, too, until the index looks there again: `admit index announce` that address once more, \
                 five minutes after its last look"
            ));
        }
        for cinema in &found.cinemas {
            if let Some(into) = cinema.merged_into {
                show::line(&format!("  {} is hidden: {into} speaks for it", cinema.listing));
            } else if !cinema.beside.is_empty() {
                show::line(&format!("  {} is shown as unconfirmed: at its place a list has", cinema.listing));
                for entry in &cinema.beside {
                    show::line(&format!("    {}: {}", entry.id, entry_in_words(entry)));
                }
                show::line(
                    "    Whether that is the same cinema, the index's operator says: ask them, they see both in `admit index merges`",
                );
            }
        }
    }
    if found.steps.iter().all(|step| step.ok) || (found.moved_to.is_some() && !found.listed) {
        return Ok(());
    }
    if let Some(to) = &found.moved_to {
        bail!(
            "it is listed where it was until all is in order where it is now: `admit index why` of {to} says what is not"
        );
    }
    let again =
        found.steps.last().filter(|_| !fresh).map(|step| after(step.at, 300)).filter(|at| *at > Timestamp::now());
    let from = again.map(|at| format!(", from {} on", show::here(at))).unwrap_or_default();
    bail!("the step that failed is to be put in order; then `admit index announce` makes the index look again{from}")
}
