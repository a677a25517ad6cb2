"""The routes of a cinema's server: every request is read, decided under its house's lock, and written."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
import secrets
import threading
import time
from dataclasses import dataclass
from typing import Any, Callable

from .cinema import Cinema
from .house import House
from .keys import ManifestSigner
from .notifications import Notifications, is_webhook
from .prices import PriceTable
from .receipts import Receipts, SeatLog
from .records import Wish
from .signatures import Signatures
from .tickets import Tickets
from .views import API_BASE, Views
from .web import App, HttpServer, Request, Response, Route, answer_json, bearer
from .wire import CONTENT_NAME, ID, WORD, Clock, Fields, Idempotency, Problem, Scope, Stored, instant, read

SECRET = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")  # 32 bytes leave four bits of the last one (AUTH-001)
KEY = re.compile(r"[!-~]{1,128}")  # IDEM-001
SEQ = re.compile(r"[0-9]{1,15}")
LANGUAGE = re.compile(r"(?=.{1,35}$)[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")
SEATS_READ_MAX = 100  # what the schemas allow; what is announced is fewer
REQUESTS_AT_ONCE_MAX = 1000
FOR_EVER = "public, max-age=31536000, immutable"
ASK_AGAIN = "no-cache"

# Members of a hold that belong to capabilities that this server does not have (HTTP-013).
CAPABILITY_OF_MEMBER = {"best": "best_available", "areas": "general_admission", "queue_pass": "queue"}

ROUTES = (
    Route("GET", "/.well-known/admit", "manifest"),
    Route("GET", API_BASE + "/cinema_pages/{page}", "cinema_page"),
    Route("GET", API_BASE + "/cinemas/{cinema}/programme", "programme"),
    Route("GET", API_BASE + "/layouts/{layout}", "layout"),
    Route("GET", API_BASE + "/price_tables/{price_table}", "price_table"),
    Route("GET", API_BASE + "/screenings/{screening}", "screening"),
    Route("GET", API_BASE + "/screenings/{screening}/seats", "seats"),
    Route("POST", API_BASE + "/screenings/{screening}/holds", "place_hold"),
    Route("GET", API_BASE + "/screenings/{screening}/holds/{hold}", "read_hold"),
    Route("DELETE", API_BASE + "/screenings/{screening}/holds/{hold}", "release_hold"),
    Route("GET", API_BASE + "/screenings/{screening}/holds/{hold}/receipt", "receipt"),
    Route("GET", API_BASE + "/screenings/{screening}/seat_log", "seat_log"),
    Route("POST", API_BASE + "/screenings/{screening}/bookings", "book"),
    Route("GET", API_BASE + "/screenings/{screening}/bookings/{booking}", "read_booking"),
    Route("DELETE", API_BASE + "/screenings/{screening}/bookings/{booking}/buyer", "forget_buyer"),
    Route("GET", API_BASE + "/screenings/{screening}/bookings/{booking}/tickets", "read_tickets"),
    Route("POST", API_BASE + "/screenings/{screening}/bookings/{booking}/cancellation_quotes", "quote_cancellation"),
    Route("POST", API_BASE + "/screenings/{screening}/bookings/{booking}/cancellations", "cancel"),
)

# Paths of capabilities that this server does not have (HTTP-013), below the API's base.
NOT_OFFERED = re.compile(
    API_BASE + r"/(feed|screenings/[^/]+/(live|holds/[^/]+/extensions|bookings/[^/]+/exchange(_quote)?s"
    r"|waitlist(/[^/]+(/buyer)?)?|queue|allow_list|scans))"
)


class Api(App):
    """What buyers and the public ask of one cinema."""

    routes = ROUTES

    def __init__(self, cinema: Cinema, idempotency: Idempotency) -> None:
        self.cinema, self.idempotency = cinema, idempotency
        self.room = threading.BoundedSemaphore(REQUESTS_AT_ONCE_MAX)

    def dispatch(self, request: Request) -> Response:
        if not self.room.acquire(blocking=False):
            raise Problem("busy", "try again in a second, with the same Idempotency-Key", retry_after_ms=1000)
        with contextlib.ExitStack() as stack:
            stack.callback(self.room.release)
            if request.method == "OPTIONS":
                return self.preflight()
            if NOT_OFFERED.fullmatch(request.path):
                raise Problem("capability_not_offered", "read the manifest: its capabilities say what is offered")
            return super().dispatch(request)

    def headers(self) -> dict[str, str]:
        """The server's time, and leave for any origin to read the answer (HTTP-020, HTTP-021)."""
        return {
            "Admit-Now": instant(self.cinema.clock()),
            "Access-Control-Allow-Origin": "*",
            "Access-Control-Expose-Headers": "Admit-Now, ETag, Idempotent-Replayed, Retry-After",
        }

    def preflight(self) -> Response:
        allowed = {
            "Access-Control-Allow-Methods": "GET, POST, DELETE",
            "Access-Control-Allow-Headers": (
                "Authorization, Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID, "
                "Content-Digest, Signature, Signature-Input"
            ),
            "Access-Control-Max-Age": "86400",
        }
        return Response(204, b"", allowed)

    # ---- who asks, and whether again --------------------------------------------------------------------------------

    def owner(self, request: Request) -> str:
        """The principal: SHA-256 of the secret, which is all that is kept of it (AUTH-001, IDEM-002), or of a key that signed."""
        if "Signature-Input" in request.headers and "Authorization" not in request.headers:
            authority = self.cinema.origin.split("://")[1]
            return self.cinema.parts.signatures().owner(request, authority, self.cinema.clock() / 1000)
        secret = bearer(request)
        if secret is None or not SECRET.fullmatch(secret):
            raise Problem("unauthenticated", "send a secret of 32 random bytes, in unpadded base64url, as bearer token")
        return hashlib.sha256(base64.urlsafe_b64decode(secret + "=")).hexdigest()

    def idempotency_key(self, request: Request) -> str:
        key = request.headers.get("Idempotency-Key", "")
        if not KEY.fullmatch(key):
            raise Problem("idempotency_key_missing", "send an Idempotency-Key of 1 to 128 visible ASCII characters")
        return key

    def once(self, request: Request, owner: str, act: Callable[[], Response]) -> Response:
        """One effect for one key: looked up before anything is refused (IDEM-004), kept only if it took effect."""
        scope = self.scope(request, owner)
        stored = self.idempotency.begin(scope, request.body)
        if stored:
            return self.replay(request, stored)
        status, body = None, b""
        try:
            response = act()
            status, body = response.status, response.body
            return response
        finally:
            self.idempotency.finish(scope, status, body)

    def scope(self, request: Request, owner: str) -> Scope:
        return owner, request.method, request.path, self.idempotency_key(request)

    def replay(self, request: Request, stored: Stored) -> Response:
        """The stored status and bytes, marked (IDEM-003)."""
        headers = {"Content-Type": "application/json", "Cache-Control": "no-store", "Idempotent-Replayed": "true"}
        return Response(stored.status, stored.body, headers)

    def fields(self, request: Request) -> Fields:
        return Fields(read(request.body))

    # ---- for everybody ----------------------------------------------------------------------------------------------

    def manifest(self, request: Request) -> Response:
        return self.cached(request, self.cinema.manifest(), ASK_AGAIN)

    def cinema_page(self, request: Request, page: str) -> Response:
        return self.cached(request, self.cinema.documents.read("cinema_pages", page), FOR_EVER)

    def layout(self, request: Request, layout: str) -> Response:
        return self.cached(request, self.cinema.documents.read("layouts", layout), FOR_EVER)

    def price_table(self, request: Request, price_table: str) -> Response:
        return self.cached(request, self.cinema.documents.read("price_tables", price_table), FOR_EVER)

    def programme(self, request: Request, cinema: str) -> Response:
        if cinema != self.cinema.id:
            raise Problem("not_found", "there is no such cinema here")
        return self.cached_json(request, self.cinema.programme(request.query.get("cursor")))

    def screening(self, request: Request, screening: str) -> Response:
        with self.cinema.house(screening) as (house, _):
            document = self.cinema.views.screening(house)
        return self.cached_json(request, document)

    def seats(self, request: Request, screening: str) -> Response:
        with self.cinema.house(screening) as (house, now):
            document = self.cinema.views.seats(house, now)
        return self.cached_json(request, document)

    def cached_json(self, request: Request, document: Any) -> Response:
        return self.cached(request, answer_json(200, document).body, ASK_AGAIN)

    # ---- holds ------------------------------------------------------------------------------------------------------

    def place_hold(self, request: Request, screening: str) -> Response:
        owner = self.owner(request)

        def act() -> Response:
            wishes, ttl_s, layout = self.read_wishes(self.fields(request))
            with self.cinema.house(screening) as (house, now):
                hold = house.place_hold(self.cinema.new_id("hld"), owner, wishes, ttl_s, layout, now)
                return self.private(201, self.cinema.views.hold(house, hold))

        return self.once(request, owner, act)

    def read_wishes(self, body: Fields) -> tuple[list[Wish], int | None, str | None]:
        for name, capability in CAPABILITY_OF_MEMBER.items():
            if body.optional(name) not in (None, []):
                raise Problem("capability_not_offered", f"{capability} is not offered here: name seats")
        wishes = [
            Wish(seat.text("seat", ID), seat.text_if_any("ticket_type", ID))
            for seat in body.objects("seats", SEATS_READ_MAX)
        ]
        ttl_s = None if body.optional("ttl_s") is None else body.integer("ttl_s", 0, 2**32 - 1)
        return wishes, ttl_s, body.text_if_any("layout", CONTENT_NAME)

    def read_hold(self, request: Request, screening: str, hold: str) -> Response:
        owner = self.owner(request)
        with self.cinema.house(screening) as (house, _):
            return self.private(200, self.cinema.views.hold(house, house.hold_of(owner, hold)))

    def release_hold(self, request: Request, screening: str, hold: str) -> Response:
        owner = self.owner(request)
        with self.cinema.house(screening) as (house, _):
            house.release(house.hold_of(owner, hold))
        return Response(204)

    def receipt(self, request: Request, screening: str, hold: str) -> Response:
        owner = self.owner(request)
        receipts = self.cinema.receipts
        with self.cinema.house(screening) as (house, now):
            document = receipts.receipt(self.cinema.origin, house, house.hold_of(owner, hold), now)
            return self.private(200, receipts.sign(self.cinema.identity, document))

    def seat_log(self, request: Request, screening: str) -> Response:
        after = request.query.get("after", "0")
        if not SEQ.fullmatch(after):
            raise Problem("invalid", "`after` is a seq", pointers=["/after"])
        with self.cinema.house(screening) as (house, _):
            return self.cached_json(request, house.log.page(int(after)))

    # ---- bookings ---------------------------------------------------------------------------------------------------

    def book(self, request: Request, screening: str) -> Response:
        owner = self.owner(request)

        def act() -> Response:
            body = self.fields(request)
            hold, total = body.text("hold", ID), body.money("total")
            tickets = [
                (ticket.text("seat", ID), ticket.text("ticket_type", ID))
                for ticket in body.objects("tickets", SEATS_READ_MAX, required=True)
            ]
            method = body.text("payment_method", WORD)
            webhook = self.check_buyer(body.object("buyer"))
            names = (self.cinema.new_id("bkg"), self.cinema.new_ref(), secrets.token_bytes(16))
            with self.cinema.house(screening) as (house, now):
                booking = house.book(house.hold_of(owner, hold), tickets, total, method, names, now, webhook)
                return self.private(201, self.cinema.views.booking(house, booking))

        return self.once(request, owner, act)

    def check_buyer(self, buyer: Fields | None) -> str | None:
        """Nothing of it is needed to sell a seat, so it is read and not kept, but for the webhook."""
        if not buyer:
            return None
        buyer.text_if_any("language", LANGUAGE)
        for name, length_max in (("name", 200), ("email", 254), ("telephone", 32)):
            buyer.words(name, length_max)
        webhook = buyer.optional("webhook")
        if webhook is not None and not (isinstance(webhook, str) and self.is_webhook(webhook)):
            why = "a webhook is an https URL of a domain, without user, port and fragment"
            raise Problem("invalid", why, pointers=["/buyer/webhook"])
        return webhook

    def is_webhook(self, url: str) -> bool:
        return is_webhook(url, self.cinema.origin.startswith("http://127.0.0.1:"))

    def read_booking(self, request: Request, screening: str, booking: str) -> Response:
        owner = self.owner(request)
        with self.cinema.house(screening) as (house, _):
            return self.private(200, self.cinema.views.booking(house, house.booking_of(owner, booking)))

    def forget_buyer(self, request: Request, screening: str, booking: str) -> Response:
        """PRIV-004."""
        owner = self.owner(request)
        with self.cinema.house(screening) as (house, _):
            house.forget(house.booking_of(owner, booking))
        return Response(204)

    def read_tickets(self, request: Request, screening: str, booking: str) -> Response:
        owner = self.owner(request)
        with self.cinema.house(screening) as (house, _):
            return self.private(200, self.cinema.views.tickets_of(house, house.booking_of(owner, booking)))

    def quote_cancellation(self, request: Request, screening: str, booking: str) -> Response:
        owner = self.owner(request)
        seats = self.fields(request).ids("seats", SEATS_READ_MAX)
        with self.cinema.house(screening) as (house, now):
            mine = house.booking_of(owner, booking)
            name, refund = house.quote_cancellation(mine, seats, now)
            return self.private(200, self.cinema.views.cancellation_quote(mine, name, refund))

    def cancel(self, request: Request, screening: str, booking: str) -> Response:
        owner = self.owner(request)

        def act() -> Response:
            quote = self.fields(request).text("quote", ID)
            with self.cinema.house(screening) as (house, now):
                mine = house.booking_of(owner, booking)
                house.cancel(mine, quote, now)
                return self.private(200, self.cinema.views.booking(house, mine))

        return self.once(request, owner, act)

    def private(self, status: int, document: Any) -> Response:
        """Not to be kept by anybody else (HTTP-022)."""
        return answer_json(status, document, **{"Cache-Control": "no-store"})


