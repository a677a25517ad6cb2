//! Files made by others.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use serde::de::DeserializeOwned;
use unicode_normalization::UnicodeNormalization as _;

/// A JSON file, unpacked if it is compressed.
pub(crate) fn read<T: DeserializeOwned>(data: &Path, name: &str) -> anyhow::Result<T> {
    let path = data.join(name);
    let bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
    let mut unpacked = Vec::new();
    let bytes = if path.extension().is_some_and(|e| e == "gz") {
        flate2::read::GzDecoder::new(&bytes[..]).read_to_end(&mut unpacked)?;
        unpacked
    } else {
        bytes
    };
    serde_json::from_slice(&bytes).with_context(|| path.display().to_string())
}

/// A name as an id: `Kino Světozor` is `kino-svetozor`. Letters beyond Latin are left out.
pub(crate) fn slug(name: &str) -> String {
    let mut slug = String::new();
    for c in name.nfd() {
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') && (c.is_ascii() || c.is_whitespace()) {
            slug.push('-');
        }
    }
    slug.trim_end_matches('-').chars().take(48).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_become_ids() {
        assert_eq!(super::slug("Kino Světozor, Malý sál"), "kino-svetozor-maly-sal");
        assert_eq!(super::slug("1+1+1"), "1-1-1");
    }
}
