"""Test control: worlds of their own for a conformance suite, with a clock that it moves. Never where people buy."""

from __future__ import annotations

import hmac
import secrets
import threading
from typing import Any

from .cinema import Cinema, Wanted, prices_of
from .server import Parts, Server, real_clock
from .web import App, HttpServer, Request, Response, Route, answer_json, bearer
from .wire import ID, INTEGER_MAX, WORD, Fields, Problem, instant, read

TEN_YEARS_S = 10 * 365 * 86_400
SCREENINGS_MAX = 800  # each has a hall, and a cinema's description has at most 120 KiB (PROG-006)
SIDE_MAX = 100  # rows, and seats in a row


class RunClock:
    """Stands still but for when it is moved (CTRL-004)."""

    def __init__(self, now: int) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


class Run:
    """An origin with keys, data and a clock of its own, which begins on a whole second (CTRL-003)."""

    def __init__(self, parts: Parts) -> None:
        self.clock = RunClock(real_clock() // 1000 * 1000)
        self.server = Server(0, self.clock, parts, ("test_control",))
        self.server.cinema.add_screening(Wanted())
        self.server.start()

    @property
    def cinema(self) -> Cinema:
        return self.server.cinema


class Control(App):
    """Makes runs, and does in them as it is told."""

    routes = (
        Route("POST", "/runs", "create_run"),
        Route("DELETE", "/runs/{run}", "delete_run"),
        Route("POST", "/runs/{run}/screenings", "create_screening"),
        Route("POST", "/runs/{run}/clock", "move_clock"),
        Route("POST", "/runs/{run}/actions", "act"),
    )

    def __init__(self, secret: str, parts: Parts = Parts()) -> None:
        self.secret, self.parts = secret, parts
        self.runs: dict[str, Run] = {}
        self.lock = threading.Lock()

    def headers(self) -> dict[str, str]:
        return {"Admit-Now": instant(real_clock())}

    def dispatch(self, request: Request) -> Response:
        self.check_secret(request)
        return super().dispatch(request)

    def check_secret(self, request: Request) -> None:
        """CTRL-002."""
        if not hmac.compare_digest((bearer(request) or "").encode(), self.secret.encode()):
            raise Problem("unauthenticated", "send the secret of this test control as bearer token")

    def run(self, id: str) -> Run:
        if id not in self.runs:
            raise Problem("not_found", "there is no such run")
        return self.runs[id]

    def create_run(self, request: Request) -> Response:
        Fields(read(request.body))
        run, id = Run(self.parts), f"run_{secrets.token_hex(8)}"
        self.runs[id] = run
        return answer_json(201, {"run": id, "origin": run.server.origin})

    def delete_run(self, request: Request, run: str) -> Response:
        with self.lock:
            ended = self.run(run)
            del self.runs[run]
        ended.server.stop()
        return Response(204)

    def create_screening(self, request: Request, run: str) -> Response:
        wanted = self.read_wanted(Fields(read(request.body)))
        cinema = self.run(run).cinema
        if len(cinema.houses) >= SCREENINGS_MAX:
            raise Problem("invalid", f"a run has at most {SCREENINGS_MAX} screenings: make another run")
        return answer_json(201, {"screening": cinema.add_screening(wanted)})

    def read_wanted(self, body: Fields) -> Wanted:
        """What this server cannot make is refused, and the suite leaves it out (CTRL-006)."""
        for member in ("area", "queue", "open_end", "carer", "sofa", "holder_proof"):
            if body.optional(member):
                raise Problem("invalid", f"this server cannot make a screening with {member!r}", pointers=[f"/{member}"])
        usual = Wanted()
        wanted = Wanted(
            rows=body.integer("rows", 1, INTEGER_MAX, usual.rows),
            seats=body.integer("seats", 1, INTEGER_MAX, usual.seats),
            wheelchair=body.flag("wheelchair"),
            price=body.integer("price", 0, 10**9, usual.price),
            starts_in_s=body.integer("starts_in_s", 0, TEN_YEARS_S, usual.starts_in_s),
            sales_open_in_s=body.integer("sales_open_in_s", 0, TEN_YEARS_S, usual.sales_open_in_s),
            late_sales=body.flag("late_sales"),
            cancellation=self.read_policy(body.object("cancellation")),
            seat_rules=self.read_seat_rules(body.object("seat_rules")),
        )
        if max(wanted.rows, wanted.seats) > SIDE_MAX:
            raise Problem("invalid", f"a hall here has at most {SIDE_MAX} rows of {SIDE_MAX} seats")
        return wanted

    def read_policy(self, policy: Fields | None) -> dict[str, Any]:
        if policy is None:
            return Wanted().cancellation
        tiers = [
            {
                "until_before_start_s": tier.integer("until_before_start_s", 0, 2**32 - 1),
                "refund_percent": tier.integer("refund_percent", 0, 100),
            }
            for tier in policy.objects("tiers", 100)
        ]
        if policy.optional("fee_per_ticket") is None:
            return {"tiers": tiers}
        amount, currency = policy.money("fee_per_ticket")
        return {"tiers": tiers, "fee_per_ticket": {"amount": amount, "currency": currency}}

    def read_seat_rules(self, rules: Fields | None) -> dict[str, Any]:
        if rules is None:
            return {}
        return {
            "orphans": rules.text_if_any("orphans", WORD) or "off",
            "orphans_below_percent": rules.integer("orphans_below_percent", 0, 100, 10),
            "groups": rules.text_if_any("groups", WORD) or "by_place",
        }

    def move_clock(self, request: Request, run: str) -> Response:
        """What is due by then has happened before the answer (CTRL-004)."""
        advance_ms = Fields(read(request.body)).integer("advance_ms", 0, TEN_YEARS_S * 1000)
        with self.lock:
            clock = self.run(run).clock
            clock.now += advance_ms
        self.run(run).cinema.settle()
        return answer_json(200, {"now": instant(clock.now)})

    def act(self, request: Request, run: str) -> Response:
        """Staff do as they are told, the way that they do in earnest (CTRL-005)."""
        body = Fields(read(request.body))
        cinema, action = self.run(run).cinema, body.text("action", WORD)
        do = self.actions.get(action)
        if do is None:
            raise Problem("invalid", f"this server cannot do '{action}'", pointers=["/action"])
        with cinema.house(body.text("screening", ID)) as (house, _):
            do(self, cinema, house, body)
        return Response(204)

    actions = {
        "block": lambda self, cinema, house, body: house.block(body.ids("seats", 10_000)),
        "unblock": lambda self, cinema, house, body: house.unblock(body.ids("seats", 10_000)),
        "pause": lambda self, cinema, house, body: house.set_status("paused"),
        "resume": lambda self, cinema, house, body: house.set_status("on_sale"),
        "cancel_screening": lambda self, cinema, house, body: house.set_status("cancelled"),
        "change_price": lambda self, cinema, house, body: house.change_prices(
            cinema.price_table(prices_of(body.integer("price", 0, 10**9)))
        ),
        "change_cancellation": lambda self, cinema, house, body: house.change_cancellation(
            self.read_policy(body.object("cancellation"))
        ),
        "paid": lambda self, cinema, house, body: house.take_payment(house.booking(body.text("booking", ID))),
    }


def serve_control(port: int, control: Control) -> HttpServer:
    http = HttpServer(port)
    http.start(control)
    return http
