"""Holds: what is promised, to whom, and until when."""

from admit_python.house import House
from admit_python.records import Claim
from admit_python.server import Api
from admit_python.views import Views
from admit_python.web import Response
from admit_python.wire import Problem

from . import let_others_in, mutant


@mutant("HOLD-004", "A hold works for a millisecond longer than it says.")
class ExpiresAMillisecondLate(House):
    def is_over(self, hold, now):
        return now > hold.expires_at


@mutant("HOLD-004", "A hold ends a second before it says.")
class ExpiresASecondEarly(House):
    def is_over(self, hold, now):
        return now >= hold.expires_at - 1000


@mutant("SEAT-004", "What is over is only swept away when somebody holds, so it is shown as held until then.")
class SweepsWhenSomebodyHolds(House):
    def settle(self, now):
        pass

    def place_hold(self, *wanted):
        super().settle(wanted[-1])
        return super().place_hold(*wanted)


@mutant("SEAT-004", "A sweeper comes every ten seconds, and holds are good until it comes.")
class SweepsEveryTenSeconds(House):
    def is_over(self, hold, now):
        return now >= -(-hold.expires_at // 10_000) * 10_000


@mutant("HOLD-004", "What ended by itself can still be booked while nobody else has its seats.")
class BooksWhatIsOver(House):
    def check_active(self, hold):
        if hold.state != "expired" or any(seat in self.claims for seat in hold.seats):
            super().check_active(hold)


@mutant("HOLD-008", "What was released can still be booked while nobody else has its seats.")
class BooksWhatWasReleased(House):
    def check_active(self, hold):
        if hold.state != "released" or any(seat in self.claims for seat in hold.seats):
            super().check_active(hold)


@mutant("HOLD-001", "Where some of the seats are free, those are held.")
class HoldsWhatIsFree(House):
    def place_hold(self, id, owner, wishes, *rest):
        free = [wish for wish in wishes if self.claims.get(wish.seat, Claim("")).reason not in ("held", "sold")]
        return super().place_hold(id, owner, free or wishes, *rest)


@mutant("HOLD-001", "Between the check of the seats and the hold others come in: both get them.")
class SellsTwiceInARace(House):
    def check_wishes(self, *wanted):
        super().check_wishes(*wanted)
        let_others_in(self)


@mutant("HOLD-001", "Only the first seat of a hold is locked: the others can be taken between check and hold.")
class LocksTheFirstSeat(House):
    def check_wishes(self, owner, wishes, layout, now):
        super().check_wishes(owner, wishes, layout, now)
        let_others_in(self)
        self.check_conflicts(self.conflicts(owner, [wishes[0].seat], now))


@mutant("HOLD-002", "Only the first seat that is in the way is named.")
class NamesOneConflict(House):
    def conflicts(self, owner, seats, now):
        return super().conflicts(owner, seats, now)[:1]


@mutant("HOLD-002", "What is sold is said to be held: wait, and it will come free.")
class SaysHeldForSold(House):
    def conflict(self, *wanted):
        reason = super().conflict(*wanted)
        return "held" if reason == "sold" else reason


@mutant("HOLD-003", "The price is the one at booking, not the one that was held.")
class PricesAtBooking(House):
    def check_booking(self, hold, *wanted):
        hold.prices = self.prices
        return super().check_booking(hold, *wanted)


@mutant("HOLD-003", "A new price table goes for what is held already.")
class RepricesHolds(House):
    def change_prices(self, prices):
        super().change_prices(prices)
        for hold in self.holds.values():
            hold.prices = prices


@mutant("HOLD-003", "The quote of a hold is by the prices of now, the booking by those of then.")
class QuotesPricesOfNow(House):
    def quote_of(self, hold):
        pinned, hold.prices = hold.prices, self.prices
        try:
            return super().quote_of(hold)
        finally:
            hold.prices = pinned


@mutant("HOLD-008", "Whoever knows its id can release a hold.")
class ReleasesAnothersHold(Api):
    def release_hold(self, request, screening, hold):
        self.owner(request)
        with self.cinema.house(screening) as (house, _):
            if hold not in house.holds:
                raise Problem("not_found", "there is no such hold")
            house.release(house.holds[hold])
        return Response(204)


@mutant("HTTP-012", "Whoever knows its id can read a hold.")
class ShowsAnothersHold(Api):
    def read_hold(self, request, screening, hold):
        self.owner(request)
        with self.cinema.house(screening) as (house, _):
            if hold not in house.holds:
                raise Problem("not_found", "there is no such hold")
            return self.private(200, self.cinema.views.hold(house, house.holds[hold]))


@mutant("ID-003", "Whoever knows its id can book what somebody else holds.")
class BooksAnothersHold(Api):
    def book(self, request, screening):
        with self.cinema.house(screening) as (house, _):
            hold = house.holds.get(self.fields(request).optional("hold"))
            if hold and hold.state == "active":
                hold.owner = self.owner(request)
        return super().book(request, screening)


@mutant("HOLD-008", "Releasing what is over frees its seats, whoever has them by now.")
class ReleasesWhoCameLater(House):
    def release(self, hold):
        if hold.state in ("released", "expired"):
            for seat in hold.seats:
                self.claims.pop(seat, None)
        super().release(hold)


@mutant("HOLD-008", "What is released stays taken until it would have ended.")
class ReleasesAtTheDeadline(House):
    def end_hold(self, hold, state):
        super().end_hold(hold, state)
        if state == "released":
            self.claims.update({seat: Claim("held", hold.id, hold.owner) for seat in hold.seats})
            hold.lingers = True

    def settle(self, now):
        super().settle(now)
        for hold in self.holds.values():
            if hasattr(hold, "lingers") and now >= hold.expires_at:
                self.give_back(hold.seats, hold.id)


@mutant("HOLD-008", "Releasing a booked hold frees its seats, and the booking stands.")
class ReleasesWhatIsBooked(House):
    def release(self, hold):
        if hold.state != "converted":
            return super().release(hold)
        self.give_back(hold.seats, hold.booking)
        self.changed()


@mutant("HOLD-005", "Who asks for a day gets a day.")
class HoldsForADay(House):
    def deadline(self, ttl_s, now):
        return max(super().deadline(ttl_s, now), now + 1000 * min(ttl_s or 0, 86_400))


@mutant("HOLD-005", "Who asks for a second gets a second.")
class HoldsForASecond(House):
    def deadline(self, ttl_s, now):
        wanted = self.policy.ttl_s if ttl_s is None else ttl_s
        return now + 1000 * min(wanted, self.policy.ttl_max_s)


@mutant("HOLD-005", "One seat more than announced can be held.")
class HoldsOneSeatTooMany(House):
    def check_count(self, wishes):
        super().check_count(wishes[1:] or wishes)


@mutant("HOLD-014", "As many seats as announced are refused: only fewer can be held.")
class HoldsOneSeatTooFew(House):
    def check_count(self, wishes):
        super().check_count([*wishes, None] if wishes else wishes)


@mutant("HOLD-006", "A companion's seat is sold alone.")
class SellsCompanionsAlone(House):
    def needs_space(self, seat, now):
        return False


@mutant("HOLD-006", "A companion's seat goes to anybody once its space is taken, by whomever.")
class SellsCompanionsToStrangers(House):
    def has_space(self, owner, companion, seats, without=()):
        taken = self.layout.spaces_of(companion) & (set(self.claims) - set(without))
        return bool(taken) or super().has_space(owner, companion, seats, without)


@mutant("HOLD-006", "Who has the space already cannot add their companion.")
class WantsCompanionsAtOnce(House):
    def has_space(self, owner, companion, seats, without=()):
        return bool(self.layout.spaces_of(companion) & (set(seats) - set(without)))


@mutant("HOLD-011", "The layout that a hold names is not looked at.")
class IgnoresTheLayout(House):
    def check_layout(self, layout):
        pass


@mutant("HOLD-010", "A booked hold does not name its booking: whoever lost the answer never finds it.")
class ForgetsTheBooking(Views):
    def hold(self, house, hold):
        document = super().hold(house, hold)
        document.pop("booking", None)
        return document


@mutant("HOLD-014", "Ticket types are not judged when holding.")
class TakesAnyTicketType(House):
    def check_types(self, wishes):
        pass


@mutant("HOLD-014", "A hold without ticket types is quoted as if all were adults.")
class QuotesAdults(House):
    def quote_of(self, hold):
        quote = super().quote_of(hold)
        return quote or hold.prices.quote([self.choice(seat, "adult") for seat in hold.seats])


@mutant("HOLD-015", "While sales stand still, what is held cannot be booked.")
class BooksOnlyWhatIsOnSale(House):
    def check_booking(self, hold, *wanted):
        if self.screening.status == "paused":
            raise Problem("sales_closed", "sales stand still")
        return super().check_booking(hold, *wanted)


@mutant("HOLD-015", "What was held is booked after sales have closed only if they are open again.")
class BooksOnlyBeforeSalesClose(Api):
    def book(self, request, screening):
        with self.cinema.house(screening) as (house, now):
            if house.screening.status == "on_sale" and now >= house.screening.closes_at:
                raise Problem("sales_closed", "sales are over")
        return super().book(request, screening)


@mutant("HOLD-015", "What is held is booked although the screening does not take place.")
class BooksWhatDoesNotTakePlace(House):
    def check_takes_place(self):
        pass

    def check_sales(self, now):
        super().check_takes_place()
        super().check_sales(now)


@mutant("HOLD-014", "Every hold counts as one at a time, also those that are over.")
class CountsHoldsThatAreOver(House):
    def check_holds_of(self, owner):
        if sum(hold.owner == owner for hold in self.holds.values()) >= self.policy.holds_per_buyer:
            raise Problem("too_many_holds", "book or release a hold first", seq=self.seq)


@mutant("HOLD-014", "The seats are judged before the layout that they are from.")
class JudgesTheLayoutLast(House):
    def check_wishes(self, owner, wishes, layout, now):
        super().check_wishes(owner, wishes, None, now)
        self.check_layout(layout)


@mutant("CHOOSE-002", "Seats are left alone although the screening's rules forbid it.")
class LeavesSeatsAlone(House):
    def left_alone(self, seats, now):
        return []


@mutant("CHOOSE-006", "Of the seats that would be left alone only the first is named.")
class NamesOneSeatLeftAlone(House):
    def left_alone(self, seats, now):
        return super().left_alone(seats, now)[:1]


@mutant("CHOOSE-004", "The rule about single seats goes on when hardly any are free: the last ones are never sold.")
class NeverNearlyFull(House):
    def is_nearly_full(self):
        return False


@mutant("ERR-002", "What was blocked is said to come right by waiting.")
class WaitsForBlockedSeats(House):
    def check_conflicts(self, conflicts):
        try:
            super().check_conflicts(conflicts)
        except Problem as problem:
            problem.retryable = problem.code == "seats_taken"
            raise
