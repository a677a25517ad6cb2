//! Bugs that tests must catch, planted one at a time: a test that cannot fail is no test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};

/// A bug: where, what it replaces, and which tests are asked.
struct Bug {
    number: u8,
    what: &'static str,
    file: &'static str,
    before: &'static str,
    after: &'static str,
    package: &'static str,
    /// Tests by a part of their name; all of them, if nothing is named.
    tests: &'static [&'static str],
}

const PROTOCOL: &str = "admit-protocol";
const BOOKING: &str = "admit-booking";
const SERVER: &str = "admit-server";

/// By the numbers of the list that the engine is held to; from 30 on, of what came later.
const BUGS: &[Bug] = &[
    Bug {
        number: 1,
        what: "skip the seat lock",
        file: "crates/booking/src/decide/hold.rs",
        before: "            let reason = self.conflict(place);",
        after: "            let reason: Option<ConflictReason> = None;",
        package: BOOKING,
        tests: &["holds"],
    },
    Bug {
        number: 2,
        what: "drop the unique key",
        file: "crates/server/migrations/sqlite/V1__cinema.sql",
        before: "    PRIMARY KEY (screening, place),\n    CHECK ((hold IS NULL) <> (block IS NULL))\n) STRICT, WITHOUT ROWID;",
        after: "    CHECK ((hold IS NULL) <> (block IS NULL))\n) STRICT;",
        package: SERVER,
        tests: &["contract::sqlite"],
    },
    Bug {
        number: 3,
        what: "update without owner check",
        file: "crates/server/src/store/sqlite/save.rs",
        before: "AND hold IS ?3 AND block IS ?4\"",
        after: "AND (hold IS ?3 OR true) AND (block IS ?4 OR true)\"",
        package: SERVER,
        tests: &["contract::sqlite"],
    },
    Bug {
        number: 4,
        what: "synchronous=NORMAL",
        file: "crates/server/src/store/sqlite.rs",
        before: "\"synchronous\", \"FULL\"",
        after: "\"synchronous\", \"NORMAL\"",
        package: SERVER,
        tests: &["a_commit_is_on_the_disk"],
    },
    Bug {
        number: 5,
        what: "reply before commit",
        file: "crates/server/src/engine/batch.rs",
        before: "        if self.changes.is_empty() && self.sure {\n            // The receiver",
        after: "        if self.sure {\n            // The receiver",
        package: SERVER,
        tests: &["commit::"],
    },
    Bug {
        number: 6,
        what: "treat commit error as refusal",
        file: "crates/server/src/engine/writer.rs",
        before: "                self.shared.poison();\n                return answer_all(changed, || Failed::OutcomeUnknown);",
        after: "                return answer_all(changed, || Failed::Busy);",
        package: SERVER,
        tests: &["commit::"],
    },
    Bug {
        number: 7,
        what: "idempotency record outside the transaction",
        file: "crates/server/src/store/sqlite/save.rs",
        before: "    for new in save.answers {",
        after: "    for new in save.answers.iter().take(0) {",
        package: SERVER,
        tests: &["idempotency", "contract::sqlite"],
    },
    Bug {
        number: 8,
        what: "ignore body hash",
        file: "crates/server/src/engine/resident.rs",
        before: "            return if known.said == key.body {",
        after: "            return if known.said == key.body || true {",
        package: SERVER,
        tests: &["idempotency"],
    },
    Bug {
        number: 15,
        what: "refund without revoking",
        file: "crates/booking/src/decide/cancel.rs",
        before: "        line.revoked = true;",
        after: "        line.revoked = false;",
        package: BOOKING,
        tests: &["bookings", "door"],
    },
    Bug {
        number: 16,
        what: "expiry by wall clock",
        file: "crates/server/src/clock.rs",
        before: "to_millisecond(self.anchor.checked_add(elapsed).unwrap_or(self.anchor))",
        after: "to_millisecond(self.anchor.checked_add(elapsed).map_or(self.anchor, |_| Timestamp::now()))",
        package: SERVER,
        tests: &["clock::"],
    },
    Bug {
        number: 17,
        what: "sweeper-only expiry",
        file: "crates/server/src/engine/batch.rs",
        before: "        let lapsed = self.house(committed).advance(self.now);",
        after: "        let due = self.now > committed.now() + jiff::SignedDuration::from_secs(3600);\n        \
                let lapsed = if due { self.house(committed).advance(self.now) } else { Changes::default() };",
        package: SERVER,
        tests: &["buying", "waitlist"],
    },
    Bug {
        number: 18,
        what: "waitlist skips its head for ever",
        file: "crates/booking/src/decide/waitlist.rs",
        before: "    now < after(terms.starts_at, -KEPT_UNTIL_S) && (entry",
        after: "    false && (entry",
        package: BOOKING,
        tests: &["waitlist"],
    },
    Bug {
        number: 19,
        what: "non-strict signature check",
        file: "crates/protocol/src/key.rs",
        before: "self.0.verify_strict(message, &signature)",
        after: "ed25519_dalek::Verifier::verify(&self.0, message, &signature)",
        package: PROTOCOL,
        tests: &["key::"],
    },
    Bug {
        number: 20,
        what: "ignore the generation",
        file: "crates/protocol/src/ticket.rs",
        before: "&line.to_be_bytes(), &generation.to_be_bytes()]",
        after: "&line.to_be_bytes(), &generation.min(0).to_be_bytes()]",
        package: PROTOCOL,
        tests: &["ticket::"],
    },
    Bug {
        number: 21,
        what: "duplicate check before validity",
        file: "crates/booking/src/door.rs",
        before: "    if ticket.screening != screening_digest(&screening) {\n        return Verdict::WrongShow;\n    }\n    \
                 let in_time = match state(ticket.id) {",
        after: "    let known = state(ticket.id);\n    if known == Some(AllowState::Used) {\n        return Verdict::Duplicate;\n    }\n    \
                if ticket.screening != screening_digest(&screening) {\n        return Verdict::WrongShow;\n    }\n    \
                let in_time = match known {",
        package: BOOKING,
        tests: &["door"],
    },
    Bug {
        number: 26,
        what: "deferred transactions",
        file: "crates/server/src/store/sqlite/save.rs",
        before: "TransactionBehavior::Immediate",
        after: "TransactionBehavior::Deferred",
        package: SERVER,
        tests: &["contract"],
    },
    Bug {
        number: 30,
        what: "one house of an exchange without the other",
        file: "crates/server/src/store/sqlite/save.rs",
        before: "            Err(Refused::Conflict) => return Ok(Outcome::Conflict),\n            Err(Refused::Broken(why)) => return",
        after: "            Err(Refused::Conflict) => {}\n            Err(Refused::Broken(why)) => return",
        package: SERVER,
        tests: &["contract::sqlite"],
    },
    Bug {
        number: 31,
        what: "an exchange makes money of what is worth none",
        file: "crates/booking/src/decide/exchange.rs",
        before: "zero.minus(left).unwrap_or(zero).max(zero).min(refundable))",
        after: "zero.minus(left).unwrap_or(zero).max(zero))",
        package: BOOKING,
        tests: &["exchange"],
    },
    Bug {
        number: 32,
        what: "another turn for who leaves and comes again",
        file: "crates/booking/src/queue.rs",
        before: "        if place.turn.is_some() {\n            return Some(QueuePlace",
        after: "        if place.turn.is_none() {\n            return Some(QueuePlace",
        package: BOOKING,
        tests: &["queue"],
    },
    Bug {
        number: 33,
        what: "turns closer together than announced",
        file: "crates/booking/src/queue.rs",
        before: "            let turn = drawn.next.max(now_here);",
        after: "            let turn = now_here;",
        package: BOOKING,
        tests: &["queue"],
    },
    Bug {
        number: 34,
        what: "an exchange that comes to nothing moves both houses on",
        file: "crates/server/src/engine/exchange.rs",
        before: "[&mut here, &mut there].into_iter().filter(|turn| turn.save().is_some()) {",
        after: "[&mut here, &mut there] {",
        package: SERVER,
        tests: &["exchange"],
    },
];

