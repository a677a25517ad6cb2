"""Requests: who asks, in what form, and what is told."""

import hashlib
import json
from urllib.parse import quote

from admit_python.control import real_clock
from admit_python.server import Api
from admit_python.web import Response, bearer
from admit_python.wire import Fields, Problem, instant, read

from . import mutant, secret_of


@mutant("AUTH-001", "The secret comes back as a cookie.")
class SetsACookie(Api):
    def dispatch(self, request):
        response = super().dispatch(request)
        if secret_of(request):
            response.headers["Set-Cookie"] = f"buyer={secret_of(request)}"
        return response


@mutant("AUTH-001", "A refusal says whose request it was, by the secret.")
class NamesTheSecretInRefusals(Api):
    def dispatch(self, request):
        try:
            return super().dispatch(request)
        except Problem as problem:
            problem.detail += f" (asked by {secret_of(request)})" if secret_of(request) else ""
            raise


@mutant("AUTH-001", "The address of a hold has the secret in it, so that it can be shared.")
class PutsTheSecretIntoAddresses(Api):
    def place_hold(self, request, screening):
        response = super().place_hold(request, screening)
        hold = json.loads(response.body)
        hold["url"] += f"?secret={quote(secret_of(request))}"
        return Response(response.status, json.dumps(hold).encode(), response.headers)


class OtherSecrets(Api):
    """Takes other secrets than those of 32 bytes."""

    def is_taken(self, secret):
        raise NotImplementedError

    def owner(self, request):
        secret = bearer(request)
        if secret and self.is_taken(secret):
            return hashlib.sha256(secret.encode()).hexdigest()
        return super().owner(request)


@mutant("AUTH-001", "Secrets of 16 characters are taken.")
class TakesShortSecrets(OtherSecrets):
    def is_taken(self, secret):
        return 16 <= len(secret) < 43


@mutant("AUTH-001", "Secrets of more than 43 characters are taken.")
class TakesLongSecrets(OtherSecrets):
    def is_taken(self, secret):
        return len(secret) > 43


@mutant("AUTH-001", "Secrets of 43 characters that are no base64url of 32 bytes are taken.")
class TakesAnySecretOf43(OtherSecrets):
    def is_taken(self, secret):
        return len(secret) == 43


@mutant("AUTH-001", "A secret with padding is taken for the one without.")
class TakesPadding(Api):
    def owner(self, request):
        if bearer(request):
            request.headers.replace_header("Authorization", f"Bearer {secret_of(request).rstrip('=')}")
        return super().owner(request)


@mutant("AUTH-001", "Who says nothing is one buyer, with all who say nothing.")
class ServesTheAnonymous(Api):
    def owner(self, request):
        return super().owner(request) if bearer(request) else "anonymous"


@mutant("AUTH-001", "Who reads a hold need not say who they are.")
class ReadsHoldsForAnybody(Api):
    def read_hold(self, request, screening, hold):
        with self.cinema.house(screening) as (house, _):
            if not bearer(request) and hold in house.holds:
                return self.private(200, self.cinema.views.hold(house, house.holds[hold]))
        return super().read_hold(request, screening, hold)


@mutant("HTTP-004", "Of a member that is there twice the last one counts.")
class TakesTheLastOfTwo(Api):
    def fields(self, request):
        try:
            return super().fields(request)
        except Problem as problem:
            if "twice" not in problem.detail:
                raise
            return Fields(json.loads(request.body))


@mutant("HTTP-004", "What nests deeper than 32 levels is read.")
class ReadsAnyDepth(Api):
    def fields(self, request):
        try:
            return super().fields(request)
        except Problem as problem:
            if "nests" not in problem.detail:
                raise
            return Fields(json.loads(request.body))


@mutant("HTTP-004", "Integers of any size are read.")
class ReadsAnyInteger(Api):
    def fields(self, request):
        try:
            return super().fields(request)
        except Problem as problem:
            if "2^53" not in problem.detail:
                raise
            return Fields(json.loads(request.body))


