"""Cancelling: what comes back, until when, and what becomes of ticket and seat."""

from dataclasses import replace

from admit_python.house import House
from admit_python.records import DOES_NOT_TAKE_PLACE
from admit_python.server import Api
from admit_python.views import Views
from admit_python.wire import Problem

from . import let_others_in, mutant


@mutant("CANC-005", "The ticket is void, and the seat stays sold.")
class KeepsTheSeat(House):
    def cancel(self, booking, quote, now):
        before = dict(self.claims)
        super().cancel(booking, quote, now)
        self.claims = before


@mutant("CANC-005", "The seat is free, and the ticket can still be read.")
class KeepsTheTicket(Views):
    def tickets_of(self, house, booking):
        states = [line.state for line in booking.lines]
        for line in booking.lines:
            line.state = "valid"
        document = super().tickets_of(house, booking)
        for line, state in zip(booking.lines, states):
            line.state = state
        return document


@mutant("CANC-005", "The ticket is void at once, its seat is free only when the quote ends.")
class FreesTheSeatLater(House):
    later: list = []

    def cancel(self, booking, quote, now):
        before = dict(self.claims)
        super().cancel(booking, quote, now)
        freed = [seat for seat in before if seat not in self.claims]
        self.claims = before
        self.later = [*self.later, (now, freed, booking.id)]

    def settle(self, now):
        super().settle(now)
        for at, seats, holder in self.later:
            if now > at:
                self.give_back(seats, holder)


@mutant("CANC-009", "A quote can be confirmed again, with another key, and brings its money again.")
class RefundsTwice(House):
    def cancel(self, booking, quote, now):
        lines, valid_until = self.read_quote_name(booking, quote) or ([], 0)
        if not lines or now >= valid_until or any(line.state == "valid" for line in lines):
            return super().cancel(booking, quote, now)
        booking.refunded += self.refund(booking, lines, now).total


@mutant("CANC-009", "Between a quote's check and its effect others come in: each brings its money.")
class RefundsTwiceInARace(House):
    def read_quote_name(self, booking, quote):
        found = super().read_quote_name(booking, quote)
        refunded = booking.refunded
        let_others_in(self)
        booking.refunded, self.meanwhile = refunded, booking.refunded - refunded
        for line in found[0] if found else []:
            line.state = "valid"
        return found

    def revoke(self, booking, lines):
        booking.refunded += getattr(self, "meanwhile", 0)
        super().revoke(booking, lines)


@mutant("CANC-002", "A tier holds at its instant, too.")
class TierHoldsAtItsInstant(House):
    def tier(self, booking, now):
        percent, ends_at = super().tier(booking, now - 1)
        return percent, ends_at + 1


@mutant("CANC-002", "Of the tiers that hold the last one counts.")
class TakesTheLastTier(House):
    def tier(self, booking, now):
        super().tier(booking, now)
        last = booking.cancellation["tiers"][-1]
        return last["refund_percent"], self.screening.starts_at - 1000 * last["until_before_start_s"]


@mutant("MONEY-002", "A percentage is rounded down.")
class RoundsRefundsDown(House):
    def share(self, amount, percent):
        return amount * percent // 100


@mutant("CANC-002", "The fee for each ticket is not kept.")
class ForgetsTheFee(House):
    def refund_of(self, booking, line, percent):
        return self.share(line.refundable, percent)


@mutant("CANC-002", "The fee is kept once for a booking, not for each ticket.")
class KeepsTheFeeOnce(House):
    def refund_of(self, booking, line, percent):
        if line is booking.left[0]:
            return super().refund_of(booking, line, percent)
        return self.share(line.refundable, percent)


@mutant("CANC-002", "The fee is taken before the share: of what is left of a ticket comes back the percentage.")
class TakesTheFeeFirst(House):
    def refund_of(self, booking, line, percent):
        fee = booking.cancellation.get("fee_per_ticket") or {"amount": 0}
        return self.share(max(0, line.refundable - fee["amount"]), percent)


@mutant("CANC-002", "Where the fee is more than the share, the buyer owes something.")
class RefundsLessThanNothing(House):
    def refund_of(self, booking, line, percent):
        fee = booking.cancellation.get("fee_per_ticket") or {"amount": 0}
        return self.share(line.refundable, percent) - fee["amount"]


@mutant("CANC-004", "A quote holds for ever.")
class QuotesForEver(House):
    def cancel(self, booking, quote, now):
        _, valid_until = self.read_quote_name(booking, quote) or ([], now + 1)
        super().cancel(booking, quote, min(now, valid_until - 1))


@mutant("CANC-004", "A quote holds at its end, too.")
class QuoteHoldsAtItsEnd(House):
    def cancel(self, booking, quote, now):
        _, valid_until = self.read_quote_name(booking, quote) or ([], 0)
        super().cancel(booking, quote, now - 1 if now == valid_until else now)


@mutant("CANC-004", "A quote says that it holds for ten minutes, also where its tier ends before.")
class QuotesBeyondTheTier(House):
    def refund(self, booking, lines, now):
        return replace(super().refund(booking, lines, now), valid_until=now + 600_000)


