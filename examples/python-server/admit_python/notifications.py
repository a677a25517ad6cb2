"""Telling apps' servers what becomes of bookings (capability `notifications`)."""

from __future__ import annotations

import base64
import http.client
import ipaddress
import json
import re
import secrets
import socket
import threading
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from .keys import SigningKey, base64url
from .signatures import LIFE_MAX_S, digest_of
from .wire import Clock, instant, write

WEBHOOK_BYTES_MAX = 512
ANSWER_BYTES_MAX = 4096
TIMEOUT_S = 10
PAUSE_MS, PAUSE_DOUBLED_MAX = 60_000, 7
TRIED_FOR_MS = 24 * 3600 * 1000
ASKED_AGAIN_MS = 5 * 60 * 1000
TAG = "admit-webhook"
DOMAIN = re.compile(r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]*[a-z][a-z0-9-]*")


def is_webhook(url: str, development: bool) -> bool:
    """NOTE-001."""
    if len(url) > WEBHOOK_BYTES_MAX or not all("!" <= letter <= "~" for letter in url) or "#" in url:
        return False
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    if development and parts.scheme == "http" and parts.netloc == f"127.0.0.1:{port}":
        return True
    host = parts.netloc
    if any(part.lower().replace("%2e", ".") in (".", "..") for part in parts.path.split("/")) or "\\" in url:
        return False
    last = host.rsplit(".", 1)[-1]
    return parts.scheme == "https" and bool(DOMAIN.fullmatch(host)) and last not in ("localhost", "local", "internal", "onion")


def is_global(address: str) -> bool:
    """On the public network, and not with another address inside it: IPv6 is given out from 2000::/3, and 2002::/16 is 6to4."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        given_out, six_to_four = ipaddress.ip_network("2000::/3"), ipaddress.ip_network("2002::/16")
        return ip in given_out and ip not in six_to_four and ip.is_global
    return ip.is_global and not ip.is_multicast


@dataclass
class Due:
    """Something that a webhook is to be told."""

    webhook: str
    notification: dict[str, Any]
    at: int
    due: int
    tries: int = 0


@dataclass
class Host:
    """What is known of an app's server."""

    asked: int | None = None
    wants: set[str] = field(default_factory=set)


