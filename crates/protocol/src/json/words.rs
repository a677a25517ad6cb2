//! What is wrong with a document, for people: the reader's own messages speak of its types.

/// Says in plain words what serde says of a value.
pub(super) fn plain(message: &str) -> String {
    // Where it is, is said by its name.
    let message = message.split(" at line ").next().unwrap_or(message);
    if message.contains("failed to find offset component") {
        return "an instant says its offset from UTC, such as 2026-11-21T10:00:00+01:00 or 2026-11-21T09:00:00Z".into();
    }
    let (found, expected) = message.split_once(", expected ").unwrap_or((message, ""));
    let found = match found.split_once(": ") {
        Some(("invalid type" | "invalid value", what)) => format!("{} is found", thing(what)),
        Some(("invalid length", what)) => format!("a length of {what} is found"),
        _ => found.to_owned(),
    };
    let found = match found.split_once(" field ") {
        Some(("missing", name)) => format!("{name} is missing"),
        Some(("unknown", name)) => format!("{name} is not known here: a typo?"),
        Some(("duplicate", name)) => format!("{name} is there twice"),
        _ => found,
    };
    match expected {
        "" => found,
        // Of what is known there is a list in the schema.
        _ if found.ends_with("a typo?") => found,
        _ => format!("{found}, not {}", wanted(expected)),
    }
}

/// What was found.
fn thing(what: &str) -> String {
    let (kind, value) = what.split_once(' ').unwrap_or((what, ""));
    match (kind, what) {
        ("integer" | "boolean", _) => value.replace('`', ""),
        ("string", _) => format!("the text {value}"),
        (_, "null") => "nothing (null)".into(),
        (_, "map") => "an object".into(),
        (_, "sequence") => "a list".into(),
        _ => what.strip_prefix("floating point ").unwrap_or(what).replace('`', ""),
    }
}

/// What should have been there.
fn wanted(expected: &str) -> String {
    let kind = expected.split_once(' ').map_or(expected, |(kind, _)| kind);
    match (expected, kind) {
        ("i64" | "i32", _) => "a whole number".into(),
        ("u64" | "u32", _) => "a whole number from 0 on".into(),
        ("u16", _) => "a whole number from 0 to 65535".into(),
        ("u8", _) => "a whole number from 0 to 255".into(),
        ("a map", _) | (_, "struct") => "an object".into(),
        ("a sequence", _) => "a list".into(),
        ("a string" | "a borrowed string", _) => "a text".into(),
        ("a boolean", _) => "true or false".into(),
        _ => expected.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn messages_speak_of_the_document_and_not_of_the_reader() {
        for (said, plainly) in [
            (
                "invalid type: floating point `12.5`, expected i64 at line 1 column 9",
                "12.5 is found, not a whole number",
            ),
            ("invalid value: integer `-1`, expected u32", "-1 is found, not a whole number from 0 on"),
            ("invalid type: string \"Metropolis\", expected a map", "the text \"Metropolis\" is found, not an object"),
            ("invalid type: sequence, expected struct PlaceHold", "a list is found, not an object"),
            ("invalid type: null, expected a string", "nothing (null) is found, not a text"),
            ("missing field `origin` at line 1 column 2", "`origin` is missing"),
            (
                "unknown field `collect_mins`, expected one of `id`, `cinema`",
                "`collect_mins` is not known here: a typo?",
            ),
            ("a secret is 32 bytes", "a secret is 32 bytes"),
        ] {
            assert_eq!(plain(said), plainly);
        }
    }
}