@mutant("CANC-004", "What is confirmed brings what the tier of then gives, whatever was quoted.")
class PaysTheTierOfThen(House):
    def cancel(self, booking, quote, now):
        lines, _ = self.read_quote_name(booking, quote) or ([], 0)
        if not lines or any(line.state != "valid" for line in lines):
            return super().cancel(booking, quote, now)
        booking.refunded += self.refund(booking, lines, now).total
        self.revoke(booking, lines)


@mutant("CANC-004", "Cancelling one ticket cancels the whole booking.")
class CancelsTheWholeBooking(House):
    def revoke(self, booking, lines):
        super().revoke(booking, booking.left)


@mutant("CANC-007", "Of what does not take place the policy's share comes back.")
class KeepsThePolicyForWhatIsOff(House):
    def refund(self, booking, lines, now):
        status, self.screening.status = self.screening.status, "on_sale"
        try:
            return super().refund(booking, lines, now)
        finally:
            self.screening.status = status


@mutant("CANC-007", "Of what does not take place everything comes back, but only before the last tier ends.")
class ForgetsWhatIsOffInTheEnd(House):
    def refund(self, booking, lines, now):
        if self.screening.status in DOES_NOT_TAKE_PLACE and not booking.is_unpaid:
            self.tier(booking, now)
        return super().refund(booking, lines, now)


@mutant("CANC-007", "Of what does not take place the money that is back goes to nobody: nothing can be cancelled.")
class CancelsNothingOfWhatIsOff(House):
    def quote_cancellation(self, booking, seats, now):
        if self.screening.status in DOES_NOT_TAKE_PLACE:
            raise Problem("not_cancellable", "come to the counter")
        return super().quote_cancellation(booking, seats, now)


@mutant("CANC-001", "The policy is the screening's of now, not the booking's.")
class ReadsThePolicyOfNow(House):
    def tier(self, booking, now):
        booking.cancellation = self.screening.cancellation
        return super().tier(booking, now)


@mutant("CANC-001", "The policy is that of the time when the seats were paid.")
class TakesThePolicyWhenPaid(House):
    def take_payment(self, booking):
        super().take_payment(booking)
        booking.cancellation = self.screening.cancellation


@mutant("CANC-003", "Who has not paid can cancel only as long as a tier holds.")
class HoldsDebtorsToThePolicy(House):
    def refund(self, booking, lines, now):
        if booking.is_unpaid:
            self.tier(booking, now)
        return super().refund(booking, lines, now)


@mutant("CANC-003", "Who has not paid gets money back.")
class RefundsWhatWasNotPaid(House):
    def refund(self, booking, lines, now):
        refund = super().refund(booking, lines, now)
        return replace(refund, lines=[(line, line.total) for line in lines]) if booking.is_unpaid else refund


@mutant("CANC-004", "Who has cancelled some of what is not paid still owes all.")
class StillWantsAll(House):
    def revoke(self, booking, lines):
        due = booking.balance_due
        super().revoke(booking, lines)
        booking.balance_due = due if booking.left else 0


@mutant("CANC-011", "After the last tier a ticket can be cancelled, for nothing.")
class CancelsAfterTheLastTier(House):
    def tier(self, booking, now):
        try:
            return super().tier(booking, now)
        except Problem:
            return 0, self.screening.starts_at


@mutant("CANC-011", "What costs nothing can be cancelled at any time.")
class CancelsWhatIsFreeAtAnyTime(House):
    def tier(self, booking, now):
        return super().tier(booking, now) if booking.total else (100, now + 600_000)


@mutant("CANC-011", "What costs nothing cannot be cancelled.")
class KeepsWhatIsFree(House):
    def tier(self, booking, now):
        if not booking.total:
            raise Problem("not_cancellable", "it costs nothing")
        return super().tier(booking, now)


@mutant("CANC-008", "The wheelchair space of a companion can be cancelled alone.")
class LeavesCompanionsBehind(House):
    def check_leaves_nobody(self, booking, lines, now):
        pass


@mutant("CANC-009", "What comes back is never said to be due.")
class OwesNothing(Views):
    def booking(self, house, booking):
        nothing = booking.prices.money(0)
        return {**super().booking(house, booking), "refund_due": nothing}


@mutant("HTTP-012", "Whoever knows its id can cancel a booking.")
class CancelsAnothersBooking(Api):
    def quote_cancellation(self, request, screening, booking):
        with self.cinema.house(screening) as (house, _):
            house.booking_of = lambda owner, id: house.booking(id)
            try:
                return super().quote_cancellation(request, screening, booking)
            finally:
                del house.booking_of


@mutant("CANC-005", "A cancelled seat goes to nobody but who had it.")
class KeepsCancelledSeatsForTheirBuyer(House):
    def revoke(self, booking, lines):
        lines = list(lines)
        super().revoke(booking, lines)
        for line in lines:
            self.kept = {**getattr(self, "kept", {}), line.choice.seat: booking.owner}

    def conflict(self, owner, seat, seats, now):
        kept_for = getattr(self, "kept", {}).get(seat, owner)
        return super().conflict(owner, seat, seats, now) or ("sold" if kept_for != owner else None)