/// Plants each bug in a copy, runs the tests that must catch it, and takes it out again.
pub(crate) fn run(numbers: &[u8]) -> anyhow::Result<()> {
    let copy = copy_sources()?;
    for package in [BOOKING, SERVER] {
        ensure!(tests(&copy, package, &[])?.0, "{package}: a test fails where nothing is planted");
    }
    let mut missed = Vec::new();
    for bug in BUGS.iter().filter(|bug| numbers.is_empty() || numbers.contains(&bug.number)) {
        let path = copy.join(bug.file);
        let good = fs::read_to_string(&path).with_context(|| bug.file.to_owned())?;
        ensure!(good.matches(bug.before).count() == 1, "bug {}: {} has changed, plant it anew", bug.number, bug.file);
        fs::write(&path, good.replace(bug.before, bug.after))?;
        let began = Instant::now();
        let outcome = tests(&copy, bug.package, bug.tests);
        fs::write(&path, good)?;
        let (passed, said) = outcome?;
        if said.contains("could not compile") {
            bail!("bug {}: what was planted does not compile:\n{said}", bug.number);
        }
        let mut failed: Vec<&str> =
            said.lines().filter_map(|l| l.strip_suffix(" ... FAILED")?.strip_prefix("test ")).collect();
        failed.sort_unstable();
        let word = if passed { "MISSED" } else { "caught" };
        println!("{word} {:>2} {}, after {} s", bug.number, bug.what, began.elapsed().as_secs());
        failed.iter().for_each(|test| println!("          by {test}"));
        if passed {
            missed.push(bug.number);
        }
    }
    ensure!(missed.is_empty(), "nobody noticed: {missed:?}");
    Ok(())
}

/// The sources as they are, in a place of their own.
fn copy_sources() -> anyhow::Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    let copy = root.join("target/planted/sources");
    let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(&root).output()?;
    ensure!(listed.status.success(), "git lists no files here");
    for file in String::from_utf8(listed.stdout)?.split('\0').filter(|file| !file.is_empty()) {
        let (from, to) = (root.join(file), copy.join(file));
        // What is as it was is not written: cargo goes by the time of the last change.
        let bytes = fs::read(&from).with_context(|| file.to_owned())?;
        if fs::read(&to).is_ok_and(|there| there == bytes) {
            continue;
        }
        fs::create_dir_all(to.parent().context("a file is in a folder")?)?;
        fs::write(&to, bytes)?;
    }
    Ok(copy)
}

/// Whether these tests of a package pass, and what they said.
fn tests(copy: &Path, package: &str, names: &[&str]) -> anyhow::Result<(bool, String)> {
    let mut command = Command::new(env!("CARGO"));
    command.args(["test", "--locked", "--package", package, "--lib", "--test", "it", "--"]).args(names);
    command.current_dir(copy).env("CARGO_TARGET_DIR", copy.join("../target"));
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    Ok((output.status.success(), said))
}
