//! What a person has bought: listed, and cancelled.

use std::collections::{BTreeSet, HashMap};
use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use admit_client::{ClientError, Purchase, PurchaseNumber, Server, Wallet, WalletError, Which};
use admit_protocol::booking::{Booking, BookingLine, BookingState, TicketState};
use admit_protocol::exchange::BookingLink;
use admit_protocol::id::SeatId;
use admit_protocol::money::Money;
use admit_protocol::problem::ProblemCode;
use admit_protocol::time::Moment;
use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::json;

use crate::showing::Showing;
use crate::{Context, find, show};

/// Everything in the wallet, as the cinemas have it now. What was asked and not answered is asked again.
#[derive(Args)]
pub(crate) struct List {
    /// Ask no cinema: what was heard last.
    #[arg(long)]
    offline: bool,
}

impl List {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let wallet = Wallet::open(&context.wallet())?;
        let news = if self.offline { News::default() } else { ask(&wallet, context).await? };
        let purchases = wallet.purchases()?;
        if context.json {
            let rows = purchases.iter().map(|p| {
                let state = state(p, &purchases, &news);
                json!({"number": p.number, "title": p.title, "origin": p.origin, "screening": p.screening,
                    "state": state, "not_asked": news.silent.get(&p.number), "booking": p.booking, "hold": p.hold.as_ref().filter(|_| p.booking.is_none())})
            });
            return show::json(&rows.collect::<Vec<_>>());
        }
        let rows: Vec<Vec<String>> = purchases
            .iter()
            .map(|p| {
                let reference = p.booking.as_ref().map(|b| b.reference.clone()).unwrap_or_default();
                vec![
                    p.number.to_string(),
                    reference,
                    p.title.clone(),
                    seats(p),
                    tickets(p),
                    state(p, &purchases, &news),
                ]
            })
            .collect();
        if rows.is_empty() {
            show::line(&format!("nothing booked yet in {}", context.wallet().display()));
            show::line("(who has lost such a file goes to the cinema's counter, with the reference of the booking)");
        } else {
            show::table(&["no", "ref", "what", "seats", "tickets", "state"], &rows);
        }
        for why in news.silent.values().collect::<BTreeSet<_>>() {
            show::warn(why);
        }
        Ok(())
    }
}

/// What is heard of bookings.
#[derive(Default)]
struct News {
    /// Which cinemas could not be asked, and why.
    silent: HashMap<PurchaseNumber, String>,
    /// What became of the screening itself.
    changed: HashMap<PurchaseNumber, Change>,
    /// What the cinemas themselves know nothing of.
    lost: BTreeSet<PurchaseNumber>,
}

/// What became of a screening since it was booked, in words.
pub(crate) enum Change {
    /// It does not take place: what to do.
    Off(String),
    /// It is another film, or begins at another time: what it is now.
    Other(String),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off(what_to_do) => f.write_str(what_to_do),
            Self::Other(now) => write!(f, "CHANGED, it is now {now}"),
        }
    }
}

/// Whether a screening is not what was booked any more.
pub(crate) async fn change(server: &Server, purchase: &Purchase) -> Option<Change> {
    let now = &server.screening(purchase.screening).await.ok()?;
    let title = Showing::of(server, now).await.ok()?.title();
    match now.status {
        status if !status.takes_place() => {
            let used = |b: &Booking| b.lines.iter().any(|l| l.state == TicketState::Used);
            let how = match &purchase.booking {
                Some(booking) if booking.paid.is_zero() => "you have paid nothing, and need do nothing".to_owned(),
                Some(booking) if used(booking) => "the box office gives back all that was paid".to_owned(),
                _ => format!("`admit cancel {}` brings back all that was paid", purchase.number),
            };
            Some(Change::Off(format!("IT IS {}: {how}", now.status.as_str().to_uppercase())))
        }
        // The title is of the day it was booked.
        _ if purchase.title == title => None,
        _ => {
            // What is the same as it was need not be said again.
            let words = |title: &str| title.split(", ").map(str::to_owned).collect::<Vec<_>>();
            let before = words(&purchase.title);
            let new: Vec<String> = words(&title).into_iter().filter(|word| !before.contains(word)).collect();
            Some(Change::Other(new.join(", ")))
        }
    }
}

