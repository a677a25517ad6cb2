//! What came of the checks, for people and for programs.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::checks::{self, Outcome, Seen};
use crate::spec;
use crate::target::Mode;

/// Exchanges that are shown of a failure in a terminal: the last ones.
const SHOWN: usize = 4;

pub(crate) struct Report<'a> {
    pub(crate) target: &'a str,
    pub(crate) mode: Mode,
    pub(crate) seed: u64,
    pub(crate) results: &'a [Seen],
}

impl Report<'_> {
    fn count(&self, wanted: fn(&Outcome) -> bool) -> usize {
        self.results.iter().filter(|r| wanted(&r.outcome)).count()
    }

    fn passed(&self) -> usize {
        self.count(|o| matches!(o, Outcome::Passed))
    }

    fn failed(&self) -> usize {
        self.count(Outcome::is_failure)
    }

    fn not_run(&self) -> usize {
        self.count(|o| matches!(o, Outcome::NotRun(_)))
    }

    /// Sentences that something was seen of: skips do not count.
    fn musts_checked(&self) -> usize {
        let run = self.results.iter().filter(|r| !matches!(r.outcome, Outcome::NotRun(_)));
        run.flat_map(|r| r.musts).collect::<BTreeSet<_>>().len()
    }

    pub(crate) fn print(&self, as_json: bool) {
        if as_json {
            println!("{}", self.json());
            return;
        }
        for Seen { musts, what, outcome } in self.results {
            let numbers = musts.join(" ");
            match outcome {
                Outcome::Passed => println!("passed   {what} ({numbers})"),
                Outcome::NotRun(why) => println!("not run  {what} ({numbers}): {why}"),
                Outcome::Failed { why, exchanges } => {
                    println!("FAILED   {what} ({numbers})\n         {why}");
                    for must in *musts {
                        println!("         {must}: {}", spec::sentence(must).unwrap_or_default());
                    }
                    let cut = exchanges.len().saturating_sub(SHOWN);
                    println!("         the last of {} requests:", exchanges.len());
                    exchanges[cut..].iter().flat_map(|e| e.lines()).for_each(|line| println!("           {line}"));
                }
            }
        }
        println!(
            "{} ({}, seed {}): {} passed, {} failed, {} not run; {} of {} sentences were looked at",
            self.target,
            self.mode.word(),
            self.seed,
            self.passed(),
            self.failed(),
            self.not_run(),
            self.musts_checked(),
            spec::numbers().len(),
        );
    }

    fn json(&self) -> Value {
        let checks: Vec<Value> = self.results.iter().map(value).collect();
        json!({"target": self.target, "mode": self.mode.word(), "seed": self.seed, "suite": env!("CARGO_PKG_VERSION"),
            "spec": "v1", "passed": self.passed(), "failed": self.failed(), "not_run": self.not_run(),
            "musts": spec::numbers().len(), "musts_checked": self.musts_checked(), "checks": checks})
    }

    /// JUnit's XML, as continuous integration reads it.
    pub(crate) fn junit(&self) -> String {
        let mut xml = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"admit-conformance\" tests=\"{}\" failures=\"{}\" skipped=\"{}\">\n",
            self.results.len(),
            self.failed(),
            self.not_run()
        );
        for Seen { musts, what, outcome } in self.results {
            let _ = write!(xml, "  <testcase classname=\"{}\" name=\"{}\"", musts.join(" "), escaped(what));
            let _ = match outcome {
                Outcome::Passed => writeln!(xml, "/>"),
                Outcome::NotRun(why) => writeln!(xml, "><skipped message=\"{}\"/></testcase>", escaped(why)),
                Outcome::Failed { why, exchanges } => {
                    let script = escaped(&exchanges.join("\n"));
                    writeln!(xml, "><failure message=\"{}\">{script}</failure></testcase>", escaped(why))
                }
            };
        }
        xml + "</testsuite>\n"
    }

    /// A page that can be kept.
    pub(crate) fn html(&self) -> String {
        let mut rows = String::new();
        for Seen { musts, what, outcome } in self.results {
            let (word, class) = match outcome {
                Outcome::Passed => ("passed", "passed"),
                Outcome::Failed { .. } => ("failed", "failed"),
                Outcome::NotRun(_) => ("not run", "not-run"),
            };
            let numbers = musts.join(" ");
            let _ = write!(rows, "<li class=\"{class}\"><h2><span>{word}</span> {}</h2><p>{numbers}", escaped(what));
            match outcome {
                Outcome::Passed => {}
                Outcome::NotRun(why) => drop(write!(rows, ": {}", escaped(why))),
                Outcome::Failed { why, exchanges } => {
                    let _ = write!(rows, "</p><p><strong>{}</strong></p>", escaped(why));
                    for must in *musts {
                        let sentence = spec::sentence(must).unwrap_or_default();
                        let _ = write!(rows, "<blockquote>{must}: {}</blockquote>", escaped(&sentence));
                    }
                    let script = escaped(&exchanges.join("\n"));
                    let _ = write!(
                        rows,
                        "<details><summary>{} requests</summary><pre>{script}</pre></details><p>",
                        exchanges.len()
                    );
                }
            }
            rows.push_str("</p></li>\n");
        }
        let title = format!("{} of {} passed: {}", self.passed(), self.results.len(), escaped(self.target));
        format!(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
             <title>{title}</title><style>{STYLE}</style><h1>{title}</h1><p>{} mode, seed {}: {} failed, {} not run; {} of {} sentences \
             of v1 were looked at. What was not run counts as nothing.</p><ol>{rows}</ol></html>\n",
            self.mode.word(),
            self.seed,
            self.failed(),
            self.not_run(),
            self.musts_checked(),
            spec::numbers().len(),
        )
    }
}

