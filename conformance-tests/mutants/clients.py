"""A client of the standard library that keeps every sentence the suite looks at, and clients that are careless about one thing each.

`python -m mutants.clients [NAME]` is an adapter as `spec/v1/control.md` has it; `--list` names the careless ones."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import sys
import time
from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlsplit

from vectors.check import Refused, b64_of, check_moved_from, known_by, must, read_json, read_manifest, read_texts, read_ticket

MANIFEST_BYTES = 256 * 1024
TRIES = 6
KNOWN_SALES = {"open", "under_way_open"}


class Unknown(Exception):
    """Perhaps it was done."""


class Client:
    def __init__(self) -> None:
        self.secret = ""
        self.known: dict[str, dict[str, Any]] = {}
        self.moves = 0

    # ---- asking

    def exchange(self, origin: str, method: str, path: str, headers: dict[str, str], body: bytes | None) -> tuple[int, Any, bytes]:
        """One request, one answer; what breaks on the way is an OSError or an HTTPException."""
        connection = http.client.HTTPConnection(urlsplit(origin).netloc, timeout=10)
        try:
            connection.request(method, path, body=body, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def get(self, origin: str, path: str) -> bytes:
        status, _, data = self.exchange(origin, "GET", path, self.headers(None), None)
        must(status == 200, f"{path}: status {status}")
        return data

    def headers(self, key: str | None) -> dict[str, str]:
        who = {"Authorization": f"Bearer {self.secret}"} if self.secret else {}
        return who | ({"Idempotency-Key": key, "Content-Type": "application/json"} if key else {})

    def key(self) -> str:
        return b64_of(os.urandom(16))

    def effect(self, origin: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Something that must happen once: asked again with the same key until it is known."""
        data, key, last = json.dumps(body).encode(), self.key(), ""
        for attempt in range(TRIES):
            try:
                status, _, answer = self.exchange(origin, "POST", path, self.headers(self.key_again(key, attempt)), data)
            except (OSError, http.client.HTTPException) as error:
                last = str(error)
                continue
            if 200 <= status < 300:
                return json.loads(answer)
            problem = self.problem(answer)
            if not self.comes_again(status, problem):
                raise Refused(f"{status} {problem.get('code')}")
            last = str(problem.get("code"))
            time.sleep(problem.get("retry_after_ms", 100) / 1000)
        raise Unknown(last)

    def key_again(self, key: str, attempt: int) -> str:
        return key

    def problem(self, data: bytes) -> dict[str, Any]:
        try:
            return json.loads(data)
        except ValueError:
            return {}

    def comes_again(self, status: int, problem: dict[str, Any]) -> bool:
        return status == 503 or problem.get("code") == "request_in_flight"

    # ---- believing

    def meet(self, origin: str) -> dict[str, Any]:
        data = self.get(origin, "/.well-known/admit")
        must(len(data) <= MANIFEST_BYTES, "larger than any manifest")
        jws = read_json(data.decode())
        self.check_manifest(jws, origin)
        manifest = json.loads(self.payload(jws)) | {"met_at": origin}
        self.known[origin] = known_by(manifest)
        must(manifest["role"] == "server", "no cinema's server")
        base = manifest["api_base"]
        must(base.startswith("/") and not base.startswith("//"), "its API is elsewhere")
        return self.follow(manifest)

    def follow(self, manifest: dict[str, Any]) -> dict[str, Any]:
        """MAN-015: a server that moved is the one there."""
        if "moved_to" not in manifest:
            return manifest
        must(self.moves < 8, "it moves and moves")
        self.moves += 1
        try:
            there = self.meet(manifest["moved_to"])
        finally:
            self.moves -= 1
        self.check_moved_from(manifest, there)
        return there

    def check_moved_from(self, old: dict[str, Any], new: dict[str, Any]) -> None:
        check_moved_from(old, new)

    def payload(self, jws: dict[str, str]) -> bytes:
        import base64

        return base64.urlsafe_b64decode(jws["payload"] + "=" * (-len(jws["payload"]) % 4))

    def check_manifest(self, jws: dict[str, str], origin: str) -> None:
        now = datetime.now(timezone.utc).isoformat()
        read_manifest({"jws": jws, "origin": origin, "now": now, "known": self.remembered(origin, jws)})

    def remembered(self, origin: str, jws: dict[str, str]) -> dict[str, Any] | None:
        return self.known.get(origin)

    def document(self, origin: str, manifest: dict[str, Any], kind: str, name: str) -> dict[str, Any]:
        data = self.get(origin, f"{manifest['api_base']}/{kind}/{name}")
        self.check_name(data, name)
        return json.loads(data)

    def check_name(self, data: bytes, name: str) -> None:
        must(name == "sha256-" + b64_of(hashlib.sha256(data).digest()), "other bytes than its name says")

    def check_cinemas(self, origin: str, manifest: dict[str, Any]) -> None:
        pages = [self.document(origin, manifest, "cinema_pages", name) for name in manifest["cinema_pages"]]
        cinemas = [cinema for page in pages for cinema in page["cinemas"]]
        must(bool(cinemas), "no cinema")
        for cinema in cinemas:
            read_texts(cinema["name"])
            must(abs(cinema["position"]["lat_e6"]) <= 90_000_000, "nowhere on earth")

    # ---- doing

    def free(self, origin: str, screening: str) -> dict[str, Any]:
        manifest = self.meet(origin)
        origin = manifest["met_at"]
        seats = json.loads(self.get(origin, f"{manifest['api_base']}/screenings/{screening}/seats"))
        layout = self.document(origin, manifest, "layouts", seats["layout"])
        taken = self.taken(seats["not_free"])
        names = [seat["id"] for seat in layout["seats"] if seat["id"] not in taken]
        return {"seats": names, "on_sale": self.is_on_sale(seats["sales"])}

    def taken(self, not_free: dict[str, list[str]]) -> set[str]:
        return {seat for seats in not_free.values() for seat in seats}

    def is_on_sale(self, sales: str) -> bool:
        return sales in KNOWN_SALES

    def new_secret(self) -> str:
        return b64_of(os.urandom(32))

    def buy(self, origin: str, screening: str, seats: list[str], at_most: dict[str, Any]) -> dict[str, Any]:
        manifest = self.meet(origin)
        origin = manifest["met_at"]
        base = f"{manifest['api_base']}/screenings/{screening}"
        now = json.loads(self.get(origin, f"{base}/seats"))
        must(self.is_on_sale(now["sales"]), "not on sale")
        self.document(origin, manifest, "layouts", now["layout"])
        table = self.document(origin, manifest, "price_tables", now["price_table"])
        adult = next(kind["id"] for kind in table["ticket_types"] if kind["audience"] == "adult")
        self.secret = self.new_secret()
        try:
            wish = {"layout": now["layout"], "seats": [{"seat": seat, "ticket_type": adult} for seat in seats]}
            hold = self.effect(origin, self.hold_path(base), wish)
            booking = self.book(origin, base, hold, adult, hold["quote"]["total"], at_most)
            path = f"{base}/bookings/{booking['id']}/tickets"
            tickets = json.loads(self.get(origin, path))["tickets"]
            keys = [key["key"] for key in manifest["keys"]["ticket"]]
            codes = [code for ticket in tickets if (code := self.checked(ticket["code"], keys))]
            return {"booking": booking["id"], "total": booking["total"], "tickets": codes}
        finally:
            self.secret = ""

    def hold_path(self, base: str) -> str:
        return f"{base}/holds"

    def book(self, origin: str, base: str, hold: dict, adult: str, total: dict, at_most: dict) -> dict[str, Any]:
        must(self.may_cost(total, at_most), f"it comes to {total}")
        tickets = [{"seat": seat["seat"], "ticket_type": adult} for seat in hold["seats"]]
        book = {"hold": hold["id"], "tickets": tickets, "total": total, "payment_method": "at_cinema"}
        return self.effect(origin, f"{base}/bookings", book)

    def may_cost(self, total: dict[str, Any], at_most: dict[str, Any]) -> bool:
        return total["currency"] == at_most["currency"] and total["amount"] <= at_most["amount"]

    def checked(self, code: str, keys: list[str]) -> str | None:
        """It is bought all the same."""
        try:
            read_ticket(code, keys)
        except Refused:
            return None
        return code


