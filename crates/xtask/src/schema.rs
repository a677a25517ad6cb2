//! The JSON Schemas under `spec/v1/schema/` come from the types; this keeps them the same.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};

const FOLDER: &str = "spec/v1/schema";

pub(crate) fn run(write: bool) -> anyhow::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(FOLDER);
    let mut stale = Vec::new();
    let mut expected = BTreeSet::new();
    for (name, schema) in admit_protocol::schema::all() {
        let path = folder.join(format!("{name}.json"));
        let text = serde_json::to_string_pretty(&schema)? + "\n";
        expected.insert(format!("{name}.json"));
        if fs::read_to_string(&path).ok().as_deref() == Some(&text) {
            continue;
        }
        if write {
            fs::create_dir_all(&folder)?;
            fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        }
        stale.push(name);
    }
    for entry in fs::read_dir(&folder).with_context(|| format!("reading {FOLDER}"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !expected.contains(&name) {
            bail!("{FOLDER}/{name} belongs to no type any more: delete it");
        }
    }
    match (stale.is_empty(), write) {
        (true, _) => println!("{} schemas are as the types say", expected.len()),
        (false, true) => println!("wrote {}", stale.join(", ")),
        (false, false) => bail!("{} differ from the types: run `cargo xtask schema --write`", stale.join(", ")),
    }
    Ok(())
}