const STYLE: &str = "body{font:1rem/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1b1f;background:#fff}\
ol{list-style:none;padding:0}li{border-left:.3rem solid;padding:.2rem 1rem;margin:.5rem 0}h2{font-size:1rem;margin:0}\
h2 span{display:inline-block;min-width:4.5rem}.passed{border-color:#1a7f37}.failed{border-color:#c62828;background:#fdecea}\
.not-run{border-color:#777}p{margin:.2rem 0}pre{overflow-x:auto;background:#f3f3f5;padding:.5rem}blockquote{margin:.3rem 0 .3rem 1rem}\
@media(prefers-color-scheme:dark){body{color:#e6e6ea;background:#17171a}pre{background:#26262b}.failed{background:#3a1d1d}}";

fn escaped(text: &str) -> String {
    let plain = text.chars().filter(|c| !c.is_control() || *c == '\n').collect::<String>();
    plain.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn value(result: &Seen) -> Value {
    let mut value = json!({"what": result.what, "musts": result.musts});
    match &result.outcome {
        Outcome::Passed => value["outcome"] = json!("passed"),
        Outcome::NotRun(why) => {
            value["outcome"] = json!("not_run");
            value["why"] = json!(why);
        }
        Outcome::Failed { why, exchanges } => {
            value["outcome"] = json!("failed");
            value["why"] = json!(why);
            value["exchanges"] = json!(exchanges);
        }
    }
    value
}

/// Every sentence, and what checks it.
pub(crate) fn coverage(as_json: bool, as_page: bool) {
    let by =
        |must: &str| checks::all().filter(|(musts, _)| musts.contains(&must)).map(|(_, what)| what).collect::<Vec<_>>();
    let all: Vec<(String, Vec<&str>)> = spec::numbers().into_iter().map(|n| (n.clone(), by(&n))).collect();
    let tested = all.iter().filter(|(_, by)| !by.is_empty()).count();
    let elsewhere = |must: &str| ELSEWHERE.iter().find(|(of, ..)| *of == must).map(|(_, file, test)| (*file, *test));
    let only_elsewhere = all.iter().filter(|(must, by)| by.is_empty() && elsewhere(must).is_some()).count();
    if as_json {
        let sentences =
            all.iter().map(|(must, by)| json!({"must": must, "checked_by": by, "elsewhere": elsewhere(must)}));
        let sentences: Vec<Value> = sentences.collect();
        println!(
            "{}",
            json!({"musts": all.len(), "musts_tested": tested, "musts_tested_elsewhere": only_elsewhere, "sentences": sentences})
        );
        return;
    }
    let said = |must: &str, by: &[&str]| match (by, elsewhere(must)) {
        ([], Some((file, test))) => format!("not seen from outside: `{test}` in {file}"),
        (by, _) => by.join("; "),
    };
    if as_page {
        println!(
            "# What is checked\n\nMade by `admit-conformance coverage --markdown`: of {} sentences the suite checks {tested}; {only_elsewhere} more \
             cannot be seen from outside, and have a test of this repository or a vector.\n",
            all.len()
        );
        println!("| sentence | checked by |\n| --- | --- |");
        for (must, by) in &all {
            println!("| {must} | {} |", said(must, by));
        }
        return;
    }
    for (must, by) in &all {
        println!(
            "{must:10} {}",
            if by.is_empty() && elsewhere(must).is_none() { "-".to_owned() } else { said(must, by) }
        );
    }
    println!("{tested} of {} sentences are checked, {only_elsewhere} more by tests of this repository", all.len());
}

/// Sentences that a suite cannot see kept: by which test they are kept here.
const ELSEWHERE: &[(&str, &str, &str)] = &[
    ("TIME-004", "spec/v1/vectors/times.json", "locals"),
    ("TIME-005", "spec/v1/vectors/times.json", "locals"),
    ("MAN-013", "crates/server/src/keys/folder.rs", "the_recovery_key_replaces_an_identity_that_was_lost_or_stolen"),
    ("MAN-014", "crates/cli/tests/it/moving.rs", "who_knew_a_cinema_goes_with_it_man_014_man_015"),
    ("KEY-007", "crates/cli/tests/it/wallet.rs", "who_has_a_key_of_their_own_buys_with_it_everywhere_key_007"),
    (
        "IDX-006",
        "crates/cli/tests/it/federation.rs",
        "an_entry_is_claimed_from_the_host_of_its_website_and_by_nobody_else",
    ),
    (
        "IDX-009",
        "crates/cli/tests/it/federation.rs",
        "a_server_with_other_keys_is_in_quarantine_for_14_days_or_until_the_operator_has_asked",
    ),
    (
        "IDX-012",
        "crates/cli/tests/it/federation.rs",
        "a_server_with_other_keys_is_in_quarantine_for_14_days_or_until_the_operator_has_asked",
    ),
    ("PRIV-005", "crates/server/tests/it/notifications.rs", "thirty_days_after_the_end_nobody_is_known_priv_005"),
    ("RCPT-006", "crates/protocol/src/receipt.rs", "what_an_honest_cinema_never_says_is_found_rcpt_006"),
    ("CANC-010", "crates/booking/tests/it/bookings.rs", "what_was_kept_by_mistake_is_given_back_after_all_canc_010"),
    ("DOOR-007", "crates/cli/tests/it/door.rs", "a_door_goes_on_without_a_network_and_tells_the_server_afterwards"),
    ("PROG-004", "crates/server/tests/it/catalogue.rs", "a_hall_is_corrected_until_somebody_had_a_seat_prog_004"),
];
