//! Waiting for seats that come free.

use std::collections::HashMap;

use admit_client::{PurchaseNumber, Secret, Server, Waiting, Wallet};
use admit_protocol::capability::Capability;
use admit_protocol::id::ScreeningId;
use admit_protocol::problem::ProblemCode;
use admit_protocol::time::{Moment, ZoneName};
use admit_protocol::waitlist::{JoinWaitlist, WaitlistEntry, WaitlistState};
use anyhow::{Context as _, bail, ensure};
use clap::Subcommand;
use jiff::Timestamp;
use serde_json::json;

use crate::buy::{self, Offered};
use crate::reached::Reached;
use crate::showing::Showing;
use crate::{Context, find, queue, sales, show};

#[derive(Subcommand)]
pub(crate) enum WaitlistCommand {
    /// Get in line where there are no seats for you: what comes free is held for the first whom it fits.
    Join {
        /// The cinema's server.
        server: String,
        /// The screening.
        screening: String,
        /// How many you are, and where you would sit: best:4, best:4:ZONE, best:2=child.
        party: String,
        /// Sit apart, too, if that is all there is.
        #[arg(long)]
        split: bool,
        /// How many of you sit in their own wheelchair.
        #[arg(long, value_name = "PEOPLE", default_value_t = 0)]
        wheelchairs: u16,
        /// What one ticket may cost at most, all included, such as 12.00.
        #[arg(long)]
        highest_price: Option<String>,
        /// Whose tickets they are, one for each: adult,child,child. They are what you book when you take an offer.
        #[arg(long, value_delimiter = ',')]
        tickets: Vec<String>,
        /// Stand in this line once more, with another party.
        #[arg(long)]
        again: bool,
        #[command(flatten)]
        reached: Reached,
    },
    /// Where you are in line, and what you are offered.
    List,
    /// Book what you are offered.
    Take {
        /// Its number in `admit waitlist list`.
        number: PurchaseNumber,
        /// Book without asking, if it comes to at most this, such as 20.00.
        #[arg(long, allow_hyphen_values = true)]
        at_most: Option<String>,
        /// Whose tickets they are, one for each: adult,child,child. Without it they are what you said when you joined, or all of the
        /// first type in the list.
        #[arg(long, value_delimiter = ',')]
        tickets: Vec<String>,
    },
    /// Leave the line, or decline what you are offered: it goes to the next.
    Leave {
        /// Its number in `admit waitlist list`.
        number: PurchaseNumber,
        /// Decline what is offered without being asked.
        #[arg(long)]
        yes: bool,
    },
}

