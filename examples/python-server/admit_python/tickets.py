"""Tickets: CWT in COSE_Sign1, in Base45, in a QR code."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import cbor2

from .keys import SigningKey

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
ALGORITHM, KEY_ID = 1, 4
EXPIRES, NOT_BEFORE, TICKET_ID, PLACE = 4, 5, 7, -65537
EDDSA = -8
BYTES_MAX = 200


def base45(data: bytes) -> str:
    """RFC 9285: two bytes become three characters, a last single one becomes two."""
    text = []
    for at in range(0, len(data), 2):
        pair = data[at : at + 2]
        value = int.from_bytes(pair, "big")
        for _ in range(len(pair) + 1):
            value, digit = divmod(value, 45)
            text.append(ALPHABET[digit])
    return "".join(text)


def short(label: str, bytes_max: int) -> str:
    """A label cut to so many bytes, never inside a character (TICK-002)."""
    return label.encode()[:bytes_max].decode(errors="ignore")


@dataclass(frozen=True)
class Ticket:
    """What a ticket says, before it is signed."""

    screening: str
    seed: bytes
    line: int
    hall: str
    row: str
    seat: str
    ticket_type: str
    admits: int
    not_before: int
    not_after: int
    generation: int = 0


class Tickets:
    """Makes tickets when they are read; nothing is stored but the booking's seed."""

    def __init__(self, key: SigningKey) -> None:
        self.key = key

    def id(self, ticket: Ticket) -> bytes:
        """The same however often it is read: a digest over the booking's seed, line, and generation (TICK-001)."""
        name = ticket.seed + ticket.line.to_bytes(2, "big") + ticket.generation.to_bytes(2, "big")
        return hashlib.sha256(name).digest()[:16]

    def place(self, ticket: Ticket) -> list[Any]:
        return [
            hashlib.sha256(ticket.screening.encode()).digest()[:8],
            short(ticket.hall, 23),
            short(ticket.row, 12),
            short(ticket.seat, 8),
            short(ticket.ticket_type, 16),
            ticket.admits,
            ticket.generation,
        ]

    def claims(self, ticket: Ticket) -> dict[int, Any]:
        """Nothing about whoever bought it (TICK-004)."""
        return {
            EXPIRES: ticket.not_after // 1000,
            NOT_BEFORE: ticket.not_before // 1000,
            TICKET_ID: self.id(ticket),
            PLACE: self.place(ticket),
        }

    def sign(self, claims: dict[int, Any]) -> bytes:
        protected = cbor2.dumps({ALGORITHM: EDDSA, KEY_ID: self.key.fingerprint(8)})
        payload = cbor2.dumps(claims)
        signed = cbor2.dumps(["Signature1", protected, b"admit-ticket-v1", payload])
        ticket = cbor2.dumps(cbor2.CBORTag(18, [protected, {}, payload, self.key.sign(signed)]))
        assert len(ticket) <= BYTES_MAX, "labels are cut so that this cannot be (TICK-003)"
        return ticket

    def code(self, ticket: Ticket) -> str:
        """The text of the QR code."""
        return "ADMIT1:" + base45(self.sign(self.claims(ticket)))
