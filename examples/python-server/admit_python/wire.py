"""What goes over the wire: strict JSON, instants, problems, and repeated requests."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, Callable, NoReturn

INTEGER_MAX = 2**53 - 1
DEPTH_MAX = 32
ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
WORD = re.compile(r"[a-z0-9_]{1,64}")
Clock = Callable[[], int]  # milliseconds since 1970
CONTENT_NAME = re.compile(r"sha256-[A-Za-z0-9_-]{43}")
# Line feed is the only control character of a text (TEXT-001); U+202A to U+202E turn what follows around (TEXT-002).
NOT_FOR_PEOPLE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]")

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def utc(at: int) -> datetime:
    """The moment of so many milliseconds since 1970, which is how the whole package counts time."""
    return EPOCH + timedelta(milliseconds=at)


def instant(at: int) -> str:
    """RFC 3339 in UTC, with milliseconds (TIME-001, HTTP-020)."""
    return utc(at).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at % 1000:03d}Z"


# One code for one cause (HTTP-011), with its status, its title, and whether the same request can succeed later.
CODES: dict[str, tuple[int, str, bool]] = {
    "unreadable": (400, "The request cannot be read", False),
    "idempotency_key_missing": (400, "An Idempotency-Key is needed", False),
    "unauthenticated": (401, "A secret is needed", False),
    "not_found": (404, "There is no such thing here", False),
    "capability_not_offered": (404, "This server does not offer that", False),
    "method_not_allowed": (405, "That cannot be done here", False),
    "seats_taken": (409, "Some seats cannot be had", True),
    "price_changed": (409, "The total is another", False),
    "layout_changed": (409, "The seats are arranged anew", False),
    "sales_not_open": (409, "Sales are not open", True),
    "sales_closed": (409, "Sales are closed", False),
    "screening_under_way": (409, "It has begun", False),
    "screening_cancelled": (409, "It does not take place", False),
    "hold_converted": (409, "The hold is a booking", False),
    "too_many_holds": (409, "Too many holds", True),
    "booking_state": (409, "The booking is in another state", False),
    "ticket_used": (409, "A ticket was used", False),
    "quote_changed": (409, "The quote does not hold any more", False),
    "hold_expired": (410, "The hold is over", False),
    "too_large": (413, "The request is too large", False),
    "unsupported_media_type": (415, "Only plain JSON is read", False),
    "invalid": (422, "Something in the request is wrong", False),
    "unknown_seat": (422, "There is no such seat", False),
    "seat_named_twice": (422, "A seat is named twice", False),
    "rule_broken": (422, "A rule of this screening is broken", False),
    "idempotency_key_reused": (422, "This key was used for another request", False),
    "payment_method_not_offered": (422, "It cannot be paid like that", False),
    "not_cancellable": (422, "It cannot be cancelled", False),
    "internal": (500, "Something failed here", False),
    "busy": (503, "Too much to do", True),
}


class Problem(Exception):
    """A refusal: what the reader of it needs next (HTTP-010)."""

    def __init__(self, code: str, detail: str, headers: dict[str, str] | None = None, **members: Any) -> None:
        super().__init__(f"{code}: {detail}")
        self.code, self.detail, self.members, self.headers = code, detail, members, headers or {}
        self.status, self.title, retryable = CODES[code]
        self.retryable = self.members.pop("retryable", retryable)

    def document(self) -> dict[str, Any]:
        return {
            "type": f"urn:admit:problem:{self.code}",
            "code": self.code,
            "status": self.status,
            "title": self.title,
            "detail": self.detail,
            "retryable": self.retryable,
            **self.members,
        }


def write(document: Any) -> bytes:
    """The bytes of a document: the same for the same document, because some are named by their hash."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def read(body: bytes) -> Any:
    """Strict JSON (HTTP-004)."""
    try:
        value = json.loads(
            body.decode("utf-8"), object_pairs_hook=_members, parse_int=_integer, parse_constant=_no_constant
        )
        _check_depth(value, 1)
        return value
    except (ValueError, RecursionError) as error:
        raise Problem("unreadable", f"send JSON that can be read in one way only: {error}"[:400]) from error


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is there twice")
    return members


def _integer(digits: str) -> int:
    if len(digits) > 17 or abs(int(digits)) > INTEGER_MAX:
        raise ValueError("an integer is beyond 2^53 - 1")
    return int(digits)


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


def _check_depth(value: Any, depth: int) -> None:
    if not isinstance(value, (dict, list)):
        return
    if depth > DEPTH_MAX:
        raise ValueError(f"it nests deeper than {DEPTH_MAX} levels")
    for inner in value.values() if isinstance(value, dict) else value:
        _check_depth(inner, depth + 1)


