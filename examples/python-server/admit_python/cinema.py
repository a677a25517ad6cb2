"""A cinema and what it publishes: its documents, its programme, and its signed manifest."""

from __future__ import annotations

import secrets
import threading
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, Iterator

from .house import House
from .keys import ManifestSigner, SigningKey, base64url, content_name
from .notifications import Notifications
from .prices import PriceTable
from .receipts import Receipts
from .records import HOUR, MINUTE, HoldPolicy, Layout, Screening
from .views import API_BASE, FILM, ZONE, Views
from .wire import Clock, Problem, instant, write

DAY = 24 * HOUR
CURRENCY = "EUR"
PAGE_SCREENINGS = 1000  # PROG-002
MANIFEST_LIFE = 7 * DAY  # MAN-004
KEY_LIFE = 10 * 365 * DAY
REF_LETTERS = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"  # without 0, O, 1, I, L


@dataclass(frozen=True)
class Wanted:
    """A screening that somebody wants made."""

    rows: int = 2
    seats: int = 10
    wheelchair: bool = False
    price: int = 1000
    starts_in_s: int = 172_800
    sales_open_in_s: int = 0
    late_sales: bool = False
    cancellation: dict[str, Any] = field(
        default_factory=lambda: {"tiers": [{"until_before_start_s": 3600, "refund_percent": 100}]}
    )
    seat_rules: dict[str, Any] = field(default_factory=dict)