/// Asks again what is not known, with the same keys, and how bookings stand. Says which cinema could not be asked.
async fn ask(wallet: &Wallet, context: &Context) -> anyhow::Result<News> {
    let mut servers: HashMap<String, Result<Server, String>> = HashMap::new();
    let News { mut silent, mut changed, mut lost } = News::default();
    let open =
        |p: &Purchase| p.booking.as_ref().is_none_or(|b| b.state != BookingState::Cancelled || !b.refund_due.is_zero());
    for purchase in wallet.purchases()?.into_iter().filter(|p| p.is_open() || open(p)) {
        let origin = purchase.origin.to_string();
        if !servers.contains_key(&origin) {
            let met = wallet.meet(&find::hurried_client(context)?, &origin).await.map_err(|e| e.to_string());
            servers.insert(origin.clone(), met);
        }
        let asked = match &servers[&origin] {
            Ok(server) if purchase.is_open() => wallet.resume(server, purchase.number).await.map(drop),
            Ok(server) if purchase.booking.is_some() => wallet.refresh(server, purchase.number).await.map(drop),
            Ok(_) => Ok(()),
            Err(error) => {
                silent.insert(purchase.number, error.clone());
                continue;
            }
        };
        match asked {
            // Now it is known: it was not done.
            Ok(()) | Err(WalletError::TooOld) => {}
            Err(error) if purchase.booking.is_some() && error.code() == Some(ProblemCode::NotFound) => {
                lost.insert(purchase.number);
                continue;
            }
            Err(WalletError::Client(ClientError::Refused(_))) if !still_open(wallet, purchase.number) => {}
            Err(error) => drop(silent.insert(purchase.number, error.to_string())),
        }
        // As it stands by now.
        let purchase = wallet.purchase(purchase.number).ok().filter(|p| p.booking.is_some());
        if let (Ok(server), Some(purchase)) = (&servers[&origin], purchase) {
            let change = change(server, &purchase).await;
            wallet.keep_what_became(purchase.number, change.as_ref().map(ToString::to_string))?;
            changed.extend(change.map(|change| (purchase.number, change)));
        }
    }
    for server in servers.values().flatten() {
        wallet.forget_lapsed(server)?;
    }
    Ok(News { silent, changed, lost })
}

fn still_open(wallet: &Wallet, number: PurchaseNumber) -> bool {
    wallet.purchase(number).is_ok_and(|p| p.is_open())
}

fn seats(purchase: &Purchase) -> String {
    let standing = |b: &Booking| -> Vec<String> {
        let stands = b.lines.iter().filter(|l| l.state != TicketState::Revoked);
        stands.map(|l| purchase.printed(&l.seat)).collect()
    };
    let held = || {
        let held = purchase.hold.iter().flat_map(|h| &h.seats);
        held.map(|s| purchase.printed(&s.seat)).collect()
    };
    purchase.booking.as_ref().map_or_else(held, standing).join(" ")
}

/// Whose tickets stand: `Adult, 2 Child`.
fn tickets(purchase: &Purchase) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    let lines = purchase.booking.iter().flat_map(|b| &b.lines).filter(|l| l.state != TicketState::Revoked);
    for kind in lines.map(|l| purchase.called(&l.ticket_type)) {
        match counts.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, count)) => *count += 1,
            None => counts.push((kind, 1)),
        }
    }
    let words = |(kind, count): &(&str, usize)| match count {
        1 => (*kind).to_owned(),
        n => format!("{n} {kind}"),
    };
    counts.iter().map(words).collect::<Vec<_>>().join(", ")
}

