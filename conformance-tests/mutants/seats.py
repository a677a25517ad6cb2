"""Which seats are free, and whether any are sold."""

from admit_python.house import House
from admit_python.records import MINUTE
from admit_python.server import Api
from admit_python.views import Views
from admit_python.wire import Problem

from . import mutant, secret_of


@mutant("SEAT-001", "Who holds seats does not see them as held.")
class HidesMyOwnHolds(Api):
    def seats(self, request, screening):
        if not secret_of(request):
            return super().seats(request, screening)
        with self.cinema.house(screening) as (house, now):
            owner, before = self.owner(request), dict(house.claims)
            house.claims = {seat: claim for seat, claim in before.items() if claim.owner != owner}
            response = super().seats(request, screening)
            house.claims = before
        return response


@mutant("SEAT-001", "What is not paid yet is shown as held.")
class ShowsUnpaidAsHeld(House):
    def not_free(self):
        unpaid = {booking.id for booking in self.bookings.values() if booking.is_unpaid}
        by_reason = {}
        for seat in self.layout.seats:
            if seat in self.claims:
                claim = self.claims[seat]
                by_reason.setdefault("held" if claim.by in unpaid else claim.reason, []).append(seat)
        return by_reason


class Hides(House):
    """Does not show seats of one kind."""

    hidden = ""

    def not_free(self):
        return {reason: seats for reason, seats in super().not_free().items() if reason != self.hidden}


@mutant("SEAT-001", "What is held looks free.")
class HidesWhatIsHeld(Hides):
    hidden = "held"


@mutant("SEAT-001", "What is blocked looks free.")
class HidesWhatIsBlocked(Hides):
    hidden = "blocked"


@mutant("SEAT-001", "What is blocked is shown as sold.")
class ShowsBlockedAsSold(House):
    def not_free(self):
        by_reason = super().not_free()
        blocked = by_reason.pop("blocked", [])
        return {**by_reason, "sold": by_reason.get("sold", []) + blocked} if blocked else by_reason


@mutant("SEAT-001", "What is blocked can be held.")
class SellsWhatIsBlocked(House):
    def conflict(self, *wanted):
        reason = super().conflict(*wanted)
        return None if reason == "blocked" else reason


@mutant("SEAT-001", "Putting seats back on sale takes them away from who holds them.")
class UnblocksWhatIsHeld(House):
    def unblock(self, seats):
        super().unblock(seats)
        for seat in seats:
            self.claims.pop(seat, None)


@mutant("SEAT-002", "Each change moves the version by two.")
class CountsByTwo(House):
    def changed(self):
        super().changed()
        return super().changed()


class WithoutVersion(House):
    """Does something, and keeps the version."""

    def quietly(self, act, *wanted):
        before = self.seq
        act(*wanted)
        self.seq = before


@mutant("SEAT-002", "What ends by itself does not move the version.")
class ExpiresQuietly(WithoutVersion):
    def settle(self, now):
        self.quietly(super().settle, now)


@mutant("SEAT-002", "A release does not move the version.")
class ReleasesQuietly(WithoutVersion):
    def release(self, hold):
        self.quietly(super().release, hold)


@mutant("SEAT-002", "A new price table does not move the version.")
class RepricesQuietly(WithoutVersion):
    def change_prices(self, prices):
        self.quietly(super().change_prices, prices)


@mutant("SEAT-002", "A new status does not move the version.")
class PausesQuietly(WithoutVersion):
    def set_status(self, status):
        self.quietly(super().set_status, status)


@mutant("SEAT-002", "Blocking does not move the version.")
class BlocksQuietly(WithoutVersion):
    def block(self, seats):
        self.quietly(super().block, seats)


@mutant("SEAT-002", "A refusal moves the version.")
class CountsRefusals(House):
    def check_wishes(self, *wanted):
        try:
            super().check_wishes(*wanted)
        except Problem:
            self.changed()
            raise


@mutant("SEAT-002", "Reading the seats moves the version.")
class CountsReadings(Views):
    def seats(self, house, now):
        house.changed()
        return super().seats(house, now)


@mutant("SEAT-001", "The seats are kept for a second of the server's time, whatever happens meanwhile.")
class KeepsSeatsForASecond(Api):
    def seats(self, request, screening):
        self.kept = getattr(self, "kept", {})
        key = screening, self.cinema.clock() // 1000
        if key not in self.kept:
            self.kept[key] = super().seats(request, screening)
        kept = self.kept[key]
        return type(kept)(kept.status, kept.body, dict(kept.headers))


@mutant("SEAT-005", "While sales stand still, seats can be held.")
class SellsWhilePaused(House):
    def check_sales(self, now):
        if self.screening.status != "paused":
            super().check_sales(now)


@mutant("SEAT-005", "While sales stand still, they are said to be open.")
class SaysOpenWhilePaused(Views):
    def seats(self, house, now):
        document = super().seats(house, now)
        return {**document, "sales": "open" if document["sales"] == "paused" else document["sales"]}


@mutant("SEAT-005", "What does not take place can be held.")
class SellsWhatIsCancelled(House):
    def check_sales(self, now):
        if self.screening.status != "cancelled":
            super().check_sales(now)


@mutant("SEAT-005", "From the start on nothing is sold, also where it is said to be.")
class NeverSellsLate(House):
    def sales(self, now):
        sales = super().sales(now)
        return "under_way" if sales == "under_way_open" else sales


@mutant("PROG-005", "What has begun is sold until it is over.")
class SellsUntilTheEnd(House):
    def check_sales(self, now):
        if self.sales(now) != "under_way":
            super().check_sales(now)


@mutant("SEAT-005", "Sales begin an hour before they open.")
class SellsAnHourEarly(House):
    def sales(self, now):
        sales = super().sales(now)
        return "open" if sales == "not_yet_open" and now >= self.screening.opens_at - 60 * MINUTE else sales


@mutant("SEAT-005", "Seats are sold before sales open.")
class SellsBeforeTheOpening(House):
    def sales(self, now):
        return super().sales(max(now, self.screening.opens_at))


@mutant("SEAT-005", "Sales begin a second after they open.")
class OpensASecondLate(House):
    has_waited = False

    def sales(self, now):
        sales = super().sales(now - 1000 if self.has_waited else now)
        self.has_waited = self.has_waited or sales == "not_yet_open"
        return sales


@mutant("SEAT-005", "Seats are sold at the very instant of closing, too.")
class SellsAtTheInstantOfClosing(House):
    def sales(self, now):
        return super().sales(now - 1 if now == self.screening.closes_at else now)


@mutant("SEAT-005", "Sales that stood still stay so.")
class NeverResumes(House):
    def set_status(self, status):
        if (self.screening.status, status) != ("paused", "on_sale"):
            super().set_status(status)
