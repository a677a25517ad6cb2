"""Who has which seat of one screening: the state that all rules are about."""

from __future__ import annotations

import threading
from typing import Iterable

from .notifications import Notifications
from .prices import PriceTable
from .receipts import SeatLog
from .records import Booking, Claim, Hold, HoldPolicy, Layout, Screening


class Seating:
    log: SeatLog  # its cinema gives it one
    notifications: Notifications  # the cinema's

    def __init__(
        self, screening: Screening, layout: Layout, prices: PriceTable, policy: HoldPolicy, epoch: str
    ) -> None:
        self.screening, self.layout, self.prices, self.policy, self.epoch = screening, layout, prices, policy, epoch
        self.lock = threading.RLock()  # whoever reads or changes the house holds it
        self.seq = 0
        self.claims: dict[str, Claim] = {}
        self.holds: dict[str, Hold] = {}
        self.bookings: dict[str, Booking] = {}

    def changed(self) -> int:
        """Every change of the house is a version (SEAT-002)."""
        self.seq += 1
        return self.seq

    def write_log(self, now: int) -> None:
        """Who has which seat, for who has receipts. Called before anybody else reads what has changed."""
        self.log.keep_up({seat: claim.hold for seat, claim in self.claims.items()}, self.seq, now)

    def tell(self, booking: Booking, kind: str) -> None:
        """Who left a webhook hears what happened to their booking (NOTE-002)."""
        self.notifications.tell(booking.webhook, kind, {"screening": self.screening.id, "booking": booking.id})

    def forget(self, booking: Booking) -> None:
        """What is waiting to be sent goes, too."""
        self.notifications.forget(booking.id)
        booking.webhook = None

    def free(self) -> list[str]:
        return [seat for seat in self.layout.seats if seat not in self.claims]

    def not_free(self) -> dict[str, list[str]]:
        """Every seat that is not free, by why, in the layout's order; the same for everybody (SEAT-001)."""
        by_reason: dict[str, list[str]] = {}
        for seat in self.layout.seats:
            if seat in self.claims:
                by_reason.setdefault(self.claims[seat].reason, []).append(seat)
        return by_reason

    def give_back(self, seats: Iterable[str], holder: str) -> None:
        for seat in seats:
            if seat in self.claims and self.claims[seat].by == holder:
                del self.claims[seat]

    def needs_space(self, seat: str, now: int) -> bool:
        """Whether this is a companion's seat that is not sold to anybody yet (HOLD-006)."""
        release = self.screening.accessible_release_at
        return bool(self.layout.spaces_of(seat)) and (release is None or now < release)

    def has_space(self, owner: str, companion: str, seats: Iterable[str], without: Iterable[str] = ()) -> bool:
        """Whether one of its wheelchair spaces is among these seats, or the owner's already."""
        mine = {seat for seat, claim in self.claims.items() if claim.owner == owner}
        return bool(self.layout.spaces_of(companion) & (mine.union(seats) - set(without)))