CARELESS: dict[str, tuple[type[Client], str]] = {}


def careless(what: str):
    def keep(kind: type[Client]) -> type[Client]:
        CARELESS[kind.__name__] = (kind, what)
        return kind

    return keep


@careless("IDEM-002: takes a new key each time that it asks again")
class NewKeyEachTime(Client):
    def key_again(self, key: str, attempt: int) -> str:
        return key if attempt == 0 else self.key()


@careless("IDEM-002: takes what it did not hear for refused")
class LostIsRefused(Client):
    def exchange(self, *asked):
        try:
            return super().exchange(*asked)
        except (OSError, http.client.HTTPException) as error:
            raise Refused(str(error)) from error


@careless("IDEM-007: takes outcome_unknown for a refusal")
class UnknownIsRefused(Client):
    def comes_again(self, status, problem):
        return problem.get("code") in ("busy", "request_in_flight")


@careless("HTTP-014: gives up when a server is busy")
class GivesUp(Client):
    def comes_again(self, status, problem):
        return problem.get("code") in ("outcome_unknown", "request_in_flight")


@careless("MAN-002: believes any manifest that looks like one")
class BelievesAnything(Client):
    def check_manifest(self, jws, origin):
        must(json.loads(self.payload(jws))["origin"] == origin, "another origin")


