"""Servers that misbehave in one thing each: who tests a conformance suite with them learns what it does not see."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import Any, Callable

from admit_python.cinema import Cinema
from admit_python.control import Control
from admit_python.house import House
from admit_python.keys import ManifestSigner
from admit_python.notifications import Notifications
from admit_python.prices import PriceTable
from admit_python.receipts import Receipts, SeatLog
from admit_python.server import Api
from admit_python.signatures import Signatures
from admit_python.tickets import Tickets
from admit_python.views import Views
from admit_python.wire import Idempotency

PARTS = {
    House: "house",
    PriceTable: "prices",
    Tickets: "tickets",
    Views: "views",
    ManifestSigner: "manifest_signer",
    Cinema: "cinema",
    Idempotency: "idempotency",
    Api: "api",
    Signatures: "signatures",
    SeatLog: "seat_log",
    Receipts: "receipts",
    Notifications: "notifications",
    Control: "control",
}


@dataclass(frozen=True)
class Mutant:
    name: str
    must: str
    sentence: str
    parts: dict[str, type]


MUTANTS: dict[str, Mutant] = {}


def mutant(must: str, sentence: str, **also: type) -> Callable[[type], type]:
    """Registers a part that breaks this MUST, named after its class. `also` are other parts that it needs."""

    def register(part: type) -> type:
        name = re.sub(r"(?<!^)(?=[A-Z])", "-", part.__name__).lower()
        assert name not in MUTANTS, name
        kind = next(PARTS[base] for base in part.__mro__ if base in PARTS)
        MUTANTS[name] = Mutant(name, must, sentence, {kind: part, **also})
        return part

    return register


def let_others_in(house: House) -> None:
    """Between a check and what rests on it: what a database without a lock, or with too weak a one, lets happen."""
    house.lock.release()
    time.sleep(0.02)
    house.lock.acquire()


def secret_of(request: Any) -> str:
    return request.headers.get("Authorization", "").removeprefix("Bearer ")