impl WaitlistCommand {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<()> {
        match self {
            Self::Join { server, screening, party, split, wheelchairs, highest_price, tickets, again, reached } => {
                let wallet = Wallet::open(&context.wallet())?;
                let typed = server;
                let server = wallet.meet(&find::client(context)?, &typed).await?;
                find::note_move(&typed, &server, context);
                let offered = server.manifest().offers(Capability::Waitlist);
                ensure!(offered, "{} has no waitlist: look again from time to time", server.origin());
                let id: ScreeningId = screening.parse().with_context(|| screening.clone())?;
                let screening = find::screening(&server, id).await?;
                sales::check(&screening, server.now())?;
                if let Some(number) = stands_in_line(&wallet, &server, id).await.filter(|_| !again) {
                    bail!(
                        "you stand in this line already: number {number} of `admit waitlist list` (--again for another party)"
                    );
                }
                let (best, tickets) =
                    buy::party(&party, (split, wheelchairs), highest_price.as_deref(), &tickets, &server, &screening)
                        .await?;
                let buyer = reached.check(&server)?.buyer(None);
                let keepsake = buy::keepsake_of(&server, &screening).await?;
                let book = format!("admit book {} {id} {party}", server.origin());
                let (secret, queue_pass) = match screening.queue {
                    Some(_) => {
                        let (secret, pass) = queue::pass(&wallet, &server, &screening, context).await?;
                        (secret, Some(pass))
                    }
                    None => (Secret::new()?, None),
                };
                let wish = (JoinWaitlist { best, buyer, queue_pass }, tickets);
                let joined = wallet.join_waitlist_as(&server, id, keepsake, wish, secret).await;
                let waiting = joined.inspect_err(|refused| {
                    if refused.code() == Some(ProblemCode::SeatsAvailable) && !context.json {
                        show::warn(&format!("there are seats for you: `{book}`"));
                    }
                })?;
                if context.json {
                    return show::json(&json!({"number": waiting.number, "entry": waiting.entry}));
                }
                Showing::of(&server, &screening).await?.print();
                let state = waiting.entry.as_ref().map(|entry| state(entry, &waiting)).unwrap_or_default();
                show::line(&format!("{} {state}", show::colour("1;32", "joined:")));
                show::line("what comes free is offered in the order of the line; look with `admit waitlist list`");
                Ok(())
            }
            Self::List => list(context).await,
            Self::Take { number, at_most, tickets } => {
                ensure!(
                    !context.json || at_most.is_some(),
                    "say --at-most, such as 20.00: with --json nobody is asked"
                );
                let wallet = Wallet::open(&context.wallet())?;
                let waiting = one(&wallet, number)?;
                let server = wallet.meet(&find::client(context)?, waiting.origin.as_str()).await?;
                let screening = find::screening(&server, waiting.screening).await?;
                let keepsake = buy::keepsake_of(&server, &screening).await?;
                let purchase = wallet.take_offer(&server, number, keepsake).await?;
                let reached = Reached::of(waiting.join_request.1.buyer.as_ref());
                let said = || waiting.tickets.iter().map(ToString::to_string).collect();
                let tickets = if tickets.is_empty() { said() } else { tickets };
                let kept = wallet.clone();
                let offered = Offered { server, wallet, purchase, screening, at_most, tickets, reached };
                Box::pin(buy::take(offered, context)).await?;
                Ok(kept.forget_waiting(number)?)
            }
            Self::Leave { number, yes } => {
                let wallet = Wallet::open(&context.wallet())?;
                let origin = one(&wallet, number)?.origin;
                let server = wallet.meet(&find::client(context)?, origin.as_str()).await?;
                let now = wallet.refresh_waiting(&server, number).await?;
                if let Some(offer) = buy::offer(&server, &now).await.filter(|_| !yes) {
                    ensure!(!context.json, "say --yes: with --json nobody is asked");
                    let question = format!("you are offered {offer}: give it away for good?");
                    let asked = show::agree(&question, &mut show::Stop::listen()?, "--yes").await;
                    asked.context("you still have it")?;
                }
                let left = wallet.leave_waitlist(&server, number).await?;
                let offered = left.state == WaitlistState::Offered;
                if context.json {
                    return show::json(&serde_json::json!({"left": number, "declined": offered}));
                }
                let seats =
                    if offered { ": what you were offered goes to the next whom it fits, or on sale" } else { "" };
                show::line(&format!("you are out of the line{seats}"));
                Ok(())
            }
        }
    }
}

fn one(wallet: &Wallet, number: PurchaseNumber) -> anyhow::Result<Waiting> {
    let found = wallet.waiting()?.into_iter().find(|w| w.number == number);
    found.with_context(|| format!("nothing of number {number} waits: see `admit waitlist list`, or `admit bookings`"))
}

/// Where a wallet stands in line for a screening already, or has an offer.
async fn stands_in_line(wallet: &Wallet, server: &Server, screening: ScreeningId) -> Option<PurchaseNumber> {
    let here = |w: &&Waiting| w.origin == *server.origin() && w.screening == screening;
    for known in wallet.waiting().ok()?.iter().filter(here) {
        // What came to an end since it was last heard of is no place in line.
        let now = wallet.refresh_waiting(server, known.number).await.ok().and_then(|w| w.entry);
        if now.is_some_and(|entry| matches!(entry.state, WaitlistState::Waiting | WaitlistState::Offered)) {
            return Some(known.number);
        }
    }
    None
}

