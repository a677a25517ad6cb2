"""The documents of screenings, holds, bookings and tickets: what the rules decided, as JSON."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from .house import House
from .records import HOUR, Booking, Hold, Line, Refund
from .tickets import Ticket, Tickets
from .wire import instant, utc

API_BASE = "/v1"
ZONE = ZoneInfo("Europe/Vienna")
BUSINESS_DAY_CUTOFF_H = 5  # the default of a cinema's `business_day_cutoff`
FILM = {
    "id": "night-mail",
    "title": {"en": "Night Mail"},
    "runtime_min": 24,
    "versions": [{"id": "night-mail-ov", "kind": "original", "audio_language": "en"}],
}


def moment(at: int) -> dict[str, str]:
    """The instant, and what a clock on the cinema's wall shows then (TIME-002, TIME-003)."""
    local = utc(at).astimezone(ZONE).isoformat(timespec="milliseconds")
    return {"at": instant(at), "local": local, "zone": ZONE.key}


def business_date(at: int) -> str:
    """A show after midnight belongs to the evening before (TIME-006)."""
    local = utc(at).astimezone(ZONE)
    return str(local.date() - timedelta(days=local.hour < BUSINESS_DAY_CUTOFF_H))


def without_nothing(document: dict[str, Any]) -> dict[str, Any]:
    """A member that has nothing to say is left out."""
    return {name: value for name, value in document.items() if value is not None}


class Views:
    """How each thing is shown to whoever may see it."""

    def __init__(self, origin: str, halls: dict[str, dict[str, Any]], tickets: Tickets) -> None:
        self.origin, self.halls, self.tickets = origin, halls, tickets

    def screening(self, house: House) -> dict[str, Any]:
        show = house.screening
        document = {
            "id": show.id,
            "cinema": show.cinema,
            "hall": show.hall,
            "layout": house.layout.name,
            "items": [{"film": FILM["id"], "version": FILM["versions"][0]["id"], "starts_at": moment(show.starts_at)}],
            "starts_at": moment(show.starts_at),
            "ends_at": moment(show.ends_at) if show.ends_at else None,
            "business_date": business_date(show.starts_at),
            "sales": {"opens_at": instant(show.opens_at), "closes_at": instant(show.closes_at)},
            "collect_by": instant(show.collect_by) if show.collect_by else None,
            "price_table": house.prices.name,
            "price_range": house.prices.range({house.layout.zone(seat) for seat in house.layout.seats}),
            "cancellation": show.cancellation,
            "seat_rules": show.seat_rules,
            "status": show.status,
        }
        return without_nothing(document)

    def url(self, house: House, kind: str, id: str) -> str:
        return f"{self.origin}{API_BASE}/screenings/{house.screening.id}/{kind}/{id}"

    def seats(self, house: House, now: int) -> dict[str, Any]:
        return {
            "screening": house.screening.id,
            "epoch": house.epoch,
            "seq": house.seq,
            "sales": house.sales(now),
            "layout": house.layout.name,
            "price_table": house.prices.name,
            "not_free": house.not_free(),
            "areas": [],
        }

    def hold(self, house: House, hold: Hold) -> dict[str, Any]:
        document = {
            "id": hold.id,
            "url": self.url(house, "holds", hold.id),
            "screening": house.screening.id,
            "state": hold.state,
            "seats": [without_nothing({"seat": w.seat, "ticket_type": w.ticket_type}) for w in hold.wishes],
            "price_table": hold.prices.name,
            "created_at": instant(hold.created_at),
            "expires_at": instant(hold.expires_at),
            "extendable_until": instant(hold.expires_at),
            "quote": house.quote_of(hold),
            "booking": hold.booking,
            "epoch": house.epoch,
            "seq": hold.seq,
        }
        return without_nothing(document)

    def booking(self, house: House, booking: Booking) -> dict[str, Any]:
        money = booking.prices.money
        document = {
            "id": booking.id,
            "ref": booking.ref,
            "url": self.url(house, "bookings", booking.id),
            "screening": house.screening.id,
            "state": booking.state,
            "lines": [
                {
                    "seat": line.choice.seat,
                    "ticket_type": line.choice.ticket_type,
                    "total": money(line.total),
                    "state": line.state,
                }
                for line in booking.lines
            ],
            "booking_fees": money(booking.prices.fees()),
            "total": money(booking.total),
            "paid": money(booking.paid),
            "balance_due": money(booking.balance_due),
            "refunded": money(booking.refunded),
            "refund_due": money(booking.refunded),
            "payment_method": booking.payment_method,
            "collect_by": instant(booking.collect_by) if booking.collect_by else None,
            "cancellation": booking.cancellation,
            "confirmed_at": instant(booking.confirmed_at),
            "epoch": house.epoch,
            "seq": booking.seq,
        }
        return without_nothing(document)

    def cancellation_quote(self, booking: Booking, name: str, refund: Refund) -> dict[str, Any]:
        money = booking.prices.money
        return {
            "id": name,
            "lines": [
                {
                    "seat": line.choice.seat,
                    "ticket_type": line.choice.ticket_type,
                    "total": money(line.total),
                    "refund": money(amount),
                }
                for line, amount in refund.lines
            ],
            "refund": money(refund.total),
            "balance_reduction": money(refund.balance_reduction),
            "valid_until": instant(refund.valid_until),
        }

    def tickets_of(self, house: House, booking: Booking) -> dict[str, Any]:
        """Tickets that are not revoked (TICK-006)."""
        lines = [(at, line) for at, line in enumerate(booking.lines) if line.state != "revoked"]
        return {
            "booking": booking.id,
            "tickets": [self.ticket_of(line, self.ticket(house, booking, at)) for at, line in lines],
        }

    def ticket(self, house: House, booking: Booking, at: int) -> Ticket:
        """Good from 24 hours before the start until an hour after the end (TICK-007)."""
        choice = booking.lines[at].choice
        seat, kind = house.layout.seats[choice.seat], booking.prices.types[choice.ticket_type]
        return Ticket(
            screening=house.screening.id,
            seed=booking.seed,
            line=at,
            hall=self.halls[house.screening.hall]["name"]["en"],
            row=seat["row"],
            seat=seat["number"],
            ticket_type=kind["name"]["en"],
            admits=kind.get("admits", 1),
            not_before=house.screening.starts_at - 24 * HOUR,
            not_after=house.ended_at() + HOUR,
        )

    def ticket_of(self, line: Line, ticket: Ticket) -> dict[str, Any]:
        return {
            "id": self.tickets.id(ticket).hex(),
            "seat": line.choice.seat,
            "ticket_type": line.choice.ticket_type,
            "admits": ticket.admits,
            "code": self.tickets.code(ticket),
            "not_before": instant(ticket.not_before),
            "not_after": instant(ticket.not_after),
        }
