"""Webhooks: a server that shouts at strangers, gives up, or tells too much."""

import secrets
from urllib.parse import urljoin

from admit_python.house import House
from admit_python.keys import base64url
from admit_python.notifications import Notifications
from admit_python.server import Api
from admit_python.web import Response

from . import mutant


@mutant("NOTE-001", "Any URL will do for a webhook.")
class TakesAnyWebhook(Api):
    def is_webhook(self, url):
        return True


@mutant("NOTE-001", "An address in numbers is taken for a host.")
class TakesNumberedHosts(Api):
    def is_webhook(self, url):
        return super().is_webhook(url.replace("192.0.2.7", "app.test.example"))


@mutant("NOTE-002", "Nobody hears that a booking was paid.")
class SilentAboutPayments(House):
    def tell(self, booking, kind):
        if kind != "booking_paid":
            super().tell(booking, kind)


@mutant("NOTE-002", "A cancellation is told twice, as two events.")
class TellsTwice(House):
    def tell(self, booking, kind):
        super().tell(booking, kind)
        if kind == "booking_cancelled":
            super().tell(booking, kind)


@mutant("NOTE-002", "A notification says which seats.")
class TellsTheSeats(House):
    def tell(self, booking, kind):
        about = {"screening": self.screening.id, "booking": booking.id, "seats": [l.choice.seat for l in booking.lines]}
        self.notifications.tell(booking.webhook, kind, about)


@mutant("NOTE-003", "Notifications are signed with the ticket key.")
class SignsHooksWithAnotherKey(Notifications):
    def __init__(self, origin, identity, clock):
        super().__init__(origin, type(identity)(), clock)


@mutant("NOTE-003", "What is signed is another body.")
class SignsAnEmptyBody(Notifications):
    def signed(self, authority, path, query, id, body):
        return super().signed(authority, path, query, id, b"{}")


@mutant("NOTE-003", "A notification is signed for whoever gets it.")
class SignsForNobody(Notifications):
    def signed(self, authority, path, query, id, body):
        return super().signed(self.origin.split("://")[1], path, query, id, body)


@mutant("NOTE-003", "The query of a webhook is not signed.")
class LeavesOutTheQuery(Notifications):
    def signed(self, authority, path, query, id, body):
        return super().signed(authority, path, "", id, body)


@mutant("NOTE-003", "Each try has an Idempotency-Key of its own.")
class NewKeyForEachTry(Notifications):
    def signed(self, authority, path, query, id, body):
        return super().signed(authority, path, query, base64url(secrets.token_bytes(12)), body)


@mutant("NOTE-004", "Nobody is asked whether they want to hear.")
class NeverAsks(Notifications):
    def wants(self, host, webhook):
        return True


@mutant("NOTE-004", "Any answer to a challenge will do.")
class TakesAnyAnswer(Notifications):
    def echoes(self, answer, nonce):
        return True


@mutant("NOTE-004", "A host is asked for each of its webhooks.")
class AsksForEachWebhook(Notifications):
    def may_ask(self, host, now):
        return True


@mutant("NOTE-005", "A redirect is followed.")
class FollowsRedirects(Notifications):
    def post(self, webhook, notification):
        status, answer = super().post(webhook, notification)
        if status in (301, 302, 303, 307, 308):
            return super().post(urljoin(webhook, "/hook/elsewhere"), notification)
        return status, answer


@mutant("NOTE-006", "What was not taken is not sent again.")
class SendsOnce(Notifications):
    def is_taken(self, status):
        return True


@mutant("NOTE-006", "What was not taken is sent again at once.")
class SendsAgainAtOnce(Notifications):
    def pause(self, due):
        return 0


@mutant("NOTE-006", "What is sent again has a new id.")
class NewIdForEachTry(Notifications):
    def bring(self, due, now):
        due.notification = {**due.notification, "id": self.new_id()}
        super().bring(due, now)


@mutant("NOTE-006", "Who is gone is asked and told all the same.")
class DoesNotTakeGone(Notifications):
    def gone(self, host, webhook):
        pass


@mutant("PRIV-004", "Who is to be forgotten goes on being told.")
class ForgetsNobody(House):
    def forget(self, booking):
        pass


@mutant("PRIV-004", "Anybody may have a buyer forgotten.")
class ForgetsForAnybody(Api):
    def forget_buyer(self, request, screening, booking):
        self.owner(request)
        with self.cinema.house(screening) as (house, _):
            house.forget(house.booking(booking))
        return Response(204)


@mutant("PRIV-004", "Who was forgotten is not found any more.")
class LosesTheForgotten(House):
    def forget(self, booking):
        super().forget(booking)
        booking.owner = ""


@mutant("NOTE-002", "Who has booked hears that sales are paused.")
class TellsOfPauses(House):
    def set_status(self, status):
        super().set_status(status)
        for booking in self.bookings.values():
            if status == "paused":
                self.tell(booking, "screening_changed")


@mutant("NOTE-002", "Nobody hears that a booking lapsed.")
class SilentAboutLapses(House):
    def tell(self, booking, kind):
        if kind != "booking_lapsed":
            super().tell(booking, kind)
