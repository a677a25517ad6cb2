//! A door whose server can be reached.

use std::path::{Path, PathBuf};
use std::time::Duration;

use admit_client::{Client, Door, Options, Scanner, Secret};
use admit_protocol::digest::ContentName;
use admit_protocol::door::{ScanResult, Verdict};
use admit_protocol::id::ScanId;
use admit_protocol::layout::Layout;
use admit_protocol::origin::Origin;
use admit_protocol::price::TicketType;
use admit_protocol::screening::Screening;
use admit_protocol::ticket::TICKET_EARLY_S;
use admit_protocol::time::after;
use anyhow::Context as _;
use jiff::Timestamp;
use serde_json::json;

use super::{LetIn, Read, Where, good_for, print, printed_on, scan, undo};
use crate::showing::Showing;
use crate::{Context, find, show};

/// What is known while there is a network.
pub(super) struct Post {
    pub(super) scanner: Scanner,
    shown: Screening,
    layout: Layout,
    types: Vec<TicketType>,
}

impl Where {
    /// Where this machine keeps what it knows of this door.
    pub(super) fn file(&self, context: &Context) -> anyhow::Result<PathBuf> {
        let options = find::options(context);
        let origin = Origin::parse(&self.server, options.origins).with_context(|| self.server.clone())?;
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '_' };
        let origin: String = origin.as_str().chars().map(plain).collect();
        // What one scanner let in is no other's to send.
        let scanner = ContentName::of(self.token.as_bytes()).to_string();
        Ok(context.data("door").join(format!("{origin}-{}-{}.door", self.screening, &scanner[7..15])))
    }
}

impl Post {
    /// Finds the server. Who stands before a door does not wait for half a minute.
    pub(super) async fn reach(at: &Where, context: &Context) -> anyhow::Result<Self> {
        let token: Secret =
            at.token.parse().context("this is not a scanner's token, as `admit cinema device` prints it")?;
        let (connect_timeout, timeout) = (Duration::from_secs(1), Duration::from_secs(3));
        let client = Client::new(Options { tries: 1, connect_timeout, timeout, ..find::options(context) })?;
        let server = client.server(&at.server, None).await?;
        let shown = find::screening(&server, at.screening).await?;
        let layout = server.layout(shown.layout).await?;
        let types = server.price_table(shown.price_table).await?.ticket_types;
        Ok(Self { scanner: server.scanner(token), shown, layout, types })
    }

    /// Says which door it is.
    pub(super) async fn welcome(&self, context: &Context) -> anyhow::Result<()> {
        if context.json {
            return Ok(());
        }
        let shown = &self.shown;
        show::line(&Showing::of(self.scanner.server(), shown).await?.title());
        if !shown.status.takes_place() {
            let off = shown.status.as_str().to_uppercase();
            show::line(&show::colour(
                "1;31",
                &format!("IT IS {off}: none of its tickets lets in, and all that was paid comes back"),
            ));
        }
        let doors = shown.doors_at.as_ref().unwrap_or(&shown.starts_at);
        if Timestamp::now() < after(doors.at(), -TICKET_EARLY_S) {
            show::warn(&format!(
                "doors open {}: tickets are good from a day before, and nobody is let in yet",
                show::moment(doors)
            ));
        } else if Timestamp::now() < after(doors.at(), -3600) {
            show::warn(&format!("doors open {}: who is let in now has used the ticket", show::moment(doors)));
        }
        Ok(())
    }

    /// One code, or `undo`; what was said of it, if it was a code.
    pub(super) async fn does(
        &self,
        id: ScanId,
        read: &Read,
        let_in: &LetIn,
        door: Option<&mut Door>,
        context: &Context,
    ) -> anyhow::Result<Option<Verdict>> {
        let Self { scanner, shown, layout, types } = self;
        let code = read.code.as_str();
        if code.eq_ignore_ascii_case("undo") {
            let undone = undo(scanner, shown.id, id, let_in, layout, context).await?;
            door.zip(undone).map_or(Ok(()), |(door, scan)| door.heard_back(scan.ticket))?;
            return Ok(None);
        }
        let result = scan(scanner, shown.id, id, (code, read.proof.as_deref())).await?;
        let good_for = match result.verdict {
            Verdict::WrongShow => good_for(scanner.server(), code).await,
            Verdict::Revoked => printed_on(scanner.server(), code),
            _ => None,
        };
        // The door's clock is the cinema's.
        let when = (shown.starts_at.zone(), shown.starts_at.at());
        print(&result, good_for, (layout, types), when, context)?;
        let verdict = result.verdict;
        if verdict == Verdict::Green {
            door.map_or(Ok(()), |door| door.heard(&result, Timestamp::now()))?;
            let_in.change(|scans| scans.push(result))?;
        }
        Ok(Some(verdict))
    }

    /// Tells the server what was done without it, and gets the list of now. A server that gives none out leaves the door as it is.
    pub(super) async fn catch_up(&self, door: &mut Option<Door>, path: &Path, context: &Context) -> anyhow::Result<()> {
        match door {
            Some(door) => {
                self.send_unsent(door, context).await?;
                door.renew(&self.scanner).await?;
            }
            None => *door = Some(Door::begin(path, &self.scanner, self.shown.id).await?),
        }
        Ok(())
    }

    /// Sends what was done without a network; says who is in and should not be. How many scans there were.
    pub(super) async fn send_unsent(&self, door: &mut Door, context: &Context) -> anyhow::Result<usize> {
        let mut sent = 0;
        while door.unsent() > 0 {
            let results = door.send(&self.scanner).await?;
            for result in results.iter().filter(|result| result.verdict != Verdict::Green) {
                if context.json {
                    show::json(&json!({"let_in_by_mistake": result}))?;
                } else {
                    show::warn(&self.in_by_mistake(result));
                }
            }
            sent += results.len();
        }
        Ok(sent)
    }

    fn in_by_mistake(&self, result: &ScanResult) -> String {
        let who = match result.seat {
            Some(seat) => format!("seat {}", show::seat(seat, &self.layout)),
            None => "somebody".to_owned(),
        };
        let why = match (result.verdict, &result.first) {
            (Verdict::Duplicate, Some(first)) => {
                format!("came in twice: the first time {} at {}", show::here(first.at), first.device)
            }
            (Verdict::Duplicate, None) => "came in twice".to_owned(),
            (Verdict::Unpaid, _) => "had not paid".to_owned(),
            _ => "had a ticket that is good no more".to_owned(),
        };
        format!("let in without a network: {who} {why}")
    }
}