@mutant("HTTP-004", "Where an object is wanted, an array of one is taken for it.")
class UnpacksArrays(Api):
    def fields(self, request):
        value = read(request.body)
        return Fields(value[0] if isinstance(value, list) and len(value) == 1 else value)


@mutant("HTTP-004", "What follows the document is passed over.")
class ReadsTheBeginning(Api):
    def fields(self, request):
        try:
            _, end = json.JSONDecoder().raw_decode(request.body.decode())
        except ValueError:
            return super().fields(request)
        return Fields(read(request.body.decode()[:end].encode()))


@mutant("HTTP-001", "Bodies in Latin-1 are read.")
class ReadsLatin1(Api):
    def fields(self, request):
        try:
            request.body.decode()
            return super().fields(request)
        except UnicodeDecodeError:
            return Fields(read(request.body.decode("latin-1").encode()))


@mutant("ERR-004", "A number is taken for a text.")
class TakesNumbersForTexts(Api):
    def fields(self, request):
        body = super().fields(request)
        for seat in body.optional("seats") or []:
            if isinstance(seat, dict) and type(seat.get("seat")) is int:
                seat["seat"] = str(seat["seat"])
        return body


@mutant("HTTP-003", "A body of any size is read.")
class ReadsAnySize(Api):
    def check_body(self, request):
        if request.is_too_large:
            request.is_too_large, request.body = False, b'{"seats":[{"seat":"1-1"}]}'
        super().check_body(request)


@mutant("EXT-001", "Members that nobody knows are refused.")
class RefusesUnknownMembers(Api):
    known = {"seats", "ttl_s", "layout", "best", "areas", "queue_pass", "hold", "tickets", "total", "payment_method"}

    def fields(self, request):
        body = super().fields(request)
        if unknown := set(body.value) - self.known - {"buyer", "quote"}:
            raise body.wrong(min(unknown), "nobody knows this member")
        return body


@mutant("EXT-001", "Members of a seat that nobody knows are refused.")
class RefusesUnknownMembersInside(Api):
    def fields(self, request):
        body = super().fields(request)
        for seat in body.optional("seats") or []:
            if isinstance(seat, dict) and set(seat) - {"seat", "ticket_type"}:
                raise body.wrong("seats", "nobody knows a member of it")
        return body


@mutant("HTTP-002", "A body without a media type, or with another one, is read as JSON.")
class ReadsAnyMediaType(Api):
    def check_body(self, request):
        if "Content-Type" in request.headers:
            del request.headers["Content-Type"]
        request.headers["Content-Type"] = "application/json"
        super().check_body(request)


@mutant("HTTP-013", "What asks for the best seats is passed over: whoever sent seats, too, gets those.")
class PassesOverTheBest(Api):
    def read_wishes(self, body):
        body.value.pop("best", None)
        return super().read_wishes(body)


@mutant("HTTP-020", "Answers have the real time, not the server's.")
class TellsAnotherTime(Api):
    def headers(self):
        return {**super().headers(), "Admit-Now": instant(real_clock())}


@mutant("HTTP-021", "A cookie is taken for the secret.")
class TakesCookies(Api):
    def owner(self, request):
        if not bearer(request) and request.headers.get("Cookie"):
            return hashlib.sha256(request.headers["Cookie"].encode()).hexdigest()
        return super().owner(request)


@mutant("HTTP-022", "The ETag of the programme stays when something in it changes.")
class KeepsItsTag(Api):
    def programme(self, request, cinema):
        response = super().programme(request, cinema)
        response.headers["ETag"] = '"programme"'
        is_known = '"programme"' in request.headers.get("If-None-Match", "")
        return Response(304, b"", response.headers) if is_known else response


@mutant("HTTP-022", "What belongs to one buyer may be kept by whoever is in between.")
class LetsOthersKeepIt(Api):
    def private(self, status, document):
        response = super().private(status, document)
        response.headers["Cache-Control"] = "public, max-age=60"
        return response
