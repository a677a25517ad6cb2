//! One booking at the counter: its tickets, what is due, what comes back.

use std::path::Path;

use admit_protocol::booking::{BookedTicket, Booking, BookingLine, BookingState, TicketState};
use admit_protocol::id::{ScreeningId, SeatId};
use admit_protocol::layout::Layout;
use admit_protocol::money::Money;
use admit_server::store::Permission;
use anyhow::{Context as _, bail, ensure};
use serde_json::json;

use super::Office;
use crate::bookings::{left_of, seats_named};
use crate::showing::Showing;
use crate::ticket::Sheet;
use crate::{Context, show};

/// One booking at the counter.
pub(super) struct AtCounter<'a> {
    pub(super) office: &'a Office,
    pub(super) screening: ScreeningId,
    /// As the buyer knows it.
    pub(super) reference: &'a str,
    /// Whether somebody said yes before.
    pub(super) yes: bool,
    pub(super) context: &'a Context,
}

impl AtCounter<'_> {
    /// Somebody comes without their tickets.
    pub(super) async fn tickets(&self, no_qr: bool, save: Option<&Path>) -> anyhow::Result<()> {
        self.office.must(Permission::Sell, "print tickets")?;
        let server = &self.office.server;
        let screening = server.screening(self.screening).await?;
        if !screening.status.takes_place() {
            bail!("this screening is {}: its tickets open no door, and what was paid comes back", screening.status);
        }
        let booking = self.booking().await?;
        let tickets = self.office.tickets(&booking).await?;
        let layout = server.layout(screening.layout).await?;
        let table = server.price_table(screening.price_table).await?;
        let title = Showing::of(server, &screening).await?.title();
        let words = |ticket: &BookedTicket| {
            let kind = table.ticket_type(ticket.ticket_type);
            let kind = kind.map_or(ticket.ticket_type.as_str(), |kind| show::text(&kind.name));
            format!("{}, {kind}", show::seat(ticket.seat, &layout))
        };
        let sheet = Sheet {
            title: &title,
            booking: &booking,
            tickets: tickets.tickets.iter().map(|ticket| (words(ticket), ticket, None)).collect(),
        };
        let saved = save.map_or(Ok(Vec::new()), |folder| sheet.save(folder))?;
        if self.context.json {
            return show::json(&json!({"tickets": tickets.tickets, "booking": booking.id, "saved": saved}));
        }
        sheet.print_head();
        sheet.print_due();
        ensure!(!tickets.tickets.is_empty(), "none of its tickets stands: they were cancelled or exchanged");
        sheet.print_tickets(&saved, no_qr)
    }

    /// Somebody pays what is due.
    pub(super) async fn paid(&self) -> anyhow::Result<()> {
        self.office.must(Permission::Sell, "take money")?;
        let screening = self.office.server.screening(self.screening).await?;
        if !screening.status.takes_place() {
            bail!("this screening is {}: take no money, its buyers get theirs back", screening.status);
        }
        let booking = self.booking().await?;
        if booking.state == BookingState::Cancelled {
            bail!("{} was cancelled: there is nothing to pay", booking.reference);
        }
        let due = booking.balance_due;
        if due.is_zero() {
            bail!("{} is paid", booking.reference);
        }
        self.say_what_it_is(&booking).await?;
        self.agree(&format!("did you get {due}?")).await?;
        self.office.settle(&booking, due).await?;
        if self.context.json {
            return show::json(&json!({"booking": booking.id, "paid": due}));
        }
        show::line(&format!("{} {due} for {}", show::colour("1;32", "paid:"), booking.reference));
        Ok(())
    }

    /// Somebody gets back what they paid for cancelled tickets.
    pub(super) async fn refund(&self) -> anyhow::Result<()> {
        self.office.must(Permission::Sell, "give money back")?;
        let booking = self.booking().await?;
        let due = booking.refund_due;
        if due.is_zero() && !booking.refunded.is_zero() {
            bail!("{} were given back for {} before", booking.refunded, booking.reference);
        }
        let kept = left_of(&booking);
        if due.is_zero() && booking.state == BookingState::Cancelled && !kept.is_zero() {
            bail!(
                "all of {} is cancelled, and {kept} was kept: `admit box-office cancel --refund` gives it back after all",
                booking.reference
            );
        }
        if due.is_zero() {
            let nothing = format!("nothing comes back for {}", booking.reference);
            ensure!(booking.state != BookingState::Cancelled, nothing);
            bail!("{nothing}: a manager cancels tickets first, with `admit box-office cancel`");
        }
        let before = booking.refunded.minus(due).unwrap_or(due);
        let before = if before.is_zero() { String::new() } else { format!(", {before} were given back before") };
        self.say_what_it_is(&booking).await?;
        self.say(&format!("{}: {due} to give back{before}", booking.reference));
        self.agree(&format!("did you hand over {due}?")).await?;
        self.office.refund(&booking).await?;
        if self.context.json {
            return show::json(&json!({"booking": booking.id, "given_back": due}));
        }
        show::line(&format!("{} {due} for {}", show::colour("1;32", "given back:"), booking.reference));
        Ok(())
    }

    /// Cancels tickets, whatever the policy says.
    pub(super) async fn cancel(&self, seats: &[String], refund: bool, reason: &str) -> anyhow::Result<()> {
        let screening = self.office.server.screening(self.screening).await?;
        let layout = self.office.server.layout(screening.layout).await?;
        self.office
            .must(if !screening.status.takes_place() { Permission::Sell } else { Permission::Refund }, "cancel")?;
        let booking = self.booking().await?;
        let kept = left_of(&booking);
        if !screening.status.takes_place() && !refund && !kept.is_zero() {
            bail!("this screening is {}: what was paid for it comes back, so say --refund", screening.status);
        }
        if booking.state == BookingState::Cancelled && seats.is_empty() && !kept.is_zero() {
            ensure!(
                refund,
                "all of {} is cancelled already; {kept} was kept, and --refund gives it back",
                booking.reference
            );
            self.say(&format!("{}: cancelled before, and {kept} was kept", booking.reference));
            self.agree("give it back after all?").await?;
            let after = self.office.cancel(&booking, &[], true, reason).await?;
            return self.cancelled(&after);
        }
        let going = going(&booking, seats, &layout)?;
        let name = |line: &&BookingLine| {
            let inside = if line.state == TicketState::Used { " (inside)" } else { "" };
            format!("{}{inside}", show::seat(line.seat, &layout))
        };
        let names: Vec<String> = going.iter().map(name).collect();
        let back = match (booking.paid.is_zero(), refund) {
            (true, _) => "nothing was paid".into(),
            (false, true) => format!("{} comes back", comes_back(&booking, &going)?),
            (false, false) => format!("nothing comes back of {}", comes_back(&booking, &going)?),
        };
        self.say(&format!("{}: {}; {back}", booking.reference, names.join(" ")));
        self.agree("cancel this?").await?;
        let seats: Vec<SeatId> = if seats.is_empty() { Vec::new() } else { going.iter().map(|l| l.seat).collect() };
        let after = self.office.cancel(&booking, &seats, refund, reason).await?;
        self.cancelled(&after)
    }

    fn cancelled(&self, after: &Booking) -> anyhow::Result<()> {
        if self.context.json {
            return show::json(after);
        }
        let back = match after.refund_due {
            due if due.is_zero() => String::new(),
            due => format!(
                ", {due} to give back: admit box-office refund {} {} {}",
                self.office.server.origin(),
                self.screening,
                after.reference
            ),
        };
        show::line(&format!("{} {}{back}", show::colour("1;32", "cancelled:"), after.reference));
        Ok(())
    }

    async fn booking(&self) -> anyhow::Result<Booking> {
        let rows = self.office.bookings(self.screening).await?;
        let row = rows.into_iter().find(|r| r.reference.eq_ignore_ascii_case(self.reference.trim()));
        let nobodys = || {
            let find = format!("admit box-office find {} {}", self.office.server.origin(), self.reference);
            format!("no booking {} in this screening: `{find}` looks in all", self.reference)
        };
        row.with_context(nobodys)?.booking.context("this is held, not booked")
    }

    /// Film, time and tickets: whoever takes money sees for what, and whose proof to ask for.
    async fn say_what_it_is(&self, booking: &Booking) -> anyhow::Result<()> {
        if self.context.json {
            return Ok(());
        }
        let server = &self.office.server;
        let screening = server.screening(self.screening).await?;
        let layout = server.layout(screening.layout).await?;
        let table = server.price_table(screening.price_table).await?;
        show::line(&Showing::of(server, &screening).await?.title());
        for line in &booking.lines {
            let kind = table.ticket_type(line.ticket_type).map_or(line.ticket_type.as_str(), |t| show::text(&t.name));
            let gone = if line.state == TicketState::Revoked { "  (cancelled)" } else { "" };
            show::line(&format!("  {:10} {kind:10} {}{gone}", show::seat(line.seat, &layout), line.total));
        }
        if !booking.booking_fees.is_zero() {
            show::line(&format!("  {:21} {}", "fees", booking.booking_fees));
        }
        Ok(())
    }

    fn say(&self, text: &str) {
        if !self.context.json {
            show::line(text);
        }
    }

    async fn agree(&self, question: &str) -> anyhow::Result<()> {
        if self.yes {
            return Ok(());
        }
        super::agree(question, &mut show::Stop::listen()?, "--yes").await.context("nothing was noted")
    }
}

