"""HTTP/1.1 over sockets: reads a request, lets an `App` answer it, writes the answer."""

from __future__ import annotations

import hashlib
import logging
import re
import socket
import threading
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Iterator
from urllib.parse import parse_qs, unquote, urlsplit

from .keys import base64url
from .wire import Problem, write

BODY_BYTES_MAX = 64 * 1024  # a buyer's request (HTTP-003)
DRAIN_BYTES_MAX = 8 * 1024 * 1024  # so much more is read and dropped, so that its sender hears the refusal


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, str]
    raw_query: str
    headers: Message
    body: bytes
    is_too_large: bool = False


@dataclass
class Response:
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Route:
    """One line of the table of endpoints."""

    method: str
    template: str
    handler: str

    def match(self, path: str) -> dict[str, str] | None:
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", self.template)
        found = re.fullmatch(pattern, path)
        return {name: unquote(value) for name, value in found.groupdict().items()} if found else None


def answer_json(status: int, document: Any, **headers: str) -> Response:
    return Response(status, write(document), {"Content-Type": "application/json", **headers})


def bearer(request: Request) -> str | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


class App:
    """Answers requests. Subclasses have routes, and a method for each."""

    routes: tuple[Route, ...] = ()

    def answer(self, request: Request) -> Response:
        try:
            response = self.dispatch(request)
        except Problem as problem:
            response = self.refuse(problem)
        except Exception:
            logging.exception("%s %s failed", request.method, request.path)
            response = self.refuse(Problem("internal", "try again with the same Idempotency-Key"))
        response.headers |= self.headers()
        return response

    def dispatch(self, request: Request) -> Response:
        route, names = self.find(request)
        self.check_body(request)
        return getattr(self, route.handler)(request, **names)

    def headers(self) -> dict[str, str]:
        """What every answer carries."""
        return {}

    def find(self, request: Request) -> tuple[Route, dict[str, str]]:
        method = "GET" if request.method == "HEAD" else request.method
        found = [(route, names) for route in self.routes if (names := route.match(request.path)) is not None]
        for route, names in found:
            if route.method == method:
                return route, names
        if found:
            allow = ", ".join(sorted({route.method for route, _ in found} | {"OPTIONS"}))
            raise Problem("method_not_allowed", f"use one of {allow}", headers={"Allow": allow})
        raise Problem("not_found", "nothing is at this path")

    def refuse(self, problem: Problem) -> Response:
        response = Response(problem.status, write(problem.document()), {"Content-Type": "application/problem+json"})
        response.headers |= problem.headers
        if problem.status == 401:
            response.headers["WWW-Authenticate"] = "Bearer"
        if "retry_after_ms" in problem.members:
            response.headers["Retry-After"] = str(-(-problem.members["retry_after_ms"] // 1000))  # HTTP-014
        return response

    def check_body(self, request: Request) -> None:
        """Plain JSON of a bounded size (HTTP-002, HTTP-003)."""
        if request.is_too_large:
            raise Problem("too_large", f"send at most {BODY_BYTES_MAX} bytes")
        if request.method in ("GET", "HEAD", "DELETE", "OPTIONS"):
            return
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise Problem("unsupported_media_type", "send the body uncompressed")
        media_type, _, charset = request.headers.get("Content-Type", "").lower().replace('"', "").partition(";")
        if media_type.strip() != "application/json" or charset.strip() not in ("", "charset=utf-8"):
            raise Problem("unsupported_media_type", "send application/json in UTF-8")

    def cached(self, request: Request, body: bytes, cache_control: str) -> Response:
        """With an ETag, and 304 for who has it already (HTTP-022)."""
        tag = f'"{base64url(hashlib.sha256(body).digest()[:16])}"'
        known = [known.strip().removeprefix("W/") for known in request.headers.get("If-None-Match", "").split(",")]
        headers = {"ETag": tag, "Cache-Control": cache_control}
        if tag in known or "*" in known:
            return Response(304, b"", headers)
        return Response(200, body, {"Content-Type": "application/json", **headers})


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_version, sys_version = "admit-python", ""
    wbufsize = -1  # an answer leaves in one piece
    disable_nagle_algorithm = True
    timeout = 60
    server: HttpServer

    def handle_request(self) -> None:
        address = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        try:
            body, is_too_large = self.read_body()
        except ValueError:
            self.send_error(400)
            return
        request = Request(self.command, address.path, query, address.query, self.headers, body, is_too_large)
        self.respond(self.server.app.answer(request))

    do_GET = do_HEAD = do_POST = do_DELETE = do_OPTIONS = do_PUT = do_PATCH = handle_request

    def read_body(self) -> tuple[bytes, bool]:
        """The body as far as it is read, and whether there was more."""
        body, dropped = b"", 0
        for piece in self.chunks() if "Transfer-Encoding" in self.headers else self.pieces(self.content_length()):
            if len(body) <= BODY_BYTES_MAX:
                body += piece
            else:
                dropped += len(piece)
            if dropped > DRAIN_BYTES_MAX:
                self.close_connection = True
                break
        return body[:BODY_BYTES_MAX], len(body) > BODY_BYTES_MAX

    def content_length(self) -> int:
        digits = self.headers.get("Content-Length", "0")
        if not digits.isdecimal():
            raise ValueError("Content-Length is no length")
        return int(digits)

    def pieces(self, length: int) -> Iterator[bytes]:
        if length < 0:
            raise ValueError("a length is negative")
        while length:
            piece = self.rfile.read(min(length, BODY_BYTES_MAX))
            if not piece:
                raise ValueError("the body is shorter than it says")
            length -= len(piece)
            yield piece

    def chunks(self) -> Iterator[bytes]:
        """RFC 9112, 7.1."""
        while size := int(self.rfile.readline(1024).split(b";")[0], 16):
            yield from self.pieces(size)
            self.rfile.readline(1024)
        while self.rfile.readline(1024).strip():
            pass

    def respond(self, response: Response) -> None:
        self.send_response_only(response.status)
        self.send_header("Date", self.date_time_string())
        for name, value in response.headers.items():
            self.send_header(name, value)
        if response.status not in (204, 304):
            self.send_header("Content-Length", str(len(response.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What is no request that HTTP knows gets a problem, too, and its connection is closed."""
        self.close_connection = True
        self.request_version = self.protocol_version  # an unreadable first line is taken for HTTP/0.9, without headers
        app = self.server.app
        problem = Problem("method_not_allowed" if code == 501 else "unreadable", "send HTTP/1.1, and a method it knows")
        response = app.refuse(problem)
        response.headers |= app.headers()
        self.respond(response)

    def log_message(self, format: str, *values: Any) -> None:
        """No line for each request: a path names a hold, and who reads logs need not know it."""


class HttpServer(ThreadingHTTPServer):
    """Listens on loopback; `stop` ends the connections that are open, too."""

    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.app = App()
        self.connections: set[socket.socket] = set()
        self.origin = f"http://127.0.0.1:{self.server_address[1]}"

    def start(self, app: App) -> None:
        self.app = app
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.connections.discard(request)
        super().shutdown_request(request)

    def stop(self) -> None:
        self.shutdown()
        self.server_close()
        for connection in list(self.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # it ended by itself meanwhile

    def handle_error(self, request: Any, client_address: Any) -> None:
        logging.debug("a connection ended early", exc_info=True)