@careless("MAN-003: does not look whose manifest it is")
class AnybodysManifest(Client):
    def check_manifest(self, jws, origin):
        super().check_manifest(jws, json.loads(self.payload(jws))["origin"])


@careless("MAN-004: does not look at the time")
class Timeless(Client):
    def check_manifest(self, jws, origin):
        issued = json.loads(self.payload(jws))["issued"]
        read_manifest({"jws": jws, "origin": origin, "now": issued, "known": None})


@careless("MAN-005: takes whatever keys a server comes with")
class ForgetsKeys(Client):
    def remembered(self, origin, jws):
        return None


@careless("MAN-005: knows keys, and no serials")
class ForgetsSerials(Client):
    def remembered(self, origin, jws):
        known = super().remembered(origin, jws)
        return known and known | {"serial": 0}


@careless("MAN-012: lets a key come back that was replaced")
class ForgetsSuccessions(Client):
    def remembered(self, origin, jws):
        known = super().remembered(origin, jws)
        listed = json.loads(self.payload(jws))["keys"]
        return None if known and known["succession"] and known["recovery"] == listed["recovery"] else known


@careless("MAN-012: does not listen to the recovery key")
class NeverAnotherKey(Client):
    def check_manifest(self, jws, origin):
        super().check_manifest(jws, origin)
        known = self.known.get(origin)
        must(not known or known["identity"] == json.loads(self.payload(jws))["keys"]["identity"], "another key")


@careless("MAN-005: looks at the identity key, and not at the recovery key")
class AnyRecoveryKey(Client):
    def remembered(self, origin, jws):
        known = super().remembered(origin, jws)
        return known and known | {"recovery": json.loads(self.payload(jws))["keys"]["recovery"]}


@careless("MAN-015: stays where a server was")
class StaysBehind(Client):
    def follow(self, manifest):
        return manifest


@careless("MAN-015: goes wherever a server says that it went")
class TakesAnyWord(Client):
    def check_moved_from(self, old, new):
        pass


@careless("MAN-015: looks whether both say so, and not at their keys")
class TheSameByName(Client):
    def check_moved_from(self, old, new):
        super().check_moved_from(old | {"keys": new["keys"]}, new)


