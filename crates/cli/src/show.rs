//! Words and tables for people, JSON for programs.

use std::io::{IsTerminal as _, Write as _};

use admit_client::{ClientError, WalletError};
use admit_protocol::id::SeatId;
use admit_protocol::layout::Layout;
use admit_protocol::screening::Screening;
use admit_protocol::text::{LanguageTag, Texts};
use admit_protocol::time::Moment;
use anyhow::anyhow;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

/// Prints a value as JSON.
pub(crate) fn json<T: Serialize>(value: &T) -> anyhow::Result<()> {
    line(&serde_json::to_string_pretty(value)?);
    Ok(())
}

/// Prints a value as JSON, in one line: for what goes on.
pub(crate) fn json_line<T: Serialize>(value: &T) -> anyhow::Result<()> {
    line(&serde_json::to_string(value)?);
    Ok(())
}

/// Prints a line. Somebody who stopped reading is no error.
pub(crate) fn line(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Says what went wrong, for programs: with the server's problem, if it was one.
pub(crate) fn error_as_json(error: &anyhow::Error) {
    let problem = error.chain().find_map(|cause| {
        let refused = cause.downcast_ref::<WalletError>().and_then(WalletError::problem);
        refused.or_else(|| cause.downcast_ref::<ClientError>().and_then(ClientError::problem))
    });
    let causes: Vec<String> = error.chain().skip(1).map(ToString::to_string).collect();
    let said = serde_json::json!({"error": error.to_string(), "causes": causes, "problem": problem});
    let _ = writeln!(std::io::stderr(), "{said}");
}

/// Says what went wrong, and what caused it, once.
pub(crate) fn error(error: &anyhow::Error) {
    let mut said = error.to_string();
    let mut all = said.clone();
    for (of, cause) in error.chain().zip(error.chain().skip(1)) {
        // It says itself why, in words for people; below it is how a connection is made.
        let of_wallet = of.downcast_ref().and_then(|error| match error {
            WalletError::Client(error) => Some(error),
            _ => None,
        });
        if matches!(of_wallet.or(of.downcast_ref()), Some(ClientError::Unreachable { .. })) {
            break;
        }
        let cause = cause.to_string();
        if !said.contains(&cause) {
            all.push_str(&format!("\n  because {cause}"));
            said.push_str(&cause);
        }
    }
    let _ = writeln!(std::io::stderr(), "{} {all}", colour("1;31", "error:"));
}

/// `1 hall`, `2 halls`.
pub(crate) fn count(n: usize, of: &str) -> String {
    format!("{n} {of}{}", if n == 1 { "" } else { "s" })
}

/// Says something that is no answer.
pub(crate) fn warn(text: &str) {
    let _ = writeln!(std::io::stderr(), "{} {text}", colour("33", "note:"));
}

/// A text in colour, where there is colour.
pub(crate) fn colour(code: &str, text: &str) -> String {
    let plain = !std::io::stdout().is_terminal() || std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
    if plain { text.to_owned() } else { format!("\u{1b}[{code}m{text}\u{1b}[0m") }
}

/// The reader's language, from the environment; English if it does not say.
pub(crate) fn language() -> LanguageTag {
    let set = ["LC_ALL", "LC_MESSAGES", "LANG"].iter().find_map(|name| std::env::var(name).ok());
    let tag = set.unwrap_or_default().split(['.', '@']).next().unwrap_or_default().replace('_', "-");
    let english = || LanguageTag::parse("en").expect("en is a tag");
    LanguageTag::parse(&tag).unwrap_or_else(|_| english())
}

/// A text in the reader's language.
pub(crate) fn text(texts: &Texts) -> &str {
    // The tag lives as long as the call: the borrow is of the texts.
    texts.best(&language())
}

/// `Sat 21 Nov 20:15 (Paris)`: by the clock of the cinema, and where that clock hangs.
pub(crate) fn moment(moment: &Moment) -> String {
    // A date that is far away may be of any year.
    let near = Timestamp::now().duration_since(moment.at()).abs() < SignedDuration::from_hours(24 * 180);
    let form = if near { "%a %d %b %H:%M" } else { "%a %d %b %Y %H:%M" };
    format!("{} ({})", moment.local().strftime(form), place(moment))
}

/// `Sat 21 Nov 20:15:30 (Paris)`.
pub(crate) fn moment_to_the_second(moment: &Moment) -> String {
    format!("{} ({})", moment.local().strftime("%a %d %b %H:%M:%S"), place(moment))
}

fn place(moment: &Moment) -> String {
    moment.zone().as_str().rsplit('/').next().unwrap_or_default().replace('_', " ")
}

/// An instant by the clock here: `14:57:04 on Sat 21 Nov (your clock)`.
pub(crate) fn here(at: Timestamp) -> String {
    format!("{} (your clock)", TimeZone::system().to_datetime(at).strftime("%H:%M:%S on %a %d %b"))
}

/// The time on the poster. A show after midnight belongs to the evening before: `Sat 21 Nov, after midnight: Sun 00:30
/// (Dublin)`.
pub(crate) fn start(screening: &Screening) -> String {
    let (starts, evening) = (&screening.starts_at, screening.business_date);
    if starts.local().date() == evening {
        return moment(starts);
    }
    let after = starts.local().strftime("%a %H:%M");
    format!("{}, after midnight: {after} ({})", evening.strftime("%a %d %b"), place(starts))
}

/// A seat as it is printed on the chair: `F9`; `3-14` where the row is a number, too; `Floor place 2` where there are none.
pub(crate) fn seat(seat: SeatId, layout: &Layout) -> String {
    let Some(known) = layout.seats.iter().find(|s| s.id == seat) else {
        let place = |(area, number)| {
            let area = layout.areas.iter().find(|a| a.id.as_str() == area)?;
            Some(format!("{} place {number}", text(&area.name)))
        };
        return seat.as_str().rsplit_once('.').and_then(place).unwrap_or_else(|| seat.to_string());
    };
    let (row, number) = (&known.row, &known.number);
    let dash = row.ends_with(char::is_numeric) && number.starts_with(char::is_numeric);
    format!("{row}{}{number}", if dash { "-" } else { "" })
}

/// Where a database is, without who opens it and how.
pub(crate) fn host(address: &str) -> &str {
    let after = address.split_once("://").map_or(address, |(_, rest)| rest);
    after.rsplit_once('@').map_or(after, |(_, host)| host)
}

/// Whether somebody who types `a` means `b`.
pub(crate) fn same(a: &str, b: &str) -> bool {
    a.to_lowercase() == b.to_lowercase()
}

/// Hears Ctrl-C, SIGTERM and a terminal that is closed, from when it is made: whoever holds seats makes one before.
pub(crate) struct Stop {
    #[cfg(unix)]
    signals: Vec<tokio::signal::unix::Signal>,
}

impl Stop {
    pub(crate) fn listen() -> anyhow::Result<Self> {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
            Ok(Self { signals: kinds.into_iter().map(signal).collect::<Result<_, _>>()? })
        }
        #[cfg(not(unix))]
        Ok(Self {})
    }

    /// When it was.
    pub(crate) async fn asked(&mut self) {
        #[cfg(unix)]
        {
            let mut signals = self.signals.iter_mut();
            let [first, second, third] = [(); 3].map(|()| signals.next());
            let heard = async |signal: Option<&mut tokio::signal::unix::Signal>| match signal {
                Some(signal) => drop(signal.recv().await),
                None => std::future::pending().await,
            };
            tokio::select! { () = heard(first) => {}, () = heard(second) => {}, () = heard(third) => {} }
        }
        #[cfg(not(unix))]
        let _ = tokio::signal::ctrl_c().await;
    }
}