fn state(purchase: &Purchase, all: &[Purchase], news: &News) -> String {
    let why = news.silent.get(&purchase.number);
    if purchase.is_open() && why.is_some() {
        return "not known yet: this asks again each time".to_owned();
    }
    if news.lost.contains(&purchase.number) {
        return "THE CINEMA DOES NOT KNOW THIS BOOKING any more: show it at its counter".to_owned();
    }
    // By the cinema's clock: that is where it counts.
    let there = |at: Timestamp| match purchase.zone.as_ref().and_then(|zone| Moment::new(at, zone).ok()) {
        Some(moment) => show::moment(&moment),
        None => format!("{} (your clock)", TimeZone::system().to_datetime(at).strftime("%a %d %b %H:%M")),
    };
    let known = match (&purchase.booking, &purchase.hold) {
        (Some(booking), _) => booked_state(booking, all, there),
        (None, Some(hold)) => match purchase.for_exchange {
            Some(from) => format!(
                "held until {} for an exchange of number {from}: the same `admit exchange` goes on",
                there(hold.expires_at)
            ),
            None => format!(
                "held until {}, not booked: the same `admit book` goes on, `admit cancel {}` gives it back",
                there(hold.expires_at),
                purchase.number
            ),
        },
        (None, None) => "not known yet".into(),
    };
    let stands = purchase.booking.as_ref().is_some_and(|b| b.state != BookingState::Cancelled);
    match (why, news.changed.get(&purchase.number).filter(|_| stands)) {
        (Some(_), _) => {
            let became = purchase.became.as_ref().filter(|_| stands).map(|became| format!("{became}: "));
            format!("{}{known}, when it was last asked", became.unwrap_or_default())
        }
        (None, Some(change @ Change::Other(_))) => format!("{change}: {known}"),
        (None, Some(change @ Change::Off(_))) => change.to_string(),
        (None, None) => known,
    }
}

/// The purchases that lines of a booking were given for, as people find them: `number 4`.
pub(crate) fn successors(booking: &Booking, all: &[Purchase]) -> String {
    let links = booking.lines.iter().filter_map(|l| l.replaced_by.as_ref());
    let of = |link: &BookingLink| all.iter().find(|p| p.booking.as_ref().is_some_and(|b| b.id == link.booking));
    let numbers: BTreeSet<PurchaseNumber> = links.filter_map(of).map(|p| p.number).collect();
    let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    if numbers.is_empty() {
        "another booking".into()
    } else {
        format!("number{} {}", if numbers.len() == 1 { "" } else { "s" }, numbers.join(" and "))
    }
}

fn booked_state(booking: &Booking, all: &[Purchase], there: impl Fn(Timestamp) -> String) -> String {
    let back = match (booking.refunded, booking.refund_due) {
        (none, _) if none.is_zero() => String::new(),
        (all, due) if due.is_zero() => format!(", you got {all} back"),
        (_, due) => format!(", {due} comes back, at the cinema's counter"),
    };
    let gone: Vec<&BookingLine> = booking.lines.iter().filter(|l| l.state == TicketState::Revoked).collect();
    let exchanged = gone.iter().filter(|l| l.replaced_by.is_some()).count();
    let instead = || format!("exchanged for {}", successors(booking, all));
    let known = match (booking.state, exchanged) {
        (BookingState::Confirmed, _) => "booked".to_owned(),
        (BookingState::PartCancelled, 0) => "booked, some tickets cancelled".into(),
        (BookingState::PartCancelled, n) if n == gone.len() => format!("booked, some tickets {}", instead()),
        (BookingState::PartCancelled, _) => format!("booked, some tickets cancelled, some {}", instead()),
        (BookingState::Cancelled, 0) if booking.paid.is_zero() && !booking.total.is_zero() => {
            let by = booking.collect_by.map(|by| format!("; it was to be paid by {}", there(by))).unwrap_or_default();
            return format!("cancelled, nothing was paid{by}");
        }
        (BookingState::Cancelled, 0) => return format!("cancelled{back}"),
        (BookingState::Cancelled, n) if n == gone.len() => return format!("{}{back}", instead()),
        (BookingState::Cancelled, _) => return format!("some tickets cancelled, some {}{back}", instead()),
        (other, _) => return format!("{other}{back}"),
    };
    if booking.balance_due.is_zero() {
        let paid = if booking.total.is_zero() { "" } else { ", paid" };
        return format!("{known}{paid}{back}");
    }
    let by = booking.collect_by.map(|by| format!(" by {}", there(by))).unwrap_or_default();
    let left = left_of(booking);
    let paid = if left.is_zero() { String::new() } else { format!("{left} paid, ") };
    format!("{known}, {paid}{} to pay at the cinema{by}", booking.balance_due)
}

