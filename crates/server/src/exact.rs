//! Reading to the letter: between servers, a member or a word that nobody knows is for those of tomorrow; in what an operator
//! writes it is a typo.

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Reads a row, and says which member is wrong.
pub(crate) fn read<T: DeserializeOwned + Serialize + JsonSchema>(row: &Value) -> Result<T, String> {
    let thing: T = admit_protocol::json::from_value(row).map_err(|error| error.to_string())?;
    let mut unknown: Vec<String> = Vec::new();
    let known: Result<T, _> = serde_ignored::deserialize(row, |member| {
        // An option is a step in the path that no file shows.
        unknown.push(format!("`{}` is not known", member.to_string().replace(".?", "")));
    });
    drop(known);
    let read = serde_json::to_value(&thing).map_err(|e| e.to_string())?;
    let mut new_words = Vec::new();
    words(row, &read, "", &mut new_words);
    if !new_words.is_empty() {
        let schema = admit_protocol::schema::of::<T>().to_value();
        unknown.extend(new_words.into_iter().map(|(word, path)| match known_words(&schema, &path) {
            Some(known) => format!("{word:?} in `{path}` is none of {known}"),
            None => format!("{word:?} in `{path}` is not known"),
        }));
    }
    if unknown.is_empty() { Ok(thing) } else { Err(format!("{}: a typo?", unknown.join(", "))) }
}

/// Words of lists that may grow, such as kinds of seats: those that are not known come back as `unknown`.
fn words(row: &Value, read: &Value, path: &str, unknown: &mut Vec<(String, String)>) {
    const UNKNOWN: &str = "unknown";
    let mut note = |word: &str| unknown.push((word.to_owned(), path.to_owned()));
    match (row, read) {
        (Value::String(word), Value::String(as_read)) if as_read == UNKNOWN && word != UNKNOWN => note(word),
        // A set comes back in another order, and its unknown words as one.
        (Value::Array(row), Value::Array(read)) if read.contains(&Value::from(UNKNOWN)) => {
            row.iter().filter(|word| !read.contains(word)).filter_map(Value::as_str).for_each(note);
        }
        (Value::Array(row), Value::Array(read)) => {
            // Sets are short, and come back in another order: what came back as it was is no typo.
            let short = row.len() <= 256;
            let left = row.iter().enumerate().filter(|(_, one)| !short || !read.contains(one));
            let came_back = read.iter().filter(|one| !short || !row.contains(one));
            for ((n, one), as_read) in left.zip(came_back) {
                words(one, as_read, &format!("{path}[{n}]"), unknown);
            }
        }
        (Value::Object(row), Value::Object(read)) => {
            for (name, row) in row {
                let dot = if path.is_empty() { "" } else { "." };
                if let Some(read) = read.get(name) {
                    words(row, read, &format!("{path}{dot}{name}"), unknown);
                }
            }
        }
        _ => {}
    }
}

/// The words that a member may have, by the schema of what it is in.
fn known_words(schema: &Value, path: &str) -> Option<String> {
    let mut at = schema;
    let steps = path.split(['.', '[']).map(|step| if step.ends_with(']') { "items" } else { step });
    for step in steps {
        at = resolved(schema, if step == "items" { at.get("items")? } else { at.get("properties")?.get(step)? });
    }
    // Of a set, the words are those of its members.
    let of = at.get("items").map_or(at, |items| resolved(schema, items));
    let words: Vec<&str> = of.get("examples")?.as_array()?.iter().filter_map(Value::as_str).collect();
    Some(words.join(", "))
}

/// What a schema refers to: a definition, also as one that may be left out.
fn resolved<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let named = |s: &'a Value| root.pointer(s.get("$ref")?.as_str()?.strip_prefix('#')?);
    let may_be_left_out = |s: &'a Value| s.get("anyOf")?.as_array()?.iter().find_map(named);
    named(schema).or_else(|| may_be_left_out(schema)).unwrap_or(schema)
}

#[cfg(test)]
mod tests {
    use super::*;
    use admit_protocol::film::Film;
    use admit_protocol::layout::Layout;
    use serde_json::json;

    fn film() -> Value {
        json!({
            "id": "nosferatu", "title": {"de": "Nosferatu"}, "genres": ["horror"],
            "versions": [{"id": "silent", "kind": "silent"}]
        })
    }

    #[test]
    fn a_member_that_nobody_knows_is_named_with_its_place() {
        let why = |film: Value| read::<Film>(&film).expect_err("refused");
        read::<Film>(&film()).expect("a film");
        let mut typo = film();
        typo["versions"][0]["langauge"] = json!("de");
        assert_eq!(why(typo), "`versions.0.langauge` is not known: a typo?");
        let mut two = film();
        (two["cats"], two["yaer"]) = (json!([]), json!(1922));
        assert_eq!(why(two), "`cats` is not known, `yaer` is not known: a typo?");
    }

    #[test]
    fn a_word_that_nobody_knows_is_named_with_its_place() {
        let mut layout = serde_json::to_value(admit_booking::example::plan().layout()).expect("a layout");
        read::<Layout>(&layout).expect("a layout");
        layout["seats"][1]["kind"] = json!("weelchair_space");
        let why = read::<Layout>(&layout).expect_err("refused");
        let mut ids = film();
        ids["external_ids"] = json!([{"scheme": "tmdb", "value": "653"}, {"scheme": "imbd", "value": "1"}, {"scheme": "eidr", "value": "2"}]);
        let scheme = read::<Film>(&ids).expect_err("refused");
        assert!(scheme.starts_with("\"imbd\" in `external_ids[1].scheme` is none of "), "{scheme}");
        assert!(scheme.contains("imdb, "), "{scheme}");
        let kinds = "\"weelchair_space\" in `seats[1].kind` is none of standard, ";
        assert!(why.starts_with(kinds) && why.ends_with(": a typo?"), "{why}");
        let mut hall =
            json!({"id": "1", "name": {"en": "One"}, "capacity": 1, "layout": "sha256:x", "formats": ["imaxx"]});
        hall["layout"] = json!(admit_protocol::digest::ContentName::of(b"a layout"));
        let why = read::<admit_protocol::cinema::Hall>(&hall).expect_err("refused");
        assert!(why.starts_with("\"imaxx\" in `formats` is none of ") && why.contains("imax, "), "{why}");
        assert!(why.ends_with(": a typo?"), "{why}");
    }

    #[test]
    fn what_cannot_be_read_is_named_with_its_place() {
        let mut bad = film();
        bad["versions"][0]["id"] = json!("no spaces, please");
        let why = read::<Film>(&bad).expect_err("refused");
        assert_eq!(why, "`versions[0].id`: an id has only letters, digits, '_', '.' and '-'");
        let missing = read::<Film>(&json!({"id": "x"})).expect_err("refused");
        assert!(missing.contains("`title` is missing"), "{missing}");
    }
}