/// What was paid for these tickets; booking fees go with the last one.
fn comes_back(booking: &Booking, going: &[&BookingLine]) -> anyhow::Result<Money> {
    let standing = booking.lines.iter().filter(|l| l.state != TicketState::Revoked).count();
    let fees = (standing == going.len()).then_some(booking.booking_fees);
    let paid = Money::sum(booking.total.currency(), going.iter().map(|l| l.total).chain(fees))?;
    Ok(paid.min(left_of(booking)))
}

/// The seats of a booking that are to be cancelled: those named, or all that stand.
fn going<'a>(booking: &'a Booking, named: &[String], layout: &Layout) -> anyhow::Result<Vec<&'a BookingLine>> {
    let standing: Vec<&BookingLine> = booking.lines.iter().filter(|l| l.state != TicketState::Revoked).collect();
    if standing.is_empty() {
        bail!("all of {} is cancelled already", booking.reference);
    }
    if named.is_empty() {
        return Ok(standing);
    }
    let printed = |seat: &SeatId| show::seat(*seat, layout);
    let seats = named.iter().map(|text| seats_named(text, printed, booking)).collect::<anyhow::Result<Vec<_>>>()?;
    let seats = seats.concat();
    Ok(standing.into_iter().filter(|line| seats.contains(&line.seat)).collect())
}