/// What was paid, and neither came back nor moved to another booking.
pub(crate) fn left_of(b: &Booking) -> Money {
    let moved = b.moved_out.unwrap_or(Money::zero(b.paid.currency()));
    b.paid.minus(b.refunded).and_then(|left| left.minus(moved)).unwrap_or(b.paid)
}

/// How somebody names what they have bought.
#[derive(Debug, Clone)]
pub(crate) enum Named {
    /// By its number in `admit bookings`.
    Number(PurchaseNumber),
    /// By what it is called at the box office.
    Reference(String),
}

impl FromStr for Named {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.parse().map_or_else(|_| Self::Reference(text.to_uppercase()), Self::Number))
    }
}

impl Named {
    /// What is meant, whatever became of it.
    pub(crate) fn purchase(&self, wallet: &Wallet) -> anyhow::Result<Purchase> {
        match self {
            Self::Number(number) => wallet.purchase(*number).map_err(|e| anyhow!("{e}: see `admit bookings`")),
            Self::Reference(reference) => {
                let called = |p: &Purchase| p.booking.as_ref().is_some_and(|b| b.reference == *reference);
                let found = wallet.purchases()?.into_iter().find(called);
                found.with_context(|| {
                    format!(
                        "there is no booking {reference} in this wallet: see `admit bookings`; the cinema's counter finds it by \
                         its reference"
                    )
                })
            }
        }
    }

    /// What is meant, with its booking.
    pub(crate) fn booked(&self, wallet: &Wallet) -> anyhow::Result<(Purchase, Booking)> {
        let purchase = self.purchase(wallet)?;
        let booking = purchase.booking.clone();
        Ok((purchase, booking.context("this is not booked: see `admit bookings`")?))
    }
}

/// The seat of a booking with this name, or those from one to another, in the order of the booking: `F9`, `F9-F11`.
pub(crate) fn seats_named(
    text: &str,
    printed: impl Fn(&SeatId) -> String,
    booking: &Booking,
) -> anyhow::Result<Vec<SeatId>> {
    let named = |name: &str| {
        let named = |l: &BookingLine| show::same(l.seat.as_str(), name) || show::same(&printed(&l.seat), name);
        booking.lines.iter().position(named)
    };
    // A row's own name may have a dash in it.
    let range = || text.match_indices('-').find_map(|(at, _)| Some((named(&text[..at])?, named(&text[at + 1..])?)));
    let (from, to) = match named(text).map(|line| (line, line)).or_else(range) {
        Some((from, to)) => (from.min(to), from.max(to)),
        None => {
            let stands = booking.lines.iter().filter(|l| l.state != TicketState::Revoked);
            let has = stands.map(|l| printed(&l.seat)).collect::<Vec<_>>().join(", ");
            let has = if has.is_empty() { "no seats any more".into() } else { has };
            bail!("{text} is not in this booking, which has {has}: see `admit bookings`");
        }
    };
    if let Some(gone) = booking.lines[from..=to].iter().find(|l| l.state == TicketState::Revoked) {
        let became = if gone.replaced_by.is_some() { "was exchanged" } else { "is cancelled" };
        bail!("{} {became} already", printed(&gone.seat));
    }
    Ok(booking.lines[from..=to].iter().map(|l| l.seat).collect())
}

