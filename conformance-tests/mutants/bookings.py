"""Bookings: what was held becomes what is owed."""

from admit_python.house import House
from admit_python.prices import PriceTable
from admit_python.records import HOUR, MINUTE, Claim
from admit_python.server import Api
from admit_python.views import Views
from admit_python.wire import Problem

from . import let_others_in, mutant


@mutant("BOOK-002", "The total of a request is taken as it is.")
class BelievesTheTotal(House):
    def check_total(self, hold, choices, total):
        pass


@mutant("BOOK-002", "A total is refused only where it is too low.")
class TakesTooMuch(House):
    def check_total(self, hold, choices, total):
        if total[0] < self.total(hold, choices):
            super().check_total(hold, choices, total)


@mutant("BOOK-002", "A total in another currency is taken for the right one.")
class ForgetsTheCurrency(House):
    def check_total(self, hold, choices, total):
        super().check_total(hold, choices, (total[0], hold.prices.currency))


@mutant("BOOK-002", "Who is told of another total has lost the hold.")
class EndsTheHoldOnAnotherTotal(House):
    def check_total(self, hold, choices, total):
        try:
            super().check_total(hold, choices, total)
        except Problem:
            self.end_hold(hold, "released")
            raise


@mutant("BOOK-002", "The right total that is told is by the prices of now.")
class TellsAnotherTotal(House):
    def check_total(self, hold, choices, total):
        try:
            super().check_total(hold, choices, total)
        except Problem as problem:
            problem.members["quote"] = self.prices.quote(choices)
            raise


@mutant("BOOK-001", "Held seats without a ticket are booked along, for nothing.")
class BooksSeatsWithoutTickets(House):
    def choices(self, hold, ticket_types):
        wanted = dict(ticket_types)
        if not set(wanted) <= set(hold.seats):
            return super().choices(hold, ticket_types)
        return [self.choice(seat, wanted[seat]) for seat in hold.seats if seat in wanted]


@mutant("BOOK-001", "Tickets for seats that are not held are passed over.")
class PassesOverOtherTickets(House):
    def choices(self, hold, ticket_types):
        return super().choices(hold, [pair for pair in ticket_types if pair[0] in hold.seats])


@mutant("BOOK-001", "Of two tickets for one seat the last one counts.")
class TakesTheLastTicket(House):
    def choices(self, hold, ticket_types):
        return super().choices(hold, list(dict(ticket_types).items()))


@mutant("BOOK-001", "Between the check of a hold and its booking others come in: it is booked twice.")
class BooksTwiceInARace(House):
    def check_booking(self, *wanted):
        choices = super().check_booking(*wanted)
        let_others_in(self)
        return choices


@mutant("BOOK-001", "What is booked can be booked again, with another key.")
class BooksTwice(House):
    def check_active(self, hold):
        if hold.state != "converted":
            super().check_active(hold)


@mutant("PRICE-002", "A ticket type that is not sold is taken for the first one that is.")
class SellsUnknownTypes(House):
    def choices(self, hold, ticket_types):
        first = next(iter(hold.prices.types))
        known = [(seat, kind if kind in hold.prices.types else first) for seat, kind in ticket_types]
        return super().choices(hold, known)


@mutant("BOOK-003", "Any payment method is taken.")
class TakesAnyPayment(House):
    def check_payment(self, payment_method, total):
        pass


@mutant("BOOK-003", "`none` is taken for something: nothing is due then.")
class SellsForNothing(House):
    def check_payment(self, payment_method, total):
        super().check_payment("at_cinema" if payment_method == "none" and total else payment_method, total)


@mutant("MONEY-002", "Totals are rounded down to ten cents.")
class RoundsTotals(PriceTable):
    def total(self, choices):
        return super().total(choices) // 10 * 10


@mutant("BOOK-005", "What is not paid is never cancelled.")
class WaitsForEver(House):
    def is_uncollected(self, booking, now):
        return False


@mutant("BOOK-005", "What is not paid is cancelled a minute late.")
class WaitsAMinuteLonger(House):
    def is_uncollected(self, booking, now):
        return super().is_uncollected(booking, now - MINUTE)


@mutant("BOOK-005", "What is not paid is cancelled a minute early.")
class WaitsAMinuteLess(House):
    def is_uncollected(self, booking, now):
        return super().is_uncollected(booking, now + MINUTE)


@mutant("BOOK-005", "What was paid is cancelled as if it were not.")
class CancelsWhatWasPaid(House):
    def is_uncollected(self, booking, now):
        return bool(booking.left) and booking.collect_by is not None and now >= booking.collect_by


@mutant("BOOK-005", "What is not paid is cancelled, and its seats stay sold.")
class KeepsSeatsNobodyPaid(House):
    def settle(self, now):
        lapsing = [booking for booking in self.bookings.values() if self.is_uncollected(booking, now)]
        super().settle(now)
        for booking in lapsing:
            self.claims.update({line.choice.seat: Claim("sold", booking.id) for line in booking.lines})


@mutant("BOOK-005", "What is not paid frees its seats, and still counts as confirmed.")
class ConfirmsWhatNobodyPaid(House):
    def settle(self, now):
        lapsing = [booking for booking in self.bookings.values() if self.is_uncollected(booking, now)]
        super().settle(now)
        for booking in lapsing:
            booking.collect_by = None
            for line in booking.lines:
                line.state = "valid"


@mutant("BOOK-005", "Who books in the last minutes gets a deadline that is almost over.")
class SetsATrap(House):
    def collect_by(self, now):
        regular = self.screening.collect_by
        return regular if now < regular else super().collect_by(now)


@mutant("BOOK-005", "Who books in the last minutes gets until an hour after the start.")
class LetsThemPayAfterTheStart(House):
    def collect_by(self, now):
        end = super().collect_by(now)
        return end if end == self.screening.collect_by else end + HOUR


@mutant("CTRL-005", "What was paid still says that it is due.")
class ForgetsPayments(House):
    def take_payment(self, booking):
        due = booking.balance_due
        super().take_payment(booking)
        booking.balance_due = due


@mutant("HTTP-012", "Whoever knows its id can read a booking.")
class ShowsAnothersBooking(Api):
    def read_booking(self, request, screening, booking):
        self.owner(request)
        with self.cinema.house(screening) as (house, _):
            return self.private(200, self.cinema.views.booking(house, house.booking(booking)))


@mutant("HTTP-012", "Whoever knows its id can read the tickets of a booking.")
class ShowsAnothersTickets(Api):
    def read_tickets(self, request, screening, booking):
        self.owner(request)
        with self.cinema.house(screening) as (house, _):
            return self.private(200, self.cinema.views.tickets_of(house, house.booking(booking)))


@mutant("HOLD-003", "The reading of a booking has the price of now.")
class ShowsPricesOfNow(Views):
    def booking(self, house, booking):
        for line in booking.lines:
            line.total = house.prices.price(line.choice)
        return super().booking(house, booking)