class Fields:
    """Reads the members of an object, and names the one that is wrong. Unknown members are passed over (EXT-001)."""

    def __init__(self, value: Any, pointer: str = "") -> None:
        self.pointer = pointer
        if not isinstance(value, dict):
            raise self.wrong("", "an object is wanted")
        self.value = value

    def wrong(self, name: str, why: str) -> Problem:
        """Another form than the schema's is part of reading (ERR-004)."""
        pointer = f"{self.pointer}/{name}" if name else self.pointer
        return Problem("unreadable", f"{pointer or 'the body'}: {why}", pointers=[pointer])

    def required(self, name: str) -> Any:
        if self.value.get(name) is None:
            raise self.wrong(name, "it is missing")
        return self.value[name]

    def optional(self, name: str) -> Any:
        return self.value.get(name)

    def text(self, name: str, pattern: re.Pattern[str]) -> str:
        """A string of this form."""
        value = self.required(name)
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise self.wrong(name, f"a string like {pattern.pattern} is wanted")
        return value

    def text_if_any(self, name: str, pattern: re.Pattern[str]) -> str | None:
        return None if self.optional(name) is None else self.text(name, pattern)

    def words(self, name: str, length_max: int) -> str | None:
        """Words of or for people, if they are there."""
        value = self.optional(name)
        if value is None:
            return None
        if not isinstance(value, str) or len(value) > length_max or NOT_FOR_PEOPLE.search(value):
            raise self.wrong(name, f"a text of at most {length_max} characters is wanted, without control characters")
        return value

    def integer(self, name: str, low: int, high: int, default: int | None = None) -> Any:
        """An integer between two; required, if there is no default."""
        value = self.required(name) if default is None else self.optional(name)
        if value is None:
            return default
        if type(value) is not int or not low <= value <= high:
            raise self.wrong(name, f"an integer from {low} to {high} is wanted")
        return value

    def flag(self, name: str) -> bool:
        value = self.optional(name)
        if value is not None and not isinstance(value, bool):
            raise self.wrong(name, "true or false is wanted")
        return bool(value)

    def array(self, name: str, length_max: int, required: bool = False) -> list[Any]:
        value = self.required(name) if required else self.optional(name)
        if value is None:
            return []
        if not isinstance(value, list) or len(value) > length_max:
            raise self.wrong(name, f"an array of at most {length_max} is wanted")
        return value

    def ids(self, name: str, length_max: int) -> list[str]:
        values = self.array(name, length_max)
        for at, value in enumerate(values):
            if not isinstance(value, str) or not ID.fullmatch(value):
                raise self.wrong(f"{name}/{at}", "an id is wanted")
        return values

    def objects(self, name: str, length_max: int, required: bool = False) -> list[Fields]:
        values = self.array(name, length_max, required)
        return [Fields(value, f"{self.pointer}/{name}/{at}") for at, value in enumerate(values)]

    def object(self, name: str) -> Fields | None:
        value = self.optional(name)
        return None if value is None else Fields(value, f"{self.pointer}/{name}")

    def money(self, name: str) -> tuple[int, str]:
        """An amount and its currency (MONEY-001)."""
        value = Fields(self.required(name), f"{self.pointer}/{name}")
        return value.integer("amount", -INTEGER_MAX, INTEGER_MAX), value.text("currency", re.compile("[A-Z]{3}"))


@dataclass(frozen=True)
class Stored:
    """An answer as it was sent: a repeated request gets these bytes."""

    digest: bytes
    status: int
    body: bytes


Scope = tuple[str, str, str, str]  # principal, method, full path, key


class Idempotency:
    """At most one effect for each (principal, method, full path, key) (IDEM-002).

    Records stay as long as the process, which is longer than the 24 hours that IDEM-003 asks for.
    """

    def __init__(self) -> None:
        self.stored: dict[Scope, Stored] = {}
        self.running: dict[Scope, bytes] = {}
        self.changed = threading.Condition()

    def digest(self, body: bytes) -> bytes:
        return hashlib.sha256(body).digest()

    def lookup(self, scope: Scope) -> Stored | None:
        return self.stored.get(scope)

    def begin(self, scope: Scope, body: bytes) -> Stored | None:
        """What was answered before; nothing, if the caller is the first and has to `finish`.

        Who repeats a request that is still running waits for its answer. Another body is refused at once (IDEM-005).
        """
        digest = self.digest(body)
        with self.changed:
            while scope in self.running:
                self.check_same(self.running[scope], digest)
                self.changed.wait()
            stored = self.lookup(scope)
            if stored:
                self.check_same(stored.digest, digest)
                return stored
            self.running[scope] = digest
            return None

    def check_same(self, first: bytes, again: bytes) -> None:
        if first != again:
            raise Problem("idempotency_key_reused", "repeat the first request as it was, or take a new key")

    def finish(self, scope: Scope, status: int | None, body: bytes = b"") -> None:
        """Keeps an effect; a refusal has no status here, because it is decided again (IDEM-006)."""
        with self.changed:
            digest = self.running.pop(scope)
            if status is not None:
                self.stored[scope] = Stored(digest, status, body)
            self.changed.notify_all()