class Notifications:
    """An outbox, and who brings what is in it."""

    def __init__(self, origin: str, identity: SigningKey, clock: Clock) -> None:
        self.origin, self.identity, self.clock = origin, identity, clock
        self.outbox: list[Due] = []
        self.hosts: dict[str, Host] = {}
        self.lock = threading.Lock()
        self.stopped = threading.Event()

    def tell(self, webhook: str | None, kind: str, about: dict[str, Any]) -> None:
        """Called under the lock of the house in which it happens."""
        if webhook:
            now = self.clock()
            said = {"id": self.new_id(), "kind": kind, "origin": self.origin, "at": instant(now), **about}
            with self.lock:
                self.outbox.append(Due(webhook, said, now, now))

    def new_id(self) -> str:
        return f"note_{secrets.token_hex(12)}"

    # ---- bringing ---------------------------------------------------------------------------------------------------

    def start(self) -> None:
        threading.Thread(target=self.run, daemon=True).start()

    def stop(self) -> None:
        self.stopped.set()

    def run(self) -> None:
        while not self.stopped.wait(0.1):
            now = self.clock()
            with self.lock:
                self.outbox = [due for due in self.outbox if not self.is_old(due, now)]
                ready = [due for due in self.outbox if due.due <= now]
            for due in ready:
                due.due = now + self.pause(due)
                due.tries += 1
                with self.lock:
                    waits = due in self.outbox  # its webhook may have gone meanwhile
                if waits:
                    self.bring(due, now)

    def is_old(self, due: Due, now: int) -> bool:
        return due.tries > 0 and now >= due.at + TRIED_FOR_MS

    def pause(self, due: Due) -> int:
        return PAUSE_MS << min(due.tries, PAUSE_DOUBLED_MAX)

    def bring(self, due: Due, now: int) -> None:
        host = self.hosts.setdefault(urlsplit(due.webhook).netloc, Host())
        if not self.wants(host, due.webhook):
            if not self.may_ask(host, now):
                return
            host.asked = now
            if not self.ask(due.webhook):
                return
            host.wants.add(due.webhook)
        status, _ = self.post(due.webhook, due.notification)
        if self.is_taken(status):
            self.drop([due])
        elif status == 410:
            self.gone(host, due.webhook)

    def wants(self, host: Host, webhook: str) -> bool:
        return webhook in host.wants

    def may_ask(self, host: Host, now: int) -> bool:
        """NOTE-004."""
        return bool(host.wants) or host.asked is None or now >= host.asked + ASKED_AGAIN_MS

    def ask(self, webhook: str) -> bool:
        nonce = base64url(secrets.token_bytes(16))
        challenge = {"id": self.new_id(), "kind": "challenge", "origin": self.origin, "at": instant(self.clock())}
        status, answer = self.post(webhook, {**challenge, "nonce": nonce})
        if status == 410:
            self.gone(self.hosts[urlsplit(webhook).netloc], webhook)
        return status == 200 and self.echoes(answer, nonce)

    def echoes(self, answer: bytes, nonce: str) -> bool:
        try:
            return json.loads(answer)["answer"] == nonce
        except (ValueError, KeyError, TypeError, RecursionError):
            return False

    def is_taken(self, status: int) -> bool:
        return 200 <= status < 300

    def gone(self, host: Host, webhook: str) -> None:
        """NOTE-006."""
        host.wants.discard(webhook)
        with self.lock:
            waiting = [due for due in self.outbox if due.webhook == webhook]
        self.drop(waiting)

    def forget(self, booking: str) -> None:
        with self.lock:
            waiting = [due for due in self.outbox if due.notification.get("booking") == booking]
        self.drop(waiting)

    def drop(self, dues: list[Due]) -> None:
        with self.lock:
            self.outbox = [due for due in self.outbox if due not in dues]

    # ---- over the network -------------------------------------------------------------------------------------------

    def post(self, webhook: str, notification: dict[str, Any]) -> tuple[int, bytes]:
        """What it answers; status 0 if it does not. Redirects are answers like others (NOTE-005)."""
        parts, body = urlsplit(webhook), write(notification)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        headers = self.signed(parts.netloc, parts.path or "/", parts.query, notification["id"], body)
        try:
            connection = self.connect(parts.scheme, parts.hostname or "", parts.port)
            try:
                connection.request("POST", target, body, headers)
                response = connection.getresponse()
                return response.status, response.read(ANSWER_BYTES_MAX)
            finally:
                connection.close()
        except (OSError, http.client.HTTPException, ValueError):
            return 0, b""

    def connect(self, scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
        if scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
        # Once resolved, and all of them global: the connection goes to one of these.
        found = {entry[4][0] for entry in socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM)}
        if not found or not all(is_global(address) for address in found):
            raise ValueError("its name leads to an address that is not on the public network")
        connection = http.client.HTTPSConnection(host, 443, timeout=TIMEOUT_S)
        address = sorted(found)[0]
        connection._create_connection = lambda _, *rest, **named: socket.create_connection((address, 443), *rest, **named)  # type: ignore[attr-defined]
        return connection

    def signed(self, authority: str, path: str, query: str, id: str, body: bytes) -> dict[str, str]:
        """NOTE-003."""
        created = self.clock() // 1000
        fields = {"content-digest": digest_of(body), "content-type": "application/json", "idempotency-key": id}
        parts = {"@method": "POST", "@authority": authority, "@path": path, "@query": f"?{query}", **fields}
        covered = "({});created={};expires={};nonce=\"{}\";keyid=\"{}\";alg=\"ed25519\";tag=\"{}\"".format(
            " ".join(f'"{part}"' for part in parts),
            created,
            created + LIFE_MAX_S,
            base64url(secrets.token_bytes(16)),
            base64url(self.identity.public),
            TAG,
        )
        base = "".join(f'"{part}": {value}\n' for part, value in parts.items()) + f'"@signature-params": {covered}'
        signature = base64.b64encode(self.identity.sign(base.encode())).decode()
        return {**fields, "signature-input": f"admit={covered}", "signature": f"admit=:{signature}:"}
