"""A price table, and what tickets cost by it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Sequence


@dataclass(frozen=True)
class Choice:
    """A seat, its zone, and for whom it is."""

    seat: str
    zone: str
    ticket_type: str


class PriceTable:
    """An immutable table, known by its name: remembering the name is pinning the prices (HOLD-003)."""

    def __init__(self, name: str, document: dict[str, Any]) -> None:
        self.name, self.document = name, document
        self.currency: str = document["currency"]
        self.types = {kind["id"]: kind for kind in document["ticket_types"]}
        self.offers = {(offer["ticket_type"], offer["zone"]): offer for offer in document["offers"]}
        self.booking_fees = document.get("booking_fees", [])

    def money(self, amount: int) -> dict[str, Any]:
        return {"amount": amount, "currency": self.currency}

    def is_sold(self, ticket_type: str, zone: str) -> bool:
        """A pair without an offer is not sold (PRICE-002)."""
        return (ticket_type, zone) in self.offers

    def price(self, choice: Choice) -> int:
        return self.offers[choice.ticket_type, choice.zone]["total"]["amount"]

    def refundable(self, choice: Choice) -> int:
        """The price without the fees that never come back."""
        fees = self.offers[choice.ticket_type, choice.zone].get("fees", [])
        return self.price(choice) - sum(fee["amount"]["amount"] for fee in fees if not fee.get("refundable"))

    def fees(self, refundable_only: bool = False) -> int:
        """What is paid once for a booking."""
        return sum(
            fee["amount"]["amount"] for fee in self.booking_fees if fee.get("refundable") or not refundable_only
        )

    def total(self, choices: Sequence[Choice]) -> int:
        """The exact sum of its parts (MONEY-002)."""
        return sum(self.price(choice) for choice in choices) + self.fees()

    def quote(self, choices: Sequence[Choice]) -> dict[str, Any]:
        lines = [
            {"seat": choice.seat, "ticket_type": choice.ticket_type, "total": self.money(self.price(choice))}
            for choice in choices
        ]
        return {"lines": lines, "booking_fees": self.money(self.fees()), "total": self.money(self.total(choices))}

    def not_sold_so(self, ticket_types: Sequence[str]) -> set[str]:
        """Ticket types that lack somebody to go with (PRICE-003), or of which there are too many."""
        count = Counter(ticket_types)
        return {kind for kind in count if self._lacks_company(kind, count) or self._is_too_many(kind, count)}

    def _lacks_company(self, kind: str, count: Counter[str]) -> bool:
        needs = self.types[kind].get("needs_one_of", [])
        each = self.types[kind].get("each_goes_with", 1)
        return bool(needs) and -(-count[kind] // each) > sum(count[other] for other in needs)

    def _is_too_many(self, kind: str, count: Counter[str]) -> bool:
        most = self.types[kind].get("max_per_booking")
        return most is not None and count[kind] > most

    def range(self, zones: set[str]) -> dict[str, Any] | None:
        """The least and the most that one adult pays, or anybody where no adult ticket is sold (PROG-008)."""
        sold = [offer for offer in self.offers.values() if offer["zone"] in zones]
        adults = [offer for offer in sold if self.types[offer["ticket_type"]]["audience"] == "adult"]
        totals = [offer["total"]["amount"] + self.fees() for offer in adults or sold]
        return {"lowest": self.money(min(totals)), "highest": self.money(max(totals))} if totals else None