/// Asks, and waits for an answer or to be stopped, which is none. Only a yes is a yes; `flag` is how to say it beforehand, where nobody
/// can be asked.
pub(crate) async fn agree(question: &str, stop: &mut Stop, flag: &str) -> anyhow::Result<()> {
    let _ = write!(std::io::stderr(), "{question} [y/N] ");
    let (tell, told) = tokio::sync::oneshot::channel();
    // A thread of its own: one that waits for a line cannot be ended, and must not keep the program from ending.
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = std::io::stdin().read_line(&mut line).is_ok_and(|bytes| bytes > 0);
        let _ = tell.send(read.then(|| matches!(line.trim().to_lowercase().as_str(), "y" | "yes")));
    });
    tokio::select! {
        answer = told => {
            // Nobody typed a line end.
            if !std::io::stdin().is_terminal() {
                let _ = writeln!(std::io::stderr());
            }
            match answer.ok().flatten() {
                Some(true) => Ok(()),
                Some(false) => Err(anyhow!("you did not say yes")),
                None => Err(anyhow!("nobody could be asked: say {flag} beforehand")),
            }
        }
        () = stop.asked() => {
            let _ = writeln!(std::io::stderr());
            Err(anyhow!("it was stopped"))
        }
    }
}

/// A table without lines: columns as wide as they need to be. The terminal breaks what is too long for it, so that what is to be
/// copied stays whole.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_content_arrangement(comfy_table::ContentArrangement::Disabled);
    table.set_header(head.iter().map(|h| h.to_uppercase()));
    table.add_rows(rows);
    for row in table.lines() {
        line(row.trim_end());
    }
}
