"""What a cancellation brings back, and how it is confirmed."""

from __future__ import annotations

import hashlib
from typing import Iterable, Sequence

from .keys import base64url
from .records import DOES_NOT_TAKE_PLACE, MINUTE, Booking, Line, Refund
from .seating import Seating
from .wire import Problem

QUOTE_LIFE = 10 * MINUTE


class Cancelling(Seating):
    def quote_cancellation(self, booking: Booking, seats: Sequence[str], now: int) -> tuple[str, Refund]:
        """What a cancellation would bring back, and the name to confirm it by (CANC-004)."""
        lines = self.lines_to_cancel(booking, seats)
        refund = self.refund(booking, lines, now)
        return self.quote_name(booking, refund), refund

    def cancel(self, booking: Booking, quote: str, now: int) -> None:
        """Works everything out again: a name brings what was quoted, or nothing."""
        changed = Problem("quote_changed", "ask for a new quote", seq=self.seq)
        lines, valid_until = self.read_quote_name(booking, quote) or ([], 0)
        if not lines or now >= valid_until or any(line.state != "valid" for line in lines):
            raise changed
        again = self.refund(booking, lines, now)
        again = Refund(again.lines, again.fees, again.balance_reduction, valid_until)
        if quote != self.quote_name(booking, again):
            raise changed
        booking.refunded += again.total
        self.revoke(booking, lines)
        self.tell(booking, "booking_cancelled")

    def lines_to_cancel(self, booking: Booking, seats: Sequence[str]) -> list[Line]:
        """In the booking's order, whatever the order that they were named in."""
        if len(set(seats)) < len(seats):
            raise Problem("seat_named_twice", "name every seat once", pointers=["/seats"])
        if not set(seats) <= {line.choice.seat for line in booking.lines}:
            raise Problem("unknown_seat", "name seats of this booking", pointers=["/seats"])
        lines = [line for line in booking.lines if line.choice.seat in seats] or booking.left
        if not lines or any(line.state == "revoked" for line in lines):
            raise Problem("booking_state", "it is cancelled already: read the booking", seq=self.seq)
        if any(line.state == "used" for line in lines):
            raise Problem("ticket_used", "a ticket that was used cannot be cancelled", seq=self.seq)
        return lines

    def refund(self, booking: Booking, lines: Sequence[Line], now: int) -> Refund:
        """By what happened: not paid (CANC-003), does not take place (CANC-007), or by the policy (CANC-002)."""
        is_last = len(lines) == len(booking.left)
        if self.screening.status not in DOES_NOT_TAKE_PLACE:
            self.check_leaves_nobody(booking, lines, now)
        if booking.is_unpaid:
            due = sum(line.total for line in lines) + (booking.prices.fees() if is_last else 0)
            until = min(now + QUOTE_LIFE, booking.collect_by or now)
            return Refund([(line, 0) for line in lines], 0, due, until)
        if self.screening.status in DOES_NOT_TAKE_PLACE:
            fees = booking.prices.fees() if is_last else 0
            return Refund([(line, line.total) for line in lines], fees, 0, now + QUOTE_LIFE)
        percent, tier_ends_at = self.tier(booking, now)
        amounts = [(line, self.refund_of(booking, line, percent)) for line in lines]
        fees = self.share(booking.prices.fees(refundable_only=True), percent) if is_last else 0
        return Refund(amounts, fees, 0, min(now + QUOTE_LIFE, tier_ends_at))

    def tier(self, booking: Booking, now: int) -> tuple[int, int]:
        """The first that holds, and until when: a tier holds until its instant and not at it (CANC-002).

        It is the policy of the time of booking (CANC-001).
        """
        for tier in booking.cancellation.get("tiers", []):
            ends_at = self.screening.starts_at - 1000 * tier["until_before_start_s"]
            if now < ends_at:
                return tier["refund_percent"], ends_at
        raise Problem("not_cancellable", "it is too late, or never could be cancelled", seq=self.seq)

    def refund_of(self, booking: Booking, line: Line, percent: int) -> int:
        fee = booking.cancellation.get("fee_per_ticket") or {"amount": 0}
        return max(0, self.share(line.refundable, percent) - fee["amount"])

    def share(self, amount: int, percent: int) -> int:
        """A percentage, half away from zero (MONEY-002)."""
        return (amount * percent + 50) // 100

    def check_leaves_nobody(self, booking: Booking, lines: Sequence[Line], now: int) -> None:
        """No ticket stays that is only sold together with one that goes (CANC-008)."""
        going = {line.choice.seat for line in lines}
        rest = [line.choice for line in booking.left if line.choice.seat not in going]
        broken = booking.prices.not_sold_so([choice.ticket_type for choice in rest])
        left = [{"seat": c.seat, "reason": "left_alone"} for c in rest if c.ticket_type in broken]
        left += [{"seat": seat, "reason": "companion_only"} for seat in self.companions_left(booking.owner, going, now)]
        if left:
            raise Problem("rule_broken", "cancel these seats, too", conflicts=left, seq=self.seq)

    def companions_left(self, owner: str, going: set[str], now: int) -> list[str]:
        mine = [seat for seat, claim in self.claims.items() if claim.owner == owner and seat not in going]
        return [
            seat
            for seat in mine
            if self.needs_space(seat, now)
            and self.has_space(owner, seat, ())
            and not self.has_space(owner, seat, (), without=going)
        ]

    def quote_name(self, booking: Booking, refund: Refund) -> str:
        """Says which lines and until when, and ends in a digest of what comes back: nothing has to be stored."""
        mask = sum(1 << booking.lines.index(line) for line, _ in refund.lines)
        amounts = [(line.choice.seat, amount) for line, amount in refund.lines]
        money = (booking.paid, booking.balance_due, booking.refunded, refund.fees, refund.balance_reduction)
        digest = hashlib.sha256(repr((booking.id, mask, refund.valid_until, amounts, money)).encode()).digest()
        return f"{mask:x}.{refund.valid_until:x}.{base64url(digest[:15])}"

    def read_quote_name(self, booking: Booking, quote: str) -> tuple[list[Line], int] | None:
        try:
            mask, until, _ = quote.split(".")
            lines = [line for at, line in enumerate(booking.lines) if int(mask, 16) >> at & 1]
            return lines, int(until, 16)
        except ValueError:
            return None

    def revoke(self, booking: Booking, lines: Iterable[Line]) -> None:
        """Voids tickets and frees their seats in one (CANC-005)."""
        for line in lines:
            line.state = "revoked"
            self.give_back([line.choice.seat], booking.id)
        if booking.is_unpaid:
            fees = booking.prices.fees() if booking.left else 0
            booking.balance_due = sum(line.total for line in booking.left) + fees
        booking.seq = self.changed()