@dataclass(frozen=True)
class Parts:
    """The class of each part. Whoever wants one of them to behave otherwise makes a subclass and passes it in here."""

    house: type[House] = House
    prices: type[PriceTable] = PriceTable
    tickets: type[Tickets] = Tickets
    views: type[Views] = Views
    manifest_signer: type[ManifestSigner] = ManifestSigner
    cinema: type[Cinema] = Cinema
    idempotency: type[Idempotency] = Idempotency
    api: type[Api] = Api
    signatures: type[Signatures] = Signatures
    seat_log: type[SeatLog] = SeatLog
    receipts: type[Receipts] = Receipts
    notifications: type[Notifications] = Notifications


def real_clock() -> int:
    return time.time_ns() // 1_000_000


class Server:
    """One cinema at one origin."""

    def __init__(
        self, port: int, clock: Clock = real_clock, parts: Parts = Parts(), capabilities: tuple[str, ...] = ()
    ) -> None:
        self.http = HttpServer(port)
        self.origin = self.http.origin
        self.cinema = parts.cinema(self.origin, clock, parts, capabilities)
        self.api = parts.api(self.cinema, parts.idempotency())

    def start(self) -> None:
        self.http.start(self.api)
        self.cinema.notifications.start()

    def stop(self) -> None:
        self.cinema.notifications.stop()
        self.http.stop()
