"""Tickets: what is signed, by which key, and for whom."""

import secrets
from dataclasses import replace
from types import SimpleNamespace

import cbor2
from admit_python.cinema import Cinema
from admit_python.records import HOUR, Line
from admit_python.server import Api
from admit_python.tickets import EXPIRES, NOT_BEFORE, TICKET_ID, Tickets
from admit_python.views import Views

from . import mutant


@mutant("TICK-006", "A ticket has another name at each reading.")
class RenamesTickets(Api):
    def read_tickets(self, request, screening, booking):
        with self.cinema.house(screening) as (house, _):
            if booking in house.bookings:
                house.bookings[booking].seed = secrets.token_bytes(16)
        return super().read_tickets(request, screening, booking)


@mutant("TICK-001", "All tickets of a booking have one name.")
class NamesTicketsAlike(Tickets):
    def id(self, ticket):
        return super().id(replace(ticket, line=0))


@mutant("TICK-001", "The name in the code is another than the one beside it.")
class NamesTicketsTwice(Tickets):
    def claims(self, ticket):
        return {**super().claims(ticket), TICKET_ID: super().id(replace(ticket, line=ticket.line + 100))}


@mutant("TICK-001", "The name of a ticket has eight bytes.")
class NamesTicketsShort(Tickets):
    def id(self, ticket):
        return super().id(ticket)[:8]


@mutant("TICK-006", "Tickets are signed with the identity key.")
class SignsWithTheIdentityKey(Cinema):
    def __init__(self, *wanted):
        super().__init__(*wanted)
        self.views.tickets.key = self.identity


@mutant("TICK-006", "Tickets are signed with a key that is not published.")
class SignsWithAnotherKey(Cinema):
    def __init__(self, *wanted):
        super().__init__(*wanted)
        self.views.tickets.key = type(self.identity)()


@mutant("TICK-006", "The ticket key is published as one that signs from tomorrow on.")
class SignsBeforeItsTime(Cinema):
    def manifest_document(self, now):
        started_at, self.started_at = self.started_at, self.started_at + 24 * HOUR
        try:
            return super().manifest_document(now)
        finally:
            self.started_at = started_at


class OtherPlace(Tickets):
    """Says another place than it should."""

    def change(self, place):
        raise NotImplementedError

    def place(self, ticket):
        return self.change(super().place(ticket))


@mutant("TICK-001", "A ticket is for another screening.")
class SignsAnotherScreening(OtherPlace):
    def change(self, place):
        return [bytes(8), *place[1:]]


@mutant("TICK-002", "Row and seat are in each other's place.")
class SwapsRowAndSeat(OtherPlace):
    def change(self, place):
        return [*place[:2], place[3], place[2], *place[4:]]


@mutant("TICK-002", "A ticket admits nobody.")
class AdmitsNobody(OtherPlace):
    def change(self, place):
        return [*place[:5], 0, place[6]]


@mutant("TICK-008", "The generation goes up at each reading.")
class CountsReadingsOfTickets(OtherPlace):
    readings = 0

    def change(self, place):
        self.readings += 1
        return [*place[:6], self.readings]


class OtherSignature(Tickets):
    """Signs in another way."""

    tag, algorithm, aad = 18, -8, b"admit-ticket-v1"

    def sign(self, claims):
        protected, payload = cbor2.dumps({1: self.algorithm, 4: self.key.fingerprint(8)}), cbor2.dumps(claims)
        signature = self.key.sign(cbor2.dumps(["Signature1", protected, self.aad, payload]))
        return cbor2.dumps(cbor2.CBORTag(self.tag, [protected, {}, payload, signature]))


@mutant("TICK-003", "A ticket is longer than a code should be.")
class SignsTooMuch(OtherSignature):
    def claims(self, ticket):
        return super().claims(ticket) | {-70000: "x" * 100}


@mutant("TICK-005", "A ticket names ES256 as its algorithm.")
class NamesAnotherAlgorithm(OtherSignature):
    algorithm = -7


@mutant("TICK-006", "A ticket is signed for no purpose: a signature of anything else could be one.")
class SignsForNoPurpose(OtherSignature):
    aad = b""


class RemembersTheBuyer(Api):
    def check_buyer(self, buyer):
        super().check_buyer(buyer)
        self.cinema.views.tickets.name = buyer.optional("name") if buyer else None


@mutant("TICK-004", "A ticket has its buyer's name.", api=RemembersTheBuyer)
class NamesTheBuyer(OtherPlace):
    name = None

    def change(self, place):
        return [*place[:4], (self.name or place[4])[:16], *place[5:]]


@mutant("TICK-006", "There are tickets for what is only held.")
class SignsForHolds(Api):
    def read_tickets(self, request, screening, booking):
        owner = self.owner(request)
        with self.cinema.house(screening) as (house, _):
            hold = house.holds.get(booking)
            if hold is None or hold.owner != owner:
                return super().read_tickets(request, screening, booking)
            lines = [Line(house.choice(seat, "adult"), 0, 0) for seat in hold.seats]
            like_a_booking = SimpleNamespace(id=hold.id, lines=lines, prices=hold.prices, seed=hold.id.encode())
            return self.private(200, self.cinema.views.tickets_of(house, like_a_booking))


@mutant("TICK-008", "There are tickets only for what is paid.")
class SignsWhatIsPaid(Views):
    def tickets_of(self, house, booking):
        document = super().tickets_of(house, booking)
        return {**document, "tickets": []} if booking.is_unpaid else document


@mutant("TICK-007", "A ticket ends with the screening.")
class EndsWithTheScreening(Tickets):
    def claims(self, ticket):
        claims = super().claims(ticket)
        return {**claims, EXPIRES: claims[EXPIRES] - 3600}


@mutant("TICK-007", "A ticket is good from an hour before the start.")
class BeginsAnHourBefore(Tickets):
    def claims(self, ticket):
        claims = super().claims(ticket)
        return {**claims, NOT_BEFORE: claims[NOT_BEFORE] + 23 * 3600}


@mutant("TICK-007", "A ticket's times are in milliseconds.")
class SignsMilliseconds(Tickets):
    def claims(self, ticket):
        return {**super().claims(ticket), EXPIRES: ticket.not_after, NOT_BEFORE: ticket.not_before}


@mutant("TICK-006", "The tickets of a booking that was cancelled in part are all gone.")
class TakesAllTickets(Views):
    def tickets_of(self, house, booking):
        document = super().tickets_of(house, booking)
        return document if len(booking.left) == len(booking.lines) else {**document, "tickets": []}
