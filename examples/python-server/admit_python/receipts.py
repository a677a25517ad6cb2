"""The log of who had which seat, and the cinema's word for a hold (capability `receipts`)."""

from __future__ import annotations

import json
from typing import Any, Mapping

from .keys import ManifestSigner, SigningKey, content_name
from .records import Hold
from .wire import Problem, instant, write

PAGE_ENTRIES = 1000


class SeatLog:
    """A chain: every entry names the one before (RCPT-003)."""

    def __init__(self, screening: str) -> None:
        self.head = content_name(screening.encode())
        self.entries: list[tuple[int, str]] = []
        self.had: dict[str, str] = {}

    def keep_up(self, has: Mapping[str, str], seq: int, now: int) -> None:
        """Writes down what is different. `has` is whose hold has a seat; the cinema's own have none."""
        freed = [seat for seat, hold in self.had.items() if has.get(seat) != hold]
        taken: dict[str, list[str]] = {}
        for seat, hold in has.items():
            if self.had.get(seat) != hold:
                taken.setdefault(hold, []).append(seat)
        if freed or taken:
            self.write(seq, now, freed, taken)
        self.had = dict(has)

    def write(self, seq: int, now: int, freed: list[str], taken: dict[str, list[str]]) -> None:
        entry: dict[str, Any] = {"prior": self.prior(), "seq": seq, "at": instant(now)}
        if freed:
            entry["freed"] = freed
        if taken:
            entry["taken"] = [self.taken(hold, seats) for hold, seats in taken.items()]
        text = write(entry).decode()
        self.head = content_name(text.encode())
        self.entries.append((seq, text))

    def prior(self) -> str:
        return self.head

    def taken(self, hold: str, seats: list[str]) -> dict[str, Any]:
        return {"of": self.name(hold), "seats": seats} if hold else {"seats": seats}

    def name(self, hold: str) -> str:
        """Who has the hold's id finds it, and nobody else learns whose it is (RCPT-005)."""
        return content_name(hold.encode())

    def page(self, after: int) -> dict[str, Any]:
        """What happened at one `seq` is on one page: here it is one entry (RCPT-002)."""
        rest = [text for seq, text in self.entries if seq > after]
        return {"entries": rest[:PAGE_ENTRIES], "more": len(rest) > PAGE_ENTRIES}


class Receipts(ManifestSigner):
    """Signs receipts with the identity key (RCPT-001)."""

    def header(self, key: SigningKey) -> dict[str, Any]:
        return {**super().header(key), "typ": "admit-receipt+jws"}

    def receipt(self, origin: str, house: Any, hold: Hold, now: int) -> dict[str, Any]:
        booking = house.bookings.get(hold.booking)
        seats = [line.choice.seat for line in booking.left] if booking else hold.seats
        if hold.state not in ("active", "converted") or not seats:
            raise Problem("hold_expired", "nothing is held by it any more", seq=house.seq)
        document = {
            "origin": origin,
            "screening": house.screening.id,
            "layout": house.layout.name,
            "of": house.log.name(hold.id),
            "state": hold.state,
            "seats": seats,
            "seq": house.seq,
            "head": house.log.head,
            "issued": instant(now),
        }
        if hold.state == "active":
            document["expires_at"] = instant(hold.expires_at)
        return document
