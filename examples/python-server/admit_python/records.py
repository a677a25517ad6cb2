"""What is known of a screening, its holds and its bookings. Times are milliseconds since 1970."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .prices import Choice, PriceTable

MINUTE = 60_000
HOUR = 60 * MINUTE
DOES_NOT_TAKE_PLACE = {"cancelled", "postponed", "moved"}


@dataclass
class Screening:
    """What the house needs to know of its screening. Times are milliseconds since 1970."""

    id: str
    cinema: str
    hall: str
    starts_at: int
    ends_at: int | None
    opens_at: int
    closes_at: int
    collect_by: int | None
    cancellation: dict[str, Any]
    seat_rules: dict[str, Any] = field(default_factory=dict)
    accessible_release_at: int | None = None
    status: str = "on_sale"


class Layout:
    """An immutable arrangement of seats."""

    def __init__(self, name: str, document: dict[str, Any]) -> None:
        self.name, self.document = name, document
        self.seats: dict[str, dict[str, Any]] = {seat["id"]: seat for seat in document["seats"]}

    def zone(self, seat: str) -> str:
        return self.seats[seat]["zone"]

    def spaces_of(self, seat: str) -> set[str]:
        """The wheelchair spaces whose companion's seat this is (LAY-003)."""
        return set(self.seats[seat].get("companion_of", []))

    def is_wheelchair_space(self, seat: str) -> bool:
        return self.seats[seat].get("kind") == "wheelchair_space"

    def neighbours(self, seat: str) -> list[str]:
        """Who sits beside whom is said, and not measured (LAY-002)."""
        return [self.seats[seat][side] for side in ("left", "right") if self.seats[seat].get(side)]


@dataclass(frozen=True)
class HoldPolicy:
    """The announced limits of holds. Fifty minutes is more than any of them allows (HOLD-009)."""

    seats_max: int = 10
    holds_per_buyer: int = 2
    ttl_s: int = 300
    ttl_min_s: int = 30
    ttl_max_s: int = 600


@dataclass(frozen=True)
class Wish:
    """A seat, and perhaps already for whom."""

    seat: str
    ticket_type: str | None = None


@dataclass
class Hold:
    id: str
    owner: str
    wishes: tuple[Wish, ...]
    prices: PriceTable
    created_at: int
    expires_at: int
    seq: int
    state: str = "active"
    booking: str | None = None

    @property
    def seats(self) -> list[str]:
        return [wish.seat for wish in self.wishes]


@dataclass
class Line:
    """One ticket of a booking."""

    choice: Choice
    total: int
    refundable: int
    state: str = "valid"


@dataclass
class Booking:
    id: str
    ref: str
    owner: str
    seed: bytes
    prices: PriceTable
    lines: list[Line]
    payment_method: str
    cancellation: dict[str, Any]
    confirmed_at: int
    collect_by: int | None
    seq: int
    paid: int = 0
    balance_due: int = 0
    refunded: int = 0
    webhook: str | None = None

    @property
    def total(self) -> int:
        return sum(line.total for line in self.lines) + self.prices.fees()

    @property
    def left(self) -> list[Line]:
        return [line for line in self.lines if line.state != "revoked"]

    @property
    def state(self) -> str:
        if not self.left:
            return "cancelled"
        return "confirmed" if len(self.left) == len(self.lines) else "part_cancelled"

    @property
    def is_unpaid(self) -> bool:
        return self.balance_due > 0


@dataclass(frozen=True)
class Refund:
    """What a cancellation brings back: for each line, for the booking as a whole, and until before when."""

    lines: list[tuple[Line, int]]
    fees: int
    balance_reduction: int
    valid_until: int

    @property
    def total(self) -> int:
        return sum(amount for _, amount in self.lines) + self.fees


@dataclass(frozen=True)
class Claim:
    """Why a seat is not free, and whose it is."""

    reason: str
    by: str = ""
    owner: str = ""
    hold: str = ""
