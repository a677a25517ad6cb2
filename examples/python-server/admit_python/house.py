"""The house: the seats of one screening, and the rules of who gets them.

Nothing here reads a clock, a socket, or a random number: whoever calls passes in the time and the ids, and holds the
screening's lock. Every rule is a small method, and expiry is a comparison with `now`.
"""

from __future__ import annotations

from typing import Any, Sequence

from .cancelling import Cancelling
from .choosing import Choosing
from .prices import Choice
from .records import DOES_NOT_TAKE_PLACE, HOUR, MINUTE, Booking, Claim, Hold, Line, Wish
from .wire import Problem

COLLECT_NOTICE = 15 * MINUTE  # BOOK-005
UNKNOWN_LENGTH = 6 * HOUR  # PROG-007


class House(Choosing, Cancelling):
    # ---- time -------------------------------------------------------------------------------------------------------

    def settle(self, now: int) -> None:
        """Lets everything happen that is due. Called before anything is read or decided."""
        for hold in self.holds.values():
            if hold.state == "active" and self.is_over(hold, now):
                self.end_hold(hold, "expired")
        for booking in self.bookings.values():
            if self.is_uncollected(booking, now):
                self.revoke(booking, booking.left)
                self.tell(booking, "booking_lapsed")

    def is_over(self, hold: Hold, now: int) -> bool:
        """From `expires_at` on, and not before (HOLD-004)."""
        return now >= hold.expires_at

    def is_uncollected(self, booking: Booking, now: int) -> bool:
        """What is not paid by then is cancelled (BOOK-005)."""
        return booking.is_unpaid and booking.collect_by is not None and now >= booking.collect_by

    def ended_at(self) -> int:
        return self.screening.ends_at or self.screening.starts_at + UNKNOWN_LENGTH

    def sales(self, now: int) -> str:
        """Whether seats can be held now: the screening's status, its sales window and the time say it (SEAT-005)."""
        show = self.screening
        if show.status in DOES_NOT_TAKE_PLACE:
            return "cancelled"
        if show.status != "on_sale":
            return "paused" if show.status == "paused" else "closed"
        if now < show.opens_at:
            return "not_yet_open"
        if now < show.starts_at:
            return "open" if now < show.closes_at else "closed"
        if now >= self.ended_at():
            return "closed"
        return "under_way_open" if now < show.closes_at else "under_way"

    # ---- holds ------------------------------------------------------------------------------------------------------

    def place_hold(
        self, id: str, owner: str, wishes: Sequence[Wish], ttl_s: int | None, layout: str | None, now: int
    ) -> Hold:
        """All of the seats, or none (HOLD-001)."""
        self.check_wishes(owner, wishes, layout, now)
        hold = Hold(id, owner, tuple(wishes), self.prices, now, self.deadline(ttl_s, now), self.changed())
        self.holds[id] = hold
        self.claims.update({seat: Claim("held", id, owner, id) for seat in hold.seats})
        return hold

    def check_wishes(self, owner: str, wishes: Sequence[Wish], layout: str | None, now: int) -> None:
        """Refused by the first that applies (HOLD-014)."""
        self.check_sales(now)
        self.check_layout(layout)
        self.check_count(wishes)
        seats = [wish.seat for wish in wishes]
        conflicts = self.conflicts(owner, seats, now)
        self.check_named(conflicts)
        self.check_types(wishes)
        self.check_conflicts(conflicts)
        self.check_rules(seats, now)
        self.check_holds_of(owner)

    def check_sales(self, now: int) -> None:
        self.check_takes_place()
        match self.sales(now):
            case "open" | "under_way_open":
                return
            case "under_way":
                raise Problem("screening_under_way", "it has begun: choose another screening", seq=self.seq)
            case "not_yet_open":
                wait = self.screening.opens_at - now
                raise Problem("sales_not_open", "come back when sales open", retry_after_ms=wait, seq=self.seq)
            case _:
                raise Problem("sales_closed", "choose another screening", seq=self.seq)

    def check_takes_place(self) -> None:
        if self.screening.status in DOES_NOT_TAKE_PLACE:
            raise Problem("screening_cancelled", "it does not take place: choose another screening", seq=self.seq)

    def check_layout(self, layout: str | None) -> None:
        """The same names may be other seats (HOLD-011)."""
        if layout not in (None, self.layout.name):
            raise Problem("layout_changed", "read the seats and their layout again, and choose from it", seq=self.seq)

    def check_count(self, wishes: Sequence[Wish]) -> None:
        """No more seats than announced (HOLD-005)."""
        if not 1 <= len(wishes) <= self.policy.seats_max:
            raise Problem("invalid", f"hold 1 to {self.policy.seats_max} seats", pointers=["/seats"])

    def conflicts(self, owner: str, seats: Sequence[str], now: int) -> list[dict[str, str]]:
        """Every seat that is in the way, with its reason (HOLD-002)."""
        found = []
        for at, seat in enumerate(seats):
            reason = self.conflict(owner, seat, seats, now)
            if seat in seats[:at]:
                found.append({"seat": seat, "reason": "named_twice"})
            elif reason:
                found.append({"seat": seat, "reason": reason})
        return found

    def conflict(self, owner: str, seat: str, seats: Sequence[str], now: int) -> str | None:
        if seat not in self.layout.seats:
            return "no_such_seat"
        if seat in self.claims:
            return self.claims[seat].reason
        if self.needs_space(seat, now) and not self.has_space(owner, seat, seats):
            return "companion_only"
        return None

    def check_named(self, conflicts: list[dict[str, str]]) -> None:
        reasons = {conflict["reason"] for conflict in conflicts}
        if "no_such_seat" in reasons:
            raise Problem("unknown_seat", "read the layout again", conflicts=conflicts, seq=self.seq)
        if "named_twice" in reasons:
            raise Problem("seat_named_twice", "name every seat once", conflicts=conflicts, seq=self.seq)

    def check_types(self, wishes: Sequence[Wish]) -> None:
        for at, wish in enumerate(wishes):
            if wish.ticket_type and not self.prices.is_sold(wish.ticket_type, self.layout.zone(wish.seat)):
                pointer = f"/seats/{at}/ticket_type"
                raise Problem("rule_broken", f"'{wish.ticket_type}' is not sold for {wish.seat}", pointers=[pointer])

    def check_conflicts(self, conflicts: list[dict[str, str]]) -> None:
        reasons = {conflict["reason"] for conflict in conflicts}
        if reasons:
            detail, is_only_held = "choose other seats instead of these", not reasons & {"blocked", "companion_only"}
            raise Problem("seats_taken", detail, conflicts=conflicts, seq=self.seq, retryable=is_only_held)

    def check_holds_of(self, owner: str) -> None:
        active = [hold for hold in self.holds.values() if hold.owner == owner and hold.state == "active"]
        if len(active) >= self.policy.holds_per_buyer:
            raise Problem("too_many_holds", "book or release a hold first", seq=self.seq)

    def deadline(self, ttl_s: int | None, now: int) -> int:
        """What was asked for, clamped to the announced limits (HOLD-005)."""
        wanted = self.policy.ttl_s if ttl_s is None else ttl_s
        return now + 1000 * min(max(wanted, self.policy.ttl_min_s), self.policy.ttl_max_s)

    # ---- a hold's life ----------------------------------------------------------------------------------------------

    def hold_of(self, owner: str, id: str) -> Hold:
        """Somebody else's and none are the same (HTTP-012)."""
        hold = self.holds.get(id)
        if hold is None or hold.owner != owner:
            raise Problem("not_found", "there is no such hold under this secret")
        return hold

    def quote_of(self, hold: Hold) -> dict[str, Any] | None:
        """What it comes to, if every seat has a ticket type that is sold for it (HOLD-014)."""
        choices = [self.choice(wish.seat, wish.ticket_type or "") for wish in hold.wishes]
        are_sold = all(hold.prices.is_sold(choice.ticket_type, choice.zone) for choice in choices)
        return hold.prices.quote(choices) if are_sold else None

    def choice(self, seat: str, ticket_type: str) -> Choice:
        return Choice(seat, self.layout.zone(seat), ticket_type)

    def release(self, hold: Hold) -> None:
        """Frees an active hold at once; when it is over, nothing is left to do (HOLD-008)."""
        if hold.state == "converted":
            raise Problem("hold_converted", "cancel the booking instead")
        if hold.state == "active":
            self.end_hold(hold, "released")

    def end_hold(self, hold: Hold, state: str) -> None:
        hold.state = state
        self.give_back(hold.seats, hold.id)
        self.changed()

    # ---- bookings ---------------------------------------------------------------------------------------------------

    def book(
        self,
        hold: Hold,
        ticket_types: Sequence[tuple[str, str]],
        total: tuple[int, str],
        payment_method: str,
        names: tuple[str, str, bytes],
        now: int,
        webhook: str | None = None,
    ) -> Booking:
        """Turns a hold into a booking. `names` are its id, its ref, and its seed."""
        choices = self.check_booking(hold, ticket_types, total, payment_method)
        self.check_time_to_pay(total[0], now)
        lines = [Line(choice, hold.prices.price(choice), hold.prices.refundable(choice)) for choice in choices]
        booking = Booking(
            id=names[0],
            ref=names[1],
            owner=hold.owner,
            seed=names[2],
            prices=hold.prices,
            lines=lines,
            payment_method=payment_method,
            cancellation=self.screening.cancellation,
            confirmed_at=now,
            collect_by=self.collect_by(now) if total[0] else None,
            seq=self.changed(),
            balance_due=total[0],
            webhook=webhook,
        )
        hold.state, hold.booking = "converted", booking.id
        self.bookings[booking.id] = booking
        self.claims.update({seat: Claim("sold", booking.id, hold.owner, hold.id) for seat in hold.seats})
        self.tell(booking, "booking_confirmed")
        return booking

    def check_booking(
        self, hold: Hold, ticket_types: Sequence[tuple[str, str]], total: tuple[int, str], payment_method: str
    ) -> list[Choice]:
        """What is booked, unless it is refused: by the first that applies (BOOK-001)."""
        self.check_active(hold)
        self.check_takes_place()
        choices = self.choices(hold, ticket_types)
        self.check_are_sold(hold, choices, [seat for seat, _ in ticket_types])
        self.check_sold_together(hold, choices)
        self.check_total(hold, choices, total)
        self.check_payment(payment_method, total[0])
        return choices

    def check_active(self, hold: Hold) -> None:
        if hold.state == "converted":
            raise Problem("hold_converted", "read the hold: it names its booking", seq=self.seq)
        if hold.state != "active":
            raise Problem("hold_expired", "hold seats again", seq=self.seq)

    def choices(self, hold: Hold, ticket_types: Sequence[tuple[str, str]]) -> list[Choice]:
        """One ticket for each held seat, in the hold's order (BOOK-001)."""
        wanted = dict(ticket_types)
        if len(wanted) < len(ticket_types) or set(wanted) != set(hold.seats):
            raise Problem("invalid", "name a ticket type for every held seat, once", pointers=["/tickets"])
        return [self.choice(seat, wanted[seat]) for seat in hold.seats]

    def check_are_sold(self, hold: Hold, choices: Sequence[Choice], named: list[str]) -> None:
        """A pair of ticket type and zone without an offer is not sold (PRICE-002)."""
        unsold = [choice for choice in choices if not hold.prices.is_sold(choice.ticket_type, choice.zone)]
        if unsold:
            detail = "; ".join(f"'{choice.ticket_type}' is not sold for {choice.seat}" for choice in unsold)
            pointers = [f"/tickets/{named.index(choice.seat)}/ticket_type" for choice in unsold]
            raise Problem("rule_broken", detail, pointers=pointers, seq=self.seq)

    def check_sold_together(self, hold: Hold, choices: Sequence[Choice]) -> None:
        broken = hold.prices.not_sold_so([choice.ticket_type for choice in choices])
        if broken:
            raise Problem("rule_broken", f"not sold like that: {', '.join(sorted(broken))}", pointers=["/tickets"])

    def total(self, hold: Hold, choices: Sequence[Choice]) -> int:
        """From the hold's own price table (BOOK-002)."""
        return hold.prices.total(choices)

    def check_total(self, hold: Hold, choices: Sequence[Choice], total: tuple[int, str]) -> None:
        if total != (self.total(hold, choices), hold.prices.currency):
            quote = hold.prices.quote(choices)
            raise Problem("price_changed", "show the right total and ask the buyer again", quote=quote, seq=self.seq)

    def check_payment(self, payment_method: str, total: int) -> None:
        """`none` for a total of nothing, `at_cinema` for any other (BOOK-003)."""
        right = "at_cinema" if total else "none"
        if payment_method != right:
            raise Problem("payment_method_not_offered", f"take '{right}' for this total", pointers=["/payment_method"])

    def collect_by(self, now: int) -> int:
        """Nobody gets a deadline that is a trap (BOOK-005)."""
        show = self.screening
        regular = show.starts_at - 30 * MINUTE if show.collect_by is None else show.collect_by
        if now <= regular - COLLECT_NOTICE:
            return regular
        if now < show.starts_at:
            return show.starts_at
        return show.closes_at

    def check_time_to_pay(self, total: int, now: int) -> None:
        if total and self.collect_by(now) <= now:
            why = "it is too late to pay at the cinema"
            raise Problem("payment_method_not_offered", why, pointers=["/payment_method"])

    def booking(self, id: str) -> Booking:
        if id not in self.bookings:
            raise Problem("not_found", "there is no such booking under this secret")
        return self.bookings[id]

    def booking_of(self, owner: str, id: str) -> Booking:
        """Somebody else's and none are the same (HTTP-012)."""
        if self.booking(id).owner != owner:
            raise Problem("not_found", "there is no such booking under this secret")
        return self.booking(id)

    # ---- staff ------------------------------------------------------------------------------------------------------

    def set_status(self, status: str) -> None:
        if self.screening.status != status:
            self.screening.status = status
            self.changed()
            for booking in self.bookings.values():
                if booking.left and status in DOES_NOT_TAKE_PLACE:
                    self.tell(booking, "screening_changed")

    def change_prices(self, prices: PriceTable) -> None:
        """Holds and bookings keep the table that they were made with (HOLD-003)."""
        if self.prices.name != prices.name:
            self.prices = prices
            self.changed()

    def change_cancellation(self, policy: dict[str, Any]) -> None:
        """Bookings keep the policy that they were made with (CANC-001)."""
        self.screening.cancellation = policy

    def block(self, seats: Sequence[str]) -> None:
        conflicts = [c for c in self.conflicts("", seats, now=0) if c["reason"] not in ("blocked", "companion_only")]
        self.check_conflicts(conflicts)
        fresh = [seat for seat in seats if seat not in self.claims]
        self.claims.update({seat: Claim("blocked") for seat in fresh})
        if fresh:
            self.changed()

    def unblock(self, seats: Sequence[str]) -> None:
        blocked = [seat for seat in seats if self.claims.get(seat, Claim("")).reason == "blocked"]
        self.give_back(blocked, "")
        if blocked:
            self.changed()

    def take_payment(self, booking: Booking) -> None:
        """What is due is paid at the counter."""
        if not booking.is_unpaid:
            raise Problem("booking_state", "nothing is due for this booking", seq=self.seq)
        booking.paid, booking.balance_due = booking.paid + booking.balance_due, 0
        self.tell(booking, "booking_paid")
