//! A cinema's data in another place: a copy of its folder, or another database.

use std::fs;
use std::path::Path;

use admit_server::store::moving;
use admit_server::store::sqlite::SqliteStore;
use anyhow::{Context as _, bail, ensure};
use serde_json::json;

use crate::folder::Folder;
use crate::{Context, show};

/// Copies the folder of a cinema, also while it sells.
pub(super) fn backup(folder: &Folder, to: &Path, context: &Context) -> anyhow::Result<()> {
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
    show::line(
        "if that one is lost: `admit serve cinema` this one; what was sold in between it does not know. Never serve it where the cinema \
         has moved away from, or while that one sells: it would sell the same seats again",
    );
    Ok(())
}

/// Moves a cinema's data, and says where it is from now on.
pub(super) fn move_store(folder: &Folder, to: &str, context: &Context) -> anyhow::Result<()> {
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
