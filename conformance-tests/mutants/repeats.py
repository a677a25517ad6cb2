"""Repeated requests: one effect for one key, and the same answer."""

import json
import secrets
import time

from admit_python.cinema import DAY
from admit_python.records import HOUR
from admit_python.server import Api
from admit_python.wire import Idempotency, Problem, Stored, write

from . import mutant
from .bookings import BooksTwiceInARace


@mutant("IDEM-005", "A key with another body gets the answer of the first one.")
class ForgetsTheBody(Idempotency):
    def check_same(self, first, again):
        pass


@mutant("IDEM-005", "A body is the same if it means the same: other spaces, other order.")
class ComparesMeanings(Idempotency):
    def digest(self, body):
        try:
            return super().digest(write(json.loads(body)))
        except ValueError:
            return super().digest(body)


@mutant("IDEM-002", "A key is one for all addresses.")
class ForgetsThePath(Api):
    def scope(self, request, owner):
        owner, method, _, key = super().scope(request, owner)
        return owner, method, "", key


@mutant("IDEM-002", "A key is one for all screenings: of the path only what is done counts.")
class ForgetsTheScreening(Api):
    def scope(self, request, owner):
        owner, method, path, key = super().scope(request, owner)
        return owner, method, path.rpartition("/")[2], key


@mutant("IDEM-002", "The query makes another request of the same one.")
class KeepsTheQuery(Api):
    def scope(self, request, owner):
        owner, method, path, key = super().scope(request, owner)
        return owner, method, f"{path}?{request.query}", key


@mutant("IDEM-002", "A key is one for all buyers: who takes somebody's key gets their hold.")
class ForgetsTheBuyer(Api):
    def scope(self, request, owner):
        return "", *super().scope(request, owner)[1:]


@mutant("IDEM-002", "Of a key the first 32 characters count.")
class CutsKeys(Api):
    def idempotency_key(self, request):
        return super().idempotency_key(request)[:32]


@mutant("IDEM-002", "Keys that differ in capitals only are the same.")
class FoldsKeys(Api):
    def idempotency_key(self, request):
        return super().idempotency_key(request).lower()


@mutant("IDEM-001", "Who sends no key gets one.")
class MakesKeys(Api):
    def idempotency_key(self, request):
        if "Idempotency-Key" not in request.headers:
            return secrets.token_hex(16)
        return super().idempotency_key(request)


@mutant("IDEM-006", "A refusal is recorded, too: who is refused once is refused for ever.")
class RecordsRefusals(Api):
    def once(self, request, owner, act):
        def refusable():
            try:
                return act()
            except Problem as problem:
                return self.refuse(problem)

        return super().once(request, owner, refusable)


@mutant("IDEM-004", "A repeated hold is judged before its record is looked up: it hears that its own seats are taken.")
class LooksUpTheRecordLast(Api):
    def replay(self, request, stored):
        if request.path.endswith("/holds"):
            wishes, _, layout = self.read_wishes(self.fields(request))
            with self.cinema.house(json.loads(stored.body)["screening"]) as (house, now):
                house.check_wishes(self.owner(request), wishes, layout, now)
        return super().replay(request, stored)


@mutant("IDEM-003", "An answer that is repeated is not marked.")
class DoesNotMarkRepeats(Api):
    def replay(self, request, stored):
        response = super().replay(request, stored)
        del response.headers["Idempotent-Replayed"]
        return response


@mutant("IDEM-003", "A repeated hold gets the hold as it is now, and not what was answered.")
class RepeatsWhatIsNow(Api):
    def replay(self, request, stored):
        if not request.path.endswith("/holds"):
            return super().replay(request, stored)
        hold = json.loads(stored.body)
        now = self.read_hold(request, hold["screening"], hold["id"])
        return super().replay(request, Stored(stored.digest, stored.status, now.body))


@mutant("IDEM-003", "A repeated booking gets the booking as it is now, and not what was answered.")
class RepeatsTheBookingOfNow(Api):
    def replay(self, request, stored):
        if not request.path.endswith("/bookings"):
            return super().replay(request, stored)
        booking = json.loads(stored.body)
        now = self.read_booking(request, booking["screening"], booking["id"])
        return super().replay(request, Stored(stored.digest, stored.status, now.body))


@mutant("IDEM-002", "Nobody waits for the same request at the same time: each is decided.")
class DecidesRepeatsAtOnce(Idempotency):
    def begin(self, scope, body):
        digest = self.digest(body)
        stored = self.lookup(scope)
        if stored:
            self.check_same(stored.digest, digest)
        else:
            self.running[scope] = digest
            time.sleep(0.02)
        return stored

    def finish(self, scope, status, body=b""):
        if scope in self.running:
            super().finish(scope, status, body)


@mutant("IDEM-002", "The same booking many times at once is made many times.", house=BooksTwiceInARace)
class DoublesRepeatsAtOnce(DecidesRepeatsAtOnce):
    pass


class Forgetful(Api):
    """Forgets all keys from time to time."""

    after = DAY

    def scope(self, request, owner):
        owner, method, path, key = super().scope(request, owner)
        age = (self.cinema.clock() - self.cinema.started_at) // self.after
        return owner, method, path, f"{key} {age}"


@mutant("IDEM-003", "After a day a key has a second effect.")
class ForgetsKeysAfterADay(Forgetful):
    pass


@mutant("IDEM-003", "After an hour a key has a second effect.")
class ForgetsKeysAfterAnHour(Forgetful):
    after = HOUR


@mutant("IDEM-003", "Only the last ten answers are kept.")
class KeepsTenAnswers(Idempotency):
    def finish(self, scope, status, body=b""):
        super().finish(scope, status, body)
        for old in list(self.stored)[:-10]:
            self.stored.pop(old, None)


@mutant("IDEM-002", "Cancelling has no record: who repeats it hears that the quote is gone.")
class CancelsWithoutRecord(Idempotency):
    def lookup(self, scope):
        return None if scope[2].endswith("/cancellations") else super().lookup(scope)