/// Refuses what nothing is left of.
pub(crate) fn check_stands(booking: &Booking, wallet: &Wallet) -> anyhow::Result<()> {
    if booking.lines.iter().any(|l| l.state != TicketState::Revoked) {
        return Ok(());
    }
    if booking.lines.iter().all(|l| l.replaced_by.is_none()) {
        bail!("all of it is cancelled already");
    }
    bail!("nothing of it is left: it was exchanged for {}", successors(booking, &wallet.purchases()?));
}

/// Cancel tickets of a booking.
#[derive(Args)]
pub(crate) struct Cancel {
    /// The booking: its number in `admit bookings`, or its reference.
    booking: Named,
    /// Which seats, as `admit bookings` names them: F9, F9-F11, "Floor place 2"; all of them if none are named.
    #[arg(value_delimiter = ',')]
    seats: Vec<String>,
    /// Cancel without asking.
    #[arg(long)]
    yes: bool,
}

impl Cancel {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<()> {
        if context.json && !self.yes {
            bail!("say --yes: with --json nobody is asked");
        }
        let wallet = Wallet::open(&context.wallet())?;
        let held = self.booking.purchase(&wallet)?;
        if held.booking.is_none() && !held.is_open() {
            let server = wallet.meet(&find::client(context)?, held.origin.as_str()).await?;
            wallet.release(&server, held.number).await?;
            show::line("this was held, not booked: the seats are free again");
            return Ok(());
        }
        let (purchase, booking) = self.booking.booked(&wallet)?;
        check_stands(&booking, &wallet)?;
        let seats = self
            .seats
            .iter()
            .map(|text| seats_named(text, |seat| purchase.printed(seat), &booking))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let seats = seats.concat();
        let which = if seats.is_empty() { Which::All } else { Which::Seats(seats) };
        let server = wallet.meet(&find::client(context)?, purchase.origin.as_str()).await?;
        let quote = server.quote_cancellation(purchase.screening, &purchase.secret, booking.id, which).await?;
        let standing = booking.lines.iter().filter(|l| l.state != TicketState::Revoked).count();
        let all = quote.lines.len() == standing;
        let back = if quote.refund.is_zero() && !quote.balance_reduction.is_zero() {
            format!("nothing was paid for it: {} less to pay", quote.balance_reduction)
        } else {
            let mut cost = Money::zero(quote.refund.currency());
            for part in quote.lines.iter().map(|l| l.total).chain(all.then_some(booking.booking_fees)) {
                cost = cost.plus(part)?;
            }
            let kept = cost.minus(quote.refund).and_then(|kept| kept.minus(quote.balance_reduction))?;
            let kept =
                if kept.amount() > 0 { format!("; {kept} does NOT, by the cinema's terms") } else { String::new() };
            let at = if quote.refund.is_zero() { "" } else { ", at the cinema's counter" };
            format!("{} comes back{at}{kept}", quote.refund)
        };
        if !context.json {
            show::line(&format!("{}  {}", show::colour("1", &purchase.title), booking.reference));
            for line in &quote.lines {
                let seat = purchase.printed(&line.seat);
                show::line(&format!("  {seat:10} {:10} {}", purchase.called(&line.ticket_type), line.total));
            }
            if !booking.booking_fees.is_zero() && all {
                show::line(&format!("  {:21} {}", "fees", booking.booking_fees));
            }
            show::line(&format!("  {back}"));
        }
        if !self.yes {
            let asked = show::agree("cancel this?", &mut show::Stop::listen()?, "--yes").await;
            asked.context("nothing was cancelled")?;
        }
        let cancelled = wallet.cancel(&server, purchase.number, quote.id).await?;
        if context.json {
            return show::json(&json!({"number": purchase.number, "booking": cancelled}));
        }
        show::line("cancelled");
        Ok(())
    }
}
