//! The numbered sentences, as they stand in the specification.

const PAGES: [&str; 19] = [
    include_str!("../../spec/v1/terms.md"),
    include_str!("../../spec/v1/http.md"),
    include_str!("../../spec/v1/errors.md"),
    include_str!("../../spec/v1/manifest.md"),
    include_str!("../../spec/v1/programme.md"),
    include_str!("../../spec/v1/seats.md"),
    include_str!("../../spec/v1/holds.md"),
    include_str!("../../spec/v1/bookings.md"),
    include_str!("../../spec/v1/exchange.md"),
    include_str!("../../spec/v1/waitlist.md"),
    include_str!("../../spec/v1/queue.md"),
    include_str!("../../spec/v1/tickets.md"),
    include_str!("../../spec/v1/notifications.md"),
    include_str!("../../spec/v1/buyer_keys.md"),
    include_str!("../../spec/v1/receipts.md"),
    include_str!("../../spec/v1/control.md"),
    include_str!("../../spec/v1/versions.md"),
    include_str!("../../spec/v1/security.md"),
    include_str!("../../spec/v1/index.md"),
];

/// The numbers of all sentences, in the order of the pages.
pub(crate) fn numbers() -> Vec<String> {
    let number = |line: &'static str| Some(line.strip_prefix("- **")?.split_once("** ")?.0.to_owned());
    PAGES.iter().flat_map(|page| page.lines()).filter_map(number).collect()
}

/// The sentence with this number: its lines joined, without the number.
pub(crate) fn sentence(must: &str) -> Option<String> {
    let begin = format!("- **{must}** ");
    let mut lines = PAGES.iter().flat_map(|page| page.lines().chain([""])).skip_while(|l| !l.starts_with(&begin));
    let first = lines.next()?.strip_prefix(&begin)?.to_owned();
    let more = lines.take_while(|line| line.starts_with("  "));
    Some(more.fold(first, |sentence, line| format!("{sentence} {}", line.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_is_of_sentences_that_are_there() {
        for (musts, what) in crate::checks::all() {
            assert!(!musts.is_empty(), "{what}");
            for must in musts {
                assert!(sentence(must).is_some(), "{must} of {what:?}");
            }
        }
    }

    #[test]
    fn a_sentence_is_read_to_its_end() {
        let sentence = sentence("MAN-007").expect("there");
        assert!(sentence.starts_with("An origin MUST be") && sentence.ends_with("need their own switch for it."));
    }
}