def layout_of(wanted: Wanted) -> dict[str, Any]:
    """Rows of seats side by side, with a screen in front."""
    width, depth = 60 * wanted.seats, 100 * wanted.rows
    return {
        "screen": {"from": {"x": 0, "y": 0}, "to": {"x": width, "y": 0}},
        "focal_point": {"x": width // 2, "y": 200 + depth * 2 // 3},
        "zones": [{"id": "all", "name": {"en": "All seats"}}],
        "seats": [seat_of(wanted, row, n) for row in range(1, wanted.rows + 1) for n in range(1, wanted.seats + 1)],
    }


def seat_of(wanted: Wanted, row: int, number: int) -> dict[str, Any]:
    seat: dict[str, Any] = {
        "id": f"{row}-{number}", "row": str(row), "number": str(number), "zone": "all", "kind": "standard",
        "x": 60 * number - 30, "y": 200 + 100 * row,
    }  # fmt: skip
    if number > 1:
        seat["left"] = f"{row}-{number - 1}"
    if number < wanted.seats:
        seat["right"] = f"{row}-{number + 1}"
    if wanted.wheelchair and (row, number) == (1, 1):
        seat["kind"] = "wheelchair_space"
    if wanted.wheelchair and (row, number) == (1, 2):
        seat |= {"kind": "companion", "companion_of": ["1-1"]}
    return seat


def prices_of(adult: int) -> dict[str, Any]:
    """A child pays half, rounded down."""

    def offer(ticket_type: str, amount: int) -> dict[str, Any]:
        money = {"amount": amount, "currency": CURRENCY}
        return {"ticket_type": ticket_type, "zone": "all", "base": money, "total": money}

    return {
        "currency": CURRENCY,
        "ticket_types": [
            {"id": "adult", "name": {"en": "Adult"}, "audience": "adult"},
            {"id": "child", "name": {"en": "Child"}, "audience": "child"},
        ],
        "offers": [offer("adult", adult), offer("child", adult // 2)],
    }


class Documents:
    """What is named by its hash and never changes; what was published once is answered for ever (PROG-001)."""

    def __init__(self) -> None:
        self.by_kind: dict[str, dict[str, bytes]] = {"cinema_pages": {}, "layouts": {}, "price_tables": {}}

    def publish(self, kind: str, document: dict[str, Any]) -> str:
        data = write(document)
        name = content_name(data)
        self.by_kind[kind][name] = data
        return name

    def read(self, kind: str, name: str) -> bytes:
        if name not in self.by_kind[kind]:
            raise Problem("not_found", "there is no document of this name")
        return self.by_kind[kind][name]


class Cinema:
    """One cinema, its halls, and the houses of its screenings, each with a lock of its own."""

    def __init__(self, origin: str, clock: Clock, parts: Any, capabilities: tuple[str, ...] = ()) -> None:
        self.origin, self.clock, self.parts, self.capabilities = origin, clock, parts, capabilities
        self.id = "roxy"
        self.policy = HoldPolicy()
        self.documents = Documents()
        self.signer: ManifestSigner = parts.manifest_signer()
        self.identity, self.recovery, self.ticket_key = SigningKey(), SigningKey(), SigningKey()  # MAN-006
        self.started_at = clock()
        self.receipts: Receipts = parts.receipts()
        self.notifications: Notifications = parts.notifications(origin, self.identity, clock)
        self.halls: dict[str, dict[str, Any]] = {}
        self.views: Views = parts.views(origin, self.halls, parts.tickets(self.ticket_key))
        self.houses: dict[str, House] = {}
        self.lock = threading.RLock()  # for what belongs to no screening
        self.serial, self.signed_at, self.signed = 0, 0, b""

    # ---- screenings -------------------------------------------------------------------------------------------------

    def add_screening(self, wanted: Wanted) -> str:
        """A screening in a hall of its own."""
        with self.lock:
            now = self.clock()
            number = len(self.houses) + 1
            layout = self.layout(layout_of(wanted))
            hall = f"hall-{number}"
            self.halls[hall] = {
                "id": hall, "name": {"en": f"Hall {number}"},
                "capacity": wanted.rows * wanted.seats, "layout": layout.name,
            }  # fmt: skip
            starts_at = now + 1000 * wanted.starts_in_s
            screening = Screening(
                id=f"scr_{number}_{secrets.token_hex(4)}",
                cinema=self.id,
                hall=hall,
                starts_at=starts_at,
                ends_at=starts_at + 2 * HOUR,
                opens_at=now + 1000 * wanted.sales_open_in_s,
                closes_at=starts_at + (30 * MINUTE if wanted.late_sales else 0),
                collect_by=starts_at - 30 * MINUTE,
                cancellation=wanted.cancellation,
                seat_rules=wanted.seat_rules,
            )
            prices = self.price_table(prices_of(wanted.price))
            house = self.parts.house(screening, layout, prices, self.policy, self.new_id("ep"))
            house.log = self.parts.seat_log(screening.id)
            house.notifications = self.notifications
            self.houses[screening.id] = house
            self.signed = b""  # its hall makes a new page of cinemas, and so a new manifest
            return screening.id

    def layout(self, document: dict[str, Any]) -> Layout:
        return Layout(self.documents.publish("layouts", document), document)

    def price_table(self, document: dict[str, Any]) -> PriceTable:
        return self.parts.prices(self.documents.publish("price_tables", document), document)

    @contextmanager
    def house(self, id: str) -> Iterator[tuple[House, int]]:
        """The house of a screening, with the time, for as long as its lock is held. Everything due has happened."""
        if id not in self.houses:
            raise Problem("not_found", "there is no such screening here")
        house = self.houses[id]
        with house.lock:
            now = self.clock()
            house.settle(now)
            house.write_log(now)
            try:
                yield house, now
            finally:
                house.write_log(now)

    def settle(self) -> None:
        for id in list(self.houses):
            with self.house(id):
                pass

    def new_id(self, prefix: str) -> str:
        """96 random bits (ID-003)."""
        return f"{prefix}_{secrets.token_hex(12)}"

    def new_ref(self) -> str:
        """Short, for people at a box office."""
        return "".join(secrets.choice(REF_LETTERS) for _ in range(8))

    # ---- the manifest -----------------------------------------------------------------------------------------------

    def manifest(self) -> bytes:
        """Signed anew each day, and when something in it changes; the serial goes up each time (MAN-010)."""
        with self.lock:
            now = self.clock()
            if not self.signed or now >= self.signed_at + DAY:
                self.serial, self.signed_at = max(self.serial + 1, now), now
                self.signed = write(self.signer.sign(self.identity, self.manifest_document(now)))
            return self.signed

    def manifest_document(self, now: int) -> dict[str, Any]:
        return {
            "origin": self.origin,
            "role": "server",
            "versions": ["v1"],
            "api_base": API_BASE,
            "operator": {"en": "Roxy Cinema"},
            "contact": {"email": "roxy@cinema.example"},
            "keys": {
                "identity": base64url(self.identity.public),
                "recovery": base64url(self.recovery.public),
                "ticket": [
                    {
                        "key": base64url(self.ticket_key.public),
                        "signs_from": instant(self.started_at),
                        "signs_until": instant(self.started_at + KEY_LIFE),
                        "verify_until": instant(self.started_at + 2 * KEY_LIFE),
                    }
                ],
            },
            "serial": self.serial,
            "issued": instant(now),
            "expires": instant(now + MANIFEST_LIFE),
            "cinema_pages": [self.documents.publish("cinema_pages", {"cinemas": [self.cinema_document()]})],
            "capabilities": ["buyer_keys", "notifications", "receipts", *self.capabilities],
            "auth_methods": ["secret", "buyer_key"],
            "payment_methods": ["none", "at_cinema"],
            "hold_policy": asdict(self.policy),
        }

    def cinema_document(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": {"en": "Roxy"},
            "address": {"street": "Hauptplatz 1", "city": {"de": "Linz"}, "country": "AT", "postcode": "4020"},
            "position": {"lat_e6": 48_305_900, "lon_e6": 14_286_300},
            "zone": ZONE.key,
            "currency": CURRENCY,
            "halls": list(self.halls.values()),
        }

    # ---- the programme ----------------------------------------------------------------------------------------------

    def programme(self, cursor: str | None) -> dict[str, Any]:
        """The screenings by start, then id; the cursor is the place of the last one that was read (PROG-002)."""
        houses = {self.place_in_programme(house.screening): house for house in list(self.houses.values())}
        if cursor is not None and cursor not in houses:
            raise Problem("not_found", "read the programme from its beginning")
        rest = sorted(place for place in houses if cursor is None or place > cursor)
        page = rest[:PAGE_SCREENINGS]
        document = {
            "cinema": self.id,
            "films": [FILM] if page else [],
            "screenings": [self.views.screening(houses[place]) for place in page],
        }
        if len(rest) > len(page):
            document["next"] = page[-1]
        return document

    def place_in_programme(self, show: Screening) -> str:
        return f"{show.starts_at:015d}.{show.id}"