async fn list(context: &Context) -> anyhow::Result<()> {
    let wallet = Wallet::open(&context.wallet())?;
    let mut silent: HashMap<PurchaseNumber, String> = HashMap::new();
    let mut offers: HashMap<PurchaseNumber, String> = HashMap::new();
    let mut heard = Vec::new();
    for waiting in wallet.waiting()? {
        let asked = match wallet.meet(&find::hurried_client(context)?, waiting.origin.as_str()).await {
            Ok(server) => {
                let asked = wallet.refresh_waiting(&server, waiting.number).await;
                if let Ok(now) = &asked {
                    offers.extend(buy::offer(&server, now).await.map(|offer| (now.number, offer)));
                }
                asked
            }
            Err(error) => Err(error),
        };
        heard.push(asked.unwrap_or_else(|error| {
            silent.insert(waiting.number, error.to_string());
            waiting
        }));
    }
    if context.json {
        show::json(&heard.iter().map(|w| serde_json::json!({
            "number": w.number, "title": w.title, "origin": w.origin, "entry": w.entry, "offer": offers.get(&w.number),
            "not_asked": silent.get(&w.number),
        })).collect::<Vec<_>>())?;
    } else if heard.is_empty() {
        show::line("you wait for nothing");
    } else {
        let row = |w: &Waiting| {
            let party = w.entry.as_ref().map_or(w.join_request.1.best.count, |entry| entry.best.count);
            let state = match &w.entry {
                Some(entry) if silent.contains_key(&w.number) => format!("{}, when it was last asked", state(entry, w)),
                Some(entry) => match offers.get(&w.number) {
                    Some(offer) => format!("{offer}: {}", state(entry, w)),
                    None => state(entry, w),
                },
                None => "not known yet: this asks again each time".to_owned(),
            };
            vec![w.number.to_string(), w.title.clone(), show::count(party.into(), "person"), state]
        };
        show::table(&["no", "what", "party", "state"], &heard.iter().map(row).collect::<Vec<_>>());
        for why in silent.values().collect::<std::collections::BTreeSet<_>>() {
            show::warn(why);
        }
    }
    // What came to an end was told now.
    Ok(wallet.forget_ended_waiting()?)
}

fn there(at: Timestamp, zone: Option<&ZoneName>) -> String {
    match zone.and_then(|zone| Moment::new(at, zone).ok()) {
        Some(moment) => show::moment(&moment),
        None => show::here(at),
    }
}

fn held(until: &str, number: PurchaseNumber) -> String {
    format!("SEATS ARE HELD FOR YOU until {until}: admit waitlist take {number}, or leave {number}")
}

fn state(entry: &WaitlistEntry, waiting: &Waiting) -> String {
    match entry.state {
        WaitlistState::Waiting => match (entry.position, entry.lapses) {
            (Some(1), 0) => "you are the next".to_owned(),
            (Some(n), 0) => format!("number {n} in line"),
            (n, lapses) => {
                let n = n.map_or_else(|| "in line".to_owned(), |n| format!("number {n} in line"));
                let last = if lapses >= 2 { ": the next one is the last" } else { "" };
                format!("{n}, after {} that you let go{last}", show::count(lapses.into(), "offer"))
            }
        },
        WaitlistState::Offered => {
            let until = entry.offer.as_ref().map(|offer| there(offer.expires_at, waiting.zone.as_ref()));
            held(&until.unwrap_or_default(), waiting.number)
        }
        WaitlistState::Taken => "booked: admit bookings".to_owned(),
        WaitlistState::Declined => "declined".to_owned(),
        WaitlistState::Gone => "over: you left, were silent too often, or it is not sold any more".to_owned(),
        other => other.to_string(),
    }
}
