//! Money over the counter: what is due, what comes back.

use admit_protocol::booking::{Booking, BookingLine, BookingState, TicketState};
use admit_protocol::id::{ScreeningId, SeatId};
use admit_protocol::layout::Layout;
use anyhow::{Context as _, bail};
use serde_json::json;

use super::{Office, is_off};
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
    /// Somebody pays what is due.
    pub(super) async fn paid(&self) -> anyhow::Result<()> {
        let screening = self.office.server.screening(self.screening).await?;
        if is_off(&screening) {
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
        let standing = booking.lines.iter().filter(|l| l.state != TicketState::Revoked).count();
        self.say(&format!("{}: {due} for {}", booking.reference, show::count(standing, "ticket")));
        self.agree("did you get this?").await?;
        self.office.settle(&booking, due).await?;
        if self.context.json {
            return show::json(&json!({"booking": booking.id, "paid": due}));
        }
        show::line(&format!("{} {due} for {}", show::colour("1;32", "paid:"), booking.reference));
        Ok(())
    }

    /// Somebody gets back what they paid for cancelled tickets.
    pub(super) async fn refund(&self) -> anyhow::Result<()> {
        let booking = self.booking().await?;
        let due = booking.refund_due;
        if due.is_zero() && !booking.refunded.is_zero() {
            bail!("{} were given back for {} before", booking.refunded, booking.reference);
        }
        if due.is_zero() {
            bail!("nothing comes back for {}: `admit box-office cancel` cancels tickets", booking.reference);
        }
        let cancelled = booking.lines.iter().filter(|l| l.state == TicketState::Revoked).count();
        self.say(&format!("{}: {due} back for {}", booking.reference, show::count(cancelled, "cancelled ticket")));
        self.agree("did you hand this over?").await?;
        self.office.refund(&booking).await?;
        if self.context.json {
            return show::json(&json!({"booking": booking.id, "given_back": due}));
        }
        show::line(&format!("{} {due} for {}", show::colour("1;32", "given back:"), booking.reference));
        Ok(())
    }

    /// Cancels tickets, whatever the policy says.
    pub(super) async fn cancel(&self, seats: &[String], refund: bool, reason: &str) -> anyhow::Result<()> {
        let layout = self.office.server.screening(self.screening).await?.layout;
        let layout = self.office.server.layout(layout).await?;
        let booking = self.booking().await?;
        let going = going(&booking, seats, &layout)?;
        let names: Vec<String> = going.iter().map(|seat| show::seat(*seat, &layout)).collect();
        let paid = booking.balance_due.is_zero() && !booking.total.is_zero();
        let back = match (paid, refund) {
            (false, _) => "nothing was paid for it",
            (true, true) => "what was paid for it comes back",
            (true, false) => "nothing comes back",
        };
        self.say(&format!("{}: {}; {back}", booking.reference, names.join(" ")));
        self.agree("cancel this?").await?;
        let seats = if seats.is_empty() { Vec::new() } else { going };
        let after = self.office.cancel(&booking, &seats, refund, reason).await?;
        if self.context.json {
            return show::json(&after);
        }
        let back = match after.refund_due {
            due if due.is_zero() => String::new(),
            due => format!(", {due} to give back: admit box-office refund"),
        };
        show::line(&format!("{} {}{back}", show::colour("1;32", "cancelled:"), after.reference));
        Ok(())
    }

    async fn booking(&self) -> anyhow::Result<Booking> {
        let rows = self.office.bookings(self.screening).await?;
        let row = rows.into_iter().find(|r| r.reference.eq_ignore_ascii_case(self.reference.trim()));
        let nobodys = || format!("no booking {} in this screening: `admit box-office list`", self.reference);
        row.with_context(nobodys)?.booking.context("this is held, not booked")
    }

    fn say(&self, text: &str) {
        if !self.context.json {
            show::line(text);
        }
    }

    async fn agree(&self, question: &str) -> anyhow::Result<()> {
        if !self.yes && !show::agreed(question, &mut show::Stop::listen()?).await {
            bail!("nothing was noted");
        }
        Ok(())
    }
}

/// The seats of a booking that are to be cancelled: those named, or all that stand.
fn going(booking: &Booking, named: &[String], layout: &Layout) -> anyhow::Result<Vec<SeatId>> {
    let standing: Vec<&BookingLine> = booking.lines.iter().filter(|l| l.state != TicketState::Revoked).collect();
    if standing.is_empty() {
        bail!("all of {} is cancelled already", booking.reference);
    }
    if named.is_empty() {
        return Ok(standing.iter().map(|l| l.seat).collect());
    }
    let seat = |text: &String| {
        let same =
            |l: &&&BookingLine| show::same(l.seat.as_str(), text) || show::same(&show::seat(l.seat, layout), text);
        let line = standing.iter().find(same);
        line.map(|l| l.seat).with_context(|| format!("{} has no ticket for {text}", booking.reference))
    };
    named.iter().map(seat).collect()
}