@careless("IDX-008: holds seats as it heard of them, without a look at the cinema")
class HoldsAtOnce(Client):
    def buy(self, origin, screening, seats, at_most):
        base = f"/v1/screenings/{screening}"
        self.secret = self.new_secret()
        wish = {"seats": [{"seat": seat, "ticket_type": "adult"} for seat in seats]}
        hold = self.effect(origin, self.hold_path(base), wish)
        booking = self.book(origin, base, hold, "adult", hold["quote"]["total"], at_most)
        path = f"{base}/bookings/{booking['id']}/tickets"
        tickets = json.loads(self.get(origin, path))["tickets"]
        self.secret = ""
        return {"booking": booking["id"], "total": booking["total"], "tickets": [t["code"] for t in tickets]}


@careless("ID-002: does not look whether bytes fit their name")
class NoHashes(Client):
    def check_name(self, data, name):
        pass


@careless("BOOK-002: does not look at what it costs")
class PaysWhatever(Client):
    def may_cost(self, total, at_most):
        return True


@careless("BOOK-002: when the price is another, books for that without asking")
class TakesTheNewPrice(Client):
    def book(self, origin, base, hold, adult, total, at_most):
        try:
            return super().book(origin, base, hold, adult, total, at_most)
        except Refused:
            dear = {"amount": total["amount"] * 2, "currency": total["currency"]}
            return super().book(origin, base, hold, adult, dear, dear)


@careless("AUTH-002: has one secret for everything")
class OneSecret(Client):
    def new_secret(self):
        return "A" * 43


@careless("AUTH-002: writes its secret into the address")
class SecretInTheAddress(Client):
    def hold_path(self, base):
        return f"{base}/holds?secret={self.secret}"


@careless("MAN-009: goes wherever it is sent")
class FollowsAnything(Client):
    def exchange(self, origin, method, path, headers, body):
        status, answered, data = super().exchange(origin, method, path, headers, body)
        if status in (302, 307) and answered["location"]:
            return super().exchange(origin, method, answered["location"], headers, body)
        return status, answered, data


@careless("EXT-001: wants to know every member")
class KnowsBetter(Client):
    def effect(self, origin, path, body):
        answer = super().effect(origin, path, body)
        must(not any("." in name for name in answer), "a member that nobody knows")
        return answer


@careless("EXT-002: knows three reasons why a seat is not free")
class ThreeReasons(Client):
    def taken(self, not_free):
        return {seat for why in ("held", "sold", "blocked") for seat in not_free.get(why, [])}


@careless("EXT-002: what is not said to be closed is open")
class OpenUnlessClosed(Client):
    def is_on_sale(self, sales):
        return sales not in ("closed", "paused", "cancelled", "under_way", "not_yet_open")


@careless("TICK-005: does not look at the signatures of tickets")
class AnyTicket(Client):
    def checked(self, code, keys):
        return code


@careless("TICK-005: says that nothing was bought where a ticket does not check")
class NothingWasBought(Client):
    def checked(self, code, keys):
        read_ticket(code, keys)
        return code


def answer(client: Client, asked: dict[str, Any]) -> dict[str, Any]:
    try:
        match asked["do"]:
            case "meet":
                manifest = client.meet(asked["origin"])
                client.check_cinemas(manifest["met_at"], manifest)
                return {"ok": {}}
            case "free":
                return {"ok": client.free(asked["origin"], asked["screening"])}
            case "buy":
                return {"ok": client.buy(asked["origin"], asked["screening"], asked["seats"], asked["at_most"])}
            case other:
                return {"refused": f"{other} is nothing that is done here"}
    except Unknown as error:
        return {"unknown": str(error)}
    except (Refused, OSError, ValueError, KeyError, TypeError, http.client.HTTPException) as error:
        return {"refused": f"{type(error).__name__}: {error}"}


def main() -> None:
    if sys.argv[1:] == ["--list"]:
        for name, (_, what) in CARELESS.items():
            print(f"{name} {what}")
        return
    client = CARELESS[sys.argv[1]][0]() if sys.argv[1:] else Client()
    for line in sys.stdin:
        print(json.dumps(answer(client, json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
