"""Receipts and the log of seats: what a cinema that cheats would leave out, or write anew."""

import json

from admit_python.keys import content_name
from admit_python.receipts import Receipts, SeatLog
from admit_python.server import Api
from admit_python.wire import Problem, write

from . import mutant


@mutant("RCPT-001", "A receipt is signed with the ticket key.")
class SignsReceiptsWithTheTicketKey(Api):
    def receipt(self, request, screening, hold):
        identity, self.cinema.identity = self.cinema.identity, self.cinema.ticket_key
        try:
            return super().receipt(request, screening, hold)
        finally:
            self.cinema.identity = identity


@mutant("RCPT-001", "A receipt is signed as a manifest.")
class SignsReceiptsAsManifests(Receipts):
    def header(self, key):
        return {**super().header(key), "typ": "admit-manifest+jws"}


@mutant("RCPT-001", "A hold that was given back has a receipt.")
class ReceiptsForWhatIsOver(Receipts):
    def receipt(self, origin, house, hold, now):
        state, hold.state = hold.state, "active"
        try:
            return super().receipt(origin, house, hold, now)
        finally:
            hold.state = state


@mutant("RCPT-001", "The receipt of a booking has seats that were cancelled.")
class ReceiptsForCancelledSeats(Receipts):
    def receipt(self, origin, house, hold, now):
        return {**super().receipt(origin, house, hold, now), "seats": hold.seats}


@mutant("RCPT-001", "Anybody gets a receipt.")
class ReceiptsForAnybody(Api):
    def receipt(self, request, screening, hold):
        self.owner(request)
        with self.cinema.house(screening) as (house, now):
            if hold not in house.holds:
                raise Problem("not_found", "there is no such hold")
            document = self.cinema.receipts.receipt(self.cinema.origin, house, house.holds[hold], now)
            return self.private(200, self.cinema.receipts.sign(self.cinema.identity, document))


@mutant("RCPT-002", "What was given back stays in the log as if somebody had it.")
class NeverFrees(SeatLog):
    def keep_up(self, has, seq, now):
        super().keep_up({**self.had, **has}, seq, now)


@mutant("RCPT-002", "Seats that the cinema does not sell are not in the log.")
class HidesBlocks(SeatLog):
    def keep_up(self, has, seq, now):
        super().keep_up({seat: hold for seat, hold in has.items() if hold}, seq, now)


@mutant("RCPT-002", "A page of the log begins with what was read already.")
class BeginsWithTheLast(SeatLog):
    def page(self, after):
        return super().page(max(0, after - 1))


@mutant("RCPT-003", "The first entry names nothing that is before it.")
class BeginsAnywhere(SeatLog):
    def prior(self):
        return super().prior() if self.entries else content_name(b"")


@mutant("RCPT-003", "Entries name the screening, and not the entry before.")
class NamesTheRoot(SeatLog):
    def __init__(self, screening):
        super().__init__(screening)
        self.root = self.head

    def prior(self):
        return self.root


@mutant("RCPT-004", "The log is written anew, without who came and went.")
class ForgetsWhoCameAndWent(SeatLog):
    def keep_up(self, has, seq, now):
        if self.entries and self.had and not has:
            self.__init__(self.screening)
        super().keep_up(has, seq, now)

    def __init__(self, screening):
        super().__init__(screening)
        self.screening = screening


@mutant("RCPT-004", "An entry is published with other spaces the second time.")
class WritesEntriesAnew(SeatLog):
    readings = 0

    def page(self, after):
        self.readings += 1
        page = super().page(after)
        if self.readings == 1:
            return page
        return {**page, "entries": [json.dumps(json.loads(text)) for text in page["entries"]]}


@mutant("RCPT-004", "A receipt names the log as it was one entry before.")
class ReceiptsOfYesterday(Receipts):
    def receipt(self, origin, house, hold, now):
        last = json.loads(house.log.entries[-1][1])
        return {**super().receipt(origin, house, hold, now), "head": last["prior"]}


@mutant("RCPT-005", "The log names holds as they are called.")
class NamesHolds(SeatLog):
    def name(self, hold):
        return content_name(write({"id": hold}))


@mutant("RCPT-005", "A booking has another name in the log than its hold.")
class NamesHoldsAnew(SeatLog):
    def taken(self, hold, seats):
        return super().taken(f"{hold}{len(self.entries)}", seats)
